//! Proof that an order does not exist.
//!
//! Input: looks and snapshots that lack it. Output: `proven_absent`, or another look later. An entry
//! needs two: the stream's snapshot (or a whole look) after its deadline, and a whole look started after
//! the deadline and the grace. A reduce order needs the first alone: should it exist after all, it holds
//! the base and the venue refuses the next.

use penstock_store_orders::orders::OrderRecord;
use penstock_trading::mode::Signal;
use penstock_trading::order::OrderEvent;
use penstock_types::vocab::OrderState;
use penstock_types::{OrderId, UtcMicros};

use super::fetch::LookResult;
use crate::desk::{Desk, DeskError};
use crate::tracker::Tracked;

/// After the deadline the request may still be on its way for this long.
const DEADLINE_SLACK_MS: i64 = 2_000;
/// Deadline of a row that has none: the longest that a reduce order gets.
const DEADLINE_DEFAULT_MS: i64 = 5_000;
/// Whole looks after the grace before a person is called.
const LOOKS_AFTER_GRACE: u32 = 3;

impl Desk {
    /// A whole look did not show the order.
    pub(super) async fn absent(
        &mut self,
        id: OrderId,
        result: &LookResult,
    ) -> Result<(), DeskError> {
        let Some(tracked) = self.tracker.get(id) else { return Ok(()) };
        let row = tracked.record.clone();
        let asks = matches!(
            row.state,
            OrderState::PendingSubmit | OrderState::SubmitUnknown | OrderState::ReconcileRequired
        );
        if !asks {
            // Settled while this look was under way: a snapshot was quicker.
            return Ok(());
        }
        if row.exchange_order_id.is_some() || row.cum_qty > rust_decimal::Decimal::ZERO {
            // It was there: it cannot vanish. REST lags, or forgets.
            return Ok(());
        }
        let deadline =
            row.deadline_at.unwrap_or_else(|| row.created_at.plus_millis(DEADLINE_DEFAULT_MS));
        let first = result.started_at >= deadline.plus_millis(DEADLINE_SLACK_MS)
            || self.snapshot_after(deadline);
        let second = result.started_at >= deadline.plus_millis(self.config.unknown_grace_ms);
        let proven = if row.reduces() { first } else { first && second };
        if !proven {
            return Ok(());
        }
        if matches!(row.state, OrderState::SubmitUnknown | OrderState::PendingSubmit) {
            let note = self.note().because("absent from a whole look");
            self.apply(id, OrderEvent::Unverified, &note).await?;
            let back = self.note().because("absent from a whole look");
            self.apply(id, OrderEvent::StreamBack, &back).await?;
        }
        let note = self.note().because("absent after its deadline");
        if self.apply(id, OrderEvent::ProvenAbsent, &note).await? {
            self.after_failed_send(id).await?;
        }
        Ok(())
    }

    /// Time until a whole look can be the last proof that an order needs, milliseconds; 0 from then on,
    /// and for orders that the venue has named.
    pub(super) fn until_proof_ms(&self, row: &OrderRecord) -> i64 {
        if row.exchange_order_id.is_some() {
            return 0;
        }
        let deadline =
            row.deadline_at.unwrap_or_else(|| row.created_at.plus_millis(DEADLINE_DEFAULT_MS));
        let slack = if row.reduces() { DEADLINE_SLACK_MS } else { self.config.unknown_grace_ms };
        deadline.plus_millis(slack).millis_since(self.now()).max(0)
    }

    /// The snapshot in hand was asked for after the order could still have arrived.
    fn snapshot_after(&self, deadline: UtcMicros) -> bool {
        self.reconcile.snapshot_at.is_some_and(|at| at >= deadline.plus_millis(DEADLINE_SLACK_MS))
    }

    /// Orders that the snapshot lacks and that need no second proof.
    pub(crate) async fn absent_from_snapshot(&mut self) -> Result<(), DeskError> {
        let lost: Vec<OrderId> = self
            .tracker
            .live()
            .filter(|t| t.record.state == OrderState::ReconcileRequired && t.record.reduces())
            .filter(|t| t.record.exchange_order_id.is_none())
            .filter(|t| t.record.deadline_at.is_some_and(|d| self.snapshot_after(d)))
            .map(|t| t.record.order_id)
            .collect();
        for id in lost {
            let note = self.note().because("absent from the snapshot after its deadline");
            if self.apply(id, OrderEvent::ProvenAbsent, &note).await? {
                self.after_failed_send(id).await?;
            }
        }
        Ok(())
    }

    /// The order cannot be proven although its time is over.
    pub(crate) fn is_unprovable(&self, t: &Tracked) -> bool {
        let deadline = t.record.deadline_at;
        let over =
            deadline.is_some_and(|d| self.now() >= d.plus_millis(self.config.unknown_grace_ms));
        over && t.whole_looks >= LOOKS_AFTER_GRACE
            && matches!(t.record.state, OrderState::SubmitUnknown | OrderState::ReconcileRequired)
    }

    /// What such orders demand: those that reduce a risk more than entries.
    pub(crate) fn judge_unproven(&self) {
        let grade = |t: &Tracked| if t.record.reduces() { 2 } else { 1 };
        let stuck = self.tracker.live().filter(|t| self.is_unprovable(t)).map(grade).max();
        self.mode.signal(Signal::SentUnknown, stuck);
    }
}
