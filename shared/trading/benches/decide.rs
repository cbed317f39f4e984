//! `decide` for 200 symbols. Inputs: a calm market with one symbol that breaks out and one in which every tenth does,
//! each with 20 and with all 200 symbols scanned deeply. Outputs: criterion's statistics, a table with the target, the
//! same as one JSON line. A target is a figure to compare with on the machine that is named, not a test.

use criterion::Criterion;
use penstock_trading::CycleInput;
use penstock_trading::decide;
use penstock_trading::decide::DecideConfig;
use penstock_trading::fixtures::{config, hot, input};
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
    let cases = cases();
    let mut criterion = Criterion::default().configure_from_args();
    for (name, market, settings) in &cases {
        criterion
            .bench_function(name, |b| b.iter(|| decide(black_box(market), black_box(settings))));
    }
    criterion.final_summary();
    // Lists and smoke runs of a test runner want no table.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let machine = machine();
    println!("\nmedian of {RUNS} runs; machine: {machine}");
    println!("{:<44} {:>10} {:>10}", "200 symbols", "ms", "target ms");
    let mut rows = Vec::new();
    for (name, market, settings) in &cases {
        let ms = median_ms(market, settings);
        let verdict = if ms <= TARGET_MS { "pass" } else { "over" };
        println!("{name:<44} {ms:>10.3} {TARGET_MS:>10.3} {verdict}");
        rows.push(serde_json::json!({"name": name, "ms": ms, "target_ms": TARGET_MS}));
    }
    println!("{}", serde_json::json!({"machine": machine, "rows": rows}));
}

/// Markets and how many of their symbols are scanned deeply.
fn cases() -> Vec<(String, CycleInput, DecideConfig)> {
    let calm = input(200);
    let mut lively = input(200);
    lively.states.iter_mut().step_by(10).for_each(hot);
    let mut cases = Vec::new();
    for topn_size in [20, 200] {
        let settings = DecideConfig { topn_size, ..config() };
        for (what, market) in [("one breaks out", &calm), ("every tenth breaks out", &lively)] {
            let name = format!("{what}, topn_size {topn_size}");
            cases.push((name, market.clone(), settings.clone()));
        }
    }
    cases
}

fn median_ms(market: &CycleInput, settings: &DecideConfig) -> f64 {
    let mut times: Vec<f64> = (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            black_box(decide(black_box(market), black_box(settings)));
            start.elapsed().as_secs_f64() * 1_000.0
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[RUNS / 2]
}

fn machine() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name"));
    let model = line.and_then(|line| line.split_once(": ")).map(|(_, model)| model.to_owned());
    model.unwrap_or_else(|| std::env::consts::ARCH.to_owned())
}
