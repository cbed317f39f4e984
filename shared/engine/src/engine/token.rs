//! One token's layers 2 to 5 and its alerts, run in their order.
//!
//! Input: the frame and the token's events. Output: the token's row, a transition. Invariants: it touches one token
//! only; a layer hands on values, never its state.

use super::row::Row;
use crate::alert::{TokenAlerts, TokenTick};
use crate::config::{EngineConfig, FsmNumbers, TokenConfig};
use crate::cost::{CostState, Weights};
use crate::fault::LayerFault;
use crate::feature::{Clock, Features, Wiring};
use crate::frame_view::FrameView;
use crate::fsm::scores::{Fades, ScoreMemory};
use crate::fsm::{FsmInput, FsmMemory, Moved};
use crate::num::sat32;
use crate::tier::TierState;
use penstock_types::engine_view::{FsmState, Tier, TokenFlags};
use penstock_types::frame::FrameEvent;

/// Numbers that many tokens share, and what follows from them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Thresholds {
    pub numbers: FsmNumbers,
    /// By the code of the tier.
    fades: [Fades; Tier::ALL.len()],
}

impl Thresholds {
    pub(super) fn new(config: &EngineConfig, numbers: FsmNumbers) -> Self {
        let in_tier = |at: usize| {
            let tier = Tier::ALL.get(at).copied().unwrap_or(Tier::Neutral);
            Fades::new(&numbers, config.tier.context(tier).decay_multiplier)
        };
        Self { numbers, fades: core::array::from_fn(in_tier) }
    }

    fn fades(&self, tier: Tier) -> Option<&Fades> {
        self.fades.get(usize::from(tier.code()))
    }
}

/// What all tokens read.
pub(super) struct Shared<'a> {
    pub config: &'a EngineConfig,
    pub thresholds: &'a [Thresholds],
    /// The tick at hand.
    pub clock: Clock,
}

/// A token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TokenCore {
    pub id: u16,
    pub wiring: Wiring,
    weights: Weights,
    /// Position of its thresholds, which most tokens share.
    thresholds_at: usize,
    pub features: Features,
    pub tier: TierState,
    pub cost: CostState,
    pub scores: ScoreMemory,
    pub fsm: FsmMemory,
    pub alerts: TokenAlerts,
}

impl TokenCore {
    pub(super) fn new(
        config: &EngineConfig,
        token: &TokenConfig,
        wiring: Wiring,
        thresholds_at: usize,
    ) -> Self {
        Self {
            id: token.id,
            wiring,
            weights: Weights::new(token),
            thresholds_at,
            features: Features::new(config),
            tier: TierState::default(),
            cost: CostState::default(),
            scores: ScoreMemory::default(),
            fsm: FsmMemory::new(0),
            alerts: TokenAlerts::default(),
        }
    }

    /// Layers 2 to 5.
    pub(super) fn execute(
        &mut self,
        shared: &Shared<'_>,
        frame: &FrameView<'_>,
        events: &[FrameEvent],
        row: &mut Row,
    ) -> Result<Option<Moved>, LayerFault> {
        let config = shared.config;
        let none = LayerFault::Invariant("a token has no thresholds");
        let thresholds = shared.thresholds.get(self.thresholds_at).ok_or(none)?;
        let numbers = &thresholds.numbers;
        let features =
            self.features.extract(config, &self.wiring, (&shared.clock, frame.flags), events)?;
        let tier = self.tier.update(config, &features);
        self.cost.update(config, &self.weights, &features, tier);
        let fades = thresholds.fades(self.tier.tier()).ok_or(none)?;
        let scores = self.scores.update(config, fades, &self.weights, &features);
        let cost = self.cost.cost();
        let input = FsmInput {
            tick_id: frame.tick_id,
            profile: self.weights.profile,
            scores,
            cost,
            threshold_multiplier: tier.threshold_multiplier,
            oi_velocity: i64::from(sat32(features.oi_velocity.unwrap_or(0))),
            is_oi_stale: features.flags.contains(TokenFlags::OI_STALE),
        };
        let moved = self.fsm.update(numbers, config.release_enabled, &input)?;
        row.note(&features, moved.as_ref());
        row.state = self.fsm.state();
        row.tier = self.tier.tier();
        row.scores = scores;
        row.cost = cost;
        Ok(moved)
    }

    /// Layer 8. It reads no other token and no cluster, so it runs while the token's memory is at hand.
    pub(super) fn alert(
        &mut self,
        config: &EngineConfig,
        tick_id: u64,
        is_entry: bool,
        row: &mut Row,
    ) -> Result<(), LayerFault> {
        let tick = TokenTick {
            tick_id,
            state: row.state,
            is_entry,
            cycle_id: self.fsm.cycle_id(),
            cost: row.cost,
            is_suppressed: row.flags.contains(TokenFlags::SUPPRESS_ALERTS),
        };
        row.raised = self.alerts.update(&config.alerts, &tick)?;
        let is_raised = row.raised.structural.is_some() || row.raised.stable.is_some();
        row.active_ticks = if is_raised { self.alerts.active_ticks() } else { 0 };
        Ok(())
    }

    pub(super) const fn tier(&self) -> Tier {
        self.tier.tier()
    }

    pub(super) const fn state(&self) -> FsmState {
        self.fsm.state()
    }
}
