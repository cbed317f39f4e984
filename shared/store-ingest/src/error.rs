//! Errors of this crate beyond those of the store.

use penstock_store::StoreError;
use penstock_store::twins::TwinMismatch;

/// Writing a row that stands on both clusters.
#[derive(Debug, thiserror::Error)]
pub enum TwinError {
    /// Another row stands under the id: fatal.
    #[error(transparent)]
    Mismatch(#[from] TwinMismatch),
    /// A statement failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
