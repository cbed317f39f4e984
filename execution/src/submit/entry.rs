//! An entry: from the plan to the request.
//!
//! Input: [`EntryRequest`]. Output: [`EntryOutcome`]. The row, its standby protection row, reservation
//! and lock are one transaction; a crash before it leaves nothing, after it a row that is looked up.

use penstock_store_orders::WriteError;
use penstock_store_orders::orders::caps::CAPITAL_TAKEN;
use penstock_store_orders::orders::{EntryContext, NewOrder, PersistedOrder, Standby};
use penstock_telemetry::marker;
use penstock_trading::exit::policy::stop_level;
use penstock_trading::order::OrderEvent;
use penstock_types::cl_ord_id::ClOrdId;
use penstock_types::vocab::{EntryMode, ExecutionIntent, OrderRole, ReasonCode, Side, SysMode};
use penstock_types::{Decimal, OrderId, Symbol};
use penstock_venue_orders::EngineUse;
use tokio::sync::oneshot;

use crate::account::{EntryOutcome, EntryRequest};
use crate::desk::{Command, Desk, DeskError, failpoints};

/// Least time until the deadline for a request to be worth sending.
const DEADLINE_LEFT_MS_MIN: i64 = 700;
/// Minimum life of an entry before we cancel it: a cancel before costs most at the venue.
const ENTRY_LIFE_MS_MIN: i64 = 5_000;

impl Desk {
    pub(crate) async fn on_command(&mut self, command: Command) -> Result<(), DeskError> {
        match command {
            Command::Entry(request, answer) => self.on_entry(*request, answer).await,
            Command::CancelEntries(why) => self.cancel_entries(why, None).await,
            Command::StopEntries(answer) => {
                self.entries_stopped = true;
                let cancelled = self.cancel_entries("entries stopped", None).await;
                self.publish();
                // Who asked and went away waits for nothing.
                let _ = answer.send(());
                cancelled
            }
            Command::Flatten(symbol, answer) => {
                let count = self.flatten(symbol.as_ref());
                // Nobody waits for the number any more: the positions are closed all the same.
                let _ = answer.send(count);
                self.tick().await
            }
        }
    }

    /// Outside NORMAL no entry rests.
    pub(crate) async fn on_mode(&mut self, mode: SysMode) -> Result<(), DeskError> {
        match mode {
            SysMode::Normal => Ok(()),
            SysMode::Degrade | SysMode::Pause | SysMode::Exit => {
                self.cancel_entries("mode", None).await
            }
        }
    }

    async fn on_entry(
        &mut self,
        request: EntryRequest,
        answer: oneshot::Sender<EntryOutcome>,
    ) -> Result<(), DeskError> {
        let outcome = match self.refusal(&request) {
            Some((reason, others_may)) => {
                EntryOutcome::Refused { reason: reason.to_owned(), others_may }
            }
            None => match self.commit_entry(request).await {
                Ok(outcome) => outcome,
                Err(error) => {
                    let told = match &error {
                        DeskError::FencedOut(_) => EntryOutcome::FencedOut,
                        other => EntryOutcome::Failed { reason: other.to_string() },
                    };
                    // The evaluation may have gone; the error ends the desk in any case.
                    let _ = answer.send(told);
                    return Err(error);
                }
            },
        };
        // An evaluation that has gone learns of its order from the rows.
        let _ = answer.send(outcome);
        Ok(())
    }

    /// Why nothing is committed, and whether the entry of another symbol of the cycle may be.
    fn refusal(&self, request: &EntryRequest) -> Option<(&'static str, bool)> {
        if !self.is_permitted() {
            return Some(("RISK_MODE_BLOCK", false));
        }
        if !self.reconcile.complete {
            return Some(("NOT_RECONCILED", false));
        }
        // Right after a start without memory of the counters only cancels and protection go out.
        if self.rest.state().lock().is_cold(self.mono_ms()) {
            return Some(("COLD_START", false));
        }
        if self.entries_stopped {
            return Some(("ENTRIES_STOPPED", false));
        }
        if self.mode.current() != SysMode::Normal {
            return Some(("MODE_BLOCKED", false));
        }
        if self.tracker.is_busy(&request.plan.symbol) {
            return Some(("SYMBOL_LOCKED", true));
        }
        if !self.orders.health().borrow().executions_whole {
            return Some(("PRIVATE_STREAM_SILENT", true));
        }
        // The deadline counts from the cycle's own time, which its plans share.
        if request.plan.deadline_at.millis_since(self.now()) < DEADLINE_LEFT_MS_MIN {
            return Some(("DEADLINE_TOO_CLOSE", false));
        }
        None
    }

    async fn commit_entry(&mut self, request: EntryRequest) -> Result<EntryOutcome, DeskError> {
        let (id, stop_id) = (self.new_id().await?, self.new_id().await?);
        let plan = &request.plan;
        let t0 = self.now();
        let decided_us = self.mono_us();
        let tick = self.instrument(&plan.symbol).map_or(Decimal::new(1, 8), |i| i.price_increment);
        let (order, standby) = entry_rows(&request, id, stop_id, tick);
        failpoints::pass(failpoints::BEFORE_COMMIT_A);
        #[cfg(feature = "failpoints")]
        let early = self.send_early(&order).await;
        let stored =
            self.store.persist_entry(&order, &standby, &request.caps, t0, self.now()).await;
        let persisted = match stored {
            Ok(persisted) => persisted,
            Err(error @ WriteError::Conflict { meaning: CAPITAL_TAKEN, .. }) => {
                let reason = format!("{}: {error}", ReasonCode::RiskCapitalExhausted);
                return Ok(EntryOutcome::Refused { reason, others_may: true });
            }
            Err(error @ WriteError::Conflict { .. }) => {
                return Ok(EntryOutcome::Refused { reason: error.to_string(), others_may: true });
            }
            Err(error) => {
                // The row may stand: it is read back by the reconcile that follows, never sent.
                let reason = error.to_string();
                self.written::<()>(Err(error))?;
                return Ok(EntryOutcome::Failed { reason });
            }
        };
        let row = persisted.record().clone();
        self.tracker.put_sent(&persisted, self.mono_ms());
        if let Some(tracked) = self.tracker.get_mut(row.order_id) {
            tracked.decided_mono_us = decided_us;
            tracked.ttl_at = plan.ttl_at;
        }
        self.reload_standbys().await?;
        marker!(
            SYMBOL_EXECUTION_LOCK_ACQUIRED,
            symbol = row.symbol.as_str(),
            owner = "entry",
            owner_ref = id.text()
        );
        marker!(
            DB_FIRST_ORDER_PERSISTED,
            order_id = row.order_id.0,
            cl_ord_id = id.text(),
            symbol = row.symbol.as_str(),
            role = row.role.as_str(),
            side = row.side.as_str(),
            order_type = row.order_type.as_str(),
            qty = row.qty.to_string(),
            limit_price = row.limit_price.map(|p| p.to_string()),
            trigger_price = row.trigger_price.map(|p| p.to_string()),
            generation_id = plan.generation_id.0,
            epoch_id = plan.epoch_id.0
        );
        failpoints::pass(failpoints::AFTER_COMMIT_BEFORE_SEND);
        #[cfg(feature = "failpoints")]
        if let Some(answer) = early {
            self.answer_early(row.order_id, answer);
            return Ok(EntryOutcome::Sent { order_id: row.order_id });
        }
        self.send_or_refuse(persisted, row.order_id).await
    }

    /// Sends, unless too little time is left: then the row ends without a byte sent.
    async fn send_or_refuse(
        &mut self,
        persisted: PersistedOrder,
        order_id: OrderId,
    ) -> Result<EntryOutcome, DeskError> {
        let late = persisted
            .record()
            .deadline_at
            .is_some_and(|at| at.millis_since(self.now()) < DEADLINE_LEFT_MS_MIN);
        if late {
            let note = self.note().because("DEADLINE_TOO_CLOSE");
            self.apply(order_id, OrderEvent::LocalRefusal, &note).await?;
            let reason = "DEADLINE_TOO_CLOSE".to_owned();
            return Ok(EntryOutcome::NotSent { order_id, reason });
        }
        self.send_add(persisted, EngineUse::Entry);
        Ok(EntryOutcome::Sent { order_id })
    }

    /// Cancels resting entries, also those that have not lived five seconds: all, or one symbol's.
    pub(crate) async fn cancel_entries(
        &mut self,
        why: &'static str,
        only: Option<&Symbol>,
    ) -> Result<(), DeskError> {
        let ids: Vec<OrderId> = self
            .tracker
            .live()
            .filter(|t| t.record.enters() && t.mutation.is_none())
            .filter(|t| only.is_none_or(|symbol| t.record.symbol == *symbol))
            .map(|t| t.record.order_id)
            .collect();
        for id in ids {
            self.cancel(id, why).await?;
        }
        Ok(())
    }

    /// Cancels what the change of the mode could not: a request of the order was open then, or it was
    /// found live later. Each is asked for once; its expiry at the venue is the second net.
    pub(crate) async fn cancel_missed_entries(&mut self) -> Result<(), DeskError> {
        if self.mode.current() == SysMode::Normal && !self.entries_stopped {
            return Ok(());
        }
        let ids: Vec<OrderId> = self
            .tracker
            .live()
            .filter(|t| t.record.enters() && t.mutation.is_none() && t.cancel_mono_ms.is_none())
            .map(|t| t.record.order_id)
            .collect();
        for id in ids {
            self.cancel(id, "mode").await?;
        }
        Ok(())
    }

    /// Cancels entries whose time to live is over.
    pub(crate) async fn cancel_expired_entries(&mut self) -> Result<(), DeskError> {
        let (now, mono) = (self.now(), self.mono_ms());
        let ids: Vec<OrderId> = self
            .tracker
            .live()
            .filter(|t| t.record.enters() && t.mutation.is_none())
            .filter(|t| t.ttl_at.is_some_and(|at| now >= at))
            .filter(|t| t.age_ms(mono) >= ENTRY_LIFE_MS_MIN)
            .map(|t| t.record.order_id)
            .collect();
        for id in ids {
            self.cancel(id, "STRAT_ENTRY_MAKER_TTL").await?;
        }
        Ok(())
    }
}

/// The rows of a planned entry: the order, and the stop that stands by for its first fill, at the
/// policy's distance from the limit or from the mid of the decision. `tick` is the price step.
#[must_use]
pub fn entry_rows(
    request: &EntryRequest,
    id: ClOrdId,
    stop_id: ClOrdId,
    tick: Decimal,
) -> (NewOrder, Standby) {
    let plan = &request.plan;
    let reference = plan.limit_price.unwrap_or(plan.decision_mid);
    let trigger_price = stop_level(reference, plan.exit_limits.stop_bps(plan.stop.sl_bps), tick);
    (new_order(request, id), Standby { cl_ord_id: stop_id, trigger_price })
}

fn new_order(request: &EntryRequest, cl_ord_id: ClOrdId) -> NewOrder {
    let plan = &request.plan;
    let maker = plan.entry_mode == EntryMode::Maker;
    NewOrder {
        cl_ord_id,
        symbol: plan.symbol.clone(),
        side: Side::Buy,
        role: if plan.is_proof { OrderRole::Proof } else { OrderRole::Entry },
        parent_order_id: None,
        position_id: None,
        intent: if maker { ExecutionIntent::MakerEntry } else { ExecutionIntent::TakerEntry },
        order_type: plan.order_type,
        tif: plan.tif,
        post_only: plan.post_only,
        limit_price: plan.limit_price,
        trigger_price: None,
        qty: plan.qty,
        deadline_at: Some(plan.deadline_at),
        expire_at: plan.expire_at,
        exit_policy: Some(plan.exit_policy),
        exit_reason: None,
        entry: Some(EntryContext {
            run_id: plan.run_id,
            lineage_id: plan.lineage_id,
            epoch_id: plan.epoch_id,
            snapshot_id: plan.snapshot_id,
            generation_id: plan.generation_id,
            engine_tick_id: plan.engine_tick_id.map(|tick| tick.0),
            engine_chain: plan.engine_chain.as_deref().and_then(|chain| hex::decode(chain).ok()),
            evaluation_id: request.evaluation_id,
            strategy: plan.strategy,
            route_type: plan.route_type,
            horizon: plan.horizon,
            regime: plan.regime,
            regime_sub: plan.regime_sub,
            queue_decision: plan.queue_decision,
            decision_mid: Some(plan.decision_mid),
            expected_move_bps: Some(plan.expected_move_bps),
            expected_edge_bps: Some(plan.expected_edge_bps),
            expected_surplus_bps: Some(plan.expected_surplus_bps),
            expected_slippage_bps: Some(plan.expected_slippage_bps),
            quote_tick_id: plan.quote_tick_id.0,
            quote_seq: plan.quote_seq,
            p_fill: Some(plan.p_fill),
            est_fill_time_ms: plan.est_fill_time_ms.and_then(|ms| i32::try_from(ms).ok()),
            queue_ahead_quote: None,
            exit_limits: plan.exit_limits,
            size_quote_requested: Some(plan.size_quote_requested),
            size_quote_approved: Some(plan.size_quote_approved),
        }),
    }
}
