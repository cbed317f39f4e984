//! Clusters: breadth of token states, judged once per second.
//!
//! Input: states, tiers and activity of a cluster's tokens in this tick and its event phase of the tick
//! before. Output: the cluster's state, counts and heat, and at most one transition. Invariants: it changes
//! no token and nothing of it flows back into one; with fewer active members than `min_members` everything
//! but the validity is frozen; forward only, and back through COOLDOWN. It reads no feature.

use crate::config::ClusterConfig;
use crate::fault::LayerFault;
use crate::num::{add32, breadth, inc, mul_div, sat32, streak};
use crate::snapshot::{Pack, Unpack};
use penstock_types::engine_view::{ClusterState, EventPhase, FsmState, Tier};

/// Way on which a cluster's state is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClusterEdge {
    /// On to the next state.
    Forward,
    /// Out of COOLDOWN.
    Normalise,
    /// The breadth faded.
    Release,
}

impl ClusterEdge {
    /// Every edge.
    pub const ALL: [Self; 3] = [Self::Forward, Self::Normalise, Self::Release];

    /// Name in the transition stream.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Normalise => "normalise",
            Self::Release => "release",
        }
    }
}

/// The state behind an edge; `None` for a pair that does not exist.
#[must_use]
pub const fn next(state: ClusterState, edge: ClusterEdge) -> Option<ClusterState> {
    match (state, edge) {
        (ClusterState::Calm, ClusterEdge::Forward) => Some(ClusterState::Heating),
        (ClusterState::Heating, ClusterEdge::Forward) => Some(ClusterState::Fragile),
        (ClusterState::Fragile, ClusterEdge::Forward) => Some(ClusterState::Unwind),
        (ClusterState::Unwind, ClusterEdge::Forward)
        | (ClusterState::Heating | ClusterState::Fragile, ClusterEdge::Release) => {
            Some(ClusterState::Cooldown)
        }
        (ClusterState::Cooldown, ClusterEdge::Normalise) => Some(ClusterState::Calm),
        (
            ClusterState::Calm | ClusterState::Unwind,
            ClusterEdge::Normalise | ClusterEdge::Release,
        )
        | (ClusterState::Heating | ClusterState::Fragile, ClusterEdge::Normalise)
        | (ClusterState::Cooldown, ClusterEdge::Forward | ClusterEdge::Release) => None,
    }
}

/// A member as a cluster sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// State after this tick.
    pub state: FsmState,
    /// Tier after this tick.
    pub tier: Tier,
    /// It had no event for 1,200 ticks and is in no count.
    pub is_inactive: bool,
    /// Trigger cost.
    pub cost: i32,
}

/// Counts over the active members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Active members.
    pub n: u32,
    /// FRAGILE, TRIGGER_READY or UNWIND.
    pub fragile: u32,
    /// TRIGGER_READY or UNWIND.
    pub ready: u32,
    /// UNWIND.
    pub unwind: u32,
    /// BUILD or PRESSURE.
    pub base: u32,
    /// BUILD.
    pub build: u32,
    /// PRESSURE, FRAGILE, TRIGGER_READY or UNWIND.
    pub stirred: u32,
    /// Sum of the cost of the stirred ones.
    pub stirred_cost: i64,
    overleveraged: u32,
    exhausted: u32,
    heat: u32,
}

/// Heat of a state in hundredths of a member.
const fn heat_of(state: FsmState) -> u32 {
    match state {
        FsmState::Build => 0,
        FsmState::Cooldown => 10,
        FsmState::Pressure => 20,
        FsmState::Fragile => 50,
        FsmState::TriggerReady => 80,
        FsmState::Unwind => 100,
    }
}

impl Counts {
    /// These counts and one more member.
    ///
    /// # Errors
    /// [`LayerFault`] when a count leaves its range, which no checked number of tokens does.
    pub fn with(mut self, member: &Member) -> Result<Self, LayerFault> {
        if member.is_inactive {
            return Ok(self);
        }
        let state = member.state;
        let is_unwind = state == FsmState::Unwind;
        let is_ready = is_unwind || state == FsmState::TriggerReady;
        let is_fragile = is_ready || state == FsmState::Fragile;
        let is_stirred = is_fragile || state == FsmState::Pressure;
        let is_build = state == FsmState::Build;
        self.n = inc(self.n)?;
        self.unwind = add32(self.unwind, u32::from(is_unwind))?;
        self.ready = add32(self.ready, u32::from(is_ready))?;
        self.fragile = add32(self.fragile, u32::from(is_fragile))?;
        self.build = add32(self.build, u32::from(is_build))?;
        let is_base = is_build || state == FsmState::Pressure;
        self.base = add32(self.base, u32::from(is_base))?;
        if is_stirred {
            self.stirred = inc(self.stirred)?;
            self.stirred_cost = crate::num::add(self.stirred_cost, i64::from(member.cost))?;
        }
        let is_tier = |tier: Tier| u32::from(member.tier == tier);
        self.overleveraged = add32(self.overleveraged, is_tier(Tier::Overleveraged))?;
        self.exhausted = add32(self.exhausted, is_tier(Tier::Exhausted))?;
        self.heat = add32(self.heat, heat_of(state))?;
        Ok(self)
    }

    /// Factor of the shares: leverage everywhere lowers them, exhaustion raises them.
    fn adjustment(&self) -> i64 {
        let half = |count: u32| count.saturating_mul(2) >= self.n;
        if half(self.overleveraged) {
            9_000
        } else if half(self.exhausted) {
            11_000
        } else {
            10_000
        }
    }

    fn heat_score(&self) -> Result<i32, LayerFault> {
        Ok(sat32(mul_div(i64::from(self.heat), 10_000, i64::from(self.n))?))
    }
}

/// Members that make a cluster heat, fragile and unwind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thresholds {
    /// HEATING.
    pub heating: u32,
    /// FRAGILE.
    pub fragile: u32,
    /// UNWIND.
    pub unwind: u32,
}

/// Thresholds of `n` members in a phase, with the adjustment of the tiers (1e-4).
#[must_use]
pub fn thresholds(n: u32, phase: EventPhase, adjustment: i64) -> Thresholds {
    let (heating, fragile, unwind) = match phase {
        EventPhase::Prep | EventPhase::Mid => (5_000, 7_000, 6_000),
        EventPhase::Start => (4_000, 6_000, 7_000),
        EventPhase::End => (6_000, 7_000, 5_000),
        EventPhase::Post => (8_000, 9_000, 8_000),
    };
    let of = |share: i64| breadth(n, share, adjustment);
    Thresholds { heating: of(heating), fragile: of(fragile), unwind: of(unwind) }
}

/// What a cluster's state means downstream; nothing of it reaches a token's own layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClusterContext {
    /// For readers that scale thresholds, 1e-4.
    pub threshold_multiplier: i64,
    /// Cost times this is the effective cost, 1e-4.
    pub trigger_cost_multiplier: i64,
    /// 0..=3.
    pub systemic_alert_level: u8,
    /// Part of a confidence, Score.
    pub cluster_weight: i64,
}

/// Effect of a state.
#[must_use]
pub const fn context(state: ClusterState) -> ClusterContext {
    let (threshold, cost, level, weight) = match state {
        ClusterState::Calm => (10_000, 10_000, 0, 0),
        ClusterState::Heating => (9_000, 10_000, 1, 500_000),
        ClusterState::Fragile => (8_000, 10_000, 2, 800_000),
        ClusterState::Unwind => (8_000, 7_000, 3, 1_000_000),
        ClusterState::Cooldown => (10_000, 10_000, 0, 200_000),
    };
    ClusterContext {
        threshold_multiplier: threshold,
        trigger_cost_multiplier: cost,
        systemic_alert_level: level,
        cluster_weight: weight,
    }
}

/// A change of a cluster's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClusterMoved {
    /// State before.
    pub from: ClusterState,
    /// State after.
    pub to: ClusterState,
    /// Way.
    pub edge: ClusterEdge,
    /// One bit per condition that held, in the order of the formula.
    pub reason_bits: u32,
}

/// Layer 6 of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClusterMemory {
    state: ClusterState,
    is_valid: bool,
    forward: u32,
    release: u32,
    previous_unwind: u32,
    enter_tick: u64,
    counts: Counts,
    heat: i32,
}

impl ClusterMemory {
    /// A calm cluster.
    #[must_use]
    pub fn new(tick: u64) -> Self {
        Self {
            state: ClusterState::Calm,
            is_valid: false,
            forward: 0,
            release: 0,
            previous_unwind: 0,
            enter_tick: tick,
            counts: Counts::default(),
            heat: 0,
        }
    }

    /// Executes one cluster tick.
    ///
    /// # Errors
    /// [`LayerFault`] when a number leaves its range or an impossible edge is taken.
    pub fn update(
        &mut self,
        config: &ClusterConfig,
        phase: EventPhase,
        tick: u64,
        counts: Counts,
    ) -> Result<Option<ClusterMoved>, LayerFault> {
        self.is_valid = i64::from(counts.n) >= config.min_members;
        if !self.is_valid {
            return Ok(None);
        }
        let th = thresholds(counts.n, phase, counts.adjustment());
        let (forward, bits, persist) = self.forward_condition(config, &th, &counts);
        let (release, release_bits) = self.release_condition(&th, &counts);
        self.heat = counts.heat_score()?;
        self.previous_unwind = counts.unwind;
        self.counts = counts;
        self.forward = streak(self.forward, forward);
        self.release = streak(self.release, release);
        if i64::from(self.forward) >= persist {
            let edge = if self.state == ClusterState::Cooldown {
                ClusterEdge::Normalise
            } else {
                ClusterEdge::Forward
            };
            return self.take(edge, tick, bits).map(Some);
        }
        if i64::from(self.release) >= config.release {
            return self.take(ClusterEdge::Release, tick, release_bits).map(Some);
        }
        Ok(None)
    }

    /// Whether the way on holds, its bits, and for how many cluster ticks it has to.
    fn forward_condition(
        &self,
        config: &ClusterConfig,
        th: &Thresholds,
        counts: &Counts,
    ) -> (bool, u32, i64) {
        let one = |holds: bool, persist: i64| (holds, u32::from(holds), persist);
        match self.state {
            ClusterState::Calm => one(counts.fragile >= th.heating, config.c1),
            ClusterState::Heating => one(counts.ready >= th.fragile, config.c2),
            ClusterState::Fragile => one(counts.unwind >= th.unwind, config.c_unwind),
            ClusterState::Unwind => {
                let fewer = counts.unwind < th.unwind;
                let no_more = counts.unwind <= self.previous_unwind;
                (fewer && no_more, u32::from(fewer) | (u32::from(no_more) << 1), config.c3)
            }
            ClusterState::Cooldown => one(counts.base.saturating_mul(2) > counts.n, config.c4),
        }
    }

    fn release_condition(&self, th: &Thresholds, counts: &Counts) -> (bool, u32) {
        match self.state {
            ClusterState::Heating => {
                let faded = counts.fragile.saturating_mul(2) < th.heating;
                (faded, u32::from(faded))
            }
            ClusterState::Fragile => {
                let none = counts.ready == 0;
                let few = counts.fragile < th.heating;
                (none && few, u32::from(none) | (u32::from(few) << 1))
            }
            ClusterState::Calm | ClusterState::Unwind | ClusterState::Cooldown => (false, 0),
        }
    }

    fn take(
        &mut self,
        edge: ClusterEdge,
        tick: u64,
        reason_bits: u32,
    ) -> Result<ClusterMoved, LayerFault> {
        let from = self.state;
        let Some(to) = next(from, edge) else {
            return Err(LayerFault::Invariant("a cluster took an edge that does not exist"));
        };
        self.state = to;
        self.forward = 0;
        self.release = 0;
        self.enter_tick = tick;
        Ok(ClusterMoved { from, to, edge, reason_bits })
    }

    /// A valid cluster in a state, for the tests of what reads one.
    #[cfg(test)]
    pub(crate) fn at(state: ClusterState, counts: Counts) -> Self {
        Self { state, is_valid: true, counts, ..Self::new(0) }
    }

    /// State, held between cluster ticks.
    #[must_use]
    pub const fn state(&self) -> ClusterState {
        self.state
    }

    /// The last cluster tick had enough active members.
    #[must_use]
    pub const fn is_valid(&self) -> bool {
        self.is_valid
    }

    /// Tick at which the state was entered.
    #[must_use]
    pub const fn enter_tick(&self) -> u64 {
        self.enter_tick
    }

    /// Counts of the last valid cluster tick.
    #[must_use]
    pub const fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Heat, Score.
    #[must_use]
    pub const fn heat(&self) -> i32 {
        self.heat
    }
}

impl ClusterMemory {
    /// Tick of entry, counters (that of COOLDOWN on its own), the last count of unwinding members.
    pub(crate) fn save(&self, pack: &mut Pack<'_>) {
        let is_cooling = self.state == ClusterState::Cooldown;
        let (forward, cool) = if is_cooling { (0, self.forward) } else { (self.forward, 0) };
        pack.u64(self.enter_tick);
        for n in [forward, self.release, cool, self.previous_unwind] {
            pack.u32(n);
        }
    }

    /// Reads what [`ClusterMemory::save`] wrote; the counts are those of the next cluster tick.
    pub(crate) fn load(read: &mut Unpack<'_>, state: ClusterState, is_valid: bool) -> Self {
        let enter_tick = read.u64();
        let [forward, release, cool, previous_unwind] = core::array::from_fn(|_| read.u32());
        let forward = if state == ClusterState::Cooldown { cool } else { forward };
        Self { state, is_valid, forward, release, previous_unwind, ..Self::new(enter_tick) }
    }

    /// A cluster of which the discrete state is known and nothing is counted yet.
    #[must_use]
    pub fn in_state(state: ClusterState, tick: u64) -> Self {
        Self { state, ..Self::new(tick) }
    }

    pub(crate) const fn set_heat(&mut self, heat: i32) {
        self.heat = heat;
    }
}

#[cfg(test)]
mod tests;
