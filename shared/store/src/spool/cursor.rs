//! The load cursor of a run: who takes its row how strongly, what a batch may do, what passes it.
//!
//! Purpose: the decisions behind "each record is loaded exactly once, and nothing after the close", as
//! plain functions. Inputs: the cursor as it was read under its lock, a batch, a record. Outputs: what
//! to do. Invariants: numbered records pass once, outputs always; only numbered records move the number;
//! a run without an open cursor takes nothing. No cluster, no file.

use super::format::FLAG_OUTPUT;
use super::segments::SpoolPosition;

/// Who works on a run of the ingest cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CursorUse {
    /// A generation is recorded.
    Record,
    /// A batch is loaded.
    Load,
    /// The run is closed.
    Close,
}

/// How strongly a row is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowLock {
    /// `for key share`: beside the loader, not beside a close.
    KeyShare,
    /// `for no key update`: one loader, beside the recorder.
    NoKeyUpdate,
    /// `for update`: alone.
    Update,
}

impl CursorUse {
    /// Recording and loading never wait for each other, a close waits for both and both for it.
    #[must_use]
    pub const fn lock(self) -> RowLock {
        match self {
            Self::Record => RowLock::KeyShare,
            Self::Load => RowLock::NoKeyUpdate,
            Self::Close => RowLock::Update,
        }
    }

    /// Reads and locks the cursor (`last_seq`, `segment_no`, `byte_offset`) of run `$1` while it is open;
    /// no row: it has been closed.
    #[must_use]
    pub const fn statement(self) -> &'static str {
        match self.lock() {
            RowLock::KeyShare => {
                "select last_seq, segment_no, byte_offset from raw_load_cursor
                 where run_id = $1 and not complete for key share"
            }
            RowLock::NoKeyUpdate => {
                "select last_seq, segment_no, byte_offset from raw_load_cursor
                 where run_id = $1 and not complete for no key update"
            }
            RowLock::Update => {
                "select last_seq, segment_no, byte_offset from raw_load_cursor
                 where run_id = $1 and not complete for update"
            }
        }
    }
}

/// An open cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// Where the next batch begins.
    pub at: SpoolPosition,
    /// Highest numbered record that is loaded.
    pub last_seq: u64,
}

/// Whether a batch may be loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It begins where the cursor stands.
    Load,
    /// The cursor stands elsewhere, because a commit without an answer did take place.
    Reposition(SpoolPosition),
    /// The run takes nothing any more.
    Closed,
}

/// Judges a batch that was read from a position on, under the lock.
#[must_use]
pub fn admit(open: Option<&Cursor>, read_from: SpoolPosition) -> Admission {
    match open {
        None => Admission::Closed,
        Some(cursor) if cursor.at == read_from => Admission::Load,
        Some(cursor) => Admission::Reposition(cursor.at),
    }
}

/// How a record passes the cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passage {
    /// A numbered record that is loaded already.
    Skip,
    /// A numbered record; it moves the number.
    Numbered,
    /// An output: has no number of its own and is loaded unless it stands.
    Output,
}

/// Judges a record by its flags and number.
#[must_use]
pub const fn passage(flags: u8, seq: u64, last_seq: u64) -> Passage {
    match (flags & FLAG_OUTPUT != 0, seq <= last_seq) {
        (true, _) => Passage::Output,
        (false, true) => Passage::Skip,
        (false, false) => Passage::Numbered,
    }
}

/// Number of the cursor behind a record.
#[must_use]
pub const fn number_behind(passage: Passage, seq: u64, last_seq: u64) -> u64 {
    match passage {
        Passage::Numbered if seq > last_seq => seq,
        Passage::Numbered | Passage::Skip | Passage::Output => last_seq,
    }
}

/// What a loader does about a run that has no open cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClosedRunAction {
    /// Another host works: this process ends.
    Stop,
    /// Another host has closed it first: its segments are left to the operator.
    SetAside,
}

/// The own run can only have been closed by a successor.
#[must_use]
pub const fn on_closed(is_own_run: bool) -> ClosedRunAction {
    if is_own_run { ClosedRunAction::Stop } else { ClosedRunAction::SetAside }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_use_locks_as_strongly_as_its_statement_says() {
        for (of, clause) in [
            (CursorUse::Record, "and not complete for key share"),
            (CursorUse::Load, "and not complete for no key update"),
            (CursorUse::Close, "and not complete for update"),
        ] {
            assert!(of.statement().ends_with(clause), "{of:?}: {}", of.statement());
        }
    }
}
