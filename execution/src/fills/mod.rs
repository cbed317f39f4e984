//! Fills in the desk: a trade of the stream or of a look becomes rows, memory, markers.
//!
//! Input: a trade and its order. Output: the booked fill, then at once the stop that it needs. The
//! commit comes first, memory and markers follow.

use penstock_store_orders::fills::{BookedFill, FillContext, FillOutcome, FillReport};
use penstock_telemetry::marker;
use penstock_trading::mode::{CauseCode, Level};
use penstock_trading::order::OrderEvent;
use penstock_types::vocab::{ExitReason, OrderState, PositionStatus};
use penstock_types::{Decimal, OrderId};

use crate::audit;
use crate::cycle::say_suspended;
use crate::desk::{Desk, DeskError, failpoints};
use crate::tracker::Held;

impl Desk {
    /// Books one trade; true when it was new.
    pub(crate) async fn book(
        &mut self,
        id: OrderId,
        report: &FillReport,
    ) -> Result<bool, DeskError> {
        failpoints::pass(failpoints::AFTER_FILL_BEFORE_LEDGER);
        if self.tracker.get(id).is_some_and(|t| t.record.state == OrderState::Created) {
            let mut note = self.note_from(report.source).named("preauth_sent");
            note.venue_id.clone_from(&report.venue_id);
            self.apply(id, OrderEvent::PreauthSent, &note).await?;
        }
        let Some(context) = self.fill_context(id).await? else { return Ok(false) };
        let stored = self.store.process_fill(id, report, &context).await;
        match self.written(stored)? {
            None => Ok(false),
            Some(FillOutcome::Duplicate) => {
                marker!(FILL_DUPLICATE_IGNORED, order_id = id.0, exec_id = report.exec_id.clone());
                Ok(false)
            }
            Some(FillOutcome::Refused) => {
                marker!(
                    FILL_PRICE_ZERO_REJECTED,
                    order_id = id.0,
                    exec_id = report.exec_id.clone(),
                    last_price = report.price.to_string(),
                    last_qty = report.qty.to_string()
                );
                let note = self.note_from(report.source).because("FILL_PRICE_ZERO_REJECTED");
                self.apply(id, OrderEvent::Unverified, &note).await?;
                Ok(false)
            }
            Some(FillOutcome::Booked(booked)) => {
                self.booked(*booked, report).await?;
                Ok(true)
            }
        }
    }

    async fn fill_context(&mut self, id: OrderId) -> Result<Option<FillContext>, DeskError> {
        let Some(symbol) = self.tracker.get(id).map(|t| t.record.symbol.clone()) else {
            return Ok(None);
        };
        let opens = self.tracker.position_of(&symbol).is_none();
        let market = if opens {
            let read = self.store.markets_of(std::slice::from_ref(&symbol)).await;
            self.written(read)?.and_then(|mut rows| rows.pop())
        } else {
            None
        };
        let exit_standby = self.new_id().await?;
        let mid = self.quotes.table().sound(&symbol).map(|q| (q.bid + q.ask) / Decimal::TWO);
        Ok(Some(FillContext {
            mid,
            atr_bps: market.as_ref().and_then(|m| m.atr_bps),
            spread_avg_bps: market.and_then(|m| m.spread_avg_bps).unwrap_or_default(),
            round_trip_fees_bps: self.fees_round_trip_bps,
            tick: self.instrument(&symbol).map_or(Decimal::new(1, 8), |i| i.price_increment),
            exit_standby,
        }))
    }

    async fn booked(&mut self, b: BookedFill, report: &FillReport) -> Result<(), DeskError> {
        let (mono, mono_us) = (self.mono_ms(), self.mono_us());
        self.tracker.put(b.order.clone(), mono);
        self.reconcile.traded.insert(b.order.symbol.clone(), mono);
        self.fill_markers(&b, report);
        b.suspended.iter().for_each(say_suspended);
        let is_maker = report.liquidity.map(|liquidity| liquidity == 'm');
        self.tracker.said.post(|ms| audit::of_fill(&b.order, b.fee_quote, is_maker, ms));
        let position_id = b.position.position_id;
        let closed = b.position.status == PositionStatus::Closed;
        let opened = !self.tracker.positions.contains_key(&position_id) && !closed;
        let grew = b.before.enters();
        if closed {
            self.tracker.positions.remove(&position_id);
            self.tracker.said.position(&b.position, b.plan.as_ref(), None, None);
        } else {
            let held = self
                .tracker
                .positions
                .entry(position_id)
                .or_insert_with(|| Held::new(b.position.clone(), b.plan.clone(), mono));
            held.position = b.position.clone();
            held.plan.clone_from(&b.plan);
            if grew && held.fill_seen_mono_us.is_none() {
                held.fill_seen_mono_us = Some(mono_us);
                held.fill_order = Some(b.order.order_id);
            }
            if b.reopened.is_some() {
                held.close_reason = b.reopened;
            }
        }
        if opened {
            self.opened_markers(&b);
            // The standby rows of the entry got their position in the same transaction.
            self.reload_standbys().await?;
            self.release_stops().await?;
        }
        if b.overfill || b.excess > Decimal::ZERO {
            let value = Some(format!("order {}", b.order.order_id.0));
            self.mode.raise(CauseCode::LedgerMismatch, Level::Pause, value);
            let note = self.note_from(report.source).because("ORDER_OVERFILL");
            self.apply(b.order.order_id, OrderEvent::Unverified, &note).await?;
        }
        if closed {
            self.closed(&b).await?;
        } else if grew {
            failpoints::pass(failpoints::AFTER_FILL_BEFORE_AUTHORISE);
            self.protect(position_id).await?;
        }
        if b.order.state.is_terminal() && !b.before.state.is_terminal() {
            self.after_end(&b.order).await?;
        }
        Ok(())
    }

    fn fill_markers(&self, b: &BookedFill, report: &FillReport) {
        marker!(
            FILL_LEDGER_COMMITTED,
            fill_id = b.fill_id,
            position_id = b.position.position_id.0,
            kind = b.kind.as_str(),
            base_after = b.position.head.base.to_string(),
            realized_quote = b.realized.map(|r| r.net_quote.to_string())
        );
        let fields = penstock_telemetry::Fields::new()
            .with("order_id", &b.order.order_id.0)
            .with("cl_ord_id", &b.order.cl_ord_id.as_hyphenated().to_string())
            .with("symbol", &b.order.symbol.as_str())
            .with("exec_id", &report.exec_id)
            .with("partial", &(b.order.state != OrderState::Filled))
            .with("last_qty", &report.qty.to_string())
            .with("last_price", &report.price.to_string())
            .with("cum_qty", &b.order.cum_qty.to_string())
            .with("liquidity", &report.liquidity.map(String::from))
            .with("fee_quote", &b.fee_quote.to_string())
            .with("slippage_bps", &b.slippage_bps.map(|s| s.to_string()));
        Self::marker("ORDER_FILL", &fields);
        if let Some(name) = b.step.marker.filter(|name| *name != "ORDER_FILL") {
            Self::marker(name, &fields);
        }
        if b.overfill {
            Self::marker("ORDER_OVERFILL", &fields);
        }
        if b.excess > Decimal::ZERO {
            Self::marker("LEDGER_OVERSELL", &fields);
        }
    }

    fn opened_markers(&self, b: &BookedFill) {
        let Some(plan) = &b.plan else { return };
        marker!(
            EXIT_PLAN_CREATED,
            plan_id = plan.plan_id,
            position_id = b.position.position_id.0,
            symbol = b.position.symbol.as_str(),
            policy = plan.policy.as_str(),
            sl_price = plan.sl_price.to_string(),
            tp_price = plan.tp_price.map(|p| p.to_string()),
            trailing_enabled = plan.trail_bps.is_some(),
            trail_distance_bps = plan.trail_bps.map(|t| t.to_string()),
            time_stop_at = plan.time_stop_at.rfc3339()
        );
    }

    async fn closed(&mut self, b: &BookedFill) -> Result<(), DeskError> {
        let reason = b.order.exit_reason.map_or_else(
            || {
                let raised = b.plan.as_ref().and_then(|p| p.trigger_reason);
                if raised == Some(ExitReason::TpHit) { "TP_hit" } else { "SL_hit" }
            },
            ExitReason::as_str,
        );
        let head = &b.position.head;
        let entry = head.avg_entry.unwrap_or_default();
        let excursion = |price: Option<Decimal>| {
            price.map(|p| penstock_trading::exit::trigger::excursion_bps(p, entry).to_string())
        };
        marker!(
            EXIT_COMPLETED,
            plan_id = b.plan.as_ref().map(|p| p.plan_id),
            position_id = b.position.position_id.0,
            symbol = b.position.symbol.as_str(),
            exit_type = reason,
            realized_pnl = head.realized.to_string(),
            net_bps = b.realized.map(|r| r.net_bps.to_string()),
            hold_secs = self.now().millis_since(b.position.opened_at) / 1_000,
            mfe_bps = excursion(b.position.peak_price),
            mae_bps = excursion(b.position.trough_price)
        );
        self.clear_protection_causes();
        self.reload_standbys().await
    }
}
