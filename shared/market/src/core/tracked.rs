//! Tracked symbols: ticker conflation, trade numbers, book samples.
//!
//! Each value is rounded half-even to its column's scale here, once, before aggregator or sealer sees it.

use super::connections::Withdrawal;
use super::id_gaps::IdGaps;
use super::{MarketCore, Note, Outputs};
use crate::sample::BookSample;
use penstock_types::decimal::{round_to, scale};
use penstock_types::level3::{Level3Sample, TakerQuotes};
use penstock_types::raw::{L2Row, RawBody, TickerRow, TradeRow};
use penstock_types::vocab::{Side, Venue};
use penstock_types::{Decimal, Symbol, UtcMicros};

/// Where samples of maintained books come from.
pub trait Books {
    /// Figures of the symbol's book now; `None` when it is not live.
    fn sample(&self, symbol: &Symbol) -> Option<BookSample>;

    /// Figures of the symbol's order-by-order book at `at`, and its counts begin anew; `None` when it is
    /// not live or has an empty side, or when there are no such books.
    fn sample_level3(
        &mut self,
        _symbol: &Symbol,
        _takers: TakerQuotes,
        _at: UtcMicros,
    ) -> Option<Level3Sample> {
        None
    }
}

/// A decoded ticker message.
#[derive(Debug, Clone, PartialEq)]
pub struct TickerIn {
    /// Symbol.
    pub symbol: Symbol,
    /// Connection.
    pub conn_id: i16,
    /// Snapshot, else update.
    pub is_snapshot: bool,
    /// Venue time.
    pub ts_exchange: Option<UtcMicros>,
    /// Best bid.
    pub bid: Option<Decimal>,
    /// Best ask.
    pub ask: Option<Decimal>,
    /// Last trade.
    pub last: Option<Decimal>,
    /// Quantity at the best bid.
    pub bid_qty: Option<Decimal>,
    /// Quantity at the best ask.
    pub ask_qty: Option<Decimal>,
    /// Base volume of 24 h.
    pub volume_24h: Option<Decimal>,
    /// Volume-weighted price of 24 h.
    pub vwap_24h: Option<Decimal>,
    /// Change of 24 h in percentage points.
    pub change_pct_24h: Option<Decimal>,
}

/// A decoded trade.
#[derive(Debug, Clone, PartialEq)]
pub struct TradeIn {
    /// Symbol.
    pub symbol: Symbol,
    /// Connection.
    pub conn_id: i16,
    /// Venue's number.
    pub trade_id: i64,
    /// Taker's side.
    pub side: Side,
    /// `m` or `l`.
    pub ord_type: char,
    /// Price.
    pub price: Decimal,
    /// Base quantity.
    pub qty: Decimal,
    /// Venue time.
    pub ts_exchange: UtcMicros,
}

/// A book message that was applied and whose checksum matched.
#[derive(Debug, Clone, PartialEq)]
pub struct BookUpdate {
    /// Symbol.
    pub symbol: Symbol,
    /// Connection.
    pub conn_id: i16,
    /// Image of the whole book, else change.
    pub is_snapshot: bool,
    /// Venue time.
    pub ts_exchange: Option<UtcMicros>,
    /// Best bid and ask, price and quantity each, in the instrument's integers.
    pub best: [i64; 4],
}

#[derive(Debug)]
struct LiveBook {
    conn_id: i16,
    updated_at: UtcMicros,
    updates: i32,
    best: [i64; 4],
    sampled: Option<([i64; 4], UtcMicros)>,
}

/// What the core keeps of a symbol beside the aggregator.
#[derive(Debug)]
pub(super) struct Tracked {
    pub symbol: Symbol,
    pub has_book: bool,
    ticker: Option<(UtcMicros, TickerRow)>,
    trade_mark: Option<(i64, UtcMicros)>,
    pub gaps: IdGaps,
    book: Option<LiveBook>,
}

impl Tracked {
    pub(super) fn new(symbol: Symbol, has_book: bool) -> Self {
        let (ticker, trade_mark, gaps) = (None, None, IdGaps::default());
        Self { symbol, has_book, ticker, trade_mark, gaps, book: None }
    }

    /// Forgets the book; true when there was one.
    pub(super) fn lose_book(&mut self) -> bool {
        self.book.take().is_some()
    }

    pub(super) fn book_conn(&self) -> Option<i16> {
        self.book.as_ref().map(|b| b.conn_id)
    }
}

impl MarketCore {
    /// Takes a ticker message; the last one of a tick is recorded at its end.
    pub fn ticker(&mut self, at: UtcMicros, ticker: TickerIn, out: &mut Outputs) {
        self.market_message(at, out);
        if !ticker.is_snapshot {
            self.data_heard(ticker.conn_id, at, ticker.ts_exchange, out);
        }
        let Some(&i) = self.index.get(&ticker.symbol) else {
            return;
        };
        let px = |d: Option<Decimal>| d.map(|d| round_to(d, scale::PX));
        let qty = |d: Option<Decimal>| d.map(|d| round_to(d, scale::QTY));
        let row = TickerRow {
            venue: Venue::KrakenSpot,
            symbol: self.tracked[i].symbol.clone(),
            ts_exchange: ticker.ts_exchange,
            snapshot: ticker.is_snapshot,
            conn_id: ticker.conn_id,
            bid: px(ticker.bid),
            ask: px(ticker.ask),
            last: px(ticker.last),
            bid_qty: qty(ticker.bid_qty),
            ask_qty: qty(ticker.ask_qty),
            volume_24h: qty(ticker.volume_24h),
            vwap_24h: px(ticker.vwap_24h),
            change_pct_24h: ticker.change_pct_24h.map(|d| round_to(d, scale::BPS)),
        };
        self.tracked[i].ticker = Some((at, row));
    }

    pub(super) fn flush_tickers(&mut self, out: &mut Outputs) {
        for i in 0..self.tracked.len() {
            if let Some((at, row)) = self.tracked[i].ticker.take() {
                self.number(at, RawBody::Ticker(row), out);
            }
        }
    }

    /// Takes a trade: an id at or below the symbol's mark is a duplicate, a jump is a gap. True when it
    /// was recorded.
    pub fn trade(&mut self, at: UtcMicros, trade: TradeIn, out: &mut Outputs) -> bool {
        self.market_message(at, out);
        self.data_heard(trade.conn_id, at, Some(trade.ts_exchange), out);
        let Some(&i) = self.index.get(&trade.symbol) else {
            return false;
        };
        let symbol = self.tracked[i].symbol.clone();
        let (price, qty) = (round_to(trade.price, scale::PX), round_to(trade.qty, scale::QTY));
        if price <= Decimal::ZERO || qty <= Decimal::ZERO || trade.trade_id < 0 {
            out.notes.push(Note::Refused { symbol, reason: "trade without price, quantity or id" });
            return false;
        }
        match self.tracked[i].trade_mark {
            Some((mark, _)) if trade.trade_id <= mark => {
                // A number of an open gap that the stream itself delivers late is no duplicate.
                if !self.tracked[i].gaps.late(trade.trade_id) {
                    return false;
                }
            }
            Some((mark, seen)) if trade.trade_id > mark + 1 => {
                self.trades_missing(i, (mark + 1, trade.trade_id - 1), (seen, at), out);
                self.tracked[i].trade_mark = Some((trade.trade_id, at));
            }
            Some(_) | None => self.tracked[i].trade_mark = Some((trade.trade_id, at)),
        }
        let row = TradeRow {
            venue: Venue::KrakenSpot,
            symbol,
            trade_id: trade.trade_id,
            side: trade.side,
            kind: 'f',
            ord_type: Some(trade.ord_type),
            price,
            qty,
            ts_exchange: trade.ts_exchange,
            conn_id: trade.conn_id,
        };
        self.number(at, RawBody::Trade(row), out);
        true
    }

    /// Takes a book message that was applied and verified.
    pub fn book_updated(&mut self, at: UtcMicros, update: &BookUpdate, out: &mut Outputs) {
        match (update.is_snapshot, update.ts_exchange) {
            (false, Some(sent)) => self.book_delay(update.conn_id, at, sent, out),
            (false, None) => self.data_heard(update.conn_id, at, None, out),
            (true, sent) => self.image_heard(update.conn_id, at, sent, out),
        }
        let Some(&i) = self.index.get(&update.symbol) else {
            return;
        };
        let book = self.tracked[i].book.get_or_insert(LiveBook {
            conn_id: update.conn_id,
            updated_at: at,
            updates: 0,
            best: update.best,
            sampled: None,
        });
        book.conn_id = update.conn_id;
        book.updated_at = at;
        book.updates = book.updates.saturating_add(1);
        book.best = update.best;
    }

    /// Samples every book whose best changed since its last sample, and those whose interval is over.
    pub(super) fn sample_books(&mut self, end: UtcMicros, books: &impl Books, out: &mut Outputs) {
        for i in 0..self.tracked.len() {
            let Tracked { symbol, book: Some(book), .. } = &mut self.tracked[i] else {
                continue;
            };
            let is_due = book.sampled.is_none_or(|(best, at)| {
                best != book.best || end.millis_since(at) >= self.config.l2_sample_interval_ms
            });
            if !is_due {
                continue;
            }
            let Some(sample) = books.sample(symbol) else {
                continue;
            };
            book.sampled = Some((book.best, end));
            let (at, updates) = (book.updated_at, core::mem::take(&mut book.updates));
            let (conn_id, symbol) = (book.conn_id, symbol.clone());
            self.number(at, RawBody::L2(l2_row(symbol, &sample, updates, conn_id)), out);
        }
    }

    /// Why the quotes of a symbol stand withdrawn is told once, when its book was there.
    pub(super) fn note_lost_book(&mut self, i: usize, reason: Withdrawal, out: &mut Outputs) {
        let conn_id = self.tracked[i].book_conn().unwrap_or(0);
        if self.tracked[i].lose_book() {
            let symbol = Some(self.tracked[i].symbol.clone());
            out.notes.push(Note::QuoteWithdrawn { symbol, conn_id, reason });
        }
    }
}

fn l2_row(symbol: Symbol, sample: &BookSample, updates: i32, conn_id: i16) -> L2Row {
    L2Row {
        symbol,
        ts_exchange: sample.ts_exchange,
        bid: sample.bid,
        ask: sample.ask,
        bid_qty: sample.bid_qty,
        ask_qty: sample.ask_qty,
        spread_bps: sample.spread_bps,
        microprice: sample.microprice,
        microprice_dev_bps: sample.microprice_dev_bps,
        imbalance_l1: sample.imbalance_l1,
        imbalance_10: sample.imbalance_10,
        depth_bid_10bps_quote: sample.depth_bid_10bps_quote,
        depth_ask_10bps_quote: sample.depth_ask_10bps_quote,
        updates_since_prev: updates,
        checksum_ok: true,
        book_depth: sample.book_depth,
        conn_id,
    }
}
