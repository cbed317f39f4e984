//! Recorded ticks of three tokens as rows of the table of frames.
//!
//! Input: ticks, the fence of a published market. Output: delivered frames with their blocks, inserted by the
//! store's own publisher. Invariants: the market is that of the engine's own tests; thresholds are so low that
//! every machine moves within minutes.

use penstock_engine::EngineConfig;
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
use super::rig::Market;

/// Ticks of a day.
pub(crate) const DAY: u64 = 345_600;
/// First tick of 2026-02-17.
pub(crate) const MIDNIGHT: u64 = 20_501 * DAY;

/// Three tokens, two of them in one cluster; every threshold is reached within seconds.
pub(crate) fn config() -> EngineConfig {
    let mut config = made::config(3);
    config.warmup_minutes = 1;
    config.snapshot_every_ticks = 240;
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

fn script(shift: u64) -> Vec<Segment> {
    let short = |segment: Segment, ticks| Segment { ticks, ..segment };
    let mut all = vec![short(CALM, 40 + shift)];
    for _ in 0..20 {
        all.extend([short(PUMP, 60), short(STACKING, 90), short(CASCADE, 60), short(CALM, 120)]);
    }
    all
}

/// Makes frames tick after tick and delivers them.
pub(crate) struct Recorded {
    markets: Vec<made::Market>,
    publisher: FramePublisher,
    run: RunRow,
    lineage: LineageRow,
    token: FencingToken,
    last: Option<Link>,
    next: u64,
}

impl Recorded {
    pub(crate) fn new(market: &Market, first: u64) -> Self {
        Self {
            markets: (1..=3_u16)
                .map(|id| made::Market::new(id, script(u64::from(id) * 7), u64::from(id)))
                .collect(),
            publisher: FramePublisher::new(market.pool.clone(), "test".to_owned()),
            run: market.run.clone(),
            lineage: sample_lineage(&market.run),
            token: market.token,
            last: None,
            next: first,
        }
    }

    /// Tick of the next frame.
    pub(crate) const fn next_tick(&self) -> u64 {
        self.next
    }

    /// Seals and delivers so many ticks.
    pub(crate) async fn deliver(&mut self, ticks: u64) {
        let rows: Vec<FrameRow> = (0..ticks).map(|_| self.frame(|_| ())).collect();
        self.publish(&rows).await;
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

    /// Seals and delivers one tick whose events were changed.
    pub(crate) async fn deliver_changed(&mut self, change: impl Fn(&mut Vec<FrameEvent>)) {
        let rows = vec![self.frame(change)];
        self.publish(&rows).await;
    }

    /// The run goes on as another one.
    pub(crate) fn roll(&mut self, run_id: RunId) {
        self.run.run_id = run_id;
    }

    /// Tokens that the run's row names.
    pub(crate) fn rebind(&mut self, bindings: &penstock_config::bindings::Bindings) {
        self.run.bindings_hash = hex::encode(bindings.hash());
        self.run.bindings = std::sync::Arc::new(bindings.to_json());
    }

    async fn publish(&mut self, rows: &[FrameRow]) {
        for rows in rows.chunks(FRAMES_PER_TX_MAX) {
            let before =
                FramePrerequisites { run: Some((&self.run, &self.lineage)), run_symbols: &[] };
            self.publisher.publish(self.token, before, rows).await.unwrap();
        }
    }

    fn frame(&mut self, change: impl Fn(&mut Vec<FrameEvent>)) -> FrameRow {
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
