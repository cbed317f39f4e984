//! The container of a recording: lines of receive time, direction and frame.
//!
//! Input: a file, plain or gzip. Output: its lines, frames byte for byte. Invariants: a last line
//! without its end and a gzip stream without its end are errors that name the place; sizes are
//! limited. It does not look into frames.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;

/// Largest recording, bytes after decompression: it is held in memory.
pub(super) const RECORDING_BYTES_LIMIT: u64 = 2 * 1_024 * 1_024 * 1_024;

/// Why a recording cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// The file cannot be read.
    #[error("recording {path} cannot be read: {source}; check the path and its rights")]
    Read {
        /// The file.
        path: String,
        /// The cause.
        source: std::io::Error,
    },
    /// The compressed stream ends early or is damaged.
    #[error(
        "recording {path} is cut or damaged at byte {byte} of its text, line {line}: {source}; get it again"
    )]
    CutStream {
        /// The file.
        path: String,
        /// Bytes that could be read.
        byte: usize,
        /// The line that was being read.
        line: usize,
        /// The cause.
        source: std::io::Error,
    },
    /// The file is larger than the limit.
    #[error("recording {path} has more than {limit} bytes of text; cut it into parts")]
    TooLarge {
        /// The file.
        path: String,
        /// The limit.
        limit: u64,
    },
    /// The last line has no end.
    #[error("recording ends in the middle of line {line} at byte {byte}; get it again")]
    CutLine {
        /// The line.
        line: usize,
        /// Where the text ends.
        byte: usize,
    },
    /// A line is not text.
    #[error("recording line {line} is not UTF-8; it is no recording of text frames")]
    NotText {
        /// The line.
        line: usize,
    },
    /// A line has not the three columns.
    #[error("recording line {line} has not the columns time, direction, frame; it is no recording")]
    Columns {
        /// The line.
        line: usize,
    },
    /// A frame that cannot be one of the spot socket.
    #[error("recording line {line}: {reason}")]
    Frame {
        /// The line.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// Nothing to replay.
    #[error("recording holds no book of a spot pair with its snapshot; there is nothing to replay")]
    NoBook,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// From 1.
    pub(super) number: usize,
    /// Receive time, microseconds since the Unix epoch.
    pub(super) received_us: Option<i64>,
    /// The venue sent it.
    pub(super) received: bool,
    /// The frame, byte for byte.
    pub(super) text: String,
}

/// Reads and splits a file.
pub(super) fn read(path: &Path) -> Result<Vec<Line>, RecordingError> {
    let name = || path.display().to_string();
    let failed = |source| RecordingError::Read { path: name(), source };
    let mut file = BufReader::new(File::open(path).map_err(failed)?);
    let mut magic = [0; 2];
    let compressed = file.read_exact(&mut magic).is_ok() && magic == [0x1f, 0x8b];
    let mut file = BufReader::new(File::open(path).map_err(failed)?);
    let mut bytes = Vec::new();
    if compressed {
        let mut limited = MultiGzDecoder::new(file).take(RECORDING_BYTES_LIMIT + 1);
        limited.read_to_end(&mut bytes).map_err(|source| RecordingError::CutStream {
            path: name(),
            byte: bytes.len(),
            line: bytes.iter().filter(|&&byte| byte == b'\n').count() + 1,
            source,
        })?;
    } else {
        (&mut file).take(RECORDING_BYTES_LIMIT + 1).read_to_end(&mut bytes).map_err(failed)?;
    }
    if bytes.len() as u64 > RECORDING_BYTES_LIMIT {
        return Err(RecordingError::TooLarge { path: name(), limit: RECORDING_BYTES_LIMIT });
    }
    split(&bytes)
}

/// Splits the text of a recording.
pub(super) fn split(bytes: &[u8]) -> Result<Vec<Line>, RecordingError> {
    let mut out = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let number = out.len() + 1;
        let Some(end) = rest.iter().position(|&byte| byte == b'\n') else {
            return Err(RecordingError::CutLine { line: number, byte: bytes.len() });
        };
        let text = std::str::from_utf8(&rest[..end])
            .map_err(|_| RecordingError::NotText { line: number })?;
        rest = &rest[end + 1..];
        let mut columns = text.splitn(3, '\t');
        let (Some(time), Some(direction), Some(frame)) =
            (columns.next(), columns.next(), columns.next())
        else {
            return Err(RecordingError::Columns { line: number });
        };
        let received_us = match time {
            "-" => None,
            digits => Some(digits.parse().map_err(|_| RecordingError::Columns { line: number })?),
        };
        let received = match direction {
            "r" => true,
            "s" => false,
            _ => return Err(RecordingError::Columns { line: number }),
        };
        out.push(Line { number, received_us, received, text: frame.to_owned() });
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    #[test]
    fn a_cut_gzip_names_the_line() {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        for number in 0..2_000 {
            writeln!(packer, "{number}\tr\t{{\"channel\":\"heartbeat\",\"n\":{number}}}").unwrap();
        }
        let packed = packer.finish().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cut.rec.gz");
        std::fs::write(&path, &packed[..packed.len() / 2]).unwrap();
        let error = read(&path).expect_err("half a stream");
        assert!(matches!(error, RecordingError::CutStream { line, .. } if line > 1), "{error}");
        std::fs::write(&path, &packed).unwrap();
        assert_eq!(read(&path).expect("a whole stream").len(), 2_000);
        assert!(matches!(read(&folder.path().join("none")), Err(RecordingError::Read { .. })));
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_frames_are_kept(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _answer = split(&bytes);
            let text: String = bytes.iter().filter(|b| b.is_ascii_graphic()).map(|&b| b as char).collect();
            let line = format!("12\tr\t{text}\tx\n");
            let read = split(line.as_bytes()).expect("a line");
            prop_assert_eq!(&read[0].text, &format!("{text}\tx"));
        }
    }
}
