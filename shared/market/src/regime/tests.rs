//! Vectors of every class, both sides of every limit, and the hysteresis second by second.

use super::*;
use rstest::rstest;

fn inputs(spread: i64, rv: i64, trend: i64, depth: i64, trades: i32) -> RegimeInputs {
    RegimeInputs {
        spread_avg_bps: Some(Decimal::new(spread, 1)),
        rv_5m_bps: Some(Decimal::new(rv, 1)),
        trend_strength: Some(Decimal::new(trend, 2)),
        depth_bid_quote: Some(Decimal::from(depth)),
        depth_ask_quote: Some(Decimal::from(depth + 1)),
        trades_5m: trades,
        book_ok: true,
    }
}

fn at(secs: i64) -> UtcMicros {
    UtcMicros(secs * 1_000_000)
}

#[rstest]
#[case::chaos_by_spread(800, 0, 0, 9_000, 50, Regime::Chaos, "1")]
#[case::chaos_by_volatility(20, 400, 0, 9_000, 50, Regime::Chaos, "1")]
#[case::chaos_comes_before_thin(20, 400, 0, 1, 0, Regime::Chaos, "1")]
#[case::thin_by_trades(20, 50, 0, 9_000, 9, Regime::LowLiquidity, "0.3")]
#[case::thin_by_depth(20, 50, 0, 2_500, 50, Regime::LowLiquidity, "0.5")]
#[case::thin_by_spread(400, 50, 0, 9_000, 50, Regime::LowLiquidity, "0.3")]
#[case::high_volatility(20, 300, 0, 9_000, 50, Regime::HighVolatility, "0.5")]
#[case::trend(20, 50, 120, 9_000, 60, Regime::Trend, "0.5")]
#[case::trend_needs_trades(20, 50, 120, 9_000, 29, Regime::Range, "0.3")]
#[case::range(20, 50, 20, 9_000, 50, Regime::Range, "0.75")]
#[case::just_below_every_limit(399, 199, 79, 5_000, 10, Regime::Range, "0.666667")]
fn each_class_has_its_condition_and_margin(
    #[case] spread: i64,
    #[case] rv: i64,
    #[case] trend: i64,
    #[case] depth: i64,
    #[case] trades: i32,
    #[case] want: Regime,
    #[case] confidence: &str,
) {
    let mut state = RegimeState::default();
    let got =
        state.step(&inputs(spread, rv, trend, depth, trades), at(0), &RegimeThresholds::default());
    assert_eq!(got.regime, want);
    assert_eq!(got.confidence.normalize().to_string(), confidence);
    assert_eq!(got.since, at(0));
}

#[test]
fn a_new_class_waits_ten_seconds_and_a_return_starts_the_wait_again() {
    let limits = RegimeThresholds::default();
    let (calm, wild) = (inputs(20, 50, 0, 9_000, 50), inputs(20, 250, 0, 9_000, 50));
    let mut state = RegimeState::default();
    assert_eq!(state.step(&calm, at(0), &limits).regime, Regime::Range);
    for second in 1..=9 {
        assert_eq!(state.step(&wild, at(second), &limits).regime, Regime::Range);
    }
    assert_eq!(state.step(&calm, at(10), &limits).regime, Regime::Range);
    for second in 11..=20 {
        assert_eq!(state.step(&wild, at(second), &limits).regime, Regime::Range, "{second}");
    }
    let adopted = state.step(&wild, at(21), &limits);
    assert_eq!((adopted.regime, adopted.since), (Regime::HighVolatility, at(21)));
    assert_eq!(adopted.previous, Some(Regime::Range));
}

#[test]
fn a_class_ends_only_when_its_condition_fails_by_ten_percent() {
    let limits = RegimeThresholds::default();
    let mut state = RegimeState::default();
    state.step(&inputs(20, 250, 0, 9_000, 50), at(0), &limits);
    for second in 1..60 {
        let got = state.step(&inputs(20, 180, 0, 9_000, 50), at(second), &limits);
        assert_eq!(got.regime, Regime::HighVolatility, "18.0 is within the margin");
    }
    for second in 60..70 {
        state.step(&inputs(20, 179, 0, 9_000, 50), at(second), &limits);
    }
    let got = state.step(&inputs(20, 179, 0, 9_000, 50), at(70), &limits);
    assert_eq!(got.regime, Regime::Range);
}

#[test]
fn chaos_is_entered_at_once_and_left_after_a_minute() {
    let limits = RegimeThresholds::default();
    let calm = inputs(20, 50, 0, 9_000, 50);
    let mut state = RegimeState::default();
    state.step(&calm, at(0), &limits);
    let chaos = state.step(&inputs(20, 400, 150, 9_000, 50), at(1), &limits);
    assert_eq!((chaos.regime, chaos.sub), (Regime::Chaos, Some(RegimeSub::ChaosDirectional)));
    for second in 2..62 {
        assert_eq!(state.step(&calm, at(second), &limits).regime, Regime::Chaos, "{second}");
    }
    assert_eq!(state.step(&calm, at(62), &limits).regime, Regime::Range);
}

#[test]
fn missing_figures_keep_the_class_and_the_first_complete_ones_replace_the_placeholder() {
    let limits = RegimeThresholds::default();
    let trend = inputs(20, 50, 120, 9_000, 60);
    let mut state = RegimeState::default();
    let blind = RegimeInputs { rv_5m_bps: None, ..trend };
    let first = state.step(&blind, at(0), &limits);
    assert_eq!((first.regime, first.confidence), (Regime::LowLiquidity, CONFIDENCE_MIN));
    let second = state.step(&trend, at(1), &limits);
    assert_eq!((second.regime, second.previous), (Regime::Trend, None));
    let broken = RegimeInputs { book_ok: false, ..inputs(20, 400, 0, 9_000, 50) };
    let third = state.step(&broken, at(2), &limits);
    assert_eq!((third.regime, third.confidence), (Regime::Trend, CONFIDENCE_MIN));
}
