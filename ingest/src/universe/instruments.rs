//! What the venue changes about a pair while it is tracked: its precision, its status.
//!
//! Input: the pairs as the `instrument` channel tells them, compared with what was seen before. Outputs:
//! the new precision to the core at once, because a book with other digits is no longer the venue's; the
//! changed rules to both clusters; a safety cause for every tracked pair that is not online, so that no
//! entry is made in it before the next build of the universe lets it go. The clusters are told again
//! until they know.

use super::reference::{PairInfo, Pairs};
use crate::core::run::CoreCommand;
use crate::lifecycle::startup::write_instruments;
use crate::tasks::Hub;
use penstock_market::universe::is_admitted_status;
use penstock_store::StoreError;
use penstock_store_decision::instruments::{
    SafetyCause, clear_safety_cause, safety_symbols, set_safety_cause,
};
use penstock_types::Symbol;
use penstock_types::vocab::SafetyMode;
use penstock_venues::kraken::book::Precision;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;
use std::time::Duration;
use tokio::sync::watch;

/// Cause of ingest for a pair that is not online.
const CAUSE: &str = "instrument_not_online";
/// Pause after a cluster that did not take the change.
const RETRY: Duration = Duration::from_secs(1);

/// The following task.
pub(crate) struct InstrumentWatch {
    pub hub: Hub,
    pub pairs: watch::Receiver<Pairs>,
}

impl InstrumentWatch {
    /// Follows the pairs until it is cancelled.
    pub(crate) async fn run(mut self) {
        let cancel = self.hub.cancel.clone();
        // The service ends while it waits: nobody needs the change any more.
        let _ = cancel.run_until_cancelled(self.follow()).await;
    }

    async fn follow(&mut self) {
        let mut seen = self.pairs.borrow_and_update().clone();
        // What an earlier process set and what has changed since the start is settled at once.
        let mut is_settled = self.settle(&seen, &BTreeSet::new()).await.is_ok();
        let mut unwritten = BTreeSet::new();
        loop {
            if is_settled {
                if self.pairs.changed().await.is_err() {
                    return;
                }
            } else {
                tokio::time::sleep(RETRY).await;
            }
            let now = self.pairs.borrow_and_update().clone();
            let changed = changed(&seen, &now);
            let precisions = precisions(&seen, &now);
            if !precisions.is_empty() {
                // The core is gone only at the end of the process.
                let _ = self.hub.core.send(CoreCommand::Precision(precisions)).await;
            }
            seen = now;
            unwritten.extend(changed);
            match self.settle(&seen, &unwritten).await {
                Ok(()) => {
                    is_settled = true;
                    unwritten.clear();
                }
                Err(error) => {
                    is_settled = false;
                    tracing::debug!("changed pairs: {error}");
                }
            }
        }
    }

    /// Brings rules and safety causes of tracked pairs to what the venue says.
    async fn settle(&self, pairs: &Pairs, changed: &BTreeSet<Symbol>) -> Result<(), StoreError> {
        let tracked = {
            let tracked = &self.hub.context.tracked_symbols;
            tracked.lock().unwrap_or_else(PoisonError::into_inner).clone()
        };
        let rows: Vec<_> = changed
            .intersection(&tracked)
            .filter_map(|s| pairs.get(s))
            .map(|p| p.twin.clone())
            .collect();
        let token = self.hub.context.token;
        if !rows.is_empty() {
            write_instruments(&self.hub.clusters, token, &rows).await;
        }
        let decision = &self.hub.clusters.decision;
        let standing: BTreeSet<String> =
            safety_symbols(decision, CAUSE).await?.into_iter().collect();
        let offline: BTreeMap<&str, &str> = tracked
            .iter()
            .filter_map(|s| pairs.get(s))
            .filter(|p| !is_admitted_status(&p.twin.status))
            .map(|p| (p.twin.symbol.as_str(), p.twin.status.as_str()))
            .collect();
        for symbol in standing.iter().filter(|s| !offline.contains_key(s.as_str())) {
            clear_safety_cause(decision, symbol, CAUSE).await?;
        }
        for (symbol, status) in offline {
            if standing.contains(symbol) {
                continue;
            }
            tracing::warn!(symbol, status, "the pair is not online: no entries");
            let row = SafetyCause {
                symbol,
                cause: CAUSE,
                mode: SafetyMode::ExitOnly,
                primary_reason: "INSTRUMENT_NOT_ONLINE",
                expires_at: None,
                run_id: self.hub.context.run().run_id,
                detail: &serde_json::json!({ "status": status }),
            };
            set_safety_cause(decision, &row).await?;
        }
        Ok(())
    }
}

/// Pairs whose rules are other than before.
fn changed(before: &Pairs, now: &Pairs) -> BTreeSet<Symbol> {
    let is_other = |(symbol, info): &(&Symbol, &PairInfo)| {
        before.get(*symbol).is_none_or(|b| b.twin.content_hash != info.twin.content_hash)
    };
    now.iter().filter(is_other).map(|(symbol, _)| symbol.clone()).collect()
}

/// Pairs that were known and whose digits are other than before.
fn precisions(before: &Pairs, now: &Pairs) -> Vec<(Symbol, Precision)> {
    let is_other = |(symbol, info): &(&Symbol, &PairInfo)| {
        before.get(*symbol).is_some_and(|b| b.precision != info.precision)
    };
    now.iter().filter(is_other).map(|(symbol, info)| (symbol.clone(), info.precision)).collect()
}
