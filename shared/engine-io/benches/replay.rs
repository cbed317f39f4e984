//! Speed of replays from files: level A from logs, level B from the journal, over the golden day's first hour of
//! thirty tokens; and of a start that executes what the last snapshot does not know.
//!
//! Targets on two cores with every hash: level B 3 million token-ticks per second, level A 10 million; without
//! hashing 8 and 20. A replay works on one core and no code path leaves the hashes out: the second figure is an
//! estimate, the first without the time that this machine takes to hash as many bytes in batches of 4 KiB. A
//! start is measured twice, with ticks to execute and without; the difference is the roll-forward.
#![expect(clippy::unwrap_used, reason = "the generator is shared with the tests")]

#[path = "../../engine/tests/common/mod.rs"]
mod common;
#[path = "../../engine/tests/golden_day/mod.rs"]
mod golden_day;

use penstock_engine_io::replay::{ReplayStart, Report, Verdict, level_a, level_b};
use penstock_engine_io::{EngineDirs, NoStore, Session, StartOptions, snapshots};
use penstock_types::frame::{
    FrameFlags, FrameHeader, QuoteBlock, deliver, encode_frame, encode_quotes, sha256,
};
use penstock_types::{FencingToken, RunId, TickId, UtcMicros};
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

/// Runs of which the fastest counts.
const RUNS: usize = 3;

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

/// Time that hashing so many bytes takes in batches of a tick's size.
fn hashing(bytes: u64) -> Duration {
    let batch = vec![7_u8; 4_096];
    let start = Instant::now();
    for _ in 0..bytes / 4_096 {
        black_box(sha256(black_box(&batch)));
    }
    start.elapsed()
}

fn print(report: &Report, elapsed: Duration, targets: (&str, &str)) {
    let millions = |rate: u64| format!("{}.{:02} M", rate / 1_000_000, rate % 1_000_000 / 10_000);
    let (rate, bytes) = report.rates(elapsed);
    let bare = elapsed.saturating_sub(hashing(report.bytes_hashed));
    let real = u128::from(report.ticks) * 250 / elapsed.as_millis().max(1);
    println!(
        "level {}: {} token-ticks/s with every hash (target {}), {} MB/s hashed; {} without the time of hashing (target {}); {} ticks of {} tokens in {} ms, {real} times real time",
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
    print(&b, took, ("3 M", "8 M"));
    let (a, took) = fastest(|| level_a(&dirs, &config, None).unwrap_or_else(failed));
    print(&a, took, ("10 M", "20 M"));
    roll_forward(&dir);
    if let Err(error) = std::fs::remove_dir_all(&dir) {
        println!("{} stays: {error}", dir.display());
    }
}
