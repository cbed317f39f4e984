//! The spool of execution: what happened while the decision cluster was away, kept until its rows have it.
//!
//! Input: payloads, each on the disk before [`ExecSpool::append`] returns, so that it can stand before a
//! send. Output: at the next start, everything that an earlier process kept and did not clear, in the
//! order of its writers and their numbers, each number once. Invariants: a segment whose write or sync
//! failed is never written again, the record goes into a new one; the whole is bounded; nothing is
//! removed before [`ExecSpool::clear`].

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use penstock_types::{FencingToken, RunId, UtcMicros};

use super::format::{PAYLOAD_LEN_MAX, Record, SegmentHeader, StreamCode, segment_name};
use super::recover::{Damage, RecoveredDir, SpoolOpenError, list_segments, open_spool};
use super::scan::scan_segment;

/// Execution has no runs: the format's number for that.
const RUN: RunId = RunId(0);
/// Version of the payloads.
const ROW_VERSION: u16 = 1;
/// Most bytes of one outage: 300 s of permitted sends and all that the private stream says fit many times.
const BYTES_MAX: u64 = 16 * 1024 * 1024;

/// A record of an earlier process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecRecord {
    /// Token of its writer.
    pub fencing_token: FencingToken,
    /// Its number, from 1 per writer.
    pub seq: u64,
    /// Its bytes.
    pub payload: Vec<u8>,
}

/// A spool with what it held.
#[derive(Debug)]
pub struct OpenedExec {
    /// The spool.
    pub spool: ExecSpool,
    /// Records that are not in the rows yet, in their order.
    pub records: Vec<ExecRecord>,
    /// Torn tails and worse, cut and kept beside their segments.
    pub damage: Vec<Damage>,
    /// Directories of processes that still live, as a stopped one does: their records follow when a later
    /// process finds them free.
    pub busy: Vec<PathBuf>,
}

/// The writer.
#[derive(Debug)]
pub struct ExecSpool {
    /// Directories whose lock is ours; the first is written to.
    dirs: Vec<RecoveredDir>,
    token: FencingToken,
    next_segment: u32,
    next_seq: u64,
    bytes: u64,
    tail: Option<Tail>,
}

#[derive(Debug)]
struct Tail {
    file: File,
    record_no: u32,
}

impl ExecSpool {
    /// Locks the spool under `root` and reads what it holds. Blocking.
    ///
    /// # Errors
    /// [`SpoolOpenError`].
    pub fn open(root: &Path, token: FencingToken) -> Result<OpenedExec, SpoolOpenError> {
        let opened = open_spool(root, token)?;
        let busy = opened.busy.iter().map(|dir| dir.path().to_owned()).collect();
        let mut dirs = vec![opened.own];
        dirs.extend(opened.inherited);
        let damage = dirs.iter_mut().flat_map(|dir| std::mem::take(&mut dir.damage)).collect();
        let (mut records, mut next_segment, mut bytes) = (Vec::new(), 1, 0);
        for (i, dir) in dirs.iter().enumerate() {
            for (run, no) in list_segments(dir.dir.path())? {
                let path = dir.segments.path(run, no);
                let whole = std::fs::read(&path)
                    .map_err(|source| SpoolOpenError::Io { path: path.clone(), source })?;
                bytes += whole.len() as u64;
                read_segment(&whole, &mut records);
                if i == 0 {
                    next_segment = next_segment.max(no.saturating_add(1));
                }
            }
        }
        let records = in_order(records);
        let own = records.iter().filter(|r| r.fencing_token == token).map(|r| r.seq).max();
        let next_seq = own.unwrap_or(0) + 1;
        let spool = Self { dirs, token, next_segment, next_seq, bytes, tail: None };
        Ok(OpenedExec { spool, records, damage, busy })
    }

    /// Writes a record and waits until the disk has it. Blocking.
    ///
    /// # Errors
    /// The system's error: the record is not kept, or not known to be. [`io::ErrorKind::StorageFull`]
    /// beyond 16 MiB, [`io::ErrorKind::InvalidInput`] for a payload that is empty or above 1 MiB.
    pub fn append(&mut self, payload: &[u8], now: UtcMicros) -> io::Result<()> {
        if payload.is_empty() || payload.len() > PAYLOAD_LEN_MAX {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        if self.bytes.saturating_add(payload.len() as u64) > BYTES_MAX {
            return Err(io::ErrorKind::StorageFull.into());
        }
        // The kernel may have dropped the pages of a failed sync: a new segment, once.
        self.try_append(payload, now).or_else(|_| self.try_append(payload, now))?;
        self.next_seq += 1;
        Ok(())
    }

    /// Whether nothing is kept.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Forgets everything: the rows have it. Blocking.
    ///
    /// # Errors
    /// The system's; what could not be removed is there again at the next start, where a record that the
    /// rows know changes nothing.
    pub fn clear(&mut self) -> io::Result<()> {
        self.tail = None;
        for dir in &self.dirs {
            let path = dir.dir.path();
            for (run, no) in list_segments(path).map_err(io::Error::other)? {
                std::fs::remove_file(dir.segments.path(run, no))?;
            }
            File::open(path)?.sync_all()?;
        }
        self.bytes = 0;
        Ok(())
    }

    fn try_append(&mut self, payload: &[u8], now: UtcMicros) -> io::Result<()> {
        let mut tail = match self.tail.take() {
            Some(tail) => tail,
            None => self.new_segment(now)?,
        };
        let record = Record {
            stream: StreamCode::Exec,
            flags: 0,
            row_version: ROW_VERSION,
            record_no: tail.record_no,
            seq: self.next_seq,
            payload,
        };
        let mut bytes = Vec::with_capacity(record.encoded_len());
        record.encode(&mut bytes);
        tail.file.write_all(&bytes)?;
        tail.file.sync_data()?;
        tail.record_no += 1;
        self.bytes += bytes.len() as u64;
        self.tail = Some(tail);
        Ok(())
    }

    fn new_segment(&mut self, now: UtcMicros) -> io::Result<Tail> {
        let no = self.next_segment;
        self.next_segment = no.checked_add(1).ok_or(io::ErrorKind::StorageFull)?;
        let dir = self.dirs[0].dir.path();
        let path = dir.join(segment_name(RUN, no));
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        let header = SegmentHeader {
            run_id: RUN,
            fencing_token: self.token,
            segment_no: no,
            schema_version: 1,
            first_seq: self.next_seq,
            created_at_us: now.0,
        };
        file.write_all(&header.encode())?;
        // The name too must be there after a power loss.
        File::open(dir)?.sync_all()?;
        Ok(Tail { file, record_no: 0 })
    }
}

/// The good records of a segment; what follows a bad one was cut before.
fn read_segment(bytes: &[u8], records: &mut Vec<ExecRecord>) {
    let Ok(header) = SegmentHeader::decode(bytes) else { return };
    let fencing_token = header.fencing_token;
    // Its end was judged, and cut, when the directory was taken over.
    let _ = scan_segment(bytes, |record| {
        if record.stream == StreamCode::Exec {
            let payload = record.payload.to_vec();
            records.push(ExecRecord { fencing_token, seq: record.seq, payload });
        }
    });
}

/// By writer and number; a number that went into a second segment counts once.
fn in_order(mut records: Vec<ExecRecord>) -> Vec<ExecRecord> {
    records.sort_by_key(|r| (r.fencing_token, r.seq));
    records.dedup_by_key(|r| (r.fencing_token, r.seq));
    records
}

#[cfg(test)]
mod tests;
