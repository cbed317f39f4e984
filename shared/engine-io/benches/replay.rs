//! Speed of replays from files: level A from logs, level B from the journal, over the golden day's first hour.
//!
//! Targets on two cores with every hash: level B 3 million token-ticks per second, level A 10 million; without
//! hashing 8 and 20. No code path leaves the hashes out, so the second figure is the first without the time that
//! this machine takes to hash as many bytes; it says so.
#![expect(clippy::unwrap_used, reason = "the generator is shared with the tests")]

#[path = "../../engine/tests/common/mod.rs"]
mod common;
#[path = "../../engine/tests/golden_day/mod.rs"]
mod golden_day;

use penstock_engine_io::replay::{ReplayStart, Report, Verdict, level_a, level_b};
use penstock_engine_io::{EngineDirs, NoStore, Session, StartOptions};
use penstock_types::frame::{
    FrameFlags, FrameHeader, QuoteBlock, deliver, encode_frame, encode_quotes, sha256,
};
use penstock_types::{FencingToken, RunId, TickId, UtcMicros};
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

/// Runs of which the fastest counts.
const RUNS: usize = 3;

/// Writes the files of the golden hour.
fn record(root: &Path) {
    let mut options = StartOptions::live(EngineDirs::under(root), golden_day::config());
    options.disk_free_min_bytes = 0;
    let (mut session, _) =
        Session::start(&options, &mut NoStore).unwrap_or_else(|fault| panic!("{fault}"));
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
    println!(
        "level {}: {} token-ticks/s with every hash (target {}), {} MB/s hashed; {} without the time of hashing (target {}); {} ticks of {} tokens in {} ms",
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
    if let Err(error) = std::fs::remove_dir_all(&dir) {
        println!("{} stays: {error}", dir.display());
    }
}
