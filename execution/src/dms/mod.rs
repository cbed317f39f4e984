//! The dead man's switch carried out.
//!
//! Input: the pure machine's next request, stops that are about to go out. Output: requests on the private socket,
//! their answers. Invariants: a protective stop that goes out while the switch may be armed has the disarming request
//! directly before it on the same socket, and its plan is armed only when both were acknowledged; the switch needs no
//! rows, so it is kept in an outage too.

use penstock_telemetry::marker;
use penstock_trading::dms::{Ask, Look, Switch, TIMEOUT_SECS, Told};
use penstock_types::PositionId;
use penstock_venue_orders::{OrderAnswer, OrderOutcome, OrderSocket};

use crate::desk::{Desk, DeskError, Message};

/// Sends a request; its future is first polled when the caller wants it in the queue.
pub(crate) async fn ask(orders: &OrderSocket, what: Ask) -> OrderAnswer {
    orders
        .cancel_all_orders_after(match what {
            Ask::Arm => TIMEOUT_SECS,
            Ask::Disarm => 0,
        })
        .await
}

/// A disarming request that was noted as sent at `disarm`, directly before another request on the same socket: each goes
/// into the queue when it is polled first. Both answers, the switch's with its time.
pub(crate) async fn directly_before(
    orders: &OrderSocket,
    disarm: Option<i64>,
    then: impl Future<Output = OrderAnswer>,
) -> (Option<(i64, OrderAnswer)>, OrderAnswer) {
    let disarming = async {
        match disarm {
            Some(sent_ms) => Some((sent_ms, ask(orders, Ask::Disarm).await)),
            None => None,
        }
    };
    tokio::join!(biased; disarming, then)
}

impl Desk {
    /// One look at the switch.
    pub(crate) fn keep_switch(&mut self) {
        let now_ms = self.mono_ms();
        let connected = self.orders.health().borrow().connected;
        let look = Look {
            allowed: self.config.dms_flat_only && self.is_permitted(),
            // A key that only watches changes nothing at the venue.
            ready: connected && self.is_permitted(),
            flat: self.is_flat(),
            now_ms,
        };
        let Some(what) = self.dms.next(look) else { return };
        self.dms.sent(what, now_ms);
        let (orders, messages) = (self.orders.clone(), self.messages.clone());
        tokio::spawn(async move {
            let answer = ask(&orders, what).await;
            // A desk that has ended leaves the switch to its successor, or to its time.
            let _ = messages.send(Message::Switch { what, sent_ms: now_ms, answer }).await;
        });
    }

    /// Reconciled, no base, and no order that protects or closes lives or may live.
    fn is_flat(&self) -> bool {
        let live = |id| self.shadow_of(id).is_none_or(|shadow| shadow.is_live());
        let orders = self.tracker.live().filter(|t| t.record.reduces());
        self.reconcile.complete
            && self.tracker.positions.is_empty()
            && !orders.map(|t| t.record.order_id).any(live)
            && self.outage.as_ref().is_none_or(|o| o.bare.is_empty())
            && self.system.matches()
    }

    /// The disarming request goes before a stop: whether one is due, noted as sent.
    pub(crate) fn disarm_before_stop(&mut self) -> Option<i64> {
        let now_ms = self.mono_ms();
        let known = matches!(self.dms.switch(), Switch::MayBeArmed { .. } | Switch::Armed { .. });
        (known && !self.dms.is_off(now_ms)).then(|| {
            self.dms.sent(Ask::Disarm, now_ms);
            now_ms
        })
    }

    /// The switch would cancel a stop that is placed now.
    pub(crate) fn switch_threatens(&self) -> bool {
        let armed = matches!(self.dms.switch(), Switch::MayBeArmed { .. } | Switch::Armed { .. });
        armed && !self.dms.is_off(self.mono_ms())
    }

    /// An answer; when it was the disarming that plans waited for, their stops stand now.
    pub(crate) async fn on_switch(
        &mut self,
        what: Ask,
        sent_ms: i64,
        answer: &OrderAnswer,
    ) -> Result<(), DeskError> {
        let threatened = self.switch_threatens();
        self.switch_answered(what, sent_ms, answer);
        if !threatened || self.switch_threatens() || self.outage.is_some() {
            return Ok(());
        }
        let ids: Vec<PositionId> = self.tracker.positions.keys().copied().collect();
        for id in ids {
            self.stop_stands_now(id).await?;
        }
        Ok(())
    }

    /// The machine alone.
    pub(crate) fn switch_answered(&mut self, what: Ask, sent_ms: i64, answer: &OrderAnswer) {
        let taken = match &answer.outcome {
            OrderOutcome::Acked { .. } => Some(true),
            OrderOutcome::Rejected { .. } | OrderOutcome::NotSent(_) => Some(false),
            OrderOutcome::Unknown { .. } => None,
        };
        match self.dms.answered(what, sent_ms, taken) {
            Told::Armed => marker!(DMS_ARMED, timeout_secs = TIMEOUT_SECS),
            Told::Renewed => marker!(DMS_REFRESHED, timeout_secs = TIMEOUT_SECS),
            Told::Disarmed => marker!(DMS_DISARMED, timeout_secs = 0),
            Told::Nothing => {
                tracing::warn!("dead man's switch, {what:?} changed nothing: {:?}", answer.outcome);
            }
        }
    }
}
