//! The aggregator: recorded rows and cut times in, whole versions of the state out.
//!
//! One consumer of the numbered rows, O(1) per row and without allocation once a symbol is known; a cut
//! costs O(symbols). It reads no clock and nothing that is not recorded, so the same rows and cut times
//! give the same state bit for bit, now or from the tables. Which symbols have a row is recorded too: a
//! `connect` row of the stream `universe` adds a symbol, `disconnect` removes it. Rows of derivative
//! venues and trades fetched after a gap count in the watermarks and nowhere else.

mod gaps;
mod minutes;
mod queue;
mod row;
mod symbol;
mod window;

pub use gaps::Gaps;

use crate::config::FoldConfig;
use crate::core::TakerQuotes;
use crate::units::decimal_of;
use penstock_types::decimal::scale;
use penstock_types::raw::{CONN_BACKFILL, CandleRow, RawBody, RawRow, StatusRow};
use penstock_types::state_row::{ContentHasher, StateRow, first_difference};
use penstock_types::{Decimal, GenerationId, LineageId, RunId, Seq, Symbol, UtcMicros, vocab};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use symbol::SymbolState;
use vocab::{RawStream, StatusKind, Venue};

/// Stream of the status rows that add and remove symbols.
pub const STREAM_UNIVERSE: &str = "universe";

/// Rows folded in since the cut before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CutDeltas {
    /// Ticker rows of Kraken spot.
    pub ticker: i32,
    /// Trades of Kraken spot, backfilled ones left out.
    pub trade: i32,
    /// L2 samples.
    pub l2: i32,
    /// L3 samples.
    pub l3: i32,
}

/// Newest row of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watermark {
    /// Number of the newest row.
    pub last_seq: Seq,
    /// Its receive time.
    pub last_ts_local: UtcMicros,
}

/// One whole version of the state. Immutable once it is made.
#[derive(Debug, Clone, PartialEq)]
pub struct StateCut {
    /// Run.
    pub run_id: RunId,
    /// Lineage at the cut.
    pub lineage_id: LineageId,
    /// Number of the version.
    pub generation_id: GenerationId,
    /// Time of the cut.
    pub as_of: UtcMicros,
    /// One row per tracked symbol, strictly ascending by symbol.
    pub rows: Vec<StateRow>,
    /// Rows of which more changed than number, time and message age.
    pub changed: i32,
    /// Rows folded in since the cut before.
    pub deltas: CutDeltas,
    /// Newest number folded in.
    pub wm_seq: Seq,
    /// Newest row per stream.
    pub watermarks: Vec<(RawStream, Watermark)>,
    /// Age of the newest market message at the cut; since the run's first row when there is none.
    pub last_msg_age_ms: i64,
    /// SHA-256 over the rows.
    pub content_hash: [u8; 32],
    /// A gap of Kraken spot is open.
    pub gap_open: bool,
    /// Candles whose minute closed since the cut before.
    pub candles: Vec<CandleRow>,
}

/// The fold of a run's rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Aggregator {
    config: FoldConfig,
    run_id: RunId,
    lineage_id: Option<LineageId>,
    started_at: Option<UtcMicros>,
    newest_message: Option<UtcMicros>,
    last_seq: Seq,
    deltas: CutDeltas,
    watermarks: Vec<(String, Watermark)>,
    gaps: Gaps,
    symbols: Vec<SymbolState>,
    #[serde(skip)]
    index: FxHashMap<Symbol, usize>,
}

impl Aggregator {
    /// An empty fold.
    #[must_use]
    pub fn new(run_id: RunId, config: FoldConfig) -> Self {
        Self {
            config,
            run_id,
            lineage_id: None,
            started_at: None,
            newest_message: None,
            last_seq: Seq(0),
            deltas: CutDeltas::default(),
            watermarks: RawStream::ALL.iter().map(|s| (s.as_str().to_owned(), EMPTY)).collect(),
            gaps: Gaps::default(),
            symbols: Vec::new(),
            index: FxHashMap::default(),
        }
    }

    /// Rebuilds the places of the symbols.
    fn reindex(&mut self) {
        let symbols = self.symbols.iter().enumerate();
        self.index = symbols.map(|(i, s)| (s.symbol.clone(), i)).collect();
    }

    /// Becomes the same as another one, in the memory that is there.
    pub(crate) fn copy_from(&mut self, other: &Self) {
        let Self {
            config,
            run_id,
            lineage_id,
            started_at,
            newest_message,
            last_seq,
            deltas,
            watermarks,
            gaps,
            symbols,
            index,
        } = other;
        self.config.clone_from(config);
        (self.run_id, self.lineage_id, self.last_seq) = (*run_id, *lineage_id, *last_seq);
        (self.started_at, self.newest_message) = (*started_at, *newest_message);
        self.deltas = *deltas;
        self.watermarks.clone_from(watermarks);
        self.gaps.clone_from(gaps);
        self.index.clone_from(index);
        self.symbols.truncate(symbols.len());
        let (here, new) = symbols.split_at(self.symbols.len());
        self.symbols.iter_mut().zip(here).for_each(|(mine, held)| mine.copy_from(held));
        self.symbols.extend_from_slice(new);
    }

    /// Rebuilds everything that a checkpoint does not keep.
    pub(crate) fn derive(&mut self) {
        self.reindex();
        for symbol in &mut self.symbols {
            symbol.seconds.derive();
            symbol.minutes.derive();
        }
    }

    /// Starts another run with this memory: numbers begin anew, windows and regimes go on. After a hole
    /// (`is_warm_start`) books and mids of before are forgotten and stay a hole in the windows.
    pub fn begin_run(&mut self, run_id: RunId, is_warm_start: bool) {
        self.run_id = run_id;
        self.last_seq = Seq(0);
        self.deltas = CutDeltas::default();
        self.watermarks.iter_mut().for_each(|w| w.1 = EMPTY);
        for symbol in &mut self.symbols {
            (symbol.ticker.rows, symbol.trade.rows, symbol.l2.rows) = (0, 0, 0);
            symbol.queue.count.rows = 0;
            if is_warm_start {
                symbol.forget_present();
            }
        }
        if is_warm_start {
            self.gaps = Gaps::default();
        }
    }

    /// Keeps only these symbols; for a start that carries a fold over, before its first checkpoint.
    pub fn retain_symbols(&mut self, keep: impl Fn(&Symbol) -> bool) {
        self.symbols.retain(|s| keep(&s.symbol));
        self.reindex();
    }

    /// Folds one row in. Rows come in the order of their numbers.
    pub fn apply(&mut self, row: &RawRow) {
        self.last_seq = row.seq;
        self.started_at.get_or_insert(row.ts_local);
        self.watermark(row);
        match &row.body {
            RawBody::Ticker(body) if body.venue == Venue::KrakenSpot => {
                self.deltas.ticker += 1;
                self.newest_message = self.newest_message.max(Some(row.ts_local));
                if let Some(symbol) = self.symbol(&body.symbol) {
                    symbol.on_ticker(row.ts_local, body);
                }
            }
            RawBody::Trade(body)
                if body.venue == Venue::KrakenSpot && body.conn_id != CONN_BACKFILL =>
            {
                self.deltas.trade += 1;
                self.newest_message = self.newest_message.max(Some(row.ts_local));
                if let Some(symbol) = self.symbol(&body.symbol) {
                    symbol.on_trade(row.ts_local, body);
                }
            }
            RawBody::L2(body) => {
                self.deltas.l2 += 1;
                self.newest_message = self.newest_message.max(Some(row.ts_local));
                if let Some(symbol) = self.symbol(&body.symbol) {
                    symbol.on_l2(row.ts_local, body);
                }
            }
            // Its age is not the age of a message: quotes do not stand on it.
            RawBody::L3(body) => {
                self.deltas.l3 += 1;
                if let Some(symbol) = self.symbol(&body.symbol) {
                    symbol.on_l3(row.ts_local, body);
                }
            }
            RawBody::Status(body) if body.is_level3() => self.on_level3_status(row.ts_local, body),
            RawBody::Status(body) => self.on_status(row.ts_local, body),
            // Derivatives never influence a generation, so its hash needs no row of theirs.
            RawBody::Ticker(_)
            | RawBody::Trade(_)
            | RawBody::DerivTicker(_)
            | RawBody::Liquidation(_) => {}
        }
    }

    fn watermark(&mut self, row: &RawRow) {
        let at = RawStream::ALL.iter().position(|s| *s == row.stream()).unwrap_or(0);
        self.watermarks[at].1 = Watermark { last_seq: row.seq, last_ts_local: row.ts_local };
    }

    fn symbol(&mut self, symbol: &Symbol) -> Option<&mut SymbolState> {
        self.index.get(symbol).map(|&i| &mut self.symbols[i])
    }

    fn on_status(&mut self, at: UtcMicros, row: &StatusRow) {
        self.gaps.apply(at, row);
        if row.stream == STREAM_UNIVERSE {
            match (&row.symbol, row.kind) {
                (Some(symbol), StatusKind::Connect) => self.add_symbol(symbol, at),
                (Some(symbol), StatusKind::Disconnect) => self.remove_symbol(symbol),
                (Some(_) | None, _) => {}
            }
            return;
        }
        match row.kind {
            StatusKind::ChecksumFail | StatusKind::Resync => {
                let is_checksum = row.kind == StatusKind::ChecksumFail;
                if let Some(symbol) = row.symbol.as_ref().and_then(|s| self.symbol(s)) {
                    symbol.on_book_lost(at, is_checksum);
                }
            }
            StatusKind::Disconnect => {
                let lost = |s: &&mut SymbolState| s.has_l2 && Some(s.conn_id) == row.conn_id;
                self.symbols.iter_mut().filter(lost).for_each(|s| s.on_book_lost(at, false));
            }
            StatusKind::Gap => {
                let touched =
                    |s: &&mut SymbolState| row.symbol.as_ref().is_none_or(|r| *r == s.symbol);
                self.symbols.iter_mut().filter(touched).for_each(|s| s.minutes.blind_until(at.0));
            }
            StatusKind::Recovered => {
                let to = row.gap_to.unwrap_or(at).0;
                let touched =
                    |s: &&mut SymbolState| row.symbol.as_ref().is_none_or(|r| *r == s.symbol);
                self.symbols.iter_mut().filter(touched).for_each(|s| s.minutes.blind_until(to));
            }
            StatusKind::Connect
            | StatusKind::SubscribeReject
            | StatusKind::RawDrop
            | StatusKind::RateLimited
            | StatusKind::Silent
            | StatusKind::Heard => {}
        }
    }

    /// Rows about order-by-order books only: no L2 book, spread or candle hears of them.
    fn on_level3_status(&mut self, at: UtcMicros, row: &StatusRow) {
        let Some(symbol) = row.symbol.as_ref().and_then(|s| self.symbol(s)) else { return };
        match row.kind {
            StatusKind::ChecksumFail | StatusKind::Resync => symbol.on_level3_lost(at),
            StatusKind::Disconnect => symbol.queue.end(),
            StatusKind::Connect
            | StatusKind::Gap
            | StatusKind::Recovered
            | StatusKind::SubscribeReject
            | StatusKind::RawDrop
            | StatusKind::RateLimited
            | StatusKind::Silent
            | StatusKind::Heard => {}
        }
    }

    /// What takers did in a symbol within the minute that ends at a time. Moves nothing, so that a look
    /// leaves no trace in the fold.
    #[must_use]
    pub fn taker_quotes(&self, symbol: &Symbol, at: UtcMicros) -> TakerQuotes {
        let found = self.index.get(symbol).map(|&i| self.symbols[i].seconds.takers_at(at.0));
        let (buy, sell) = found.unwrap_or((0, 0));
        let amount = |units| decimal_of(units, scale::AMT).unwrap_or(Decimal::ZERO);
        TakerQuotes { buy_1m: amount(buy), sell_1m: amount(sell) }
    }

    fn add_symbol(&mut self, symbol: &Symbol, at: UtcMicros) {
        if self.index.contains_key(symbol) {
            return;
        }
        let state = SymbolState::new(symbol.clone(), at, self.config.epoch_window_secs);
        let place = self.symbols.partition_point(|s| s.symbol < *symbol);
        self.symbols.insert(place, state);
        self.reindex();
    }

    fn remove_symbol(&mut self, symbol: &Symbol) {
        if let Some(i) = self.index.get(symbol).copied() {
            self.symbols.remove(i);
            self.reindex();
        }
    }

    /// Makes a version of the state at `as_of`. Another lineage than that of the cut before begins the
    /// count of L2 samples anew.
    pub fn cut(
        &mut self,
        generation_id: GenerationId,
        as_of: UtcMicros,
        lineage_id: LineageId,
    ) -> StateCut {
        if self.lineage_id.is_some_and(|l| l != lineage_id) {
            self.symbols.iter_mut().for_each(|s| s.l2_lineage = 0);
        }
        self.lineage_id = Some(lineage_id);
        let (mut rows, mut candles) = (Vec::with_capacity(self.symbols.len()), Vec::new());
        let (mut changed, mut hasher) = (0, ContentHasher::default());
        for state in &mut self.symbols {
            let mut row = row::build(state, self.run_id, generation_id, as_of, &self.config);
            state.minutes.take_closed(&state.symbol, &mut candles);
            if is_same(&mut row, state.published.as_ref()) {
                row.updated_at = state.published.as_ref().map_or(as_of, |p| p.updated_at);
            } else {
                changed += 1;
            }
            hasher.push(&row);
            state.published = Some(row.clone());
            rows.push(row);
        }
        let newest = self.newest_message.or(self.started_at).unwrap_or(as_of);
        StateCut {
            run_id: self.run_id,
            lineage_id,
            generation_id,
            as_of,
            changed,
            deltas: core::mem::take(&mut self.deltas),
            wm_seq: self.last_seq,
            watermarks: self.seen_watermarks(),
            last_msg_age_ms: as_of.millis_since(newest).max(0),
            content_hash: hasher.finish(),
            gap_open: self.gaps.is_open(),
            rows,
            candles,
        }
    }

    fn seen_watermarks(&self) -> Vec<(RawStream, Watermark)> {
        let pairs = RawStream::ALL.iter().zip(&self.watermarks);
        pairs.filter(|(_, w)| w.1.last_seq > Seq(0)).map(|(s, w)| (*s, w.1)).collect()
    }

    /// Numbers that shape the state.
    #[must_use]
    pub const fn config(&self) -> &FoldConfig {
        &self.config
    }

    /// Gaps of the recording.
    #[must_use]
    pub const fn gaps(&self) -> &Gaps {
        &self.gaps
    }

    /// Newest number folded in.
    #[must_use]
    pub const fn last_seq(&self) -> Seq {
        self.last_seq
    }

    /// Run that is being folded.
    #[must_use]
    pub const fn run_id(&self) -> RunId {
        self.run_id
    }

    /// Tracked symbols, ascending.
    pub fn symbols(&self) -> impl Iterator<Item = &Symbol> {
        self.symbols.iter().map(|s| &s.symbol)
    }
}

const EMPTY: Watermark = Watermark { last_seq: Seq(0), last_ts_local: UtcMicros(0) };

/// Equal but for number, time of change and message age.
fn is_same(row: &mut StateRow, before: Option<&StateRow>) -> bool {
    let Some(before) = before else {
        return false;
    };
    let (updated_at, msg_age_ms) = (row.updated_at, row.msg_age_ms);
    (row.updated_at, row.msg_age_ms) = (before.updated_at, before.msg_age_ms);
    let is_same = first_difference(row, before).is_none();
    (row.updated_at, row.msg_age_ms) = (updated_at, msg_age_ms);
    is_same
}

#[cfg(test)]
mod tests;
