//! What a refusal by the venue means for its symbol.
//!
//! Input: the class of the venue's text. Output: a quiet time, exit-only, or nothing. The third quiet
//! time within half an hour makes the symbol exit-only for as long. The count does not survive the
//! process; the causes do. Refusals for the pair's rules and requests without an answer are counted from
//! the rows: enough of them put the symbol into quarantine beside the above.

use std::sync::Arc;

use penstock_store_decision::cycle_input;
use penstock_telemetry::marker;
use penstock_trading::quarantine::{QuarantineCause, REFUSALS_SPAN_MS};
use penstock_trading::quiet::QUIETS_WINDOW_MS;
use penstock_types::rows::InstrumentRow;
use penstock_types::vocab::SafetyMode;
use penstock_types::{OrderId, Symbol, UtcMicros};
use penstock_venues::kraken::error_table::{self, ErrorClass};
use penstock_venues::kraken::rates::RestUse;
use penstock_venues::kraken::rest::UnknownReason;

use super::fetch::LookKind;
use crate::audit::Safety;
use crate::desk::{Desk, DeskError};

/// Quiet time of a symbol that the venue does not let us trade: a day.
const RESTRICTED_MS: i64 = 86_400_000;

/// What a refusal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    /// Entries of the symbol pause.
    Quiet,
    /// The same, and the balance that we believed in is read.
    QuietAndBalance,
    /// The account may not trade it.
    Restricted,
    /// Our own numbers were wrong: a person must look.
    ExitOnly,
}

const fn after(class: ErrorClass) -> After {
    match class {
        ErrorClass::Funds => After::QuietAndBalance,
        ErrorClass::Auth | ErrorClass::Policy => After::Restricted,
        ErrorClass::Validation | ErrorClass::Bug | ErrorClass::Config => After::ExitOnly,
        ErrorClass::Nonce
        | ErrorClass::AuthRate
        | ErrorClass::Rate
        | ErrorClass::Limit
        | ErrorClass::Transient
        | ErrorClass::Deadline
        | ErrorClass::Mode
        | ErrorClass::Identity
        | ErrorClass::State
        | ErrorClass::Session
        | ErrorClass::Warning
        | ErrorClass::Unlisted => After::Quiet,
    }
}

impl Desk {
    /// The venue refused a new order. A refused stop keeps no symbol quiet: it is placed again.
    pub(crate) async fn after_refusal(
        &mut self,
        id: OrderId,
        class: ErrorClass,
        text: &str,
    ) -> Result<(), DeskError> {
        let Some(row) = self.tracker.get(id).map(|t| t.record.clone()) else { return Ok(()) };
        if class == ErrorClass::Validation {
            self.read_rules_again(&row.symbol).await;
            self.judge_refusals(&row.symbol).await?;
        }
        let after = after(class);
        if after == After::ExitOnly {
            tracing::error!("{} order {} of {} refused: {text}", row.role, id.0, row.symbol);
            return self.exit_only(&row.symbol, "submit_error", "ORDER_REJECT").await;
        }
        if !row.enters() {
            return Ok(());
        }
        match after {
            After::Restricted => {
                self.quiet_for(&row.symbol, "venue_restricted", "ORDER_REJECT", RESTRICTED_MS).await
            }
            After::QuietAndBalance => {
                self.start_look(LookKind::Balances, RestUse::Reserved);
                self.quiet(&row.symbol, "order_reject", "ORDER_REJECT").await
            }
            After::Quiet | After::ExitOnly => {
                self.quiet(&row.symbol, "order_reject", "ORDER_REJECT").await
            }
        }
    }

    /// A refusal for the pair's rules: they are read again. Others than before are in force at once; the same ones mean
    /// that our own numbers are wrong.
    async fn read_rules_again(&mut self, symbol: &Symbol) {
        let asked = cycle_input::all_instruments(self.store.pool());
        let rows = match self.store.aside("read the venue's rules", asked).await {
            Ok(Ok(rows)) => rows,
            Err(error) => {
                tracing::warn!("rules of {symbol} not read again after a refusal: {error}");
                return;
            }
            Ok(Err(error)) => {
                tracing::warn!("rules of {symbol} not read again after a refusal: {error}");
                return;
            }
        };
        let hash = |row: Option<InstrumentRow>| row.map(|r| r.content_hash).unwrap_or_default();
        let old = hash(self.instrument(symbol));
        self.instruments.store(Arc::new(rows.into_iter().map(|r| (r.symbol.clone(), r)).collect()));
        let new = hash(self.instrument(symbol));
        self.say_rules_refused(symbol, &old, &new);
    }

    /// Refusals for the pair's rules, from the rows: enough of them are a quarantine.
    async fn judge_refusals(&mut self, symbol: &Symbol) -> Result<(), DeskError> {
        let now = self.now();
        let since = now.plus_millis(-REFUSALS_SPAN_MS);
        let rows = self.store.refusals_since(symbol, since).await;
        let Some(rows) = self.written(rows)? else { return Ok(()) };
        let refused: Vec<UtcMicros> = rows
            .iter()
            .filter(|(_, text)| error_table::judge(text).class == ErrorClass::Validation)
            .map(|(at, _)| *at)
            .collect();
        if self.config.quarantine.refused_too_often(&refused, now) {
            self.quarantine(symbol, QuarantineCause::Refusals, ("refusals", refused.len())).await?;
        }
        Ok(())
    }

    /// An order was not answered in time: enough of them in a row are a quarantine.
    pub(crate) async fn after_timeout(&mut self, id: OrderId) -> Result<(), DeskError> {
        let Some(symbol) = self.tracker.get(id).map(|t| t.record.symbol.clone()) else {
            return Ok(());
        };
        let rule = self.config.quarantine;
        let sends = self.store.newest_sends(&symbol, rule.timeouts_max).await;
        let Some(sends) = self.written(sends)? else { return Ok(()) };
        let late: Vec<bool> =
            sends.iter().map(|why| why.starts_with(UnknownReason::TIMEOUT_WORDS)).collect();
        if rule.unanswered_too_often(&late) {
            self.quarantine(&symbol, QuarantineCause::Timeouts, ("timeouts", late.len())).await?;
        }
        Ok(())
    }

    /// No entries for a symbol for a long while; what it holds is managed as ever.
    async fn quarantine(
        &mut self,
        symbol: &Symbol,
        cause: QuarantineCause,
        counted: (&'static str, usize),
    ) -> Result<(), DeskError> {
        let (mode, until) = self.config.quarantine.sentence(self.now());
        let reason = cause.reason().as_str();
        let (symbol_text, cause) = (symbol.as_str(), cause.as_str());
        if let Some(until) = until {
            let quiet_until = until.rfc3339();
            marker!(
                QUIET_MODE_ENTER,
                symbol = symbol_text,
                quiet_until = quiet_until,
                reason = cause
            );
        } else {
            let pinned = self.tracker.is_busy(symbol);
            marker!(
                SYMBOL_EXIT_ONLY,
                symbol = symbol_text,
                pinned = pinned,
                l3_count = 0,
                reason = cause
            );
        }
        self.say_safety(symbol, &Safety { cause, mode, until, quarantine: Some(counted) });
        let stored = self.store.quarantine_symbol(symbol, cause, mode, reason, until).await;
        self.written(stored)?;
        Ok(())
    }

    /// No entries for a symbol for a while; the third time within half an hour, for half an hour.
    async fn quiet(&mut self, symbol: &Symbol, cause: &str, reason: &str) -> Result<(), DeskError> {
        let now = self.now();
        if self.reconcile.quiets.entry(symbol.clone()).or_default().note(now) {
            let until = Some(now.plus_millis(QUIETS_WINDOW_MS));
            return self.exit_only_until(symbol, cause, reason, until).await;
        }
        self.quiet_for(symbol, cause, reason, self.config.quiet_ms).await
    }

    async fn quiet_for(
        &mut self,
        symbol: &Symbol,
        cause: &str,
        reason: &str,
        for_ms: i64,
    ) -> Result<(), DeskError> {
        let until = self.now().plus_millis(for_ms);
        marker!(
            QUIET_MODE_ENTER,
            symbol = symbol.as_str(),
            quiet_until = until.rfc3339(),
            reason = cause
        );
        let mode = SafetyMode::Quiet;
        let found = Safety { cause, mode, until: Some(until), quarantine: None };
        self.say_safety(symbol, &found);
        let stored = self.store.set_symbol_cause(symbol, cause, mode, reason, Some(until)).await;
        self.written(stored)?;
        Ok(())
    }
}
