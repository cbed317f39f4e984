//! Trigger cost: how expensive it is to move this market now, 0 (cheap) to 100 (expensive).
//!
//! Input: the feature frame and the effect of the tier. Output: the cost and the memories of its four
//! components. Invariants: every component and the cost stay within 0..=1,000,000; a missing input adds
//! nothing and keeps its weight, what a profile never has loses its weight. It reads no state.

use crate::config::{EngineConfig, Profile, Term, TierContext, TokenConfig};
use crate::feature::FeatureFrame;
use crate::num::{ACT_ONE, Fade, Mix, SCORE_MAX, flow, inv, mul_div, ramp, sat32, weigh};
use crate::snapshot::{Pack, Unpack};

/// Layer 4 of a token: one tick of memory per component, and the cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CostState {
    density: i32,
    divergence: i32,
    elasticity: i32,
    compression: i32,
    cost: i32,
}

impl Default for CostState {
    fn default() -> Self {
        Self { density: 0, divergence: 0, elasticity: 0, compression: 0, cost: sat32(SCORE_MAX) }
    }
}

/// What the formulas of a token need beside the features.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weights {
    /// Profile.
    pub profile: Profile,
    /// Weight of open interest, 1e-4.
    pub w_oi: i64,
    /// Weight of funding, 1e-4.
    pub w_funding: i64,
    /// A spot instrument is bound, so there is a basis.
    pub has_spot: bool,
}

impl Weights {
    /// Of a token.
    #[must_use]
    pub fn new(token: &TokenConfig) -> Self {
        Self {
            profile: token.profile,
            w_oi: token.w_oi,
            w_funding: token.w_funding,
            has_spot: token.instruments.iter().any(|one| one.roles.spot_primary),
        }
    }
}

/// Activation of an input that may be missing.
#[inline]
pub(crate) fn rising(input: Option<i64>, term: &Term) -> i64 {
    input.map_or(0, |x| ramp(x, term.lo, term.hi))
}

/// Activation of an input that counts by falling and may be missing.
#[inline]
pub(crate) fn falling(input: Option<i64>, term: &Term) -> i64 {
    input.map_or(0, |x| inv(x, term.lo, term.hi))
}

/// Activation of a signed input by its magnitude; inputs of this kind are saturated and have one.
#[inline]
pub(crate) fn either(input: Option<i64>, term: &Term) -> i64 {
    rising(input.map(i64::saturating_abs), term)
}

/// Activation of a one-sided input as far as trading has pace.
#[inline]
pub(crate) fn paced(input: i64, pace: Option<i64>, term: &Term) -> i64 {
    pace.map_or(0, |pace| flow(ramp(input, term.lo, term.hi), pace))
}

fn density(config: &EngineConfig, weights: &Weights, f: &FeatureFrame) -> i64 {
    let t = &config.score.density;
    Mix::default()
        .with(t.oi_velocity.w, weigh(rising(f.oi_velocity, &t.oi_velocity), weights.w_oi))
        .with(t.oi_chg.w, weigh(rising(f.oi_chg_60s, &t.oi_chg), weights.w_oi))
        .with(t.funding.w, weigh(rising(f.funding_abs, &t.funding), weights.w_funding))
        .score()
}

fn compression(config: &EngineConfig, f: &FeatureFrame) -> i64 {
    let t = &config.score.compression;
    Mix::default()
        .with(t.range.w, falling(f.range_ratio, &t.range))
        .with(t.spread.w, falling(f.spread_ratio, &t.spread))
        .with(t.vol.w, falling(f.vol_ratio, &t.vol))
        .score()
}

fn divergence(config: &EngineConfig, weights: &Weights, f: &FeatureFrame) -> i64 {
    let t = &config.score.divergence;
    let sided = paced(f.delta_abs_ratio, f.vol_ratio, &t.flow);
    let mut mix = Mix::default().with(t.flow.w, sided);
    if weights.profile == Profile::Deriv {
        mix = mix
            .with(t.mark.w, either(f.mark_vs_mid, &t.mark))
            .with(t.liq.w, rising(Some(f.liq_share), &t.liq));
        if weights.has_spot {
            mix = mix.with(t.basis.w, either(f.basis, &t.basis));
        }
    }
    mix.score()
}

fn elasticity(config: &EngineConfig, f: &FeatureFrame) -> i64 {
    let t = &config.score.elasticity;
    Mix::default()
        .with(t.spread.w, rising(f.spread_ratio, &t.spread))
        .with(t.range.w, rising(f.range_f_ratio, &t.range))
        .score()
}

impl CostState {
    /// Executes one tick.
    pub(crate) fn update(
        &mut self,
        config: &EngineConfig,
        weights: &Weights,
        features: &FeatureFrame,
        tier: TierContext,
    ) {
        let fade = Fade::new(config.cost.decay, ACT_ONE);
        let keep = |s: i32, component: i64| fade.apply(s, component);
        if weights.profile == Profile::Deriv {
            self.density = keep(self.density, density(config, weights, features));
        }
        self.divergence = keep(self.divergence, divergence(config, weights, features));
        self.elasticity = keep(self.elasticity, elasticity(config, features));
        self.compression = keep(self.compression, compression(config, features));
        let raw = self.raw(config, weights.profile);
        let scaled = weigh(SCORE_MAX.saturating_sub(raw), tier.threshold_multiplier);
        self.cost = sat32(scaled.clamp(0, SCORE_MAX));
    }

    /// Weighted mean of the components; a running cascade counts by its elasticity alone.
    fn raw(&self, config: &EngineConfig, profile: Profile) -> i64 {
        let [density, divergence, elasticity, compression] = config.cost_weights;
        let density = match profile {
            Profile::Deriv => density,
            Profile::SpotOnly => 0,
        };
        let mut sum: i64 = 0;
        let mut weights: i64 = 0;
        for (weight, memory) in [
            (density, self.density),
            (divergence, self.divergence),
            (elasticity, self.elasticity),
            (compression, self.compression),
        ] {
            // Weights are at most 1,000 and memories at most 1,000,000.
            sum = sum.saturating_add(weight.saturating_mul(i64::from(memory)));
            weights = weights.saturating_add(weight);
        }
        let mean = mul_div(sum, 1, weights).unwrap_or(0);
        mean.max(weigh(i64::from(self.elasticity), config.cost.cascade))
    }

    /// Cost, Score.
    #[must_use]
    pub const fn cost(&self) -> i32 {
        self.cost
    }

    /// Memories of density, divergence, elasticity and compression, Score.
    #[must_use]
    pub const fn components(&self) -> [i32; 4] {
        [self.density, self.divergence, self.elasticity, self.compression]
    }
}

impl CostState {
    /// Memories and cost.
    pub(crate) fn save(&self, pack: &mut Pack<'_>) {
        for value in self.components() {
            pack.i32(value);
        }
        pack.i32(self.cost);
    }

    /// Reads what [`CostState::save`] wrote.
    pub(crate) fn load(read: &mut Unpack<'_>) -> Result<Self, &'static str> {
        let what = "a component or the cost is outside 0..=1000000";
        Ok(Self {
            density: read.score(what)?,
            divergence: read.score(what)?,
            elasticity: read.score(what)?,
            compression: read.score(what)?,
            cost: read.score(what)?,
        })
    }
}

#[cfg(test)]
mod tests;
