//! One token's layers 2 to 5 and its alerts, run in their order.
//!
//! Input: the frame and the token's events. Output: what the cluster, the alerts and the record need of the
//! tick. Invariants: it touches one token only; a layer hands on values, never its state.

use super::alerts::Subject;
use super::clusters::ClusterCore;
use crate::alert::{Raised, TokenAlerts, TokenTick};
use crate::cluster::Member;
use crate::config::{EngineConfig, FsmNumbers, TokenConfig};
use crate::cost::{CostState, Weights};
use crate::fault::LayerFault;
use crate::feature::{FeatureFrame, Features, Wiring};
use crate::frame_view::FrameView;
use crate::fsm::scores::ScoreMemory;
use crate::fsm::{FsmInput, FsmMemory, Moved};
use crate::num::{sat16, sat32};
use crate::record::Record;
use crate::tier::TierState;
use penstock_types::engine_view::{Direction, DivergenceLabel, FsmState, Tier, TokenFlags};
use penstock_types::frame::FrameEvent;

/// What a tick left behind for the layers that see all tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    pub liq_imbalance: i16,
    pub trade_delta: i64,
    pub oi_velocity: i32,
    pub spread_pct: i32,
    pub mark_vs_mid: i32,
    pub direction: Direction,
    pub label: DivergenceLabel,
    pub flags: TokenFlags,
    pub moved: Option<Moved>,
    pub raised: Raised,
}

impl Row {
    pub(super) const EMPTY: Self = Self {
        liq_imbalance: 0,
        trade_delta: 0,
        oi_velocity: 0,
        spread_pct: 0,
        mark_vs_mid: 0,
        direction: Direction::Neutral,
        label: DivergenceLabel::None,
        flags: TokenFlags(0),
        moved: None,
        raised: Raised { structural: None, stable: None },
    };

    fn of(features: &FeatureFrame, moved: Option<Moved>) -> Self {
        let alternative = moved.is_some_and(|moved| moved.edge.is_alternative());
        Self {
            liq_imbalance: sat16(features.liq_imbalance),
            trade_delta: features.trade_delta,
            oi_velocity: sat32(features.oi_velocity.unwrap_or(0)),
            spread_pct: sat32(features.spread_pct),
            mark_vs_mid: sat32(features.mark_vs_mid.unwrap_or(0)),
            direction: features.direction,
            label: features.divergence_label,
            flags: features.flags.with_if(TokenFlags::ALT_EDGE, alternative),
            moved,
            raised: Raised::default(),
        }
    }
}

/// A token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TokenCore {
    pub id: u16,
    pub wiring: Wiring,
    /// Position of its cluster.
    pub cluster_at: usize,
    weights: Weights,
    numbers: FsmNumbers,
    pub features: Features,
    pub tier: TierState,
    pub cost: CostState,
    pub scores: ScoreMemory,
    pub fsm: FsmMemory,
    pub alerts: TokenAlerts,
    pub row: Row,
}

impl TokenCore {
    pub(super) fn new(
        config: &EngineConfig,
        token: &TokenConfig,
        wiring: Wiring,
        cluster_at: usize,
    ) -> Self {
        Self {
            id: token.id,
            wiring,
            cluster_at,
            weights: Weights::new(token),
            numbers: token.fsm,
            features: Features::new(config),
            tier: TierState::default(),
            cost: CostState::default(),
            scores: ScoreMemory::default(),
            fsm: FsmMemory::new(0),
            alerts: TokenAlerts::default(),
            row: Row::EMPTY,
        }
    }

    /// Layers 2 to 5.
    pub(super) fn execute(
        &mut self,
        config: &EngineConfig,
        frame: &FrameView<'_>,
        events: &[FrameEvent],
    ) -> Result<(), LayerFault> {
        let features = self.features.extract(config, &self.wiring, frame, events)?;
        let tier = self.tier.update(config, &features);
        self.cost.update(config, &self.weights, &features, tier);
        let scores = self.scores.update(config, &self.numbers, &self.weights, &features, tier);
        let input = FsmInput {
            tick_id: frame.tick_id,
            profile: self.weights.profile,
            scores,
            cost: self.cost.cost(),
            threshold_multiplier: tier.threshold_multiplier,
            oi_velocity: i64::from(sat32(features.oi_velocity.unwrap_or(0))),
            is_oi_stale: features.flags.contains(TokenFlags::OI_STALE),
        };
        let moved = self.fsm.update(&self.numbers, config.release_enabled, &input)?;
        self.row = Row::of(&features, moved);
        Ok(())
    }

    /// Layer 8.
    pub(super) fn alert(&mut self, config: &EngineConfig, tick_id: u64) -> Result<(), LayerFault> {
        let tick = TokenTick {
            tick_id,
            state: self.fsm.state(),
            is_entry: self.row.moved.is_some(),
            cycle_id: self.fsm.cycle_id(),
            cost: self.cost.cost(),
            is_suppressed: self.row.flags.contains(TokenFlags::SUPPRESS_ALERTS),
        };
        self.row.raised = self.alerts.update(&config.alerts, &tick)?;
        Ok(())
    }

    pub(super) const fn tier(&self) -> Tier {
        self.tier.tier()
    }

    pub(super) const fn state(&self) -> FsmState {
        self.fsm.state()
    }
}

impl Subject for TokenCore {
    fn id(&self) -> u16 {
        self.id
    }

    fn cluster_at(&self) -> usize {
        self.cluster_at
    }

    fn raised(&self) -> Raised {
        self.row.raised
    }

    fn active_ticks(&self) -> u32 {
        self.alerts.active_ticks()
    }

    fn member(&self) -> Member {
        Member {
            state: self.fsm.state(),
            tier: self.tier.tier(),
            is_inactive: self.row.flags.contains(TokenFlags::INACTIVE),
            cost: self.cost.cost(),
        }
    }

    fn record(&self, tick_id: u64, cluster: &ClusterCore, flags: TokenFlags, mask: u8) -> Record {
        Record {
            tick_id,
            token_id: self.id,
            liq_imbalance: self.row.liq_imbalance,
            fsm_state: self.fsm.state(),
            tier: self.tier.tier(),
            cluster_state: cluster.memory.state(),
            event_phase: cluster.phase.phase(),
            flags: self.row.flags.with(flags),
            alert_mask: self.row.raised.mask() | mask,
            direction: self.row.direction,
            scores: self.scores.get(),
            trigger_cost: self.cost.cost(),
            trade_delta: self.row.trade_delta,
            oi_velocity: self.row.oi_velocity,
            spread_pct: self.row.spread_pct,
            mark_vs_mid: self.row.mark_vs_mid,
        }
    }
}
