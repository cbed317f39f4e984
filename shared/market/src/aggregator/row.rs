//! A symbol's memory as a row of the state: windows, volatility, drift, regime, completeness.
//!
//! Features are floats in a fixed order of operations with the logarithm of `libm`; each is rounded
//! half-even to its column once, here, and is a decimal from there on.

use super::queue::Expected;
use super::symbol::SymbolState;
use super::window::COVERED_SECS_MIN;
use crate::config::FoldConfig;
use crate::regime::RegimeInputs;
use crate::units::{decimal_of, float};
use penstock_types::decimal::{from_feature, round_to, scale};
use penstock_types::state_row::StateRow;
use penstock_types::{Decimal, GenerationId, RunId, UtcMicros};

const BPS: f64 = 10_000.0;
/// Step of the returns behind the short volatilities, seconds.
const RETURN_SECS: usize = 10;
/// Returns of one minute, and of five.
const RETURNS_OF_MINUTE: usize = 6;
const RETURNS_OF_FIVE: usize = 30;
/// Least returns behind a volatility.
const RETURNS_MIN: u32 = 3;

/// Volatilities and drifts of a cut, in bps.
struct Movement {
    rv_1m: Option<f64>,
    rv_5m: Option<f64>,
    rv_15m: Option<f64>,
    rv_30m: Option<f64>,
    drift_1m: Option<f64>,
    drift_5m: Option<f64>,
    drift_15m: Option<f64>,
    trend: Option<f64>,
    expansion: Option<f64>,
}

/// Builds the row; `updated_at` is set by the caller, who knows the row before.
pub(super) fn build(
    state: &mut SymbolState,
    run_id: RunId,
    generation_id: GenerationId,
    as_of: UtcMicros,
    config: &FoldConfig,
) -> StateRow {
    // A cut belongs to the instant before it: at 12:00:10.000 the window ends with second :09.
    state.advance(as_of.0 - 1);
    state.seconds.settle(as_of.0);
    state.settle_mid();
    let moves = movement(state);
    let mut row = flow_row(state, run_id, generation_id, as_of);
    let bps = |v: Option<f64>| v.and_then(|v| from_feature(v, scale::BPS));
    let ratio = |v: Option<f64>| v.and_then(|v| from_feature(v, scale::RATIO));
    (row.rv_1m_bps, row.rv_5m_bps) = (bps(moves.rv_1m), bps(moves.rv_5m));
    (row.rv_15m_bps, row.rv_30m_bps) = (bps(moves.rv_15m), bps(moves.rv_30m));
    row.atr_15m_bps = bps(state.minutes.figures().atr_bps);
    (row.drift_1m_bps, row.drift_5m_bps) = (bps(moves.drift_1m), bps(moves.drift_5m));
    row.drift_15m_bps = bps(moves.drift_15m);
    (row.trend_strength, row.vol_expansion) = (ratio(moves.trend), ratio(moves.expansion));
    let (window_secs, covered_secs) = state.seconds.epoch_secs();
    let expected = Expected {
        as_of,
        covered_secs,
        window_secs,
        interval_ms: config.l3_sample_interval_ms,
        resyncs: state.seconds.epoch().l3_resyncs,
    };
    state.queue.fill(state.seconds.second(), &expected, &mut row);
    complete(state, &mut row, as_of, config);
    row
}

/// Everything that is a count, a sum or a copy; figures of movement and regime still empty.
fn flow_row(
    state: &SymbolState,
    run_id: RunId,
    generation_id: GenerationId,
    as_of: UtcMicros,
) -> StateRow {
    let (minute, five, epoch) =
        (state.seconds.minute(), state.seconds.five_minutes(), state.seconds.epoch());
    let spread = state.seconds.spread_figures();
    let is_covered = state.seconds.covered_secs() >= COVERED_SECS_MIN;
    let amount = |units: i128| decimal_of(units, scale::AMT).filter(|_| is_covered);
    let (buy, sell) = (minute.buy_quote, minute.sell_quote);
    let ofi = (is_covered && buy + sell > 0).then(|| float(buy - sell) / float(buy + sell));
    let vwap = vwap(five.buy_quote + five.sell_quote, five.base).filter(|_| is_covered);
    let count = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
    let newest = state.newest_message().unwrap_or(state.since);
    let bps = |i: usize| spread.and_then(|s| from_feature(s[i], scale::BPS));
    StateRow {
        run_id,
        generation_id,
        updated_at: as_of,
        msg_age_ms: i32::try_from(as_of.millis_since(newest).max(0)).unwrap_or(i32::MAX),
        last_ticker_at: state.ticker.last_at,
        last_trade_at: state.trade.last_at,
        last_l2_at: state.l2.last_at,
        ticker_count: state.ticker.rows,
        trade_count: state.trade.rows,
        l2_count: state.l2.rows,
        ticker_count_w: count(epoch.tickers),
        trade_count_w: count(epoch.trades),
        l2_count_w: count(epoch.l2),
        bid: state.top.bid,
        ask: state.top.ask,
        mid: state.top.mid,
        last: state.last,
        bid_qty: state.top.bid_qty,
        ask_qty: state.top.ask_qty,
        spread_bps: state.book.spread_bps,
        spread_avg_bps: bps(0),
        spread_std_bps: bps(1),
        spread_p90_bps: bps(2),
        microprice_dev_bps: state.book.microprice_dev_bps,
        imbalance_l1: state.book.imbalance_l1,
        imbalance_10: state.book.imbalance_10,
        depth_bid_10bps_quote: state.book.depth_bid,
        depth_ask_10bps_quote: state.book.depth_ask,
        trades_1m: count(minute.trades),
        trades_5m: count(five.trades),
        buy_quote_1m: amount(buy),
        sell_quote_1m: amount(sell),
        ofi_1m: ofi.and_then(|v| from_feature(v, scale::RATIO)),
        vwap_5m: vwap,
        vwap_dev_bps: deviation_bps(state.top.mid, vwap),
        book_ok: state.book_ok,
        checksum_fail_w: count(epoch.checksum_fails),
        ..StateRow::absent(&state.symbol)
    }
}

/// Regime and completeness, from the rounded figures of the row.
fn complete(state: &mut SymbolState, row: &mut StateRow, as_of: UtcMicros, config: &FoldConfig) {
    let inputs = RegimeInputs {
        spread_avg_bps: row.spread_avg_bps,
        rv_5m_bps: row.rv_5m_bps,
        trend_strength: row.trend_strength,
        depth_bid_quote: row.depth_bid_10bps_quote,
        depth_ask_quote: row.depth_ask_10bps_quote,
        trades_5m: row.trades_5m,
        book_ok: row.book_ok,
    };
    let regime = state.regime.step(&inputs, as_of, &config.regime);
    (row.regime, row.regime_sub, row.regime_since) = (regime.regime, regime.sub, regime.since);
    (row.regime_prev, row.regime_confidence) = (regime.previous, regime.confidence);
    let needs = [
        ("spread_avg_bps", row.spread_avg_bps.is_some()),
        ("microprice_dev_bps", row.microprice_dev_bps.is_some()),
        ("rv_5m_bps", row.rv_5m_bps.is_some()),
        ("book_ok", row.book_ok),
        ("l2_samples", state.l2_lineage >= config.l2_samples_min),
    ];
    row.missing_features = needs.iter().filter(|n| !n.1).map(|n| n.0.to_owned()).collect();
    row.feature_complete = row.missing_features.is_empty();
}

fn vwap(quote_units: i128, base_units: i128) -> Option<Decimal> {
    if base_units <= 0 {
        return None;
    }
    let quote = decimal_of(quote_units, scale::AMT)?;
    let base = decimal_of(base_units, scale::QTY)?;
    quote.checked_div(base).map(|d| round_to(d, scale::PX))
}

fn deviation_bps(mid: Option<Decimal>, vwap: Option<Decimal>) -> Option<Decimal> {
    let (mid, vwap) = (mid?, vwap?);
    let ratio = mid.checked_div(vwap)?.checked_sub(Decimal::ONE)?;
    ratio.checked_mul(Decimal::from(10_000)).map(|d| round_to(d, scale::BPS))
}

fn movement(state: &SymbolState) -> Movement {
    let (rv_1m, rv_5m) = rv_short(state);
    let minutes = state.minutes.figures();
    let rv_long = |of_minutes: Option<(f64, usize)>| {
        let enough = of_minutes.filter(|&(_, count)| count >= 3);
        enough.map(|(rms, _)| rms * BPS).or(rv_5m)
    };
    let (rv_15m, rv_30m) = (rv_long(minutes.rms_15), rv_long(minutes.rms_30));
    let drift = |secs: i64| drift_short(state, secs).map(|(d, _)| d);
    let long = drift_long(state);
    let trend = match (long, rv_15m) {
        (Some((drift, minutes)), Some(rv)) => {
            Some((drift.abs() / (rv * minutes.sqrt()).max(1.0)).clamp(0.0, 3.0))
        }
        (Some(_) | None, None) | (None, Some(_)) => None,
    };
    Movement {
        rv_1m,
        rv_5m,
        rv_15m,
        rv_30m,
        drift_1m: drift(60),
        drift_5m: drift(300),
        drift_15m: long.map(|(drift, _)| drift),
        trend,
        expansion: rv_5m.zip(rv_30m).map(|(short, long)| short / long.max(1.0)),
    }
}

/// Log mid `back` seconds before the cut; 0 is the cut itself.
fn log_mid(state: &SymbolState, back: i64) -> f64 {
    if back == 0 { state.log_mid } else { state.seconds.log_mid_back(back) }
}

/// Root mean squares of the ten-second log returns of one and of five minutes, counted back from the cut,
/// in bps per √minute. The minute is the beginning of the five, so one walk gives both.
fn rv_short(state: &SymbolState) -> (Option<f64>, Option<f64>) {
    let rv = |sum: f64, count: u32| {
        (count >= RETURNS_MIN).then(|| (sum / f64::from(count)).sqrt() * 6.0_f64.sqrt() * BPS)
    };
    let (mut sum, mut count, mut of_minute) = (0.0, 0_u32, None);
    let mut newer = log_mid(state, 0);
    for (n, older) in state.seconds.log_mids_back(RETURN_SECS).take(RETURNS_OF_FIVE).enumerate() {
        let r = newer - older;
        if r.is_finite() {
            sum += r * r;
            count += 1;
        }
        newer = older;
        if n + 1 == RETURNS_OF_MINUTE {
            of_minute = rv(sum, count);
        }
    }
    (of_minute, rv(sum, count))
}

/// Log return from the oldest known mid within the window, in bps, with the seconds that it spans.
fn drift_short(state: &SymbolState, window_secs: i64) -> Option<(f64, i64)> {
    let oldest = window_secs.min(state.seconds.covered_secs());
    let newest = log_mid(state, 0);
    (COVERED_SECS_MIN..=oldest).rev().find_map(|back| {
        let drift = newest - log_mid(state, back);
        drift.is_finite().then_some((drift * BPS, back))
    })
}

/// Log return of up to 15 minutes in bps, with the minutes that it spans.
fn drift_long(state: &SymbolState) -> Option<(f64, f64)> {
    const WINDOW_SECS: i64 = 900;
    let current = (state.now_us).div_euclid(1_000_000);
    let in_minutes = state.minutes.oldest_mid_since(current - WINDOW_SECS);
    let by_seconds = drift_short(state, 300);
    let by_minutes = in_minutes.and_then(|(second, mid)| {
        let drift = log_mid(state, 0) - mid;
        drift.is_finite().then_some((drift * BPS, current - second))
    });
    let longest = match (by_seconds, by_minutes) {
        (Some(a), Some(b)) => Some(if b.1 > a.1 { b } else { a }),
        (a, b) => a.or(b.filter(|b| b.1 >= COVERED_SECS_MIN)),
    };
    longest.map(|(drift, secs)| (drift, float(i128::from(secs)) / 60.0))
}
