//! Logs, streams and journal after a crash: what is whole stays, what is torn is cut and kept, what cannot be
//! explained is refused.
//!
//! Input: a snapshot's tick and places. Output: logs that go on behind it, and the last tick that they have.
//! Invariants: below the snapshot nothing is changed and every record must be whole; above it a log is cut at
//! its first wrong record, because the journal derives it again; cut bytes are kept in `.cut`.

use crate::error::{Code, Fault};
use crate::files::{self, CLOSED_MODE};
use crate::layout::{Day, EngineDirs};
use crate::log::{LOG_LEN_MAX, LogHeader, Scan, TokenLog, scan, segments};
use crate::stored;
use penstock_engine::record::{RECORD_LEN, Record};
use penstock_engine::snapshot::LogPosition;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// A token's log that can go on.
pub struct Recovered {
    /// The log.
    pub log: TokenLog,
    /// Last tick of which it has a record; the snapshot's when it has none behind it.
    pub last_tick: u64,
    /// Files of which bytes were cut.
    pub cut: Vec<PathBuf>,
}

/// Judges a token's logs against a snapshot of `tick` and cuts what a crash tore.
///
/// # Errors
/// [`Code::SnapAheadOfLog`], [`Code::LogHeader`], [`Code::LogVersion`], [`Code::LogCorrupt`],
/// [`Code::LogOffset`] with file and byte; [`Code::Storage`].
pub fn recover_log(
    dirs: &EngineDirs,
    token: u16,
    fingerprint: u32,
    tick: u64,
    position: &LogPosition,
) -> Result<Recovered, Fault> {
    let mut job = Job { dirs, token, fingerprint, cut: Vec::new() };
    let is_open = position.offset > 64;
    let day = if is_open { Day::of(tick) } else { Day::of(tick.saturating_add(1)) };
    let before = job.hash_before(day, position.segment)?;
    let (mut log, mut last_tick) =
        (TokenLog::new(dirs, token, fingerprint, before, position.segment), tick);
    let mut next = (day, position.segment);
    let mut is_complete = true;
    if is_open {
        let path = dirs.log_file(token, day, position.segment);
        let (scan, bytes) = job.below(&path, tick, position)?;
        last_tick = scan.last_tick().unwrap_or(tick);
        is_complete = last_tick == day.last_tick();
        if tick == day.last_tick() {
            files::set_mode(&path, CLOSED_MODE)?;
            let hash = Sha256::digest(&bytes).into();
            log = TokenLog::new(dirs, token, fingerprint, hash, 0);
        } else {
            log = TokenLog::new(dirs, token, fingerprint, before, 0);
            log.resume_with(day, position, &bytes)?;
        }
        next = (Day(day.0 + 1), 0);
    }
    let first = next;
    for (day, segment) in segments(dirs, token)?.into_iter().filter(|found| *found >= first) {
        let path = dirs.log_file(token, day, segment);
        // Only the file that follows a complete one can be derived again.
        let follows = is_complete && (day, segment) == next;
        if !follows {
            stored::make_raw(&path, LOG_LEN_MAX)?;
            files::cut_whole(&path)?;
            stored::remove_packed(&path)?;
            job.cut.push(path);
            continue;
        }
        match job.above(&path, day, last_tick)? {
            Some(last) => last_tick = last,
            None => is_complete = false,
        }
        is_complete &= last_tick == day.last_tick();
        next = (Day(day.0 + 1), 0);
    }
    Ok(Recovered { log, last_tick, cut: job.cut })
}

struct Job<'a> {
    dirs: &'a EngineDirs,
    token: u16,
    fingerprint: u32,
    cut: Vec<PathBuf>,
}

impl Job<'_> {
    /// SHA-256 of the newest file before a segment; zero when there is none.
    fn hash_before(&self, day: Day, segment: u16) -> Result<[u8; 32], Fault> {
        let all = segments(self.dirs, self.token)?;
        let Some((day, segment)) = all.into_iter().rfind(|found| *found < (day, segment)) else {
            return Ok([0; 32]);
        };
        let bytes = stored::read(&self.dirs.log_file(self.token, day, segment), LOG_LEN_MAX)?;
        Ok(Sha256::digest(&bytes).into())
    }

    fn header(&self, path: &Path, scan: &Scan, day: Day) -> Result<(), Fault> {
        let LogHeader { token, day: of_day, fingerprint, .. } = scan.header;
        if (token, of_day, fingerprint) == (self.token, day, self.fingerprint) {
            return Ok(());
        }
        let what = "the log is of another token, day or configuration than its place says";
        Err(Fault::new(Code::LogHeader, what).of(path).at(8).of_token(self.token))
    }

    /// The file that the snapshot's tick stands in, and its whole records as bytes.
    fn below(
        &mut self,
        path: &Path,
        tick: u64,
        position: &LogPosition,
    ) -> Result<(Scan, Vec<u8>), Fault> {
        stored::make_raw(path, LOG_LEN_MAX)?;
        let Some(mut bytes) = files::read_if_there(path, LOG_LEN_MAX)? else {
            return Err(self.ahead(path, tick, 0));
        };
        let of = |fault: Fault| fault.of(path).of_token(self.token);
        let found = scan(&bytes).map_err(of)?;
        self.header(path, &found, Day::of(tick))?;
        let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if found.valid_len() < position.offset {
            return Err(match found.bad {
                Some(bad) if len >= position.offset => of(bad),
                Some(_) | None => self.ahead(path, tick, found.valid_len()),
            });
        }
        let records = (position.offset - 64) / 64;
        let stands = found.first_tick.unwrap_or(0).saturating_add(records).saturating_sub(1);
        if !position.offset.is_multiple_of(64) || stands != tick {
            let what = "the record of the snapshot's tick does not stand where the snapshot says";
            let fault = of(Fault::new(Code::LogOffset, what)).at(position.offset);
            return Err(fault.in_tick(tick).differing(tick, stands));
        }
        let end = usize::try_from(position.offset).unwrap_or(usize::MAX);
        let crc = bytes.get(end - 4..end).and_then(|crc| crc.try_into().ok());
        if crc.map(u32::from_le_bytes) != Some(position.record_crc) {
            let what = "the record of the snapshot's tick is another than the snapshot's";
            return Err(of(Fault::new(Code::LogCorrupt, what)).at(position.offset - 64));
        }
        if found.bad.is_some() {
            files::cut(path, found.valid_len())?;
            self.cut.push(path.to_owned());
        }
        bytes.truncate(usize::try_from(found.valid_len()).unwrap_or(usize::MAX));
        Ok((found, bytes))
    }

    fn ahead(&self, path: &Path, tick: u64, end: u64) -> Fault {
        let what = "the log ends before the snapshot; next: choose an older snapshot by hand";
        Fault::new(Code::SnapAheadOfLog, what).of(path).at(end).in_tick(tick).of_token(self.token)
    }

    /// A file all of which lies above the snapshot; its last tick, `None` when it was taken away or is empty.
    fn above(&mut self, path: &Path, day: Day, before: u64) -> Result<Option<u64>, Fault> {
        stored::make_raw(path, LOG_LEN_MAX)?;
        let bytes = files::read(path, LOG_LEN_MAX)?;
        let found = match scan(&bytes) {
            Ok(found) => found,
            Err(fault) if fault.code == Code::LogVersion || has_record(&bytes, self.token) => {
                return Err(fault.of(path).of_token(self.token));
            }
            Err(_) => {
                files::cut_whole(path)?;
                stored::remove_packed(path)?;
                self.cut.push(path.to_owned());
                return Ok(None);
            }
        };
        self.header(path, &found, day)?;
        if let Some(first) = found.first_tick
            && first != before + 1
        {
            let what = "the first record of the log does not follow the file before";
            let fault = Fault::new(Code::LogOffset, what).of(path).at(64).of_token(self.token);
            return Err(fault.differing(before + 1, first));
        }
        if found.bad.is_some() {
            files::cut(path, found.valid_len())?;
            self.cut.push(path.to_owned());
        }
        Ok(found.last_tick())
    }
}

/// A whole record of the token stands somewhere in the bytes.
fn has_record(bytes: &[u8], token: u16) -> bool {
    let records = bytes.get(64..).unwrap_or(&[]).chunks_exact(RECORD_LEN);
    records
        .filter_map(|chunk| <&[u8; RECORD_LEN]>::try_from(chunk).ok())
        .any(|chunk| Record::decode(chunk).is_ok_and(|record| record.token_id == token))
}
