//! The resolved configuration of the engine: every number that can change a byte of its output.
//!
//! Input: defaults, changed by a loader key by key ([`EngineConfig::set`]), tokens and events. Output: the
//! values that the layers read, the canonical text and its SHA-256, which is the genesis of the state chain.
//! Invariants: [`EngineConfig::check`] accepts exactly what cannot make a layer fault by itself. It reads no
//! file and no environment.

mod canonical;
mod check;
mod fields;
mod parse;
mod scores;
mod sections;
mod tiers;
mod tokens;

pub(crate) use canonical::quoted;
pub use check::ConfigError;
pub use fields::{Field, Visitor};
pub use scores::{
    Compression, Density, Divergence, Elasticity, Fragile, Pressure, ScoreConfig, SpotFragile,
    SpotPressure, Term, Trigger, Unwind,
};
pub use sections::{
    AlertNumbers, Base, ClassConfig, ClusterConfig, CostNumbers, FsmNumbers, PhaseConfig, Stale,
};
pub use tiers::{
    CompressedTier, ExhaustedTier, ExpansionTier, NeutralTier, OverleveragedTier, TierConfig,
    TierContext,
};
pub use tokens::{
    Class, EventConfig, INSTRUMENTS_MAX, InstrumentConfig, Profile, Roles, TokenConfig,
};

use alloc::string::String;
use alloc::vec::Vec;

/// Version of these keys and of every layout that depends on them.
pub const SCHEMA: &str = "1.0";

/// Everything that can change a byte of the engine's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineConfig {
    /// Most missing ticks that are executed as empty ones.
    pub gap_fill_max_ticks: i64,
    /// Ticks between two snapshots; divides 3,600.
    pub snapshot_every_ticks: i64,
    /// Closed minutes that the baselines need, 1..=15.
    pub warmup_minutes: i64,
    /// Staleness.
    pub stale: Stale,
    /// Least baselines.
    pub base: Base,
    /// Tiers.
    pub tier: TierConfig,
    /// Terms of scores and components.
    pub score: ScoreConfig,
    /// Weights of density, divergence, elasticity, compression in the cost.
    pub cost_weights: [i64; 4],
    /// Cost.
    pub cost: CostNumbers,
    /// Token states, before overrides.
    pub fsm: FsmNumbers,
    /// Release and rebuild edges exist.
    pub release_enabled: bool,
    /// Clusters.
    pub cluster: ClusterConfig,
    /// Phases.
    pub phase: PhaseConfig,
    /// Alerts.
    pub alerts: AlertNumbers,
    /// Weights of activity, cheapness and cluster in a confidence.
    pub alert_weights: [i64; 3],
    /// Classes in the order of [`Class::ALL`].
    pub classes: [ClassConfig; 8],
    /// Tokens, ascending by id.
    pub tokens: Vec<TokenConfig>,
    /// Events, ascending by cluster and start.
    pub events: Vec<EventConfig>,
}

impl Default for EngineConfig {
    fn default() -> Self {
        let class = |cluster, w_oi, w_funding| ClassConfig { cluster, w_oi, w_funding };
        Self {
            gap_fill_max_ticks: 345_600,
            snapshot_every_ticks: 1_200,
            warmup_minutes: 3,
            stale: Stale::default(),
            base: Base::default(),
            tier: TierConfig::default(),
            score: ScoreConfig::default(),
            cost_weights: [35, 30, 20, 15],
            cost: CostNumbers::default(),
            fsm: FsmNumbers::default(),
            release_enabled: true,
            cluster: ClusterConfig::default(),
            phase: PhaseConfig::default(),
            alerts: AlertNumbers::default(),
            alert_weights: [40, 40, 20],
            classes: [
                class(1, 10_000, 10_000),
                class(1, 10_000, 8_000),
                class(1, 8_000, 10_000),
                class(2, 10_000, 10_000),
                class(3, 10_000, 5_000),
                class(4, 8_000, 8_000),
                class(5, 5_000, 3_000),
                class(16, 10_000, 5_000),
            ],
            tokens: Vec::new(),
            events: Vec::new(),
        }
    }
}

impl EngineConfig {
    /// Walks over every hashed key that is not part of a token or an event.
    pub fn visit(&mut self, f: &mut Visitor<'_>) {
        let mut int = |path: &str, value: &mut i64, min, max| {
            f(path, Field::Int { value, min, max });
        };
        int("gap_fill_max_ticks", &mut self.gap_fill_max_ticks, 1, 100_000_000);
        int("snapshot_every_ticks", &mut self.snapshot_every_ticks, 1, 3_600);
        int("warmup_minutes", &mut self.warmup_minutes, 1, 15);
        self.stale.visit("stale", f);
        self.base.visit("base", f);
        self.tier.visit(f);
        self.score.visit(f);
        f("cost.weights", Field::Weights(&mut self.cost_weights));
        self.cost.visit("cost", f);
        self.fsm.visit("fsm", f);
        f("fsm.release.enabled", Field::Bool(&mut self.release_enabled));
        self.cluster.visit("cluster", f);
        self.phase.visit("phase", f);
        self.alerts.visit("alerts", f);
        f("alerts.weights", Field::Weights(&mut self.alert_weights));
        for (class, config) in Class::ALL.iter().zip(self.classes.iter_mut()) {
            config.visit(&alloc::format!("class.{}", class.key()), f);
        }
    }

    /// Sets one whole number by its path; false when there is no such key.
    pub fn set(&mut self, path: &str, new: i64) -> bool {
        let mut found = false;
        self.visit(&mut |key, field| {
            if let Field::Int { value, .. } = field
                && key == path
            {
                *value = new;
                found = true;
            }
        });
        found
    }

    /// Numbers of a class.
    #[must_use]
    pub fn class(&self, class: Class) -> ClassConfig {
        let at = Class::ALL.iter().position(|known| *known == class).unwrap_or(0);
        self.classes[at]
    }

    /// A token of a class with its defaults: cluster, weights and thresholds of the class and no override.
    #[must_use]
    pub fn token(
        &self,
        id: u16,
        symbol: &str,
        class: Class,
        profile: Profile,
        instruments: Vec<InstrumentConfig>,
    ) -> TokenConfig {
        let of_class = self.class(class);
        TokenConfig {
            id,
            symbol: String::from(symbol),
            class,
            cluster: u8::try_from(of_class.cluster).unwrap_or(u8::MAX),
            profile,
            w_oi: of_class.w_oi,
            w_funding: of_class.w_funding,
            fsm: self.fsm,
            instruments,
        }
    }

    /// The canonical text: sorted keys, whole numbers, no blanks.
    #[must_use]
    pub fn canonical(&self) -> String {
        canonical::text(self)
    }

    /// Reads a canonical text back: what an archive holds under its hash.
    ///
    /// # Errors
    /// [`ConfigError::Parse`] for text that is not the canonical text of a configuration,
    /// [`ConfigError::Schema`] for another version's, else as [`EngineConfig::check`].
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        parse::parse(text)
    }

    /// SHA-256 of [`EngineConfig::canonical`].
    #[must_use]
    pub fn sha256(&self) -> [u8; 32] {
        penstock_types::frame::sha256(self.canonical().as_bytes())
    }

    /// Judges the whole configuration.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), ConfigError> {
        check::check(self)
    }
}

#[cfg(test)]
mod tests;
