//! What a tick left of each token for whoever looks at all of them: clusters, alerts, records, views.
//!
//! Input: what a token's own layers gave. Output: the token as the others see it. Invariants: rows lie side by
//! side, one per token and ascending like the tokens, so that a pass over all of them never touches the tokens'
//! own memory, of which a tick reads every part only once; a row holds nothing from which the next tick follows.

use super::alerts::Subject;
use super::clusters::ClusterCore;
use crate::alert::Raised;
use crate::cluster::Member;
use crate::feature::FeatureFrame;
use crate::fsm::Moved;
use crate::num::{sat16, sat32};
use crate::record::Record;
use penstock_types::engine_view::{Direction, DivergenceLabel, FsmState, Scores, Tier, TokenFlags};

/// A token after a tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    pub id: u16,
    /// Position of its cluster.
    pub cluster_at: usize,
    pub state: FsmState,
    pub tier: Tier,
    pub direction: Direction,
    pub label: DivergenceLabel,
    pub flags: TokenFlags,
    pub liq_imbalance: i16,
    pub scores: Scores,
    pub cost: i32,
    pub oi_velocity: i32,
    pub spread_pct: i32,
    pub mark_vs_mid: i32,
    pub trade_delta: i64,
    pub raised: Raised,
    /// Ticks of the last 240 in which it was stirred; counted when something was raised, else 0.
    pub active_ticks: u32,
}

impl Row {
    /// A token that has executed nothing.
    pub(super) const fn new(id: u16, cluster_at: usize) -> Self {
        let Record { fsm_state, tier, direction, scores, .. } = Record::BLANK;
        Self {
            id,
            cluster_at,
            state: fsm_state,
            tier,
            direction,
            label: DivergenceLabel::None,
            flags: TokenFlags(0),
            liq_imbalance: 0,
            scores,
            cost: 0,
            oi_velocity: 0,
            spread_pct: 0,
            mark_vs_mid: 0,
            trade_delta: 0,
            raised: Raised { structural: None, stable: None },
            active_ticks: 0,
        }
    }

    /// Takes what the features say and whether the token moved.
    pub(super) fn note(&mut self, features: &FeatureFrame, moved: Option<&Moved>) {
        let alternative = moved.is_some_and(|moved| moved.edge.is_alternative());
        self.liq_imbalance = sat16(features.liq_imbalance);
        self.trade_delta = features.trade_delta;
        self.oi_velocity = sat32(features.oi_velocity.unwrap_or(0));
        self.spread_pct = sat32(features.spread_pct);
        self.mark_vs_mid = sat32(features.mark_vs_mid.unwrap_or(0));
        self.direction = features.direction;
        self.label = features.divergence_label;
        self.flags = features.flags.with_if(TokenFlags::ALT_EDGE, alternative);
    }
}

impl Subject for Row {
    fn id(&self) -> u16 {
        self.id
    }

    fn cluster_at(&self) -> usize {
        self.cluster_at
    }

    fn raised(&self) -> Raised {
        self.raised
    }

    fn active_ticks(&self) -> u32 {
        self.active_ticks
    }

    fn member(&self) -> Member {
        Member {
            state: self.state,
            tier: self.tier,
            is_inactive: self.flags.contains(TokenFlags::INACTIVE),
            cost: self.cost,
        }
    }

    fn record(&self, tick_id: u64, cluster: &ClusterCore, flags: TokenFlags, mask: u8) -> Record {
        Record {
            tick_id,
            token_id: self.id,
            liq_imbalance: self.liq_imbalance,
            fsm_state: self.state,
            tier: self.tier,
            cluster_state: cluster.memory.state(),
            event_phase: cluster.phase.phase(),
            flags: self.flags.with(flags),
            alert_mask: self.raised.mask() | mask,
            direction: self.direction,
            scores: self.scores,
            trigger_cost: self.cost,
            trade_delta: self.trade_delta,
            oi_velocity: self.oi_velocity,
            spread_pct: self.spread_pct,
            mark_vs_mid: self.mark_vs_mid,
        }
    }
}
