//! The end of a trail that is being written, fixed for as long as a verification reads.
//!
//! Input: a directory. Output: how far the newest file goes and which line is its last. Invariants: what is written
//! later is neither read nor looked for among the rows; a directory without a writer has no such end, because
//! everything in it counts.

use crate::day::Day;
use crate::line::{LINE_BYTES_MAX, Line};
use crate::reader;
use crate::trail::LOCK;
use penstock_types::SessionId;
use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// How far a trail went when it was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiveEnd {
    /// Day of the newest file.
    pub day: Day,
    /// Its bytes up to and with the last newline.
    pub bytes: u64,
    /// Session of the last line.
    pub session_id: SessionId,
    /// Its number.
    pub seq: i64,
}

impl LiveEnd {
    /// The end of a trail that has a writer; none without one, and none when the last line cannot be read, which is
    /// then a finding.
    ///
    /// # Errors
    /// When the directory or its newest file cannot be read.
    pub fn of(dir: &Path) -> io::Result<Option<Self>> {
        if !is_written(dir)? {
            return Ok(None);
        }
        let days = reader::days(dir)?;
        let newest = days.iter().rfind(|(_, files)| files.plain.is_some());
        let Some((day, Some(path))) = newest.map(|(day, files)| (*day, files.plain.as_ref()))
        else {
            return Ok(None);
        };
        let file = File::open(path)?;
        let len = file.metadata()?.len();
        // Two lines at most: a torn one, and the last whole one.
        let most = 2 * u64::try_from(LINE_BYTES_MAX).unwrap_or(u64::MAX);
        let start = len.saturating_sub(most);
        let mut tail = vec![0; usize::try_from(len - start).unwrap_or(0)];
        file.read_exact_at(&mut tail, start)?;
        let Some(end) = tail.iter().rposition(|byte| *byte == b'\n') else { return Ok(None) };
        let begin = tail[..end].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let Ok(line) = Line::parse(&tail[begin..end]) else { return Ok(None) };
        let bytes = start + u64::try_from(end).unwrap_or(0) + 1;
        Ok(Some(Self { day, bytes, session_id: line.session_id, seq: line.seq }))
    }
}

/// A process holds the writer's lock.
fn is_written(dir: &Path) -> io::Result<bool> {
    match File::open(dir.join(LOCK)) {
        Ok(file) => match file.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(error),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
