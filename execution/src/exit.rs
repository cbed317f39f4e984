//! Exit codes of the service and the errors of its start.
//!
//! Purpose: one table from what happened to the code that supervisors and scripts read. Inputs: errors.
//! Outputs: codes. Invariants: the codes are stable.

use penstock_config::ConfigError;
use penstock_store::StoreError;
use penstock_store::fence::FenceError;
use penstock_store::identity::IdentityError;
use penstock_store::migrate::SchemaError;
use penstock_types::vocab::Verdict;

use crate::settings::SettingsError;

/// Clean stop.
pub const CLEAN: u8 = 0;
/// The only cycles of a run were blocked by data.
pub const DATA_BLOCKED: u8 = 3;
/// Nothing to bind to.
pub const ATTACH_BLOCKED: u8 = 4;
/// Nothing was worth an order.
pub const ECONOMICALLY_EMPTY: u8 = 5;
/// The mode forbade entries.
pub const MODE_BLOCKED: u8 = 6;
/// Venue or database not reachable after retries.
pub const UNAVAILABLE: u8 = 69;
/// A broken invariant.
pub const INVARIANT: u8 = 70;
/// Third broken invariant within ten minutes: stays down.
pub const STAYS_DOWN: u8 = 71;
/// Fence busy or lost, or signs of a newer instance.
pub const FENCED: u8 = 75;
/// Configuration, schema or identity.
pub const CONFIGURATION: u8 = 78;

/// Why the start failed.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Settings.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A cluster.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Who the cluster is.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// Its schema.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// The fence.
    #[error(transparent)]
    Fence(#[from] FenceError),
    /// The private side of the venue, or the reconcile.
    #[error("{0}")]
    Venue(String),
    /// Anything that a person must put right before a start.
    #[error("{0}")]
    Refused(String),
}

impl StartError {
    /// Exit code.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Self::Config(_) | Self::Settings(_) | Self::Identity(_) | Self::Refused(_) => {
                CONFIGURATION
            }
            Self::Store(error) => store_code(error),
            Self::Schema(error) if error.is_transient() => UNAVAILABLE,
            Self::Schema(_) => CONFIGURATION,
            Self::Fence(FenceError::Busy { .. } | FenceError::Lost { .. }) => FENCED,
            Self::Fence(FenceError::Lock(_)) => CONFIGURATION,
            Self::Fence(FenceError::Store(error)) => store_code(error),
            Self::Venue(_) => UNAVAILABLE,
        }
    }
}

const fn store_code(error: &StoreError) -> u8 {
    match error {
        StoreError::Url { .. } => CONFIGURATION,
        StoreError::Sql { .. } | StoreError::CommitUnknown { .. } | StoreError::NotReady { .. } => {
            UNAVAILABLE
        }
    }
}

/// Exit code of a single pass.
#[must_use]
pub const fn once_code(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Executed => CLEAN,
        Verdict::DataBlocked | Verdict::Error => DATA_BLOCKED,
        Verdict::AttachBlocked => ATTACH_BLOCKED,
        Verdict::EconomicallyEmpty => ECONOMICALLY_EMPTY,
        Verdict::ModeBlocked => MODE_BLOCKED,
    }
}
