//! Order-by-order books in the core: who has one, when it is sampled, what its loss costs.
//!
//! A live book is sampled once per interval and symbol, on a grid of its own, at the end of a tick; the row
//! carries the last microsecond of that tick, because ages, ratios and estimates are figures of that moment
//! and not of the book's last change. A connection that is not heard gives no sample: what it would say
//! about the present is not known. A loss is a row of the stream `level3` and nothing else: quotes, L2
//! books, gaps and candles of the symbol go on. Losses that repeat are judged at the end of each tick.

use super::connections::LostBook;
use super::level3_guard::{Guard, Level3Block};
use super::{Books, MarketCore, Note, Outputs};
use penstock_types::decimal::{round_to, scale};
use penstock_types::level3::Level3Sample;
use penstock_types::raw::{L3Row, RawBody, STREAM_LEVEL3};
use penstock_types::vocab::StatusKind;
use penstock_types::{Decimal, Symbol, UtcMicros};
use rustc_hash::FxHashMap;

/// How order-by-order books are, for judgements and signs of life.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Level3Health {
    /// Symbols that have one.
    pub tracked: usize,
    /// Of these, live ones.
    pub live: usize,
    /// Blocks that stand, by symbol.
    pub blocks: Vec<Level3Block>,
    /// When more than half of them were last lost at once.
    pub systemic_at: Option<UtcMicros>,
}

#[derive(Debug)]
struct Followed {
    symbol: Symbol,
    /// Connection of a live book.
    live: Option<i16>,
    /// Since when it is lost, after it or its image was not good.
    lost_at: Option<UtcMicros>,
    /// When the next sample is due.
    due: UtcMicros,
}

/// Every followed symbol.
#[derive(Debug)]
pub(super) struct Level3 {
    interval_ms: i64,
    followed: Vec<Followed>,
    index: FxHashMap<Symbol, usize>,
    guard: Guard,
    lost_in_tick: Vec<Symbol>,
}

impl Level3 {
    pub(super) fn new(interval_ms: i64, resync_max: u32, hard_block_secs: i64) -> Self {
        Self {
            interval_ms: interval_ms.max(1),
            followed: Vec::new(),
            index: FxHashMap::default(),
            guard: Guard::new(resync_max, hard_block_secs),
            lost_in_tick: Vec::new(),
        }
    }

    fn at(&mut self, symbol: &Symbol) -> Option<&mut Followed> {
        self.index.get(symbol).map(|&i| &mut self.followed[i])
    }

    /// The books of a connection are gone with it; that is no fault of theirs.
    pub(super) fn closed(&mut self, conn_id: i16) {
        for followed in self.followed.iter_mut().filter(|f| f.live == Some(conn_id)) {
            followed.live = None;
        }
    }
}

impl MarketCore {
    /// Takes over what an earlier process knew about lost books: blocks that stand, and the resyncs of the
    /// last ten minutes in the order of their times. To be called before the first loss.
    pub fn restore_level3(
        &mut self,
        blocks: Vec<Level3Block>,
        resyncs: impl IntoIterator<Item = (Symbol, UtcMicros)>,
    ) {
        self.level3.guard.restore(blocks);
        for (symbol, at) in resyncs {
            self.level3.guard.recall(symbol, at);
        }
    }

    /// Begins to follow a symbol's order-by-order book of `depth` price levels.
    pub fn track_level3(&mut self, symbol: &Symbol, depth: u32, at: UtcMicros, out: &mut Outputs) {
        if self.level3.index.contains_key(symbol) {
            return;
        }
        let followed =
            Followed { symbol: symbol.clone(), live: None, lost_at: None, due: UtcMicros(0) };
        self.level3.index.insert(symbol.clone(), self.level3.followed.len());
        self.level3.followed.push(followed);
        let mut row = self.status(StatusKind::Connect, STREAM_LEVEL3);
        row.symbol = Some(symbol.clone());
        row.detail = format!("{{\"depth\":{depth}}}");
        self.number(at, RawBody::Status(row), out);
    }

    /// Ends to follow it: its columns are empty from the next version on.
    pub fn untrack_level3(&mut self, symbol: &Symbol, at: UtcMicros, out: &mut Outputs) {
        let Some(i) = self.level3.index.get(symbol).copied() else {
            return;
        };
        self.level3.followed.remove(i);
        let followed = self.level3.followed.iter().enumerate();
        self.level3.index = followed.map(|(i, f)| (f.symbol.clone(), i)).collect();
        let mut row = self.status(StatusKind::Disconnect, STREAM_LEVEL3);
        row.symbol = Some(symbol.clone());
        self.number(at, RawBody::Status(row), out);
    }

    /// A good image or change of the book came.
    pub fn level3_live(&mut self, symbol: &Symbol, conn_id: i16) {
        if let Some(followed) = self.level3.at(symbol) {
            (followed.live, followed.lost_at) = (Some(conn_id), None);
        }
    }

    /// The book, or the image that was to begin it, is not the venue's; it is asked for anew.
    pub fn level3_lost(
        &mut self,
        symbol: &Symbol,
        why: LostBook,
        at: UtcMicros,
        out: &mut Outputs,
    ) {
        let Some(followed) = self.level3.at(symbol) else {
            return;
        };
        let conn_id = followed.live.take();
        followed.lost_at.get_or_insert(at);
        self.level3.lost_in_tick.push(symbol.clone());
        let (kind, detail) = match why {
            LostBook::Checksum { expected, computed } => (
                StatusKind::ChecksumFail,
                serde_json::json!({ "actual": computed, "expected": expected }).to_string(),
            ),
            LostBook::Resync => (StatusKind::Resync, "{}".to_owned()),
        };
        let mut row = self.status(kind, STREAM_LEVEL3);
        (row.symbol, row.conn_id, row.detail) = (Some(symbol.clone()), conn_id, detail);
        self.number(at, RawBody::Status(row), out);
    }

    /// Samples every live book whose interval is over.
    pub(super) fn sample_level3(
        &mut self,
        end: UtcMicros,
        books: &mut impl Books,
        out: &mut Outputs,
    ) {
        // Within the tick that it ends: a row belongs to the tick that its time names.
        let at = UtcMicros(end.0 - 1);
        for i in 0..self.level3.followed.len() {
            let Followed { symbol, live: Some(conn_id), due, .. } = &self.level3.followed[i] else {
                continue;
            };
            if *due > end || self.connections.is_quiet(*conn_id) {
                continue;
            }
            let takers = self.aggregator.taker_quotes(symbol, at);
            let Some(sample) = books.sample_level3(symbol, takers, at) else {
                continue;
            };
            let row = l3_row(symbol.clone(), &sample, *conn_id);
            let next = due.plus_millis(self.level3.interval_ms);
            // On the grid of before; one that was away for longer begins a new one.
            let next = if next > end { next } else { end.plus_millis(self.level3.interval_ms) };
            self.level3.followed[i].due = next;
            self.number(at, RawBody::L3(row), out);
        }
    }

    /// Judges the losses of a tick, and ends the blocks whose time is over.
    pub(super) fn judge_level3(&mut self, end: UtcMicros, out: &mut Outputs) {
        let level3 = &mut self.level3;
        for symbol in level3.guard.expire(end) {
            out.notes.push(Note::Level3Unblocked { symbol });
        }
        if level3.lost_in_tick.is_empty() {
            return;
        }
        let lost = core::mem::take(&mut level3.lost_in_tick);
        let tracked = level3.followed.len();
        let since = level3.followed.iter().filter_map(|f| Some((&f.symbol, f.lost_at?)));
        let missing: Vec<(Symbol, UtcMicros)> = since.map(|(s, at)| (s.clone(), at)).collect();
        level3.guard.judge(&lost, &missing, tracked, end, &mut out.notes);
    }

    /// How order-by-order books are.
    #[must_use]
    pub fn level3_health(&self) -> Level3Health {
        let followed = &self.level3.followed;
        Level3Health {
            tracked: followed.len(),
            live: followed.iter().filter(|f| f.live.is_some()).count(),
            blocks: self.level3.guard.blocks(),
            systemic_at: self.level3.guard.systemic_at(),
        }
    }
}

/// The row, each number rounded half-even to its column once.
fn l3_row(symbol: Symbol, sample: &Level3Sample, conn_id: i16) -> L3Row {
    let count = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
    let ms = |ms: i64| i32::try_from(ms).unwrap_or(i32::MAX);
    let ratio = |d: Option<Decimal>| d.map(|d| round_to(d, scale::RATIO));
    L3Row {
        symbol,
        ts_exchange: sample.ts_exchange,
        bid: round_to(sample.bid, scale::PX),
        ask: round_to(sample.ask, scale::PX),
        orders_at_bid: count(sample.orders_at_bid),
        orders_at_ask: count(sample.orders_at_ask),
        queue_bid_quote: round_to(sample.queue_bid_quote, scale::AMT),
        queue_ask_quote: round_to(sample.queue_ask_quote, scale::AMT),
        avg_age_bid_ms: Some(ms(sample.avg_age_bid_ms)),
        avg_age_ask_ms: Some(ms(sample.avg_age_ask_ms)),
        adds: count(sample.adds),
        cancels: count(sample.cancels),
        fills: count(sample.fills),
        modifies: count(sample.modifies),
        refill_ratio: ratio(sample.refill_ratio),
        cancel_ratio: ratio(sample.cancel_ratio),
        est_fill_bid_ms: sample.est_fill_bid_ms.map(ms),
        est_fill_ask_ms: sample.est_fill_ask_ms.map(ms),
        checksum_ok: true,
        conn_id,
    }
}

#[cfg(test)]
mod tests;
