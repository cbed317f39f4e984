//! The venue's send log, read along.
//!
//! Input: the file. Output: its lines in their order, up to a time. Invariant: nothing is kept but the line
//! that is next.

use penstock_sim::server::SendLine;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

/// Bytes read at once.
const BUFFER_BYTES: usize = 1 << 20;

/// The file, somewhere within.
#[derive(Debug)]
pub(super) struct SendLog {
    reader: BufReader<File>,
    /// The next line, and its time; empty when it has to be read.
    line: String,
    us: i64,
    /// Lines that were handed out.
    pub lines: u64,
}

impl SendLog {
    /// Opens it at its beginning.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn open(path: &Path) -> std::io::Result<Self> {
        let reader = BufReader::with_capacity(BUFFER_BYTES, File::open(path)?);
        Ok(Self { reader, line: String::new(), us: 0, lines: 0 })
    }

    /// Every line up to a time, that one included.
    ///
    /// # Errors
    /// The file cannot be read, or a line is none.
    pub(super) fn until(
        &mut self,
        limit_us: i64,
        mut each: impl FnMut(&SendLine<'_>),
    ) -> std::io::Result<()> {
        loop {
            if !self.line.is_empty() && self.us > limit_us {
                return Ok(());
            }
            if self.line.is_empty() && self.reader.read_line(&mut self.line)? == 0 {
                return Ok(());
            }
            let text = self.line.strip_suffix('\n').unwrap_or(&self.line);
            let Some(line) = SendLine::parse(text) else {
                let what = format!("line {} of the send log is none: {text:?}", self.lines + 1);
                return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, what));
            };
            self.us = line.us;
            if line.us > limit_us {
                return Ok(());
            }
            each(&line);
            self.lines += 1;
            self.line.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(text: &str) -> (tempfile::TempDir, SendLog) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sends");
        std::fs::write(&path, text).unwrap();
        let log = SendLog::open(&path).unwrap();
        (directory, log)
    }

    #[test]
    fn lines_come_once_and_in_order_up_to_their_time() {
        let (_directory, mut log) =
            log("5 1 book A 1 1 1 3\n7 1 book A 2 2 1 3\n7 1 book B 1 1 1 3\n");
        let mut seen = Vec::new();
        for limit_us in [4, 5, 6, 7, 9] {
            log.until(limit_us, |line| seen.push((limit_us, line.us, line.symbol.to_owned())))
                .unwrap();
        }
        let expected = [(5, 5, "A"), (7, 7, "A"), (7, 7, "B")];
        assert_eq!(seen, expected.map(|(limit, us, symbol)| (limit, us, symbol.to_owned())));
        assert_eq!(log.lines, 3);
    }

    #[test]
    fn a_line_that_is_none_is_named() {
        let (_directory, mut log) = log("5 1 book A 1 1 1 3\n7 1 book");
        let error = log.until(i64::MAX, |_| {}).unwrap_err();
        assert!(error.to_string().contains("line 2"), "{error}");
    }
}
