//! Purpose: what follows the end of a service. Inputs: how it ended, how long it ran, how often it was
//! started lately. Outputs: [`Verdict`]. Invariants: a status that says "do not start me again" is
//! obeyed; everything else is started again, later each time, until the limit of starts is reached. It
//! starts nothing itself.

use std::time::Duration;

/// First pause before a restart, then doubled.
pub const BACK_OFF_FIRST: Duration = Duration::from_millis(250);
/// Longest pause. A service that cannot reach its database must not fill the log.
pub const BACK_OFF_MAX: Duration = Duration::from_secs(5);
/// A run at least this long makes the next pause the first again.
pub const STEADY: Duration = Duration::from_secs(60);
/// Starts within [`STARTS_WINDOW`] after which a service stays down. Waits for databases and fences use
/// few of them; a service that dies at once uses them up.
pub const STARTS_LIMIT: usize = 60;
/// Window of [`STARTS_LIMIT`].
pub const STARTS_WINDOW: Duration = Duration::from_secs(600);

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// With a status.
    Code(i32),
    /// By a signal.
    Signal(i32),
    /// It could not be started at all.
    NotStarted,
}

impl Exit {
    /// From what the operating system says.
    #[must_use]
    pub fn from_status(status: std::process::ExitStatus) -> Self {
        use std::os::unix::process::ExitStatusExt;
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Code(code),
            (None, Some(signal)) => Self::Signal(signal),
            // Neither ended nor killed does not occur for a process that was waited for.
            (None, None) => Self::NotStarted,
        }
    }
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit {code} ({})", crate::exit::meaning(*code)),
            Self::Signal(signal) => write!(f, "signal {signal}"),
            Self::NotStarted => f.write_str("could not be started"),
        }
    }
}

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Start it again after a pause.
    RestartAfter(Duration),
    /// It ended as it should.
    Finished,
    /// It stays down.
    StayDown,
}

/// Judges the end of a service. `pause` is the one before the start that has just ended, zero at first.
#[must_use]
pub fn judge(exit: Exit, ran_for: Duration, recent_starts: usize, pause: Duration) -> Verdict {
    let restart = match exit {
        Exit::Code(crate::exit::CLEAN) => return Verdict::Finished,
        Exit::Code(crate::exit::RESTART_LOOP | crate::exit::CONFIG) | Exit::NotStarted => false,
        // A run that reached its greatest length is not a failure; it starts again at once.
        Exit::Code(crate::exit::MAX_RUN_DURATION) => return Verdict::RestartAfter(Duration::ZERO),
        Exit::Code(_) | Exit::Signal(_) => true,
    };
    if !restart || recent_starts >= STARTS_LIMIT {
        return Verdict::StayDown;
    }
    if ran_for >= STEADY || pause.is_zero() {
        return Verdict::RestartAfter(BACK_OFF_FIRST);
    }
    Verdict::RestartAfter((pause * 2).min(BACK_OFF_MAX))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rstest::rstest;

    use super::{BACK_OFF_FIRST, BACK_OFF_MAX, Exit, STARTS_LIMIT, STEADY, Verdict, judge};

    const SHORT: Duration = Duration::from_secs(1);

    #[rstest]
    #[case::clean(Exit::Code(0), Verdict::Finished)]
    #[case::longest_run(Exit::Code(10), Verdict::RestartAfter(Duration::ZERO))]
    #[case::unavailable(Exit::Code(69), Verdict::RestartAfter(BACK_OFF_FIRST))]
    #[case::invariant(Exit::Code(70), Verdict::RestartAfter(BACK_OFF_FIRST))]
    #[case::restart_loop(Exit::Code(71), Verdict::StayDown)]
    #[case::fence(Exit::Code(75), Verdict::RestartAfter(BACK_OFF_FIRST))]
    #[case::configuration(Exit::Code(78), Verdict::StayDown)]
    #[case::killed(Exit::Signal(9), Verdict::RestartAfter(BACK_OFF_FIRST))]
    #[case::other(Exit::Code(1), Verdict::RestartAfter(BACK_OFF_FIRST))]
    #[case::missing(Exit::NotStarted, Verdict::StayDown)]
    fn the_status_decides(#[case] exit: Exit, #[case] expected: Verdict) {
        assert_eq!(judge(exit, SHORT, 1, Duration::ZERO), expected);
    }

    #[test]
    fn pauses_grow_and_end_with_a_steady_run_or_with_the_limit() {
        let killed = Exit::Signal(9);
        let mut pause = Duration::ZERO;
        let mut seen = Vec::new();
        for _ in 0..8 {
            let Verdict::RestartAfter(next) = judge(killed, SHORT, 1, pause) else {
                panic!("it is started again");
            };
            seen.push(next);
            pause = next;
        }
        assert!(seen.is_sorted(), "{seen:?}");
        assert_eq!(seen.first(), Some(&BACK_OFF_FIRST));
        assert_eq!(seen.last(), Some(&BACK_OFF_MAX));
        assert_eq!(judge(killed, STEADY, 1, pause), Verdict::RestartAfter(BACK_OFF_FIRST));
        assert_eq!(judge(killed, SHORT, STARTS_LIMIT, pause), Verdict::StayDown);
    }
}
