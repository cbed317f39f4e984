//! Conditions at their bounds, persistence, pre-emption, and that a missing input is no evidence.

use super::*;
use crate::feature::FeatureFrame;
use proptest::prelude::*;

fn quiet() -> FeatureFrame {
    FeatureFrame::blank()
}

fn expansion() -> FeatureFrame {
    FeatureFrame {
        range_ratio: Some(18_000),
        vol_ratio: Some(20_000),
        spread_ratio: Some(15_000),
        ..quiet()
    }
}

fn overleveraged() -> FeatureFrame {
    FeatureFrame {
        oi_velocity: Some(3_000),
        funding_abs: Some(300_000_000),
        oi_chg_60s: Some(200_000),
        ..quiet()
    }
}

fn exhausted() -> FeatureFrame {
    FeatureFrame {
        oi_chg_60s: Some(-1_000_000),
        liq_share: 3_000_000,
        vol_ratio: Some(30_000),
        ..quiet()
    }
}

fn compressed() -> FeatureFrame {
    FeatureFrame {
        range_ratio: Some(5_000),
        vol_ratio: Some(6_000),
        spread_ratio: Some(9_000),
        ..quiet()
    }
}

fn config(compressed: bool) -> EngineConfig {
    let mut config = EngineConfig::default();
    config.tier.compressed_enabled = compressed;
    config
}

/// Ticks of `features` until the tier changes; `None` within 2,000.
fn changes(state: &mut TierState, config: &EngineConfig, features: &FeatureFrame) -> Option<u32> {
    let before = state.tier();
    (1..=2_000).find(|_| {
        state.update(config, features);
        state.tier() != before
    })
}

#[test]
fn a_tier_is_entered_at_its_bounds_after_its_ticks() {
    for (features, tier, ticks) in [
        (expansion(), Tier::Expansion, 20),
        (compressed(), Tier::Compressed, 40),
        (overleveraged(), Tier::Overleveraged, 40),
        (exhausted(), Tier::Exhausted, 4),
    ] {
        let mut state = TierState::default();
        assert_eq!(changes(&mut state, &config(true), &features), Some(ticks), "{tier:?}");
        assert_eq!(state.tier(), tier);
    }
}

#[test]
fn one_unit_beyond_a_bound_is_not_enough() {
    let e = expansion();
    let o = overleveraged();
    let x = exhausted();
    let c = compressed();
    for features in [
        FeatureFrame { range_ratio: Some(17_999), ..e },
        FeatureFrame { vol_ratio: Some(19_999), ..e },
        FeatureFrame { spread_ratio: Some(15_001), ..e },
        FeatureFrame { oi_velocity: Some(2_999), ..o },
        FeatureFrame { funding_abs: Some(299_999_999), ..o },
        FeatureFrame { oi_chg_60s: Some(199_999), ..o },
        FeatureFrame { oi_chg_60s: Some(-999_999), ..x },
        FeatureFrame { liq_share: 2_999_999, ..x },
        FeatureFrame { vol_ratio: Some(29_999), ..x },
        FeatureFrame { range_ratio: Some(5_001), ..c },
        FeatureFrame { vol_ratio: Some(6_001), ..c },
        FeatureFrame { spread_ratio: Some(9_001), ..c },
        // Missing is no evidence, also where a low value would be.
        FeatureFrame { spread_ratio: None, ..e },
        FeatureFrame { range_ratio: None, ..c },
        FeatureFrame { oi_chg_60s: None, ..x },
        FeatureFrame { funding_abs: None, ..o },
    ] {
        assert_eq!(changes(&mut TierState::default(), &config(true), &features), None);
    }
}

#[test]
fn a_tier_is_held_under_relaxed_conditions_and_left_late() {
    let held = |features: FeatureFrame, hold: FeatureFrame, lost: FeatureFrame, m: u32| {
        let config = config(true);
        let mut state = TierState::default();
        changes(&mut state, &config, &features).unwrap();
        let tier = state.tier();
        assert_eq!(changes(&mut state, &config, &hold), None, "{tier:?} is held");
        assert_eq!(changes(&mut state, &config, &lost), Some(m), "{tier:?} is left");
        assert_eq!(state.tier(), Tier::Neutral);
    };
    let (e, o, x) = (expansion(), overleveraged(), exhausted());
    let hold = FeatureFrame {
        range_ratio: Some(14_400),
        vol_ratio: Some(16_000),
        spread_ratio: Some(90_000),
        ..e
    };
    held(e, hold, FeatureFrame { range_ratio: Some(14_399), ..hold }, 40);
    held(e, hold, FeatureFrame { vol_ratio: Some(15_999), ..hold }, 40);
    let hold = FeatureFrame {
        oi_velocity: Some(2_400),
        funding_abs: Some(240_000_000),
        oi_chg_60s: Some(160_000),
        ..o
    };
    held(o, hold, FeatureFrame { oi_velocity: Some(2_399), ..hold }, 80);
    held(o, hold, FeatureFrame { funding_abs: Some(239_999_999), ..hold }, 80);
    held(o, hold, FeatureFrame { oi_chg_60s: Some(159_999), ..hold }, 80);
    let hold =
        FeatureFrame { oi_chg_60s: Some(-800_000), liq_share: 2_400_000, vol_ratio: None, ..x };
    held(x, hold, FeatureFrame { oi_chg_60s: Some(-799_999), ..hold }, 1_200);
    held(x, hold, FeatureFrame { liq_share: 2_399_999, ..hold }, 1_200);
    let c = compressed();
    let hold = FeatureFrame { range_ratio: Some(6_000), vol_ratio: Some(7_200), ..c };
    held(c, hold, FeatureFrame { range_ratio: Some(6_001), ..hold }, 80);
    held(c, hold, FeatureFrame { vol_ratio: Some(7_201), ..hold }, 80);
}

#[test]
fn a_higher_tier_pre_empts_and_a_lower_one_waits() {
    let config = config(false);
    let mut state = TierState::default();
    changes(&mut state, &config, &expansion()).unwrap();
    let both = FeatureFrame { liq_share: 0, vol_ratio: Some(20_000), ..expansion() };
    let dense = FeatureFrame {
        oi_velocity: Some(3_000),
        funding_abs: Some(300_000_000),
        oi_chg_60s: Some(200_000),
        ..both
    };
    assert_eq!(changes(&mut state, &config, &dense), Some(40));
    assert_eq!(state.tier(), Tier::Overleveraged);
    // EXPANSION's condition still holds, but its code is lower.
    assert_eq!(changes(&mut state, &config, &dense), None);
    assert_eq!(changes(&mut state, &config, &exhausted()), Some(4));
    assert_eq!(state.tier(), Tier::Exhausted);
    assert_eq!(changes(&mut state, &config, &expansion()), Some(1_200));
    assert_eq!(state.tier(), Tier::Neutral, "the way back is to NEUTRAL");
    assert_eq!(changes(&mut state, &config, &expansion()), Some(1));
}

#[test]
fn the_fifth_tier_is_off_unless_it_is_switched_on() {
    assert_eq!(changes(&mut TierState::default(), &config(false), &compressed()), None);
}

#[test]
fn a_tier_does_to_thresholds_what_the_table_says() {
    let tiers = TierConfig::default();
    let row = |tier| {
        let context = tiers.context(tier);
        (context.threshold_multiplier, context.decay_multiplier)
    };
    assert_eq!(row(Tier::Neutral), (10_000, 10_000));
    assert_eq!(row(Tier::Expansion), (9_000, 10_000));
    assert_eq!(row(Tier::Compressed), (8_000, 10_000));
    assert_eq!(row(Tier::Overleveraged), (8_500, 9_000));
    assert_eq!(row(Tier::Exhausted), (12_000, 11_000));
}

proptest! {
    #[test]
    fn a_change_down_goes_to_neutral(
        steps in proptest::collection::vec((0_usize..5, 1_u32..60), 1..80), five in any::<bool>(),
    ) {
        let frames = [quiet(), expansion(), compressed(), overleveraged(), exhausted()];
        let config = config(five);
        let mut state = TierState::default();
        for (which, n) in steps {
            for _ in 0..n {
                let before = state.tier();
                let context = state.update(&config, &frames[which]);
                let after = state.tier();
                prop_assert!(after >= before || after == Tier::Neutral);
                prop_assert!(five || after != Tier::Compressed);
                prop_assert_eq!(context, config.tier.context(after));
            }
        }
    }
}
