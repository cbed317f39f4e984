//! Purpose: keys of the deterministic engine: tiers and scores. Invariants: paths, defaults and ranges are
//! those of the engine's own fields (tested). It holds no logic.

use crate::key::{FieldType, Key, int};
use crate::table::engine_key;

/// A score's weight and the ends of its ramp.
macro_rules! score {
    ($component:literal, $term:literal, $w:literal, $lo:literal, $hi:literal) => {
        [
            engine_key(
                concat!("engine.score.", $component, ".", $term, ".w"),
                $w,
                FieldType::Int,
                int(1, 100),
                "Weight of a term.",
            ),
            engine_key(
                concat!("engine.score.", $component, ".", $term, ".lo"),
                $lo,
                FieldType::Int,
                int(-1_000_000_000_000, 1_000_000_000_000),
                "Start of a term's ramp.",
            ),
            engine_key(
                concat!("engine.score.", $component, ".", $term, ".hi"),
                $hi,
                FieldType::Int,
                int(-1_000_000_000_000, 1_000_000_000_000),
                "End of a term's ramp.",
            ),
        ]
    };
}

numbers! {
    /// Conditions of the tiers.
    TIERS:
    "engine.tier.neutral.threshold_multiplier" = "10000" in (1, 100_000) "Factor of thresholds, times 10,000.";
    "engine.tier.neutral.decay_multiplier" = "10000" in (1, 100_000) "Factor of decays, times 10,000.";
    "engine.tier.expansion.enter.range_ratio" = "18000" in (-1_000_000_000_000, 1_000_000_000_000) "Condition to enter a tier.";
    "engine.tier.expansion.enter.vol_ratio" = "20000" in (-1_000_000_000_000, 1_000_000_000_000) "Condition to enter a tier.";
    "engine.tier.expansion.enter.spread_ratio" = "15000" in (-1_000_000_000_000, 1_000_000_000_000) "Condition to enter a tier.";
    "engine.tier.expansion.hold.range_ratio" = "14400" in (-1_000_000_000_000, 1_000_000_000_000) "Condition to stay in a tier.";
    "engine.tier.expansion.hold.vol_ratio" = "16000" in (-1_000_000_000_000, 1_000_000_000_000) "Condition to stay in a tier.";
    "engine.tier.expansion.n" = "20" in (1, 1_200) "Ticks before a tier is entered.";
    "engine.tier.expansion.m" = "40" in (1, 1_200) "Ticks before a tier is left.";
    "engine.tier.expansion.threshold_multiplier" = "9000" in (1, 100_000) "Factor of thresholds, times 10,000.";
    "engine.tier.expansion.decay_multiplier" = "10000" in (1, 100_000) "Factor of decays, times 10,000.";
    "engine.tier.compressed.enter.range_ratio" = "5000" in (-1_000_000_000_000, 1_000_000_000_000) "Condition to enter a tier.";
    "engine.tier.compressed.enter.vol_ratio" = "6000" in (-1_000_000_000_000, 1_000_000_000_000) "Condition to enter a tier.";
    "engine.tier.compressed.enter.spread_ratio" = "9000" in (-1_000_000_000_000, 1_000_000_000_000) "Condition to enter a tier.";
    "engine.tier.compressed.hold.range_ratio" = "6000" in (-1_000_000_000_000, 1_000_000_000_000) "Condition to stay in a tier.";
    "engine.tier.compressed.hold.vol_ratio" = "7200" in (-1_000_000_000_000, 1_000_000_000_000) "Condition to stay in a tier.";
    "engine.tier.compressed.n" = "40" in (1, 1_200) "Ticks before a tier is entered.";
    "engine.tier.compressed.m" = "80" in (1, 1_200) "Ticks before a tier is left.";
    "engine.tier.compressed.threshold_multiplier" = "8000" in (1, 100_000) "Factor of thresholds, times 10,000.";
    "engine.tier.compressed.decay_multiplier" = "10000" in (1, 100_000) "Factor of decays, times 10,000.";
    "engine.tier.overleveraged.enter.oi_velocity" = "3000" in (-1_000_000_000_000, 1_000_000_000_000) "Condition to enter a tier.";
    "engine.tier.overleveraged.enter.funding" = "300000000" in (-1_000_000_000_000, 1_000_000_000_000) "Condition to enter a tier.";
    "engine.tier.overleveraged.enter.oi_chg_60s" = "200000" in (-1_000_000_000_000, 1_000_000_000_000) "Condition to enter a tier.";
    "engine.tier.overleveraged.hold.oi_velocity" = "2400" in (-1_000_000_000_000, 1_000_000_000_000) "Condition to stay in a tier.";
    "engine.tier.overleveraged.hold.funding" = "240000000" in (-1_000_000_000_000, 1_000_000_000_000) "Condition to stay in a tier.";
    "engine.tier.overleveraged.hold.oi_chg_60s" = "160000" in (-1_000_000_000_000, 1_000_000_000_000) "Condition to stay in a tier.";
    "engine.tier.overleveraged.n" = "40" in (1, 1_200) "Ticks before a tier is entered.";
    "engine.tier.overleveraged.m" = "80" in (1, 1_200) "Ticks before a tier is left.";
    "engine.tier.overleveraged.threshold_multiplier" = "8500" in (1, 100_000) "Factor of thresholds, times 10,000.";
    "engine.tier.overleveraged.decay_multiplier" = "9000" in (1, 100_000) "Factor of decays, times 10,000.";
    "engine.tier.exhausted.enter.oi_chg_60s" = "-1000000" in (-1_000_000_000_000, 1_000_000_000_000) "Condition to enter a tier.";
    "engine.tier.exhausted.enter.liq_share" = "3000000" in (-1_000_000_000_000, 1_000_000_000_000) "Condition to enter a tier.";
    "engine.tier.exhausted.enter.vol_ratio" = "30000" in (-1_000_000_000_000, 1_000_000_000_000) "Condition to enter a tier.";
    "engine.tier.exhausted.hold.oi_chg_60s" = "-800000" in (-1_000_000_000_000, 1_000_000_000_000) "Condition to stay in a tier.";
    "engine.tier.exhausted.hold.liq_share" = "2400000" in (-1_000_000_000_000, 1_000_000_000_000) "Condition to stay in a tier.";
    "engine.tier.exhausted.n" = "4" in (1, 1_200) "Ticks before a tier is entered.";
    "engine.tier.exhausted.m" = "1200" in (1, 1_200) "Ticks before a tier is left.";
    "engine.tier.exhausted.threshold_multiplier" = "12000" in (1, 100_000) "Factor of thresholds, times 10,000.";
    "engine.tier.exhausted.decay_multiplier" = "11000" in (1, 100_000) "Factor of decays, times 10,000.";
}

/// Terms of the scores.
pub(crate) const SCORES: &[[Key; 3]] = &[
    score!("density", "oi_velocity", "3", "1000", "10000"),
    score!("density", "oi_chg", "3", "100000", "1000000"),
    score!("density", "funding", "4", "300000000", "1500000000"),
    score!("compression", "range", "4", "4000", "10000"),
    score!("compression", "spread", "3", "6000", "10000"),
    score!("compression", "vol", "3", "4000", "10000"),
    score!("divergence", "mark", "4", "50000", "300000"),
    score!("divergence", "flow", "2", "30000000", "80000000"),
    score!("divergence", "liq", "2", "100000", "2000000"),
    score!("divergence", "basis", "2", "100000", "600000"),
    score!("elasticity", "spread", "5", "15000", "40000"),
    score!("elasticity", "range", "5", "8000", "20000"),
    score!("pressure", "oi_velocity", "3", "200", "5000"),
    score!("pressure", "flow", "3", "20000000", "70000000"),
    score!("pressure", "spread", "2", "6000", "10000"),
    score!("pressure", "funding", "2", "100000000", "500000000"),
    score!("fragile", "oi_chg", "3", "100000", "1000000"),
    score!("fragile", "funding", "3", "300000000", "1500000000"),
    score!("fragile", "mark", "2", "50000", "300000"),
    score!("fragile", "spread", "1", "6000", "10000"),
    score!("fragile", "liq_imbalance", "1", "5000", "9500"),
    score!("trigger", "fragile", "4", "0", "1000000"),
    score!("trigger", "range", "2", "4000", "10000"),
    score!("trigger", "liq", "2", "100000", "2000000"),
    score!("trigger", "aggression", "2", "40000000", "90000000"),
    score!("unwind", "oi_chg", "3", "300000", "2000000"),
    score!("unwind", "liq", "3", "2000000", "15000000"),
    score!("unwind", "range", "2", "8000", "20000"),
    score!("unwind", "vol", "1", "20000", "50000"),
    score!("unwind", "flip", "1", "30000000", "80000000"),
    score!("spot_pressure", "flow", "3", "20000000", "70000000"),
    score!("spot_pressure", "spread", "2", "6000", "10000"),
    score!("spot_pressure", "vol", "3", "12000", "30000"),
    score!("spot_fragile", "flow", "3", "20000000", "70000000"),
    score!("spot_fragile", "range", "3", "4000", "10000"),
    score!("spot_fragile", "spread", "2", "6000", "10000"),
    score!("spot_fragile", "vol", "2", "10000", "25000"),
];
