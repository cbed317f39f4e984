//! Verification of a trail: its chain, its seals, the links between files and sessions, and its rows.
//!
//! Input: a directory; rows of the database and the first day to expect, where they are known. Output: a report with the
//! first finding of each file, and with what could not be seen. Invariants: it reads only. Beside a running writer the
//! newest file may end within a line and rows may be behind: whoever wants a whole answer asks again, or stops the
//! writer.
//!
//! What files alone prove: a changed byte; a line taken from or put into the middle; swapped lines; a missing seal, day
//! or session that something follows. What they cannot: at the open end nothing follows, so a trail without its last
//! lines is also what a crash leaves, and a line with the right hash is also what the writer would have written. A whole
//! end that is written anew, seals included, is consistent in itself. For these each line is compared with its row.

use crate::database::{Database, DatabaseError, Join};
use crate::day::Day;
use crate::finding::{Report, Unseen, What};
use crate::live::LiveEnd;
use crate::reader::{self, DayFiles, Lines};
use crate::walk::{Walk, file_name};
use sha2::Digest;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// A verification that could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The directory cannot be listed.
    #[error("failed to list {dir}: {source}; next: look at `audit_dir` and its permissions", dir = .dir.display())]
    Storage {
        /// The directory.
        dir: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The database cannot be asked.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// What a trail is compared with beside itself.
#[derive(Default)]
pub struct Beside<'a> {
    /// The rows.
    pub database: Option<&'a mut dyn Database>,
    /// First day whose lines must be there: today less the days that retention keeps.
    pub from: Option<Day>,
    /// Where a trail ends that is being written.
    pub until: Option<LiveEnd>,
}

/// Verifies a directory by its files alone.
///
/// # Errors
/// [`VerifyError::Storage`] when it cannot be listed.
pub fn verify_dir(dir: &Path) -> Result<Report, VerifyError> {
    verify(dir, Beside::default())
}

/// Verifies a directory.
///
/// # Errors
/// [`VerifyError`] when the directory cannot be listed or the database cannot be asked.
pub fn verify(dir: &Path, beside: Beside<'_>) -> Result<Report, VerifyError> {
    let days =
        reader::days(dir).map_err(|source| VerifyError::Storage { dir: dir.to_owned(), source })?;
    let mut walk = Walk::new(true);
    let mut join = beside.database.map(|database| Join::new(database, beside.until));
    let (mut files, seals): (BTreeMap<_, _>, BTreeMap<_, _>) = days
        .into_iter()
        .partition(|(_, files)| files.plain.is_some() || files.compressed.is_some());
    if let Some(until) = beside.until {
        // A day that began meanwhile is none yet.
        files.retain(|day, _| *day <= until.day);
        if let Some(newest) = files.get_mut(&until.day) {
            newest.limit = Some(until.bytes);
            // A seal that came meanwhile is of more than is read.
            newest.seal = None;
        }
    }
    let newest = files.keys().next_back().copied();
    for (day, found) in &files {
        walk.file(*day, found, Some(*day) == newest, &mut join)?;
        judge_copies(&mut walk, found);
    }
    for seal in seals.values() {
        walk.find(&file_name(seal), None, None, What::SealAlone);
    }
    judge_said(&mut walk, &files);
    let explained = walk.finish(beside.from);
    let mut unseen = Vec::new();
    if beside.from.is_none() {
        unseen.push(Unseen::Beginning);
    }
    let mut rows = 0;
    match &mut join {
        Some(join) => {
            let from = beside.from.or(files.keys().next().copied());
            join.finish(&walk.seen, from, explained)?;
            walk.findings.append(&mut join.findings);
            rows = join.compared;
        }
        None => unseen.extend([Unseen::OpenEnd, Unseen::Rewritten, Unseen::Rows]),
    }
    let count = |len: usize| u64::try_from(len).unwrap_or(u64::MAX);
    let (sessions, lines) = (count(walk.seen.len()), walk.lines);
    Ok(Report { files: count(files.len()), lines, sessions, rows, findings: walk.findings, unseen })
}

/// The two newest files, as a start looks at them.
pub(crate) fn newest_two(days: &BTreeMap<Day, DayFiles>) -> Walk {
    let files: Vec<_> = days
        .iter()
        .filter(|(_, files)| files.plain.is_some() || files.compressed.is_some())
        .collect();
    let from = files.len().saturating_sub(2);
    let mut walk = Walk::new(from == 0);
    for (at, (day, found)) in files.iter().enumerate().skip(from) {
        let asked = walk.file(**day, found, at + 1 == files.len(), &mut None);
        assert!(asked.is_ok(), "without a database none can fail");
    }
    walk
}

/// A day that is there plain and compressed is the same in both.
fn judge_copies(walk: &mut Walk, files: &DayFiles) {
    if files.plain.is_none() || files.compressed.is_none() {
        return;
    }
    let hash = |files: &DayFiles| -> io::Result<Option<Vec<u8>>> {
        let Some(mut lines) = Lines::open(files)? else { return Ok(None) };
        while lines.next()?.is_some() {}
        Ok(Some(lines.sha().finalize().to_vec()))
    };
    let plain = DayFiles { compressed: None, ..files.clone() };
    let compressed = DayFiles { plain: None, ..files.clone() };
    match (hash(&plain), hash(&compressed)) {
        (Ok(a), Ok(b)) if a == b => {}
        (Ok(_), Ok(_)) => walk.find(&file_name(&compressed), None, None, What::Twice),
        (Err(error), _) | (_, Err(error)) => {
            walk.find(&file_name(&compressed), None, None, What::Unreadable(error.to_string()));
        }
    }
}

/// A day with two later files has been named as sealed in one of them; with one, its writer may not have come to it.
fn judge_said(walk: &mut Walk, files: &BTreeMap<Day, DayFiles>) {
    let said = walk.said_days();
    let old = files.len().saturating_sub(2);
    for (at, (day, found)) in files.iter().enumerate().take(old) {
        // The line that says it may be the one that cannot be read.
        let is_whole = files.values().skip(at + 1).all(|later| !walk.is_named(&file_name(later)));
        if is_whole && !said.contains(day) {
            walk.find(&file_name(found), None, None, What::SealUnsaid);
        }
    }
}
