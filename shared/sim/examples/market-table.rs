//! Prints what a generated market looks like to a trading system, for several seeds.
//!
//! Input: `market-table [SEEDS] [SECONDS] [SYMBOLS]`, 5, 300 and 32 when missing. Output: one line
//! per seed over the symbols at rest, one per pulse of the first seed. It judges nothing.

use penstock_sim::generator::{Scenario, calibration, measure};
use penstock_sim::instruments::Catalog;

fn argument(place: usize, default: usize) -> usize {
    std::env::args().nth(place).and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (seeds, seconds, symbols) = (argument(1, 5), argument(2, 300), argument(3, 32));
    println!("{}", calibration::factors_text());
    let catalog = Catalog::generated(symbols)?;
    println!(
        "{:>4} {:>8} {:>8} {:>8} {:>9} {:>9} {:>8} {:>8} {:>8} {:>8} {:>8}",
        "seed",
        "rv_rest",
        "spread50",
        "spread99",
        "depth_min",
        "depth25mn",
        "trades/s",
        "change/s",
        "kurt_1m",
        "withdr/s",
        "efit_s"
    );
    let mut first = None;
    for seed in 1..=seeds as u64 {
        let market = measure::run(&catalog, seed, Scenario::Pulses, seconds)?;
        print_seed(seed, &market);
        first.get_or_insert(market);
    }
    for (series, listing) in first.iter().flatten().zip(catalog.listings()) {
        for (from, to) in series.rises() {
            print_pulse(&listing.instrument.symbol, series, from, to);
        }
    }
    Ok(())
}

fn print_seed(seed: u64, market: &[measure::Series]) {
    let resting: Vec<&measure::Series> = market.iter().filter(|s| s.rises().is_empty()).collect();
    let all = |pick: fn(&measure::Series) -> &Vec<f64>| -> Vec<f64> {
        market.iter().flat_map(|series| pick(series).iter().copied()).collect()
    };
    let last = market.first().map_or(1, |s| s.mid.len()) - 1;
    let rv: Vec<f64> = resting.iter().filter_map(|s| s.rv(last, 300)).collect();
    let minutes: Vec<f64> = resting
        .iter()
        .flat_map(|s| (1..=last / 60).map(|m| (s.mid[m * 60] / s.mid[(m - 1) * 60]).ln() * 1e4))
        .collect();
    let square = minutes.iter().map(|r| r * r).sum::<f64>() / minutes.len() as f64;
    let fourth = minutes.iter().map(|r| r.powi(4)).sum::<f64>() / minutes.len() as f64;
    let turnovers: Vec<f64> = resting.iter().map(|s| s.turnover(last, last)).collect();
    let turnover = measure::quantile(&turnovers, 0.5);
    let per_second = |pick: fn(&measure::Series) -> &Vec<u32>| {
        let sum: u64 = resting.iter().flat_map(|s| pick(s)).map(|&n| u64::from(n)).sum();
        sum as f64 / (resting.len() * (last + 1)) as f64
    };
    println!(
        "{seed:>4} {:>8.2} {:>8.2} {:>8.2} {:>9.0} {:>9.0} {:>8.2} {:>8.2} {:>8.2} {:>8.3} {:>8.2}",
        measure::quantile(&rv, 0.5),
        measure::quantile(&all(|s| &s.spread_bps), 0.5),
        measure::quantile(&all(|s| &s.spread_bps), 0.99),
        measure::quantile(&all(|s| &s.depth_quote), 0.0),
        measure::quantile(&all(|s| &s.depth_25_quote), 0.0),
        per_second(|s| &s.prints),
        per_second(|s| &s.changes),
        fourth / (square * square),
        turnover,
        measure::quantile(&resting.iter().map(|s| s.est_fill_s(last)).collect::<Vec<_>>(), 0.5),
    );
}

fn print_pulse(symbol: &str, series: &measure::Series, from: usize, to: usize) {
    let first = (from..=to).find(|&at| {
        series.rv(at, 300).is_some_and(|rv| (20.0..40.0).contains(&rv))
            && series.drift(at, 60) > 0.0
            && series.ofi(at) > 0.0
    });
    let end = (to + 25).min(series.mid.len() - 1);
    let peak = (from..=end).filter_map(|at| series.rv(at, 300)).fold(0.0, f64::max);
    println!(
        "{symbol:>10} rise {from:>4}..{to:<4} rv_5m at half {:>6.1} at top {:>6.1} max {peak:>6.1} drift_1m {:>7.1} drift_15m {:>7.1} ofi_1m {:>5.2} hot after {:>4} s",
        series.rv((from + to) / 2, 300).unwrap_or_default(),
        series.rv(to, 300).unwrap_or_default(),
        series.drift(to, 60),
        series.drift(to, 900),
        series.ofi(to),
        first.map_or(-1, |at| at as i64 - from as i64),
    );
    let row = |at: usize| format!("{:.2}", series.est_fill_s(at.min(series.mid.len() - 1)));
    println!(
        "           est_fill_s at start {} half {} top {} end {}",
        row(from.max(1)),
        row((from + to) / 2),
        row(to),
        row(end)
    );
}
