//! The stop of a position: placed after a fill, amended in place, swapped, alarmed when missing.
//!
//! Input: the pure next step. Output: transactions and requests. The standby row is released in one
//! transaction and goes out at once; the plan's state follows.

use penstock_store_orders::exit_plans::PlanChange;
use penstock_store_orders::orders::persist::{NextStandby, Release};
use penstock_store_orders::orders::{NewOrder, OrderRecord};
use penstock_telemetry::marker;
use penstock_trading::exit::closing::OrderView;
use penstock_trading::exit::plan::PlanEvent;
use penstock_trading::exit::trigger::stop_ceiling;
use penstock_trading::mode::{CauseCode, Level};
use penstock_trading::protection::{ProtectAction, ProtectInput, StopView, next};
use penstock_types::vocab::{
    ExecutionIntent, ExitReason, OrderRole, OrderType, PlanState, Side, TimeInForce,
};
use penstock_types::{Decimal, OrderId, PositionId};
use penstock_venue_orders::EngineUse;

use crate::desk::{Desk, DeskError, failpoints};
use crate::submit::Amend;
use crate::tracker::{Held, Tracked};

/// Deadline of a reduce order after its decision.
const REDUCE_DEADLINE_MS: i64 = 5_000;

impl Desk {
    /// One step towards the stop that the plan wants.
    pub(crate) async fn protect(&mut self, id: PositionId) -> Result<(), DeskError> {
        if !self.knows_all() || !self.is_permitted() {
            return Ok(());
        }
        let Some(held) = self.tracker.positions.get(&id) else { return Ok(()) };
        let Some(plan) = &held.plan else { return Ok(()) };
        if matches!(
            plan.state,
            PlanState::Triggered | PlanState::Exiting | PlanState::Closed | PlanState::DustHold
        ) {
            return Ok(());
        }
        let stop_id = self.stop_of(id).map(|t| t.record.order_id);
        let input = self.protect_input(held, id);
        match next(&input) {
            ProtectAction::Wait => Ok(()),
            ProtectAction::BelowMinimum => self.below_minimum(id).await,
            ProtectAction::Place { qty, trigger } => self.place_stop(id, qty, trigger).await,
            ProtectAction::Amend { qty, trigger } => {
                let Some(stop) = stop_id else { return Ok(()) };
                if let Some(new) = qty {
                    marker!(
                        PARTIAL_FILL_PROTECTION_UPDATE,
                        position_id = id.0,
                        old_qty = input.stop.qty.to_string(),
                        new_qty = new.to_string()
                    );
                    let event = Some(PlanEvent::QuantityChanged);
                    let change = PlanChange { event, ..PlanChange::default() };
                    self.change_plan(id, &change).await?;
                }
                self.amend(stop, Amend { qty, trigger }).await
            }
            ProtectAction::Swap => {
                let Some(stop) = stop_id else { return Ok(()) };
                if let Some(held) = self.tracker.positions.get_mut(&id) {
                    held.swapping = true;
                    held.amend_refusals = 0;
                }
                marker!(PROTECTION_SWAP, position_id = id.0, order_id = stop.0);
                self.say_swap(stop);
                self.cancel(stop, "PROTECTION_SWAP").await
            }
            ProtectAction::LookUp => {
                if let Some(stop) = stop_id {
                    self.look_soon(stop, 0);
                }
                Ok(())
            }
        }
    }

    /// Everything that was heard is applied: not in the middle of a snapshot, not while rows cannot be
    /// written.
    pub(crate) const fn knows_all(&self) -> bool {
        self.outage.is_none() && !self.reconcile.in_snapshot
    }

    /// The protection of a position that may live at the venue.
    pub(crate) fn stop_of(&self, id: PositionId) -> Option<&Tracked> {
        self.tracker.live_of(id, OrderRole::Protection)
    }

    pub(super) fn protect_input(&self, held: &Held, id: PositionId) -> ProtectInput {
        let mono = self.mono_ms();
        let stop = self.stop_of(id);
        let view = stop.map_or(StopView::NONE, |t| StopView {
            order: t.view(),
            qty: t.record.qty,
            cum_qty: t.record.cum_qty,
            trigger: t.record.trigger_price.unwrap_or_default(),
            mutation_open: t.mutation.is_some(),
        });
        let symbol = &held.position.symbol;
        let price = held.position.head.avg_entry.unwrap_or_default();
        let instrument = self.instrument(symbol);
        let (min_qty, lot) = instrument.map_or((Decimal::ZERO, Decimal::new(1, 8)), |i| {
            (Self::min_qty(&i, price), i.qty_increment)
        });
        ProtectInput {
            stop: view,
            base: held.base(),
            sl_price: held.plan.as_ref().map_or(Decimal::ZERO, |p| p.sl_price),
            min_qty,
            lot,
            amend_refusals: held.amend_refusals,
            since_amend_refusal_ms: held.amend_refused_mono_ms.map(|at| mono - at),
            ceiling: self.ceiling_of(held),
            market: self.market_of(held),
            failures: held.failures,
            since_failure_ms: mono - held.failed_mono_ms,
            since_fence_ms: mono - self.fence_mono_ms,
            stop_is_inherited: stop.is_some_and(|t| t.record.fencing_token < self.store.token()),
        }
    }

    /// The highest level that the best bid allows, while there is a bid that exits may use.
    fn ceiling_of(&self, held: &Held) -> Option<Decimal> {
        let quote = self.quote_of(held)?;
        let tick = self
            .instrument(&held.position.symbol)
            .map_or(Decimal::new(1, 8), |i| i.price_increment);
        quote.usable(self.config.exit_quote_age_ms_max).then(|| stop_ceiling(quote.bid, tick))
    }

    async fn place_stop(
        &mut self,
        id: PositionId,
        qty: Decimal,
        trigger: Decimal,
    ) -> Result<(), DeskError> {
        let t0 = self.now();
        let deadline_at = t0.plus_millis(REDUCE_DEADLINE_MS);
        let standby = self.tracker.standby(id, OrderRole::Protection).cloned();
        // A row of an earlier session may have been sent by it: its id is never ours to send.
        let own = |row: &OrderRecord| row.qty >= qty && row.fencing_token == self.store.token();
        let persisted = match standby.filter(own) {
            Some(row) => {
                let next = NextStandby {
                    cl_ord_id: self.new_id().await?,
                    qty: row.qty,
                    trigger_price: Some(trigger),
                };
                let release = Release {
                    position_id: id,
                    qty,
                    trigger_price: Some(trigger),
                    limit_price: None,
                    deadline_at,
                    exit_reason: None,
                    next: Some(next),
                };
                self.store.authorise(row.order_id, &release, t0, self.now()).await
            }
            None => {
                let order = self.new_stop(id, qty, trigger).await?;
                let Some(order) = order else { return Ok(()) };
                self.store.persist_reduce(&order, t0, self.now()).await
            }
        };
        let Some(persisted) = self.written(persisted)? else {
            let mono = self.mono_ms();
            if let Some(held) = self.tracker.positions.get_mut(&id) {
                held.failures += 1;
                held.failed_mono_ms = mono;
            }
            return Ok(());
        };
        let order_id = persisted.record().order_id;
        self.tracker.put_sent(&persisted, self.mono_ms());
        failpoints::pass(failpoints::AFTER_AUTHORISE_BEFORE_SEND);
        self.send_add(persisted, EngineUse::Protective);
        self.stop_went_out(id, order_id, qty, trigger).await
    }

    async fn stop_went_out(
        &mut self,
        id: PositionId,
        order_id: OrderId,
        qty: Decimal,
        trigger: Decimal,
    ) -> Result<(), DeskError> {
        let now = self.now();
        if let Some(held) = self.tracker.positions.get_mut(&id) {
            held.stop_sent_at.get_or_insert(now);
            held.swapping = false;
        }
        marker!(
            EXPOSURE_PROTECTION_STARTED,
            position_id = id.0,
            order_id = order_id.0,
            qty = qty.to_string(),
            trigger_price = trigger.to_string()
        );
        let change = PlanChange {
            event: Some(PlanEvent::StopSubmitted),
            protection: Some(order_id),
            ..PlanChange::default()
        };
        self.change_plan(id, &change).await?;
        self.reload_standbys().await
    }

    async fn new_stop(
        &mut self,
        id: PositionId,
        qty: Decimal,
        trigger: Decimal,
    ) -> Result<Option<NewOrder>, DeskError> {
        let cl_ord_id = self.new_id().await?;
        let deadline_at = Some(self.now().plus_millis(REDUCE_DEADLINE_MS));
        let Some(held) = self.tracker.positions.get(&id) else { return Ok(None) };
        Ok(Some(NewOrder {
            cl_ord_id,
            symbol: held.position.symbol.clone(),
            side: Side::Sell,
            role: OrderRole::Protection,
            parent_order_id: held.plan.as_ref().and_then(|p| p.protection_order_id),
            position_id: Some(id),
            intent: ExecutionIntent::Protection,
            order_type: OrderType::StopLoss,
            tif: TimeInForce::Gtc,
            post_only: false,
            limit_price: None,
            trigger_price: Some(trigger),
            qty,
            deadline_at,
            expire_at: None,
            exit_policy: None,
            exit_reason: None,
            entry: None,
        }))
    }

    /// Too little for a stop: wait for more, or hold it as dust once nothing more comes.
    pub(crate) async fn below_minimum(&mut self, id: PositionId) -> Result<(), DeskError> {
        let Some(held) = self.tracker.positions.get(&id) else { return Ok(()) };
        if self.tracker.entry_of(&held.position.symbol).is_some() {
            return Ok(());
        }
        let event = Some(PlanEvent::BelowMinimum);
        let change = PlanChange { event, ..PlanChange::default() };
        if self.change_plan(id, &change).await?.is_some() {
            marker!(EXPOSURE_DUST_SKIP, position_id = id.0);
            self.reload_standbys().await?;
        }
        Ok(())
    }

    /// Alarms of a position without a stop; at the hard limit it is closed.
    pub(crate) async fn watch_grace(&mut self, id: PositionId) -> Result<(), DeskError> {
        let Some(held) = self.tracker.positions.get(&id) else { return Ok(()) };
        let input = self.protect_input(held, id);
        let mono = self.mono_ms();
        let wanted = penstock_trading::protection::stop_qty(input.base, input.lot);
        let covered = input.stop.covered() >= wanted || wanted < input.min_qty;
        let triggered = input.stop.order == OrderView::Triggered;
        let Some(held) = self.tracker.positions.get_mut(&id) else { return Ok(()) };
        if covered || triggered {
            held.bare_since_mono_ms = None;
            if held.grace_alarmed {
                held.grace_alarmed = false;
                self.clear_protection_causes();
            }
            return Ok(());
        }
        let since = *held.bare_since_mono_ms.get_or_insert(mono);
        let bare_ms = mono - since;
        if bare_ms >= self.config.protection_grace_ms && !held.grace_alarmed {
            held.grace_alarmed = true;
            let symbol = held.position.symbol.clone();
            marker!(
                EXPOSURE_UNPROTECTED,
                position_id = id.0,
                symbol = symbol.as_str(),
                uncovered_qty = (wanted - input.stop.covered()).to_string(),
                bare_ms = bare_ms
            );
            let value = Some(symbol.to_string());
            self.mode.raise(CauseCode::ProtectionMissing, Level::Degrade, value);
            let event = Some(PlanEvent::GraceOver);
            let change = PlanChange { event, ..PlanChange::default() };
            self.change_plan(id, &change).await?;
        }
        let hard = bare_ms >= self.config.protection_hard_ms && self.is_permitted();
        let gone = input.stop.covered().is_zero() && input.stop.order == OrderView::Gone;
        if hard && gone && self.may_close(id, ExitReason::PanicExit) {
            marker!(EXPOSURE_PROTECTION_FALLBACK_MARKET, position_id = id.0);
            let nothing = penstock_trading::exit::trigger::Tick {
                decision: penstock_trading::exit::trigger::Decision::Hold,
                trigger: None,
                peak: Decimal::ZERO,
                trough: Decimal::ZERO,
                loss_since: None,
                g_bps: None,
            };
            self.decide_close(id, ExitReason::PanicExit, false, &nothing).await?;
        }
        Ok(())
    }

    /// Clears the cause once no position is alarmed.
    pub(crate) fn clear_protection_causes(&self) {
        if !self.tracker.positions.values().any(|h| h.grace_alarmed) {
            self.mode.clear(CauseCode::ProtectionMissing);
        }
    }
}
