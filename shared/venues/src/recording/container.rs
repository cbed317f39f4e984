//! The container: lines of three columns.
//!
//! Input: the bytes of a recording, and whether its compressed file was cut. Output: one item per
//! line, a frame or a fault that names line and byte. [`push_line`] is the other way round. Invariant: every line gives exactly one item,
//! the cut one included, so that counts add up to the number of lines. It does not look into frames.

use thiserror::Error;

/// Who sent a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The venue.
    Received,
    /// The client.
    Sent,
}

/// One recorded frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// Number of the line, from 1.
    pub number: u64,
    /// Offset of the line's first byte in the unzipped text.
    pub byte: u64,
    /// Offset of the frame's first byte.
    pub frame_byte: u64,
    /// When it was received, microseconds since the Unix epoch.
    pub received_us: Option<i64>,
    /// Who sent it.
    pub direction: Direction,
    /// The frame, byte for byte.
    pub frame: &'a str,
    /// Whether the line has its end; a last line without one may be cut.
    pub ended: bool,
}

/// A line without a frame.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line}, byte {byte}: {fault}")]
pub struct LineError {
    /// Number of the line, from 1.
    pub line: u64,
    /// Offset in the unzipped text at which it went wrong.
    pub byte: u64,
    /// What is wrong.
    pub fault: LineFault,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LineFault {
    /// The file ends inside of this line.
    #[error("the recording ends in the middle of the line ({reason})")]
    Cut {
        /// How it ends.
        reason: String,
    },
    /// Not UTF-8.
    #[error("not UTF-8")]
    NotText,
    /// Fewer than three columns.
    #[error("{found} of 3 columns (receive time, direction, frame, separated by tabs)")]
    Columns {
        /// Number of columns.
        found: usize,
    },
    /// The first column is neither `-` nor a number.
    #[error("receive time {text:?} is neither `-` nor microseconds")]
    Time {
        /// The column.
        text: String,
    },
    /// The second column is neither `r` nor `s`.
    #[error("direction {text:?} is neither `r` nor `s`")]
    Direction {
        /// The column.
        text: String,
    },
}

/// How a compressed file ended too early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// In words, with the byte of the compressed file.
    pub reason: String,
}

/// A frame that a line cannot hold byte for byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the frame contains a line break at its byte {byte}; a line cannot hold it")]
pub struct LineBreak {
    /// Offset within the frame.
    pub byte: usize,
}

/// Appends the line of a frame.
///
/// # Errors
/// The frame contains a line break; nothing is appended.
pub fn push_line(
    out: &mut Vec<u8>,
    received_us: Option<i64>,
    direction: Direction,
    frame: &str,
) -> Result<(), LineBreak> {
    if let Some(byte) = frame.bytes().position(|byte| byte == b'\n' || byte == b'\r') {
        return Err(LineBreak { byte });
    }
    match received_us {
        Some(time) => out.extend_from_slice(time.to_string().as_bytes()),
        None => out.push(b'-'),
    }
    out.extend_from_slice(match direction {
        Direction::Received => b"\tr\t",
        Direction::Sent => b"\ts\t",
    });
    out.extend_from_slice(frame.as_bytes());
    out.push(b'\n');
    Ok(())
}

/// The lines of a recording.
pub fn lines<'a>(bytes: &'a [u8], cut: Option<&'a Cut>) -> Lines<'a> {
    Lines { bytes, at: 0, number: 0, cut, done: false }
}

/// Iterator over the lines of a recording.
#[derive(Clone, Debug)]
pub struct Lines<'a> {
    bytes: &'a [u8],
    at: usize,
    number: u64,
    cut: Option<&'a Cut>,
    done: bool,
}

impl<'a> Iterator for Lines<'a> {
    type Item = Result<Line<'a>, LineError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let start = self.at;
        let rest = self.bytes.get(start..).unwrap_or_default();
        if rest.is_empty() {
            self.done = true;
            // A file that was cut exactly behind a line end still lacks something.
            let cut = self.cut?;
            self.number += 1;
            return Some(Err(self.cut_error(start, &cut.reason)));
        }
        self.number += 1;
        let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
            self.done = true;
            return Some(match self.cut {
                Some(cut) => Err(self.cut_error(self.bytes.len(), &cut.reason)),
                None => line(self.number, start, rest, false),
            });
        };
        self.at = start + end + 1;
        let text = rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]);
        Some(line(self.number, start, text, true))
    }
}

impl Lines<'_> {
    fn cut_error(&self, at: usize, reason: &str) -> LineError {
        LineError {
            line: self.number,
            byte: at as u64,
            fault: LineFault::Cut { reason: reason.to_owned() },
        }
    }
}

fn line(number: u64, start: usize, bytes: &[u8], ended: bool) -> Result<Line<'_>, LineError> {
    let fail = |offset: usize, fault: LineFault| {
        let fault = match (ended, &fault) {
            // Without its end the line is cut, whatever else is wrong with it.
            (false, _) => LineFault::Cut { reason: "no end of line".to_owned() },
            (true, _) => fault,
        };
        let offset = if ended { offset } else { bytes.len() };
        LineError { line: number, byte: (start + offset) as u64, fault }
    };
    let text =
        core::str::from_utf8(bytes).map_err(|e| fail(e.valid_up_to(), LineFault::NotText))?;
    let mut columns = text.splitn(3, '\t');
    let (time, direction, frame) = match (columns.next(), columns.next(), columns.next()) {
        (Some(time), Some(direction), Some(frame)) => (time, direction, frame),
        (_, second, _) => {
            let found = 1 + usize::from(second.is_some());
            return Err(fail(0, LineFault::Columns { found }));
        }
    };
    let shown = |text: &str| text.chars().take(40).collect::<String>();
    let received_us = match time {
        "-" => None,
        text => Some(text.parse().map_err(|_| fail(0, LineFault::Time { text: shown(text) }))?),
    };
    let direction = match direction {
        "r" => Direction::Received,
        "s" => Direction::Sent,
        other => return Err(fail(time.len() + 1, LineFault::Direction { text: shown(other) })),
    };
    let frame_byte = (start + text.len() - frame.len()) as u64;
    Ok(Line { number, byte: start as u64, frame_byte, received_us, direction, frame, ended })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(bytes: &[u8], cut: Option<&Cut>) -> Vec<Result<Line<'static>, LineError>> {
        let bytes: &'static [u8] = bytes.to_vec().leak();
        let cut: Option<&'static Cut> = cut.map(|c| &*Box::leak(Box::new(c.clone())));
        lines(bytes, cut).collect()
    }

    #[test]
    fn columns_are_time_direction_and_frame() {
        let got = all(b"17\tr\t{\"a\":\"x\ty\"}\n-\ts\t{}\n", None);
        assert_eq!(got.len(), 2);
        let first = got[0].clone().unwrap();
        assert_eq!((first.received_us, first.direction), (Some(17), Direction::Received));
        assert_eq!((first.frame, first.frame_byte), ("{\"a\":\"x\ty\"}", 5));
        let second = got[1].clone().unwrap();
        assert_eq!((second.received_us, second.direction), (None, Direction::Sent));
        assert_eq!((second.number, second.byte), (2, 17));
    }

    #[test]
    fn a_frame_with_a_line_break_is_refused() {
        let mut bytes = Vec::new();
        let refused = push_line(&mut bytes, None, Direction::Received, "{\n}");
        assert_eq!((refused, bytes.len()), (Err(LineBreak { byte: 1 }), 0));
    }

    #[test]
    fn faults_name_line_and_byte() {
        for (bytes, byte) in [
            (&b"x\tr\t{}\n"[..], 0),
            (b"1\tq\t{}\n", 2),
            (b"1\tr\n", 0),
            (b"\n", 0),
            (b"1\tr\t\xff\n", 4),
        ] {
            let error = all(bytes, None).pop().unwrap().unwrap_err();
            assert_eq!((error.line, error.byte), (1, byte), "{error}");
        }
    }

    #[test]
    fn a_cut_file_is_one_fault_at_its_end() {
        let cut = Cut { reason: "gzip ends at byte 9".to_owned() };
        for bytes in [&b"1\tr\t{}\n1\tr\t{"[..], b"1\tr\t{}\n1", b"1\tr\t{}\n"] {
            let got = all(bytes, Some(&cut));
            assert_eq!(got.len(), 2);
            let error = got[1].clone().unwrap_err();
            assert_eq!((error.line, error.byte), (2, bytes.len() as u64));
        }
        assert_eq!(all(b"1\tr\t{}\n1", None).len(), 2);
        assert!(matches!(
            all(b"1\tr\t{}\n1", None)[1],
            Err(LineError { fault: LineFault::Cut { .. }, byte: 8, .. })
        ));
    }

    proptest! {
        /// What is written is read: time, direction and frame, byte for byte.
        #[test]
        fn a_written_line_is_read_again(
            frames in proptest::collection::vec((proptest::option::of(any::<i64>()), any::<bool>(), "[^\r\n]*"), 0..20),
        ) {
            let mut bytes = Vec::new();
            for (time, sent, frame) in &frames {
                let direction = if *sent { Direction::Sent } else { Direction::Received };
                push_line(&mut bytes, *time, direction, frame).unwrap();
            }
            let read: Vec<_> = lines(&bytes, None)
                .map(|line| line.map(|l| (l.received_us, l.direction == Direction::Sent, l.frame.to_owned())))
                .collect();
            let want: Vec<_> = frames.into_iter().map(Ok).collect();
            prop_assert_eq!(read, want);
        }

        #[test]
        fn any_bytes_give_one_item_per_line(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let ends = bytes.iter().filter(|b| **b == b'\n').count();
            let tail = usize::from(bytes.last().is_some_and(|b| *b != b'\n'));
            prop_assert_eq!(lines(&bytes, None).count(), ends + tail);
        }
    }
}
