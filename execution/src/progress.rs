//! Progress of the loops: when each last entered a stage, and when the venue's truth was last called.
//!
//! Purpose: what a thread outside the runtime can read to see that a loop is stuck. Inputs: loops that enter stages,
//! successful calls. Outputs: silences in milliseconds. Invariants: nothing waits for longer than the copy of a
//! value; the time of a loop is written in one function; a loop that does not run has no silence.

use std::sync::atomic::{AtomicI64, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use penstock_types::vocab::StageName;

/// A loop of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoopName {
    /// The desk's tick: protection, trailing, exits.
    ExitSupervisor,
    /// The evaluation.
    Evaluation,
}

/// Stands for "does not run".
const NEVER: i64 = -1;
/// Stands for "no stage yet".
const NO_STAGE: u8 = u8::MAX;

#[derive(Debug)]
struct LoopState {
    at_ms: AtomicI64,
    stage: AtomicU8,
}

impl Default for LoopState {
    fn default() -> Self {
        Self { at_ms: AtomicI64::new(NEVER), stage: AtomicU8::new(NO_STAGE) }
    }
}

/// What the trail's writer says of itself; all 0 before it runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TrailFigures {
    /// Events that wait.
    pub queue_len: i64,
    /// Places of the queue; 0: there is none.
    pub queue_capacity: i64,
    /// Age of the oldest that waits, milliseconds.
    pub lag_ms: i64,
    /// Events since the start.
    pub events_total: i64,
    /// Events dropped since the start.
    pub drops_total: i64,
}

#[derive(Debug)]
struct Inner {
    started: Instant,
    exits: LoopState,
    evaluation: LoopState,
    truth_ms: AtomicI64,
    disk_free: AtomicI64,
    trail: Mutex<TrailFigures>,
}

/// Progress of a session; clones share it.
#[derive(Debug, Clone)]
pub struct Progress(Arc<Inner>);

impl Default for Progress {
    fn default() -> Self {
        Self(Arc::new(Inner {
            started: Instant::now(),
            exits: LoopState::default(),
            evaluation: LoopState::default(),
            truth_ms: AtomicI64::new(NEVER),
            disk_free: AtomicI64::new(NEVER),
            trail: Mutex::default(),
        }))
    }
}

impl Progress {
    fn now_ms(&self) -> i64 {
        i64::try_from(self.0.started.elapsed().as_millis()).unwrap_or(i64::MAX)
    }

    fn of(&self, which: LoopName) -> &LoopState {
        match which {
            LoopName::ExitSupervisor => &self.0.exits,
            LoopName::Evaluation => &self.0.evaluation,
        }
    }

    /// The one place where a loop's time is written.
    fn touch(&self, which: LoopName) {
        self.of(which).at_ms.store(self.now_ms(), Ordering::Relaxed);
    }

    /// The loop enters a stage; true when it is another than its last one.
    pub fn enter(&self, which: LoopName, stage: StageName) -> bool {
        self.touch(which);
        self.of(which).stage.swap(stage as u8, Ordering::Relaxed) != stage as u8
    }

    /// The loop has nothing to do, and has looked.
    pub fn idle(&self, which: LoopName) {
        self.touch(which);
    }

    /// The loop has ended: its silence means nothing any more.
    pub fn ended(&self, which: LoopName) {
        self.of(which).at_ms.store(NEVER, Ordering::Relaxed);
    }

    /// Time since the loop's last progress, milliseconds; none while it does not run.
    #[must_use]
    pub fn silent_ms(&self, which: LoopName) -> Option<i64> {
        self.since(&self.of(which).at_ms)
    }

    /// A call for the venue's truth was answered, or the session begins to make them.
    pub fn truth(&self) {
        self.0.truth_ms.store(self.now_ms(), Ordering::Relaxed);
    }

    /// Time since the last successful call for the venue's truth, milliseconds; none before the desk runs.
    #[must_use]
    pub fn truth_age_ms(&self) -> Option<i64> {
        self.since(&self.0.truth_ms)
    }

    fn since(&self, at: &AtomicI64) -> Option<i64> {
        match at.load(Ordering::Relaxed) {
            NEVER => None,
            at => Some((self.now_ms() - at).max(0)),
        }
    }

    /// The trail's writer says how it stands.
    pub fn found_trail(&self, figures: TrailFigures) {
        // A holder that panicked has written a plain value: it is whole.
        *self.0.trail.lock().unwrap_or_else(PoisonError::into_inner) = figures;
    }

    /// How the trail's writer stood when it said so last.
    #[must_use]
    pub fn trail(&self) -> TrailFigures {
        *self.0.trail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a look at the watched paths found: free bytes, the least of them.
    pub fn found_disk(&self, free_bytes: i64) {
        self.0.disk_free.store(free_bytes.max(0), Ordering::Relaxed);
    }

    /// Free bytes of the last look; none before the first.
    #[must_use]
    pub fn disk_free_bytes(&self) -> Option<i64> {
        match self.0.disk_free.load(Ordering::Relaxed) {
            NEVER => None,
            free => Some(free),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_counts_as_entered_once_and_each_loop_has_its_own() {
        let progress = Progress::default();
        let (exits, cycle) = (LoopName::ExitSupervisor, LoopName::Evaluation);
        assert_eq!(progress.silent_ms(exits), None, "it does not run yet");
        assert!(progress.enter(exits, StageName::PositionManage));
        assert!(!progress.enter(exits, StageName::PositionManage), "the same stage again");
        assert!(progress.enter(cycle, StageName::PositionManage), "another loop");
        assert!(progress.enter(exits, StageName::ReconcileRest));
        assert!(progress.silent_ms(exits).is_some());
        progress.ended(exits);
        assert_eq!(progress.silent_ms(exits), None);
        assert!(progress.silent_ms(cycle).is_some());
    }

    #[test]
    fn truth_and_disk_are_unknown_until_they_were_seen() {
        let progress = Progress::default();
        assert_eq!((progress.truth_age_ms(), progress.disk_free_bytes()), (None, None));
        progress.truth();
        progress.found_disk(0);
        assert!(progress.truth_age_ms().is_some());
        assert_eq!(progress.disk_free_bytes(), Some(0), "a full disk is no unknown one");
    }
}
