//! A recorded stream of frames with quote blocks, an engine over a directory, and trees of files to compare.
//!
//! Input: tokens, ticks, a seed. Output: delivered frames; sessions; file trees. Invariants: the market is the
//! one of the engine's own tests; thresholds are so low that every machine moves within minutes.

#[path = "../../../engine/tests/common/mod.rs"]
pub(crate) mod market;

use market::{CALM, CASCADE, Market, PUMP, STACKING, Segment};
use penstock_engine::EngineConfig;
use penstock_engine_io::{
    EngineDirs, Fault, FrameStore, Hooks, NoStore, Session, StartOptions, Started,
};
use penstock_types::frame::{
    FrameFlags, FrameHeader, QuoteBlock, QuoteEntry, deliver, encode_frame, encode_quotes,
};
use penstock_types::{FencingToken, RunId, Seq, TickId, UtcMicros};
use std::collections::BTreeMap;
use std::path::Path;

/// Ticks of a day.
pub(crate) const DAY: u64 = 345_600;
/// First tick of 2026-02-17.
pub(crate) const MIDNIGHT: u64 = 20_501 * DAY;

/// Three tokens, two of them in one cluster; every threshold is reached within seconds.
pub(crate) fn config(snapshot_every: i64) -> EngineConfig {
    let mut config = market::config(3);
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

/// A short market that goes through everything again and again.
fn script(shift: u64) -> Vec<Segment> {
    let short = |segment: Segment, ticks| Segment { ticks, ..segment };
    let mut all = vec![short(CALM, 40 + shift)];
    for _ in 0..40 {
        all.extend([short(PUMP, 60), short(STACKING, 90), short(CASCADE, 60), short(CALM, 120)]);
    }
    all
}

/// A frame with its block.
pub(crate) type Delivered = (u64, Vec<u8>, Vec<u8>);

/// Delivered frames of ticks, without those that `lost` names.
pub(crate) fn stream(first: u64, ticks: u64, lost: impl Fn(u64) -> bool) -> Vec<Delivered> {
    let mut markets: Vec<Market> =
        (1..=3_u16).map(|id| Market::new(id, script(u64::from(id) * 7), u64::from(id))).collect();
    let mut last = None;
    let mut frames = Vec::new();
    let mut events = Vec::new();
    for tick in first..first + ticks {
        events.clear();
        for market in &mut markets {
            market.tick(tick, &mut events);
        }
        if lost(tick) {
            continue;
        }
        let start = if tick == first { FrameFlags::SESSION_START } else { FrameFlags(0) };
        let tick_id = TickId(i64::try_from(tick).unwrap());
        let header = FrameHeader {
            flags: start,
            tick_id,
            frame_seq: 0,
            run_id: RunId(17),
            fencing_token: FencingToken(5),
            n_events: 0,
            gap_ticks: 0,
            previous: [0; 32],
            sealed_at: UtcMicros(tick_id.0 * 250_000 + 251_000),
        };
        let mut frame = encode_frame(&header, &events).unwrap();
        last = Some(deliver(&mut frame, last.as_ref()).unwrap());
        let entry = QuoteEntry {
            symbol_no: 1,
            bid: 1_058_990,
            ask: 1_059_000,
            bid_qty: 27_625,
            ask_qty: 140_000_000,
            exchange_ts: tick_id.0 * 250_000,
            seq: Seq(tick_id.0),
        };
        let block = QuoteBlock { tick_id, full: tick % 240 == 0, entries: vec![entry] };
        frames.push((tick, frame, encode_quotes(&block).unwrap()));
    }
    frames
}

/// Options of a start in tests.
pub(crate) fn options(root: &Path, config: &EngineConfig) -> StartOptions {
    let mut options = StartOptions::live(EngineDirs::under(root), config.clone());
    options.disk_free_min_bytes = 0;
    options
}

/// The table of frames.
pub(crate) struct Table<'a>(pub(crate) &'a [Delivered]);

impl FrameStore for Table<'_> {
    fn after(&mut self, frame_seq: u64) -> Result<Option<(Vec<u8>, Vec<u8>)>, Fault> {
        let at = usize::try_from(frame_seq).unwrap();
        Ok(self.0.get(at).map(|(_, frame, quotes)| (frame.clone(), quotes.clone())))
    }
}

pub(crate) fn start(options: &StartOptions) -> Result<(Session, Started), Fault> {
    Session::start(options, &mut NoStore)
}

/// Feeds frames until one is refused.
pub(crate) fn feed(session: &mut Session, frames: &[Delivered]) -> Result<(), Fault> {
    for (at, (_, frame, quotes)) in frames.iter().enumerate() {
        session.take(frame, quotes)?;
        // Frames of a test come faster than any disk.
        if at % 64 == 63 {
            session.wait()?;
        }
    }
    session.wait()
}

/// A run over all frames from nothing to a clean end.
pub(crate) fn whole_run(root: &Path, config: &EngineConfig, frames: &[Delivered]) {
    let (mut session, _) = start(&options(root, config)).unwrap();
    feed(&mut session, frames).unwrap();
    session.stop().unwrap();
}

/// A start that feeds what is missing after a crash, and a clean end.
pub(crate) fn go_on(
    options: &StartOptions,
    frames: &[Delivered],
    table: &mut dyn FrameStore,
) -> Result<Started, Fault> {
    let options = StartOptions { hooks: Hooks::none(), ..options.clone() };
    let (mut session, started) = Session::start(&options, table)?;
    let last = started.last_tick.unwrap_or(0);
    let rest: Vec<Delivered> = frames.iter().filter(|(tick, ..)| *tick > last).cloned().collect();
    feed(&mut session, &rest)?;
    session.stop()?;
    Ok(started)
}

/// Files under a root by name, without locks, kept cuts and temporary files.
pub(crate) fn tree(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            let is_other = ["LOCK", ".cut", ".tmp"].iter().any(|end| name.ends_with(end));
            if !is_other {
                files.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    files
}

/// The trees agree: logs, journal, streams whole; snapshots where both have them.
pub(crate) fn assert_same(got: &Path, want: &Path, context: &str) {
    let (got, want) = (tree(got), tree(want));
    let names = |files: &BTreeMap<String, Vec<u8>>| -> Vec<String> {
        files.keys().filter(|name| !name.starts_with("snapshots")).cloned().collect()
    };
    assert_eq!(names(&got), names(&want), "{context}");
    for (name, bytes) in &want {
        let found = got.get(name);
        assert!(
            found.is_none_or(|found| found == bytes),
            "{context}: {name} differs ({:?} bytes, {} expected)",
            found.map(Vec::len),
            bytes.len()
        );
    }
}
