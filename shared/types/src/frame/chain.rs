//! The chain of delivered frames: number, previous hash and declared gaps, filled in and checked.
//!
//! Input of a delivery is the encoded frame and the last delivered one; output is the same bytes with
//! `frame_seq`, `previous`, `GAP_BEFORE` and `gap_ticks` filled in and the header's CRC renewed.

use super::header::seal_header;
use super::{FrameError, FrameFlags, decode_header};
use crate::{FencingToken, TickId};
use sha2::{Digest, Sha256};

/// The last delivered frame, as the next one needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// Its tick.
    pub tick_id: TickId,
    /// Its number.
    pub frame_seq: i64,
    /// Fence that it was sealed under.
    pub fencing_token: FencingToken,
    /// Its SHA-256.
    pub sha256: [u8; 32],
}

/// A frame that does not continue its chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// The bytes are no frame.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The tick is not above the last delivered one.
    #[error("tick {got} is not above the last delivered tick {last}")]
    Tick {
        /// Tick of the frame.
        got: TickId,
        /// Last delivered tick.
        last: TickId,
    },
    /// The fence is older than that of the last delivered frame.
    #[error("fencing token {got} is below {last} of the last delivered frame")]
    Token {
        /// Token of the frame.
        got: FencingToken,
        /// Token of the last delivered frame.
        last: FencingToken,
    },
    /// `frame_seq` does not follow.
    #[error("frame number {got} does not follow {last}")]
    Number {
        /// Number of the frame.
        got: i64,
        /// Number of the last delivered frame.
        last: i64,
    },
    /// The previous hash is not that of the last delivered frame.
    #[error("tick {0} does not carry the hash of the frame before it")]
    Hash(TickId),
    /// Missing ticks that are not declared, or declared ones that are not missing.
    #[error("tick {tick} declares {declared} missing ticks, {missing} are missing")]
    Gap {
        /// Tick of the frame.
        tick: TickId,
        /// `gap_ticks` of the frame.
        declared: u32,
        /// Ticks between the last delivered frame and this one.
        missing: i64,
    },
}

/// SHA-256 of a whole frame, header and events.
#[must_use]
pub fn sha256(frame: &[u8]) -> [u8; 32] {
    Sha256::digest(frame).into()
}

/// SHA-256 of a link and what follows it, without a copy that holds both.
#[must_use]
pub fn sha256_after(link: &[u8; 32], rest: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(link).chain_update(rest).finalize().into()
}

/// Fills number, previous hash and gap in and returns the link for the next delivery.
///
/// # Errors
/// [`ChainError`] when the bytes are no frame, the tick is not above the last one, or the fence is older.
pub fn deliver(frame: &mut [u8], last: Option<&Link>) -> Result<Link, ChainError> {
    let header = decode_header(frame)?;
    let (frame_seq, previous, missing) = match last {
        None => (1, [0; 32], 0),
        Some(last) => {
            check_order(header.tick_id, header.fencing_token, last)?;
            (last.frame_seq + 1, last.sha256, header.tick_id.0 - last.tick_id.0 - 1)
        }
    };
    let gap_ticks = u32::try_from(missing)
        .map_err(|_| FrameError::Range { what: "frame", field: "gap_ticks" })?;
    let flags = if gap_ticks > 0 {
        header.flags.with(FrameFlags::GAP_BEFORE)
    } else {
        header.flags.without(FrameFlags::GAP_BEFORE)
    };
    frame[6..8].copy_from_slice(&flags.0.to_le_bytes());
    frame[16..24].copy_from_slice(&frame_seq.to_le_bytes());
    frame[44..48].copy_from_slice(&gap_ticks.to_le_bytes());
    frame[48..80].copy_from_slice(&previous);
    seal_header(frame);
    let (tick_id, fencing_token) = (header.tick_id, header.fencing_token);
    Ok(Link { tick_id, frame_seq, fencing_token, sha256: sha256(frame) })
}

/// Checks that a delivered frame continues the chain and returns its link. Without a last frame only
/// the frame itself is checked: a reader may start anywhere.
///
/// # Errors
/// [`ChainError`] naming what breaks.
pub fn verify_link(frame: &[u8], last: Option<&Link>) -> Result<Link, ChainError> {
    let (header, _) = super::decode_frame(frame)?;
    if let Some(last) = last {
        check_order(header.tick_id, header.fencing_token, last)?;
        if header.frame_seq != last.frame_seq + 1 {
            return Err(ChainError::Number { got: header.frame_seq, last: last.frame_seq });
        }
        if header.previous != last.sha256 {
            return Err(ChainError::Hash(header.tick_id));
        }
        let missing = header.tick_id.0 - last.tick_id.0 - 1;
        if i64::from(header.gap_ticks) != missing {
            let (tick, declared) = (header.tick_id, header.gap_ticks);
            return Err(ChainError::Gap { tick, declared, missing });
        }
    }
    let super::FrameHeader { tick_id, frame_seq, fencing_token, .. } = header;
    Ok(Link { tick_id, frame_seq, fencing_token, sha256: sha256(frame) })
}

fn check_order(tick: TickId, token: FencingToken, last: &Link) -> Result<(), ChainError> {
    if tick <= last.tick_id {
        return Err(ChainError::Tick { got: tick, last: last.tick_id });
    }
    if token < last.fencing_token {
        return Err(ChainError::Token { got: token, last: last.fencing_token });
    }
    Ok(())
}
