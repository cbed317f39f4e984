//! Recorded ticks of three tokens: a configuration under which every machine moves within minutes, and frames with
//! their quote blocks, one after the other.
//!
//! Input: ticks, a run, its fence. Output: delivered frames. Invariants: the market is the one of the engine's own
//! tests; the same run and first tick give the same frames. The tests of the service take it by its path.

use super::made::{self, CALM, CASCADE, Market, PUMP, STACKING, Segment};
use penstock_engine::EngineConfig;
use penstock_types::frame::{
    FrameEvent, FrameFlags, FrameHeader, Link, QuoteBlock, QuoteEntry, deliver, encode_frame,
    encode_quotes,
};
use penstock_types::{FencingToken, RunId, Seq, TickId, UtcMicros};

/// Ticks of a day.
pub(crate) const DAY: u64 = 345_600;
/// First tick of 2026-02-17.
pub(crate) const MIDNIGHT: u64 = 20_501 * DAY;

/// Three tokens, two of them in one cluster; every threshold is reached within seconds.
pub(crate) fn config(snapshot_every: i64) -> EngineConfig {
    let mut config = made::config(3);
    config.warmup_minutes = 1;
    config.snapshot_every_ticks = snapshot_every;
    for token in &mut config.tokens {
        let fsm = &mut token.fsm;
        (fsm.p1, fsm.f1, fsm.t1, fsm.u1) = (150_000, 100_000, 20_000, 100_000);
        (fsm.cost_fragile, fsm.cost_ready, fsm.cost_unwind) = (1_000_000, 1_000_000, 1_000_000);
        (fsm.h1, fsm.h2, fsm.h3, fsm.hu, fsm.h4, fsm.h5) = (2, 2, 2, 1, 4, 8);
        (fsm.release_pressure, fsm.release_fragile, fsm.release_ready) = (4, 4, 4);
        (fsm.rebuild_dwell, fsm.rebuild_persist) = (4, 4);
    }
    config.tokens[2].cluster = 2;
    config.cluster.min_members = 1;
    (config.cluster.c1, config.cluster.c2, config.cluster.c3, config.cluster.c4) = (1, 1, 1, 1);
    config.cluster.release = 4;
    config.check().unwrap();
    config
}

/// Cycles of calm, pump, stacking and cascade; the later ones end where they began, so that a price is left
/// however long it goes on.
fn script(shift: u64) -> Vec<Segment> {
    let short = |segment: Segment, ticks| Segment { ticks, ..segment };
    let mut all = vec![short(CALM, 40 + shift)];
    for cycle in 0..400 {
        let calm = if cycle < 20 { CALM } else { Segment { drift: 28_000, ..CALM } };
        all.extend([short(PUMP, 60), short(STACKING, 90), short(CASCADE, 60), short(calm, 120)]);
    }
    all
}

/// A tick with its frame and the block of it.
pub(crate) type Delivered = (u64, Vec<u8>, Vec<u8>);

/// Makes frames tick after tick.
#[derive(Clone)]
pub(crate) struct Tape {
    /// Run that the next frame belongs to.
    pub(crate) run_id: RunId,
    token: FencingToken,
    markets: Vec<Market>,
    last: Option<Link>,
    next: u64,
}

impl Tape {
    /// Frames of a run from a tick on.
    pub(crate) fn new(run_id: RunId, token: FencingToken, first: u64) -> Self {
        let market = |id: u16| Market::new(id, script(u64::from(id) * 7), u64::from(id));
        Self { run_id, token, markets: (1..=3).map(market).collect(), last: None, next: first }
    }

    /// Tick of the next frame.
    pub(crate) const fn next_tick(&self) -> u64 {
        self.next
    }

    /// What the next tick brings.
    fn events(&mut self) -> Vec<FrameEvent> {
        let mut events = Vec::new();
        for market in &mut self.markets {
            market.tick(self.next, &mut events);
        }
        self.next += 1;
        events
    }

    /// Ticks that are sealed by nobody.
    pub(crate) fn lose(&mut self, ticks: u64) {
        for _ in 0..ticks {
            self.events();
        }
    }

    /// Seals the next tick, whose events may be changed.
    pub(crate) fn frame(&mut self, change: impl Fn(&mut Vec<FrameEvent>)) -> (Delivered, Link) {
        let tick = self.next;
        let mut events = self.events();
        change(&mut events);
        let tick_id = TickId::from_unsigned(tick);
        let start =
            if self.last.is_none() { FrameFlags::SESSION_START } else { FrameFlags::default() };
        let header = FrameHeader {
            flags: start,
            tick_id,
            frame_seq: 0,
            run_id: self.run_id,
            fencing_token: self.token,
            n_events: 0,
            gap_ticks: 0,
            previous: [0; 32],
            sealed_at: UtcMicros(tick_id.0 * 250_000 + 251_000),
        };
        let mut frame = encode_frame(&header, &events).unwrap();
        let full = self.last.is_none() || tick.is_multiple_of(240);
        let link = deliver(&mut frame, self.last.as_ref()).unwrap();
        self.last = Some(link);
        let entry = QuoteEntry {
            symbol_no: 1,
            bid: 1_058_990,
            ask: 1_059_000,
            bid_qty: 27_625,
            ask_qty: 140_000_000,
            exchange_ts: tick_id.0 * 250_000,
            seq: Seq(tick_id.0),
        };
        let quotes = encode_quotes(&QuoteBlock { tick_id, full, entries: vec![entry] }).unwrap();
        ((tick, frame, quotes), link)
    }
}
