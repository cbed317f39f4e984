//! Alert and transition streams: one file of canonical JSON lines per day.
//!
//! Input: lines with their tick. Output: files. Invariants: a line is appended in the order of the records;
//! after a crash a stream is cut back to the snapshot and derived again, so what a torn write left behind does
//! not matter. A day without a line has no file.

use crate::error::{Code, Fault};
use crate::files::{self, CLOSED_MODE};
use crate::layout::Day;
use crate::stored;
use sha2::{Digest, Sha256};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Most bytes of a stream's day: 30 tokens with every alert kind in each cycle stay far below.
pub const STREAM_LEN_MAX: u64 = 1 << 30;

struct Open {
    path: PathBuf,
    file: File,
    day: Day,
    is_dirty: bool,
}

/// One stream.
pub struct Stream {
    dir: PathBuf,
    open: Option<Open>,
}

impl Stream {
    /// The stream of a directory.
    #[must_use]
    pub const fn new(dir: PathBuf) -> Self {
        Self { dir, open: None }
    }

    /// Appends the lines of a tick; `lines` ends each with a line feed and may be empty.
    ///
    /// # Errors
    /// [`Code::Storage`].
    pub fn append(&mut self, tick: u64, lines: &str) -> Result<(), Fault> {
        if lines.is_empty() {
            return Ok(());
        }
        let day = Day::of(tick);
        if self.open.as_ref().is_some_and(|open| open.day != day) {
            self.close()?;
        }
        if self.open.is_none() {
            self.open = Some(self.begin(day)?);
        }
        let Some(open) = &mut self.open else { return Ok(()) };
        open.is_dirty = true;
        open.file
            .write_all(lines.as_bytes())
            .map_err(|error| Fault::storage("write", &open.path, &error))
    }

    fn begin(&self, day: Day) -> Result<Open, Fault> {
        let path = self.dir.join(format!("{day}.jsonl"));
        stored::make_raw(&path, STREAM_LEN_MAX)?;
        let open = |path: &Path| OpenOptions::new().append(true).create(true).open(path);
        let file = match open(&path) {
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                files::set_mode(&path, 0o640)?;
                open(&path)
            }
            opened => opened,
        };
        let file = file.map_err(|error| Fault::storage("open", &path, &error))?;
        files::sync_dir(&self.dir)?;
        Ok(Open { path, file, day, is_dirty: false })
    }

    /// Puts everything on disk.
    ///
    /// # Errors
    /// [`Code::Storage`].
    pub fn sync(&mut self) -> Result<(), Fault> {
        let Some(open) = self.open.as_mut().filter(|open| open.is_dirty) else { return Ok(()) };
        open.file.sync_data().map_err(|error| Fault::storage("sync", &open.path, &error))?;
        open.is_dirty = false;
        Ok(())
    }

    /// Closes the day's file: on disk and read-only.
    ///
    /// # Errors
    /// [`Code::Storage`].
    pub fn close(&mut self) -> Result<(), Fault> {
        self.sync()?;
        let Some(open) = self.open.take() else { return Ok(()) };
        files::set_mode(&open.path, CLOSED_MODE)?;
        files::sync_dir(&self.dir)
    }
}

/// Tick of a line; `None` when it is no line of a stream.
#[must_use]
pub fn tick_of(line: &str) -> Option<u64> {
    #[derive(serde::Deserialize)]
    struct Ticked {
        tick_id: u64,
    }
    serde_json::from_str::<Ticked>(line).ok().map(|ticked| ticked.tick_id)
}

/// Bytes of a stream's file up to the end of the last whole line with a tick up to `tick`.
#[must_use]
pub fn kept_len(bytes: &[u8], tick: u64) -> u64 {
    let mut kept = 0_u64;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let text = line.strip_suffix(b"\n").and_then(|line| std::str::from_utf8(line).ok());
        match text.and_then(tick_of) {
            Some(at) if at <= tick => kept += u64::try_from(line.len()).unwrap_or(u64::MAX),
            Some(_) | None => break,
        }
    }
    kept
}

/// Cuts a stream back to a tick: files of later days to nothing, that of the day behind its last line.
///
/// # Errors
/// [`Code::Storage`].
pub fn cut_back(dir: &Path, tick: u64) -> Result<bool, Fault> {
    let mut any = false;
    for name in stored::names(dir)? {
        let Some(day) = name.strip_suffix(".jsonl").and_then(Day::parse) else { continue };
        let path = dir.join(&name);
        if day < Day::of(tick) {
            continue;
        }
        stored::make_raw(&path, STREAM_LEN_MAX)?;
        if day > Day::of(tick) {
            any |= files::cut_whole(&path)?;
        } else {
            let bytes = files::read(&path, STREAM_LEN_MAX)?;
            any |= files::cut(&path, kept_len(&bytes, tick))?;
        }
        stored::remove_packed(&path)?;
    }
    Ok(any)
}

/// Lines and SHA-256 of a day's file; a file that is missing has none and the hash of nothing.
///
/// # Errors
/// [`Code::Storage`]; [`Code::LogCorrupt`] when the last line does not end.
pub fn digest(path: &Path) -> Result<(u64, [u8; 32]), Fault> {
    let bytes = stored::read_if_there(path, STREAM_LEN_MAX)?.unwrap_or_default();
    if bytes.last().is_some_and(|last| *last != b'\n') {
        let at = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let what = "the last line of the stream does not end";
        return Err(Fault::new(Code::LogCorrupt, what).of(path).at(at));
    }
    let lines = bytes.iter().filter(|byte| **byte == b'\n').count();
    Ok((u64::try_from(lines).unwrap_or(u64::MAX), Sha256::digest(&bytes).into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_cut_at_any_byte_keeps_the_lines_up_to_the_snapshot() {
        let dir = tempfile::tempdir().unwrap();
        let day = Day(20_500);
        let noon = day.first_tick() + 172_800;
        let line = |tick: u64| format!("{{\"a\":1,\"tick_id\":{tick}}}\n");
        let mut stream = Stream::new(dir.path().to_owned());
        for tick in noon..noon + 5 {
            stream.append(tick, &(line(tick) + &line(tick))).unwrap();
            stream.append(tick, "").unwrap();
        }
        stream.append(noon + 200_000, &line(noon + 200_000)).unwrap();
        stream.close().unwrap();
        let path = dir.path().join(format!("{day}.jsonl"));
        let whole = files::read(&path, 1 << 20).unwrap();
        assert_eq!(digest(&path).unwrap().0, 10);
        let each = line(noon).len();
        for len in 0..=whole.len() {
            let lines = (len / each).min(6);
            let kept = u64::try_from(lines * each).unwrap();
            assert_eq!(kept_len(&whole[..len], noon + 2), kept, "{len} bytes");
        }
        assert!(cut_back(dir.path(), noon + 2).unwrap());
        assert_eq!(files::read(&path, 1 << 20).unwrap(), whole[..6 * each]);
        let later = dir.path().join(format!("{}.jsonl", Day(20_501)));
        assert!(!later.exists());
        // What was cut comes again behind what was kept.
        for tick in noon + 3..noon + 5 {
            stream.append(tick, &(line(tick) + &line(tick))).unwrap();
        }
        stream.sync().unwrap();
        assert_eq!(files::read(&path, 1 << 20).unwrap(), whole);
        assert_eq!(digest(&later).unwrap(), (0, Sha256::digest(b"").into()));
    }
}
