//! The closing sequence carried out.
//!
//! Input: the pure next action. Output: cancels, the close, alarms. Only this path takes the stop away,
//! and only to close.

use penstock_store_orders::WriteError;
use penstock_store_orders::exit_plans::PlanChange;
use penstock_store_orders::orders::persist::{NextStandby, Release};
use penstock_store_orders::orders::{NewOrder, OrderRecord, PersistedOrder};
use penstock_telemetry::marker;
use penstock_trading::exit::closing::{ClosingAction, ClosingInput, OrderView, next};
use penstock_trading::exit::market::CloseForm;
use penstock_trading::exit::plan::PlanEvent;
use penstock_trading::mode::{CauseCode, Level};
use penstock_types::decimal::floor_to_step;
use penstock_types::vocab::{ExecutionIntent, ExitReason, OrderRole, OrderType, Side, TimeInForce};
use penstock_types::{Decimal, PositionId, Symbol};
use penstock_venue_orders::EngineUse;

use super::market::CLOSE_AGAIN_MS;
use crate::desk::{Desk, DeskError, failpoints};
use crate::tracker::{Held, Tracked};

/// Deadline of a close after its decision.
const CLOSE_DEADLINE_MS: i64 = 5_000;
/// A close as a limit that takes goes so far below the bid, basis points: as far as the loss cap.
const LIMIT_CLOSE_BPS: i64 = 100;
/// Lock of the symbol while it is being closed.
const EXIT_LOCK_MS: i64 = 60_000;

impl Desk {
    pub(crate) async fn closing_step(&mut self, id: PositionId) -> Result<(), DeskError> {
        if !self.knows_all() || !self.is_permitted() {
            return Ok(());
        }
        let Some(input) = self.closing_input(id) else { return Ok(()) };
        let Some(held) = self.tracker.positions.get(&id) else { return Ok(()) };
        let symbol = held.position.symbol.clone();
        let stop = self.stop_of(id).map(|t| t.record.order_id);
        let close = self.close_of(id).map(|t| t.record.order_id);
        let entry = self.tracker.entry_of(&symbol).map(|t| t.record.order_id);
        let action = next(&input);
        self.say_close(id, &action);
        let bare = (input.stop, input.close) == (OrderView::Gone, OrderView::Gone);
        if action == ClosingAction::Wait && bare && input.base >= input.min_qty {
            self.alarm_bare_close(id);
        }
        match (action, stop, close, entry) {
            (ClosingAction::CancelEntry, _, _, Some(entry)) => self.cancel(entry, "closing").await,
            (ClosingAction::CancelStop, Some(stop), _, _) => self.cancel(stop, "closing").await,
            (ClosingAction::LookUpStop, Some(stop), _, _) => {
                self.look_soon(stop, 0);
                Ok(())
            }
            (ClosingAction::StopUnknown, Some(stop), _, _) => {
                self.look_soon(stop, 0);
                self.alarm_cancel(id);
                Ok(())
            }
            (ClosingAction::LookUpClose, _, Some(close), _) => {
                self.look_soon(close, 0);
                Ok(())
            }
            (ClosingAction::CancelClose, _, Some(close), _) => {
                if input.close_rests {
                    marker!(
                        EXIT_MAKER_FALLBACK_TO_MARKET,
                        position_id = id.0,
                        order_id = close.0,
                        attempt = input.attempts
                    );
                }
                self.cancel(close, "close takes too long").await
            }
            (ClosingAction::Submit { qty, form }, _, _, _) => {
                self.submit_close(id, qty, form).await
            }
            (ClosingAction::ReadBalance, _, _, _) => {
                self.read_balance(id);
                Ok(())
            }
            (ClosingAction::RearmStop, _, _, _) => self.rearm(id, true).await,
            (ClosingAction::GiveUp, _, _, _) => self.rearm(id, false).await,
            (ClosingAction::Dust, _, _, _) => self.below_minimum(id).await,
            (
                ClosingAction::Wait
                | ClosingAction::Done
                | ClosingAction::CancelEntry
                | ClosingAction::CancelStop
                | ClosingAction::LookUpStop
                | ClosingAction::StopUnknown
                | ClosingAction::LookUpClose
                | ClosingAction::CancelClose,
                _,
                _,
                _,
            ) => Ok(()),
        }
    }

    fn close_of(&self, id: PositionId) -> Option<&Tracked> {
        self.tracker.live_of(id, OrderRole::Exit)
    }

    pub(super) fn closing_input(&mut self, id: PositionId) -> Option<ClosingInput> {
        let mono = self.mono_ms();
        let held = self.tracker.positions.get(&id)?;
        let plan = held.plan.as_ref()?;
        let symbol = held.position.symbol.clone();
        let quote = self.quote_of(held);
        let price = quote.map(|q| q.bid).or(held.position.head.avg_entry).unwrap_or_default();
        let instrument = self.instrument(&symbol);
        let (min_qty, lot) = instrument.map_or((Decimal::ZERO, Decimal::new(1, 8)), |i| {
            (Self::min_qty(&i, price), i.qty_increment)
        });
        let base = held.base();
        let available = self.available(&symbol, base);
        let view = |t: Option<&Tracked>| t.map_or(OrderView::Gone, Tracked::view);
        let stop = self.stop_of(id);
        let close = self.close_of(id);
        let old = quote.is_none_or(|q| q.age_ms > self.config.quote_age_ms_max);
        let whole = self.orders.health().borrow().executions_whole;
        let input = ClosingInput {
            stop: view(stop),
            close: view(close),
            entry: view(self.tracker.entry_of(&symbol)),
            urgent: matches!(
                plan.trigger_reason,
                Some(ExitReason::PanicExit | ExitReason::LossCap)
            ),
            close_rests: close.is_some_and(|t| t.record.post_only),
            maker_wanted: held.maker_close && self.config.maker_close,
            base,
            available,
            min_qty,
            lot,
            attempts: plan.attempts - held.attempts_base,
            since_decided_ms: mono - held.decided_mono_ms,
            since_cancel_ms: stop.and_then(|t| t.cancel_mono_ms).map_or(0, |at| mono - at),
            since_close_ms: close.and_then(|t| t.sent_mono_ms).map_or(0, |at| mono - at),
            since_short_ms: held.short_since_mono_ms.map_or(0, |at| mono - at),
            maker_rest_ms: self.config.maker_close_ms,
            maker_void: old || !whole || price <= plan.sl_price,
            market: self.market_of(held),
            refusals: held.close_refusals,
            since_refusal_ms: mono - held.close_refused_mono_ms,
        };
        let short = available < base && input.stop == OrderView::Gone;
        let held = self.tracker.positions.get_mut(&id)?;
        held.short_since_mono_ms = short.then(|| held.short_since_mono_ms.unwrap_or(mono));
        Some(input)
    }

    /// Free base: the venue's total minus what live sell orders hold, ours and others'. Not known: the position.
    fn available(&self, symbol: &penstock_types::Symbol, base: Decimal) -> Decimal {
        match self.balances.get(symbol.base()) {
            Some(balance) => {
                let held = self.tracker.held_by_sells(symbol) + self.held_by_outsiders(symbol);
                (balance.amount - held).max(Decimal::ZERO)
            }
            None => base,
        }
    }

    async fn submit_close(
        &mut self,
        id: PositionId,
        qty: Decimal,
        form: CloseForm,
    ) -> Result<(), DeskError> {
        failpoints::pass(failpoints::AFTER_CANCEL_BEFORE_CLOSE);
        let Some(held) = self.tracker.positions.get(&id) else { return Ok(()) };
        let symbol = held.position.symbol.clone();
        let reason = held.plan.as_ref().and_then(|p| p.trigger_reason);
        let limit_price = self.close_limit(held, form);
        // The venue takes a limit alone, and nobody knows a price.
        if form != CloseForm::Market && limit_price.is_none() && !self.market_of(held).takes_stop()
        {
            return Ok(());
        }
        let t0 = self.now();
        let until = t0.plus_millis(EXIT_LOCK_MS);
        let locked = self.store.lock_for_exit(&symbol, &format!("position {}", id.0), until).await;
        // The lock only keeps entries out; a close does not wait for it.
        self.written(locked)?;
        let takes = form == CloseForm::Limit;
        let persisted = self.persist_close(id, &symbol, (qty, takes), limit_price, reason).await?;
        let Some(persisted) = self.written(persisted)? else { return Ok(()) };
        let order_id = persisted.record().order_id;
        self.tracker.put_sent(&persisted, self.mono_ms());
        failpoints::pass(failpoints::AFTER_CLOSE_BEFORE_SEND);
        self.send_add(persisted, EngineUse::Protective);
        let change = PlanChange {
            event: Some(PlanEvent::ClosingStarted),
            exit: Some(order_id),
            attempt: true,
            protected_qty: Some(Decimal::ZERO),
            ..PlanChange::default()
        };
        let plan = self.change_plan(id, &change).await?;
        marker!(
            EXIT_ORDER_SUBMITTED,
            plan_id = plan.as_ref().map(|p| p.plan_id),
            order_id = order_id.0,
            attempt = plan.as_ref().map(|p| p.attempts)
        );
        self.reload_standbys().await
    }

    /// The close as a row: the standby row of this session, else a new one.
    async fn persist_close(
        &mut self,
        id: PositionId,
        symbol: &Symbol,
        (qty, takes): (Decimal, bool),
        limit_price: Option<Decimal>,
        exit_reason: Option<ExitReason>,
    ) -> Result<Result<PersistedOrder, WriteError>, DeskError> {
        let t0 = self.now();
        let deadline_at = t0.plus_millis(CLOSE_DEADLINE_MS);
        let standby = self.tracker.standby(id, OrderRole::Exit).cloned();
        // The row in stock becomes a market order or one that rests; a limit that takes is a row of its own.
        let own =
            |row: &OrderRecord| row.qty >= qty && row.fencing_token == self.store.token() && !takes;
        if let Some(row) = standby.filter(own) {
            let cl_ord_id = self.new_id().await?;
            let next = Some(NextStandby { cl_ord_id, qty: row.qty, trigger_price: None });
            let release = Release {
                position_id: id,
                qty,
                trigger_price: None,
                limit_price,
                deadline_at,
                exit_reason,
                next,
            };
            return Ok(self.store.authorise(row.order_id, &release, t0, self.now()).await);
        }
        let rests = limit_price.is_some() && !takes;
        let order = NewOrder {
            cl_ord_id: self.new_id().await?,
            symbol: symbol.clone(),
            side: Side::Sell,
            role: OrderRole::Exit,
            parent_order_id: None,
            position_id: Some(id),
            intent: if rests { ExecutionIntent::MakerExit } else { ExecutionIntent::TakerExit },
            order_type: if rests || takes { OrderType::Limit } else { OrderType::Market },
            tif: if takes { TimeInForce::Ioc } else { TimeInForce::Gtc },
            post_only: rests,
            limit_price,
            trigger_price: None,
            qty,
            deadline_at: Some(deadline_at),
            expire_at: None,
            exit_policy: None,
            exit_reason,
            entry: None,
        };
        Ok(self.store.persist_reduce(&order, t0, self.now()).await)
    }

    /// Limit of a close: the ask to rest there, or far enough below the bid to take what is there.
    fn close_limit(&self, held: &Held, form: CloseForm) -> Option<Decimal> {
        let quote = self.quote_of(held)?;
        match form {
            CloseForm::Market => None,
            CloseForm::Rest => Some(quote.ask),
            CloseForm::Limit => {
                let tick = self
                    .instrument(&held.position.symbol)
                    .map_or(Decimal::new(1, 8), |i| i.price_increment);
                let below = quote.bid * Decimal::from(LIMIT_CLOSE_BPS) / Decimal::from(10_000);
                Some(floor_to_step(quote.bid - below, tick))
            }
        }
    }

    fn alarm_cancel(&mut self, id: PositionId) {
        let Some(held) = self.tracker.positions.get_mut(&id) else { return };
        if held.cancel_alarmed {
            return;
        }
        held.cancel_alarmed = true;
        marker!(EXIT_CANCEL_UNKNOWN, position_id = id.0, symbol = held.position.symbol.as_str());
    }

    /// The close cannot go on: the stop goes back, and a person is called.
    /// What asked for the close goes on asking: it is tried anew after a pause.
    async fn rearm(&mut self, id: PositionId, funds: bool) -> Result<(), DeskError> {
        let again = self.mono_ms() + CLOSE_AGAIN_MS;
        let Some(held) = self.tracker.positions.get_mut(&id) else { return Ok(()) };
        held.short_since_mono_ms = None;
        held.close_again_mono_ms = again;
        let symbol = held.position.symbol.clone();
        if funds {
            marker!(PROTECTION_RESERVED_FUNDS, position_id = id.0, symbol = symbol.as_str());
            self.exit_only(&symbol, "reserved_funds", "PROTECTION_RESERVED_FUNDS").await?;
        } else {
            marker!(
                MARKET_FILL_TIMEOUT_EXPOSURE_RISK,
                position_id = id.0,
                symbol = symbol.as_str()
            );
            let value = Some(symbol.to_string());
            self.mode.raise(CauseCode::PauseNeedsManualProtection, Level::Pause, value);
        }
        let change = PlanChange { event: Some(PlanEvent::CloseFailed), ..PlanChange::default() };
        self.change_plan(id, &change).await?;
        self.protect(id).await
    }
}
