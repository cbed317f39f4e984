//! Proof that an order does not exist.
//!
//! Input: looks and images that lack it. Output: `proven_absent`, or another look later. Two proofs: (i) an
//! image of the stream that was asked for after the deadline and the slack, and whose trades reach back to
//! the order; (ii) a whole look by REST, open, closed and trades, that started after the deadline and the
//! grace, because REST lags. An entry needs both. A reduce order needs the first alone: should it exist after
//! all, it holds the base and the venue refuses the next; the second follows and corrects. A look by REST
//! alone proves nothing.

use penstock_store_orders::orders::OrderRecord;
use penstock_trading::mode::Signal;
use penstock_trading::order::OrderEvent;
use penstock_types::vocab::OrderState;
use penstock_types::{OrderId, UtcMicros};
use penstock_venue_orders::Stamp;

use super::fetch::LookResult;
use super::views::Image;
use crate::desk::{Desk, DeskError};
use crate::stream::Report;
use crate::tracker::Tracked;

/// After the deadline the request may still be on its way for this long.
const DEADLINE_SLACK_MS: i64 = 2_000;
/// Deadline of a row that has none: the longest that a reduce order gets.
const DEADLINE_DEFAULT_MS: i64 = 5_000;
/// A cancel of an order that must not live is sent again after this, milliseconds.
const CANCEL_AGAIN_MS: i64 = 5_000;
/// Whole looks after the grace before a person is called.
const LOOKS_AFTER_GRACE: u32 = 3;

/// When the request of an order can no longer be taken.
fn deadline_of(row: &OrderRecord) -> UtcMicros {
    row.deadline_at.unwrap_or_else(|| row.created_at.plus_millis(DEADLINE_DEFAULT_MS))
}

/// Nobody has seen the order at the venue, and nothing of it is booked.
fn is_in_doubt(row: &OrderRecord) -> bool {
    let asks = matches!(row.state, OrderState::SubmitUnknown | OrderState::ReconcileRequired);
    asks && row.exchange_order_id.is_none() && row.cum_qty.is_zero()
}

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
        let deadline = deadline_of(&row);
        let second = result.started_at >= deadline.plus_millis(self.config.unknown_grace_ms);
        let proven = self.image_proves(&row) && (row.reduces() || second);
        if !proven {
            return Ok(());
        }
        if matches!(row.state, OrderState::SubmitUnknown | OrderState::PendingSubmit) {
            let note = self.note().because("absent from a whole look");
            self.apply(id, OrderEvent::Unverified, &note).await?;
            let back = self.note().because("absent from a whole look");
            self.apply(id, OrderEvent::StreamBack, &back).await?;
        }
        self.is_absent(id, "absent after its deadline").await
    }

    async fn is_absent(&mut self, id: OrderId, why: &str) -> Result<(), DeskError> {
        let note = self.note().because(why);
        if !self.apply(id, OrderEvent::ProvenAbsent, &note).await? {
            return Ok(());
        }
        self.look_after_grace(id);
        self.after_failed_send(id).await
    }

    /// The second look at a reduce order that the first alone has ended: what it finds corrects.
    pub(crate) fn look_after_grace(&mut self, id: OrderId) {
        let (now, mono) = (self.now(), self.mono_ms());
        let grace_ms = self.config.unknown_grace_ms;
        let Some(tracked) = self.tracker.get_mut(id).filter(|t| t.record.reduces()) else { return };
        let due = deadline_of(&tracked.record).plus_millis(grace_ms);
        tracked.next_look_mono_ms = mono + due.millis_since(now).max(0);
        tracked.look_wanted = true;
    }

    /// Time until a whole look can be the last proof that an order needs, milliseconds; 0 from then on,
    /// and for orders that the venue has named.
    pub(super) fn until_proof_ms(&self, row: &OrderRecord) -> i64 {
        if row.exchange_order_id.is_some() {
            return 0;
        }
        let deadline = deadline_of(row);
        let slack = if row.reduces() && !row.state.is_terminal() {
            DEADLINE_SLACK_MS
        } else {
            self.config.unknown_grace_ms
        };
        deadline.plus_millis(slack).millis_since(self.now()).max(0)
    }

    /// The image in hand was asked for when the order could no longer arrive, and would show its trades.
    fn image_proves(&self, row: &OrderRecord) -> bool {
        let since = deadline_of(row).plus_millis(DEADLINE_SLACK_MS);
        self.reconcile
            .image
            .is_some_and(|image| image.asked.wall >= since && image.reaches(row.created_at))
    }

    /// An order in doubt could no longer arrive, and no image was asked for since.
    pub(super) fn is_image_needed(&self) -> bool {
        let now = self.now();
        self.tracker.live().map(|t| &t.record).filter(|row| is_in_doubt(row)).any(|row| {
            now >= deadline_of(row).plus_millis(DEADLINE_SLACK_MS) && !self.image_proves(row)
        })
    }

    /// An image of executions, after its reports were taken.
    pub(super) async fn take_image(
        &mut self,
        reports: &[Report],
        asked: Stamp,
    ) -> Result<(), DeskError> {
        let trades = reports.iter().filter(|r| r.trade.is_some());
        let oldest = trades.clone().map(|r| r.at).min();
        self.reconcile.image = Some(Image::new(asked, trades.count(), oldest));
        self.reconcile.unjudged.extend(self.reconcile.watched.keys().cloned());
        let asked_ms = asked.mono_ms();
        let shown = |t: &Tracked| {
            let venue = t.record.exchange_order_id.as_deref();
            reports.iter().any(|r| r.is_open && Some(r.order_id.as_str()) == venue)
        };
        let tracker = &self.tracker;
        self.reconcile.image_lacks.retain(|id, _| tracker.get(*id).is_some_and(Tracked::is_live));
        // What lived before it was asked for and is not in it has ended: how, a look says.
        let older = |t: &Tracked| {
            t.changed_mono_ms < asked_ms || t.record.state == OrderState::ReconcileRequired
        };
        let ended: Vec<OrderId> = self
            .tracker
            .live()
            .filter(|t| t.record.exchange_order_id.is_some() && older(t) && !shown(t))
            .map(|t| t.record.order_id)
            .collect();
        for id in ended {
            self.reconcile.image_lacks.insert(id, asked_ms);
            let note = self.note().because("not in the image");
            self.apply(id, OrderEvent::Unverified, &note).await?;
        }
        self.absent_from_image().await
    }

    /// Orders that the image lacks and that need no second proof.
    pub(crate) async fn absent_from_image(&mut self) -> Result<(), DeskError> {
        let lost: Vec<OrderId> = self
            .tracker
            .live()
            .map(|t| &t.record)
            .filter(|row| row.state == OrderState::ReconcileRequired && row.reduces())
            .filter(|row| is_in_doubt(row) && self.image_proves(row))
            .map(|row| row.order_id)
            .collect();
        for id in lost {
            self.is_absent(id, "absent from the image after its deadline").await?;
        }
        Ok(())
    }

    /// Cancels again, until it has ended, what must not live: it came back after its row had ended.
    pub(super) async fn cancel_doomed(&mut self) -> Result<(), DeskError> {
        let mono = self.mono_ms();
        let tracker = &self.tracker;
        self.reconcile.doomed.retain(|id| tracker.get(*id).is_some_and(Tracked::is_live));
        let due = |t: &&Tracked| {
            self.reconcile.doomed.contains(&t.record.order_id)
                && t.cancel_mono_ms.is_none_or(|at| mono - at >= CANCEL_AGAIN_MS)
        };
        let due: Vec<OrderId> =
            self.tracker.live().filter(due).map(|t| t.record.order_id).collect();
        for id in due {
            self.cancel(id, "resurrected").await?;
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
