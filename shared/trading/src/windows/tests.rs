//! Windows over made-up quotes: bounds, percentiles, what is old.

use super::*;
use crate::fixtures::{dec, symbol};
use proptest::prelude::*;

fn quote(bid: &str, ask: &str, bid_qty: i64, ask_qty: i64) -> Quote {
    Quote {
        symbol: symbol(0),
        bid: dec(bid),
        ask: dec(ask),
        bid_qty: bid_qty.into(),
        ask_qty: ask_qty.into(),
        tick_id: TickId(2),
        seq: 1,
    }
}

fn fed(count: i64, of: impl Fn(i64) -> Quote) -> QuoteWindows {
    let mut windows = QuoteWindows::new();
    for i in 1..=count {
        windows.tick(TickId(i * TICKS_PER_SAMPLE), [&of(i)]);
    }
    windows
}

#[test]
fn a_tight_market_has_one_basis_point_and_fifty_seconds_make_a_window() {
    // given: 0.1 bps of spread, twice as much on the bid
    let tight = |_| quote("99999.5", "100000.5", 20, 10);

    // when, then
    let figures = |n| fed(n, tight).figures().remove(0);
    assert!(!figures(99).is_whole());
    let whole = figures(100);
    assert!(whole.is_whole());
    assert_eq!((whole.spread_p50_bps, whole.spread_p90_bps, whole.spread_now_bps), (1, 1, 1));
    assert_eq!(whole.imbalance_p50_x10000, 6_667);
    assert_eq!((whole.microvol_bps, whole.spread_p90_delta_bps), (0, 0));
}

#[test]
fn only_every_second_tick_is_sampled_and_no_tick_twice() {
    let mut windows = QuoteWindows::new();
    for tick in 1..=20 {
        for _ in 0..2 {
            windows.tick(TickId(tick), [&quote("99", "101", 1, 1)]);
        }
    }
    assert_eq!(windows.figures()[0].samples, 10);
}

#[test]
fn a_withdrawn_quote_gives_no_sample_and_old_samples_end() {
    // given: a whole window, then a minute in which only another symbol has a quote
    let mut windows = fed(120, |_| quote("99", "101", 1, 1));
    let other = Quote { symbol: symbol(1), ..quote("99", "101", 1, 1) };

    // when
    for i in 121..=239 {
        windows.tick(TickId(i * TICKS_PER_SAMPLE), [&other]);
    }

    // then: one sample is left, and after the next tick none
    assert_eq!(windows.figures()[0].samples, 1);
    windows.tick(TickId(240 * TICKS_PER_SAMPLE), [&other]);
    assert_eq!(windows.figures().len(), 1);
}

#[test]
fn the_spread_of_ten_seconds_ago_is_what_the_last_one_is_measured_against() {
    // given: 2 bps for 100 samples, then 12 bps for the 20 samples of ten seconds
    let opening =
        |i| if i <= 100 { quote("99.99", "100.01", 1, 3) } else { quote("99.94", "100.06", 1, 3) };

    // when
    let figures = fed(120, opening).figures().remove(0);

    // then: a sixth of the window is wide, so its 90th percentile is
    assert_eq!((figures.spread_p50_bps, figures.spread_p90_bps), (2, 12));
    assert_eq!(figures.spread_p90_delta_bps, 10);
    assert_eq!(figures.imbalance_p50_x10000, 2_500);
}

#[test]
fn volatility_is_the_root_of_the_mean_square_and_its_normal_the_median_of_minutes() {
    // given: mids that go up and down by 10 bps
    let swinging = |i: i64| {
        if i % 2 == 0 { quote("99.99", "100.01", 1, 1) } else { quote("100.09", "100.11", 1, 1) }
    };

    // when: ten minutes
    let figures = fed(1_200, swinging).figures().remove(0);

    // then
    assert_eq!(figures.microvol_bps, 10);
    assert_eq!(figures.microvol_normal_bps, Some(10));
}

/// Nearest rank, written a second time from its definition.
fn by_definition(values: &[i32], percent: usize) -> i32 {
    let mut values = values.to_vec();
    values.sort_unstable();
    let n = values.len();
    *values
        .iter()
        .enumerate()
        .find(|(at, _)| (at + 1) * 100 >= percent * n)
        .map(|(_, v)| v)
        .unwrap()
}

proptest! {
    #[test]
    fn percentiles(values in proptest::collection::vec(1_i32..10_000, 1..200), percent in 1_usize..=100) {
        let ascending = sorted(values.iter().copied());
        let found = percentile(&ascending, percent).unwrap();
        prop_assert_eq!(found, by_definition(&values, percent));
        let at_most = values.iter().filter(|v| **v <= found).count();
        prop_assert!(at_most * 100 >= percent * values.len());
    }

    #[test]
    fn figures_are_of_the_samples_and_stay_within_their_bounds(
        spreads in proptest::collection::vec((1_i64..500, 0_i64..50, 1_i64..50), 1..300),
    ) {
        let of = |i: i64| {
            let (half, bid_qty, ask_qty) = spreads[usize::try_from(i - 1).unwrap()];
            let mid = Decimal::from(100);
            let half = Decimal::new(half, 2);
            Quote { bid: mid - half / Decimal::from(10), ask: mid + half / Decimal::from(10),
                bid_qty: bid_qty.into(), ask_qty: ask_qty.into(), ..quote("1", "2", 1, 1) }
        };
        let n = i64::try_from(spreads.len()).unwrap();
        let figures = fed(n, of).figures().remove(0);
        prop_assert_eq!(figures.samples, n.min(120));
        prop_assert!(figures.spread_p50_bps >= 1);
        prop_assert!(figures.spread_p90_bps >= figures.spread_p50_bps);
        prop_assert!((0..=10_000).contains(&figures.imbalance_p50_x10000));
        prop_assert!(figures.microvol_bps >= 0);
    }
}
