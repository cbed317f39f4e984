//! One canonical event of a frame: 64 bytes, fields as the engine reads them.
//!
//! What `a`..`d` mean depends on `source`; this module moves them unread.

use super::{FrameError, take};

/// Bytes of an event.
pub const EVENT_LEN: usize = 64;

/// An event of one token in one tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameEvent {
    /// Token that it belongs to.
    pub token_id: u16,
    /// Source type (trade, book, mark, …).
    pub source: u8,
    /// Venue number.
    pub venue: u8,
    /// Flags of the event.
    pub flags: u16,
    /// Instrument.
    pub instrument_id: u16,
    /// Venue time, microseconds since the Unix epoch.
    pub exchange_ts: i64,
    /// Venue's own number, 0 when it has none.
    pub venue_seq: u64,
    /// Ingest's number per token.
    pub local_seq: u64,
    /// First value of the source.
    pub a: i64,
    /// Second value.
    pub b: i64,
    /// Third value.
    pub c: i64,
    /// Fourth value.
    pub d: i64,
}

impl FrameEvent {
    /// The 64 bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; EVENT_LEN] {
        let mut out = [0; EVENT_LEN];
        out[0..2].copy_from_slice(&self.token_id.to_le_bytes());
        out[2] = self.source;
        out[3] = self.venue;
        out[4..6].copy_from_slice(&self.flags.to_le_bytes());
        out[6..8].copy_from_slice(&self.instrument_id.to_le_bytes());
        out[8..16].copy_from_slice(&self.exchange_ts.to_le_bytes());
        out[16..24].copy_from_slice(&self.venue_seq.to_le_bytes());
        out[24..32].copy_from_slice(&self.local_seq.to_le_bytes());
        for (slot, value) in [self.a, self.b, self.c, self.d].into_iter().enumerate() {
            out[32 + slot * 8..40 + slot * 8].copy_from_slice(&value.to_le_bytes());
        }
        out
    }

    /// Reads 64 bytes.
    ///
    /// # Errors
    /// [`FrameError::Length`] for any other number of bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, FrameError> {
        if bytes.len() != EVENT_LEN {
            return Err(FrameError::Length { what: "event", got: bytes.len(), want: EVENT_LEN });
        }
        Ok(Self {
            token_id: u16::from_le_bytes(take(bytes, 0)),
            source: bytes[2],
            venue: bytes[3],
            flags: u16::from_le_bytes(take(bytes, 4)),
            instrument_id: u16::from_le_bytes(take(bytes, 6)),
            exchange_ts: i64::from_le_bytes(take(bytes, 8)),
            venue_seq: u64::from_le_bytes(take(bytes, 16)),
            local_seq: u64::from_le_bytes(take(bytes, 24)),
            a: i64::from_le_bytes(take(bytes, 32)),
            b: i64::from_le_bytes(take(bytes, 40)),
            c: i64::from_le_bytes(take(bytes, 48)),
            d: i64::from_le_bytes(take(bytes, 56)),
        })
    }
}
