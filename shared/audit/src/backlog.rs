//! Lines that are read back from the files, for a database that was away.
//!
//! Input: a directory, the last line that the database has. Output: the lines behind it, one after the other. Invariants:
//! every readable line behind that one is given once, in order; when that line is in no file, all are given, because a
//! row that is there already can be met again and one that is missing cannot. Whether the chain holds is judged
//! elsewhere. Beside a running writer it ends where the files ended: what is written later is asked for again.

use crate::day::Day;
use crate::finding::{Finding, What};
use crate::line::Line;
use crate::reader::{self, DayFiles, Lines, Piece};
use crate::trail::StorageError;
use crate::walk::file_name;
use penstock_types::SessionId;
use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};

/// Lines to read back.
pub struct Backlog {
    dir: PathBuf,
    files: VecDeque<DayFiles>,
    open: Option<(String, u64, Lines)>,
    skipped: Vec<Finding>,
}

impl Backlog {
    /// The lines behind `after`, looked for from the file of `from` on; all of them without one.
    ///
    /// # Errors
    /// [`StorageError`] when a file cannot be read.
    pub fn open(
        dir: &Path,
        from: Option<Day>,
        after: Option<(SessionId, i64)>,
    ) -> Result<Self, StorageError> {
        let days = reader::days(dir).map_err(|source| failed("list", dir, source))?;
        let files: VecDeque<DayFiles> = days
            .into_iter()
            .filter(|(day, _)| from.is_none_or(|from| *day >= from))
            .map(|(_, files)| files)
            .collect();
        let start = |files| Self { dir: dir.to_owned(), files, open: None, skipped: Vec::new() };
        let Some(after) = after else { return Ok(start(files)) };
        let mut backlog = start(files.clone());
        while let Some(line) = backlog.next_line()? {
            if (line.session_id, line.seq) == after {
                backlog.skipped.clear();
                return Ok(backlog);
            }
        }
        Ok(start(files))
    }

    /// The next line; none behind the last.
    ///
    /// # Errors
    /// [`StorageError`] when a file cannot be read.
    pub fn next_line(&mut self) -> Result<Option<Line>, StorageError> {
        loop {
            let Some((name, at, lines)) = self.open.as_mut() else {
                let Some(files) = self.files.pop_front() else { return Ok(None) };
                let name = file_name(&files);
                let path = self.dir.join(&name);
                let lines = Lines::open(&files).map_err(|source| failed("open", &path, source))?;
                self.open = lines.map(|lines| (name, 0, lines));
                continue;
            };
            let path = self.dir.join(&*name);
            let piece = lines.next().map_err(|source| failed("read", &path, source))?;
            *at += 1;
            let what: What = match piece {
                Some(Piece::Line(bytes)) => match Line::parse(bytes) {
                    Ok(line) => return Ok(Some(line)),
                    Err(error) => error.into(),
                },
                Some(Piece::TooLong(bytes)) => crate::line::LineError::TooLong { bytes }.into(),
                // The writer is in the middle of it, or a crash was.
                Some(Piece::Partial(_)) | None => {
                    self.open = None;
                    continue;
                }
            };
            if self.skipped.iter().all(|finding| finding.file != *name) {
                let (file, line) = (name.clone(), Some(*at));
                self.skipped.push(Finding { file, line, place: None, what });
            }
        }
    }

    /// Lines that could not be read and were left out: the first of each file.
    #[must_use]
    pub fn skipped(&self) -> &[Finding] {
        &self.skipped
    }
}

fn failed(doing: &'static str, path: &Path, source: io::Error) -> StorageError {
    StorageError { doing, path: path.to_owned(), source }
}
