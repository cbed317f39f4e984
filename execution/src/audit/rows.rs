//! Lines that are on disk and have no row yet, in memory, as long as there are few of them.
//!
//! Input: lines in their order, each after it was synced. Output: the oldest ones, for the database.
//! Invariants: bounded in number; beyond the bound memory is given up and the files are read back instead;
//! the age of the oldest line without a row is known in both cases.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use penstock_audit::Line;

/// Lines that are held: at fifty events a second more than a minute; then the files are read back.
const LINES_MAX: usize = 4_096;

#[derive(Debug, Default)]
struct Held {
    lines: VecDeque<(Line, Instant)>,
    is_behind: bool,
    oldest: Option<Instant>,
    last_seq: i64,
    /// When rows were last written, milliseconds since 1970; 0 before the first.
    committed_ms: i64,
}

/// Lines without a row.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    held: Mutex<Held>,
}

impl Rows {
    fn lock(&self) -> MutexGuard<'_, Held> {
        // A holder that panicked has only moved whole lines.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lines that were synced.
    pub(crate) fn push(&self, lines: Vec<Line>) {
        let mut held = self.lock();
        let now = Instant::now();
        if let Some(last) = lines.last() {
            held.last_seq = last.seq;
            held.oldest = held.oldest.or(Some(now));
        }
        if !held.is_behind {
            held.lines.extend(lines.into_iter().map(|line| (line, now)));
            if held.lines.len() > LINES_MAX {
                held.lines.clear();
                held.is_behind = true;
            }
        }
    }

    /// The oldest lines, copied; they stay until [`Rows::done`].
    pub(crate) fn front(&self, most: usize) -> Vec<Line> {
        self.lock().lines.iter().take(most).map(|(line, _)| line.clone()).collect()
    }

    /// So many of the oldest lines have rows.
    pub(crate) fn done(&self, count: usize) {
        let mut held = self.lock();
        let count = count.min(held.lines.len());
        held.lines.drain(..count);
        held.committed_ms = chrono::Utc::now().timestamp_millis();
        if !held.is_behind {
            held.oldest = held.lines.front().map(|(_, since)| *since);
        }
    }

    /// The files must be read back.
    pub(crate) fn is_behind(&self) -> bool {
        self.lock().is_behind
    }

    /// From here on lines are held again, before the files are read: what is written meanwhile is in both.
    pub(crate) fn begin_backfill(&self) {
        let mut held = self.lock();
        held.lines.clear();
        held.is_behind = false;
    }

    /// The files were read to their end: what is held is all that has no row.
    pub(crate) fn end_backfill(&self) {
        let mut held = self.lock();
        if !held.is_behind {
            held.oldest = held.lines.front().map(|(_, since)| *since);
        }
    }

    /// Memory is given up; the files are read back later.
    pub(crate) fn fall_behind(&self) {
        let mut held = self.lock();
        held.lines.clear();
        held.is_behind = true;
        held.oldest = held.oldest.or_else(|| Some(Instant::now()));
    }

    /// Number of the last synced line of this session.
    pub(crate) fn last_seq(&self) -> i64 {
        self.lock().last_seq
    }

    /// When rows were last written, milliseconds since 1970; 0 before the first.
    pub(crate) fn committed_ms(&self) -> i64 {
        self.lock().committed_ms
    }

    /// Age of the oldest line without a row, milliseconds.
    pub(crate) fn lag_ms(&self) -> i64 {
        let oldest = self.lock().oldest;
        oldest.map_or(0, |at| i64::try_from(at.elapsed().as_millis()).unwrap_or(i64::MAX))
    }
}
