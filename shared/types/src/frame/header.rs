//! The frame: header of 96 bytes and the events behind it.
//!
//! ```text
//! 0 "EJF1" · 4 version u16 · 6 flags u16 · 8 tick_id u64 · 16 frame_seq u64 · 24 run_id u64
//! 32 fencing_token u64 · 40 n_events u32 · 44 gap_ticks u32 · 48 previous SHA-256 · 80 sealed_at i64 µs
//! 88 CRC-32C of the events u32 · 92 CRC-32C of bytes 0..92 u32
//! ```

use super::{EVENT_LEN, FrameError, FrameEvent, crc32c_of, id_of, take};
use crate::{FencingToken, RunId, TickId, UtcMicros};
use alloc::vec::Vec;

/// Bytes of the header.
pub const FRAME_HEADER_LEN: usize = 96;
/// Most events of one frame; beyond it the producer is broken.
pub const EVENTS_MAX: u32 = 262_144;
pub(super) const MAGIC: [u8; 4] = *b"EJF1";
pub(super) const VERSION: u16 = 1;
const WHAT: &str = "frame";

/// Flags of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FrameFlags(pub u16);

impl FrameFlags {
    /// Ticks before this one are missing for good; set at delivery.
    pub const GAP_BEFORE: Self = Self(1);
    /// First frame of an ingest process.
    pub const SESSION_START: Self = Self(1 << 1);
    /// Kraken spot is not whole.
    pub const DEGRADED_KRAKEN_SPOT: Self = Self(1 << 2);
    /// Kraken Futures is not whole.
    pub const DEGRADED_KRAKEN_FUTURES: Self = Self(1 << 3);
    /// Binance USD-M is not whole.
    pub const DEGRADED_BINANCE_UM: Self = Self(1 << 4);
    /// First frame after a venue is whole again.
    pub const RESYNC: Self = Self(1 << 5);
    /// The frame has no events.
    pub const EMPTY: Self = Self(1 << 6);
    /// Every bit with a meaning.
    pub const ALL: Self = Self(0x7f);

    /// Both sets together.
    #[inline]
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// This set without the other.
    #[inline]
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Every bit of `other` is set.
    #[inline]
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// Header of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHeader {
    /// Flags.
    pub flags: FrameFlags,
    /// Tick that it seals.
    pub tick_id: TickId,
    /// +1 per delivered frame of a domain, from 1; 0 until it is delivered.
    pub frame_seq: i64,
    /// Run that sealed it.
    pub run_id: RunId,
    /// Fence that it was sealed under.
    pub fencing_token: FencingToken,
    /// Events behind the header.
    pub n_events: u32,
    /// Missing ticks before this one, with `GAP_BEFORE`.
    pub gap_ticks: u32,
    /// SHA-256 of the frame before; zero for the first and until it is delivered.
    pub previous: [u8; 32],
    /// When it was sealed; informational.
    pub sealed_at: UtcMicros,
}

/// Header and events as bytes, both CRCs filled in. `n_events` and `EMPTY` follow the events.
///
/// # Errors
/// [`FrameError::TooMany`] above [`EVENTS_MAX`]; [`FrameError::Range`] for a negative id;
/// [`FrameError::Flags`] for bits without a meaning or a gap that the flags do not declare.
pub fn encode_frame(header: &FrameHeader, events: &[FrameEvent]) -> Result<Vec<u8>, FrameError> {
    let n_events = u32::try_from(events.len()).unwrap_or(u32::MAX);
    if n_events > EVENTS_MAX {
        return Err(FrameError::TooMany { what: WHAT, got: n_events, max: EVENTS_MAX });
    }
    let flags = if events.is_empty() {
        header.flags.with(FrameFlags::EMPTY)
    } else {
        header.flags.without(FrameFlags::EMPTY)
    };
    check_flags(flags, n_events, header.gap_ticks)?;
    for (field, id) in ids_of(header) {
        if id < 0 {
            return Err(FrameError::Range { what: WHAT, field });
        }
    }
    let mut out = Vec::with_capacity(FRAME_HEADER_LEN + events.len() * EVENT_LEN);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&flags.0.to_le_bytes());
    out.extend_from_slice(&header.tick_id.0.to_le_bytes());
    out.extend_from_slice(&header.frame_seq.to_le_bytes());
    out.extend_from_slice(&header.run_id.0.to_le_bytes());
    out.extend_from_slice(&header.fencing_token.0.to_le_bytes());
    out.extend_from_slice(&n_events.to_le_bytes());
    out.extend_from_slice(&header.gap_ticks.to_le_bytes());
    out.extend_from_slice(&header.previous);
    out.extend_from_slice(&header.sealed_at.0.to_le_bytes());
    out.extend_from_slice(&[0; 8]);
    for event in events {
        out.extend_from_slice(&event.encode());
    }
    let payload_crc = crc32c_of(&out[FRAME_HEADER_LEN..], &[]);
    out[88..92].copy_from_slice(&payload_crc.to_le_bytes());
    seal_header(&mut out);
    Ok(out)
}

/// Writes the header's CRC over what stands before it.
pub(super) fn seal_header(frame: &mut [u8]) {
    let crc = crc32c_of(&frame[..92], &[]);
    frame[92..96].copy_from_slice(&crc.to_le_bytes());
}

fn ids_of(header: &FrameHeader) -> [(&'static str, i64); 4] {
    [
        ("tick_id", header.tick_id.0),
        ("frame_seq", header.frame_seq),
        ("run_id", header.run_id.0),
        ("fencing_token", header.fencing_token.0),
    ]
}

fn check_flags(flags: FrameFlags, n_events: u32, gap_ticks: u32) -> Result<(), FrameError> {
    let known = FrameFlags::ALL.contains(flags);
    let empty = flags.contains(FrameFlags::EMPTY) == (n_events == 0);
    let gap = flags.contains(FrameFlags::GAP_BEFORE) == (gap_ticks > 0);
    if known && empty && gap {
        return Ok(());
    }
    Err(FrameError::Flags { what: WHAT, got: flags.0 })
}

/// Reads and checks the 96 bytes of a header; what follows is not looked at.
///
/// # Errors
/// [`FrameError`] naming the first thing that is wrong.
pub fn decode_header(bytes: &[u8]) -> Result<FrameHeader, FrameError> {
    if bytes.len() < FRAME_HEADER_LEN {
        let (got, want) = (bytes.len(), FRAME_HEADER_LEN);
        return Err(FrameError::Length { what: WHAT, got, want });
    }
    if bytes[..4] != MAGIC {
        return Err(FrameError::Magic { what: WHAT });
    }
    let version = u16::from_le_bytes(take(bytes, 4));
    if version != VERSION {
        return Err(FrameError::Version { what: WHAT, got: version });
    }
    let (got, want) = (u32::from_le_bytes(take(bytes, 92)), crc32c_of(&bytes[..92], &[]));
    if got != want {
        return Err(FrameError::Crc { what: "frame header", got, want });
    }
    let header = FrameHeader {
        flags: FrameFlags(u16::from_le_bytes(take(bytes, 6))),
        tick_id: TickId(id_of(WHAT, "tick_id", take(bytes, 8))?),
        frame_seq: id_of(WHAT, "frame_seq", take(bytes, 16))?,
        run_id: RunId(id_of(WHAT, "run_id", take(bytes, 24))?),
        fencing_token: FencingToken(id_of(WHAT, "fencing_token", take(bytes, 32))?),
        n_events: u32::from_le_bytes(take(bytes, 40)),
        gap_ticks: u32::from_le_bytes(take(bytes, 44)),
        previous: take(bytes, 48),
        sealed_at: UtcMicros(i64::from_le_bytes(take(bytes, 80))),
    };
    if header.n_events > EVENTS_MAX {
        return Err(FrameError::TooMany { what: WHAT, got: header.n_events, max: EVENTS_MAX });
    }
    check_flags(header.flags, header.n_events, header.gap_ticks)?;
    Ok(header)
}

/// Reads and checks a whole frame: length, both CRCs, flags, events.
///
/// # Errors
/// [`FrameError`] naming the first thing that is wrong.
pub fn decode_frame(bytes: &[u8]) -> Result<(FrameHeader, Vec<FrameEvent>), FrameError> {
    let mut events = Vec::new();
    let header = decode_frame_into(bytes, &mut events)?;
    Ok((header, events))
}

/// The same into memory that is used again; what was in it is gone, also when the bytes are no frame.
///
/// # Errors
/// As [`decode_frame`].
pub fn decode_frame_into(
    bytes: &[u8],
    events: &mut Vec<FrameEvent>,
) -> Result<FrameHeader, FrameError> {
    events.clear();
    let header = decode_header(bytes)?;
    let want = FRAME_HEADER_LEN + header.n_events as usize * EVENT_LEN;
    if bytes.len() != want {
        return Err(FrameError::Length { what: WHAT, got: bytes.len(), want });
    }
    let payload = &bytes[FRAME_HEADER_LEN..];
    let (got, want) = (u32::from_le_bytes(take(bytes, 88)), crc32c_of(payload, &[]));
    if got != want {
        return Err(FrameError::Crc { what: "frame payload", got, want });
    }
    events.reserve(header.n_events as usize);
    for event in payload.chunks_exact(EVENT_LEN) {
        events.push(FrameEvent::decode(event)?);
    }
    Ok(header)
}
