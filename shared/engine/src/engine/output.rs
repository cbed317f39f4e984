//! What a tick gives: records, transitions, alerts, the chain. One value is used again for every tick.

use crate::alert::Alert;
use crate::cluster::ClusterEdge;
use crate::config::{EngineConfig, SCHEMA, quoted};
use crate::fsm::Edge;
use crate::phase::PhaseCause;
use crate::record::RECORD_LEN;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use penstock_types::engine_view::{ClusterState, EventPhase, FsmState, Scores, Tier};

/// A change of state of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenTransition {
    /// Tick.
    pub tick_id: u64,
    /// Token.
    pub token_id: u16,
    /// Cycle in which it happened.
    pub cycle_id: u32,
    /// State before.
    pub from: FsmState,
    /// State after.
    pub to: FsmState,
    /// Way.
    pub edge: Edge,
    /// Scores after the tick.
    pub scores: Scores,
    /// Trigger cost.
    pub cost: i32,
    /// Tier.
    pub tier: Tier,
    /// One bit per condition that held.
    pub reason_bits: u32,
}

/// A change of state of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClusterTransition {
    /// Tick.
    pub tick_id: u64,
    /// Cluster.
    pub cluster_id: u8,
    /// State before.
    pub from: ClusterState,
    /// State after.
    pub to: ClusterState,
    /// Way.
    pub edge: ClusterEdge,
    /// One bit per condition that held.
    pub reason_bits: u32,
}

/// A change of phase of a cluster's event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PhaseTransition {
    /// Tick.
    pub tick_id: u64,
    /// Cluster.
    pub cluster_id: u8,
    /// Position of the event in the configuration.
    pub event: usize,
    /// Phase before.
    pub from: EventPhase,
    /// Phase after.
    pub to: EventPhase,
    /// Why.
    pub cause: PhaseCause,
}

/// A change of state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transition {
    /// Of a token.
    Token(TokenTransition),
    /// Of a cluster.
    Cluster(ClusterTransition),
    /// Of an event's phase.
    Phase(PhaseTransition),
}

/// Output of a tick.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TickOutput {
    /// Tick.
    pub tick_id: u64,
    /// One record per token, ascending by token.
    pub records: Vec<[u8; RECORD_LEN]>,
    /// Transitions: tokens, clusters, phases, each ascending.
    pub transitions: Vec<Transition>,
    /// Alerts in the order of publication.
    pub alerts: Vec<Alert>,
    /// State chain after the tick.
    pub chain: [u8; 32],
}

impl TickOutput {
    /// Room for everything that one tick of `tokens` tokens in `clusters` clusters can give.
    #[must_use]
    pub fn with_room(tokens: usize, clusters: usize) -> Self {
        Self {
            records: Vec::with_capacity(tokens),
            transitions: Vec::with_capacity(tokens.saturating_add(clusters.saturating_mul(2))),
            alerts: Vec::with_capacity(tokens.saturating_mul(2).saturating_add(clusters)),
            ..Self::default()
        }
    }

    pub(super) fn begin(&mut self, tick_id: u64) {
        self.tick_id = tick_id;
        self.records.clear();
        self.transitions.clear();
        self.alerts.clear();
    }
}

impl Transition {
    /// The canonical line of the transition stream; `config` names the event of a phase.
    #[must_use]
    pub fn line(&self, config: &EngineConfig) -> String {
        match self {
            Self::Token(t) => format!(
                "{{\"cost\":{},\"cycle_id\":{},\"edge\":\"{}\",\"fragile\":{},\"from\":\"{}\",\
                 \"kind\":\"token\",\"pressure\":{},\"reason_bits\":{},\"schema_version\":\"{SCHEMA}\",\
                 \"tick_id\":{},\"tier\":\"{}\",\"to\":\"{}\",\"token_id\":{},\"trigger\":{},\
                 \"unwind\":{}}}",
                t.cost,
                t.cycle_id,
                t.edge.name(),
                t.scores.fragile,
                t.from.name(),
                t.scores.pressure,
                t.reason_bits,
                t.tick_id,
                t.tier.name(),
                t.to.name(),
                t.token_id,
                t.scores.trigger,
                t.scores.unwind,
            ),
            Self::Cluster(t) => format!(
                "{{\"cluster_id\":{},\"edge\":\"{}\",\"from\":\"{}\",\"kind\":\"cluster\",\
                 \"reason_bits\":{},\"schema_version\":\"{SCHEMA}\",\"tick_id\":{},\"to\":\"{}\"}}",
                t.cluster_id,
                t.edge.name(),
                t.from.name(),
                t.reason_bits,
                t.tick_id,
                t.to.name(),
            ),
            Self::Phase(t) => format!(
                "{{\"cluster_id\":{},\"edge\":\"{}\",\"event_id\":{},\"from\":\"{}\",\
                 \"kind\":\"phase\",\"schema_version\":\"{SCHEMA}\",\"tick_id\":{},\"to\":\"{}\"}}",
                t.cluster_id,
                t.cause.name(),
                quoted(config.events.get(t.event).map_or("", |event| event.id.as_str())),
                t.from.name(),
                t.tick_id,
                t.to.name(),
            ),
        }
    }
}
