//! Opening spool directories: the lock, what an earlier process left, torn tails.
//!
//! Input: the spool's root and our token. Output: our own directory, and every other one whose lock
//! is free, each with its runs; the others by name, to be taken over when their holders end. A torn tail is cut and kept as `.cut`; a bad record elsewhere moves
//! the rest of its segment to `.bad`, and the numbers that are lost with it become gap rows when the
//! run is closed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use penstock_types::{FencingToken, RunId, UtcMicros};

use super::format::{FormatError, parse_segment_name};
use super::scan::{SegmentEnd, scan_segment};
use super::segments::Segments;
use crate::raw_rows::venue_and_time;

/// Why a spool cannot be opened (exit 78).
#[derive(Debug, thiserror::Error)]
pub enum SpoolOpenError {
    /// The directory or a file cannot be used.
    #[error("spool {}: {source}; next: check that the directory exists, belongs to this user and has space", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// Two processes with one token, or a second spool in one process.
    #[error("spool directory {} is in use; next: stop the other process", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
}

/// A directory whose lock this process holds.
#[derive(Debug)]
pub struct LockedDir {
    path: PathBuf,
    // Held for its lock alone.
    _lock: File,
}

impl LockedDir {
    fn try_lock(path: &Path) -> Result<Option<Self>, SpoolOpenError> {
        let io = |source| SpoolOpenError::Io { path: path.to_owned(), source };
        std::fs::create_dir_all(path).map_err(io)?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path.join("LOCK"))
            .map_err(io)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { path: path.to_owned(), _lock: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(io(source)),
        }
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// A run found in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoveredRun {
    /// Run.
    pub run_id: RunId,
    /// Token of its writer.
    pub fencing_token: FencingToken,
    /// Highest number found; `None` when no record survived.
    pub last_seq: Option<u64>,
    /// Good records.
    pub records: u64,
    /// Newest receipt time per venue (raw spool only).
    pub last_times: BTreeMap<i16, UtcMicros>,
}

/// Damage found while opening.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The segment.
    pub path: PathBuf,
    /// First bad byte.
    pub offset: u64,
    /// Why.
    pub error: FormatError,
    /// A torn tail, as a crash leaves it; else `SPOOL_CORRUPT`.
    pub torn_tail: bool,
}

/// A directory with what it holds.
#[derive(Debug)]
pub struct RecoveredDir {
    /// Its lock.
    pub dir: LockedDir,
    /// Its segments, all closed.
    pub segments: Arc<Segments>,
    /// Its runs, ascending.
    pub runs: Vec<RecoveredRun>,
    /// What was cut or moved away.
    pub damage: Vec<Damage>,
}

/// A directory whose lock another process of this host holds, as a stopped one does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BusyDir {
    path: PathBuf,
    /// Runs that have segments there, by the names of these.
    pub runs: BTreeSet<RunId>,
}

impl BusyDir {
    fn look(path: PathBuf) -> Result<Self, SpoolOpenError> {
        let runs = list_segments(&path)?.into_iter().map(|(run_id, _)| run_id).collect();
        Ok(Self { path, runs })
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes it over once its holder has ended; `None` as long as that lives.
    ///
    /// # Errors
    /// [`SpoolOpenError`].
    pub fn try_take(&self) -> Result<Option<RecoveredDir>, SpoolOpenError> {
        match LockedDir::try_lock(&self.path)? {
            Some(dir) => recover(dir).map(Some),
            None => Ok(None),
        }
    }
}

/// All directories of a spool.
#[derive(Debug)]
pub struct OpenedSpool {
    /// The one to write into.
    pub own: RecoveredDir,
    /// Others whose writers have ended.
    pub inherited: Vec<RecoveredDir>,
    /// Those whose writers have not: their runs are not to be closed, their records follow.
    pub busy: Vec<BusyDir>,
}

/// Locks and scans a spool. While a stopped process of this host still holds the root, the own
/// directory is `<root>/<token>`.
///
/// # Errors
/// [`SpoolOpenError`].
pub fn open_spool(root: &Path, token: FencingToken) -> Result<OpenedSpool, SpoolOpenError> {
    let mut busy = Vec::new();
    let own = match LockedDir::try_lock(root)? {
        Some(dir) => dir,
        None => {
            busy.push(BusyDir::look(root.to_owned())?);
            let path = root.join(token.to_string());
            LockedDir::try_lock(&path)?.ok_or(SpoolOpenError::InUse { path })?
        }
    };
    let own = recover(own)?;
    let io = |source| SpoolOpenError::Io { path: root.to_owned(), source };
    let mut inherited = Vec::new();
    let mut numbered: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(root).map_err(io)? {
        let path = entry.map_err(io)?.path();
        let numeric = path
            .file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| name.bytes().all(|b| b.is_ascii_digit()));
        if numeric && path.is_dir() && path != own.dir.path {
            numbered.push(path);
        }
    }
    numbered.sort();
    for path in numbered {
        match LockedDir::try_lock(&path)? {
            Some(dir) => inherited.push(recover(dir)?),
            None => busy.push(BusyDir::look(path)?),
        }
    }
    Ok(OpenedSpool { own, inherited, busy })
}

fn recover(dir: LockedDir) -> Result<RecoveredDir, SpoolOpenError> {
    let segments = Arc::new(Segments::new(dir.path.clone()));
    let mut runs: Vec<RecoveredRun> = Vec::new();
    let mut damage = Vec::new();
    let found = list_segments(&dir.path)?;
    for (i, (run_id, segment_no)) in found.iter().enumerate() {
        let next = found.get(i + 1).filter(|(run, _)| run == run_id);
        let path = segments.path(*run_id, *segment_no);
        let run = match runs.last_mut() {
            Some(run) if run.run_id == *run_id => run,
            _ => {
                runs.push(RecoveredRun {
                    run_id: *run_id,
                    fencing_token: FencingToken(0),
                    last_seq: None,
                    records: 0,
                    last_times: BTreeMap::new(),
                });
                runs.last_mut().expect("just pushed")
            }
        };
        let next_path = next.map(|(run, no)| segments.path(*run, *no));
        let (end, hurt) = recover_segment(&path, next_path.as_deref(), run)?;
        damage.extend(hurt);
        segments.set(*run_id, *segment_no, end, true);
    }
    Ok(RecoveredDir { dir, segments, runs, damage })
}

pub(super) fn list_segments(dir: &Path) -> Result<Vec<(RunId, u32)>, SpoolOpenError> {
    let io = |source| SpoolOpenError::Io { path: dir.to_owned(), source };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(io)? {
        let name = entry.map_err(io)?.file_name();
        found.extend(name.to_str().and_then(parse_segment_name));
    }
    found.sort_unstable();
    Ok(found)
}

/// Scans one segment into its run, cuts what is bad, and returns where the good part ends.
fn recover_segment(
    path: &Path,
    next: Option<&Path>,
    run: &mut RecoveredRun,
) -> Result<(u64, Option<Damage>), SpoolOpenError> {
    let io = |source| SpoolOpenError::Io { path: path.to_owned(), source };
    let bytes = std::fs::read(path).map_err(io)?;
    let last_times = &mut run.last_times;
    let scanned = scan_segment(&bytes, |record| {
        if let Some((venue, at)) = venue_and_time(record.stream, record.payload)
            && venue >= 0
        {
            let newest = last_times.entry(venue).or_insert(at);
            *newest = (*newest).max(at);
        }
    });
    let (end, bad) = match scanned {
        Ok(scan) => {
            run.fencing_token = scan.header.fencing_token;
            run.records += u64::from(scan.records);
            run.last_seq = run.last_seq.max(scan.last_seq);
            match scan.end {
                SegmentEnd::Clean => (scan.end_offset, None),
                SegmentEnd::Bad { offset, error } => (offset, Some((offset, error))),
            }
        }
        // A crash between creating the file and writing its head leaves zeros or nothing.
        Err(_) if bytes.iter().all(|b| *b == 0) => (0, None),
        Err(error) => (0, Some((0, error))),
    };
    let Some((offset, error)) = bad else { return Ok((end as u64, None)) };
    // The last segment of a run ends in what a crash tore; one that was closed by a device error
    // too, and then the next segment begins at or before the number that is due.
    let torn_tail = match next {
        None => true,
        Some(next) => continues(next, run.last_seq).map_err(io)?,
    };
    let kept = path.with_extension(if torn_tail { "spl.cut" } else { "spl.bad" });
    std::fs::write(&kept, &bytes[offset..]).map_err(io)?;
    let file = OpenOptions::new().write(true).open(path).map_err(io)?;
    file.set_len(offset as u64).map_err(io)?;
    file.sync_all().map_err(io)?;
    let damage = Damage { path: path.to_owned(), offset: offset as u64, error, torn_tail };
    Ok((end as u64, Some(damage)))
}

fn continues(next: &Path, last_seq: Option<u64>) -> std::io::Result<bool> {
    let bytes = std::fs::read(next)?;
    let first = super::format::SegmentHeader::decode(&bytes).map(|header| header.first_seq);
    Ok(first.is_ok_and(|first| first <= last_seq.unwrap_or(0).saturating_add(1)))
}
