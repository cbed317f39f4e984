//! A stream of the engine followed line by line over its days.
//!
//! Input: the directory of a stream. Output: whole lines behind the place that was read last. Invariants: a
//! line is given once its line feed is there; days are followed in order; the place is a value, so that a
//! caller whose rows were not taken reads the same lines again.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use penstock_engine_io::stored::{self, Form, Stored};
use penstock_engine_io::{Day, Fault};

/// Most bytes of one read.
const READ_BYTES_MAX: u64 = 256 * 1024;

/// A place in a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct At {
    day: Day,
    offset: u64,
}

/// A stream and the place up to which it was taken.
#[derive(Debug, Clone)]
pub(super) struct Tail {
    dir: PathBuf,
    at: Option<At>,
}

impl Tail {
    /// From the beginning of the day of this tick on; from the first day when there is none.
    pub(super) fn new(dir: PathBuf, tick: Option<u64>) -> Self {
        Self { dir, at: tick.map(|tick| At { day: Day::of(tick), offset: 0 }) }
    }

    /// The next whole lines and the place behind them.
    pub(super) fn read(&self) -> Result<(Vec<String>, Option<At>), Fault> {
        let days = self.days()?;
        let Some(mut at) = self.at.or_else(|| days.first().map(|day| At { day: *day, offset: 0 }))
        else {
            return Ok((Vec::new(), None));
        };
        loop {
            let lines = lines_behind(&self.path(at.day), at.offset)?;
            if !lines.is_empty() {
                let read: usize = lines.iter().map(|line| line.len() + 1).sum();
                let offset = at.offset + u64::try_from(read).unwrap_or(0);
                return Ok((lines, Some(At { offset, ..at })));
            }
            // A later day exists only when this one has no further line.
            match days.iter().find(|day| **day > at.day) {
                Some(day) => at = At { day: *day, offset: 0 },
                None => return Ok((Vec::new(), Some(at))),
            }
        }
    }

    /// What was read up to there is taken.
    pub(super) const fn taken(&mut self, at: Option<At>) {
        self.at = at;
    }

    fn path(&self, day: Day) -> PathBuf {
        self.dir.join(format!("{day}.jsonl"))
    }

    fn days(&self) -> Result<Vec<Day>, Fault> {
        let names = stored::names(&self.dir)?;
        let day = |name: &String| Day::parse(name.strip_suffix(".jsonl")?);
        Ok(names.iter().filter_map(day).collect())
    }
}

fn lines_behind(path: &Path, offset: u64) -> Result<Vec<String>, Fault> {
    let mut bytes = match raw_behind(path, offset)? {
        Some(bytes) => bytes,
        // The janitor compresses a closed day whether its rows stand or not; the raw file goes last.
        None if matches!(stored::form(path)?, Some(Form::Packed)) => packed_behind(path, offset)?,
        None => return Ok(Vec::new()),
    };
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    bytes.truncate(whole);
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.lines().map(str::to_owned).collect())
}

fn raw_behind(path: &Path, offset: u64) -> Result<Option<Vec<u8>>, Fault> {
    let failed = |error: std::io::Error| Fault::storage("read", path, &error);
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    file.seek(SeekFrom::Start(offset)).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(READ_BYTES_MAX).read_to_end(&mut bytes).map_err(failed)?;
    Ok(Some(bytes))
}

fn packed_behind(path: &Path, offset: u64) -> Result<Vec<u8>, Fault> {
    let mut stored = Stored::open(path)?;
    // Its length stands in its head: whoever has read it whole unpacks it no more, four times a second.
    if stored.raw_len() <= offset {
        return Ok(Vec::new());
    }
    stored.skip(offset)?;
    let mut bytes = vec![0; usize::try_from(READ_BYTES_MAX).unwrap_or(usize::MAX)];
    let filled = stored.fill(&mut bytes)?;
    bytes.truncate(filled);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_given_once_whole_and_days_follow_each_other() {
        let dir = tempfile::tempdir().unwrap();
        let write = |day: &str, text: &str| {
            std::fs::write(dir.path().join(format!("{day}.jsonl")), text).unwrap();
        };
        let mut tail = Tail::new(dir.path().to_owned(), None);
        assert_eq!(tail.read().unwrap(), (Vec::new(), None));
        write("2026-02-16", "a\nb\nc");
        let (lines, at) = tail.read().unwrap();
        assert_eq!(lines, ["a", "b"]);
        // Not taken: the same again.
        assert_eq!(tail.read().unwrap().0, ["a", "b"]);
        tail.taken(at);
        assert!(tail.read().unwrap().0.is_empty());
        write("2026-02-16", "a\nb\nc\n");
        write("2026-02-18", "d\n");
        let (lines, at) = tail.read().unwrap();
        assert_eq!(lines, ["c"]);
        tail.taken(at);
        let (lines, at) = tail.read().unwrap();
        assert_eq!(lines, ["d"]);
        tail.taken(at);
        assert!(tail.read().unwrap().0.is_empty());
        // A day that was compressed before its lines were taken.
        let raw = dir.path().join("2026-02-16.jsonl");
        let packed = stored::packed(&raw);
        stored::pack(&raw, &packed).unwrap();
        std::fs::remove_file(&raw).unwrap();
        let mut late = Tail::new(dir.path().to_owned(), None);
        assert_eq!(late.read().unwrap().0, ["a", "b", "c"]);
        late.at = Some(At { day: Day::parse("2026-02-16").unwrap(), offset: 4 });
        assert_eq!(late.read().unwrap().0, ["c"]);
        late.at = Some(At { day: Day::parse("2026-02-16").unwrap(), offset: 6 });
        assert_eq!(late.read().unwrap().0, ["d"], "behind its end the next day follows");
        // From a day on that has no file yet.
        let later = Tail::new(dir.path().to_owned(), Some(20_501 * 345_600));
        assert_eq!(later.read().unwrap().0, ["d"]);
    }
}
