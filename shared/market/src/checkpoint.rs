//! Checkpoints: the fold as versioned bytes with their hash, and back.
//!
//! A checkpoint that is read folds on exactly as the original would have: sums are integers, logarithms
//! are kept as their bits. The bytes are JSON; compression is the caller's.

use crate::aggregator::Aggregator;
use sha2::{Digest, Sha256};

/// Version of the payload; another one is not read.
pub const CHECKPOINT_FORMAT: i32 = 1;

/// Bytes that are no checkpoint of this version.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// Another version.
    #[error("checkpoint has format {got}, this build reads {CHECKPOINT_FORMAT}")]
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

/// The fold as bytes, with their SHA-256.
///
/// # Errors
/// [`CheckpointError::Decode`] when the fold cannot be written as JSON.
pub fn encode(aggregator: &Aggregator) -> Result<(Vec<u8>, [u8; 32]), CheckpointError> {
    let payload = serde_json::to_vec(aggregator)?;
    let hash = Sha256::digest(&payload).into();
    Ok((payload, hash))
}

/// Reads a fold.
///
/// # Errors
/// [`CheckpointError`] for another version, a wrong hash or foreign bytes.
pub fn decode(format: i32, payload: &[u8], hash: &[u8]) -> Result<Aggregator, CheckpointError> {
    if format != CHECKPOINT_FORMAT {
        return Err(CheckpointError::Format { got: format });
    }
    if Sha256::digest(payload).as_slice() != hash {
        return Err(CheckpointError::Hash);
    }
    let mut aggregator: Aggregator = serde_json::from_slice(payload)?;
    aggregator.derive();
    Ok(aggregator)
}
