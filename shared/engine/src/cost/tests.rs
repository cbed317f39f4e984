//! Components by hand, the cascade term, bounds, and what a profile never has.

use super::*;
use crate::feature::FeatureFrame;
use proptest::prelude::*;

fn weights(profile: Profile, has_spot: bool) -> Weights {
    Weights { profile, w_oi: 10_000, w_funding: 10_000, has_spot }
}

fn tier(threshold_multiplier: i64) -> TierContext {
    TierContext { threshold_multiplier, decay_multiplier: 10_000 }
}

/// The cost after the memories have settled.
fn settled(weights: Weights, features: &FeatureFrame, tier: TierContext) -> CostState {
    let mut state = CostState::default();
    for _ in 0..300 {
        state.update(&EngineConfig::default(), &weights, features, tier);
    }
    state
}

fn tense() -> FeatureFrame {
    FeatureFrame {
        oi_velocity: Some(10_000),
        oi_chg_60s: Some(1_000_000),
        funding_abs: Some(1_500_000_000),
        mark_vs_mid: Some(-300_000),
        basis: Some(-600_000),
        liq_share: 2_000_000,
        delta_abs_ratio: 80_000_000,
        vol_ratio: Some(10_000),
        range_ratio: Some(10_000),
        range_f_ratio: Some(8_000),
        spread_ratio: Some(10_000),
        ..FeatureFrame::blank()
    }
}

#[test]
fn without_any_evidence_a_market_is_expensive() {
    let blank = FeatureFrame::blank();
    let state = settled(weights(Profile::Deriv, true), &blank, tier(10_000));
    assert_eq!((state.cost(), state.components()), (1_000_000, [0; 4]));
    assert_eq!(settled(weights(Profile::Deriv, true), &blank, tier(12_000)).cost(), 1_000_000);
    assert_eq!(settled(weights(Profile::Deriv, true), &blank, tier(8_500)).cost(), 850_000);
}

#[test]
fn full_leverage_and_tension_weigh_two_thirds() {
    let config = EngineConfig::default();
    let all = weights(Profile::Deriv, true);
    assert_eq!(density(&config, &all, &tense()), 1_000_000);
    assert_eq!(divergence(&config, &all, &tense()), 1_000_000);
    assert_eq!((elasticity(&config, &tense()), compression(&config, &tense())), (0, 0));
    let cost = settled(all, &tense(), tier(10_000)).cost();
    // Memories come to rest one truncation below their limit.
    assert!((350_000..350_100).contains(&cost), "{cost}");
}

#[test]
fn a_running_cascade_is_cheap_whatever_leverage_says() {
    let gives_way = FeatureFrame {
        spread_ratio: Some(40_000),
        range_f_ratio: Some(20_000),
        vol_ratio: Some(50_000),
        range_ratio: Some(30_000),
        ..FeatureFrame::blank()
    };
    let cost = settled(weights(Profile::Deriv, true), &gives_way, tier(10_000)).cost();
    assert!((100_000..100_100).contains(&cost), "{cost}");
}

#[test]
fn one_tick_of_memory_is_a_tenth() {
    let mut state = CostState::default();
    let all = weights(Profile::Deriv, true);
    state.update(&EngineConfig::default(), &all, &tense(), tier(10_000));
    assert_eq!(state.components(), [100_000, 100_000, 0, 0]);
    // 1,000,000 less (35 × 100,000 + 30 × 100,000) / 100.
    assert_eq!(state.cost(), 935_000);
}

#[test]
fn class_weights_act_on_open_interest_and_funding_and_keep_the_divisor() {
    let config = EngineConfig::default();
    let half = Weights { w_oi: 5_000, w_funding: 3_000, ..weights(Profile::Deriv, true) };
    // (3 × 5,000 + 3 × 5,000 + 4 × 3,000) × 100 / 10.
    assert_eq!(density(&config, &half, &tense()), 420_000);
}

#[test]
fn a_missing_input_keeps_its_weight_and_a_structural_absence_loses_it() {
    let config = EngineConfig::default();
    let stale = FeatureFrame { mark_vs_mid: None, ..tense() };
    assert_eq!(divergence(&config, &weights(Profile::Deriv, true), &stale), 600_000);
    let no_basis = FeatureFrame { basis: None, ..tense() };
    assert_eq!(divergence(&config, &weights(Profile::Deriv, true), &no_basis), 800_000);
    assert_eq!(divergence(&config, &weights(Profile::Deriv, false), &no_basis), 1_000_000);
    // Spot alone: the flow is all there is.
    assert_eq!(divergence(&config, &weights(Profile::SpotOnly, true), &tense()), 1_000_000);
    let thin = FeatureFrame { vol_ratio: Some(2_500), ..tense() };
    assert_eq!(divergence(&config, &weights(Profile::SpotOnly, true), &thin), 250_000);
}

#[test]
fn spot_alone_divides_by_the_weights_that_are_left() {
    let state = settled(weights(Profile::SpotOnly, true), &tense(), tier(10_000));
    let divergence = i64::from(state.components()[1]);
    assert_eq!(state.components()[0], 0);
    assert_eq!(i64::from(state.cost()), 1_000_000 - 30 * divergence / 65);
}

#[test]
fn a_dead_market_is_not_a_compressed_one() {
    let config = EngineConfig::default();
    let small = FeatureFrame {
        range_ratio: Some(0),
        vol_ratio: Some(0),
        spread_ratio: Some(0),
        ..FeatureFrame::blank()
    };
    assert_eq!(compression(&config, &small), 1_000_000);
    assert_eq!(compression(&config, &FeatureFrame::blank()), 0);
}

proptest! {
    #[test]
    fn cost_and_components_are_scores(
        numbers in proptest::array::uniform12(proptest::option::of(any::<i64>())),
        multiplier in 1_i64..=100_000, n in 1_usize..40, spot in any::<bool>(),
    ) {
        let wide = numbers.map(|x| x.map(|x| x.clamp(-1_000_000_000_000, 1_000_000_000_000)));
        let [oi_velocity, oi_chg_60s, funding_abs, mark_vs_mid, basis, vol_ratio, range_ratio, range_f_ratio,
            spread_ratio, liq, delta, _] = wide;
        let features = FeatureFrame {
            oi_velocity, oi_chg_60s, funding_abs, mark_vs_mid, basis, vol_ratio, range_ratio, range_f_ratio,
            spread_ratio, liq_share: liq.unwrap_or(0), delta_abs_ratio: delta.unwrap_or(0),
            ..FeatureFrame::blank()
        };
        let profile = if spot { Profile::SpotOnly } else { Profile::Deriv };
        let mut state = CostState::default();
        for _ in 0..n {
            state.update(&EngineConfig::default(), &weights(profile, true), &features, tier(multiplier));
            prop_assert!((0..=1_000_000).contains(&state.cost()));
            prop_assert!(state.components().iter().all(|part| (0..=1_000_000).contains(part)));
        }
    }
}
