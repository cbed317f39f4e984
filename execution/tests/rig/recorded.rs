//! Recorded ticks of three tokens as rows of the table of frames.
//!
//! Input: ticks, the fence of a published market. Output: delivered frames with their blocks, inserted by the
//! store's own publisher. Invariants: the market is that of the engine's own tests; the same run and first tick
//! give the same frames.

use penstock_store::samples::sample_lineage;
use penstock_store::twins::{LineageRow, RunRow};
use penstock_store_decision::frames::{
    FRAMES_PER_TX_MAX, FramePrerequisites, FramePublisher, FrameRow,
};
use penstock_types::frame::{
    FrameEvent, FrameFlags, FrameHeader, Link, QuoteBlock, QuoteEntry, decode_header, deliver,
    encode_frame, encode_quotes,
};
use penstock_types::{FencingToken, RunId, Seq, TickId, UtcMicros};

use super::made::{self, CALM, CASCADE, PUMP, STACKING, Segment};
use super::market::Market;

/// Ticks of a day.
pub(crate) const DAY: u64 = 345_600;
/// First tick of 2026-02-17.
pub(crate) const MIDNIGHT: u64 = 20_501 * DAY;

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

/// Makes frames tick after tick.
#[derive(Clone)]
pub(crate) struct Tape {
    markets: Vec<made::Market>,
    run: RunRow,
    token: FencingToken,
    last: Option<Link>,
    next: u64,
}

impl Tape {
    /// Frames of a run from a tick on.
    pub(crate) fn new(run: RunRow, token: FencingToken, first: u64) -> Self {
        let market = |id: u16| made::Market::new(id, script(u64::from(id) * 7), u64::from(id));
        Self { markets: (1..=3).map(market).collect(), run, token, last: None, next: first }
    }

    /// Tick of the next frame.
    pub(crate) const fn next_tick(&self) -> u64 {
        self.next
    }

    /// Ticks that are sealed by nobody.
    pub(crate) fn lose(&mut self, ticks: u64) {
        let mut events = Vec::new();
        for _ in 0..ticks {
            for market in &mut self.markets {
                market.tick(self.next, &mut events);
            }
            self.next += 1;
        }
    }

    /// Seals the next tick, whose events may be changed.
    pub(crate) fn frame(&mut self, change: impl Fn(&mut Vec<FrameEvent>)) -> FrameRow {
        let tick = self.next;
        self.next += 1;
        let mut events = Vec::new();
        for market in &mut self.markets {
            market.tick(tick, &mut events);
        }
        change(&mut events);
        let tick_id = TickId::from_unsigned(tick);
        let start =
            if self.last.is_none() { FrameFlags::SESSION_START } else { FrameFlags::default() };
        let header = FrameHeader {
            flags: start,
            tick_id,
            frame_seq: 0,
            run_id: self.run.run_id,
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
        let header = decode_header(&frame).unwrap();
        FrameRow {
            tick_id,
            frame_seq: link.frame_seq,
            run_id: self.run.run_id,
            fencing_token: self.token,
            epoch_id: None,
            flags: i32::from(header.flags.0),
            n_events: i32::try_from(header.n_events).unwrap(),
            frame_sha256: link.sha256,
            frame,
            quotes,
            seal_lag_ms: 3,
        }
    }
}

/// Delivers what a tape makes.
pub(crate) struct Recorded {
    tape: Tape,
    publisher: FramePublisher,
    lineage: LineageRow,
}

impl Recorded {
    pub(crate) fn new(market: &Market, first: u64) -> Self {
        Self {
            tape: Tape::new(market.run.clone(), market.token, first),
            publisher: FramePublisher::new(market.pool.clone(), "test".to_owned()),
            lineage: sample_lineage(&market.run),
        }
    }

    /// Tick of the next frame.
    pub(crate) const fn next_tick(&self) -> u64 {
        self.tape.next_tick()
    }

    /// Seals and delivers so many ticks.
    pub(crate) async fn deliver(&mut self, ticks: u64) {
        let rows: Vec<FrameRow> = (0..ticks).map(|_| self.tape.frame(|_| ())).collect();
        self.publish(&rows).await;
    }

    /// Ticks that are sealed by nobody.
    pub(crate) fn lose(&mut self, ticks: u64) {
        self.tape.lose(ticks);
    }

    /// Seals and delivers one tick whose events were changed.
    pub(crate) async fn deliver_changed(&mut self, change: impl Fn(&mut Vec<FrameEvent>)) {
        let rows = vec![self.tape.frame(change)];
        self.publish(&rows).await;
    }

    /// The run goes on as another one.
    pub(crate) fn roll(&mut self, run_id: RunId) {
        self.tape.run.run_id = run_id;
    }

    /// Tokens that the run's row names.
    pub(crate) fn rebind(&mut self, bindings: &penstock_config::bindings::Bindings) {
        self.tape.run.bindings_hash = hex::encode(bindings.hash());
        self.tape.run.bindings = std::sync::Arc::new(bindings.to_json());
    }

    async fn publish(&mut self, rows: &[FrameRow]) {
        for rows in rows.chunks(FRAMES_PER_TX_MAX) {
            let run = Some((&self.tape.run, &self.lineage));
            let before = FramePrerequisites { run, run_symbols: &[] };
            self.publisher.publish(self.tape.token, before, rows).await.unwrap();
        }
    }
}
