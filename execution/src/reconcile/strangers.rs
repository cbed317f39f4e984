//! Orders at the venue that are not in our rows, and what a symbol's safety mode says about them.
//!
//! Input: reports and looks. Output: adoption, cancels, causes. A stop of ours without a row over base
//! that nothing else covers becomes its protection; any other order of ours without a row is cancelled.
//! Foreign orders are left alone. While either rests, the symbol takes no entries, and what it holds is
//! not counted as free.

use penstock_store_orders::exit_plans::PlanChange;
use penstock_store_orders::orders::{EventSource, NewOrder};
use penstock_telemetry::marker;
use penstock_trading::exit::plan::PlanEvent;
use penstock_types::cl_ord_id::{ClOrdId, Origin, recognise};
use penstock_types::vocab::{ExecutionIntent, OrderRole, OrderType, SafetyMode, Side, TimeInForce};
use penstock_types::{Decimal, PositionId, Symbol, UtcMicros};
use penstock_venues::kraken::request::OrderRef;

use super::fetch::{FoundOrder, LookResult};
use super::state::Outsider;
use crate::audit::Safety;
use crate::desk::{Desk, DeskError};
use crate::stream::{ExecKind, Report};

/// Orders that are remembered; far more than the venue lets rest in all our pairs.
const OUTSIDERS_LEN_LIMIT: usize = 4_096;
/// A cancel that brought no report is sent again after this, milliseconds.
const CANCEL_AGAIN_MS: i64 = 5_000;
/// REST may lag by this, milliseconds.
const REST_LAG_MS: i64 = 60_000;
/// Cause of a symbol with an own order without a row.
const CAUSE_ROWLESS: &str = "phantom_position";
/// Cause of a symbol with a foreign order.
const CAUSE_FOREIGN: &str = "foreign_order";

impl Desk {
    /// Ours by its id, without a row in memory.
    pub(crate) async fn on_rowless(&mut self, report: &Report) -> Result<(), DeskError> {
        if self.reconcile.outsiders.contains_key(&report.order_id) {
            return self.on_outsider(report).await;
        }
        let own = match recognise(&self.salt, report.cl_ord_id.as_deref()) {
            Origin::Ours(own) => own,
            Origin::Foreign => return Ok(()),
        };
        let read = self.store.orders_by_client_id(&[own.uuid()]).await;
        // Not read is not absent: nothing is concluded from it.
        let Some(rows) = self.written(read)? else { return Ok(()) };
        if let Some(row) = rows.into_iter().next() {
            let (id, mono) = (row.order_id, self.mono_ms());
            self.tracker.put(row, mono);
            let at = self.clock.now();
            return self.one_report(id, report, EventSource::WsExecutions, at).await;
        }
        if !report.is_open {
            return Ok(());
        }
        self.without_row(own, report).await
    }

    /// Its database was restored, or a predecessor sent it after our reconcile.
    async fn without_row(&mut self, own: ClOrdId, report: &Report) -> Result<(), DeskError> {
        let position = self.position_to_cover(report);
        let resolution = match position {
            Some(_) => "adopted",
            None if self.config.cancel_unknown_orders => "cancel",
            None => "left",
        };
        marker!(
            UNKNOWN_EXCHANGE_ORDER,
            exchange_order_id = report.order_id.clone(),
            cl_ord_id = report.cl_ord_id.clone(),
            symbol = report.symbol.clone(),
            resolution = resolution
        );
        match position {
            Some(position) => self.adopt(own, position, report).await,
            None => self.take_in(report, true).await,
        }
    }

    /// The open position that a stop of ours without a row may protect: nothing else sells it.
    fn position_to_cover(&self, report: &Report) -> Option<PositionId> {
        if report.is_stop != Some(true) || report.sells != Some(true) {
            return None;
        }
        let symbol = Symbol::new(report.symbol.as_deref()?).ok()?;
        let held = self.tracker.position_of(&symbol).filter(|h| h.base() > Decimal::ZERO)?;
        let sells = self.tracker.live().any(|t| t.record.symbol == symbol && t.record.reduces());
        (!sells).then_some(held.position.position_id)
    }

    /// The stop gets a row and is the position's protection from now on. It was not sent by us, so the
    /// row's token is never sent with.
    async fn adopt(
        &mut self,
        own: ClOrdId,
        position: PositionId,
        report: &Report,
    ) -> Result<(), DeskError> {
        let Some(held) = self.tracker.positions.get(&position) else { return Ok(()) };
        let order = NewOrder {
            cl_ord_id: own,
            symbol: held.position.symbol.clone(),
            side: Side::Sell,
            role: OrderRole::Protection,
            parent_order_id: None,
            position_id: Some(position),
            intent: ExecutionIntent::Protection,
            order_type: OrderType::StopLoss,
            tif: TimeInForce::Gtc,
            post_only: false,
            limit_price: None,
            trigger_price: report.trigger_price,
            qty: report.order_qty.unwrap_or_else(|| held.base()),
            deadline_at: None,
            expire_at: None,
            exit_policy: None,
            exit_reason: None,
            entry: None,
        };
        let now = self.now();
        let stored = self.store.persist_reduce(&order, now, now).await;
        let Some(persisted) = self.written(stored)? else { return Ok(()) };
        // It rests already: nothing is sent.
        let (id, mono) = (persisted.record().order_id, self.mono_ms());
        self.tracker.put_sent(&persisted, mono);
        drop(persisted);
        let change = PlanChange {
            event: Some(PlanEvent::StopSubmitted),
            protection: Some(id),
            ..PlanChange::default()
        };
        self.change_plan(position, &change).await?;
        let at = self.clock.now();
        self.one_report(id, report, EventSource::WsExecutions, at).await
    }

    /// Not ours: left alone, no entries beside it.
    pub(crate) async fn on_foreign(&mut self, report: &Report) -> Result<(), DeskError> {
        if self.reconcile.outsiders.contains_key(&report.order_id) {
            return self.on_outsider(report).await;
        }
        if report.is_open { self.take_in(report, false).await } else { Ok(()) }
    }

    /// An order that is not in our rows rests from now on.
    async fn take_in(&mut self, report: &Report, ours: bool) -> Result<(), DeskError> {
        let Some(symbol) = report.symbol.as_deref().and_then(|s| Symbol::new(s).ok()) else {
            return Ok(());
        };
        if self.reconcile.outsiders.len() >= OUTSIDERS_LEN_LIMIT {
            tracing::error!(
                "more than {OUTSIDERS_LEN_LIMIT} orders of others: not all are counted"
            );
            return Ok(());
        }
        let outsider = Outsider {
            symbol: symbol.clone(),
            ours,
            sells: report.sells == Some(true),
            qty: report.order_qty.unwrap_or_default(),
            executed: report.cum_qty.unwrap_or_default(),
            limit_price: report.limit_price,
            seen_mono_ms: self.mono_ms(),
            cancel_mono_ms: None,
        };
        let first =
            !self.reconcile.outsiders.values().any(|o| o.symbol == symbol && o.ours == ours);
        self.reconcile.outsiders.insert(report.order_id.clone(), outsider);
        if first && ours {
            self.exit_only(&symbol, CAUSE_ROWLESS, "UNKNOWN_EXCHANGE_ORDER").await?;
        } else if first {
            self.exit_only(&symbol, CAUSE_FOREIGN, "FOREIGN_ORDER_FOUND").await?;
        }
        self.cancel_outsiders();
        Ok(())
    }

    /// News of an order that is remembered here.
    async fn on_outsider(&mut self, report: &Report) -> Result<(), DeskError> {
        if !report.is_open {
            return self.outsider_ended(&report.order_id).await;
        }
        if let Some(outsider) = self.reconcile.outsiders.get_mut(&report.order_id) {
            outsider.qty = report.order_qty.unwrap_or(outsider.qty);
            outsider.executed = report.cum_qty.unwrap_or(outsider.executed);
            outsider.limit_price = report.limit_price.or(outsider.limit_price);
        }
        Ok(())
    }

    async fn outsider_ended(&mut self, venue_id: &str) -> Result<(), DeskError> {
        let Some(gone) = self.reconcile.outsiders.remove(venue_id) else { return Ok(()) };
        let left = |o: &Outsider| o.symbol == gone.symbol && o.ours == gone.ours;
        if self.reconcile.outsiders.values().any(left) {
            return Ok(());
        }
        let cause = if gone.ours { CAUSE_ROWLESS } else { CAUSE_FOREIGN };
        let cleared = self.store.clear_symbol_cause(&gone.symbol, cause).await;
        if self.written(cleared)?.is_some() {
            marker!(SYMBOL_SAFETY_CLEARED, symbol = gone.symbol.as_str(), cause = cause);
            let (mode, until) = (SafetyMode::Normal, None);
            self.say_safety(&gone.symbol, &Safety { cause, mode, until, quarantine: None });
        }
        Ok(())
    }

    /// Cancels own orders without a row, again and again until the venue says that they have ended.
    pub(crate) fn cancel_outsiders(&mut self) {
        if !self.config.cancel_unknown_orders || !self.is_permitted() {
            return;
        }
        let mono = self.mono_ms();
        for (id, outsider) in &mut self.reconcile.outsiders {
            let again = outsider.cancel_mono_ms.is_none_or(|at| mono - at >= CANCEL_AGAIN_MS);
            if !outsider.ours || !again {
                continue;
            }
            outsider.cancel_mono_ms = Some(mono);
            let (orders, id) = (self.orders.clone(), id.clone());
            let symbol = outsider.symbol.clone();
            tokio::spawn(async move {
                let by = OrderRef::OrderId(&id);
                let answer = orders.cancel_order(by, symbol.as_str(), 0).await;
                tracing::info!("cancel of the unknown order {id}: {:?}", answer.outcome);
            });
        }
    }

    /// A snapshot shows all that rests: what it lacks has ended, also what an earlier session saw.
    pub(crate) async fn outsiders_from_snapshot(
        &mut self,
        reports: &[Report],
    ) -> Result<(), DeskError> {
        let gone: Vec<String> = self
            .reconcile
            .outsiders
            .keys()
            .filter(|id| !reports.iter().any(|r| r.is_open && r.order_id == **id))
            .cloned()
            .collect();
        for id in gone {
            self.outsider_ended(&id).await?;
        }
        for (cause, ours) in [(CAUSE_ROWLESS, true), (CAUSE_FOREIGN, false)] {
            let symbols: Vec<String> = self
                .reconcile
                .outsiders
                .values()
                .filter(|o| o.ours == ours)
                .map(|o| o.symbol.to_string())
                .collect();
            let cleared = self.store.clear_cause_but(cause, &symbols).await;
            self.written(cleared)?;
        }
        Ok(())
    }

    /// A look shows all that rests; it lags by as much as a fact of the stream outranks it.
    pub(super) async fn outsiders_from_rest(
        &mut self,
        result: &LookResult,
    ) -> Result<(), DeskError> {
        let gone: Vec<String> = self
            .reconcile
            .outsiders
            .iter()
            .filter(|(_, o)| result.started_mono_ms - o.seen_mono_ms >= REST_LAG_MS)
            .filter(|(id, _)| !result.orders.iter().any(|o| o.venue_id == **id))
            .map(|(id, _)| id.clone())
            .collect();
        for id in gone {
            self.outsider_ended(&id).await?;
        }
        Ok(())
    }

    /// An own order without a row that the stream has not named: two passes have seen it.
    pub(super) async fn on_rest_extra(&mut self, order: &FoundOrder) -> Result<(), DeskError> {
        let symbol = self.symbol_of_pair(&order.pair);
        let report = Report {
            kind: ExecKind::Live,
            exec_type: "rest".to_owned(),
            order_status: "open".to_owned(),
            is_open: true,
            order_id: order.venue_id.clone(),
            cl_ord_id: order.cl_ord_id.clone(),
            symbol: symbol.map(|s| s.to_string()),
            sells: Some(order.sells),
            is_stop: Some(order.is_stop),
            order_qty: Some(order.qty),
            limit_price: order.price.filter(|_| !order.is_stop),
            trigger_price: order.price.filter(|_| order.is_stop),
            triggered: false,
            cum_qty: Some(order.executed),
            trade: None,
            reason: order.reason.clone(),
            at: self.now(),
        };
        self.on_rowless(&report).await
    }

    /// The symbol that REST's short name of a pair means, among those that we know.
    pub(super) fn symbol_of_pair(&self, pair: &str) -> Option<Symbol> {
        let modern = pair.replace("XBT", "BTC").replace("XDG", "DOGE").replace('/', "");
        let known = self.instruments.load();
        known.keys().find(|s| s.as_str().replace('/', "") == modern).cloned()
    }

    /// Base that orders outside our rows hold.
    pub(crate) fn held_by_outsiders(&self, symbol: &Symbol) -> Decimal {
        let outsiders = self.reconcile.outsiders.values();
        outsiders.filter(|o| o.sells && o.symbol == *symbol).map(Outsider::left).sum()
    }

    /// Quote that orders outside our rows hold.
    pub(crate) fn quote_held_by_outsiders(&self) -> Decimal {
        self.reconcile
            .outsiders
            .values()
            .filter(|o| !o.sells && o.symbol.quote() == self.config.quote_asset)
            .filter_map(|o| o.left().checked_mul(o.limit_price?))
            .sum()
    }

    /// No entries for a symbol until a person or an event clears the cause.
    pub(crate) async fn exit_only(
        &mut self,
        symbol: &Symbol,
        cause: &str,
        reason: &str,
    ) -> Result<(), DeskError> {
        self.exit_only_until(symbol, cause, reason, None).await
    }

    /// No entries for a symbol, for good or until a time.
    pub(crate) async fn exit_only_until(
        &mut self,
        symbol: &Symbol,
        cause: &str,
        reason: &str,
        until: Option<UtcMicros>,
    ) -> Result<(), DeskError> {
        let pinned = self.tracker.is_busy(symbol);
        marker!(
            SYMBOL_EXIT_ONLY,
            symbol = symbol.as_str(),
            pinned = pinned,
            l3_count = 0,
            reason = cause
        );
        let mode = SafetyMode::ExitOnly;
        self.say_safety(symbol, &Safety { cause, mode, until, quarantine: None });
        let stored = self.store.set_symbol_cause(symbol, cause, mode, reason, until).await;
        self.written(stored)?;
        Ok(())
    }
}
