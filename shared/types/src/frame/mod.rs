//! Tick frames and quote blocks: the only market data that cross from ingest to execution, to the byte.
//!
//! A *frame* is a 96-byte header and `n_events` events of 64 bytes; a *quote block* is a 24-byte header
//! and entries of 50 bytes. All numbers are little-endian. Inputs and outputs are values and bytes;
//! decoding is total: any bytes give a value or a [`FrameError`], never a panic. Two CRC-32C and the
//! SHA-256 of the frame before make every flipped, lost or repeated byte visible. Number, previous hash,
//! `GAP_BEFORE` and the header's CRC are filled in when the frame is delivered ([`deliver`]), so that
//! frames that were lost on the way are a declared gap in an unbroken chain.
//! This module does not judge the order of events; the core that consumes them does.

mod chain;
mod event;
mod header;
mod quotes;

pub use chain::{ChainError, Link, deliver, sha256, sha256_after, verify_link};
pub use event::{EVENT_LEN, FrameEvent};
pub use header::{
    EVENTS_MAX, FRAME_HEADER_LEN, FrameFlags, FrameHeader, decode_frame, decode_frame_into,
    decode_header, encode_frame,
};
pub use quotes::{
    QUOTE_ENTRY_LEN, QUOTE_HEADER_LEN, QuoteBlock, QuoteEntry, SYMBOL_NO_MAX, decode_quotes,
    encode_quotes,
};

/// Every tick whose number is a multiple of this carries every tracked symbol (one minute).
pub const FULL_EVERY_TICKS: i64 = 240;

/// Bytes that are no frame or no quote block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Fewer or more bytes than the header announces.
    #[error("{what} has {got} bytes, its header announces {want}")]
    Length {
        /// What was read.
        what: &'static str,
        /// Bytes that are there.
        got: usize,
        /// Bytes that the header announces, or the header's own length.
        want: usize,
    },
    /// The first four bytes are not the magic.
    #[error("{what} does not begin with its magic")]
    Magic {
        /// What was read.
        what: &'static str,
    },
    /// A version that this build does not know.
    #[error("{what} has version {got}, this build reads 1")]
    Version {
        /// What was read.
        what: &'static str,
        /// The version found.
        got: u16,
    },
    /// A CRC-32C does not match.
    #[error("{what} has CRC-32C {got:08x}, its bytes give {want:08x}")]
    Crc {
        /// Which part was read.
        what: &'static str,
        /// CRC in the bytes.
        got: u32,
        /// CRC of the bytes.
        want: u32,
    },
    /// Flag bits without a meaning, or flags that contradict the fields.
    #[error("{what} has flags {got:#06x}, which contradict its fields or this version")]
    Flags {
        /// What was read.
        what: &'static str,
        /// The flags found.
        got: u16,
    },
    /// More entries than a frame or block may carry.
    #[error("{what} announces {got} entries, at most {max} are allowed")]
    TooMany {
        /// What was read.
        what: &'static str,
        /// Entries announced.
        got: u32,
        /// Limit.
        max: u32,
    },
    /// A number that is outside its range.
    #[error("{what} has a number outside its range in {field}")]
    Range {
        /// What was read.
        what: &'static str,
        /// Name of the field.
        field: &'static str,
    },
    /// Symbol numbers that do not ascend strictly.
    #[error("quote block is not strictly ascending at symbol number {0}")]
    Order(u16),
}

/// Sixteen tables, sixteen bytes per step: a third of the time of a single table.
#[cfg(not(feature = "std"))]
static TABLE: crc::Crc<u32, crc::Table<16>> =
    crc::Crc::<u32, crc::Table<16>>::new(&crc::CRC_32_ISCSI);

/// CRC-32C (Castagnoli) of `bytes`, as every binary format of the product carries it.
#[must_use]
pub fn crc32c(bytes: &[u8]) -> u32 {
    #[cfg(feature = "std")]
    {
        ::crc32c::crc32c(bytes)
    }
    #[cfg(not(feature = "std"))]
    {
        TABLE.checksum(bytes)
    }
}

/// CRC-32C of two adjacent parts.
pub(crate) fn crc32c_of(first: &[u8], second: &[u8]) -> u32 {
    #[cfg(feature = "std")]
    {
        ::crc32c::crc32c_append(::crc32c::crc32c(first), second)
    }
    #[cfg(not(feature = "std"))]
    {
        let mut digest = TABLE.digest();
        digest.update(first);
        digest.update(second);
        digest.finalize()
    }
}

/// Copies `N` bytes at `at`; the caller has checked the length.
pub(crate) fn take<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

/// A `u64` of the layout as the non-negative `i64` of an id.
pub(crate) fn id_of(
    what: &'static str,
    field: &'static str,
    raw: [u8; 8],
) -> Result<i64, FrameError> {
    i64::try_from(u64::from_le_bytes(raw)).map_err(|_| FrameError::Range { what, field })
}

#[cfg(test)]
mod tests;
