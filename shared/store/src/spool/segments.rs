//! The segments of one spool directory: what exists, how far each is synced, reading a batch,
//! unlinking what is no longer needed. Shared by writer and reader.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use penstock_types::RunId;

use super::format::{
    PAYLOAD_LEN_MAX, RECORD_HEADER_LEN, Record, SEGMENT_HEADER_LEN, StreamCode, segment_name,
};
use super::ring::Ring;
use super::scan::RecordWalk;

/// A place in a spool: the byte at which the next record starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SpoolPosition {
    /// Run.
    pub run_id: RunId,
    /// Segment.
    pub segment_no: u32,
    /// Offset.
    pub offset: u64,
}

impl SpoolPosition {
    /// The first record of a run.
    #[must_use]
    pub const fn start_of(run_id: RunId) -> Self {
        Self { run_id, segment_no: 1, offset: SEGMENT_HEADER_LEN as u64 }
    }
}

/// What is known of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Segment {
    /// Bytes that are synced; records beyond are not read.
    synced: u64,
    /// Nothing will be appended.
    closed: bool,
}

/// A record that owns nothing: its payload lies in the batch's buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchRecord {
    /// Stream.
    pub stream: StreamCode,
    /// Flags.
    pub flags: u8,
    /// Number.
    pub seq: u64,
    range: core::ops::Range<usize>,
}

/// Records read in one go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    bytes: Vec<u8>,
    /// The records, in order.
    pub records: Vec<BatchRecord>,
    /// Where the batch begins.
    pub start: SpoolPosition,
    /// Where the next one begins.
    pub end: SpoolPosition,
}

impl Batch {
    /// The memory of the batch, for the next one.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Payload of a record of this batch.
    #[must_use]
    pub fn payload(&self, record: &BatchRecord) -> &[u8] {
        &self.bytes[record.range.clone()]
    }
}

/// Why a batch could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SpoolReadError {
    /// The file could not be read.
    #[error("read {}: {source}", path.display())]
    Io {
        /// The segment.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A record that was good when it was written is not any more.
    #[error("SPOOL_CORRUPT: {} at byte {offset}: {source}; next: see its runbook page", path.display())]
    Corrupt {
        /// The segment.
        path: PathBuf,
        /// Offset.
        offset: u64,
        /// Why.
        source: super::format::FormatError,
    },
}

/// The register of one directory.
#[derive(Debug)]
pub struct Segments {
    dir: PathBuf,
    known: Mutex<BTreeMap<(RunId, u32), Segment>>,
    ring: Mutex<Ring>,
}

/// Bytes read at a time; grows to a whole record where one is larger.
const READ_BYTES: usize = 4 << 20;

impl Segments {
    /// An empty register.
    #[must_use]
    pub fn new(dir: PathBuf) -> Self {
        Self { dir, known: Mutex::new(BTreeMap::new()), ring: Mutex::default() }
    }

    /// What no disk holds yet.
    pub(super) fn ring(&self) -> MutexGuard<'_, Ring> {
        // A panic while holding the lock leaves whole chunks only.
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(RunId, u32), Segment>> {
        // A panic while holding the lock cannot leave the map half changed.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Path of a segment.
    #[must_use]
    pub fn path(&self, run_id: RunId, segment_no: u32) -> PathBuf {
        self.dir.join(segment_name(run_id, segment_no))
    }

    /// Notes how far a segment is synced, and whether it is closed.
    pub fn set(&self, run_id: RunId, segment_no: u32, synced: u64, closed: bool) {
        self.lock().insert((run_id, segment_no), Segment { synced, closed });
    }

    /// Synced bytes of all segments.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.lock().values().map(|s| s.synced).sum()
    }

    /// Runs with segments, ascending.
    #[must_use]
    pub fn runs(&self) -> Vec<RunId> {
        let mut runs: Vec<RunId> = self.lock().keys().map(|(run, _)| *run).collect();
        runs.dedup();
        runs
    }

    /// The oldest run with something to load, in segments or past a device that has failed.
    #[must_use]
    pub fn oldest_run(&self) -> Option<RunId> {
        let first = self.lock().keys().next().map(|(run, _)| *run);
        first.into_iter().chain(self.ring().bypass_run()).min()
    }

    /// Run of the oldest record that passes a failed device: everything of the runs before it is on the
    /// disk or committed.
    #[must_use]
    pub fn bypass_run(&self) -> Option<RunId> {
        self.ring().bypass_run()
    }

    /// Records that pass a failed device on their way to the cluster, as a batch at the place where the
    /// loading stands, with the mark for [`Self::passed`]. To be asked for only when every synced record
    /// of the run is loaded.
    #[must_use]
    pub fn bypass_batch(&self, at: SpoolPosition, rows_max: usize) -> Option<(Batch, u64)> {
        let (found, mark) = self.ring().batch(at.run_id, rows_max)?;
        let (mut bytes, mut records) = (Vec::new(), Vec::with_capacity(found.len()));
        for record in found {
            let from = bytes.len();
            bytes.extend_from_slice(&record.payload);
            let range = from..bytes.len();
            let (stream, flags, seq) = (record.stream, record.flags, record.seq);
            records.push(BatchRecord { stream, flags, seq, range });
        }
        Some((Batch { bytes, records, start: at, end: at }, mark))
    }

    /// The cluster has committed a batch that passed the device.
    pub fn passed(&self, mark: u64) {
        self.ring().commit(mark);
    }

    /// Whether a run has a record at or behind a position that is not read yet.
    #[must_use]
    pub fn has_more(&self, at: SpoolPosition) -> bool {
        self.lock().range((at.run_id, 0)..=(at.run_id, u32::MAX)).any(|((_, no), s)| {
            let from = if *no == at.segment_no { at.offset } else { SEGMENT_HEADER_LEN as u64 };
            *no >= at.segment_no && s.synced > from
        })
    }

    /// Whether all segments of a run are closed and nothing waits past a failed device: nothing will
    /// follow.
    #[must_use]
    pub fn all_closed(&self, run_id: RunId) -> bool {
        if self.ring().bypass_run() == Some(run_id) {
            return false;
        }
        self.lock().range((run_id, 0)..=(run_id, u32::MAX)).all(|(_, s)| s.closed)
    }

    /// Reads records from a position on, synced ones of one segment, at most `rows_max`; never ends
    /// between two records of one number. `None` when there is nothing to read yet.
    ///
    /// # Errors
    /// [`SpoolReadError`].
    pub fn read_batch(
        &self,
        at: SpoolPosition,
        rows_max: usize,
    ) -> Result<Option<Batch>, SpoolReadError> {
        self.read_batch_into(at, rows_max, &mut Vec::new())
    }

    /// The same in the memory of a batch that is no longer needed, which is empty afterwards when there is one.
    ///
    /// # Errors
    /// As [`read_batch`](Self::read_batch).
    pub fn read_batch_into(
        &self,
        at: SpoolPosition,
        rows_max: usize,
        spare: &mut Vec<u8>,
    ) -> Result<Option<Batch>, SpoolReadError> {
        let Some((at, synced)) = self.next_readable(at) else { return Ok(None) };
        let path = self.path(at.run_id, at.segment_no);
        let io = |source| SpoolReadError::Io { path: path.clone(), source };
        let file = File::open(&path).map_err(io)?;
        let left = usize::try_from(synced - at.offset).unwrap_or(usize::MAX);
        let mut want = left.min(READ_BYTES.max(PAYLOAD_LEN_MAX + RECORD_HEADER_LEN));
        let mut bytes = core::mem::take(spare);
        bytes.resize(want, 0);
        file.read_exact_at(&mut bytes, at.offset).map_err(io)?;
        let (records, used) = loop {
            let (records, used, cut) =
                collect(&bytes, rows_max, want < left).map_err(|source| {
                    let offset = at.offset;
                    SpoolReadError::Corrupt { path: path.clone(), offset, source }
                })?;
            if !records.is_empty() || !cut {
                break (records, used);
            }
            // One number with more records than fit: read more of it.
            want = left.min(want * 2);
            bytes.resize(want, 0);
            file.read_exact_at(&mut bytes, at.offset).map_err(io)?;
        };
        let end = SpoolPosition { offset: at.offset + used as u64, ..at };
        Ok(Some(Batch { bytes, records, start: at, end }))
    }

    /// The position itself, or the start of the next segment that has something.
    fn next_readable(&self, at: SpoolPosition) -> Option<(SpoolPosition, u64)> {
        let known = self.lock();
        known.range((at.run_id, at.segment_no)..=(at.run_id, u32::MAX)).find_map(|((_, no), s)| {
            let offset = if *no == at.segment_no { at.offset } else { SEGMENT_HEADER_LEN as u64 };
            (s.synced > offset)
                .then_some((SpoolPosition { run_id: at.run_id, segment_no: *no, offset }, s.synced))
        })
    }

    /// Unlinks closed segments of a run that lie wholly before a position. Returns their number and
    /// bytes.
    ///
    /// # Errors
    /// The system's error; what was unlinked stays so.
    pub fn trim(&self, before: SpoolPosition) -> std::io::Result<(u32, u64)> {
        let mut gone = (0, 0);
        let mut known = self.lock();
        let behind: Vec<u32> = known
            .range((before.run_id, 0)..=(before.run_id, u32::MAX))
            .filter(|((_, no), s)| {
                let passed = *no < before.segment_no
                    || (*no == before.segment_no && before.offset >= s.synced);
                s.closed && passed
            })
            .map(|((_, no), _)| *no)
            .collect();
        for no in behind {
            remove_file(&self.path(before.run_id, no))?;
            if let Some(segment) = known.remove(&(before.run_id, no)) {
                gone.0 += 1;
                gone.1 += segment.synced;
            }
        }
        Ok(gone)
    }

    /// Unlinks all segments of a run, after its close has been committed.
    ///
    /// # Errors
    /// The system's error.
    pub fn remove_run(&self, run_id: RunId) -> std::io::Result<()> {
        let mut known = self.lock();
        let numbers: Vec<u32> =
            known.range((run_id, 0)..=(run_id, u32::MAX)).map(|((_, no), _)| *no).collect();
        for no in numbers {
            remove_file(&self.path(run_id, no))?;
            known.remove(&(run_id, no));
        }
        Ok(())
    }

    /// Renames all segments of a run to `.late`: another host has closed the run, the operator
    /// decides.
    ///
    /// # Errors
    /// The system's error.
    pub fn set_aside(&self, run_id: RunId) -> std::io::Result<u32> {
        let mut known = self.lock();
        let numbers: Vec<u32> =
            known.range((run_id, 0)..=(run_id, u32::MAX)).map(|((_, no), _)| *no).collect();
        for no in &numbers {
            let path = self.path(run_id, *no);
            std::fs::rename(&path, path.with_extension("spl.late"))?;
            known.remove(&(run_id, *no));
        }
        Ok(u32::try_from(numbers.len()).unwrap_or(u32::MAX))
    }

    /// Drops the oldest closed segment, for a spool that keeps the newest. Returns its run and bytes.
    ///
    /// # Errors
    /// The system's error.
    pub fn drop_oldest(&self) -> std::io::Result<Option<(RunId, u64)>> {
        let mut known = self.lock();
        let oldest = known.iter().find(|(_, s)| s.closed).map(|(key, s)| (*key, s.synced));
        let Some(((run_id, no), bytes)) = oldest else { return Ok(None) };
        remove_file(&self.path(run_id, no))?;
        known.remove(&(run_id, no));
        Ok(Some((run_id, bytes)))
    }
}

fn remove_file(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

type Collected = (Vec<BatchRecord>, usize, bool);

/// Collects whole records; `cut` says that the bytes end before the segment does.
fn collect(
    bytes: &[u8],
    rows_max: usize,
    cut: bool,
) -> Result<Collected, super::format::FormatError> {
    let mut walk = RecordWalk::from_middle(bytes);
    let mut records: Vec<BatchRecord> = Vec::new();
    // End of the last group of records with one number that is known to be whole.
    let (mut whole, mut whole_end) = (0, 0);
    loop {
        let start = walk.offset();
        let record: Record<'_> = match walk.step() {
            Ok(Some(record)) => record,
            Ok(None) => break,
            // The last record of a partial read may be cut by the read, not in the file.
            Err(super::format::FormatError::Short) if cut => break,
            Err(error) => return Err(error),
        };
        if records.last().is_some_and(|last| last.seq != record.seq) {
            (whole, whole_end) = (records.len(), start);
            if records.len() >= rows_max {
                break;
            }
        }
        let from = start + RECORD_HEADER_LEN;
        records.push(BatchRecord {
            stream: record.stream,
            flags: record.flags,
            seq: record.seq,
            range: from..from + record.payload.len(),
        });
        if !cut && walk.offset() == bytes.len() {
            (whole, whole_end) = (records.len(), walk.offset());
        }
    }
    records.truncate(whole);
    Ok((records, whole_end, cut))
}
