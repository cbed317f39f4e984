//! The core records, the replay derives: every tick the same, through silence, loss, late books, other
//! digits and a rollover.

use super::{DerivedTick, FrameReplay};
use crate::aggregator::Aggregator;
use crate::canonical::{InstrumentBinding, InstrumentKey, Roles};
use crate::config::CoreConfig;
use crate::core::{BookUpdate, Books, MarketCore, Outputs, Recording, TickerIn, TradeIn};
use crate::fixtures::{T0, at_ms, dec, level3_sample, lineage, symbol};
use crate::sample::{BookSample, Scales, sample_book};
use penstock_types::frame::{FrameEvent, FrameFlags, QuoteBlock, decode_frame, decode_quotes};
use penstock_types::raw::RawRow;
use penstock_types::vocab::{Side, Venue};
use penstock_types::{FencingToken, RunId, Symbol, TickId, UtcMicros};
use proptest::prelude::*;
use std::cell::Cell;

const NAMES: [&str; 2] = ["AAA/USD", "BBB/USD"];
const SCALES: Scales = Scales { price: 1, qty: 1 };
const SAMPLE_MS: i64 = 1_000;
/// Connection of the order-by-order books.
const LEVEL3: i16 = 100;

fn bindings() -> Vec<InstrumentBinding> {
    let roles = Roles { price_ref: true, spot_primary: true, flow: true, ..Roles::default() };
    let binding = |i: u16, name: &str| InstrumentBinding {
        key: InstrumentKey { token_id: i + 1, instrument_id: 0 },
        venue: Venue::KrakenSpot,
        symbol: symbol(name),
        qty_exp: 8,
        multiplier: 1,
        roles,
    };
    NAMES.iter().zip(0..).map(|(name, i)| binding(i, name)).collect()
}

/// Both symbols' books.
struct TwoBooks([Cell<Option<[i64; 4]>>; 2]);

impl Books for TwoBooks {
    fn sample(&self, symbol: &Symbol) -> Option<BookSample> {
        let i = NAMES.iter().position(|name| *name == symbol.as_str())?;
        let [bid, bid_qty, ask, ask_qty] = self.0[i].get()?;
        sample_book([(bid, bid_qty)].into_iter(), [(ask, ask_qty)].into_iter(), SCALES, None, 10)
    }

    fn sample_level3(
        &mut self,
        _: &Symbol,
        takers: crate::TakerQuotes,
        _: UtcMicros,
    ) -> Option<crate::Level3Sample> {
        Some(level3_sample(takers))
    }
}

/// What was sealed, as a reader of the frame sees it.
#[derive(Debug, Clone, PartialEq)]
struct Frame {
    tick_id: TickId,
    flags: FrameFlags,
    events: Vec<FrameEvent>,
    quotes: QuoteBlock,
}

struct Rig {
    core: MarketCore,
    books: TwoBooks,
    ms: i64,
    trade_id: i64,
}

#[derive(Debug, Clone)]
enum Step {
    Best(usize, i64),
    Deep(usize),
    Trade(usize),
    Ticker(usize, bool),
    Lost(usize),
    Queue(usize, bool),
    QueueSocket,
    Heard,
    Reconnect,
    Track(usize, u32),
    Untrack(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let one = 0..2_usize;
    prop_oneof![
        4 => (one.clone(), 0..3_i64).prop_map(|(i, n)| Step::Best(i, n)),
        3 => one.clone().prop_map(Step::Deep),
        3 => one.clone().prop_map(Step::Trade),
        2 => (one.clone(), any::<bool>()).prop_map(|(i, timed)| Step::Ticker(i, timed)),
        1 => one.clone().prop_map(Step::Lost),
        2 => (one.clone(), any::<bool>()).prop_map(|(i, is_live)| Step::Queue(i, is_live)),
        1 => Just(Step::QueueSocket),
        2 => Just(Step::Heard),
        1 => Just(Step::Reconnect),
        1 => (one.clone(), 1..3_u32).prop_map(|(i, digits)| Step::Track(i, digits)),
        1 => one.prop_map(Step::Untrack),
    ]
}

impl Rig {
    /// Others have sealed `ahead` ticks from the first window on.
    fn new(ahead: i64, out: &mut Outputs) -> Self {
        let config = CoreConfig { l2_sample_interval_ms: SAMPLE_MS, ..CoreConfig::default() };
        let recording =
            Recording { run_id: RunId(1), lineage_id: lineage(1), fencing_token: FencingToken(2) };
        let fold = Aggregator::new(RunId(1), config.fold.clone());
        let own = UtcMicros(T0).tick();
        let core = MarketCore::new(config, recording, fold, TickId(own.0 + ahead))
            .recording_from(own)
            .with_bindings(bindings());
        let books = TwoBooks([Cell::new(None), Cell::new(None)]);
        let mut rig = Self { core, books, ms: 0, trade_id: 0 };
        for name in NAMES {
            rig.core.track(&symbol(name), SCALES, true, at_ms(0), out).unwrap();
        }
        rig.core.conn_opened(1, "book-0", at_ms(0), out);
        rig.core.conn_opened(LEVEL3, "level3-0", at_ms(0), out);
        rig.core.track_level3(&symbol(NAMES[0]), 10, at_ms(0), out);
        rig
    }

    fn take(&mut self, wait_ms: i64, step: &Step, conn_id: &mut i16, out: &mut Outputs) {
        self.ms += wait_ms;
        let at = at_ms(self.ms);
        self.core.advance(at, &mut self.books, out).unwrap();
        match step {
            Step::Best(i, n) => self.book(*i, [1_000 + n, 10, 1_004, 10], *conn_id, at, out),
            Step::Deep(i) => {
                if let Some(best) = self.books.0[*i].get() {
                    self.book(*i, best, *conn_id, at, out);
                }
            }
            Step::Trade(i) => self.trade(*i, *conn_id, at, out),
            Step::Ticker(i, timed) => self.ticker(*i, *timed, *conn_id, at, out),
            Step::Lost(i) => {
                self.books.0[*i].set(None);
                let why = crate::core::LostBook::Resync;
                self.core.book_lost(&symbol(NAMES[*i]), why, at, out);
            }
            // What order-by-order books do shows in no frame.
            Step::Queue(i, true) => {
                self.core.heard(LEVEL3, at, out);
                self.core.level3_live(&symbol(NAMES[*i]), LEVEL3);
            }
            Step::Queue(i, false) => {
                let why = crate::core::LostBook::Checksum { expected: 1, computed: 2 };
                self.core.level3_lost(&symbol(NAMES[*i]), why, at, out);
            }
            Step::QueueSocket => {
                self.core.conn_lost(LEVEL3, "test", at, out);
                self.core.conn_opened(LEVEL3, "level3-0", at, out);
            }
            Step::Heard => self.core.heard(*conn_id, at, out),
            Step::Reconnect => {
                self.books.0.iter().for_each(|book| book.set(None));
                self.core.conn_lost(*conn_id, "test", at, out);
                *conn_id += 1;
                self.core.conn_opened(*conn_id, "book-0", at, out);
                self.core.stream_whole("book-0", at, out);
            }
            Step::Track(i, digits) => {
                // Other digits come with the loss of the book, as in the service.
                self.books.0[*i].set(None);
                let why = crate::core::LostBook::Resync;
                self.core.book_lost(&symbol(NAMES[*i]), why, at, out);
                let scales = Scales { price: *digits, qty: 1 };
                self.core.track(&symbol(NAMES[*i]), scales, true, at, out).unwrap();
            }
            Step::Untrack(i) => {
                self.books.0[*i].set(None);
                self.core.untrack(&symbol(NAMES[*i]), at, out);
            }
        }
    }

    fn book(&mut self, i: usize, best: [i64; 4], conn_id: i16, at: UtcMicros, out: &mut Outputs) {
        self.books.0[i].set(Some(best));
        self.core.heard(conn_id, at, out);
        let is_snapshot = false;
        let symbol = symbol(NAMES[i]);
        let update = BookUpdate { symbol, conn_id, is_snapshot, ts_exchange: Some(at), best };
        self.core.book_updated(at, &update, out);
    }

    fn trade(&mut self, i: usize, conn_id: i16, at: UtcMicros, out: &mut Outputs) {
        self.trade_id += 1;
        self.core.heard(conn_id, at, out);
        let trade = TradeIn {
            symbol: symbol(NAMES[i]),
            conn_id,
            trade_id: self.trade_id,
            side: Side::Buy,
            ord_type: 'm',
            price: dec("100"),
            qty: dec("1"),
            ts_exchange: at,
        };
        self.core.trade(at, trade, out);
    }

    fn ticker(&mut self, i: usize, timed: bool, conn_id: i16, at: UtcMicros, out: &mut Outputs) {
        let side = Some(dec("99"));
        let ticker = TickerIn {
            symbol: symbol(NAMES[i]),
            conn_id,
            is_snapshot: false,
            ts_exchange: timed.then_some(at),
            bid: side,
            ask: Some(dec("101")),
            last: side,
            bid_qty: side,
            ask_qty: side,
            volume_24h: None,
            vwap_24h: None,
            change_pct_24h: None,
        };
        self.core.ticker(at, ticker, out);
    }
}

/// Frames of the core; `local_seq` relative to `base` is the test's to compare.
fn recorded(out: &Outputs) -> Vec<Frame> {
    let frame = |s: &crate::core::SealedTick| {
        let (header, events) = decode_frame(&s.frame).unwrap();
        let flags = header.flags.without(FrameFlags::EMPTY);
        Frame { tick_id: s.tick_id, flags, events, quotes: decode_quotes(&s.quotes).unwrap() }
    };
    out.sealed.iter().map(frame).collect()
}

fn derived(mut replay: FrameReplay, rows: &[RawRow], last: TickId) -> Vec<Frame> {
    let mut frames = Vec::new();
    let mut take = |tick: DerivedTick| {
        let DerivedTick { tick_id, sealed } = tick;
        let (flags, events) = (sealed.flags, sealed.events);
        frames.push(Frame { tick_id, flags, events, quotes: sealed.quotes });
    };
    for row in rows {
        replay.apply(row, &mut take).unwrap();
    }
    replay.seal_until(last, &mut take);
    frames
}

proptest! {
    #[test]
    fn any_recording_and_the_run_after_it_give_their_frames_again(
        steps in prop::collection::vec((0..900_i64, step()), 1..60),
        ahead in prop_oneof![Just(0_i64), 1..40_i64],
        later in prop::collection::vec((0..900_i64, step()), 1..40),
    ) {
        let mut out = Outputs::default();
        let mut rig = Rig::new(ahead, &mut out);
        let mut conn_id = 1;
        for (wait_ms, step) in &steps {
            rig.take(*wait_ms, step, &mut conn_id, &mut out);
        }
        rig.ms += 3_000 + 250 * ahead;
        while !rig.core.advance_to_cut(at_ms(rig.ms), &mut rig.books, &mut out).unwrap() {
            rig.ms += 250;
        }
        let last = TickId(rig.core.next_tick().0 - 1);
        let sealed_before = (ahead > 0).then(|| TickId(UtcMicros(T0).tick().0 + ahead - 1));
        let replay = FrameReplay::new(RunId(1), bindings(), SAMPLE_MS, sealed_before);
        prop_assert_eq!(derived(replay, &out.rows, last), recorded(&out));

        // The run that follows by rollover, from its first checkpoint as bytes.
        out.clear();
        let begun = *rig.core.begin_run(RunId(2), None, &mut out);
        let first = rig.core.next_tick();
        rig.ms = rig.ms.max((first.start().0 - T0) / 1_000);
        for (wait_ms, step) in &later {
            rig.take(*wait_ms, step, &mut conn_id, &mut out);
        }
        rig.core.advance(at_ms(rig.ms + 2_000), &mut rig.books, &mut out).unwrap();
        let last = TickId(rig.core.next_tick().0 - 1);
        let (payload, hash) = crate::checkpoint::encode(&begun).unwrap();
        let read = crate::checkpoint::decode(2, &payload, &hash).unwrap();
        let sealer = read.sealer.unwrap();
        let replay = FrameReplay::resume(
            RunId(2), bindings(), read.l2_sample_interval_ms, sealer, first,
        );
        prop_assert_eq!(derived(replay, &out.rows, last), recorded(&out));
    }
}
