//! Modes and the steps of a start, a run and an end, as one table.
//!
//! Input: mode, step, event. Output: the next step, or nothing for a pair that does not exist. Invariants: the
//! mode is chosen at the start and never changes; steps come in their order and none is left out; only LIVE
//! binds sinks and takes live frames; a fault ends the engine in every mode and there is no way out of it.
//!
//! ```text
//! LIVE               config ▶ environment ▶ snapshot ▶ logs ▶ restored ▶ rolled ▶ bound ▶ running ▶ stopping ▶ ended
//! SNAPSHOT_RECOVERY  config ▶ environment ▶ snapshot ▶ logs ▶ restored ▶ rolled ▶ stopping ▶ ended
//! REPLAY             config ▶ restored ▶ running ▶ ended
//! ```

use crate::error::{Code, Fault};

/// What the engine is started for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// It takes frames as they are sealed.
    Live,
    /// It derives what files say a second time and writes nothing beside them.
    Replay,
    /// It repairs the end that a crash left behind, by hand and without a service.
    SnapshotRecovery,
}

impl Mode {
    /// Every mode in the order of its code.
    pub const ALL: [Self; 3] = [Self::Live, Self::Replay, Self::SnapshotRecovery];

    /// Code.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Live => 0,
            Self::Replay => 1,
            Self::SnapshotRecovery => 2,
        }
    }

    /// Name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Live => "LIVE",
            Self::Replay => "REPLAY",
            Self::SnapshotRecovery => "SNAPSHOT_RECOVERY",
        }
    }
}

/// Where a start, run or end stands; a step names what is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// The configuration is loaded and hashed.
    Config,
    /// Directories, disk, lock and key are judged.
    Environment,
    /// The snapshot is chosen and checked.
    Snapshot,
    /// Logs and streams are checked and cut to what is whole.
    Logs,
    /// The state is imported.
    Restored,
    /// The journal behind the snapshot is executed.
    RolledForward,
    /// Writer, source and sinks exist.
    Bound,
    /// Frames are taken.
    Running,
    /// The last snapshot is written.
    Stopping,
    /// Over.
    Ended,
    /// Over, with a fault.
    Failed,
}

impl Step {
    /// Every step.
    pub const ALL: [Self; 11] = [
        Self::Config,
        Self::Environment,
        Self::Snapshot,
        Self::Logs,
        Self::Restored,
        Self::RolledForward,
        Self::Bound,
        Self::Running,
        Self::Stopping,
        Self::Ended,
        Self::Failed,
    ];
}

/// What happens to a start, run or end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    /// The step is done.
    Done,
    /// Somebody asks to stop.
    Stop,
    /// The input is at its end.
    EndOfInput,
    /// A fault.
    Fault,
}

impl Event {
    /// Every event.
    pub const ALL: [Self; 4] = [Self::Done, Self::Stop, Self::EndOfInput, Self::Fault];
}

/// The step that follows; `None` for a pair that does not exist.
#[must_use]
pub const fn next(mode: Mode, step: Step, event: Event) -> Option<Step> {
    use Event::{Done, EndOfInput, Fault, Stop};
    use Mode::{Live, Replay, SnapshotRecovery};
    match (mode, step, event) {
        (Live | SnapshotRecovery, Step::Config, Done) => Some(Step::Environment),
        (Replay, Step::Config, Done) => Some(Step::Restored),
        (Live | SnapshotRecovery, Step::Environment, Done) => Some(Step::Snapshot),
        (Live | SnapshotRecovery, Step::Snapshot, Done) => Some(Step::Logs),
        (Live | SnapshotRecovery, Step::Logs, Done) => Some(Step::Restored),
        (Live | SnapshotRecovery, Step::Restored, Done) => Some(Step::RolledForward),
        (Live, Step::RolledForward, Done) => Some(Step::Bound),
        (Live, Step::Bound, Done) | (Replay, Step::Restored, Done) => Some(Step::Running),
        // By hand the journal is the whole input: behind it nothing is taken.
        (SnapshotRecovery, Step::RolledForward, Done | EndOfInput)
        | (Live, Step::Running, Stop | EndOfInput)
        | (Live, Step::Bound | Step::RolledForward, Stop) => Some(Step::Stopping),
        (Replay, Step::Running, Stop | EndOfInput | Done)
        | (Live | SnapshotRecovery, Step::Stopping, Done)
        // Before the state is imported there is nothing to save.
        | (
            Live | Replay | SnapshotRecovery,
            Step::Config | Step::Environment | Step::Snapshot | Step::Logs | Step::Restored,
            Stop,
        ) => Some(Step::Ended),
        // A second request does not shorten the end.
        (Live | SnapshotRecovery, Step::Stopping, Stop | EndOfInput) => Some(Step::Stopping),
        (SnapshotRecovery, Step::RolledForward, Stop) => Some(Step::Stopping),
        (
            Live | Replay | SnapshotRecovery,
            Step::Config
            | Step::Environment
            | Step::Snapshot
            | Step::Logs
            | Step::Restored
            | Step::RolledForward
            | Step::Bound
            | Step::Running
            | Step::Stopping
            | Step::Failed,
            Fault,
        ) => Some(Step::Failed),
        (
            Live | Replay | SnapshotRecovery,
            Step::Config
            | Step::Environment
            | Step::Snapshot
            | Step::Logs
            | Step::Restored
            | Step::Bound,
            EndOfInput,
        )
        | (Live | Replay, Step::RolledForward, EndOfInput)
        | (Live, Step::Running, Done)
        | (Replay, Step::Environment | Step::Snapshot | Step::Logs, Done)
        | (Replay, Step::RolledForward | Step::Bound | Step::Stopping, Done | Stop)
        | (Replay, Step::Stopping, EndOfInput)
        | (SnapshotRecovery, Step::Bound | Step::Running, Done | Stop)
        | (SnapshotRecovery, Step::Running, EndOfInput)
        | (Live | Replay | SnapshotRecovery, Step::Ended, Done | Stop | EndOfInput | Fault)
        | (Live | Replay | SnapshotRecovery, Step::Failed, Done | Stop | EndOfInput) => None,
    }
}

/// One engine's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifecycle {
    mode: Mode,
    step: Step,
}

impl Lifecycle {
    /// At its beginning.
    #[must_use]
    pub const fn new(mode: Mode) -> Self {
        Self { mode, step: Step::Config }
    }

    /// Mode.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// Step.
    #[must_use]
    pub const fn step(&self) -> Step {
        self.step
    }

    /// Goes on.
    ///
    /// # Errors
    /// [`Code::Invariant`] for a pair that does not exist.
    pub fn take(&mut self, event: Event) -> Result<Step, Fault> {
        let Some(step) = next(self.mode, self.step, event) else {
            let (mode, step) = (self.mode.name(), self.step);
            let what = format!("the engine in mode {mode} cannot meet {event:?} in step {step:?}");
            return Err(Fault::new(Code::Invariant, what));
        };
        self.step = step;
        Ok(step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Steps of a mode when everything is done in order.
    fn way(mode: Mode) -> Vec<Step> {
        let mut life = Lifecycle::new(mode);
        let mut steps = vec![life.step()];
        while life.step() != Step::Ended {
            let event = if life.step() == Step::Running { Event::EndOfInput } else { Event::Done };
            steps.push(life.take(event).unwrap());
        }
        steps
    }

    #[test]
    fn every_mode_goes_its_way_in_order() {
        assert_eq!(way(Mode::Live), Step::ALL[..10]);
        let mut recovery = Step::ALL[..6].to_vec();
        recovery.extend([Step::Stopping, Step::Ended]);
        assert_eq!(way(Mode::SnapshotRecovery), recovery);
        let replay = [Step::Config, Step::Restored, Step::Running, Step::Ended];
        assert_eq!(way(Mode::Replay), replay);
    }

    #[test]
    fn over_all_pairs_nothing_leads_back_and_nothing_leads_out_of_the_end() {
        let mut pairs = 0;
        for mode in Mode::ALL {
            for step in Step::ALL {
                for event in Event::ALL {
                    let to = next(mode, step, event);
                    pairs += 1;
                    assert!(to.is_none_or(|to| to >= step), "{mode:?} {step:?} {event:?}");
                    if step == Step::Ended {
                        assert_eq!(to, None);
                    }
                    if event == Event::Fault && step != Step::Ended {
                        assert_eq!(to, Some(Step::Failed));
                    }
                    if to == Some(Step::Bound) {
                        assert_eq!(mode, Mode::Live, "only a live engine binds sinks");
                    }
                    if mode == Mode::Replay {
                        let writes = [Step::Environment, Step::Logs, Step::Stopping];
                        assert!(!to.is_some_and(|to| writes.contains(&to)));
                    }
                }
            }
        }
        assert_eq!(pairs, 3 * 11 * 4);
    }
}
