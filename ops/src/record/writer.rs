//! The file of a recording.
//!
//! Input: frames. Output: lines, compressed when the name ends with `.gz`. Invariants: a file that is
//! there is never touched; a file that was finished is on the disk. It ends before the size at which
//! `check-recording` refuses to read.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use penstock_venues::recording::{LineBreak, push_line};

use super::session::Captured;
use crate::check_recording::UNZIPPED_BYTES_MAX;

/// Why the file is not written.
#[derive(Debug, thiserror::Error)]
pub enum WriterError {
    /// It cannot be made.
    #[error("make {path}: {source}; next: name a file that is not there yet")]
    Create {
        /// Path.
        path: String,
        /// Cause.
        source: io::Error,
    },
    /// It cannot be written.
    #[error("write: {0}")]
    Write(#[from] io::Error),
    /// A frame that no line can hold.
    #[error(transparent)]
    Line(#[from] LineBreak),
}

/// Room that is left for the last frames, bytes: more than the largest message.
const RESERVE_BYTES: usize = 64 << 20;

enum Sink {
    Plain(BufWriter<File>),
    Zipped(Box<GzEncoder<BufWriter<File>>>),
}

/// A file that is being written.
pub(super) struct Writer {
    sink: Sink,
    line: Vec<u8>,
    bytes: usize,
}

impl Writer {
    /// Makes the file.
    pub(super) fn create(path: &Path) -> Result<Self, WriterError> {
        let file =
            OpenOptions::new().write(true).create_new(true).open(path).map_err(|source| {
                WriterError::Create { path: path.display().to_string(), source }
            })?;
        let file = BufWriter::new(file);
        let sink = if path.extension().is_some_and(|extension| extension == "gz") {
            Sink::Zipped(Box::new(GzEncoder::new(file, Compression::default())))
        } else {
            Sink::Plain(file)
        };
        Ok(Self { sink, line: Vec::new(), bytes: 0 })
    }

    /// Writes a frame; `false` when the file has become as long as one may be.
    pub(super) fn line(&mut self, frame: &Captured) -> Result<bool, WriterError> {
        self.line.clear();
        push_line(&mut self.line, Some(frame.at_us), frame.direction, &frame.text)?;
        match &mut self.sink {
            Sink::Plain(file) => file.write_all(&self.line)?,
            Sink::Zipped(file) => file.write_all(&self.line)?,
        }
        self.bytes += self.line.len();
        Ok(self.bytes < UNZIPPED_BYTES_MAX - RESERVE_BYTES)
    }

    /// Writes the end and waits for the disk.
    pub(super) fn finish(self) -> Result<(), WriterError> {
        let file = match self.sink {
            Sink::Plain(file) => file,
            Sink::Zipped(file) => file.finish()?,
        };
        file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        Ok(())
    }
}
