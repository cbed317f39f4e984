//! `simulate`: many histories, their counts, a verdict.
//!
//! Input: how many, from which seed. Output: tables on standard output; exit code 1 on a violation or on a pair of the
//! machines that was not reached.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use clap::Parser;
use penstock_lifesim::cover::Cover;
use penstock_lifesim::{EVENTS_MIN, FAULTS_MIN, History, report, run};

/// Runs histories of orders under virtual time.
#[derive(Debug, Parser)]
struct Arguments {
    /// Histories.
    #[arg(long, default_value_t = 100_000)]
    histories: u64,
    /// First seed; with one history it is told as it happens.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Threads.
    #[arg(long, default_value_t = 2)]
    threads: u64,
    /// Hits that each legal pair needs.
    #[arg(long, default_value_t = 100)]
    least: u64,
    /// Tell the one history.
    #[arg(long)]
    trace: bool,
    /// Switch one rule off: exits 0 when a violation is found. Test builds alone.
    #[cfg(feature = "rule-off")]
    #[arg(long)]
    without: Option<String>,
}

/// What all threads have found.
#[derive(Default)]
struct Found {
    cover: Cover,
    thin: u64,
    violations: Vec<History>,
}

/// Violations that are kept; further ones are counted by the exit code alone.
const VIOLATIONS_MAX: usize = 20;

fn work(next: &AtomicU64, end: u64, first_only: bool) -> Found {
    let mut found = Found::default();
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= end {
            return found;
        }
        let history = run(seed, false);
        found.cover.add(&history.cover);
        let thin = history.cover.events < EVENTS_MIN || history.cover.faults() < FAULTS_MIN;
        if history.broken.is_some() {
            found.violations.push(history);
            if first_only || found.violations.len() >= VIOLATIONS_MAX {
                next.store(end, Ordering::Relaxed);
            }
        } else {
            found.thin += u64::from(thin);
        }
    }
}

fn all(arguments: &Arguments, first_only: bool) -> Found {
    let next = AtomicU64::new(arguments.seed);
    let end = arguments.seed.saturating_add(arguments.histories);
    let mut sum = Found::default();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..arguments.threads.max(1))
            .map(|_| scope.spawn(|| work(&next, end, first_only)))
            .collect();
        for thread in threads {
            // A panic of a history is a defect: it ends the run.
            let Ok(found) = thread.join() else { std::process::exit(70) };
            sum.cover.add(&found.cover);
            sum.thin += found.thin;
            sum.violations.extend(found.violations);
        }
    });
    sum.violations.sort_by_key(|history| history.seed);
    sum
}

#[cfg(feature = "rule-off")]
fn without(arguments: &Arguments) -> anyhow::Result<Option<ExitCode>> {
    use penstock_trading::rules::{Rule, switch_off};
    let Some(word) = &arguments.without else { return Ok(None) };
    switch_off(Rule::parse(word)?);
    let found = all(arguments, true);
    let Some(history) = found.violations.first() else {
        println!("{word} off: NOT found in {} histories", arguments.histories);
        return Ok(Some(ExitCode::FAILURE));
    };
    let what = history.broken.as_deref().unwrap_or_default();
    println!("{word} off: found with seed {}: {what}", history.seed);
    Ok(Some(ExitCode::SUCCESS))
}

#[cfg(not(feature = "rule-off"))]
const fn without(_: &Arguments) -> anyhow::Result<Option<ExitCode>> {
    Ok(None)
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    if let Some(code) = without(&arguments)? {
        return Ok(code);
    }
    let begun = Instant::now();
    if arguments.trace {
        let history = run(arguments.seed, true);
        println!("seed {}: {:?}", history.seed, history.broken);
        return Ok(ExitCode::from(u8::from(history.broken.is_some())));
    }
    let found = all(&arguments, false);
    let pairs = report::failures(&found.cover, arguments.least);
    println!("{}", report::tables(&found.cover));
    println!(
        "histories {}, events {}, faults {}, fills {}, closed positions {}, refused pairs {}",
        arguments.histories,
        found.cover.events,
        found.cover.faults(),
        found.cover.fills,
        found.cover.closes,
        found.cover.refused
    );
    println!("below {EVENTS_MIN} events or {FAULTS_MIN} faults: {}", found.thin);
    for history in &found.violations {
        println!(
            "VIOLATION seed {}: {}",
            history.seed,
            history.broken.as_deref().unwrap_or_default()
        );
    }
    for pair in &pairs {
        println!("PAIR {pair}");
    }
    println!(
        "violations {}, wall time {:.1} s",
        found.violations.len(),
        begun.elapsed().as_secs_f64()
    );
    let good = found.violations.is_empty() && pairs.is_empty() && found.thin == 0;
    Ok(ExitCode::from(u8::from(!good)))
}
