//! Gaps of trade numbers: the gap as a row, what is fetched afterwards, how it ended.
//!
//! A jump writes a `gap` row and asks for the missing numbers. A fetched trade is recorded under
//! connection 0, which aggregator and sealer skip: a burst that never took place reaches neither state
//! nor engine. The `recovered` row follows when the fetch has ended, at the latest 300 s after the
//! return, and says how many came back and how many are missing.

use super::id_gaps::ClosedGap;
use super::{MarketCore, Note, Outputs, TradeIn};
use penstock_types::decimal::{round_to, scale};
use penstock_types::raw::{CONN_BACKFILL, RawBody, TradeRow};
use penstock_types::vocab::{StatusKind, Venue};
use penstock_types::{Decimal, Symbol, UtcMicros};

/// Longest time from the return to the `recovered` row.
const BACKFILL_MS_MAX: i64 = 300_000;
/// Stream of the rows.
const STREAM: &str = "trade";

impl MarketCore {
    /// A jump of trade numbers: the gap is a row, its numbers are asked for.
    pub(super) fn trades_missing(
        &mut self,
        i: usize,
        ids: (i64, i64),
        blind: (UtcMicros, UtcMicros),
        out: &mut Outputs,
    ) {
        let symbol = self.tracked[i].symbol.clone();
        let mut gap = self.status(StatusKind::Gap, STREAM);
        gap.symbol = Some(symbol.clone());
        gap.gap_from = Some(blind.0);
        self.number(blind.1, RawBody::Status(gap), out);
        let (first_id, last_id) = ids;
        if self.tracked[i].gaps.open(ids, blind) {
            out.notes.push(Note::TradesMissing { symbol, first_id, last_id, from: blind.0 });
        } else if let Some(closed) = self.tracked[i].gaps.close(first_id) {
            self.recovered(symbol, closed, blind.1, out);
        }
    }

    /// Takes a trade that was fetched; false when its number is not missing.
    pub fn backfill(&mut self, at: UtcMicros, trade: &TradeIn, out: &mut Outputs) -> bool {
        let Some(&i) = self.index.get(&trade.symbol) else {
            return false;
        };
        let (price, qty) = (round_to(trade.price, scale::PX), round_to(trade.qty, scale::QTY));
        let is_sound = price > Decimal::ZERO && qty > Decimal::ZERO;
        if !is_sound || !self.tracked[i].gaps.backfill(trade.trade_id) {
            return false;
        }
        let row = TradeRow {
            venue: Venue::KrakenSpot,
            symbol: trade.symbol.clone(),
            trade_id: trade.trade_id,
            side: trade.side,
            kind: 'f',
            ord_type: Some(trade.ord_type),
            price,
            qty,
            ts_exchange: trade.ts_exchange,
            conn_id: CONN_BACKFILL,
        };
        self.number(at, RawBody::Trade(row), out);
        true
    }

    /// Nothing more is fetched for the gap that began with a number.
    pub fn backfill_ended(
        &mut self,
        symbol: &Symbol,
        first_id: i64,
        at: UtcMicros,
        out: &mut Outputs,
    ) {
        let Some(&i) = self.index.get(symbol) else {
            return;
        };
        if let Some(closed) = self.tracked[i].gaps.close(first_id) {
            self.recovered(symbol.clone(), closed, at, out);
        }
    }

    /// Closes the gaps that have waited too long; all of a symbol when `limit` is the end of time.
    pub(super) fn close_gaps(
        &mut self,
        i: usize,
        limit: UtcMicros,
        at: UtcMicros,
        out: &mut Outputs,
    ) {
        for closed in self.tracked[i].gaps.close_returned_before(limit) {
            self.recovered(self.tracked[i].symbol.clone(), closed, at, out);
        }
    }

    pub(super) fn expire_backfills(&mut self, end: UtcMicros, out: &mut Outputs) {
        let limit = end.plus_millis(-BACKFILL_MS_MAX);
        // Within the tick that it ends: a row belongs to the tick that its time names.
        let at = UtcMicros(end.0 - 1);
        for i in 0..self.tracked.len() {
            self.close_gaps(i, limit, at, out);
        }
    }

    fn recovered(&mut self, symbol: Symbol, closed: ClosedGap, at: UtcMicros, out: &mut Outputs) {
        let ClosedGap { blind: (from, to), backfilled, missing } = closed;
        let mut row = self.status(StatusKind::Recovered, STREAM);
        row.symbol = Some(symbol.clone());
        (row.gap_from, row.gap_to) = (Some(from), Some(to.max(from)));
        row.detail = format!("{{\"backfilled\":{backfilled},\"missing\":{missing}}}");
        self.number(at, RawBody::Status(row), out);
        out.notes.push(Note::TradesBackfilled { symbol, from, to, backfilled, missing });
    }
}
