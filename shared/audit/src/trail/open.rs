//! Opening a trail: the lock, the end of the newest file, the two newest files.
//!
//! Input: a directory that may not be there, a session. Output: a trail at the end of the newest file, and what was
//! found. Invariants: what is cut off is kept before it is cut; only bytes behind the last newline are cut; an empty
//! newest file is no day and goes.

use super::{Current, Cut, OpenError, Opened, Sealed, StorageError, Trail, Wrap};
use crate::day::Day;
use crate::disk::OpenFile;
use crate::line::Hash;
use crate::reader::{self, DayFiles};
use crate::verify::newest_two;
use crate::walk::Walk;
use penstock_types::SessionId;
use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Permissions of the files.
pub(super) const FILE_MODE: u32 = 0o640;
/// Permissions of the directory.
const DIR_MODE: u32 = 0o750;
/// File whose lock the writer holds.
pub(crate) const LOCK: &str = "audit.lock";
/// Bytes in which the last newline is looked for at once.
const CHUNK: u64 = 64 * 1024;

impl Trail {
    /// As [`Trail::open`], with something between the trail and its files.
    pub(super) fn open_with(
        dir: &Path,
        session_id: SessionId,
        wrap: Wrap,
    ) -> Result<Opened, OpenError> {
        if session_id.0.get_version_num() != 7 {
            return Err(OpenError::Session(session_id));
        }
        DirBuilder::new()
            .recursive(true)
            .mode(DIR_MODE)
            .create(dir)
            .map_err(|source| failed("make", dir, source))?;
        set_mode(dir, DIR_MODE)?;
        let lock = lock(dir)?;
        let list = || reader::days(dir).map_err(|source| failed("list", dir, source));
        let (cut, emptied) = mend_end(&list()?)?;
        if emptied {
            sync_dir(dir)?;
        }
        let days = list()?;
        let walk = newest_two(&days);
        let with_lines = |files: &DayFiles| files.plain.is_some() || files.compressed.is_some();
        let newest = days.iter().rfind(|(_, files)| with_lines(files));
        let current = match newest {
            Some((day, files)) => current(*day, files, &walk, &wrap)?,
            None => None,
        };
        let closed = match &current {
            Some(_) => None,
            None => newest.map(|(day, _)| *day),
        };
        let trail = Self {
            dir: dir.to_owned(),
            session_id,
            previous: walk.last.map_or(Hash::ZERO, |last| last.hash),
            seq: 0,
            hash: Hash::ZERO,
            ended: false,
            first_unsynced: None,
            current,
            closed,
            wrap,
            _lock: lock,
        };
        let sealed = unsaid(&days, &walk);
        Ok(Opened { trail, cut, findings: walk.findings, sealed })
    }
}

fn failed(doing: &'static str, path: &Path, source: io::Error) -> StorageError {
    StorageError { doing, path: path.to_owned(), source }
}

pub(super) fn set_mode(path: &Path, mode: u32) -> Result<(), StorageError> {
    fs::set_permissions(path, Permissions::from_mode(mode))
        .map_err(|source| failed("set the permissions of", path, source))
}

pub(super) fn sync_dir(dir: &Path) -> Result<(), StorageError> {
    File::open(dir).and_then(|file| file.sync_all()).map_err(|source| failed("sync", dir, source))
}

fn lock(dir: &Path) -> Result<File, OpenError> {
    let path = dir.join(LOCK);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(FILE_MODE);
    let file = options.open(&path).map_err(|source| failed("open", &path, source))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked(dir.to_owned())),
        Err(TryLockError::Error(source)) => Err(failed("lock", &path, source).into()),
    }
}

/// Cuts what follows the last newline of the newest file, which then may be empty and goes.
fn mend_end(days: &BTreeMap<Day, DayFiles>) -> Result<(Option<Cut>, bool), StorageError> {
    let newest = days.values().rfind(|files| files.plain.is_some() || files.compressed.is_some());
    let Some(path) = newest.and_then(|files| files.plain.as_ref()) else {
        return Ok((None, false));
    };
    let reading = |source| failed("read", path, source);
    let file = OpenOptions::new().read(true).write(true).open(path).map_err(reading)?;
    let len = file.metadata().map_err(reading)?.len();
    let whole = whole_len(&file, len).map_err(reading)?;
    let mut cut = None;
    if whole < len {
        let kept = keep(path, &file, whole)?;
        file.set_len(whole).map_err(|source| failed("cut", path, source))?;
        cut = Some(Cut { file: path.clone(), kept, bytes: len - whole });
    }
    // Whatever the last writer left in the system's memory is on disk from here on.
    file.sync_all().map_err(|source| failed("sync", path, source))?;
    let is_empty = whole == 0 && newest.is_some_and(|files| files.seal.is_none());
    if is_empty {
        fs::remove_file(path).map_err(|source| failed("remove", path, source))?;
    }
    Ok((cut, is_empty))
}

/// Length up to and with the last newline.
fn whole_len(file: &File, len: u64) -> io::Result<u64> {
    let mut end = len;
    while end > 0 {
        let start = end.saturating_sub(CHUNK);
        let mut chunk = vec![0; usize::try_from(end - start).unwrap_or(0)];
        file.read_exact_at(&mut chunk, start)?;
        if let Some(at) = chunk.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + u64::try_from(at).unwrap_or(0) + 1);
        }
        end = start;
    }
    Ok(0)
}

/// Adds what follows `from` to the file beside it that keeps such ends.
fn keep(path: &Path, file: &File, from: u64) -> Result<PathBuf, StorageError> {
    let mut kept = path.as_os_str().to_owned();
    kept.push(".partial");
    let kept = PathBuf::from(kept);
    let writing = |source| failed("write", &kept, source);
    let mut options = OpenOptions::new();
    let mut out = options.append(true).create(true).mode(FILE_MODE).open(&kept).map_err(writing)?;
    let mut tail = file;
    tail.seek(SeekFrom::Start(from)).map_err(|source| failed("read", path, source))?;
    io::copy(&mut tail, &mut out).map_err(writing)?;
    out.write_all(b"\n").map_err(writing)?;
    out.sync_all().map_err(writing)?;
    set_mode(&kept, FILE_MODE)?;
    Ok(kept)
}

/// The newest file, ready to be written on; none when it is compressed.
fn current(
    day: Day,
    files: &DayFiles,
    walk: &Walk,
    wrap: &Wrap,
) -> Result<Option<Current>, StorageError> {
    let Some(path) = &files.plain else { return Ok(None) };
    let opening = |source| failed("open", path, source);
    let file = OpenOptions::new().read(true).write(true).open(path).map_err(opening)?;
    let len = file.metadata().map_err(opening)?.len();
    let Some(summary) = walk.summaries.get(&day) else {
        return Err(opening(io::Error::other("it could not be read")));
    };
    set_mode(path, FILE_MODE)?;
    Ok(Some(Current {
        day,
        path: path.clone(),
        file: OpenFile::new(wrap(file), len, summary.sha.clone()),
        lines: summary.lines,
        last_hash: summary.last_hash.unwrap_or(Hash::ZERO),
        has_seal: files.seal.is_some(),
    }))
}

/// The day before the newest, when it is sealed and no line says so: a crash came between.
fn unsaid(days: &BTreeMap<Day, DayFiles>, walk: &Walk) -> Option<Sealed> {
    let said = walk.said_days();
    let mut newest = walk.summaries.iter().rev().skip(1);
    let (day, summary) = newest.next()?;
    let is_sealed = days.get(day).is_some_and(|files| files.seal.is_some());
    let last_hash = summary.last_hash.filter(|_| is_sealed && !said.contains(day))?;
    Some(Sealed { day: *day, lines: summary.lines, last_hash })
}
