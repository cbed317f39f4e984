//! The rows of the database beside the lines of the files.
//!
//! Input: rows of a session by number, from whoever can ask the database; lines in their order. Output: findings, one for
//! each session. Invariants: every line is looked for among the rows and every row among the lines; rows older than the
//! first line are left alone, because files are kept for a shorter time than rows.

use crate::day::Day;
use crate::event::Event;
use crate::finding::{Finding, What};
use crate::line::{Hash, Line};
use crate::live::LiveEnd;
use penstock_types::SessionId;
use std::collections::BTreeSet;

/// The database cannot be asked.
#[derive(Debug, thiserror::Error)]
#[error("the rows of the audit trail cannot be read: {0}")]
pub struct DatabaseError(pub String);

/// A row of the audit trail.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Its number in the session.
    pub seq: i64,
    /// Hash of its line.
    pub line_hash: Hash,
    /// What its other columns say.
    pub told: Told,
}

/// What the columns of a row say beside its hash.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    /// They were not read: only the hash is compared.
    Unread,
    /// An event.
    Event(Box<Event>),
    /// What no line can say: a word, a time or a day that was altered.
    Illegible,
}

/// Whoever can read the rows.
pub trait Database {
    /// Every session that has rows, with the day of its last one.
    ///
    /// # Errors
    /// [`DatabaseError`].
    fn sessions(&mut self) -> Result<Vec<(SessionId, Day)>, DatabaseError>;

    /// Begins the rows of a session in place of those that are left of another.
    ///
    /// # Errors
    /// [`DatabaseError`].
    fn seek(&mut self, session_id: SessionId) -> Result<(), DatabaseError>;

    /// The next row of the session by number; none behind the last.
    ///
    /// # Errors
    /// [`DatabaseError`].
    fn next_row(&mut self) -> Result<Option<Row>, DatabaseError>;
}

/// Rows and lines, side by side.
pub(crate) struct Join<'a> {
    database: &'a mut dyn Database,
    until: Option<LiveEnd>,
    session: Option<SessionId>,
    ahead: Option<Row>,
    older: Option<(SessionId, i64)>,
    named: BTreeSet<SessionId>,
    pub(crate) compared: u64,
    pub(crate) findings: Vec<Finding>,
}

impl<'a> Join<'a> {
    /// Rows behind `until` are those of lines that are not read.
    pub(crate) const fn new(database: &'a mut dyn Database, until: Option<LiveEnd>) -> Self {
        let findings = Vec::new();
        Self {
            database,
            until,
            session: None,
            ahead: None,
            older: None,
            named: BTreeSet::new(),
            compared: 0,
            findings,
        }
    }

    /// Takes a line. Rows before the first line of all are older than the files.
    pub(crate) fn line(&mut self, line: &Line, file: &str, at: u64) -> Result<(), DatabaseError> {
        if self.session != Some(line.session_id) {
            let is_first = self.session.is_none();
            self.end_session()?;
            self.session = Some(line.session_id);
            self.database.seek(line.session_id)?;
            self.ahead = self.next_row(line.session_id)?;
            while is_first && self.ahead.as_ref().is_some_and(|row| row.seq < line.seq) {
                let row = self.ahead.take().map(|row| (line.session_id, row.seq));
                self.older = self.older.or(row);
                self.ahead = self.next_row(line.session_id)?;
            }
        }
        while let Some(row) = self.ahead.take_if(|row| row.seq < line.seq) {
            self.alone(line.session_id, row.seq);
            self.ahead = self.next_row(line.session_id)?;
        }
        let what = match self.ahead.take_if(|row| row.seq == line.seq) {
            None => Some(What::RowMissing),
            Some(row) => {
                self.ahead = self.next_row(line.session_id)?;
                self.compared += 1;
                judge(&row, line)
            }
        };
        if let Some(what) = what {
            let place = Some((line.session_id, line.seq));
            self.name(Finding { file: file.to_owned(), line: Some(at), place, what });
        }
        Ok(())
    }

    fn next_row(&mut self, session: SessionId) -> Result<Option<Row>, DatabaseError> {
        let is_later = |row: &Row| {
            self.until.is_some_and(|end| session == end.session_id && row.seq > end.seq)
        };
        Ok(self.database.next_row()?.filter(|row| !is_later(row)))
    }

    /// Ends with the last line: what is left of its rows, and the sessions without a line.
    pub(crate) fn finish(
        &mut self,
        seen: &BTreeSet<SessionId>,
        oldest: Option<Day>,
        explained: bool,
    ) -> Result<(), DatabaseError> {
        self.end_session()?;
        // Rows before the first line are older than the files only when the trail says what came before it.
        if let Some((session, seq)) = self.older.filter(|_| !explained) {
            self.alone(session, seq);
        }
        for (session, day) in self.database.sessions()? {
            // A session that began behind the end has lines that are not read.
            let is_later = self.until.is_some_and(|end| session > end.session_id);
            if !seen.contains(&session) && !is_later && oldest.is_none_or(|oldest| day >= oldest) {
                let place = Some((session, 1));
                let what = What::SessionAlone(day);
                self.name(Finding { file: String::new(), line: None, place, what });
            }
        }
        Ok(())
    }

    fn end_session(&mut self) -> Result<(), DatabaseError> {
        if let (Some(session), Some(row)) = (self.session.take(), self.ahead.take()) {
            self.alone(session, row.seq);
        }
        Ok(())
    }

    fn alone(&mut self, session: SessionId, seq: i64) {
        let (file, place) = (String::new(), Some((session, seq)));
        self.name(Finding { file, line: None, place, what: What::RowAlone });
    }

    /// The first finding of a session is kept.
    fn name(&mut self, finding: Finding) {
        let session = finding.place.map(|(session, _)| session);
        if session.is_none_or(|session| self.named.insert(session)) {
            self.findings.push(finding);
        }
    }
}

fn judge(row: &Row, line: &Line) -> Option<What> {
    if row.line_hash != line.hash {
        return Some(What::RowHash { row: row.line_hash, line: line.hash });
    }
    let differs = match &row.told {
        Told::Unread => false,
        Told::Event(event) => !line.has_hash_of(event),
        Told::Illegible => true,
    };
    differs.then_some(What::RowDiffers)
}
