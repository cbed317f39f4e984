//! Speed of replays from files: level A from logs, level B from the journal, over the golden day's first hour of
//! thirty tokens; and of a start that executes what the last snapshot does not know.
//!
//! Targets on two cores with every hash: level B 3 million token-ticks per second, level A 10 million; without
//! hashing 8 and 20. No code path of the product leaves the hashes out: the second figure is measured over the same
//! files by the same public parts put together without them (read with every CRC ahead on a second thread, derive,
//! compare). Only the chain of states is within the engine's step: at level B its time, of as many SHA-256 of a tick's
//! bytes on this machine, is taken off what was measured. A start is measured twice, with ticks to execute and
//! without; the difference is the roll-forward.
#![expect(clippy::unwrap_used, reason = "the generator is shared with the tests")]

#[path = "../../engine/tests/common/mod.rs"]
mod common;
#[path = "../../engine/tests/golden_day/mod.rs"]
mod golden_day;

use penstock_engine::config::TokenConfig;
use penstock_engine::record::Record;
use penstock_engine::{Engine, FrameView, Retrace, Retraced, expand_gap};
use penstock_engine_io::journal::{Entry, JournalReader};
use penstock_engine_io::log::segments;
use penstock_engine_io::replay::{ReplayStart, Report, Verdict, level_a, level_b};
use penstock_engine_io::{EngineDirs, NoStore, Session, StartOptions, snapshots};
use penstock_types::frame::{
    FrameFlags, FrameHeader, QuoteBlock, deliver, encode_frame, encode_quotes, sha256,
};
use penstock_types::{FencingToken, RunId, TickId, UtcMicros};
use std::fs::File;
use std::hint::black_box;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

/// Runs of which the fastest counts.
const RUNS: usize = 3;

/// Ticks that are read together.
const BATCH_LEN: usize = 64;

/// Milliseconds that a roll-forward of five minutes of thirty tokens should take at most.
const ROLL_FORWARD_MS_MAX: u32 = 20;

fn options(root: &Path) -> StartOptions {
    let mut options = StartOptions::live(EngineDirs::under(root), golden_day::config());
    options.disk_free_min_bytes = 0;
    options
}

/// Writes the files of the golden hour.
fn record(root: &Path) {
    let (mut session, _) =
        Session::start(&options(root), &mut NoStore).unwrap_or_else(|fault| panic!("{fault}"));
    let mut day = golden_day::Day::new();
    let mut last = None;
    for at in 0..golden_day::HOUR {
        let (tick, events) = day.events();
        let tick_id = TickId(i64::try_from(tick).unwrap_or(0));
        let Some(flags) = golden_day::flags(at) else { continue };
        let header = FrameHeader {
            flags: if events.is_empty() { flags.with(FrameFlags::EMPTY) } else { flags },
            tick_id,
            frame_seq: 0,
            run_id: RunId(1),
            fencing_token: FencingToken(1),
            n_events: 0,
            gap_ticks: 0,
            previous: [0; 32],
            sealed_at: UtcMicros(tick_id.0 * 250_000),
        };
        let mut frame = encode_frame(&header, events).unwrap_or_else(|error| panic!("{error}"));
        last = Some(deliver(&mut frame, last.as_ref()).unwrap_or_else(|error| panic!("{error}")));
        let block = QuoteBlock { tick_id, full: tick % 240 == 0, entries: Vec::new() };
        let quotes = encode_quotes(&block).unwrap_or_else(|error| panic!("{error}"));
        session.take(&frame, &quotes).unwrap_or_else(|fault| panic!("{fault}"));
        if at % 64 == 0 {
            session.wait().unwrap_or_else(|fault| panic!("{fault}"));
        }
    }
    session.stop().unwrap_or_else(|fault| panic!("{fault}"));
}

fn fastest(mut run: impl FnMut() -> Report) -> (Report, Duration) {
    let mut best: Option<(Report, Duration)> = None;
    for _ in 0..RUNS {
        let start = Instant::now();
        let report = run();
        let elapsed = start.elapsed();
        assert_eq!(report.verdict, Verdict::Identical, "{:?}", report.first_mismatch);
        if best.as_ref().is_none_or(|(_, time)| elapsed < *time) {
            best = Some((report, elapsed));
        }
    }
    best.unwrap_or_else(|| panic!("there were runs"))
}

/// Time that the chain's hashes of so many ticks take.
fn chain(ticks: u64) -> Duration {
    let bytes = vec![7_u8; 32 + 64 * usize::from(golden_day::TOKENS)];
    let start = Instant::now();
    for _ in 0..ticks {
        black_box(sha256(black_box(&bytes)));
    }
    start.elapsed()
}

/// Runs `work` over batches that `fill` makes on a second thread, until one is shorter than the others.
fn ahead<T: Send>(
    mut fill: impl FnMut(&mut Vec<T>, &mut dyn FnMut() -> T) + Send,
    blank: impl Fn() -> T + Send,
    mut work: impl FnMut(&[T]),
) {
    std::thread::scope(|scope| {
        let (sender, batches) = sync_channel(2);
        let (spare, again) = sync_channel::<Vec<T>>(4);
        scope.spawn(move || {
            loop {
                let mut old = again.try_recv().unwrap_or_default();
                let mut batch = Vec::with_capacity(BATCH_LEN);
                fill(&mut batch, &mut || old.pop().unwrap_or_else(&blank));
                let is_last = batch.len() < BATCH_LEN;
                if sender.send(batch).is_err() || is_last {
                    return;
                }
            }
        });
        for batch in batches {
            work(&batch);
            // The reading is at its end when nobody fills it again.
            let _ = spare.try_send(batch);
        }
    });
}

/// The logs of all tokens behind their headers; the golden hour stands in one file of each.
fn logs(dirs: &EngineDirs) -> Vec<BufReader<File>> {
    let of_token = |token: &TokenConfig| {
        let segments = segments(dirs, token.id).unwrap_or_else(|fault| panic!("{fault}"));
        let [(day, segment)] = *segments else { panic!("{} segments", segments.len()) };
        let mut file = File::open(dirs.log_file(token.id, day, segment)).unwrap();
        file.seek(SeekFrom::Start(64)).unwrap();
        BufReader::with_capacity(1 << 16, file)
    };
    golden_day::config().tokens.iter().map(of_token).collect()
}

/// The next record of a log; `None` at its end.
fn next(log: &mut BufReader<File>) -> Option<[u8; 64]> {
    let mut bytes = [0; 64];
    log.read_exact(&mut bytes).ok().map(|()| bytes)
}

fn first_tick(dirs: &EngineDirs) -> u64 {
    next(&mut logs(dirs)[0]).and_then(|bytes| Record::decode(&bytes).ok()).unwrap().tick_id
}

/// Level A without a hash.
fn bare_a(dirs: &EngineDirs) -> Duration {
    let (config, first) = (golden_day::config(), first_tick(dirs));
    let begun = Instant::now();
    let mut logs = logs(dirs);
    let mut trace = Retrace::from_genesis(&config, first).unwrap();
    let mut out = Retraced::default();
    let fill = |rows: &mut Vec<Vec<Record>>, room: &mut dyn FnMut() -> Vec<Record>| {
        while rows.len() < BATCH_LEN {
            let mut row = room();
            row.clear();
            for log in &mut logs {
                let Some(bytes) = next(log) else { return };
                row.push(Record::decode(&bytes).unwrap());
            }
            rows.push(row);
        }
    };
    ahead(fill, Vec::new, |rows| {
        for row in rows {
            trace.step(row, &mut out).unwrap();
            assert!(out.records == *row, "a record does not follow");
        }
    });
    begun.elapsed()
}

/// Level B with no hash but the chain's.
fn bare_b(dirs: &EngineDirs) -> Duration {
    let (config, first) = (golden_day::config(), first_tick(dirs));
    let begun = Instant::now();
    let mut logs = logs(dirs);
    let mut engine = Engine::new(&config).unwrap();
    engine.start_at(first).unwrap();
    let mut out = engine.output();
    let mut reader = JournalReader::from_tick(dirs, 0).unwrap();
    let fill = |entries: &mut Vec<Entry>, room: &mut dyn FnMut() -> Entry| {
        while entries.len() < BATCH_LEN {
            let mut entry = room();
            if !reader.next_into(&mut entry).unwrap() {
                return;
            }
            entries.push(entry);
        }
    };
    let gap_max = config.gap_fill_max_ticks.unsigned_abs();
    let mut compare = |engine: &mut Engine, frame: &FrameView<'_>| {
        engine.step(frame, &mut out).unwrap();
        let is_same = |(record, log)| next(log).as_ref() == Some(record);
        assert!(out.records.iter().zip(&mut logs).all(is_same), "a record does not follow");
    };
    ahead(fill, Entry::blank, |entries| {
        for entry in entries {
            let view = FrameView::new(&entry.header, &entry.events).unwrap();
            let last = engine.last_tick().unwrap_or(0);
            for gap in expand_gap(last, view.tick_id, gap_max).unwrap() {
                compare(&mut engine, &gap);
            }
            compare(&mut engine, &view);
        }
    });
    begun.elapsed()
}

fn print(report: &Report, elapsed: Duration, bare: Duration, targets: (&str, &str)) {
    let millions = |rate: u64| format!("{}.{:02} M", rate / 1_000_000, rate % 1_000_000 / 10_000);
    let (rate, bytes) = report.rates(elapsed);
    let real = u128::from(report.ticks) * 250 / elapsed.as_millis().max(1);
    println!(
        "level {}: {} token-ticks/s with every hash (target {}), {} MB/s hashed; {} without hashing (target {}); {} ticks of {} tokens in {} ms, {real} times real time",
        report.replay_level,
        millions(rate),
        targets.0,
        bytes / 1_000_000,
        millions(report.rates(bare).0),
        targets.1,
        report.ticks,
        report.tokens,
        elapsed.as_millis(),
    );
}

/// A start behind an end that wrote no snapshot, beside one with nothing to execute.
fn roll_forward(root: &Path) {
    let dirs = EngineDirs::under(root);
    let newest = snapshots::ticks(&dirs).unwrap_or_else(|fault| panic!("{fault}")).pop();
    let newest = newest.unwrap_or_else(|| panic!("there are snapshots"));
    std::fs::remove_file(dirs.snapshot(newest)).unwrap_or_else(|error| panic!("{error}"));
    let start = || {
        let begun = Instant::now();
        let (session, started) =
            Session::start(&options(root), &mut NoStore).unwrap_or_else(|fault| panic!("{fault}"));
        let took = begun.elapsed();
        session.stop().unwrap_or_else(|fault| panic!("{fault}"));
        (started.rolled_ticks, took)
    };
    let (ticks, with) = start();
    let (_, without) = start();
    println!(
        "start: {} ms with {ticks} ticks of {} tokens to execute, {} ms with none; roll-forward {} ms (target {ROLL_FORWARD_MS_MAX})",
        with.as_millis(),
        golden_day::TOKENS,
        without.as_millis(),
        with.saturating_sub(without).as_millis(),
    );
}

fn main() {
    if std::env::args().any(|word| word == "--test" || word == "--list") {
        return;
    }
    let dir = std::env::temp_dir().join(format!("penstock-replay-bench-{}", std::process::id()));
    record(&dir);
    let (dirs, config) = (EngineDirs::under(&dir), golden_day::config());
    let start = ReplayStart::Genesis;
    let failed = |fault: penstock_engine_io::Fault| -> Report { panic!("{fault}") };
    let (b, took) = fastest(|| level_b(&dirs, &config, start, None, None).unwrap_or_else(failed));
    let bare = (0..RUNS).map(|_| bare_b(&dirs)).min().unwrap_or_default();
    print(&b, took, bare.saturating_sub(chain(b.ticks)), ("3 M", "8 M"));
    let (a, took) = fastest(|| level_a(&dirs, &config, None).unwrap_or_else(failed));
    let bare = (0..RUNS).map(|_| bare_a(&dirs)).min().unwrap_or_default();
    print(&a, took, bare, ("10 M", "20 M"));
    roll_forward(&dir);
    if let Err(error) = std::fs::remove_dir_all(&dir) {
        println!("{} stays: {error}", dir.display());
    }
}
