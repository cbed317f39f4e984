//! How the service ends: every reason with its exit status and the words for the operator.
//!
//! 0 clean stop · 10 longest run reached · 69 a cluster or the venue is unavailable · 70 a broken
//! invariant · 71 stays down · 75 the fence is busy or lost · 78 configuration, schema or identity.

/// Why the service ends when it was not asked to.
#[derive(Debug, thiserror::Error)]
pub enum Exit {
    /// The longest run is over; a supervisor starts the next.
    #[error("the longest run of {hours} h is over; next: the supervisor starts the service again")]
    RunDuration {
        /// Hours.
        hours: String,
    },
    /// A cluster or the venue did not answer.
    #[error("{what} is unavailable: {error}; next: check that it runs, the supervisor tries again")]
    Unavailable {
        /// What.
        what: &'static str,
        /// Last answer.
        error: String,
    },
    /// A broken invariant.
    #[error("broken invariant: {0}; next: keep the log, the supervisor starts the service again")]
    Invariant(String),
    /// Three broken invariants within ten minutes.
    #[error(
        "RESTART_LOOP: three broken invariants within ten minutes; next: read the log of the last exit 70, then start by hand"
    )]
    RestartLoop,
    /// The fence is held by another instance, or was taken.
    #[error("{0}")]
    Fenced(String),
    /// Configuration, schema or identity.
    #[error("{0}")]
    Refused(String),
}

impl Exit {
    /// Status of the process.
    #[must_use]
    pub const fn code(&self) -> i32 {
        match self {
            Self::RunDuration { .. } => 10,
            Self::Unavailable { .. } => 69,
            Self::Invariant(_) => 70,
            Self::RestartLoop => 71,
            Self::Fenced(_) => 75,
            Self::Refused(_) => 78,
        }
    }

    /// Word of the marker.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::RunDuration { .. } => "max_duration",
            Self::Unavailable { .. } => "unavailable",
            Self::Invariant(_) => "invariant",
            Self::RestartLoop => "restart_loop",
            Self::Fenced(_) => "fenced",
            Self::Refused(_) => "refused",
        }
    }
}
