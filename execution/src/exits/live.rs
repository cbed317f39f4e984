//! What an order's news means for its position: acknowledged, amended, triggered, refused, ended.
//!
//! Input: orders after their transaction. Output: plan changes, markers, the next step.

use std::pin::Pin;

use penstock_store_orders::exit_plans::PlanChange;
use penstock_store_orders::orders::OrderRecord;
use penstock_telemetry::marker;
use penstock_trading::exit::closing::OrderView;
use penstock_trading::exit::plan::PlanEvent;
use penstock_trading::protection::{owed_event, stop_qty};
use penstock_types::vocab::{ExitReason, OrderRole, PlanState};
use penstock_types::{Decimal, OrderId, PositionId};

use crate::desk::{Desk, DeskError};
use crate::tracker::{Held, MutationKind, RaiseNote};

impl Desk {
    /// An order of a position is live for the first time.
    pub(crate) async fn after_live(&mut self, id: OrderId) -> Result<(), DeskError> {
        let Some(row) = self.tracker.get(id).map(|t| t.record.clone()) else { return Ok(()) };
        let Some(position) = row.position_id.filter(|_| row.reduces()) else { return Ok(()) };
        let plan_id =
            self.tracker.positions.get(&position).and_then(|h| h.plan.as_ref()).map(|p| p.plan_id);
        marker!(
            EXIT_ORDER_ACKED,
            plan_id = plan_id,
            order_id = id.0,
            role = row.role.as_str(),
            trigger_price = row.trigger_price.map(|p| p.to_string()),
            qty = row.qty.to_string()
        );
        if row.role == OrderRole::Protection {
            self.submitted_elsewhere(position, id).await?;
            self.stop_stands(position, &row).await?;
            self.confirm_soon(id, "PLACE");
            self.protect(position).await?;
        } else {
            self.confirm_soon(id, "CLOSE");
        }
        Ok(())
    }

    /// An amend was answered, or a report repeated the terms of a live order.
    pub(crate) async fn after_amend(&mut self, id: OrderId, ok: bool) -> Result<(), DeskError> {
        let mut closed = None;
        if let Some(tracked) = self.tracker.get_mut(id) {
            let amending = matches!(
                tracked.mutation.map(|m| m.kind),
                Some(MutationKind::Amend { qty, trigger })
                    if qty.is_none_or(|q| q == tracked.record.qty)
                        && trigger.is_none_or(|t| Some(t) == tracked.record.trigger_price)
            );
            // The stream shows what was asked for: that is the answer.
            if ok && amending {
                tracked.mutation = None;
            }
            closed = Some(tracked.record.clone());
        }
        let Some(row) = closed.filter(|r| r.role == OrderRole::Protection) else {
            return Ok(());
        };
        let Some(position) = row.position_id else { return Ok(()) };
        if let Some(held) = self.tracker.positions.get_mut(&position) {
            if ok {
                held.amend_refusals = 0;
                held.amend_refused_mono_ms = None;
            }
            // The report that shows the new level, or the refusal, ends the raise.
            let answered = !ok || held.raise.is_some_and(|r| Some(r.new) == row.trigger_price);
            if let Some(raise) = held.raise.take_if(|_| answered) {
                log_raise(held, &raise, ok);
            }
        }
        if ok {
            self.stop_stands(position, &row).await?;
        }
        self.protect(position).await
    }

    /// The stop went out before its plan could say so: without a write, or by an earlier session.
    async fn submitted_elsewhere(
        &mut self,
        position: PositionId,
        stop: OrderId,
    ) -> Result<(), DeskError> {
        let plan = self.tracker.positions.get(&position).and_then(|h| h.plan.as_ref());
        if plan.map(|p| p.state) != Some(PlanState::Created) {
            return Ok(());
        }
        let change = PlanChange {
            event: Some(PlanEvent::StopSubmitted),
            protection: Some(stop),
            ..PlanChange::default()
        };
        self.change_plan(position, &change).await?;
        Ok(())
    }

    /// The stop stands with these terms.
    async fn stop_stands(
        &mut self,
        position: PositionId,
        row: &OrderRecord,
    ) -> Result<(), DeskError> {
        if self.switch_threatens() {
            // The venue would still take it away: its plan waits for the second acknowledgement.
            return Ok(());
        }
        let Some(held) = self.tracker.positions.get(&position) else { return Ok(()) };
        let Some(plan) = held.plan.clone() else { return Ok(()) };
        let lot = self.instrument(&row.symbol).map_or(Decimal::new(1, 8), |i| i.qty_increment);
        let whole = row.remaining() >= stop_qty(held.base(), lot);
        let trigger = row.trigger_price.unwrap_or_default();
        let raised = plan.state == PlanState::Trailing
            || held.raised_at.is_some()
            || trigger > plan.sl_price;
        let event =
            whole.then_some(if raised { PlanEvent::StopAckedRaised } else { PlanEvent::StopAcked });
        let same = plan.stop_price_on_exchange == Some(trigger)
            && held.position.protected_qty == row.remaining()
            && matches!(plan.state, PlanState::Armed | PlanState::Trailing);
        if same {
            return Ok(());
        }
        let change = PlanChange {
            event,
            protection: Some(row.order_id),
            on_exchange: Some(trigger),
            protected_qty: Some(row.remaining()),
            ..PlanChange::default()
        };
        let armed = self.change_plan(position, &change).await?;
        if whole && armed.is_some() {
            self.armed(position, row).await?;
        }
        Ok(())
    }

    /// What a plan still lacks although its stop stands whole, which no report says again: the cluster went away between
    /// the order's transaction and the plan's.
    pub(crate) async fn settle_owed(&mut self, position: PositionId) -> Result<(), DeskError> {
        let Some(held) = self.tracker.positions.get(&position) else { return Ok(()) };
        let Some(plan) = &held.plan else { return Ok(()) };
        let raised = held.raised_at.is_some();
        let owed = owed_event(plan.state, &self.protect_input(held, position), raised);
        let stop = self.stop_of(position).map(|t| t.record.order_id);
        match (owed, stop) {
            (Some(PlanEvent::StopSubmitted), Some(stop)) => {
                self.submitted_elsewhere(position, stop).await
            }
            (Some(_), Some(_)) => self.stop_stands_now(position).await,
            (None, _) | (_, None) => Ok(()),
        }
    }

    /// The same for the stop of a position that lives at the venue, when there is one.
    pub(crate) async fn stop_stands_now(&mut self, position: PositionId) -> Result<(), DeskError> {
        let stop = self.stop_of(position).filter(|t| t.view() == OrderView::Live);
        let Some(row) = stop.map(|t| t.record.clone()) else { return Ok(()) };
        self.stop_stands(position, &row).await
    }

    async fn armed(&mut self, position: PositionId, row: &OrderRecord) -> Result<(), DeskError> {
        let (now, mono_us) = (self.now(), self.mono_us());
        let Some(held) = self.tracker.positions.get_mut(&position) else { return Ok(()) };
        held.failures = 0;
        held.bare_since_mono_ms = None;
        let seen = held.fill_seen_mono_us.take();
        let sent = held.stop_sent_at.take();
        let entry = held.fill_order.take();
        let plan_id = held.plan.as_ref().map(|p| p.plan_id);
        let Some(seen) = seen else { return Ok(()) };
        let us = mono_us - seen;
        held.to_protection_ms = Some(us / 1_000);
        marker!(
            EXIT_RUNTIME_PLAN_ARMED,
            plan_id = plan_id,
            symbol = row.symbol.as_str(),
            protected_qty = row.remaining().to_string(),
            fill_to_protection_ms = us / 1_000
        );
        marker!(
            EXPOSURE_PROTECTION_CONFIRMED,
            plan_id = plan_id,
            symbol = row.symbol.as_str(),
            protected_qty = row.remaining().to_string(),
            fill_to_protection_ms = us / 1_000
        );
        if let Some(entry) = entry {
            let stored = self.store.latency_protected(entry, sent.unwrap_or(now), now, us).await;
            self.written(stored)?;
        }
        Ok(())
    }

    /// The venue reports the stop triggered: it is the exit, nothing else is sent.
    pub(crate) async fn on_stop_triggered(&mut self, id: OrderId) -> Result<(), DeskError> {
        let Some(tracked) = self.tracker.get_mut(id) else { return Ok(()) };
        if tracked.triggered {
            return Ok(());
        }
        tracked.triggered = true;
        let Some(position) = tracked.record.position_id else { return Ok(()) };
        let symbol = tracked.record.symbol.clone();
        let raised = self
            .tracker
            .positions
            .get(&position)
            .and_then(|h| h.plan.as_ref())
            .and_then(|p| p.trigger_reason);
        let reason =
            if raised == Some(ExitReason::TpHit) { ExitReason::TpHit } else { ExitReason::SlHit };
        let change = PlanChange {
            event: Some(PlanEvent::StopTriggered),
            reason: Some(reason),
            ..PlanChange::default()
        };
        if let Some(plan) = self.change_plan(position, &change).await? {
            marker!(EXIT_REASON_TRIGGERED, plan_id = plan.plan_id, exit_reason = reason.as_str());
        }
        let mono = self.mono_ms();
        if let Some(held) = self.tracker.positions.get_mut(&position) {
            held.decided_mono_ms = mono;
        }
        // Our own bid must not meet the stop, and nothing may fill after the exit.
        if let Some(entry) = self.tracker.entry_of(&symbol).map(|t| t.record.order_id) {
            self.cancel(entry, "stop triggered").await?;
        }
        Ok(())
    }

    /// A reduce order did not reach the venue.
    pub(crate) async fn after_failed_send(&mut self, id: OrderId) -> Result<(), DeskError> {
        let Some(row) = self.tracker.get(id).map(|t| t.record.clone()) else { return Ok(()) };
        let Some(position) = row.position_id else { return Ok(()) };
        if row.role != OrderRole::Protection {
            return Ok(());
        }
        let mono = self.mono_ms();
        if let Some(held) = self.tracker.positions.get_mut(&position) {
            held.failures += 1;
            held.failed_mono_ms = mono;
        }
        marker!(EXPOSURE_PROTECTION_FAILED, position_id = position.0, order_id = id.0);
        let change = PlanChange { event: Some(PlanEvent::StopFailed), ..PlanChange::default() };
        self.change_plan(position, &change).await?;
        Ok(())
    }

    /// The venue says that the account cannot fund the order.
    pub(crate) async fn on_funds_refused(&mut self, id: OrderId) -> Result<(), DeskError> {
        let Some(row) = self.tracker.get(id).map(|t| t.record.clone()) else { return Ok(()) };
        if !row.reduces() {
            return Ok(());
        }
        marker!(PROTECTION_RESERVED_FUNDS, order_id = id.0, symbol = row.symbol.as_str());
        self.exit_only(&row.symbol, "reserved_funds", "PROTECTION_RESERVED_FUNDS").await?;
        let others: Vec<OrderId> = self
            .tracker
            .live()
            .filter(|t| t.record.symbol == row.symbol && t.record.reduces())
            .map(|t| t.record.order_id)
            .collect();
        for other in others {
            self.cancel(other, "reserved funds").await?;
        }
        Ok(())
    }

    /// An order has ended. Boxed, because what follows may end other orders.
    pub(crate) fn after_end<'a>(
        &'a mut self,
        row: &'a OrderRecord,
    ) -> Pin<Box<dyn Future<Output = Result<(), DeskError>> + Send + 'a>> {
        Box::pin(self.ended(row))
    }

    async fn ended(&mut self, row: &OrderRecord) -> Result<(), DeskError> {
        if row.enters() {
            let position = self.tracker.position_of(&row.symbol).map(|h| h.position.position_id);
            if let Some(position) = position {
                self.protect(position).await?;
            }
            return Ok(());
        }
        let Some(position) = row.position_id else { return Ok(()) };
        if row.role == OrderRole::Exit && !row.post_only {
            self.note_close_end(position, row.cum_qty > Decimal::ZERO);
        }
        let Some(held) = self.tracker.positions.get_mut(&position) else { return Ok(()) };
        let closing = held
            .plan
            .as_ref()
            .is_some_and(|p| matches!(p.state, PlanState::Triggered | PlanState::Exiting));
        if closing {
            return self.closing_step(position).await;
        }
        if row.role == OrderRole::Protection && held.base() > Decimal::ZERO {
            let event = Some(PlanEvent::StopLost);
            let protected_qty = Some(Decimal::ZERO);
            let change = PlanChange { event, protected_qty, ..PlanChange::default() };
            self.change_plan(position, &change).await?;
            self.protect(position).await?;
        }
        Ok(())
    }
}

fn log_raise(held: &Held, raise: &RaiseNote, ok: bool) {
    let plan_id = held.plan.as_ref().map(|p| p.plan_id);
    let symbol = held.position.symbol.as_str();
    if raise.by_profit {
        marker!(
            POSITION_MONITOR_TP_RAISED,
            plan_id = plan_id,
            symbol = symbol,
            g_bps = raise.g_bps.map(|g| g.to_string()),
            old_sl = raise.old.to_string(),
            new_sl = raise.new.to_string()
        );
        return;
    }
    marker!(
        POSITION_MONITOR_SL_TRAILED,
        plan_id = plan_id,
        symbol = symbol,
        old_sl = raise.old.to_string(),
        new_sl = raise.new.to_string(),
        peak_price = raise.peak.to_string(),
        amend_ok = ok
    );
}
