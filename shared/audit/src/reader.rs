//! The files of a directory and their lines, one after the other, in bounded memory.
//!
//! Input: a directory, or any bytes. Output: files and seals by day; lines with the hash of all bytes read. Invariants: a
//! line that is too long is skipped and said, never held; a compressed file reads as the plain one. Other files are
//! not touched.

use crate::day::Day;
use crate::line::LINE_BYTES_MAX;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// What there is of a day.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct DayFiles {
    /// The plain file.
    pub(crate) plain: Option<PathBuf>,
    /// The compressed file.
    pub(crate) compressed: Option<PathBuf>,
    /// The seal.
    pub(crate) seal: Option<PathBuf>,
    /// Bytes of the plain file that count, where a writer goes on with it.
    pub(crate) limit: Option<u64>,
}

/// The days of a directory. A directory that is not there has none.
pub(crate) fn days(dir: &Path) -> io::Result<BTreeMap<Day, DayFiles>> {
    let mut days: BTreeMap<Day, DayFiles> = BTreeMap::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        if let Some(day) = Day::of_file(name) {
            days.entry(day).or_default().plain = Some(entry.path());
        } else if let Some(day) = Day::of_compressed_file(name) {
            days.entry(day).or_default().compressed = Some(entry.path());
        } else if let Some(day) = Day::of_seal(name) {
            days.entry(day).or_default().seal = Some(entry.path());
        }
    }
    Ok(days)
}

/// A piece of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// A line without its newline.
    Line(&'a [u8]),
    /// A line that is longer than a line may be, with its length.
    TooLong(usize),
    /// What follows the last newline.
    Partial(usize),
}

/// Lines of a file.
pub(crate) struct Lines {
    source: Box<dyn BufRead + Send>,
    buffer: Vec<u8>,
    sha: Sha256,
}

impl Lines {
    /// Opens the plain file of a day, else the compressed one.
    pub(crate) fn open(files: &DayFiles) -> io::Result<Option<Self>> {
        let source: Box<dyn BufRead + Send> = match (&files.plain, &files.compressed) {
            (Some(path), _) => {
                let limit = files.limit.unwrap_or(u64::MAX);
                Box::new(BufReader::new(File::open(path)?.take(limit)))
            }
            (None, Some(path)) => {
                Box::new(BufReader::new(zstd::stream::read::Decoder::new(File::open(path)?)?))
            }
            (None, None) => return Ok(None),
        };
        Ok(Some(Self { source, buffer: Vec::new(), sha: Sha256::new() }))
    }

    /// The next piece; none behind the last.
    pub(crate) fn next(&mut self) -> io::Result<Option<Piece<'_>>> {
        self.buffer.clear();
        let mut len = 0;
        let mut ended = false;
        while !ended {
            let chunk = self.source.fill_buf()?;
            if chunk.is_empty() {
                break;
            }
            let newline = chunk.iter().position(|byte| *byte == b'\n');
            let used = newline.map_or(chunk.len(), |at| at + 1);
            let text = newline.unwrap_or(chunk.len());
            let room = LINE_BYTES_MAX.saturating_sub(self.buffer.len());
            self.buffer.extend_from_slice(&chunk[..text.min(room)]);
            self.sha.update(&chunk[..used]);
            len += text;
            ended = newline.is_some();
            self.source.consume(used);
        }
        Ok(match (ended, len) {
            (false, 0) => None,
            (false, len) => Some(Piece::Partial(len)),
            (true, len) if len >= LINE_BYTES_MAX => Some(Piece::TooLong(len)),
            (true, _) => Some(Piece::Line(&self.buffer)),
        })
    }

    /// SHA-256 of everything read, ready to go on.
    pub(crate) fn sha(self) -> Sha256 {
        self.sha
    }
}
