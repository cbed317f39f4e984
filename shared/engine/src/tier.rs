//! Tiers: the regime of a token, with hysteresis. It scales thresholds and decays and never decides a state.
//!
//! Input: the feature frame. Output: the tier after the tick and its effect. Invariants: at most one change
//! per tick; a tier of a higher code pre-empts once its condition has held long enough, the way back is to
//! NEUTRAL after the relaxed condition has failed long enough; an input that is missing makes a condition
//! false. It reads neither cost nor state.

use crate::config::{EngineConfig, TierConfig, TierContext};
use crate::feature::FeatureFrame;
use crate::num::streak;
use crate::snapshot::{Pack, Unpack};
use penstock_types::engine_view::Tier;

/// Tiers that can be entered, by descending code.
const DESCENDING: [Tier; 4] =
    [Tier::Exhausted, Tier::Overleveraged, Tier::Compressed, Tier::Expansion];

/// Layer 3 of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TierState {
    tier: Tier,
    expansion: u32,
    compressed: u32,
    overleveraged: u32,
    exhausted: u32,
    exit: u32,
}

impl Default for TierState {
    fn default() -> Self {
        Self {
            tier: Tier::Neutral,
            expansion: 0,
            compressed: 0,
            overleveraged: 0,
            exhausted: 0,
            exit: 0,
        }
    }
}

fn at_least(value: Option<i64>, bound: i64) -> bool {
    value.is_some_and(|value| value >= bound)
}

fn at_most(value: Option<i64>, bound: i64) -> bool {
    value.is_some_and(|value| value <= bound)
}

/// The condition to enter a tier holds in this tick.
fn enters(config: &TierConfig, tier: Tier, f: &FeatureFrame) -> bool {
    match tier {
        Tier::Neutral => false,
        Tier::Expansion => {
            let c = &config.expansion;
            at_least(f.range_ratio, c.enter_range_ratio)
                && at_least(f.vol_ratio, c.enter_vol_ratio)
                && at_most(f.spread_ratio, c.enter_spread_ratio)
        }
        Tier::Compressed => {
            let c = &config.compressed;
            config.compressed_enabled
                && at_most(f.range_ratio, c.enter_range_ratio)
                && at_most(f.vol_ratio, c.enter_vol_ratio)
                && at_most(f.spread_ratio, c.enter_spread_ratio)
        }
        Tier::Overleveraged => {
            let c = &config.overleveraged;
            at_least(f.oi_velocity, c.enter_oi_velocity)
                && at_least(f.funding_abs, c.enter_funding)
                && at_least(f.oi_chg_60s, c.enter_oi_chg)
        }
        Tier::Exhausted => {
            let c = &config.exhausted;
            at_most(f.oi_chg_60s, c.enter_oi_chg)
                && f.liq_share >= c.enter_liq_share
                && at_least(f.vol_ratio, c.enter_vol_ratio)
        }
    }
}

/// The relaxed condition that keeps a tier holds in this tick.
fn holds(config: &TierConfig, tier: Tier, f: &FeatureFrame) -> bool {
    match tier {
        Tier::Neutral => true,
        Tier::Expansion => {
            let c = &config.expansion;
            at_least(f.range_ratio, c.hold_range_ratio) && at_least(f.vol_ratio, c.hold_vol_ratio)
        }
        Tier::Compressed => {
            let c = &config.compressed;
            at_most(f.range_ratio, c.hold_range_ratio) && at_most(f.vol_ratio, c.hold_vol_ratio)
        }
        Tier::Overleveraged => {
            let c = &config.overleveraged;
            at_least(f.oi_velocity, c.hold_oi_velocity)
                && at_least(f.funding_abs, c.hold_funding)
                && at_least(f.oi_chg_60s, c.hold_oi_chg)
        }
        Tier::Exhausted => {
            let c = &config.exhausted;
            at_most(f.oi_chg_60s, c.hold_oi_chg) && f.liq_share >= c.hold_liq_share
        }
    }
}

/// Ticks to enter and to leave a tier.
const fn persistence(config: &TierConfig, tier: Tier) -> (i64, i64) {
    match tier {
        Tier::Neutral => (0, 0),
        Tier::Expansion => (config.expansion.n, config.expansion.m),
        Tier::Compressed => (config.compressed.n, config.compressed.m),
        Tier::Overleveraged => (config.overleveraged.n, config.overleveraged.m),
        Tier::Exhausted => (config.exhausted.n, config.exhausted.m),
    }
}

impl TierState {
    /// Executes one tick and returns the effect of the tier after it.
    pub(crate) fn update(&mut self, config: &EngineConfig, features: &FeatureFrame) -> TierContext {
        let tiers = &config.tier;
        let count = |n: u32, tier: Tier| streak(n, enters(tiers, tier, features));
        self.expansion = count(self.expansion, Tier::Expansion);
        self.compressed = count(self.compressed, Tier::Compressed);
        self.overleveraged = count(self.overleveraged, Tier::Overleveraged);
        self.exhausted = count(self.exhausted, Tier::Exhausted);
        let ripe = |tier: &Tier| {
            *tier > self.tier && i64::from(self.entered(*tier)) >= persistence(tiers, *tier).0
        };
        if let Some(higher) = DESCENDING.into_iter().find(ripe) {
            self.tier = higher;
            self.exit = 0;
        } else if self.tier != Tier::Neutral {
            self.exit = streak(self.exit, !holds(tiers, self.tier, features));
            if i64::from(self.exit) >= persistence(tiers, self.tier).1 {
                self.tier = Tier::Neutral;
                self.exit = 0;
            }
        }
        tiers.context(self.tier)
    }

    const fn entered(&self, tier: Tier) -> u32 {
        match tier {
            Tier::Neutral => 0,
            Tier::Expansion => self.expansion,
            Tier::Compressed => self.compressed,
            Tier::Overleveraged => self.overleveraged,
            Tier::Exhausted => self.exhausted,
        }
    }

    /// The tier.
    #[must_use]
    pub const fn tier(&self) -> Tier {
        self.tier
    }
}

impl TierState {
    /// Tier and counters.
    pub(crate) fn save(&self, pack: &mut Pack<'_>) {
        pack.u8(self.tier.code());
        for n in [self.expansion, self.compressed, self.overleveraged, self.exhausted, self.exit] {
            pack.u32(n);
        }
    }

    /// Reads what [`TierState::save`] wrote.
    pub(crate) fn load(read: &mut Unpack<'_>) -> Result<Self, &'static str> {
        let tier = read.code(Tier::from_code, "the tier has no meaning")?;
        Ok(Self {
            tier,
            expansion: read.u32(),
            compressed: read.u32(),
            overleveraged: read.u32(),
            exhausted: read.u32(),
            exit: read.u32(),
        })
    }
}

#[cfg(test)]
mod tests;
