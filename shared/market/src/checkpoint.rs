//! Checkpoints: the fold, and a run's first sealer, as versioned bytes with their hash, and back.
//!
//! A checkpoint that is read folds on exactly as the original would have: sums are integers, logarithms
//! are kept as their bits. The bytes are JSON; compression is the caller's.

use crate::aggregator::Aggregator;
use crate::sealer::SealerState;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Version of the payload that is written. Version 1 was the fold alone, version 2 knew nothing of
/// order-by-order books; both are still read, and a fold of theirs goes on without such books.
pub const CHECKPOINT_FORMAT: i32 = 3;
const FOLD_ALONE: i32 = 1;

/// What a checkpoint keeps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The fold.
    pub fold: Aggregator,
    /// The sealer with which a run that follows by rollover begins; none in any other checkpoint.
    pub sealer: Option<SealerState>,
    /// Time between L2 samples of a symbol whose best did not change, in milliseconds: in which tick a
    /// sample was taken follows from it. 0 when it is not known.
    pub l2_sample_interval_ms: i64,
}

/// Bytes that are no checkpoint of this version.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// Another version.
    #[error("checkpoint has format {got}, this build reads up to {CHECKPOINT_FORMAT}")]
    Format {
        /// Version found.
        got: i32,
    },
    /// The bytes are not those that were written.
    #[error("checkpoint does not match its SHA-256")]
    Hash,
    /// The bytes are no fold.
    #[error("checkpoint does not decode: {0}")]
    Decode(#[from] serde_json::Error),
}

/// A checkpoint as bytes, with their SHA-256.
///
/// # Errors
/// [`CheckpointError::Decode`] when it cannot be written as JSON.
pub fn encode(checkpoint: &Checkpoint) -> Result<(Vec<u8>, [u8; 32]), CheckpointError> {
    let payload = serde_json::to_vec(checkpoint)?;
    let hash = Sha256::digest(&payload).into();
    Ok((payload, hash))
}

/// Reads a checkpoint.
///
/// # Errors
/// [`CheckpointError`] for another version, a wrong hash or foreign bytes.
pub fn decode(format: i32, payload: &[u8], hash: &[u8]) -> Result<Checkpoint, CheckpointError> {
    if !(FOLD_ALONE..=CHECKPOINT_FORMAT).contains(&format) {
        return Err(CheckpointError::Format { got: format });
    }
    if Sha256::digest(payload).as_slice() != hash {
        return Err(CheckpointError::Hash);
    }
    let mut checkpoint: Checkpoint = if format == FOLD_ALONE {
        let fold = serde_json::from_slice(payload)?;
        Checkpoint { fold, sealer: None, l2_sample_interval_ms: 0 }
    } else {
        serde_json::from_slice(payload)?
    };
    checkpoint.fold.derive();
    Ok(checkpoint)
}
