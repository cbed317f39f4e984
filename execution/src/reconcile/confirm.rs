//! The second witness: a look at each order that was placed, amended, cancelled or swapped.
//!
//! Input: changes, whole or failed looks. Output: rows of kind CONFIRM, looks again, alarms. The stream's
//! answer is the first evidence; nothing in protection or exits waits for the second. A look that shows
//! less than a stream fact younger than 60 s is stale, because REST lags; without such a fact it
//! contradicts, and the order is looked at whole.

use penstock_alerts::Metrics;
use penstock_store_orders::reconcile::{ReconcileDiff, ReconcileRun};
use penstock_telemetry::marker;
use penstock_trading::drift::DiffKind;
use penstock_types::vocab::{OrderState, ReasonCode};
use penstock_types::{OrderId, PositionId};
use penstock_venues::kraken::rates::RestUse;
use penstock_venues::kraken::vocabulary::RestOrderStatus;

use super::fetch::{FoundOrder, LookKind, LookResult};
use super::state::Confirm;
use crate::desk::{Desk, DeskError};
use crate::tracker::Tracked;

/// Pauses of a look that REST's lag made stale.
const STALE_PAUSES_MS: [i64; 4] = [2_000, 5_000, 15_000, 60_000];
/// Pauses after a look without an answer; after the last the LIGHT pass decides.
const FAILED_PAUSES_MS: [i64; 3] = [1_000, 2_000, 5_000];
/// Time of failing looks after which a person is told.
const FAILING_MS_MAX: i64 = 10_000;
/// Most ids of one query.
const IDS_PER_QUERY: usize = 50;

/// What one look says of one order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Witness {
    /// What the stream said.
    Confirmed,
    /// Less, and the stream is younger.
    Stale,
    /// No answer.
    Failed,
    /// Something else.
    Contradicted,
}

impl Witness {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Stale => "stale",
            Self::Failed => "failed",
            Self::Contradicted => "contradicted",
        }
    }
}

impl Desk {
    /// A change at the venue is to be seen by a second witness. One that is due already covers it.
    pub(crate) fn confirm_soon(&mut self, id: OrderId, cause: &'static str) {
        let mono = self.mono_ms();
        if !self.tracker.get(id).is_some_and(|t| t.record.reduces()) {
            return;
        }
        let due_mono_ms = mono + self.config.confirm_delay_ms;
        let fresh = Confirm {
            cause,
            due_mono_ms,
            tries: 0,
            since_mono_ms: mono,
            changed_mono_ms: mono,
            alarmed: false,
        };
        let confirm = self.reconcile.confirms.entry(id).or_insert(fresh);
        confirm.cause = stronger(confirm.cause, cause);
        confirm.changed_mono_ms = mono;
    }

    pub(super) fn start_confirms(&mut self) {
        let mono = self.mono_ms();
        if self.reconcile.confirm_open {
            return;
        }
        let mut cause = "AMEND";
        let mut ids = Vec::new();
        for (id, confirm) in &self.reconcile.confirms {
            if confirm.due_mono_ms > mono || ids.len() == IDS_PER_QUERY {
                continue;
            }
            let venue = self.tracker.get(*id).and_then(|t| t.record.exchange_order_id.clone());
            if let Some(venue) = venue {
                ids.push((*id, venue));
                cause = stronger(cause, confirm.cause);
            }
        }
        // An order whose id never came is looked up on its own.
        let named: Vec<OrderId> = ids.iter().map(|(id, _)| *id).collect();
        let tracker = &self.tracker;
        self.reconcile.confirms.retain(|id, c| {
            let nameless = tracker.get(*id).is_none_or(|t| t.record.exchange_order_id.is_none());
            c.due_mono_ms > mono || named.contains(id) || !nameless
        });
        if !ids.is_empty() {
            self.reconcile.confirm_open = true;
            self.start_look(LookKind::Confirm { ids, cause }, RestUse::Reserved);
        }
    }

    pub(super) async fn on_confirm(
        &mut self,
        ids: Vec<(OrderId, String)>,
        cause: &'static str,
        result: LookResult,
    ) -> Result<(), DeskError> {
        self.reconcile.confirm_open = false;
        let mono = self.mono_ms();
        let mut worst = Witness::Confirmed;
        let mut positions: Vec<PositionId> = Vec::new();
        let mut diffs = Vec::new();
        for (id, venue) in &ids {
            positions.extend(self.tracker.get(*id).and_then(|t| t.record.position_id));
            let found = result.orders.iter().find(|o| o.venue_id == *venue);
            let witness = self.witness(*id, found, result.whole, mono);
            worst = worst.max(witness);
            self.take_witness(*id, witness, result.started_mono_ms, mono);
            if witness == Witness::Contradicted {
                diffs.extend(self.contradiction(*id, cause, found));
                self.look_soon(*id, 0);
                self.reconcile.full_due = true;
            }
        }
        positions.dedup();
        let run = ReconcileRun {
            kind: "CONFIRM",
            cause,
            outcome: worst.as_str(),
            positions,
            orders: ids.iter().map(|(id, _)| *id).collect(),
            started_at: result.started_at,
            dur_ms: mono - result.started_mono_ms,
            drift_score_x10000: None,
            calls: result.calls,
            diffs,
        };
        self.say_reconcile(&run);
        let stored = self.store.insert_reconcile(&run).await;
        self.written(stored)?;
        let quiet = worst == Witness::Confirmed;
        let level =
            if quiet { penstock_telemetry::Level::Debug } else { penstock_telemetry::Level::Info };
        marker!(
            at level, RECONCILE_COMPLETE,
            kind = "CONFIRM",
            cause = cause,
            outcome = worst.as_str(),
            orders_checked = run.orders.len(),
            fills_recovered = self.reconcile.fills_recovered,
            positions_adjusted = 0,
            duration_ms = run.dur_ms
        );
        Ok(())
    }

    fn witness(&self, id: OrderId, found: Option<&FoundOrder>, whole: bool, mono: i64) -> Witness {
        let Some(tracked) = self.tracker.get(id) else { return Witness::Confirmed };
        if found.is_some_and(|o| agrees(tracked, o)) {
            return Witness::Confirmed;
        }
        if !whole {
            return Witness::Failed;
        }
        let young = tracked.stream_mono_ms.is_some_and(|at| mono - at < self.config.stream_wins_ms);
        let since = self.reconcile.confirms.get(&id).map_or(mono, |c| c.since_mono_ms);
        let waited = mono - since >= self.config.stream_wins_ms;
        let unanswered = tracked.mutation.is_some();
        if (young || unanswered) && !waited { Witness::Stale } else { Witness::Contradicted }
    }

    /// When to look again, if at all, and whether a person is told.
    fn take_witness(&mut self, id: OrderId, witness: Witness, started_mono_ms: i64, mono: i64) {
        let delay_ms = self.config.confirm_delay_ms;
        let Some(confirm) = self.reconcile.confirms.get_mut(&id) else { return };
        let tries = usize::try_from(confirm.tries).unwrap_or(usize::MAX);
        confirm.tries += 1;
        let again = match witness {
            // A change after the look began is not covered by it.
            Witness::Confirmed if confirm.changed_mono_ms > started_mono_ms => {
                confirm.tries = 0;
                confirm.since_mono_ms = confirm.changed_mono_ms;
                Some(delay_ms)
            }
            Witness::Confirmed | Witness::Contradicted => None,
            Witness::Stale => Some(STALE_PAUSES_MS[tries.min(STALE_PAUSES_MS.len() - 1)]),
            Witness::Failed => FAILED_PAUSES_MS.get(tries).copied(),
        };
        let waited_ms = mono - confirm.since_mono_ms;
        let alarm = match witness {
            Witness::Confirmed => false,
            Witness::Stale | Witness::Contradicted => waited_ms >= self.config.stream_wins_ms,
            Witness::Failed => waited_ms >= FAILING_MS_MAX || again.is_none(),
        };
        if alarm && !confirm.alarmed {
            confirm.alarmed = true;
            let reason = ReasonCode::ProtectionUnconfirmed;
            let symbol = self.tracker.get(id).map(|order| order.record.symbol.clone());
            let summary = format!("order {} is not confirmed after {waited_ms} ms", id.0);
            let metrics = Metrics::default().with("order_id", id.0).with("waited_ms", waited_ms);
            let occurrence = self.alerts.occurrence(reason, &summary).with_metrics(metrics);
            let symbol = symbol.as_ref().map_or("", |symbol| symbol.as_str());
            self.alerts.raise(occurrence.of_symbol(symbol));
        }
        match again {
            Some(pause) => confirm.due_mono_ms = mono + pause,
            None => {
                self.reconcile.confirms.remove(&id);
            }
        }
    }

    fn contradiction(
        &self,
        id: OrderId,
        cause: &str,
        found: Option<&FoundOrder>,
    ) -> Option<ReconcileDiff> {
        let row = &self.tracker.get(id)?.record;
        let ends = matches!(cause, "CANCEL" | "CLOSE");
        let kind = if ends { DiffKind::OrderStatus } else { DiffKind::Protection };
        let remote = found.map_or_else(
            || "not found".to_owned(),
            |o| format!("{:?} {} of {} at {:?}", o.status, o.executed, o.qty, o.price),
        );
        Some(ReconcileDiff {
            kind: kind.as_str(),
            symbol: row.symbol.to_string(),
            order_id: Some(id),
            local: format!(
                "{} {} of {} at {:?}",
                row.state, row.cum_qty, row.qty, row.trigger_price
            ),
            remote,
            points: kind.points(),
            settled: true,
        })
    }
}

/// The stronger of two causes of one look.
fn stronger(a: &'static str, b: &'static str) -> &'static str {
    const ORDER: [&str; 5] = ["SWAP", "CLOSE", "CANCEL", "PLACE", "AMEND"];
    let rank = |word: &str| ORDER.iter().position(|o| *o == word).unwrap_or(ORDER.len());
    if rank(a) <= rank(b) { a } else { b }
}

/// The look shows what the stream said.
fn agrees(tracked: &Tracked, found: &FoundOrder) -> bool {
    let row = &tracked.record;
    match found.status {
        Some(RestOrderStatus::Open | RestOrderStatus::Pending) => {
            let live = matches!(
                row.state,
                OrderState::AckedOpen | OrderState::PartiallyFilled | OrderState::PendingCancel
            );
            let trigger =
                !found.is_stop || found.price.is_none() || found.price == row.trigger_price;
            live && found.qty == row.qty && found.executed == row.cum_qty && trigger
        }
        Some(RestOrderStatus::Closed) => row.state == OrderState::Filled,
        Some(RestOrderStatus::Canceled) => row.state == OrderState::Canceled,
        Some(RestOrderStatus::Expired) => row.state == OrderState::Expired,
        None => false,
    }
}
