//! Conditions, persistence and effect of the tiers.
//!
//! Input: nothing. Output: defaults and ranges. A tier is entered under stricter conditions than it is held
//! under, and left after at least twice the ticks that it takes to enter.

use super::fields::{Field, Visitor, section};
use penstock_types::engine_view::Tier;

section!(
    /// The ordinary tier.
    NeutralTier {
        threshold_multiplier: "threshold_multiplier" = 10_000 in (1, 100_000) "Factor of thresholds, 1e-4.";
        decay_multiplier: "decay_multiplier" = 10_000 in (1, 100_000) "Factor of the loss per tick, 1e-4.";
    }
);

section!(
    /// Range and volume expand at an ordinary spread.
    ExpansionTier {
        enter_range_ratio: "enter.range_ratio" = 18_000 in (-1_000_000_000_000, 1_000_000_000_000) "Least range to enter, 1e-4.";
        enter_vol_ratio: "enter.vol_ratio" = 20_000 in (-1_000_000_000_000, 1_000_000_000_000) "Least volume to enter, 1e-4.";
        enter_spread_ratio: "enter.spread_ratio" = 15_000 in (-1_000_000_000_000, 1_000_000_000_000) "Greatest spread to enter, 1e-4.";
        hold_range_ratio: "hold.range_ratio" = 14_400 in (-1_000_000_000_000, 1_000_000_000_000) "Least range to hold, 1e-4.";
        hold_vol_ratio: "hold.vol_ratio" = 16_000 in (-1_000_000_000_000, 1_000_000_000_000) "Least volume to hold, 1e-4.";
        n: "n" = 20 in (1, 1_200) "Ticks to enter.";
        m: "m" = 40 in (1, 1_200) "Ticks to leave.";
        threshold_multiplier: "threshold_multiplier" = 9_000 in (1, 100_000) "Factor of thresholds, 1e-4.";
        decay_multiplier: "decay_multiplier" = 10_000 in (1, 100_000) "Factor of the loss per tick, 1e-4.";
    }
);

section!(
    /// Range, volume and spread shrink.
    CompressedTier {
        enter_range_ratio: "enter.range_ratio" = 5_000 in (-1_000_000_000_000, 1_000_000_000_000) "Greatest range to enter, 1e-4.";
        enter_vol_ratio: "enter.vol_ratio" = 6_000 in (-1_000_000_000_000, 1_000_000_000_000) "Greatest volume to enter, 1e-4.";
        enter_spread_ratio: "enter.spread_ratio" = 9_000 in (-1_000_000_000_000, 1_000_000_000_000) "Greatest spread to enter, 1e-4.";
        hold_range_ratio: "hold.range_ratio" = 6_000 in (-1_000_000_000_000, 1_000_000_000_000) "Greatest range to hold, 1e-4.";
        hold_vol_ratio: "hold.vol_ratio" = 7_200 in (-1_000_000_000_000, 1_000_000_000_000) "Greatest volume to hold, 1e-4.";
        n: "n" = 40 in (1, 1_200) "Ticks to enter.";
        m: "m" = 80 in (1, 1_200) "Ticks to leave.";
        threshold_multiplier: "threshold_multiplier" = 8_000 in (1, 100_000) "Factor of thresholds, 1e-4.";
        decay_multiplier: "decay_multiplier" = 10_000 in (1, 100_000) "Factor of the loss per tick, 1e-4.";
    }
);

section!(
    /// Open interest and funding stack.
    OverleveragedTier {
        enter_oi_velocity: "enter.oi_velocity" = 3_000 in (-1_000_000_000_000, 1_000_000_000_000) "Least open interest per second to enter.";
        enter_funding: "enter.funding" = 300_000_000 in (-1_000_000_000_000, 1_000_000_000_000) "Least magnitude of funding to enter.";
        enter_oi_chg: "enter.oi_chg_60s" = 200_000 in (-1_000_000_000_000, 1_000_000_000_000) "Least open interest over a minute to enter.";
        hold_oi_velocity: "hold.oi_velocity" = 2_400 in (-1_000_000_000_000, 1_000_000_000_000) "Least open interest per second to hold.";
        hold_funding: "hold.funding" = 240_000_000 in (-1_000_000_000_000, 1_000_000_000_000) "Least magnitude of funding to hold.";
        hold_oi_chg: "hold.oi_chg_60s" = 160_000 in (-1_000_000_000_000, 1_000_000_000_000) "Least open interest over a minute to hold.";
        n: "n" = 40 in (1, 1_200) "Ticks to enter.";
        m: "m" = 80 in (1, 1_200) "Ticks to leave.";
        threshold_multiplier: "threshold_multiplier" = 8_500 in (1, 100_000) "Factor of thresholds, 1e-4.";
        decay_multiplier: "decay_multiplier" = 9_000 in (1, 100_000) "Factor of the loss per tick, 1e-4.";
    }
);

section!(
    /// Open interest was wiped out by liquidations.
    ExhaustedTier {
        enter_oi_chg: "enter.oi_chg_60s" = -1_000_000 in (-1_000_000_000_000, 1_000_000_000_000) "Greatest open interest over a minute to enter.";
        enter_liq_share: "enter.liq_share" = 3_000_000 in (-1_000_000_000_000, 1_000_000_000_000) "Least share of liquidations to enter.";
        enter_vol_ratio: "enter.vol_ratio" = 30_000 in (-1_000_000_000_000, 1_000_000_000_000) "Least volume to enter, 1e-4.";
        hold_oi_chg: "hold.oi_chg_60s" = -800_000 in (-1_000_000_000_000, 1_000_000_000_000) "Greatest open interest over a minute to hold.";
        hold_liq_share: "hold.liq_share" = 2_400_000 in (-1_000_000_000_000, 1_000_000_000_000) "Least share of liquidations to hold.";
        n: "n" = 4 in (1, 1_200) "Ticks to enter.";
        m: "m" = 1_200 in (1, 1_200) "Ticks to leave: fragile again only long after a cascade.";
        threshold_multiplier: "threshold_multiplier" = 12_000 in (1, 100_000) "Factor of thresholds, 1e-4.";
        decay_multiplier: "decay_multiplier" = 11_000 in (1, 100_000) "Factor of the loss per tick, 1e-4.";
    }
);

/// All tiers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TierConfig {
    /// The fifth tier, COMPRESSED, exists.
    pub compressed_enabled: bool,
    /// NEUTRAL.
    pub neutral: NeutralTier,
    /// EXPANSION.
    pub expansion: ExpansionTier,
    /// COMPRESSED.
    pub compressed: CompressedTier,
    /// OVERLEVERAGED.
    pub overleveraged: OverleveragedTier,
    /// EXHAUSTED.
    pub exhausted: ExhaustedTier,
}

/// What a tier does to the scores and thresholds below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TierContext {
    /// Factor of thresholds, 1e-4.
    pub threshold_multiplier: i64,
    /// Factor of the loss per tick, 1e-4; below 10,000 is slower decay.
    pub decay_multiplier: i64,
}

impl TierConfig {
    /// Effect of a tier.
    #[must_use]
    pub const fn context(&self, tier: Tier) -> TierContext {
        let (threshold_multiplier, decay_multiplier) = match tier {
            Tier::Neutral => (self.neutral.threshold_multiplier, self.neutral.decay_multiplier),
            Tier::Expansion => {
                (self.expansion.threshold_multiplier, self.expansion.decay_multiplier)
            }
            Tier::Compressed => {
                (self.compressed.threshold_multiplier, self.compressed.decay_multiplier)
            }
            Tier::Overleveraged => {
                (self.overleveraged.threshold_multiplier, self.overleveraged.decay_multiplier)
            }
            Tier::Exhausted => {
                (self.exhausted.threshold_multiplier, self.exhausted.decay_multiplier)
            }
        };
        TierContext { threshold_multiplier, decay_multiplier }
    }

    /// Ticks to enter and to leave each tier that can be entered, with the path of the latter.
    pub(crate) fn persistence(&self) -> [(&'static str, i64, i64); 4] {
        [
            ("tier.expansion.m", self.expansion.n, self.expansion.m),
            ("tier.compressed.m", self.compressed.n, self.compressed.m),
            ("tier.overleveraged.m", self.overleveraged.n, self.overleveraged.m),
            ("tier.exhausted.m", self.exhausted.n, self.exhausted.m),
        ]
    }

    pub(crate) fn visit(&mut self, f: &mut Visitor<'_>) {
        f("tier.compressed.enabled", Field::Bool(&mut self.compressed_enabled));
        self.neutral.visit("tier.neutral", f);
        self.expansion.visit("tier.expansion", f);
        self.compressed.visit("tier.compressed", f);
        self.overleveraged.visit("tier.overleveraged", f);
        self.exhausted.visit("tier.exhausted", f);
    }
}
