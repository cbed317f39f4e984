//! Which instance of a service may write: a lease with a monotone token on the decision cluster, and
//! a lock file that lets a successor on the same host take over at once.
//!
//! Writes check the token, not the expiry: an expired lease that nobody took is still ours. The
//! kernel gives a file lock up only with its process, and an inode in use is not given out again;
//! so whoever holds the lock on the very file that the row names knows that the row's holder has
//! ended. Null and different identities never compare equal; then the lease decides.

mod acquire;
mod lock_file;
mod rows;

pub use acquire::{Fence, FenceEvent, FenceRequest};
pub use lock_file::{HolderLock, LockError, LockFile, refuse_network_filesystem};
pub use rows::{AcquiredVia, FenceRow, check_fence, check_fence_for_update, read_fence};

use core::fmt;

use crate::error::StoreError;

/// A service that has a fence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FencedService {
    /// `run-ingest`.
    Ingest,
    /// `run-execution-live`.
    Execution,
}

impl FencedService {
    /// The word of the row and of the lock file's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Execution => "execution",
        }
    }
}

impl fmt::Display for FencedService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a fence could not be had or kept.
#[derive(Debug, thiserror::Error)]
pub enum FenceError {
    /// Another instance holds it (exit 75).
    #[error(
        "FENCE_BUSY: {service} of domain {domain} is held by {holder} for {waited_secs} s; next: stop the other instance, or wait until its lease ends"
    )]
    Busy {
        /// The service.
        service: FencedService,
        /// The domain.
        domain: String,
        /// Host and process of the holder, as far as known.
        holder: String,
        /// How long was waited.
        waited_secs: u64,
    },
    /// A newer instance has taken it (exit 75).
    #[error(
        "fenced out: token {token} of {service} on domain {domain} is no longer the newest; next: nothing, a newer instance works"
    )]
    Lost {
        /// The service.
        service: FencedService,
        /// The domain.
        domain: String,
        /// Our token.
        token: i64,
    },
    /// The lock file cannot be used (exit 78).
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The decision cluster could not be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
}
