//! The state machine of a token: how near its market structure is to breaking.
//!
//! Input: the scores, cost, tier and open interest of a tick, all of which stand in the record. Output: the
//! state and at most one transition. Invariants: PRESSURE, FRAGILE, TRIGGER_READY and UNWIND are entered from
//! their predecessor alone, BUILD from COOLDOWN alone; a condition has to hold in consecutive ticks since the
//! state was entered; forward is judged before release and release before rebuild. It reads no cluster,
//! phase or alert, and no event ever makes it jump.
//!
//! ```text
//! BUILD ─▶ PRESSURE ─▶ FRAGILE ─▶ TRIGGER_READY ─▶ UNWIND ─▶ COOLDOWN ─▶ BUILD   forward, normalise
//!             └───────────┴─────────────┴───── release ──────────▲   └─ rebuild ─▲
//! ```

mod conditions;
pub mod scores;

pub use conditions::{FsmInput, Judgement, judge};

use crate::config::FsmNumbers;
use crate::fault::LayerFault;
use crate::num::{inc, streak};
use crate::snapshot::{Pack, Unpack};
use penstock_types::engine_view::FsmState;

/// Way on which a state is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Edge {
    /// On to the next state.
    Forward,
    /// Out of COOLDOWN with normal evidence.
    Normalise,
    /// The build-up faded.
    Release,
    /// Out of COOLDOWN, because leverage stacks again.
    Rebuild,
}

impl Edge {
    /// Every edge.
    pub const ALL: [Self; 4] = [Self::Forward, Self::Normalise, Self::Release, Self::Rebuild];

    /// Name in the transition stream.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Normalise => "normalise",
            Self::Release => "release",
            Self::Rebuild => "rebuild",
        }
    }

    /// The record of the tick carries the flag `ALT_EDGE`.
    #[must_use]
    pub const fn is_alternative(self) -> bool {
        match self {
            Self::Forward | Self::Normalise => false,
            Self::Release | Self::Rebuild => true,
        }
    }
}

/// The state behind an edge; `None` for a pair that does not exist.
#[must_use]
pub const fn next(state: FsmState, edge: Edge) -> Option<FsmState> {
    match (state, edge) {
        (FsmState::Build, Edge::Forward) => Some(FsmState::Pressure),
        (FsmState::Pressure, Edge::Forward) => Some(FsmState::Fragile),
        (FsmState::Fragile, Edge::Forward) => Some(FsmState::TriggerReady),
        (FsmState::TriggerReady, Edge::Forward) => Some(FsmState::Unwind),
        (FsmState::Unwind, Edge::Forward)
        | (FsmState::Pressure | FsmState::Fragile | FsmState::TriggerReady, Edge::Release) => {
            Some(FsmState::Cooldown)
        }
        (FsmState::Cooldown, Edge::Normalise | Edge::Rebuild) => Some(FsmState::Build),
        (FsmState::Build, Edge::Normalise | Edge::Release | Edge::Rebuild)
        | (
            FsmState::Pressure | FsmState::Fragile | FsmState::TriggerReady,
            Edge::Normalise | Edge::Rebuild,
        )
        | (FsmState::Unwind, Edge::Normalise | Edge::Release | Edge::Rebuild)
        | (FsmState::Cooldown, Edge::Forward | Edge::Release) => None,
    }
}

/// A change of state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moved {
    /// State before.
    pub from: FsmState,
    /// State after.
    pub to: FsmState,
    /// Way.
    pub edge: Edge,
    /// Cycle in which it happened; leaving COOLDOWN still belongs to the one that ends.
    pub cycle_id: u32,
    /// One bit per condition that held, in the order of the formula.
    pub reason_bits: u32,
}

/// Layer 5 of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FsmMemory {
    state: FsmState,
    forward: u32,
    release: u32,
    rebuild: u32,
    state_enter_tick: u64,
    cycle_id: u32,
}

impl FsmMemory {
    /// A token in BUILD since `tick`.
    #[must_use]
    pub const fn new(tick: u64) -> Self {
        Self {
            state: FsmState::Build,
            forward: 0,
            release: 0,
            rebuild: 0,
            state_enter_tick: tick,
            cycle_id: 0,
        }
    }

    /// A token of which the discrete state is known and nothing is counted yet.
    #[must_use]
    pub const fn in_state(state: FsmState, tick: u64, cycle_id: u32) -> Self {
        Self { state, cycle_id, ..Self::new(tick) }
    }

    /// Executes one tick.
    ///
    /// # Errors
    /// [`LayerFault`] when a number leaves its range or an impossible edge is taken.
    #[inline]
    pub fn update(
        &mut self,
        numbers: &FsmNumbers,
        has_release: bool,
        input: &FsmInput,
    ) -> Result<Option<Moved>, LayerFault> {
        let dwell = input.tick_id.saturating_sub(self.state_enter_tick);
        let judged = judge(self.state, numbers, dwell, input)?;
        self.forward = streak(self.forward, judged.forward.holds);
        self.release = streak(self.release, has_release && judged.release.holds);
        self.rebuild = streak(self.rebuild, has_release && judged.rebuild.holds);
        let forward =
            if self.state == FsmState::Cooldown { Edge::Normalise } else { Edge::Forward };
        let long_enough = |n: u32, persist: i64| n > 0 && i64::from(n) >= persist;
        let (edge, reason_bits) = if long_enough(self.forward, judged.forward.persist) {
            (forward, judged.forward.bits)
        } else if long_enough(self.release, judged.release.persist) {
            (Edge::Release, judged.release.bits)
        } else if long_enough(self.rebuild, judged.rebuild.persist) {
            (Edge::Rebuild, judged.rebuild.bits)
        } else {
            return Ok(None);
        };
        self.take(edge, input.tick_id, reason_bits).map(Some)
    }

    fn take(&mut self, edge: Edge, tick: u64, reason_bits: u32) -> Result<Moved, LayerFault> {
        let (from, cycle_id) = (self.state, self.cycle_id);
        let Some(to) = next(from, edge) else {
            return Err(LayerFault::Invariant("a token took an edge that does not exist"));
        };
        let cycle = if to == FsmState::Build { inc(cycle_id)? } else { cycle_id };
        *self = Self::in_state(to, tick, cycle);
        Ok(Moved { from, to, edge, cycle_id, reason_bits })
    }

    /// State.
    #[must_use]
    pub const fn state(&self) -> FsmState {
        self.state
    }

    /// Tick at which the state was entered.
    #[must_use]
    pub const fn state_enter_tick(&self) -> u64 {
        self.state_enter_tick
    }

    /// Cycles completed.
    #[must_use]
    pub const fn cycle_id(&self) -> u32 {
        self.cycle_id
    }
}

impl FsmMemory {
    /// Counters, the tick of entry and the cycle; the state stands before them.
    pub(crate) fn save(&self, pack: &mut Pack<'_>) {
        for n in [self.forward, self.release, self.rebuild] {
            pack.u32(n);
        }
        pack.u64(self.state_enter_tick);
        pack.u32(self.cycle_id);
    }

    /// Reads what [`FsmMemory::save`] wrote of a token in `state`.
    pub(crate) fn load(read: &mut Unpack<'_>, state: FsmState) -> Self {
        let [forward, release, rebuild] = core::array::from_fn(|_| read.u32());
        let state_enter_tick = read.u64();
        Self { state, forward, release, rebuild, state_enter_tick, cycle_id: read.u32() }
    }
}

#[cfg(test)]
mod tests;
