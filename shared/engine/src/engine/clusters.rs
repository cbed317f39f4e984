//! One cluster's layers 6 and 7 and its alerts, run in their order.
//!
//! Input: the members after this tick. Output: state, phase, counts; whether a systemic alert is raised.
//! Invariant: the cluster reads the phase of the tick before, the phase this tick's cluster, so there is no
//! cycle.

use super::alerts::Subject;
use crate::alert::ClusterAlerts;
use crate::cluster::{ClusterMemory, ClusterMoved, Counts};
use crate::config::{EngineConfig, EventConfig};
use crate::fault::LayerFault;
use crate::phase::{PhaseMemory, PhaseMoved, Schedule};
use alloc::vec::Vec;
use penstock_types::engine_view::ClusterState;

/// A cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ClusterCore {
    pub id: u8,
    /// Positions of its tokens, ascending.
    pub members: Vec<usize>,
    pub schedule: Schedule,
    pub memory: ClusterMemory,
    pub phase: PhaseMemory,
    pub alerts: ClusterAlerts,
    pub is_raised: bool,
}

impl ClusterCore {
    pub(super) fn new(id: u8, members: Vec<usize>, events: &[EventConfig]) -> Self {
        let schedule = Schedule::of_cluster(id, events);
        let phase = PhaseMemory::new(&schedule, 0);
        Self {
            id,
            members,
            schedule,
            memory: ClusterMemory::new(0),
            phase,
            alerts: ClusterAlerts::default(),
            is_raised: false,
        }
    }

    /// The engine begins with `tick`.
    pub(super) fn begin(&mut self, tick: u64) {
        self.memory = ClusterMemory::new(tick.saturating_sub(1));
        self.phase = PhaseMemory::new(&self.schedule, tick);
    }

    /// Takes over what the cluster was under another configuration. The phase goes on when the event in which it
    /// stands is still scheduled as it was; under another schedule it begins by time alone.
    pub(super) fn follow(&mut self, had: &Self) {
        self.memory = had.memory;
        self.alerts = had.alerts;
        if let Some(phase) = had.phase.under(&had.schedule, &self.schedule) {
            self.phase = phase;
        }
    }

    /// Layer 6, on cluster ticks, with the cluster's alert.
    pub(super) fn judge<T: Subject>(
        &mut self,
        config: &EngineConfig,
        tick: u64,
        tokens: &[T],
    ) -> Result<Option<ClusterMoved>, LayerFault> {
        let mut counts = Counts::default();
        for at in &self.members {
            if let Some(token) = tokens.get(*at) {
                counts = counts.with(&token.member())?;
            }
        }
        let phase = self.phase.phase();
        let moved = self.memory.update(&config.cluster, phase, tick, counts)?;
        if self.memory.is_valid() {
            let escalated = moved.is_some_and(|moved| {
                (moved.from, moved.to) == (ClusterState::Fragile, ClusterState::Unwind)
            });
            self.is_raised = self.alerts.update(tick, self.memory.state(), escalated);
        }
        Ok(moved)
    }

    /// Layer 7, on every tick.
    pub(super) fn advance(
        &mut self,
        config: &EngineConfig,
        tick: u64,
    ) -> Result<Option<PhaseMoved>, LayerFault> {
        self.phase.update(&config.phase, &self.schedule, tick, &self.memory)
    }
}
