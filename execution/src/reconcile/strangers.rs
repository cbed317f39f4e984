//! Orders at the venue that are not in our rows, and what a symbol's safety mode says about them.
//!
//! Input: reports and looks. Output: cancels, adoption, causes. Foreign orders are left alone.

use penstock_store_orders::orders::OrderRecord;
use penstock_telemetry::marker;
use penstock_types::Symbol;
use penstock_types::vocab::SafetyMode;
use penstock_venues::kraken::request::OrderRef;

use crate::desk::{Desk, DeskError};
use crate::stream::Report;

/// Strangers that are remembered; the set is cleared when it is full.
const STRANGERS_LEN_LIMIT: usize = 1_024;

impl Desk {
    /// Ours by its id, without a row: its database was restored, or a predecessor was late.
    pub(crate) async fn on_rowless(&mut self, report: &Report) -> Result<(), DeskError> {
        let own: Vec<_> = report
            .cl_ord_id
            .as_deref()
            .and_then(|t| penstock_types::Uuid::try_parse(t).ok())
            .into_iter()
            .collect();
        let read = self.store.orders_by_client_id(&own).await;
        let rows: Vec<OrderRecord> = self.written(read)?.unwrap_or_default();
        if let Some(row) = rows.into_iter().next() {
            let (id, mono) = (row.order_id, self.mono_ms());
            self.tracker.put(row, mono);
            let at = self.clock.now();
            let source = penstock_store_orders::orders::EventSource::WsExecutions;
            return self.one_report(id, report, source, at).await;
        }
        if !report.is_open || !self.reconcile.strangers.insert(report.order_id.clone()) {
            return Ok(());
        }
        if self.reconcile.strangers.len() > STRANGERS_LEN_LIMIT {
            self.reconcile.strangers.clear();
        }
        marker!(
            UNKNOWN_EXCHANGE_ORDER,
            exchange_order_id = report.order_id.clone(),
            cl_ord_id = report.cl_ord_id.clone(),
            symbol = report.symbol.clone(),
            resolution = if self.config.cancel_unknown_orders { "cancel" } else { "left" }
        );
        let symbol = report.symbol.as_deref().and_then(|s| Symbol::new(s).ok());
        if let Some(symbol) = &symbol {
            self.exit_only(symbol, "phantom_position", "UNKNOWN_EXCHANGE_ORDER").await?;
        }
        if self.config.cancel_unknown_orders {
            let (orders, id) = (self.orders.clone(), report.order_id.clone());
            let name = symbol.map_or_else(String::new, |s| s.to_string());
            tokio::spawn(async move {
                let answer = orders.cancel_order(OrderRef::OrderId(&id), &name, 0).await;
                tracing::info!("cancel of the unknown order {id}: {:?}", answer.outcome);
            });
        }
        Ok(())
    }

    /// Not ours: left alone, no entries beside it.
    pub(crate) async fn on_foreign(&mut self, report: &Report) -> Result<(), DeskError> {
        let Some(symbol) = report.symbol.as_deref().and_then(|s| Symbol::new(s).ok()) else {
            // Later reports of an order omit the symbol: it is found by its id.
            let held: Vec<Symbol> = self
                .reconcile
                .foreign
                .iter()
                .filter(|(_, ids)| ids.contains(&report.order_id))
                .map(|(symbol, _)| symbol.clone())
                .collect();
            for symbol in held {
                self.foreign_ended(&symbol, report).await?;
            }
            return Ok(());
        };
        if report.is_open {
            let ids = self.reconcile.foreign.entry(symbol.clone()).or_default();
            if ids.insert(report.order_id.clone()) {
                self.exit_only(&symbol, "foreign_order", "FOREIGN_ORDER_FOUND").await?;
            }
            return Ok(());
        }
        self.foreign_ended(&symbol, report).await
    }

    async fn foreign_ended(&mut self, symbol: &Symbol, report: &Report) -> Result<(), DeskError> {
        if report.is_open {
            return Ok(());
        }
        let Some(ids) = self.reconcile.foreign.get_mut(symbol) else { return Ok(()) };
        ids.remove(&report.order_id);
        if ids.is_empty() {
            self.reconcile.foreign.remove(symbol);
            let cleared = self.store.clear_symbol_cause(symbol, "foreign_order").await;
            self.written(cleared)?;
        }
        Ok(())
    }

    /// No entries for a symbol until a person or an event clears the cause.
    pub(crate) async fn exit_only(
        &mut self,
        symbol: &Symbol,
        cause: &str,
        reason: &str,
    ) -> Result<(), DeskError> {
        marker!(SYMBOL_EXIT_ONLY, symbol = symbol.as_str(), reason = cause);
        let mode = SafetyMode::ExitOnly;
        let stored = self.store.set_symbol_cause(symbol, cause, mode, reason, None).await;
        self.written(stored)?;
        Ok(())
    }

    /// No entries for a symbol for a while.
    pub(crate) async fn quiet(
        &mut self,
        symbol: &Symbol,
        cause: &str,
        reason: &str,
    ) -> Result<(), DeskError> {
        let until = Some(self.now().plus_millis(self.config.quiet_ms));
        let mode = SafetyMode::Quiet;
        let stored = self.store.set_symbol_cause(symbol, cause, mode, reason, until).await;
        self.written(stored)?;
        Ok(())
    }
}
