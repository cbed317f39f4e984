//! Walks the records of one segment and says where it ends and why. Pure: bytes in, values out.
//!
//! Invariants checked: header, CRC of every record, records numbered from 0 without a hole, `seq` not
//! decreasing. The walk stops at the first violation; what comes before it is good.

use super::format::{FormatError, Record, SEGMENT_HEADER_LEN, SegmentHeader, decode_record};

/// How a segment ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SegmentEnd {
    /// Zeros or the end of the file where a header is due.
    Clean,
    /// The bytes from `offset` on are no record.
    Bad {
        /// Where the first bad record starts.
        offset: usize,
        /// Why.
        error: FormatError,
    },
}

/// What a segment holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// Its header.
    pub header: SegmentHeader,
    /// Good records.
    pub records: u32,
    /// Number of the last good record; `None` without records.
    pub last_seq: Option<u64>,
    /// Where the next record would start.
    pub end_offset: usize,
    /// How it ends.
    pub end: SegmentEnd,
}

/// Walks records from an offset within a segment.
#[derive(Debug, Clone)]
pub struct RecordWalk<'a> {
    bytes: &'a [u8],
    offset: usize,
    /// `None` when the walk starts in the middle: then the first record found sets it.
    next_record_no: Option<u32>,
    last_seq: Option<u64>,
}

impl<'a> RecordWalk<'a> {
    /// A walk from the first record of a segment; `bytes` start at the segment's first byte.
    #[must_use]
    pub const fn from_start(bytes: &'a [u8]) -> Self {
        Self { bytes, offset: SEGMENT_HEADER_LEN, next_record_no: Some(0), last_seq: None }
    }

    /// A walk over bytes that start at a record in the middle of a segment.
    #[must_use]
    pub const fn from_middle(bytes: &'a [u8]) -> Self {
        Self { bytes, offset: 0, next_record_no: None, last_seq: None }
    }

    /// Where the next record starts, relative to `bytes`.
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// The next record; `Ok(None)` at the clean end.
    ///
    /// # Errors
    /// [`FormatError`]; the walk stays where it is.
    pub fn step(&mut self) -> Result<Option<Record<'a>>, FormatError> {
        let rest = self.bytes.get(self.offset..).unwrap_or(&[]);
        let Some(record) = decode_record(rest)? else { return Ok(None) };
        if let Some(expected) = self.next_record_no
            && record.record_no != expected
        {
            return Err(FormatError::RecordNo { expected, found: record.record_no });
        }
        if let Some(before) = self.last_seq
            && record.seq < before
        {
            return Err(FormatError::SeqOrder { before, found: record.seq });
        }
        self.next_record_no = record.record_no.checked_add(1);
        self.last_seq = Some(record.seq);
        self.offset += record.encoded_len();
        Ok(Some(record))
    }
}

/// Scans a whole segment, calling `on_record` with each good record.
///
/// # Errors
/// [`FormatError`] of the header; a bad record is part of the result.
pub fn scan_segment<'a>(
    bytes: &'a [u8],
    mut on_record: impl FnMut(&Record<'a>),
) -> Result<Scan, FormatError> {
    let header = SegmentHeader::decode(bytes)?;
    let mut walk = RecordWalk::from_start(bytes);
    let mut records = 0;
    let mut last_seq = None;
    let end = loop {
        match walk.step() {
            Ok(Some(record)) => {
                records += 1;
                last_seq = Some(record.seq);
                on_record(&record);
            }
            Ok(None) => break SegmentEnd::Clean,
            Err(error) => break SegmentEnd::Bad { offset: walk.offset(), error },
        }
    };
    Ok(Scan { header, records, last_seq, end_offset: walk.offset(), end })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::format::StreamCode;
    use penstock_types::{FencingToken, RunId};
    use proptest::prelude::*;

    fn segment(payloads: &[Vec<u8>]) -> (Vec<u8>, Vec<usize>) {
        let header = SegmentHeader {
            run_id: RunId(1),
            fencing_token: FencingToken(1),
            segment_no: 1,
            schema_version: 1,
            first_seq: 1,
            created_at_us: 0,
        };
        let mut bytes = header.encode().to_vec();
        let mut starts = Vec::new();
        for (i, payload) in payloads.iter().enumerate() {
            starts.push(bytes.len());
            let record_no = u32::try_from(i).unwrap();
            Record {
                stream: StreamCode::Trade,
                flags: 0,
                row_version: 1,
                record_no,
                seq: u64::from(record_no) + 1,
                payload,
            }
            .encode(&mut bytes);
        }
        starts.push(bytes.len());
        (bytes, starts)
    }

    fn small() -> (Vec<u8>, Vec<usize>) {
        segment(&[b"one".to_vec(), b"second".to_vec(), vec![0; 30]])
    }

    #[test]
    fn cut_at_every_offset_keeps_exactly_the_whole_records_before_it() {
        let (bytes, starts) = small();
        for cut in 0..=bytes.len() {
            let scan = scan_segment(&bytes[..cut], |_| {});
            if cut < SEGMENT_HEADER_LEN {
                assert!(scan.is_err(), "cut {cut}");
                continue;
            }
            let scan = scan.unwrap();
            let whole = starts[1..].iter().filter(|end| **end <= cut).count();
            assert_eq!(scan.records as usize, whole, "cut {cut}");
            assert_eq!(scan.end_offset, starts[whole], "cut {cut}");
            let clean = starts.contains(&cut);
            assert_eq!(scan.end == SegmentEnd::Clean, clean, "cut {cut}");
        }
    }

    #[test]
    fn flipped_byte_anywhere_is_noticed() {
        let (bytes, starts) = small();
        for at in 0..bytes.len() {
            for bit in [0x01_u8, 0x80] {
                let mut damaged = bytes.clone();
                damaged[at] ^= bit;
                let Ok(scan) = scan_segment(&damaged, |_| {}) else {
                    assert!(at < SEGMENT_HEADER_LEN, "byte {at}");
                    continue;
                };
                assert!(at >= SEGMENT_HEADER_LEN, "byte {at}");
                let hit = starts.iter().rposition(|start| *start <= at).unwrap();
                assert_eq!(scan.records as usize, hit, "byte {at}");
                assert!(
                    matches!(scan.end, SegmentEnd::Bad { offset, .. } if offset == starts[hit])
                );
            }
        }
    }

    #[test]
    fn zeros_behind_the_last_record_are_the_clean_end() {
        let (mut bytes, _) = small();
        for zeros in [1, 23, 24, 500] {
            bytes.resize(bytes.len() + zeros, 0);
            let scan = scan_segment(&bytes, |_| {}).unwrap();
            assert_eq!((scan.records, scan.end), (3, SegmentEnd::Clean));
        }
    }

    #[test]
    fn numbers_that_jump_or_decrease_are_refused() {
        let (bytes, starts) = small();
        let without_second = [&bytes[..starts[1]], &bytes[starts[2]..]].concat();
        let scan = scan_segment(&without_second, |_| {}).unwrap();
        assert!(matches!(
            scan.end,
            SegmentEnd::Bad { error: FormatError::RecordNo { expected: 1, found: 2 }, .. }
        ));

        let mut falling = bytes[..starts[2]].to_vec();
        let record = Record {
            stream: StreamCode::Trade,
            flags: 0,
            row_version: 1,
            record_no: 2,
            seq: 1,
            payload: b"x",
        };
        record.encode(&mut falling);
        let scan = scan_segment(&falling, |_| {}).unwrap();
        assert!(matches!(
            scan.end,
            SegmentEnd::Bad { error: FormatError::SeqOrder { before: 2, found: 1 }, .. }
        ));
    }

    proptest! {
        #[test]
        fn whatever_was_appended_is_read_back_in_order(
            payloads in proptest::collection::vec(
                proptest::collection::vec(any::<u8>(), 1..80), 0..30),
        ) {
            let (bytes, _) = segment(&payloads);
            let mut read = Vec::new();
            let scan = scan_segment(&bytes, |r| read.push(r.payload.to_vec())).unwrap();
            prop_assert_eq!(read, payloads);
            prop_assert_eq!(scan.end, SegmentEnd::Clean);
        }
    }
}
