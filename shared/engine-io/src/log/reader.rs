//! Reading logs strictly: header, size, every CRC, one record per tick.
//!
//! Input: the bytes of a segment. Output: its header, the ticks of its whole records, and the first byte that is
//! wrong. Invariants: nothing is repaired or skipped; any bytes give a scan or a fault.

use super::header::{LOG_HEADER_LEN, LogHeader};
use crate::error::{Code, Fault};
use crate::layout::{DAY_TICKS, Day, EngineDirs, log_name};
use crate::stored;
use penstock_engine::record::{RECORD_LEN, Record};
use std::path::Path;

/// Most bytes of a segment: header and one record per tick of a day.
pub const LOG_LEN_MAX: u64 = 64 + 64 * DAY_TICKS;

/// What stands in a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// Header.
    pub header: LogHeader,
    /// First tick; `None` without a whole record.
    pub first_tick: Option<u64>,
    /// Whole records from the beginning on.
    pub records: u64,
    /// The first byte that is wrong, and why; a whole file has none.
    pub bad: Option<Fault>,
}

impl Scan {
    /// Last tick of the whole records.
    #[must_use]
    pub fn last_tick(&self) -> Option<u64> {
        let ahead = self.records.checked_sub(1)?;
        self.first_tick?.checked_add(ahead)
    }

    /// Bytes up to the end of the last whole record.
    #[must_use]
    pub const fn valid_len(&self) -> u64 {
        64 + 64 * self.records
    }
}

/// The header of a segment's bytes.
pub(crate) fn header_of(bytes: &[u8]) -> Result<LogHeader, Fault> {
    let Some(head) = bytes.first_chunk::<LOG_HEADER_LEN>() else {
        let what = format!("the log has {} bytes, its header alone has 64", bytes.len());
        return Err(Fault::new(Code::LogHeader, what).at(0));
    };
    LogHeader::decode(head)
}

/// Reads a segment up to its first wrong byte.
///
/// # Errors
/// [`Code::LogHeader`] or [`Code::LogVersion`] when the header cannot be read.
pub fn scan(bytes: &[u8]) -> Result<Scan, Fault> {
    let header = header_of(bytes)?;
    let mut scan = Scan { header, first_tick: None, records: 0, bad: None };
    for chunk in bytes[LOG_HEADER_LEN..].chunks(RECORD_LEN) {
        match judge(&scan, chunk) {
            Ok(tick) => {
                scan.first_tick.get_or_insert(tick);
                scan.records += 1;
            }
            Err(fault) => {
                scan.bad = Some(fault.at(scan.valid_len()).of_token(header.token));
                break;
            }
        }
    }
    Ok(scan)
}

fn judge(scan: &Scan, chunk: &[u8]) -> Result<u64, Fault> {
    let corrupt = |what: String| Fault::new(Code::LogCorrupt, what);
    let Ok(bytes) = <&[u8; RECORD_LEN]>::try_from(chunk) else {
        return Err(corrupt(format!("a record of {} bytes of 64 ends the file", chunk.len())));
    };
    let record = Record::decode(bytes).map_err(|error| corrupt(error.to_string()))?;
    if record.token_id != scan.header.token {
        let fault = corrupt("a record of another token stands in the log".to_owned());
        return Err(fault.differing(scan.header.token, record.token_id));
    }
    let due = scan.last_tick().map(|last| last + 1);
    let offset = |want: String| {
        let what = "a record does not stand where its tick says";
        Fault::new(Code::LogOffset, what).in_tick(record.tick_id).differing(want, record.tick_id)
    };
    if due.is_some_and(|due| due != record.tick_id) {
        return Err(offset(format!("tick {}", due.unwrap_or(0))));
    }
    if Day::of(record.tick_id) != scan.header.day {
        return Err(offset(format!("a tick of {}", scan.header.day)));
    }
    Ok(record.tick_id)
}

/// The same of a file that has to be whole.
///
/// # Errors
/// The first thing that is wrong, with file and byte.
pub fn verify_segment(path: &Path, bytes: &[u8]) -> Result<Scan, Fault> {
    let scan = scan(bytes).map_err(|fault| fault.of(path))?;
    match scan.bad {
        Some(fault) => Err(fault.of(path)),
        None => Ok(scan),
    }
}

/// Days and segments of a token's logs, ascending.
///
/// # Errors
/// [`Code::Storage`] when the directory cannot be listed.
pub fn segments(dirs: &EngineDirs, token: u16) -> Result<Vec<(Day, u16)>, Fault> {
    let names = stored::names(&dirs.log.join(token.to_string()))?;
    let mut found: Vec<_> = names.iter().filter_map(|name| log_name(name)).collect();
    found.sort_unstable();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use penstock_engine::{Engine, EngineConfig, FrameView};
    use proptest::prelude::*;

    /// A log of `n` ticks from `first` on.
    fn log(first: u64, n: u64) -> Vec<u8> {
        let config = crate::log::writer::tests::config();
        let header = LogHeader { token: 1, day: Day::of(first), fingerprint: 0, previous: [0; 32] };
        let mut bytes = header.encode().to_vec();
        let mut engine = Engine::new(&config as &EngineConfig).unwrap();
        let mut out = engine.output();
        for tick in first..first + n {
            engine.step(&FrameView::gap(tick), &mut out).unwrap();
            bytes.extend_from_slice(&out.records[0]);
        }
        bytes
    }

    const NOON: u64 = 7_084_972_800;

    #[test]
    fn every_flipped_bit_and_every_cut_of_a_log_is_named_at_its_record() {
        let bytes = log(NOON, 4);
        assert_eq!(scan(&bytes).unwrap().records, 4);
        for bit in 64 * 8..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let fault = scan(&bad).unwrap().bad.unwrap();
            let record = u64::try_from(bit / 8 / 64 * 64).unwrap();
            assert_eq!((fault.code, fault.offset), (Code::LogCorrupt, Some(record)));
        }
        for len in 0..bytes.len() {
            match scan(&bytes[..len]) {
                Err(fault) => assert!(len < 64 && fault.code == Code::LogHeader),
                Ok(found) => {
                    assert_eq!(found.records, u64::try_from(len / 64 - 1).unwrap());
                    assert_eq!(found.bad.is_some(), len % 64 != 0);
                }
            }
        }
    }

    #[test]
    fn a_record_that_is_repeated_missing_or_of_another_day_does_not_stand_where_it_should() {
        let bytes = log(NOON, 4);
        let (head, records) = bytes.split_at(64);
        let missing = [head, &records[..64], &records[128..]].concat();
        let repeated = [head, &records[..64], &records[..64]].concat();
        let other_day = [head, &log(NOON + DAY_TICKS, 1)[64..]].concat();
        for (bytes, whole) in [(missing, 1), (repeated, 1), (other_day, 0)] {
            let found = scan(&bytes).unwrap();
            assert_eq!((found.records, found.bad.unwrap().code), (whole, Code::LogOffset));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_give_a_scan_or_a_fault(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = scan(&bytes);
            let header = LogHeader { token: 1, day: Day(20_500), fingerprint: 0, previous: [0; 32] };
            let mut whole = header.encode().to_vec();
            whole.extend_from_slice(&bytes);
            prop_assert_eq!(scan(&whole).unwrap().records, 0);
        }
    }
}
