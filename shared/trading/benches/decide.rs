//! `decide` for 200 symbols. Inputs: a calm market with one symbol that breaks out. Outputs: criterion's
//! statistics, a table with the target, the same as one JSON line. A target is a figure to compare with on
//! the machine that is named, not a test.

use criterion::Criterion;
use penstock_trading::decide;
use penstock_trading::fixtures::{config, input};
use std::hint::black_box;
use std::time::Instant;

/// Target on two cores.
const TARGET_MS: f64 = 5.0;
/// Runs behind the median of the table.
const RUNS: usize = 201;

/// The work whose instructions `scripts/instructions` counts: the name is what it looks for.
#[inline(never)]
fn counted(mut work: impl FnMut()) {
    work();
}

fn main() {
    if std::env::var_os("PENSTOCK_KERNEL").is_some() {
        let (calm, settings) = (input(200), config());
        return counted(|| drop(black_box(decide(black_box(&calm), black_box(&settings)))));
    }
    let (calm, settings) = (input(200), config());
    let mut criterion = Criterion::default().configure_from_args();
    criterion.bench_function("decide, 200 symbols", |b| {
        b.iter(|| decide(black_box(&calm), black_box(&settings)));
    });
    criterion.final_summary();
    // Lists and smoke runs of a test runner want no table.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let mut times: Vec<f64> = (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            black_box(decide(black_box(&calm), black_box(&settings)));
            start.elapsed().as_secs_f64() * 1_000.0
        })
        .collect();
    times.sort_by(f64::total_cmp);
    let (ms, machine) = (times[RUNS / 2], machine());
    let verdict = if ms <= TARGET_MS { "pass" } else { "over" };
    println!("\nmedian of {RUNS} runs; machine: {machine}");
    println!("{:<26} {:>10} {:>10}", "", "ms", "target ms");
    println!("{:<26} {ms:>10.3} {TARGET_MS:>10.3} {verdict}", "decide, 200 symbols");
    let row = serde_json::json!({"name": "decide, 200 symbols", "ms": ms, "target_ms": TARGET_MS});
    println!("{}", serde_json::json!({"machine": machine, "rows": [row]}));
}

fn machine() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name"));
    let model = line.and_then(|line| line.split_once(": ")).map(|(_, model)| model.to_owned());
    model.unwrap_or_else(|| std::env::consts::ARCH.to_owned())
}
