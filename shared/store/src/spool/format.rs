//! The spool's bytes: segment header, record header, stream codes, file names.
//!
//! All numbers little-endian except inside a payload. Pure: bytes in, values out. A reader trusts
//! nothing: every header and record has its CRC-32C, records are numbered from 0 per segment, and
//! 24 zero bytes where a header is due are the clean end of a preallocated file.

use penstock_types::{FencingToken, RunId};

/// First bytes of a segment.
pub const SEGMENT_MAGIC: [u8; 4] = *b"PSP1";
/// Version of the layout.
pub const SEGMENT_VERSION: u16 = 1;
/// Length of the segment header.
pub const SEGMENT_HEADER_LEN: usize = 64;
/// Length of a record header.
pub const RECORD_HEADER_LEN: usize = 24;
/// Greatest payload.
pub const PAYLOAD_LEN_MAX: usize = 1_048_576;
/// Flag: the record has no number of its own, it carries that of the event that caused it.
pub const FLAG_OUTPUT: u8 = 1;

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StreamCode {
    /// `ticker_samples`.
    Ticker,
    /// `trade_samples`.
    Trade,
    /// `l2_snap_metrics`.
    L2,
    /// `l3_queue_metrics`.
    L3,
    /// `ingest_stream_events`.
    Status,
    /// `deriv_ticker_samples`.
    DerivTicker,
    /// `liquidation_samples`.
    Liquidation,
    /// `candles_1m`, an output.
    Candle,
    /// `state_generations`, an output.
    Generation,
    /// A sealed frame and its quote block.
    Frame,
    /// Run and lineage row behind the frames that follow.
    FrameRun,
    /// A `run_symbols` row behind the frames that follow.
    FrameSymbol,
    /// A change of the execution service while its cluster is away.
    Exec,
}

impl StreamCode {
    /// All codes.
    pub const ALL: [Self; 13] = [
        Self::Ticker,
        Self::Trade,
        Self::L2,
        Self::L3,
        Self::Status,
        Self::DerivTicker,
        Self::Liquidation,
        Self::Candle,
        Self::Generation,
        Self::Frame,
        Self::FrameRun,
        Self::FrameSymbol,
        Self::Exec,
    ];

    /// The byte in the record header.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Ticker => 1,
            Self::Trade => 2,
            Self::L2 => 3,
            Self::L3 => 4,
            Self::Status => 5,
            Self::DerivTicker => 6,
            Self::Liquidation => 7,
            Self::Candle => 16,
            Self::Generation => 17,
            Self::Frame => 32,
            Self::FrameRun => 33,
            Self::FrameSymbol => 34,
            Self::Exec => 48,
        }
    }

    /// The stream of a byte; `None` for a code of no version.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|stream| stream.code() == code)
    }

    /// Outputs have no number of their own.
    #[must_use]
    pub const fn is_output(self) -> bool {
        matches!(self, Self::Candle | Self::Generation)
    }

    /// The word in gap rows and markers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ticker => "ticker",
            Self::Trade => "trade",
            Self::L2 => "l2",
            Self::L3 => "l3",
            Self::Status => "status",
            Self::DerivTicker => "deriv_ticker",
            Self::Liquidation => "liquidation",
            Self::Candle => "candle",
            Self::Generation => "generation",
            Self::Frame => "frame",
            Self::FrameRun => "frame_run",
            Self::FrameSymbol => "frame_symbol",
            Self::Exec => "exec",
        }
    }
}

/// Head of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentHeader {
    /// Run; 0 in the spool of execution.
    pub run_id: RunId,
    /// Token of the writer.
    pub fencing_token: FencingToken,
    /// Number within the run, from 1.
    pub segment_no: u32,
    /// Fixes the columns of every (stream, row version).
    pub schema_version: u32,
    /// Number of the first record.
    pub first_seq: u64,
    /// When the segment was made, microseconds; informational.
    pub created_at_us: i64,
}

/// Why bytes are not a header or a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// Fewer bytes than the thing needs.
    #[error("the file ends inside it")]
    Short,
    /// Another magic.
    #[error("magic is not PSP1")]
    Magic,
    /// A version that this binary does not know.
    #[error("version {0} is not known")]
    Version(u16),
    /// The checksum does not match.
    #[error("CRC-32C does not match")]
    Crc,
    /// A payload length outside 1..=1 MiB.
    #[error("payload length {0} is outside 1..=1048576")]
    Length(u32),
    /// A stream code of no version.
    #[error("stream code {0} is not known")]
    Stream(u8),
    /// A number that no 64-bit id of this product has.
    #[error("a number of the header is out of range")]
    Range,
    /// Records are numbered without a hole.
    #[error("record {found} where {expected} is due")]
    RecordNo {
        /// Number that is due.
        expected: u32,
        /// Number found.
        found: u32,
    },
    /// Numbers never decrease within a segment.
    #[error("seq {found} after {before}")]
    SeqOrder {
        /// Number of the record before.
        before: u64,
        /// Number found.
        found: u64,
    },
}

impl SegmentHeader {
    /// The 64 bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; SEGMENT_HEADER_LEN] {
        let mut out = [0; SEGMENT_HEADER_LEN];
        out[0..4].copy_from_slice(&SEGMENT_MAGIC);
        out[4..6].copy_from_slice(&SEGMENT_VERSION.to_le_bytes());
        out[6..8].copy_from_slice(&64_u16.to_le_bytes());
        out[8..16].copy_from_slice(&self.run_id.0.to_le_bytes());
        out[16..24].copy_from_slice(&self.fencing_token.0.to_le_bytes());
        out[24..28].copy_from_slice(&self.segment_no.to_le_bytes());
        out[28..32].copy_from_slice(&self.schema_version.to_le_bytes());
        out[32..40].copy_from_slice(&self.first_seq.to_le_bytes());
        out[40..48].copy_from_slice(&self.created_at_us.to_le_bytes());
        let crc = crc32c::crc32c(&out[..60]);
        out[60..64].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads the first 64 bytes of a segment.
    ///
    /// # Errors
    /// [`FormatError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let head = bytes.first_chunk::<SEGMENT_HEADER_LEN>().ok_or(FormatError::Short)?;
        if head[0..4] != SEGMENT_MAGIC {
            return Err(FormatError::Magic);
        }
        if crc32c::crc32c(&head[..60]) != u32_at(head, 60) {
            return Err(FormatError::Crc);
        }
        let version = u16::from_le_bytes([head[4], head[5]]);
        if version != SEGMENT_VERSION || u16::from_le_bytes([head[6], head[7]]) != 64 {
            return Err(FormatError::Version(version));
        }
        let id = |at| i64::try_from(u64_at(head, at)).map_err(|_| FormatError::Range);
        Ok(Self {
            run_id: RunId(id(8)?),
            fencing_token: FencingToken(id(16)?),
            segment_no: u32_at(head, 24),
            schema_version: u32_at(head, 28),
            first_seq: u64_at(head, 32),
            created_at_us: i64::from_le_bytes(u64_at(head, 40).to_le_bytes()),
        })
    }
}

/// A record, its payload borrowed from the segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// Stream.
    pub stream: StreamCode,
    /// Flags.
    pub flags: u8,
    /// Row version.
    pub row_version: u16,
    /// Number within the segment, from 0.
    pub record_no: u32,
    /// Number within the run (frames: tick).
    pub seq: u64,
    /// Payload.
    pub payload: &'a [u8],
}

impl Record<'_> {
    /// Length in the file.
    #[must_use]
    pub const fn encoded_len(&self) -> usize {
        RECORD_HEADER_LEN + self.payload.len()
    }

    /// Appends header and payload.
    ///
    /// # Panics
    /// When the payload is empty or above [`PAYLOAD_LEN_MAX`]: the queue refuses such records.
    pub fn encode(&self, out: &mut Vec<u8>) {
        assert!(!self.payload.is_empty(), "a record has a payload");
        assert!(self.payload.len() <= PAYLOAD_LEN_MAX, "a payload is at most 1 MiB");
        let at = out.len();
        out.extend_from_slice(&[0; 4]);
        let len = u32::try_from(self.payload.len()).expect("checked above");
        out.extend_from_slice(&len.to_le_bytes());
        out.push(self.stream.code());
        out.push(self.flags);
        out.extend_from_slice(&self.row_version.to_le_bytes());
        out.extend_from_slice(&self.record_no.to_le_bytes());
        out.extend_from_slice(&self.seq.to_le_bytes());
        out.extend_from_slice(self.payload);
        let crc = crc32c::crc32c(&out[at + 4..]);
        out[at..at + 4].copy_from_slice(&crc.to_le_bytes());
    }
}

/// Reads the record at the start of `bytes`; `Ok(None)` is the clean end.
///
/// # Errors
/// [`FormatError`].
pub fn decode_record(bytes: &[u8]) -> Result<Option<Record<'_>>, FormatError> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let Some(head) = bytes.first_chunk::<RECORD_HEADER_LEN>() else {
        // The tail of a preallocated file may be shorter than a header.
        return if bytes.iter().all(|b| *b == 0) { Ok(None) } else { Err(FormatError::Short) };
    };
    if head.iter().all(|b| *b == 0) {
        return Ok(None);
    }
    let len = u32_at(head, 4);
    let payload_len = usize::try_from(len).map_err(|_| FormatError::Length(len))?;
    if payload_len == 0 || payload_len > PAYLOAD_LEN_MAX {
        return Err(FormatError::Length(len));
    }
    let end = RECORD_HEADER_LEN + payload_len;
    let whole = bytes.get(..end).ok_or(FormatError::Short)?;
    if crc32c::crc32c(&whole[4..]) != u32_at(head, 0) {
        return Err(FormatError::Crc);
    }
    let stream = StreamCode::from_code(head[8]).ok_or(FormatError::Stream(head[8]))?;
    Ok(Some(Record {
        stream,
        flags: head[9],
        row_version: u16::from_le_bytes([head[10], head[11]]),
        record_no: u32_at(head, 12),
        seq: u64_at(head, 16),
        payload: &whole[RECORD_HEADER_LEN..],
    }))
}

/// `r<run, 20 digits>-s<segment, 6 digits>.spl`.
#[must_use]
pub fn segment_name(run_id: RunId, segment_no: u32) -> String {
    format!("r{:020}-s{segment_no:06}.spl", run_id.0)
}

/// Run and number of a segment's file name; `None` for any other file.
#[must_use]
pub fn parse_segment_name(name: &str) -> Option<(RunId, u32)> {
    let rest = name.strip_prefix('r')?.strip_suffix(".spl")?;
    let (run, segment) = rest.split_once("-s")?;
    let (run_id, segment_no) = (RunId(run.parse().ok()?), segment.parse().ok()?);
    // Signs, blanks and further zeros would name a file that nobody writes.
    (segment_name(run_id, segment_no) == name).then_some((run_id, segment_no))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | (u64::from(u32_at(bytes, at + 4)) << 32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn record_goes_round(
            stream in proptest::sample::select(StreamCode::ALL.to_vec()),
            flags in 0_u8..2, row_version in any::<u16>(), record_no in any::<u32>(),
            seq in any::<u64>(), payload in proptest::collection::vec(any::<u8>(), 1..300),
        ) {
            let record =
                Record { stream, flags, row_version, record_no, seq, payload: &payload };
            let mut bytes = Vec::new();
            record.encode(&mut bytes);

            let read = decode_record(&bytes).unwrap().unwrap();

            prop_assert_eq!(read, record);
            prop_assert_eq!(bytes.len(), record.encoded_len());
        }

        #[test]
        fn arbitrary_bytes_never_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(Some(record)) = decode_record(&bytes) {
                prop_assert!(record.encoded_len() <= bytes.len());
            }
            prop_assert!(SegmentHeader::decode(&bytes).is_err());
        }
    }

    #[test]
    fn segment_header_has_the_documented_bytes() {
        let header = SegmentHeader {
            run_id: RunId(7),
            fencing_token: FencingToken(3),
            segment_no: 2,
            schema_version: 5,
            first_seq: 41,
            created_at_us: -1,
        };

        let bytes = header.encode();

        assert_eq!(&bytes[..8], b"PSP1\x01\x00\x40\x00");
        assert_eq!(bytes[8], 7);
        assert_eq!(bytes[16], 3);
        assert_eq!(bytes[24], 2);
        assert_eq!(bytes[28], 5);
        assert_eq!(bytes[32], 41);
        assert_eq!(&bytes[48..60], &[0; 12]);
        assert_eq!(crc32c::crc32c(b"123456789"), 0xE306_9283);
        assert_eq!(SegmentHeader::decode(&bytes), Ok(header));
    }

    #[test]
    fn segment_names_go_round_and_others_are_left_alone() {
        let name = segment_name(RunId(12), 3);

        assert_eq!(name, "r00000000000000000012-s000003.spl");
        assert_eq!(parse_segment_name(&name), Some((RunId(12), 3)));
        assert_eq!(parse_segment_name("r00000000000000000012-s000003.spl.bad"), None);
        assert_eq!(parse_segment_name("LOCK"), None);
    }
}
