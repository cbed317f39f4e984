//! Gaps of trade numbers of derivatives: the gap as a row, what comes back, how it ended.
//!
//! A jump writes a `gap` row. What the venue sent with its subscription fills it at once; the rest is asked
//! for: of Binance by number, of Kraken Futures by time, whose rows count only when their numbers prove to
//! be those of the stream. They are recorded under connection 0, which aggregator and sealer skip, and a
//! liquidation among them is a trade row alone: a burst that never took place reaches no engine. The
//! `recovered` row follows when nothing more comes, at the latest 300 s after the return.

use super::derivatives::DerivTradeIn;
use super::id_gaps::ClosedGap;
use super::numbering::Fetch;
use super::{MarketCore, Note, Outputs};
use penstock_types::decimal::{round_to, scale};
use penstock_types::raw::{CONN_BACKFILL, RawBody, TradeRow};
use penstock_types::vocab::{StatusKind, Venue};
use penstock_types::{Decimal, Symbol, UtcMicros};

/// Longest time from the return to the `recovered` row.
const BACKFILL_MS_MAX: i64 = 300_000;
/// Stream of the rows.
const STREAM: &str = "trade";

impl MarketCore {
    /// Keeps the trades that the venue sent with a subscription; those of one symbol.
    pub fn deriv_snapshot(&mut self, trades: Vec<DerivTradeIn>) {
        let Some((venue, symbol)) = trades.first().map(|t| (t.venue, t.symbol.clone())) else {
            return;
        };
        let held = self.derivatives.of(venue, &symbol);
        // The newest come first; what is remembered last is forgotten last.
        trades.iter().rev().for_each(|trade| held.numbering.note(trade));
        held.snapshot = trades;
    }

    /// A jump of trade numbers before `next`.
    pub(super) fn deriv_trades_missing(
        &mut self,
        ids: (i64, i64),
        next: &DerivTradeIn,
        blind: (UtcMicros, UtcMicros),
        out: &mut Outputs,
    ) {
        let (venue, symbol) = (next.venue, &next.symbol);
        let mut gap = self.status(StatusKind::Gap, STREAM);
        (gap.venue, gap.symbol) = (Some(venue), Some(symbol.clone()));
        gap.gap_from = Some(blind.0);
        self.number(blind.1, RawBody::Status(gap), out);
        let held = self.derivatives.of(venue, symbol);
        let (is_open, first_id) = (held.gaps.open(ids, blind), ids.0);
        for trade in core::mem::take(&mut held.snapshot) {
            self.deriv_backfill(blind.1, &trade, out);
        }
        let held = self.derivatives.of(venue, symbol);
        if is_open && !held.gaps.is_filled(first_id) {
            if venue == Venue::KrakenFutures {
                held.fetches.push(Fetch::new(ids, (next.uid, next.trade_id)));
            }
            let (symbol, last_id, until) = (symbol.clone(), ids.1, next.ts_exchange);
            out.notes.push(Note::DerivTradesMissing { venue, symbol, first_id, last_id, until });
        } else {
            self.deriv_backfill_ended(venue, symbol, first_id, blind.1, out);
        }
    }

    /// Takes a page of trades that were asked for by time, for the gap that began with a number. They are
    /// held until [`Self::deriv_backfill_ended`].
    pub fn deriv_history(
        &mut self,
        venue: Venue,
        symbol: &Symbol,
        first_id: i64,
        rows: Vec<DerivTradeIn>,
    ) {
        let held = self.derivatives.of(venue, symbol);
        if let Some(fetch) = held.fetches.iter_mut().find(|f| f.first_id() == first_id) {
            fetch.page(&held.numbering, rows);
        }
    }

    /// Records what a fetch brought, if its numbers are the stream's.
    fn deriv_fetched(
        &mut self,
        (venue, symbol): (Venue, &Symbol),
        first_id: i64,
        at: UtcMicros,
        out: &mut Outputs,
    ) {
        let fetches = &mut self.derivatives.of(venue, symbol).fetches;
        let Some(i) = fetches.iter().position(|f| f.first_id() == first_id) else { return };
        match fetches.remove(i).ended() {
            Ok(rows) => {
                for row in &rows {
                    self.deriv_backfill(at, row, out);
                }
            }
            Err(why) => {
                let (symbol, reason) = (symbol.clone(), why.as_str());
                out.notes.push(Note::Refused { symbol, reason });
            }
        }
    }

    /// Takes a trade that came afterwards; false when its number is not missing.
    pub fn deriv_backfill(
        &mut self,
        at: UtcMicros,
        trade: &DerivTradeIn,
        out: &mut Outputs,
    ) -> bool {
        let (price, qty) = (round_to(trade.price, scale::PX), round_to(trade.qty, scale::QTY));
        let is_sound = price > Decimal::ZERO && qty > Decimal::ZERO;
        let held = self.derivatives.of(trade.venue, &trade.symbol);
        if !is_sound || !held.gaps.backfill(trade.trade_id) {
            return false;
        }
        let row = TradeRow {
            venue: trade.venue,
            symbol: trade.symbol.clone(),
            trade_id: trade.trade_id,
            side: trade.side,
            kind: trade.kind.as_char(),
            ord_type: None,
            price,
            qty,
            ts_exchange: trade.ts_exchange,
            conn_id: CONN_BACKFILL,
        };
        self.number(at, RawBody::Trade(row), out);
        true
    }

    /// Nothing more comes for the gap that began with a number.
    pub fn deriv_backfill_ended(
        &mut self,
        venue: Venue,
        symbol: &Symbol,
        first_id: i64,
        at: UtcMicros,
        out: &mut Outputs,
    ) {
        self.deriv_fetched((venue, symbol), first_id, at, out);
        if let Some(closed) = self.derivatives.of(venue, symbol).gaps.close(first_id) {
            self.deriv_recovered((venue, symbol.clone()), closed, at, out);
        }
    }

    /// Closes the gaps that have waited too long.
    pub(super) fn expire_deriv_backfills(&mut self, end: UtcMicros, out: &mut Outputs) {
        let limit = end.plus_millis(-BACKFILL_MS_MAX);
        let mut due = Vec::new();
        for (key, held) in &self.derivatives.0 {
            let old = held.gaps.returned_before(limit);
            due.extend(old.map(|first_id| (key.clone(), first_id)));
        }
        // Within the tick that it ends: a row belongs to the tick that its time names.
        let at = UtcMicros(end.0 - 1);
        for ((venue, symbol), first_id) in due {
            self.deriv_backfill_ended(venue, &symbol, first_id, at, out);
        }
    }

    fn deriv_recovered(
        &mut self,
        (venue, symbol): (Venue, Symbol),
        closed: ClosedGap,
        at: UtcMicros,
        out: &mut Outputs,
    ) {
        let ClosedGap { blind: (from, to), backfilled, missing } = closed;
        let mut row = self.status(StatusKind::Recovered, STREAM);
        (row.venue, row.symbol) = (Some(venue), Some(symbol.clone()));
        (row.gap_from, row.gap_to) = (Some(from), Some(to.max(from)));
        row.detail = format!("{{\"backfilled\":{backfilled},\"missing\":{missing}}}");
        self.number(at, RawBody::Status(row), out);
        let blind = (from, to);
        out.notes.push(Note::DerivTradesBackfilled { venue, symbol, blind, backfilled, missing });
    }
}
