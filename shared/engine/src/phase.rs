//! Event phases: where a cluster stands in its scheduled event.
//!
//! Input: the tick, the schedule, the cluster's state and counts. Output: the phase and at most one change
//! per tick. Invariants: within an event the phase only grows, one step at a time; PREP comes again only with
//! the next event, so `(event, phase)` grows always; a cluster without a schedule stands in MID for ever. It
//! reads no feature and no single token.

use crate::cluster::ClusterMemory;
use crate::config::{EventConfig, PhaseConfig};
use crate::fault::LayerFault;
use crate::num::{breadth, inc, streak};
use crate::snapshot::{Pack, Unpack};
use alloc::vec::Vec;
use penstock_types::engine_view::{ClusterState, EventPhase};

/// Why a phase changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PhaseCause {
    /// The schedule.
    Time,
    /// The cluster collapsed early.
    Collapse,
    /// The collapse is over.
    PostCollapse,
    /// The next event of the cluster.
    NextEvent,
}

impl PhaseCause {
    /// Name in the transition stream.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Collapse => "collapse",
            Self::PostCollapse => "post_collapse",
            Self::NextEvent => "next_event",
        }
    }
}

/// A change of phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PhaseMoved {
    /// Position of the event in the configuration's list.
    pub event: usize,
    /// Phase before.
    pub from: EventPhase,
    /// Phase after.
    pub to: EventPhase,
    /// Why.
    pub cause: PhaseCause,
}

/// The phase that follows; `None` behind the last.
#[must_use]
pub const fn next(phase: EventPhase) -> Option<EventPhase> {
    match phase {
        EventPhase::Prep => Some(EventPhase::Start),
        EventPhase::Start => Some(EventPhase::Mid),
        EventPhase::Mid => Some(EventPhase::End),
        EventPhase::End => Some(EventPhase::Post),
        EventPhase::Post => None,
    }
}

/// The phase that the schedule alone gives.
#[must_use]
pub const fn by_time(event: &EventConfig, tick: u64) -> EventPhase {
    if tick < event.start {
        EventPhase::Prep
    } else if tick < event.mid {
        EventPhase::Start
    } else if tick < event.end {
        EventPhase::Mid
    } else if tick < event.post {
        EventPhase::End
    } else {
        EventPhase::Post
    }
}

/// Layer 7 of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PhaseMemory {
    phase: EventPhase,
    /// Position among the cluster's own events.
    event_index: u32,
    /// END or POST, once an override has asked for it.
    latch: Option<EventPhase>,
    collapse: u32,
    calm: u32,
    is_overridden: bool,
}

/// The events of one cluster, in order, with their position in the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Schedule {
    events: Vec<(usize, EventConfig)>,
}

impl Schedule {
    /// Those of a cluster.
    #[must_use]
    pub fn of_cluster(cluster: u8, events: &[EventConfig]) -> Self {
        let own = events.iter().enumerate().filter(|(_, event)| event.cluster == cluster);
        Self { events: own.map(|(at, event)| (at, event.clone())).collect() }
    }

    fn get(&self, index: u32) -> Option<&(usize, EventConfig)> {
        self.events.get(usize::try_from(index).ok()?)
    }

    /// The last event whose preparation has begun, or the first one.
    fn index_at(&self, tick: u64) -> u32 {
        let begun = self.events.iter().filter(|(_, event)| event.prep <= tick).count();
        u32::try_from(begun.saturating_sub(1)).unwrap_or(u32::MAX)
    }
}

impl PhaseMemory {
    /// The phase in which an engine begins at `tick`: by time alone.
    #[must_use]
    pub fn new(schedule: &Schedule, tick: u64) -> Self {
        let event_index = schedule.index_at(tick);
        let phase = match schedule.get(event_index) {
            Some((_, event)) => by_time(event, tick),
            None => EventPhase::Mid,
        };
        Self { phase, event_index, latch: None, collapse: 0, calm: 0, is_overridden: false }
    }

    /// The same under another schedule; `None` when the event in which it stands is not scheduled as it was.
    #[must_use]
    pub fn under(&self, had: &Schedule, now: &Schedule) -> Option<Self> {
        let Some((_, event)) = had.get(self.event_index) else {
            return now.events.is_empty().then_some(*self);
        };
        let at = now.events.iter().position(|(_, other)| other == event)?;
        Some(Self { event_index: u32::try_from(at).ok()?, ..*self })
    }

    /// Executes one tick, after the cluster.
    ///
    /// # Errors
    /// [`LayerFault`] when the number of the event leaves its range.
    pub fn update(
        &mut self,
        config: &PhaseConfig,
        schedule: &Schedule,
        tick: u64,
        cluster: &ClusterMemory,
    ) -> Result<Option<PhaseMoved>, LayerFault> {
        let Some((at, event)) = schedule.get(self.event_index) else { return Ok(None) };
        if tick.is_multiple_of(4) {
            self.judge_overrides(config, cluster);
        }
        let from = self.phase;
        if from == EventPhase::Post
            && let Some((next_at, following)) = schedule.get(inc(self.event_index)?)
            && tick >= following.prep
        {
            let event_index = inc(self.event_index)?;
            *self = Self { phase: EventPhase::Prep, event_index, ..Self::reset() };
            let (to, cause) = (self.phase, PhaseCause::NextEvent);
            return Ok(Some(PhaseMoved { event: *next_at, from, to, cause }));
        }
        let on_time = by_time(event, tick);
        let target = self.latch.map_or(on_time, |latch| latch.max(on_time));
        self.is_overridden = self.latch.is_some_and(|latch| latch > on_time);
        let Some(to) = next(from).filter(|to| *to <= target) else { return Ok(None) };
        self.phase = to;
        // Ahead of the schedule only an override leads, and only that of the calm leads to POST.
        let cause = if to <= on_time {
            PhaseCause::Time
        } else if to == EventPhase::Post {
            PhaseCause::PostCollapse
        } else {
            PhaseCause::Collapse
        };
        Ok(Some(PhaseMoved { event: *at, from, to, cause }))
    }

    const fn reset() -> Self {
        Self {
            phase: EventPhase::Prep,
            event_index: 0,
            latch: None,
            collapse: 0,
            calm: 0,
            is_overridden: false,
        }
    }

    /// Counts the cluster ticks of a collapse, and of the calm after it.
    fn judge_overrides(&mut self, config: &PhaseConfig, cluster: &ClusterMemory) {
        let counts = cluster.counts();
        let of = |share: i64| breadth(counts.n, share, 10_000);
        let collapses = cluster.is_valid()
            && cluster.state() == ClusterState::Unwind
            && counts.unwind >= of(config.collapse_ratio)
            && matches!(self.phase, EventPhase::Start | EventPhase::Mid);
        self.collapse = streak(self.collapse, collapses);
        if i64::from(self.collapse) >= config.e1 {
            self.latch = self.latch.max(Some(EventPhase::End));
        }
        let is_over = cluster.is_valid()
            && cluster.state() == ClusterState::Cooldown
            && counts.build >= of(config.post_ratio)
            && self.phase == EventPhase::End;
        self.calm = streak(self.calm, is_over);
        if i64::from(self.calm) >= config.e2 {
            self.latch = Some(EventPhase::Post);
        }
    }

    /// Phase.
    #[must_use]
    pub const fn phase(&self) -> EventPhase {
        self.phase
    }

    /// An override is latched and ahead of the schedule.
    #[must_use]
    pub const fn is_overridden(&self) -> bool {
        self.is_overridden
    }
}

impl PhaseMemory {
    /// Latch and number of the event; the phase stands before them, the counters behind.
    pub(crate) fn save(&self, pack: &mut Pack<'_>) {
        pack.u8(self.latch.map_or(0, EventPhase::code));
        pack.u32(self.event_index);
    }

    /// Counters of the collapse and of the calm after it.
    pub(crate) const fn counters(&self) -> [u32; 2] {
        [self.collapse, self.calm]
    }

    /// Reads what [`PhaseMemory::save`] wrote at `tick`; the counters follow with
    /// [`PhaseMemory::with_counters`].
    pub(crate) fn load(
        read: &mut Unpack<'_>,
        phase: EventPhase,
        schedule: &Schedule,
        tick: u64,
    ) -> Result<Self, &'static str> {
        let what = "the latch of a phase has no meaning";
        let latch = match read.code(EventPhase::from_code, what)? {
            EventPhase::Prep => None,
            EventPhase::Start | EventPhase::Mid => return Err(what),
            latch @ (EventPhase::End | EventPhase::Post) => Some(latch),
        };
        let event_index = read.u32();
        let on_time = schedule.get(event_index).map(|(_, event)| by_time(event, tick));
        if on_time.is_none() && !(event_index == 0 && phase == EventPhase::Mid) {
            return Err("an event of the schedule does not exist");
        }
        let is_overridden = latch.is_some() && latch > on_time;
        Ok(Self { phase, event_index, latch, collapse: 0, calm: 0, is_overridden })
    }

    pub(crate) const fn with_counters(self, [collapse, calm]: [u32; 2]) -> Self {
        Self { collapse, calm, ..self }
    }

    /// What the record of a tick tells of a phase; nothing is counted yet. An override that the schedule
    /// has caught up with has no effect any more and is forgotten.
    #[must_use]
    pub fn in_phase(
        schedule: &Schedule,
        tick: u64,
        phase: EventPhase,
        is_overridden: bool,
    ) -> Self {
        let mut event_index = schedule.index_at(tick);
        // The preparation of the next event has begun, and the machine still stands in the one before.
        let on_time = schedule.get(event_index).map(|(_, event)| by_time(event, tick));
        if on_time == Some(EventPhase::Prep) && phase != EventPhase::Prep {
            event_index = event_index.saturating_sub(1);
        }
        let latch = match phase {
            EventPhase::Post => EventPhase::Post,
            EventPhase::Prep | EventPhase::Start | EventPhase::Mid | EventPhase::End => {
                EventPhase::End
            }
        };
        let latch = is_overridden.then_some(latch);
        Self { phase, event_index, latch, collapse: 0, calm: 0, is_overridden }
    }
}

#[cfg(test)]
mod tests;
