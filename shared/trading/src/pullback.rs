//! Entry filters of the maker form of Momentum's pullback: they only block.
//!
//! Purpose: the microstructure that this one form wants. Inputs: the window over quotes, the state's pace and distance
//! to the volume-weighted price. Outputs: every filter that does not pass. Invariants: pure; what cannot be judged does
//! not pass.

use penstock_types::Decimal;
use penstock_types::state_row::StateRow;
use penstock_types::vocab::ReasonCode;

use crate::decide::config::PullbackConfig;
use crate::windows::QuoteWindow;

/// Filters that do not pass, in their order: spread, its widening, imbalance, pace, distance.
#[must_use]
pub fn failing(
    window: Option<&QuoteWindow>,
    state: &StateRow,
    config: &PullbackConfig,
) -> Vec<ReasonCode> {
    let mut failing = Vec::new();
    let mut pass = |passes: bool, reason: ReasonCode| {
        if !passes {
            failing.push(reason);
        }
    };
    match window.filter(|window| window.is_whole()) {
        Some(window) => {
            let bps = |value: i32| Decimal::from(value);
            let tight = bps(window.spread_now_bps) <= config.max_spread_bps;
            pass(tight, ReasonCode::StratSpreadTooWide);
            let steady = bps(window.spread_p90_delta_bps) <= config.max_delta_spread_bps_10s;
            pass(steady, ReasonCode::StratSpreadOpening);
            let bought = i64::from(window.imbalance_p50_x10000) >= config.min_imbalance_x10000;
            pass(bought, ReasonCode::StratImbalanceAgainst);
        }
        None => pass(false, ReasonCode::StratMissingField),
    }
    // 5·trades_1m / trades_5m, without the division.
    let (minute, five) = (i64::from(state.trades_1m), i64::from(state.trades_5m));
    let lively = five > 0 && 50_000 * minute >= config.min_volume_ratio_x10000 * five;
    pass(lively, ReasonCode::StratVolumeLow);
    let below = state.vwap_dev_bps.map(|deviation| -deviation);
    let in_zone = below.is_some_and(|below| below >= config.min_bps && below <= config.max_bps);
    pass(in_zone, ReasonCode::StratPullbackFail);
    failing
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{calm, dec, window};

    type Change = fn(&mut QuoteWindow, &mut StateRow);

    /// Each filter at its limit and one step beyond, alone: the change, then what does not pass.
    const VECTORS: &[(&str, Change, &[ReasonCode])] = &[
        ("all at their limits", |_, _| (), &[]),
        ("spread", |w, _| w.spread_now_bps = 21, &[ReasonCode::StratSpreadTooWide]),
        ("widening", |w, _| w.spread_p90_delta_bps = 6, &[ReasonCode::StratSpreadOpening]),
        ("imbalance", |w, _| w.imbalance_p50_x10000 = 5_499, &[ReasonCode::StratImbalanceAgainst]),
        ("pace", |_, s| s.trades_5m = 251, &[ReasonCode::StratVolumeLow]),
        ("no trade", |_, s| (s.trades_1m, s.trades_5m) = (0, 0), &[ReasonCode::StratVolumeLow]),
        (
            "too near",
            |_, s| s.vwap_dev_bps = Some(dec("-9.9999")),
            &[ReasonCode::StratPullbackFail],
        ),
        ("far edge", |_, s| s.vwap_dev_bps = Some(dec("-80")), &[]),
        (
            "too far",
            |_, s| s.vwap_dev_bps = Some(dec("-80.0001")),
            &[ReasonCode::StratPullbackFail],
        ),
        ("above", |_, s| s.vwap_dev_bps = Some(dec("20")), &[ReasonCode::StratPullbackFail]),
        ("unknown", |_, s| s.vwap_dev_bps = None, &[ReasonCode::StratPullbackFail]),
        ("window", |w, _| w.samples = 99, &[ReasonCode::StratMissingField]),
        (
            "two",
            |w, s| {
                w.spread_now_bps = 40;
                s.vwap_dev_bps = None;
            },
            &[ReasonCode::StratSpreadTooWide, ReasonCode::StratPullbackFail],
        ),
    ];

    #[test]
    fn filter_vectors() {
        for (name, change, wanted) in VECTORS {
            // given: every figure at the limit that still passes
            let (mut window, mut state) = (window(0), calm(0));
            window.spread_now_bps = 20;
            window.spread_p90_delta_bps = 5;
            window.imbalance_p50_x10000 = 5_500;
            (state.trades_1m, state.trades_5m) = (60, 250);
            state.vwap_dev_bps = Some(dec("-10"));

            // when
            change(&mut window, &mut state);

            // then
            let found = failing(Some(&window), &state, &PullbackConfig::default());
            assert_eq!(&found, wanted, "{name}");
        }
    }
}
