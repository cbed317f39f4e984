//! Alerts: a classifier over what the records say, with counters of its own.
//!
//! Input: state, cost, cluster and flags after a tick. Output: the kinds that a token or cluster raises, and
//! their confidence. Invariants: it looks at ticks, never at a clock; every counter can be built again from
//! records; a kind is raised once per token and cycle, token and quarter of an hour, or cluster, state and
//! quarter of an hour. Nothing reads it back, and no sink is known here.

mod confidence;
mod payload;

pub use confidence::confidence;
pub use payload::alert_id;

use crate::config::AlertNumbers;
use crate::fault::LayerFault;
use crate::num::{add, add32, inc, mul, slot, streak};
use crate::record::Record;
use crate::snapshot::{Pack, Unpack};
use penstock_types::engine_view::{ClusterState, EventPhase, FsmState};

/// Ticks of a quarter of an hour.
const BUCKET_TICKS: u64 = 3_600;
/// Ticks over which activity is counted.
const ACTIVITY_TICKS: usize = 240;
/// Cluster ticks in FRAGILE or UNWIND that make a systemic alert.
const SYSTEMIC_TICKS: u32 = 5;

/// Kind of an alert; the code is its bit in a record's mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AlertKind {
    /// A token entered PRESSURE.
    StructuralBuild,
    /// A token entered FRAGILE.
    StructuralFragile,
    /// A token entered TRIGGER_READY.
    StructuralTriggerReady,
    /// A token entered UNWIND.
    StructuralUnwind,
    /// A cluster stayed in FRAGILE or UNWIND, or went from one to the other.
    Systemic,
    /// A token was fragile and cheap for most of a quarter of an hour.
    Stable15m,
}

impl AlertKind {
    /// Order of publication within a tick.
    pub const PUBLICATION: [Self; 6] = [
        Self::Systemic,
        Self::StructuralUnwind,
        Self::StructuralTriggerReady,
        Self::StructuralFragile,
        Self::Stable15m,
        Self::StructuralBuild,
    ];

    /// Code, 1..=6.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::StructuralBuild => 1,
            Self::StructuralFragile => 2,
            Self::StructuralTriggerReady => 3,
            Self::StructuralUnwind => 4,
            Self::Systemic => 5,
            Self::Stable15m => 6,
        }
    }

    /// Bit in a record's mask.
    #[must_use]
    pub const fn bit(self) -> u8 {
        match self {
            Self::StructuralBuild => 1 << 1,
            Self::StructuralFragile => 1 << 2,
            Self::StructuralTriggerReady => 1 << 3,
            Self::StructuralUnwind => 1 << 4,
            Self::Systemic => 1 << 5,
            Self::Stable15m => 1 << 6,
        }
    }

    /// Name in payloads.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::StructuralBuild => "STRUCTURAL_BUILD",
            Self::StructuralFragile => "STRUCTURAL_FRAGILE",
            Self::StructuralTriggerReady => "STRUCTURAL_TRIGGER_READY",
            Self::StructuralUnwind => "STRUCTURAL_UNWIND",
            Self::Systemic => "SYSTEMIC_ALERT",
            Self::Stable15m => "STABLE_15M_ALERT",
        }
    }

    /// The kind that entering a state raises.
    #[must_use]
    pub const fn of_entry(state: FsmState) -> Option<Self> {
        match state {
            FsmState::Build | FsmState::Cooldown => None,
            FsmState::Pressure => Some(Self::StructuralBuild),
            FsmState::Fragile => Some(Self::StructuralFragile),
            FsmState::TriggerReady => Some(Self::StructuralTriggerReady),
            FsmState::Unwind => Some(Self::StructuralUnwind),
        }
    }
}

/// A quarter of an hour in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stable {
    /// Executed ticks.
    pub ticks: i64,
    /// Ticks in FRAGILE, TRIGGER_READY or UNWIND.
    pub dominant_ticks: i64,
    /// `dominant_ticks` over `ticks`, 1e-4.
    pub dominance_ratio: i64,
    /// Mean cost, Score.
    pub avg_trigger_cost: i64,
    /// Number of the quarter since the Unix epoch.
    pub bucket_id: u64,
}

/// Whom an alert is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlertBody {
    /// A token.
    Token {
        /// Its record of this tick.
        record: Record,
        /// Cost after the cluster's multiplier.
        effective_cost: i32,
        /// The quarter of an hour, for [`AlertKind::Stable15m`].
        stable: Option<Stable>,
    },
    /// A cluster.
    Cluster {
        /// Members in PRESSURE, FRAGILE, TRIGGER_READY or UNWIND.
        affected: u32,
        /// Active members.
        total: u32,
    },
}

/// An alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alert {
    /// Tick.
    pub tick_id: u64,
    /// Kind.
    pub kind: AlertKind,
    /// Cluster.
    pub cluster_id: u8,
    /// Its state.
    pub cluster_state: ClusterState,
    /// Its event's phase.
    pub event_phase: EventPhase,
    /// 0..=100, not a probability.
    pub confidence: u8,
    /// Whom it is about.
    pub body: AlertBody,
}

/// What a token's alerts depend on in a tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenTick {
    /// Tick.
    pub tick_id: u64,
    /// State after the tick.
    pub state: FsmState,
    /// The state was entered in this tick.
    pub is_entry: bool,
    /// Cycle.
    pub cycle_id: u32,
    /// Cost.
    pub cost: i32,
    /// Alerts are held back.
    pub is_suppressed: bool,
}

/// What a token raises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Raised {
    /// A kind of 1 to 4.
    pub structural: Option<AlertKind>,
    /// Kind 6.
    pub stable: Option<Stable>,
}

impl Raised {
    /// Bits in the record's mask.
    #[must_use]
    pub const fn mask(&self) -> u8 {
        let structural = match self.structural {
            Some(kind) => kind.bit(),
            None => 0,
        };
        let stable = if self.stable.is_some() { AlertKind::Stable15m.bit() } else { 0 };
        structural | stable
    }
}

/// A bucket's counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Bucket {
    id: u64,
    n: u32,
    fragile: u32,
    ready: u32,
    unwind: u32,
    cost_sum: i64,
}

/// Layer 8 of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TokenAlerts {
    activity: [u64; 4],
    bucket: Bucket,
    raised_cycle: u32,
    raised_mask: u8,
}

impl TokenAlerts {
    /// Executes one tick.
    ///
    /// # Errors
    /// [`LayerFault`] when a counter leaves its range.
    #[inline]
    pub fn update(
        &mut self,
        numbers: &AlertNumbers,
        tick: &TokenTick,
    ) -> Result<Raised, LayerFault> {
        self.note_activity(tick);
        self.note_bucket(tick)?;
        if tick.cycle_id != self.raised_cycle {
            self.raised_cycle = tick.cycle_id;
            self.raised_mask = 0;
        }
        let kind = AlertKind::of_entry(tick.state).filter(|_| tick.is_entry);
        let structural =
            kind.filter(|kind| !tick.is_suppressed && self.raised_mask & kind.bit() == 0);
        if let Some(kind) = structural {
            self.raised_mask |= kind.bit();
        }
        let is_last = tick.tick_id % BUCKET_TICKS == 3_599;
        let stable = if is_last && !tick.is_suppressed && tick.state != FsmState::Cooldown {
            self.stable(numbers)?
        } else {
            None
        };
        Ok(Raised { structural, stable })
    }

    fn note_activity(&mut self, tick: &TokenTick) {
        let at = slot(tick.tick_id, ACTIVITY_TICKS);
        let (word, bit) = (at / 64, 1_u64 << (at % 64));
        let is_active = AlertKind::of_entry(tick.state).is_some();
        let word = &mut self.activity[word];
        *word = if is_active { *word | bit } else { *word & !bit };
    }

    fn note_bucket(&mut self, tick: &TokenTick) -> Result<(), LayerFault> {
        let id = tick.tick_id / BUCKET_TICKS;
        if self.bucket.id != id {
            self.bucket = Bucket { id, ..Bucket::default() };
        }
        let b = &mut self.bucket;
        b.n = inc(b.n)?;
        b.fragile = add32(b.fragile, u32::from(tick.state == FsmState::Fragile))?;
        b.ready = add32(b.ready, u32::from(tick.state == FsmState::TriggerReady))?;
        b.unwind = add32(b.unwind, u32::from(tick.state == FsmState::Unwind))?;
        b.cost_sum = add(b.cost_sum, i64::from(tick.cost))?;
        Ok(())
    }

    fn stable(&self, numbers: &AlertNumbers) -> Result<Option<Stable>, LayerFault> {
        let b = &self.bucket;
        let n = i64::from(b.n);
        let dominant = i64::from(add32(add32(b.fragile, b.ready)?, b.unwind)?);
        let is_stable = n >= numbers.min_ticks
            && mul(dominant, 100)? >= mul(numbers.s1, n)?
            && b.cost_sum <= mul(numbers.c1, n)?;
        if !is_stable {
            return Ok(None);
        }
        Ok(Some(Stable {
            ticks: n,
            dominant_ticks: dominant,
            dominance_ratio: crate::num::mul_div(dominant, 10_000, n)?,
            avg_trigger_cost: crate::num::div(b.cost_sum, n)?,
            bucket_id: b.id,
        }))
    }

    /// Ticks of the last 240 in which the token was stirred, this one too.
    #[must_use]
    pub fn active_ticks(&self) -> u32 {
        self.activity.iter().fold(0, |sum, word| sum.saturating_add(word.count_ones()))
    }
}

/// Layer 8 of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClusterAlerts {
    systemic: u32,
    /// Quarter of an hour of the last alert in FRAGILE and in UNWIND, plus one; 0 = none.
    last_fragile: u64,
    last_unwind: u64,
}

impl ClusterAlerts {
    /// Executes one cluster tick of a valid cluster; true when a systemic alert is raised.
    pub fn update(&mut self, tick: u64, state: ClusterState, escalated: bool) -> bool {
        let mark = (tick / BUCKET_TICKS).saturating_add(1);
        let (is_systemic, last) = match state {
            ClusterState::Fragile => (true, &mut self.last_fragile),
            ClusterState::Unwind => (true, &mut self.last_unwind),
            ClusterState::Calm | ClusterState::Heating | ClusterState::Cooldown => {
                self.systemic = 0;
                return false;
            }
        };
        self.systemic = streak(self.systemic, is_systemic);
        if (self.systemic < SYSTEMIC_TICKS && !escalated) || *last == mark {
            return false;
        }
        *last = mark;
        true
    }
}

impl TokenAlerts {
    /// Activity, counters of the quarter of an hour, marks of the cycle.
    pub(crate) fn save(&self, pack: &mut Pack<'_>) {
        for word in self.activity {
            pack.u64(word);
        }
        let b = &self.bucket;
        pack.u64(b.id);
        for n in [b.n, b.fragile, b.ready, b.unwind] {
            pack.u32(n);
        }
        pack.i64(b.cost_sum);
        pack.u32(self.raised_cycle);
        pack.u8(self.raised_mask);
    }

    /// Reads what [`TokenAlerts::save`] wrote.
    pub(crate) fn load(read: &mut Unpack<'_>) -> Self {
        let activity = core::array::from_fn(|_| read.u64());
        let id = read.u64();
        let [n, fragile, ready, unwind] = core::array::from_fn(|_| read.u32());
        let bucket = Bucket { id, n, fragile, ready, unwind, cost_sum: read.i64() };
        Self { activity, bucket, raised_cycle: read.u32(), raised_mask: read.u8() }
    }
}

impl ClusterAlerts {
    /// Counter and marks.
    pub(crate) fn save(&self, pack: &mut Pack<'_>) {
        pack.u32(self.systemic);
        pack.u64(self.last_fragile);
        pack.u64(self.last_unwind);
    }

    /// Reads what [`ClusterAlerts::save`] wrote.
    pub(crate) fn load(read: &mut Unpack<'_>) -> Self {
        Self { systemic: read.u32(), last_fragile: read.u64(), last_unwind: read.u64() }
    }
}

#[cfg(test)]
mod tests;
