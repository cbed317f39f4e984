//! What a verification found, and what it could not see.
//!
//! Input: files, lines, rows. Output: findings with the place of each, in words that an operator can follow. Invariants:
//! a finding names a file, with its line where there is one, or a session with its number; what was not looked at is
//! said and never counted as sound.

use crate::day::Day;
use crate::line::{Hash, LineError};
use penstock_types::SessionId;
use std::fmt;

/// A finding.
#[derive(Debug)]
pub struct Finding {
    /// Name of the file; empty for rows that have no line.
    pub file: String,
    /// Number of the line in it, from 1.
    pub line: Option<u64>,
    /// Session and number of the line or row.
    pub place: Option<(SessionId, i64)>,
    /// What is wrong.
    pub what: What,
}

/// What is wrong.
#[derive(Debug, thiserror::Error)]
pub enum What {
    /// The file cannot be read to its end.
    #[error("the file cannot be read: {0}")]
    Unreadable(String),
    /// A line is no line.
    #[error("{0}")]
    Line(#[from] LineError),
    /// The last line has no end.
    #[error("the last line is cut off after {bytes} bytes")]
    Partial {
        /// What is there of it.
        bytes: usize,
    },
    /// A line is missing, added or in another place.
    #[error("number {found} follows {before}: a line is missing, added or in another place")]
    Seq {
        /// Number of the line before it.
        before: i64,
        /// Number of the line.
        found: i64,
    },
    /// The line does not follow the line before it.
    #[error("it follows a line with the hash {stated}, the line before it has {before}")]
    Link {
        /// What it states.
        stated: Hash,
        /// What the line before it has.
        before: Hash,
    },
    /// A session does not begin as one.
    #[error("a session begins without RUN_STARTED, number 1 and 64 zeros")]
    Start,
    /// A session does not follow the session before it.
    #[error("the session follows one that ended with {stated}, the line before it has {before}")]
    SessionLink {
        /// What RUN_STARTED states.
        stated: String,
        /// What the line before it has.
        before: Hash,
    },
    /// A session's lines stand in two places.
    #[error("lines of a session that ended before")]
    SessionAgain,
    /// A line follows the end of its session.
    #[error("it follows RUN_ENDED of its session")]
    AfterEnd,
    /// The time of a line does not belong to its file.
    #[error("a line of {found} in the file of {day}")]
    Day {
        /// Day of the file.
        day: Day,
        /// Day of the line.
        found: Day,
    },
    /// A file that is neither the newest nor has a line.
    #[error("the file is empty")]
    Empty,
    /// A day is there twice.
    #[error(
        "the day is there plain and compressed; next: remove the one that differs from its seal"
    )]
    Twice,
    /// A day is over and has no seal.
    #[error("the day is over and its seal is missing")]
    SealMissing,
    /// A seal says nothing.
    #[error("the seal is not 64 hex digits, two blanks and the name of its file")]
    SealForm,
    /// The file is not the sealed one.
    #[error("the file has the hash {computed}, its seal says {sealed}")]
    SealDiffers {
        /// Of the file.
        computed: String,
        /// In the seal.
        sealed: String,
    },
    /// The file of a seal is missing.
    #[error("the file of this seal is missing")]
    SealAlone,
    /// The trail says that it sealed a day and the file says otherwise.
    #[error("AUDIT_DAY_SEALED says {said}, the file has {found}")]
    SealedOtherwise {
        /// Lines and last hash that the event states.
        said: String,
        /// Lines and last hash of the file.
        found: String,
    },
    /// A day was sealed and its file is missing.
    #[error("AUDIT_DAY_SEALED names {file}, which is missing")]
    SealedMissing {
        /// The missing file.
        file: String,
    },
    /// No later line says that a day was sealed.
    #[error("no AUDIT_DAY_SEALED of a later file names it")]
    SealUnsaid,
    /// The oldest file begins in the middle, and nothing says what came before.
    #[error("the trail begins after {stated}, and no AUDIT_DAY_SEALED names a day that ended so")]
    BeginsInside {
        /// Hash that the first line follows.
        stated: String,
    },
    /// A line has no row.
    #[error("the database has no row of this line")]
    RowMissing,
    /// A row has another hash.
    #[error("the row has the hash {row}, the line {line}")]
    RowHash {
        /// In the row.
        row: Hash,
        /// In the line.
        line: Hash,
    },
    /// A row says something else than the line.
    #[error("the row says something else than the line")]
    RowDiffers,
    /// A row has no line.
    #[error("the row has no line")]
    RowAlone,
    /// A session has rows and no line.
    #[error("the session has rows up to {0} and no line")]
    SessionAlone(Day),
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.file.is_empty(), self.line) {
            (false, Some(line)) => write!(f, "{}:{line}: ", self.file)?,
            (false, None) => write!(f, "{}: ", self.file)?,
            (true, _) => {}
        }
        if let Some((session, seq)) = self.place {
            write!(f, "session {session} seq {seq}: ")?;
        }
        write!(f, "{}", self.what)
    }
}

/// What a verification could not see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unseen {
    /// Without the database: lines taken from or added behind the end of the newest session, unless it ended.
    OpenEnd,
    /// Without the database: a trail that was written anew from some line to its end, with its seals.
    Rewritten,
    /// Without the database: changed, missing and added rows.
    Rows,
    /// Without the first day that must be there: whole days taken from the beginning, as retention does.
    Beginning,
}

impl fmt::Display for Unseen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OpenEnd => {
                "lines taken from the end of the newest session or added behind it (needs the database)"
            }
            Self::Rewritten => {
                "everything from some line on written anew with its hashes and seals (needs the database)"
            }
            Self::Rows => "changed, missing or added rows (needs the database)",
            Self::Beginning => {
                "whole days taken from the beginning, as retention does (needs the first day to expect)"
            }
        })
    }
}

/// What a verification saw.
#[derive(Debug, Default)]
pub struct Report {
    /// Files read.
    pub files: u64,
    /// Lines read.
    pub lines: u64,
    /// Sessions seen.
    pub sessions: u64,
    /// Rows compared with a line.
    pub rows: u64,
    /// The first finding of each file, then those of rows, at most one for each session.
    pub findings: Vec<Finding>,
    /// What could not be seen.
    pub unseen: Vec<Unseen>,
}

impl Report {
    /// Nothing was found.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.findings.is_empty()
    }
}
