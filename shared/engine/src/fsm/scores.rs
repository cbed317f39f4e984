//! The four scores of a token: evidence of this tick, remembered with a decay each.
//!
//! Input: the feature frame, the effect of the tier. Output: scores within 0..=1,000,000. Invariants: without
//! evidence every score falls to 0; a missing input adds nothing and keeps its weight; what a profile never
//! has loses its weight.

use crate::config::{EngineConfig, FsmNumbers, Profile};
use crate::cost::{Weights, either, falling, paced, rising};
use crate::feature::FeatureFrame;
use crate::num::{Fade, Mix, ramp, weigh};
use crate::snapshot::Unpack;
use penstock_types::engine_view::Scores;

/// How the four scores fade in a tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fades {
    pressure: Fade,
    fragile: Fade,
    trigger: Fade,
    unwind: Fade,
}

impl Fades {
    /// Of a token's numbers in a tier that multiplies losses by `multiplier` (1e-4).
    #[must_use]
    pub fn new(numbers: &FsmNumbers, multiplier: i64) -> Self {
        let of = |memory| Fade::new(memory, multiplier);
        Self {
            pressure: of(numbers.decay_pressure),
            fragile: of(numbers.decay_fragile),
            trigger: of(numbers.decay_trigger),
            unwind: of(numbers.decay_unwind),
        }
    }
}

/// The scores of a token between ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ScoreMemory(Scores);

impl ScoreMemory {
    /// Executes one tick and returns the scores after it.
    pub(crate) fn update(
        &mut self,
        config: &EngineConfig,
        fades: &Fades,
        weights: &Weights,
        features: &FeatureFrame,
    ) -> Scores {
        let before = self.0;
        let (pressure, fragile) = match weights.profile {
            Profile::Deriv => {
                (pressure(config, weights, features), fragile(config, weights, features))
            }
            Profile::SpotOnly => (spot_pressure(config, features), spot_fragile(config, features)),
        };
        let fragile = fades.fragile.apply(before.fragile, fragile);
        let trigger = trigger(config, weights.profile, features, fragile);
        let unwind = unwind(config, weights.profile, features);
        self.0 = Scores {
            pressure: fades.pressure.apply(before.pressure, pressure),
            fragile,
            trigger: fades.trigger.apply(before.trigger, trigger),
            unwind: fades.unwind.apply(before.unwind, unwind),
        };
        self.0
    }

    /// Scores after the last tick.
    #[must_use]
    pub const fn get(&self) -> Scores {
        self.0
    }

    /// Reads four scores.
    pub(crate) fn load(read: &mut Unpack<'_>) -> Result<Self, &'static str> {
        let what = "a score is outside 0..=1000000";
        Ok(Self(Scores {
            pressure: read.score(what)?,
            fragile: read.score(what)?,
            trigger: read.score(what)?,
            unwind: read.score(what)?,
        }))
    }
}

fn pressure(config: &EngineConfig, weights: &Weights, f: &FeatureFrame) -> i64 {
    let t = &config.score.pressure;
    Mix::default()
        .with(t.oi_velocity.w, weigh(rising(f.oi_velocity, &t.oi_velocity), weights.w_oi))
        .with(t.flow.w, paced(f.delta_abs_ratio, f.vol_ratio, &t.flow))
        .with(t.spread.w, falling(f.spread_ratio, &t.spread))
        .with(t.funding.w, weigh(rising(f.funding_abs, &t.funding), weights.w_funding))
        .score()
}

fn fragile(config: &EngineConfig, weights: &Weights, f: &FeatureFrame) -> i64 {
    let t = &config.score.fragile;
    Mix::default()
        .with(t.oi_chg.w, weigh(rising(f.oi_chg_60s, &t.oi_chg), weights.w_oi))
        .with(t.funding.w, weigh(rising(f.funding_abs, &t.funding), weights.w_funding))
        .with(t.mark.w, either(f.mark_vs_mid, &t.mark))
        .with(t.spread.w, falling(f.spread_ratio, &t.spread))
        .with(t.liq_imbalance.w, either(Some(f.liq_imbalance), &t.liq_imbalance))
        .score()
}

fn spot_pressure(config: &EngineConfig, f: &FeatureFrame) -> i64 {
    let t = &config.score.spot_pressure;
    Mix::default()
        .with(t.flow.w, paced(f.delta_abs_ratio, f.vol_ratio, &t.flow))
        .with(t.spread.w, falling(f.spread_ratio, &t.spread))
        .with(t.vol.w, rising(f.vol_ratio, &t.vol))
        .score()
}

fn spot_fragile(config: &EngineConfig, f: &FeatureFrame) -> i64 {
    let t = &config.score.spot_fragile;
    Mix::default()
        .with(t.flow.w, paced(f.delta_abs_ratio, f.vol_ratio, &t.flow))
        .with(t.range.w, falling(f.range_ratio, &t.range))
        .with(t.spread.w, falling(f.spread_ratio, &t.spread))
        .with(t.vol.w, rising(f.vol_ratio, &t.vol))
        .score()
}

fn trigger(config: &EngineConfig, profile: Profile, f: &FeatureFrame, fragile: i32) -> i64 {
    let t = &config.score.trigger;
    let mut mix = Mix::default()
        .with(t.fragile.w, ramp(i64::from(fragile), t.fragile.lo, t.fragile.hi))
        .with(t.range.w, falling(f.range_ratio, &t.range))
        .with(t.aggression.w, paced(f.aggression, f.vol_ratio, &t.aggression));
    if profile == Profile::Deriv {
        mix = mix.with(t.liq.w, rising(Some(f.liq_share), &t.liq));
    }
    mix.score()
}

fn unwind(config: &EngineConfig, profile: Profile, f: &FeatureFrame) -> i64 {
    let t = &config.score.unwind;
    let flip = if f.delta_flip { ramp(f.delta_abs_ratio, t.flip.lo, t.flip.hi) } else { 0 };
    let mut mix = Mix::default()
        .with(t.range.w, rising(f.range_f_ratio, &t.range))
        .with(t.vol.w, rising(f.vol_ratio, &t.vol))
        .with(t.flip.w, flip);
    if profile == Profile::Deriv {
        let loss = f.oi_chg_60s.map(|change| 0_i64.saturating_sub(change));
        mix = mix
            .with(t.oi_chg.w, rising(loss, &t.oi_chg))
            .with(t.liq.w, rising(Some(f.liq_share), &t.liq));
    }
    mix.score()
}
