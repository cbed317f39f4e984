//! The order in which the thread hands on what it numbered.

use super::*;
use crate::core::clock::RecordingClock;
use crate::lifecycle::alerts::tests::with_window;
use penstock_market::{Aggregator, CoreConfig, MarketCore, Recording};
use penstock_types::raw::{CandleRow, RawRow};
use penstock_types::{FencingToken, GenerationId, RunId, Uuid};
use penstock_venue_feeds::DisconnectReason;
use std::collections::BTreeSet;

const RUN: RunId = RunId(5);
const LINEAGE: LineageId = LineageId(Uuid::from_u128(1));

/// What was appended, in order: a generation or a row, and its number.
#[derive(Default)]
struct Appended(Vec<(bool, Seq)>);

impl RawSink for Appended {
    fn row(&mut self, _run_id: RunId, row: &RawRow) {
        self.0.push((false, row.seq));
    }

    fn candle(&mut self, _run_id: RunId, seq: Seq, _row: &CandleRow) {
        self.0.push((false, seq));
    }

    fn generation(&mut self, seq: Seq, _row: &GenerationRow) {
        self.0.push((true, seq));
    }

    fn begin_run(&mut self, _run_id: RunId) {}

    fn sync(&mut self) {}

    fn drops(&mut self, _now: UtcMicros) -> Vec<DropRange> {
        Vec::new()
    }

    fn last_drops(&mut self) -> Vec<DropRange> {
        Vec::new()
    }

    fn is_complete(&self) -> bool {
        true
    }
}

fn generation(as_of: UtcMicros) -> GenerationRow {
    GenerationRow {
        generation_id: GenerationId(2_000_000_001),
        run_id: RUN,
        lineage_id: LINEAGE,
        as_of,
        row_count: 0,
        changed_rows: 0,
        delta_ticker_rows: 0,
        delta_trade_rows: 0,
        delta_l2_rows: 0,
        delta_l3_rows: 0,
        wm_seq: Seq(0),
        raw_complete: true,
        content_hash: [0; 32],
        refresh_duration_ms: 0,
    }
}

/// A thread that was not started, with one socket.
fn thread() -> CoreThread<Appended> {
    let clock = RecordingClock::start();
    let config = CoreConfig::default();
    let recording = Recording { run_id: RUN, lineage_id: LINEAGE, fencing_token: FencingToken(2) };
    let fold = Aggregator::new(RUN, config.fold.clone());
    let core = MarketCore::new(config, recording, fold, clock.now().tick());
    let (commands, _) = mpsc::channel(1);
    let group = Group {
        kind: GroupKind::Public,
        stream: GroupKind::Public.stream(0),
        symbols: BTreeSet::new(),
        commands,
        conn_id: None,
        is_whole: false,
        refused: BTreeSet::new(),
    };
    let ports = CorePorts {
        events: mpsc::channel(1).1,
        commands: mpsc::channel(1).1,
        frames: mpsc::channel(FRAMES_LEN_LIMIT).0,
        cuts: Arc::default(),
        health: watch::channel(CoreHealth::default()).0,
        sink: Appended::default(),
        backfill: mpsc::channel(1).0,
        alerts: with_window(Duration::ZERO),
    };
    CoreThread::new(Market::new(core, clock, vec![group]), ports)
}

#[test]
fn a_generation_for_the_spool_goes_behind_the_rows_that_were_numbered_before_it() {
    let mut thread = thread();
    let at = thread.market.clock.shared().now();
    let as_of = thread.market.clock.at(at);
    let opened = FeedEvent::Connected { epoch: 1, at };
    let lost = FeedEvent::Disconnected { epoch: 1, at, reason: DisconnectReason::Closed };
    for event in [&opened, &lost, &opened] {
        thread.market.event(0, event).unwrap();
    }
    assert!(thread.market.out.rows.len() >= 3, "numbered and not yet handed on");

    thread.command(CoreCommand::SpoolGeneration(Box::new(generation(as_of)))).unwrap();
    thread.deliver().unwrap();

    let appended = &thread.ports.sink.0;
    assert!(appended.is_sorted_by_key(|(_, seq)| *seq), "{appended:?}");
    assert_eq!(appended.last().map(|(is_generation, _)| *is_generation), Some(true));
}
