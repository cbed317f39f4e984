//! The lock of a closed day: any number that read it, or one that compresses or removes it.
//!
//! Input: a day. Output: an open file that is the lock for as long as it lives. Invariants: nobody waits, a day
//! that is taken is an answer; a day that goes is not there for a reader any more, from the moment at which that
//! is written down. It names what marks such a day and neither writes nor removes the mark.

use crate::error::{Code, Fault};
use crate::files;
use crate::layout::{Day, EngineDirs};
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

/// Name of the file that says that a day goes, in its journal directory.
pub(crate) const GOING: &str = "GOING";

/// The directory that is locked: that of a day's journal.
pub(crate) fn day_dir(dirs: &EngineDirs, day: Day) -> PathBuf {
    dirs.journal.join(day.to_string())
}

fn lock_fault(dir: &Path, error: &std::io::Error) -> Fault {
    Fault::new(Code::EnvLock, format!("failed to lock the day: {error}")).of(dir)
}

/// The day of a directory to oneself; `None` while somebody else has it.
///
/// # Errors
/// [`Code::EnvLock`] when the directory cannot be opened or locked at all.
pub(crate) fn try_exclusive(dir: &Path) -> Result<Option<File>, Fault> {
    let file = File::open(dir).map_err(|error| lock_fault(dir, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(lock_fault(dir, &error)),
    }
}

/// The day to oneself for as long as the answer lives: two that compress or remove it at once would take each
/// other's half-written files for whole ones.
///
/// # Errors
/// [`Code::EnvLock`] while somebody else reads, compresses or removes it.
pub(crate) fn lock_alone(dirs: &EngineDirs, day: Day) -> Result<File, Fault> {
    let dir = day_dir(dirs, day);
    files::make_dir(&dir)?;
    try_exclusive(&dir)?.ok_or_else(|| {
        let what = "the day is read, compressed or removed at this moment; next: try again later";
        Fault::new(Code::EnvLock, what).of(&dir)
    })
}

/// Keeps a day from going for as long as the answer lives; any number of readers may hold it.
///
/// # Errors
/// [`Code::EnvLock`] when it is compressed or removed at this moment, [`Code::ManMissing`] when there is no such day.
pub fn hold(dirs: &EngineDirs, day: Day) -> Result<File, Fault> {
    let dir = day_dir(dirs, day);
    let missing = || Fault::new(Code::ManMissing, "there is no journal of the day").of(&dir);
    if !dir.is_dir() || dir.join(GOING).exists() {
        return Err(missing());
    }
    let file = File::open(&dir).map_err(|error| lock_fault(&dir, &error))?;
    match file.try_lock_shared() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let what =
                "the day is compressed or removed at this moment; next: try again in a minute";
            Err(Fault::new(Code::EnvLock, what).of(&dir))
        }
        Err(TryLockError::Error(error)) => Err(lock_fault(&dir, &error)),
    }
}
