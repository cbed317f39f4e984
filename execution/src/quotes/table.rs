//! The table of quotes and how a frame changes it.
//!
//! Purpose: apply one frame after another. Inputs: a frame row, the meaning of symbol numbers. Outputs: a
//! new table. Invariants: pure but for the instant of the read that is handed in; a block that cannot be
//! trusted withdraws everything.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwap;
use penstock_store_decision::frames_read::{ReadFrame, SymbolScale};
use penstock_trading::cycle::{FrameStatus, Quote};
use penstock_trading::windows::{QuoteWindow, QuoteWindows};
use penstock_types::decimal::from_scaled;
use penstock_types::frame::{FrameFlags, QuoteBlock};
use penstock_types::{RunId, Symbol, TickId};
use tokio::sync::watch;

/// Frames over which the latency percentile is taken: one minute of ticks.
const LATENCY_FRAMES: usize = 240;

/// Quotes that stand, as of the newest applied frame.
#[derive(Debug, Clone)]
pub struct QuoteTable {
    /// Tick of that frame.
    pub tick_id: TickId,
    /// Run that sealed it.
    pub run_id: RunId,
    /// Quotes by symbol; a withdrawn one is absent.
    pub quotes: BTreeMap<Symbol, Quote>,
    age_at_read_ms: i64,
    read_at: Instant,
    /// Age of the newest frame that carried an event or a quote, at its own read, and that instant.
    data: Option<(i64, Instant)>,
    latencies_ms: VecDeque<i64>,
}

impl QuoteTable {
    /// An empty table before the first frame.
    #[must_use]
    pub fn empty(now: Instant) -> Self {
        Self {
            tick_id: TickId(0),
            run_id: RunId(0),
            quotes: BTreeMap::new(),
            age_at_read_ms: 0,
            read_at: now,
            data: None,
            latencies_ms: VecDeque::with_capacity(LATENCY_FRAMES),
        }
    }

    /// A frame was applied.
    #[must_use]
    pub const fn has_frame(&self) -> bool {
        self.tick_id.0 > 0
    }

    /// Age of every quote that stands.
    #[must_use]
    pub fn age_ms(&self) -> i64 {
        self.age_at_read_ms.saturating_add(elapsed_ms(self.read_at))
    }

    /// Time since a frame carried an event or a quote; none before the first.
    #[must_use]
    pub fn data_age_ms(&self) -> Option<i64> {
        self.data.map(|(age, at)| age.saturating_add(elapsed_ms(at)))
    }

    /// 90th percentile of the frame age at use, nearest rank; 0 before the first frame.
    #[must_use]
    pub fn latency_p90_ms(&self) -> i64 {
        let mut sorted: Vec<i64> = self.latencies_ms.iter().copied().collect();
        sorted.sort_unstable();
        let rank = (sorted.len() * 9).div_ceil(10);
        rank.checked_sub(1).map_or(0, |at| sorted[at])
    }

    /// The status that a cycle records.
    #[must_use]
    pub fn status(&self) -> Option<FrameStatus> {
        self.has_frame().then(|| FrameStatus {
            tick_id: self.tick_id,
            run_id: self.run_id,
            age_ms: self.age_ms(),
            latency_p90_ms: self.latency_p90_ms(),
        })
    }

    /// The quote of a symbol, sound on both sides.
    #[must_use]
    pub fn sound(&self, symbol: &Symbol) -> Option<&Quote> {
        self.quotes.get(symbol).filter(|q| q.is_sound())
    }

    /// Applies a frame. A block of none could not be trusted: it withdraws everything.
    pub(super) fn apply(
        &mut self,
        frame: &ReadFrame,
        block: Option<&QuoteBlock>,
        scales: &BTreeMap<u16, SymbolScale>,
        now: Instant,
    ) {
        let flags = FrameFlags(u16::try_from(frame.flags).unwrap_or(0));
        let degraded = flags.contains(FrameFlags::DEGRADED_KRAKEN_SPOT);
        let distrust = block.is_none() || degraded || flags.contains(FrameFlags::GAP_BEFORE);
        if frame.run_id != self.run_id || distrust {
            self.quotes.clear();
        }
        let lag = i64::from(frame.seal_lag_ms);
        self.age_at_read_ms = frame.now.millis_since(frame.published_at).saturating_add(lag);
        self.read_at = now;
        self.tick_id = frame.tick_id;
        self.run_id = frame.run_id;
        let entries = block.map_or(&[][..], |b| &b.entries);
        if frame.n_events > 0 || !entries.is_empty() {
            self.data = Some((self.age_at_read_ms, now));
        }
        for entry in entries.iter().filter(|_| !degraded) {
            let Some(scale) = scales.get(&entry.symbol_no) else { continue };
            if entry.is_withdrawn() {
                self.quotes.remove(&scale.symbol);
                continue;
            }
            let quote = Quote {
                symbol: scale.symbol.clone(),
                bid: from_scaled(entry.bid, scale.price_decimals),
                ask: from_scaled(entry.ask, scale.price_decimals),
                bid_qty: from_scaled(entry.bid_qty, scale.qty_decimals),
                ask_qty: from_scaled(entry.ask_qty, scale.qty_decimals),
                tick_id: frame.tick_id,
                seq: entry.seq.0,
            };
            self.quotes.insert(scale.symbol.clone(), quote);
        }
    }
}

impl QuoteTable {
    /// The newest frame of a read is in use from now on: its age is a sample of the feed's latency. The
    /// older ones of a backlog are not, they were never used.
    pub(super) fn used(&mut self) {
        if self.latencies_ms.len() == LATENCY_FRAMES {
            self.latencies_ms.pop_front();
        }
        self.latencies_ms.push_back(self.age_at_read_ms);
    }
}

fn elapsed_ms(since: Instant) -> i64 {
    i64::try_from(since.elapsed().as_millis()).unwrap_or(i64::MAX)
}

/// The table for readers: replaced as a whole with each applied frame.
#[derive(Debug, Clone)]
pub struct QuoteBoard {
    table: Arc<ArcSwap<QuoteTable>>,
    windows: Arc<Mutex<QuoteWindows>>,
    applied: watch::Sender<TickId>,
}

impl QuoteBoard {
    /// An empty board.
    #[must_use]
    pub fn new() -> Self {
        Self {
            table: Arc::new(ArcSwap::from_pointee(QuoteTable::empty(Instant::now()))),
            windows: Arc::default(),
            applied: watch::Sender::new(TickId(0)),
        }
    }

    /// The table now.
    #[must_use]
    pub fn table(&self) -> Arc<QuoteTable> {
        self.table.load_full()
    }

    /// Windows over the quotes of the last minute, symbols ascending.
    #[must_use]
    pub fn windows(&self) -> Vec<QuoteWindow> {
        self.windows.lock().unwrap_or_else(PoisonError::into_inner).figures()
    }

    /// Samples a table that a frame was applied to.
    pub(crate) fn sample(&self, table: &QuoteTable) {
        // A holder that panicked has only pushed whole samples.
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        windows.tick(table.tick_id, table.quotes.values());
    }

    /// Wakes with each applied frame: the exit supervisor's tick.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<TickId> {
        self.applied.subscribe()
    }

    pub(crate) fn store(&self, table: QuoteTable) {
        let tick = table.tick_id;
        self.table.store(Arc::new(table));
        self.applied.send_replace(tick);
    }
}

impl Default for QuoteBoard {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use penstock_types::frame::QuoteEntry;
    use penstock_types::{Seq, UtcMicros};

    fn symbol(name: &str) -> Symbol {
        Symbol::new(name).unwrap()
    }

    fn scales() -> BTreeMap<u16, SymbolScale> {
        ["AAA/USD", "BBB/USD"]
            .iter()
            .zip(1_u16..)
            .map(|(name, no)| {
                let symbol = symbol(name);
                (no, SymbolScale { symbol_no: no, symbol, price_decimals: 2, qty_decimals: 3 })
            })
            .collect()
    }

    fn entry(symbol_no: u16, bid: i64, ask: i64) -> QuoteEntry {
        let (bid_qty, ask_qty, exchange_ts, seq) = (1_000, 2_000, 0, Seq(7));
        QuoteEntry { symbol_no, bid, ask, bid_qty, ask_qty, exchange_ts, seq }
    }

    fn frame(tick: i64, flags: FrameFlags) -> ReadFrame {
        ReadFrame {
            tick_id: TickId(tick),
            run_id: RunId(1),
            flags: i32::from(flags.0),
            n_events: 0,
            frame: Vec::new(),
            quotes: Vec::new(),
            published_at: UtcMicros::from_millis(1_000),
            seal_lag_ms: 5,
            now: UtcMicros::from_millis(1_020),
        }
    }

    fn block(tick: i64, entries: Vec<QuoteEntry>) -> QuoteBlock {
        QuoteBlock { tick_id: TickId(tick), full: false, entries }
    }

    fn with_both(now: Instant) -> QuoteTable {
        let mut table = QuoteTable::empty(now);
        let both = block(10, vec![entry(1, 100, 101), entry(2, 200, 202)]);
        table.apply(&frame(10, FrameFlags::EMPTY), Some(&both), &scales(), now);
        table
    }

    #[test]
    fn a_quote_stands_until_withdrawn_and_ages_with_the_newest_frame() {
        let now = Instant::now();
        let mut table = with_both(now);
        assert_eq!(table.sound(&symbol("AAA/USD")).unwrap().bid.to_string(), "1.00");
        let taken_back = block(11, vec![QuoteEntry::withdrawn(2, 0, Seq(9))]);
        table.apply(&frame(11, FrameFlags::EMPTY), Some(&taken_back), &scales(), now);
        assert!(table.sound(&symbol("AAA/USD")).is_some());
        assert!(table.sound(&symbol("BBB/USD")).is_none());
        assert_eq!(table.status().unwrap().tick_id, TickId(11));
        assert!(table.age_ms() >= 25, "20 ms at the decision clock and 5 ms of sealing");
    }

    #[test]
    fn a_backlog_says_nothing_about_the_latency_of_what_is_used() {
        let now = Instant::now();
        let mut table = with_both(now);
        for tick in 11..50 {
            let mut old = frame(tick, FrameFlags::EMPTY);
            old.now = UtcMicros::from_millis(61_000);
            table.apply(&old, Some(&block(tick, vec![])), &scales(), now);
        }
        table.apply(&frame(50, FrameFlags::EMPTY), Some(&block(50, vec![])), &scales(), now);
        table.used();
        assert_eq!(table.latency_p90_ms(), 25);
    }

    #[test]
    fn a_gap_a_degraded_feed_and_an_unreadable_block_withdraw_what_they_do_not_carry() {
        let now = Instant::now();
        for (flags, carried) in [
            (FrameFlags::GAP_BEFORE, Some(block(11, vec![entry(2, 200, 202)]))),
            (FrameFlags::DEGRADED_KRAKEN_SPOT, Some(block(11, vec![]))),
            (FrameFlags::EMPTY, None),
        ] {
            let mut table = with_both(now);
            table.apply(&frame(11, flags), carried.as_ref(), &scales(), now);
            assert!(table.sound(&symbol("AAA/USD")).is_none(), "{flags:?}");
            let stands = table.sound(&symbol("BBB/USD")).is_some();
            assert_eq!(stands, flags == FrameFlags::GAP_BEFORE, "{flags:?}");
        }
    }
}
