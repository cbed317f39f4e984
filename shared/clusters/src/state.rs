//! Purpose: the life of one managed cluster as a table. Inputs: a state and an event. Outputs: the next
//! state and what has to be done. Invariants: every pair is listed; a pair that cannot happen is an
//! error and not a silent stay. It does nothing itself.
//!
//! ```text
//! Absent ─up─▶ Initialising ─done─▶ Starting ─ready─▶ Ready ─gone─▶ Restarting ─ready─▶ Ready
//!                   │failed            │exit, time-out   │down           │gave up
//!                   ▼                  ▼                 ▼               ▼
//!                 Failed             Failed           Stopping ─▶ Stopped   Failed ─up─▶ Starting
//! Stopped ─up─▶ Starting, or ─found alive─▶ Adopted (gone ─▶ Restarting, down ─▶ Stopping)
//! ```

/// Where a cluster stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClusterState {
    /// There is no data directory.
    Absent,
    /// `initdb` runs.
    Initialising,
    /// There is a data directory and no server.
    Stopped,
    /// The server has been started for the first time and is not ready.
    Starting,
    /// Our own child serves.
    Ready,
    /// A server that an earlier supervisor left behind serves.
    Adopted,
    /// The server vanished and is being started again.
    Restarting,
    /// It has been told to stop.
    Stopping,
    /// It does not run, and nobody tries any more.
    Failed,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClusterEvent {
    /// Somebody wants it.
    Up,
    /// The data directory is complete.
    InitDone,
    /// `initdb` failed.
    InitFailed,
    /// The pid file names a living server with this data directory.
    FoundAlive,
    /// The server accepts connections.
    BecameReady,
    /// The process ended.
    Gone,
    /// It took longer than the limit.
    TimedOut,
    /// Too many restarts in too short a time.
    GaveUp,
    /// Nobody wants it any more.
    Down,
    /// The stop is complete.
    StopDone,
}

/// What has to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClusterEffect {
    /// Run `initdb` into a directory beside the data directory and rename it.
    Initialise,
    /// Remove what an `initdb` left half done.
    RemovePartial,
    /// Start the server as a child.
    Spawn,
    /// Watch a server that runs already.
    Watch,
    /// Wait, longer each time, then start the server again.
    SpawnAfterBackOff,
    /// SIGINT to the child.
    StopChild,
    /// `pg_ctl -m fast -w stop`.
    StopAdopted,
    /// SIGQUIT: it did not stop in time.
    Quit,
    /// Tell the caller, with the last lines of the server's log.
    Report,
}

/// A pair that cannot happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cluster state {state:?} does not take the event {event:?}")]
pub struct IllegalTransition {
    /// The state it was in.
    pub state: ClusterState,
    /// The event that does not fit.
    pub event: ClusterEvent,
}

/// The next state and the effects of an event.
///
/// # Errors
/// [`IllegalTransition`] for a pair that cannot happen.
pub fn step(
    state: ClusterState,
    event: ClusterEvent,
) -> Result<(ClusterState, &'static [ClusterEffect]), IllegalTransition> {
    use ClusterEffect as Do;
    use ClusterEvent as E;
    use ClusterState as S;
    let moved: (S, &'static [Do]) = match (state, event) {
        (S::Absent, E::Up) => (S::Initialising, &[Do::Initialise]),
        (S::Absent, E::Down) => (S::Absent, &[]),
        (S::Initialising, E::InitDone) => (S::Starting, &[Do::Spawn]),
        (S::Initialising, E::InitFailed) => (S::Failed, &[Do::RemovePartial, Do::Report]),
        (S::Initialising, E::Down) => (S::Absent, &[Do::RemovePartial]),
        (S::Stopped, E::Up) => (S::Starting, &[Do::Spawn]),
        (S::Stopped, E::FoundAlive) => (S::Adopted, &[Do::Watch]),
        (S::Stopped, E::Down) => (S::Stopped, &[]),
        (S::Starting, E::BecameReady) => (S::Ready, &[]),
        (S::Starting, E::Gone) => (S::Failed, &[Do::Report]),
        (S::Starting, E::TimedOut) => (S::Failed, &[Do::Quit, Do::Report]),
        (S::Starting, E::Down) => (S::Stopping, &[Do::StopChild]),
        (S::Ready, E::Gone) => (S::Restarting, &[Do::SpawnAfterBackOff]),
        (S::Ready, E::Down) => (S::Stopping, &[Do::StopChild]),
        (S::Adopted, E::Gone) => (S::Restarting, &[Do::SpawnAfterBackOff]),
        (S::Adopted, E::Down) => (S::Stopping, &[Do::StopAdopted]),
        (S::Restarting, E::BecameReady) => (S::Ready, &[]),
        (S::Restarting, E::Gone) => (S::Restarting, &[Do::SpawnAfterBackOff]),
        (S::Restarting, E::TimedOut) => (S::Restarting, &[Do::Quit, Do::SpawnAfterBackOff]),
        (S::Restarting, E::GaveUp) => (S::Failed, &[Do::Report]),
        (S::Restarting, E::Down) => (S::Stopping, &[Do::StopChild]),
        (S::Stopping, E::StopDone | E::Gone) => (S::Stopped, &[]),
        (S::Stopping, E::TimedOut) => (S::Stopping, &[Do::Quit]),
        (S::Stopping, E::Down) => (S::Stopping, &[]),
        (S::Failed, E::Up) => (S::Starting, &[Do::Spawn]),
        (S::Failed, E::Down) => (S::Stopped, &[]),
        (
            S::Absent,
            E::InitDone
            | E::InitFailed
            | E::FoundAlive
            | E::BecameReady
            | E::Gone
            | E::TimedOut
            | E::GaveUp
            | E::StopDone,
        )
        | (
            S::Initialising,
            E::Up
            | E::FoundAlive
            | E::BecameReady
            | E::Gone
            | E::TimedOut
            | E::GaveUp
            | E::StopDone,
        )
        | (
            S::Stopped,
            E::InitDone
            | E::InitFailed
            | E::BecameReady
            | E::Gone
            | E::TimedOut
            | E::GaveUp
            | E::StopDone,
        )
        | (
            S::Starting,
            E::Up | E::InitDone | E::InitFailed | E::FoundAlive | E::GaveUp | E::StopDone,
        )
        | (
            S::Ready | S::Adopted,
            E::Up
            | E::InitDone
            | E::InitFailed
            | E::FoundAlive
            | E::BecameReady
            | E::TimedOut
            | E::GaveUp
            | E::StopDone,
        )
        | (S::Restarting, E::Up | E::InitDone | E::InitFailed | E::FoundAlive | E::StopDone)
        | (
            S::Stopping,
            E::Up | E::InitDone | E::InitFailed | E::FoundAlive | E::BecameReady | E::GaveUp,
        )
        | (
            S::Failed,
            E::InitDone
            | E::InitFailed
            | E::FoundAlive
            | E::BecameReady
            | E::Gone
            | E::TimedOut
            | E::GaveUp
            | E::StopDone,
        ) => return Err(IllegalTransition { state, event }),
    };
    Ok(moved)
}

#[cfg(test)]
mod tests {
    use super::{ClusterEffect as Do, ClusterEvent as E, ClusterState as S, step};

    const STATES: [S; 9] = [
        S::Absent,
        S::Initialising,
        S::Stopped,
        S::Starting,
        S::Ready,
        S::Adopted,
        S::Restarting,
        S::Stopping,
        S::Failed,
    ];
    const EVENTS: [E; 10] = [
        E::Up,
        E::InitDone,
        E::InitFailed,
        E::FoundAlive,
        E::BecameReady,
        E::Gone,
        E::TimedOut,
        E::GaveUp,
        E::Down,
        E::StopDone,
    ];

    /// The table, written a second time: rows are states, columns are [`EVENTS`], `.` is illegal.
    const TABLE: [(S, [Option<S>; 10]); 9] = {
        const NO: Option<S> = None;
        [
            (S::Absent, [Some(S::Initialising), NO, NO, NO, NO, NO, NO, NO, Some(S::Absent), NO]),
            (
                S::Initialising,
                [NO, Some(S::Starting), Some(S::Failed), NO, NO, NO, NO, NO, Some(S::Absent), NO],
            ),
            (
                S::Stopped,
                [Some(S::Starting), NO, NO, Some(S::Adopted), NO, NO, NO, NO, Some(S::Stopped), NO],
            ),
            (
                S::Starting,
                [
                    NO,
                    NO,
                    NO,
                    NO,
                    Some(S::Ready),
                    Some(S::Failed),
                    Some(S::Failed),
                    NO,
                    Some(S::Stopping),
                    NO,
                ],
            ),
            (S::Ready, [NO, NO, NO, NO, NO, Some(S::Restarting), NO, NO, Some(S::Stopping), NO]),
            (S::Adopted, [NO, NO, NO, NO, NO, Some(S::Restarting), NO, NO, Some(S::Stopping), NO]),
            (
                S::Restarting,
                [
                    NO,
                    NO,
                    NO,
                    NO,
                    Some(S::Ready),
                    Some(S::Restarting),
                    Some(S::Restarting),
                    Some(S::Failed),
                    Some(S::Stopping),
                    NO,
                ],
            ),
            (
                S::Stopping,
                [
                    NO,
                    NO,
                    NO,
                    NO,
                    NO,
                    Some(S::Stopped),
                    Some(S::Stopping),
                    NO,
                    Some(S::Stopping),
                    Some(S::Stopped),
                ],
            ),
            (S::Failed, [Some(S::Starting), NO, NO, NO, NO, NO, NO, NO, Some(S::Stopped), NO]),
        ]
    };

    #[test]
    fn every_pair_of_state_and_event_is_as_tabled() {
        assert_eq!(TABLE.map(|(state, _)| state), STATES);
        for (state, row) in TABLE {
            for (event, expected) in EVENTS.into_iter().zip(row) {
                let next = step(state, event).ok().map(|(next, _)| next);
                assert_eq!(next, expected, "{state:?} with {event:?}");
            }
        }
    }

    #[test]
    fn whatever_runs_is_stopped_by_down() {
        for (state, stop) in [
            (S::Starting, Do::StopChild),
            (S::Ready, Do::StopChild),
            (S::Restarting, Do::StopChild),
            (S::Adopted, Do::StopAdopted),
        ] {
            let (next, effects) = step(state, E::Down).expect("legal");
            assert_eq!(next, S::Stopping);
            assert_eq!(effects, [stop], "{state:?}");
        }
    }
}
