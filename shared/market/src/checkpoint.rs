//! Checkpoints: the fold, and a run's first sealer, as versioned bytes with their hash, and back.
//!
//! A checkpoint that is read folds on exactly as the original would have: sums are integers, logarithms
//! are kept as their bits. The bytes are JSON; compression is the caller's, who takes them piece by piece: whole
//! they are tens of megabytes, and memory of that size that comes and goes is kept by the process.

use crate::aggregator::Aggregator;
use crate::sealer::SealerState;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::io::{self, BufWriter, Write};

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
    /// The last piece found no place.
    #[error("checkpoint could not be written: {0}")]
    Write(#[from] io::Error),
}

/// Bytes handed out at once.
const PIECE_BYTES: usize = 64 << 10;

/// Hashes what passes.
struct Hashing<W> {
    hasher: Sha256,
    to: W,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.to.write(bytes)?;
        self.hasher.update(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// Writes a checkpoint's bytes; returns their SHA-256.
///
/// # Errors
/// [`CheckpointError::Decode`] when it cannot be written as JSON, [`CheckpointError::Write`] when the last piece
/// finds no place.
pub fn encode_into(checkpoint: &Checkpoint, to: impl Write) -> Result<[u8; 32], CheckpointError> {
    let hashing = Hashing { hasher: Sha256::new(), to };
    let mut pieces = BufWriter::with_capacity(PIECE_BYTES, hashing);
    serde_json::to_writer(&mut pieces, checkpoint)?;
    let hashing = pieces.into_inner().map_err(io::IntoInnerError::into_error)?;
    Ok(hashing.hasher.finalize().into())
}

/// A checkpoint as bytes, with their SHA-256.
///
/// # Errors
/// As [`encode_into`].
pub fn encode(checkpoint: &Checkpoint) -> Result<(Vec<u8>, [u8; 32]), CheckpointError> {
    let mut payload = Vec::new();
    let hash = encode_into(checkpoint, &mut payload)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::FoldConfig;
    use penstock_types::RunId;

    /// A place with room for so many bytes.
    struct Room(usize);

    impl Write for Room {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let left = self.0.checked_sub(bytes.len());
            self.0 = left.ok_or_else(|| io::Error::other("full"))?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_finds_no_place_is_an_error() {
        let fold = Aggregator::new(RunId(1), FoldConfig::default());
        let checkpoint = Checkpoint { fold, sealer: None, l2_sample_interval_ms: 0 };
        let (payload, hash) = encode(&checkpoint).unwrap();
        assert_eq!(encode_into(&checkpoint, Room(payload.len())).unwrap(), hash);
        let full = encode_into(&checkpoint, Room(payload.len() - 1));
        assert!(matches!(full, Err(CheckpointError::Write(_))), "{full:?}");
    }
}
