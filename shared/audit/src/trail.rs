//! The trail on disk: one file for each UTC day, written by one session at a time.
//!
//! Input: a directory, a session, events with their times. Output: lines as they stand in the file, seals, errors that
//! say exactly what is not there. Invariants: numbers and chain move only with lines that are whole in the file; the
//! first line of a later day seals the file before and begins the next; an event that comes late stays in the open
//! file, because a sealed one is never opened again; two writers never share a directory. It reads no clock, repeats
//! nothing by itself and decides nothing about what a failure means.

mod open;

pub(crate) use open::LOCK;

use crate::day::Day;
use crate::disk::{Bytes, OpenFile};
use crate::event::Event;
use crate::finding::Finding;
use crate::line::{Hash, Line};
use crate::walk::{PREV_SESSION, SEALED_FILE, SEALED_HASH, SEALED_LINES, seal_text};
use open::{FILE_MODE, sync_dir};
use penstock_types::SessionId;
use penstock_types::vocab::AuditEventType;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Puts something between the trail and its files.
type Wrap = Box<dyn Fn(File) -> Box<dyn Bytes> + Send>;

/// A disk that refused.
#[derive(Debug, thiserror::Error)]
#[error("failed to {doing} {path}: {source}; next: look at the space and the permissions of `audit_dir`", path = .path.display())]
pub struct StorageError {
    /// What was tried.
    pub doing: &'static str,
    /// With which file.
    pub path: PathBuf,
    /// Why not.
    pub source: io::Error,
}

/// A trail that cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The session is no UUID of version 7.
    #[error("session {0} is no UUID of version 7")]
    Session(SessionId),
    /// Another process writes it.
    #[error("{dir} has a writer already; next: stop the other process", dir = .0.display())]
    Locked(PathBuf),
    /// The disk refuses.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Why events are not in the trail.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// The disk refuses; the same events can be handed in again.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The first event of a session is another than RUN_STARTED.
    #[error("{0} before RUN_STARTED")]
    NotStarted(AuditEventType),
    /// RUN_STARTED states another end of the session before.
    #[error(
        "RUN_STARTED says that the session before ended with {stated:?}, it ended with {ended}"
    )]
    Previous {
        /// What the event states.
        stated: String,
        /// What the trail has.
        ended: Hash,
    },
    /// A second RUN_STARTED of the session.
    #[error("a second RUN_STARTED in one session")]
    StartedAgain,
    /// The session has ended.
    #[error("{0} after RUN_ENDED")]
    Ended(AuditEventType),
    /// The newest file is of a later day and already compressed.
    #[error(
        "an event of {day}, but {closed} is closed for good; next: look at the machine's clock"
    )]
    Closed {
        /// Day of the event.
        day: Day,
        /// The closed day.
        closed: Day,
    },
}

/// Events that are not in the trail.
#[derive(Debug, thiserror::Error)]
#[error("the events of the batch from index {taken} on are not in the audit trail: {cause}")]
pub struct AppendError {
    /// What of the batch is in the trail: as many lines as `taken`.
    pub done: Appended,
    /// Index of the first event that is not in the trail, nor any behind it.
    pub taken: usize,
    /// Why.
    #[source]
    pub cause: Cause,
}

/// Lines that may not be on disk. The trail holds them and writes them again.
#[derive(Debug, thiserror::Error)]
#[error("lines {first_seq} to {last_seq} of the session are not known to be on disk: {storage}")]
pub struct SyncError {
    /// Number of the first.
    pub first_seq: i64,
    /// Number of the last.
    pub last_seq: i64,
    /// The refusal.
    #[source]
    pub storage: StorageError,
}

/// A day that was sealed: its caller says so in the trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The day.
    pub day: Day,
    /// Lines of its file.
    pub lines: u64,
    /// Hash of the last one.
    pub last_hash: Hash,
}

impl Sealed {
    /// Data of the event AUDIT_DAY_SEALED.
    #[must_use]
    pub fn data(&self) -> Map<String, Value> {
        [
            (SEALED_FILE.to_owned(), self.day.file().into()),
            (SEALED_LINES.to_owned(), self.lines.into()),
            (SEALED_HASH.to_owned(), self.last_hash.to_string().into()),
        ]
        .into_iter()
        .collect()
    }
}

/// What an append put into the trail.
#[derive(Debug, Default, PartialEq)]
pub struct Appended {
    /// The lines, one for each event, in their order.
    pub lines: Vec<Line>,
    /// Days that were sealed on the way. Each must be said by an event AUDIT_DAY_SEALED.
    pub sealed: Vec<Sealed>,
}

/// The end of a write that a crash cut off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// The file from which it was cut.
    pub file: PathBuf,
    /// The file in which it is kept.
    pub kept: PathBuf,
    /// Bytes.
    pub bytes: u64,
}

/// A trail that was opened.
pub struct Opened {
    /// The trail, to which nothing of this session has been appended.
    pub trail: Trail,
    /// What was cut off.
    pub cut: Option<Cut>,
    /// What the two newest files are found guilty of. With any, no entry may be traded.
    pub findings: Vec<Finding>,
    /// A day that is sealed and that no line names yet.
    pub sealed: Option<Sealed>,
}

/// The file that is written.
struct Current {
    day: Day,
    path: PathBuf,
    file: OpenFile,
    lines: u64,
    last_hash: Hash,
    has_seal: bool,
}

/// The trail of a session.
pub struct Trail {
    dir: PathBuf,
    session_id: SessionId,
    previous: Hash,
    seq: i64,
    hash: Hash,
    ended: bool,
    first_unsynced: Option<i64>,
    current: Option<Current>,
    closed: Option<Day>,
    wrap: Wrap,
    // Held for as long as this writes.
    _lock: File,
}

impl Trail {
    /// Opens the trail for a new session: cuts off what a crash left of a line, and looks at the two newest files.
    /// Findings do not keep it closed, because that they were found must be written too.
    ///
    /// # Errors
    /// [`OpenError`] when another process writes it, or the disk refuses.
    pub fn open(dir: &Path, session_id: SessionId) -> Result<Opened, OpenError> {
        Self::open_with(dir, session_id, Box::new(|file| Box::new(file)))
    }

    /// Hash of the last line of the session before, for RUN_STARTED; zeros when there is none.
    #[must_use]
    pub const fn previous_hash(&self) -> Hash {
        self.previous
    }

    /// Number of the last line in the file, 0 before the first.
    #[must_use]
    pub const fn last_seq(&self) -> i64 {
        self.seq
    }

    /// Lines that are in the file and not known to be on disk: the first and the last.
    #[must_use]
    pub fn unsynced(&self) -> Option<(i64, i64)> {
        self.first_unsynced.map(|first| (first, self.seq))
    }

    /// Appends events in their order. Those of one file are there all or not at all.
    ///
    /// # Errors
    /// [`AppendError`]: what of the batch is in the trail and from which event on nothing is. After a refusal of the
    /// disk the rest can be handed in again, with others behind it.
    pub fn append(&mut self, events: &[Event]) -> Result<Appended, AppendError> {
        let mut done = Appended::default();
        let mut taken = 0;
        while let Some(next) = events.get(taken) {
            match self.append_run(next.day(), &events[taken..], &mut done) {
                Ok(count) => taken += count,
                Err(cause) => return Err(AppendError { done, taken, cause }),
            }
        }
        Ok(done)
    }

    /// Puts every line on disk.
    ///
    /// # Errors
    /// [`SyncError`] names the lines that may not be there. The trail holds them; the next append or sync writes them
    /// again.
    pub fn sync(&mut self) -> Result<(), SyncError> {
        let (first_seq, last_seq) = self.unsynced().unwrap_or((self.seq, self.seq));
        let Some(current) = self.current.as_mut() else { return Ok(()) };
        if current.file.is_synced() {
            return Ok(());
        }
        match current.file.sync() {
            Ok(()) => {
                self.first_unsynced = None;
                Ok(())
            }
            Err(source) => {
                let path = current.path.clone();
                let storage = StorageError { doing: "sync", path, source };
                Err(SyncError { first_seq, last_seq, storage })
            }
        }
    }

    /// Appends the events that belong into one file; their number.
    fn append_run(
        &mut self,
        day: Day,
        events: &[Event],
        done: &mut Appended,
    ) -> Result<usize, Cause> {
        if let Some(closed) = self.closed.filter(|closed| day <= *closed) {
            return Err(Cause::Closed { day, closed });
        }
        // Before a file is made for it: what cannot be written must not begin a day.
        self.judge_place(&events[0], self.seq)?;
        let file_day = self.current.as_ref().map(|current| current.day);
        if file_day.is_none_or(|open| day > open) {
            self.roll(day, done)?;
        }
        let Some(mut current) = self.current.take() else { return Ok(0) };
        let run = self.write_run(&mut current, events);
        self.current = Some(current);
        let lines = run?;
        let count = lines.len();
        done.lines.extend(lines);
        Ok(count)
    }

    fn write_run(&mut self, current: &mut Current, events: &[Event]) -> Result<Vec<Line>, Cause> {
        let (mut seq, mut hash, mut ended) = (self.seq, self.hash, self.ended);
        let mut lines = Vec::new();
        let mut bytes = Vec::new();
        for event in events.iter().take_while(|event| event.day() <= current.day) {
            // A fault within the run ends it before that event, which then stands first and is judged above.
            if ended || self.judge_place(event, seq).is_err() {
                break;
            }
            seq += 1;
            let (line, text) = Line::write(event.clone(), self.session_id, seq, hash);
            hash = line.hash;
            ended = event.event_type() == AuditEventType::RunEnded;
            bytes.extend_from_slice(&text);
            lines.push(line);
        }
        let path = current.path.clone();
        unseal(current)?;
        current.file.append(&bytes).map_err(|source| StorageError {
            doing: "append to",
            path,
            source,
        })?;
        self.first_unsynced = match current.file.is_synced() {
            true => None,
            false => self.first_unsynced.or(Some(self.seq + 1)),
        };
        (self.seq, self.hash, self.ended) = (seq, hash, ended);
        current.lines += u64::try_from(lines.len()).unwrap_or(u64::MAX);
        current.last_hash = hash;
        Ok(lines)
    }

    /// The place of an event in its session, behind line `seq`.
    fn judge_place(&self, event: &Event, seq: i64) -> Result<(), Cause> {
        let event_type = event.event_type();
        if self.ended {
            return Err(Cause::Ended(event_type));
        }
        match (seq, event_type == AuditEventType::RunStarted) {
            (0, false) => Err(Cause::NotStarted(event_type)),
            (0, true) => {
                let stated = event.fields().data.get(PREV_SESSION).and_then(|v| v.as_str());
                let stated = stated.unwrap_or_default();
                if stated == self.previous.to_string() {
                    return Ok(());
                }
                Err(Cause::Previous { stated: stated.to_owned(), ended: self.previous })
            }
            (_, true) => Err(Cause::StartedAgain),
            (_, false) => Ok(()),
        }
    }

    /// Seals the open file and begins that of `day`. Each step can be done again.
    fn roll(&mut self, day: Day, done: &mut Appended) -> Result<(), StorageError> {
        let sealed = match self.current.as_mut() {
            None => None,
            Some(current) if current.lines == 0 => {
                // Nothing was written since it was made: it never was a day.
                let path = current.path.clone();
                fs::remove_file(&path).or_else(|error| match error.kind() {
                    io::ErrorKind::NotFound => Ok(()),
                    _ => Err(StorageError { doing: "remove", path, source: error }),
                })?;
                None
            }
            Some(current) => {
                let path = current.path.clone();
                current.file.sync().map_err(|source| StorageError {
                    doing: "sync",
                    path,
                    source,
                })?;
                self.first_unsynced = None;
                // Remembered first: a seal that is half done must not outlive another line.
                current.has_seal = true;
                write_seal(&self.dir, current.day, &current.file.sha256())?;
                let (lines, last_hash) = (current.lines, current.last_hash);
                Some(Sealed { day: current.day, lines, last_hash })
            }
        };
        let path = self.dir.join(day.file());
        let file = make(&path)?;
        sync_dir(&self.dir)?;
        let file = OpenFile::new((self.wrap)(file), 0, Sha256::new());
        let last_hash = Hash::ZERO;
        self.current = Some(Current { day, path, file, lines: 0, last_hash, has_seal: false });
        done.sealed.extend(sealed);
        Ok(())
    }
}

/// Takes the seal off a file that is continued: its day was not over.
fn unseal(current: &mut Current) -> Result<(), StorageError> {
    if !current.has_seal {
        return Ok(());
    }
    let path = current.path.with_file_name(current.day.seal());
    match fs::remove_file(&path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            return Err(StorageError { doing: "remove", path, source });
        }
        Ok(()) | Err(_) => {}
    }
    current.has_seal = false;
    Ok(())
}

/// Makes the file of a new day; one that an earlier try made is empty.
fn make(path: &Path) -> Result<File, StorageError> {
    let failed = |source| StorageError { doing: "make", path: path.to_owned(), source };
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(FILE_MODE);
    let file = options.open(path).map_err(failed)?;
    open::set_mode(path, FILE_MODE)?;
    let len = file.metadata().map_err(failed)?.len();
    if len > 0 {
        let what = io::Error::new(io::ErrorKind::AlreadyExists, format!("it has {len} bytes"));
        return Err(failed(what));
    }
    Ok(file)
}

/// Writes a seal that is there whole or not at all.
fn write_seal(dir: &Path, day: Day, sha256: &str) -> Result<(), StorageError> {
    let path = dir.join(day.seal());
    let temporary = dir.join(format!("{}.tmp", day.seal()));
    let with = |doing, path: &Path, source| StorageError { doing, path: path.to_owned(), source };
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(FILE_MODE);
    let mut file = options.open(&temporary).map_err(|e| with("make", &temporary, e))?;
    open::set_mode(&temporary, FILE_MODE)?;
    file.write_all(seal_text(day, sha256).as_bytes()).map_err(|e| with("write", &temporary, e))?;
    file.sync_all().map_err(|e| with("sync", &temporary, e))?;
    fs::rename(&temporary, &path).map_err(|e| with("rename to", &path, e))?;
    sync_dir(dir)
}

#[cfg(test)]
mod tests;
