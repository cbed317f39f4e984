//! The venue's own list of trades: read in whole rounds, each trade accounted for.
//!
//! Input: rounds from the cursor on, with an overlap. Output: booked fills, trades in quarantine, the cursor. The stream
//! may lose a fill while its heartbeats run; this list is what it is checked against. Invariants: a trade goes to the
//! order that the venue names, or to none; one under an id of ours that no row explains is put aside for a person; the
//! cursor rises only by a whole round whose trades are all accounted for, and stays behind by as much as REST lags.

use penstock_store_orders::trades::StrayTrade;
use penstock_trading::mode::{CauseCode, Level};
use penstock_types::UtcMicros;
use penstock_types::cl_ord_id::{Origin, recognise};
use penstock_venues::kraken::rates::RestUse;
use penstock_venues::kraken::rest::PrivateRequest;

use super::fetch::{FoundOrder, FoundTrade, LookKind, LookResult};
use crate::desk::{Desk, DeskError};

/// The history is read from this long before what is known.
const HISTORY_OVERLAP_MS: i64 = 300_000;
/// Pause before an incomplete history is asked for again.
const HISTORY_RETRY_MS: i64 = 1_000;
/// Pause before a FULL pass that failed is tried again.
const FULL_RETRY_MS: i64 = 15_000;
/// Orders of others whose trades are remembered; beyond it they are asked for anew.
const OTHERS_LEN_LIMIT: usize = 4_096;

impl Desk {
    /// Starts the look at the history when it is due, from the share of the counters in which its room was found.
    pub(crate) async fn start_history(&mut self, usage: RestUse) -> Result<(), DeskError> {
        let read = self.store.newest_fill_at().await;
        let Some(newest) = self.written(read)? else { return Ok(()) };
        // Without a fill and without an order there is nothing that could be missing.
        let first = !self.reconcile.complete;
        if first && newest.is_none() && self.tracker.orders().next().is_none() {
            self.reconcile.history_done = true;
            return Ok(());
        }
        // From where the last whole round ended: a fill that the stream lost may be older than the newest one.
        let read = self.store.trade_cursor().await;
        let Some(cursor) = self.written(read)? else { return Ok(()) };
        let from = cursor.or(newest).unwrap_or(self.reconcile.started_at);
        let since = from.plus_millis(-HISTORY_OVERLAP_MS);
        self.reconcile.history_open = true;
        let full = self.reconcile.complete;
        self.start_look(LookKind::History { since: Some(since), full }, usage);
        Ok(())
    }

    /// What the next look at the history costs at least, in points of the REST counter, and from which share of it.
    pub(crate) fn full_pass(&self) -> (u32, RestUse) {
        let history = PrivateRequest::TradesHistory { start: None, end: None, ofs: None }.cost();
        if !self.reconcile.complete {
            return (history, RestUse::Reserved);
        }
        let orders = PrivateRequest::OpenOrders { cl_ord_id: None }.cost();
        let all = history + orders + PrivateRequest::BalanceEx.cost();
        // The way out of a PAUSE waits for nothing else; a pass yields to looks that confirm stops, for an interval.
        let late_ms = self.mono_ms() - self.reconcile.next_full_mono_ms;
        let yields = self.reconcile.recovery.is_none() && late_ms < self.config.full_interval_ms;
        (all, if yields { RestUse::Steady } else { RestUse::Reserved })
    }

    pub(crate) async fn on_history(&mut self, result: LookResult) -> Result<(), DeskError> {
        self.reconcile.history_open = false;
        let venue: Vec<String> = result.trades.iter().map(|t| t.order_id.clone()).collect();
        let read = self.store.orders_by_venue_id(&venue).await;
        let mono = self.mono_ms();
        for row in self.written(read)?.unwrap_or_default() {
            if self.tracker.get(row.order_id).is_none() {
                self.tracker.put(row, mono);
            }
        }
        let mut trades = result.trades.clone();
        trades.sort_by_key(|t| t.at);
        let mut strays = Vec::new();
        for trade in trades {
            if let Some(id) = self.tracker.by_venue(&trade.order_id) {
                self.book_found(id, &trade).await?;
            } else if !self.is_anothers(&trade.order_id) {
                strays.push(trade);
            }
        }
        if result.whole {
            self.explain(strays, result.started_at).await?;
        }
        self.reconcile.history_done |= result.whole;
        let full = matches!(result.kind, LookKind::History { full: true, .. });
        if !result.whole {
            // Refused by the counters or cut off. A start waits for it; a pass has time, and what it
            // asks for at once is what the counters lack.
            let pause_ms = if full { FULL_RETRY_MS } else { HISTORY_RETRY_MS };
            let mono = self.mono_ms();
            self.reconcile.next_full_mono_ms = mono + pause_ms;
            // It took the place of the pass that shows the venue alive, and showed nothing.
            self.reconcile.next_light_mono_ms = self.reconcile.next_light_mono_ms.min(mono);
        }
        if !full {
            return Ok(());
        }
        self.believe_balances(&result);
        self.reconcile.full_passes = self.reconcile.full_passes.saturating_add(result.whole.into());
        self.finish_pass("FULL", &result).await
    }

    /// The order is known to be another's.
    fn is_anothers(&self, venue_id: &str) -> bool {
        self.reconcile.others.contains(venue_id)
            || self.reconcile.outsiders.get(venue_id).is_some_and(|o| !o.ours)
    }

    /// Trades of orders that no row names yet: the venue says whose they are. Without any the round is whole.
    async fn explain(
        &mut self,
        strays: Vec<FoundTrade>,
        round_at: UtcMicros,
    ) -> Result<(), DeskError> {
        if strays.is_empty() {
            return self.round_whole(round_at).await;
        }
        let kind = LookKind::Strays { trades: strays, round_at };
        self.start_look(kind, RestUse::Reserved);
        Ok(())
    }

    async fn round_whole(&mut self, round_at: UtcMicros) -> Result<(), DeskError> {
        let until = round_at.plus_millis(-self.config.stream_wins_ms);
        let now = self.now();
        let stored = self.store.advance_trade_cursor(until, now).await;
        self.written(stored)?;
        Ok(())
    }

    pub(super) async fn on_strays(
        &mut self,
        trades: Vec<FoundTrade>,
        round_at: UtcMicros,
        result: LookResult,
    ) -> Result<(), DeskError> {
        let mut all = result.whole;
        for trade in &trades {
            let order = result.orders.iter().find(|o| o.venue_id == trade.order_id);
            all &= match order {
                Some(order) => self.place_stray(trade, order).await?,
                // REST does not show it yet: the next round asks again.
                None => false,
            };
        }
        if all { self.round_whole(round_at).await } else { Ok(()) }
    }

    /// One trade and its order: booked, another's, or put aside; false when that could not be written.
    async fn place_stray(
        &mut self,
        trade: &FoundTrade,
        order: &FoundOrder,
    ) -> Result<bool, DeskError> {
        let Origin::Ours(own) = recognise(&self.salt, order.cl_ord_id.as_deref()) else {
            if self.reconcile.others.len() < OTHERS_LEN_LIMIT {
                self.reconcile.others.insert(order.venue_id.clone());
            }
            return Ok(true);
        };
        let read = self.store.orders_by_client_id(&[own.uuid()]).await;
        let Some(rows) = self.written(read)? else { return Ok(false) };
        let mono = self.mono_ms();
        let Some(row) = rows.into_iter().next() else {
            return self.put_aside(trade, order).await;
        };
        let id = row.order_id;
        if self.tracker.get(id).is_none() {
            self.tracker.put(row, mono);
        }
        self.book_found(id, trade).await?;
        self.settle(id, order).await?;
        Ok(true)
    }

    async fn put_aside(
        &mut self,
        trade: &FoundTrade,
        order: &FoundOrder,
    ) -> Result<bool, DeskError> {
        let stray = StrayTrade {
            exec_id: &trade.exec_id,
            venue_order_id: &trade.order_id,
            cl_ord_id: order.cl_ord_id.as_deref(),
            price: trade.price,
            qty: trade.qty,
            fee: trade.fee,
            at: trade.at,
            reason: "an id of ours without a row",
        };
        let now = self.now();
        let stored = self.store.quarantine_trade(&stray, now).await;
        let Some(new) = self.written(stored)? else { return Ok(false) };
        if new {
            tracing::error!(
                "trade {} of {} {} is under an id of ours that no row explains: it is in quarantined_trades; \
                 compare it with the venue's history, then release the mode",
                trade.exec_id,
                trade.qty,
                order.pair
            );
            let value = Some(format!("trade {}", trade.exec_id));
            self.mode.raise(CauseCode::LedgerMismatch, Level::Degrade, value);
        }
        Ok(true)
    }
}
