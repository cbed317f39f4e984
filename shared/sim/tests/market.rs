//! What the generated market promises, measured in virtual time: determinism, the figures at rest,
//! and pulses that a volatility-driven strategy can see.
//!
//! The bounds are those of the scenario's specification; the seeds are fixed, so a failure repeats.

use penstock_sim::account::{AddOrder, OrderKind, OrderRef};
use penstock_sim::exchange::{Exchange, ExchangeConfig, Price, PublicEvent, Side, SymbolNo};
use penstock_sim::generator::measure::{self, Series};
use penstock_sim::generator::{Clock, Generator, Scenario, calibration};
use penstock_sim::instruments::Catalog;
use rust_decimal::Decimal;

fn catalog(count: usize) -> Catalog {
    Catalog::generated(count).expect("a count in range")
}

fn events(seed: u64, symbols: usize, scenario: Scenario, cuts_us: &[i64]) -> Vec<String> {
    let catalog = catalog(symbols);
    let mut exchange = Exchange::new(ExchangeConfig {
        instruments: catalog.instruments(),
        seed,
        cash_usd: Decimal::ZERO,
        volume_30d_usd: Decimal::ZERO,
        recorded: false,
        start_us: 0,
    })
    .expect("an exchange");
    let clock = Clock { start_us: 0, speed: 1.0 };
    let mut generator = Generator::new(&catalog, seed, scenario, clock);
    generator.start_scenario(0);
    let mut all = Vec::new();
    for &until_us in cuts_us {
        generator.run_until(until_us, &mut exchange);
        all.extend(exchange.take_events().0.into_iter().map(|event| match event {
            PublicEvent::Market(update) => {
                format!("{:?} {:?} {:?}", update.symbol, update.levels, update.prints)
            }
            other => format!("{other:?}"),
        }));
    }
    all
}

#[test]
fn one_seed_gives_one_flow_however_time_is_cut() {
    let whole = events(11, 3, Scenario::Pulses, &[20_000_000]);
    let cut: Vec<i64> = (1..=2_000).map(|n| n * 10_000).collect();
    assert!(whole.len() > 1_000);
    assert_eq!(whole, events(11, 3, Scenario::Pulses, &cut));
    assert_ne!(whole, events(12, 3, Scenario::Pulses, &[20_000_000]));
}

#[test]
fn another_listed_pair_does_not_change_the_flow_of_the_first() {
    let first = |symbols: usize| -> Vec<String> {
        let all = events(5, symbols, Scenario::Calm, &[10_000_000]);
        all.into_iter().filter(|event| event.starts_with("SymbolNo(0)")).collect()
    };
    let alone = first(1);
    assert!(alone.len() > 300);
    assert_eq!(alone, first(5));
}

fn market(seed: u64) -> Vec<Series> {
    measure::run(&catalog(32), seed, Scenario::Pulses, 240).expect("a market")
}

#[test]
fn a_symbol_at_rest_has_the_promised_spread_depth_trades_and_volatility() {
    for seed in [3] {
        let market = market(seed);
        let resting: Vec<&Series> = market.iter().filter(|s| s.rises().is_empty()).collect();
        assert!(resting.len() >= 20, "seed {seed}: {}", resting.len());
        let pooled = |pick: fn(&Series) -> &Vec<f64>| -> Vec<f64> {
            market.iter().flat_map(|series| pick(series).iter().copied()).collect()
        };
        let spread = measure::quantile(&pooled(|s| &s.spread_bps), 0.5);
        assert!((1.3..1.7).contains(&spread), "seed {seed}: spread {spread}");
        let depth = measure::quantile(&pooled(|s| &s.depth_25_quote), 0.0);
        assert!(depth >= 50_000.0, "seed {seed}: depth {depth}");
        let rv: Vec<f64> = resting.iter().filter_map(|s| s.rv(239, 300)).collect();
        let rv = measure::quantile(&rv, 0.5);
        assert!((3.4..4.6).contains(&rv), "seed {seed}: volatility {rv}");
        for series in &market {
            let prints: u32 = series.prints.iter().sum();
            assert!(prints >= 200, "seed {seed}: {prints} prints in 240 s");
        }
    }
}

#[test]
fn a_pulse_is_volatile_before_its_fall_and_too_volatile_in_it() {
    for seed in [4] {
        let market = market(seed);
        let mut pulses = 0;
        for series in &market {
            for (from, to) in series.rises().into_iter().filter(|&(_, to)| to + 26 < 240) {
                pulses += 1;
                let rv = |at: usize| series.rv(at, 300).unwrap_or_default();
                let seen = (from..=to).any(|at| (27.0..40.0).contains(&rv(at)));
                assert!(seen, "seed {seed} {from}: never between 27 and 40");
                let fall = (to..=to + 25).map(rv).fold(0.0, f64::max);
                assert!(fall > 40.0, "seed {seed} {from}: {fall} in the fall");
                assert!(series.drift(to, 60) > 0.0, "seed {seed} {from}: minute");
                assert!(series.drift(to, 900) > 0.0, "seed {seed} {from}: quarter");
                assert!(series.ofi(to) > 0.0, "seed {seed} {from}: buyers must show");
                let sold: f64 = series.sold[from + 2..=to].iter().sum();
                assert!(sold == 0.0, "seed {seed} {from}: {sold} sold while rising");
            }
        }
        assert!(pulses >= 7, "seed {seed}: {pulses} pulses");
    }
}

/// Recorded sides lose between nothing and 1.6 of their best queue per second, in the median 0.26; a
/// trading system that joins it concludes from that when it will be filled.
#[test]
fn the_best_bid_is_left_as_seldom_as_in_recorded_markets() {
    for seed in [1, 2] {
        let market = market(seed);
        let resting: Vec<f64> = market
            .iter()
            .filter(|series| series.rises().is_empty())
            .map(|series| series.turnover(239, 180))
            .collect();
        let median = measure::quantile(&resting, 0.5);
        let told = calibration::WITHDRAWN_PER_S;
        assert!((median - told).abs() < 0.05, "seed {seed}: {median}, the calibration says {told}");
    }
}

/// Nobody sells while the price rises, and better bids come before older ones go: a buyer who waits
/// must not read out of cancellations that the price comes back to him. What remains are changes of
/// size, which come twice as often in a pulse.
#[test]
fn a_rising_market_does_not_leave_its_best_bid() {
    let market = market(5);
    let mut rates = Vec::new();
    for series in &market {
        let long = series.rises().into_iter().filter(|(from, to)| to - from >= 40);
        rates.extend(long.map(|(from, to)| series.turnover(to, to - from - 5)));
    }
    assert!(rates.len() >= 7, "{rates:?}");
    let median = measure::quantile(&rates, 0.5);
    let most = rates.iter().copied().fold(0.0, f64::max);
    assert!(median < calibration::WITHDRAWN_PER_S * 1.5, "{median}: {rates:?}");
    assert!(most < calibration::WITHDRAWN_PER_S * 2.0, "{rates:?}");
}

/// How many buys, alone at the best bid and placed anew every five seconds, are filled in part or in parts, of
/// how many that traded, within ten minutes of one pair.
fn filled_in_parts(split_share: f64) -> (usize, usize) {
    let catalog = catalog(1);
    let mut exchange = Exchange::new(ExchangeConfig {
        instruments: catalog.instruments(),
        seed: 3,
        cash_usd: Decimal::from(1_000_000),
        volume_30d_usd: Decimal::ZERO,
        recorded: false,
        start_us: 0,
    })
    .expect("an exchange");
    let clock = Clock { start_us: 0, speed: 1.0 };
    let mut generator = Generator::new(&catalog, 3, Scenario::Calm, clock);
    generator = generator.with_split_share(split_share);
    for second in 1..=600 {
        let now_us = second * 1_000_000;
        generator.run_until(now_us, &mut exchange);
        let open = exchange.account().open_orders().next().map(|order| order.txid.clone());
        if let Some(txid) = open.filter(|_| second % 5 == 0) {
            exchange.cancel_order(&OrderRef::Txid(txid), now_us).expect("it is open");
        }
        if exchange.account().open_orders().next().is_none() {
            let market = exchange.market(SymbolNo(0));
            let ask = market.top().ask.map(|(price, _)| Price(price.0 - market.instrument.tick.0));
            let mut buy = AddOrder::new(SymbolNo(0), Side::Buy, OrderKind::Limit);
            buy.limit = ask.map(|price| market.instrument.price(price));
            buy.qty = Some(Decimal::new(2, 3));
            exchange.add_order(&buy, now_us).expect("it is paid for");
        }
        exchange.take_events();
    }
    let traded = || exchange.account().orders().filter(|order| !order.trades.is_empty());
    let parts = traded().filter(|order| order.trades.len() > 1 || order.cum_qty < order.qty);
    (parts.count(), traded().count())
}

#[test]
fn takers_that_stop_within_an_order_fill_it_in_parts() {
    let (without, all) = filled_in_parts(0.0);
    let (with, of) = filled_in_parts(0.6);
    assert!(all >= 10 && of >= 10, "{all} and {of} filled");
    // Six of ten takers stop: half of the orders and more are filled in parts.
    assert!(
        with * 2 > of && with * all > without * of,
        "{with}/{of} with, {without}/{all} without"
    );
}

#[test]
fn a_calm_market_has_no_pulse() {
    let market = measure::run(&catalog(4), 9, Scenario::Calm, 120).expect("a market");
    for series in market {
        assert!(series.rises().is_empty());
        assert!(series.rv(119, 300).unwrap_or_default() < 10.0);
    }
}
