//! Why the desk ended.
//!
//! Each variant has the exit code that the process ends with.

use penstock_store_orders::WriteError;

/// End of the desk.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// A newer session has the fence, by the row or by an order at the venue (exit 75).
    #[error("EXECUTION_FENCED_OUT: {0}; next: nothing, a newer instance works")]
    FencedOut(String),
    /// The venue has seen a newer token than the decision cluster: it was restored (exit 75).
    #[error(
        "own order at the venue with token {seen} above ours {ours}; next: `penstock fence raise` with both services stopped"
    )]
    Restored {
        /// Token at the venue.
        seen: i64,
        /// Ours.
        ours: i64,
    },
    /// A broken invariant (exit 70).
    #[error(
        "invariant broken: {0}; next: the stop at the venue protects, reconcile runs at the restart"
    )]
    Invariant(String),
    /// The decision cluster failed while the desk was starting (exit 69).
    #[error(transparent)]
    Write(WriteError),
    /// The decision cluster failed before it had what an earlier process kept of an outage (exit 69).
    #[error(
        "records of an outage are not in their rows yet: {error}; next: start again, they are kept"
    )]
    KeptNotApplied {
        /// The failure.
        error: String,
    },
    /// Something that it needs has ended (exit 70).
    #[error("{0} ended")]
    Ended(&'static str),
}

impl DeskError {
    /// Exit code of the process.
    #[must_use]
    pub const fn exit_code(&self) -> i32 {
        match self {
            Self::FencedOut(_) | Self::Restored { .. } => 75,
            Self::Invariant(_) | Self::Ended(_) => 70,
            Self::Write(_) | Self::KeptNotApplied { .. } => 69,
        }
    }
}

impl From<WriteError> for DeskError {
    fn from(error: WriteError) -> Self {
        if error.is_fenced_out() {
            return Self::FencedOut(error.to_string());
        }
        match error {
            WriteError::Row { .. } => Self::Invariant(error.to_string()),
            WriteError::Fence(_) | WriteError::Store(_) | WriteError::Conflict { .. } => {
                Self::Write(error)
            }
        }
    }
}
