//! `penstock check-recording FILE [--output json]`.
//!
//! Input: a recording, compressed or not. Output: one JSON line (or a short table) on standard output,
//! problems on standard error, an exit code: 0 whole; 15 an error, a bad checksum or a gap; 2 unreadable,
//! or a protocol that this version does not decode. Duplicates are reported and change no exit code:
//! nothing is lost by them. It reads one file and changes nothing.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;

use crate::arguments::Output;
use flate2::read::MultiGzDecoder;
use penstock_venues::recording::{Cut, PROBLEMS_MAX, Report, check};

/// Exit code of a recording without an error.
pub const EXIT_WHOLE: u8 = 0;
/// Exit code of a file that cannot be read or whose protocol is not known.
pub const EXIT_UNREADABLE: u8 = 2;
/// Exit code of a recording with an error, a bad checksum or a gap.
pub const EXIT_DIFFERENT: u8 = 15;

/// Unzipped bytes that are read at most; a larger recording is split by its maker. Also the guard
/// against a small file that unzips without end.
pub const UNZIPPED_BYTES_MAX: usize = 1 << 30;

/// Runs the command.
///
/// # Errors
/// Standard output or standard error cannot be written.
pub fn run(
    path: &Path,
    output: Output,
    out: &mut impl Write,
    err: &mut impl Write,
) -> io::Result<u8> {
    let (bytes, cut) = match read(path) {
        Ok(read) => read,
        Err(error) => {
            writeln!(err, "{}: {error}", path.display())?;
            return Ok(EXIT_UNREADABLE);
        }
    };
    let report = match check(&bytes, cut.as_ref()) {
        Ok(report) => report,
        Err(error) => {
            writeln!(err, "{}: {error}", path.display())?;
            return Ok(EXIT_UNREADABLE);
        }
    };
    match output {
        Output::Json => writeln!(out, "{}", serde_json::to_string(&report)?)?,
        Output::Human => human(&report, out)?,
    }
    for problem in &report.problems {
        writeln!(err, "{}: {problem}", path.display())?;
    }
    let found = report.errors + report.checksums_bad + report.gaps;
    if found > PROBLEMS_MAX as u64 {
        writeln!(err, "{}: and {} more", path.display(), found - PROBLEMS_MAX as u64)?;
    }
    Ok(if found == 0 { EXIT_WHOLE } else { EXIT_DIFFERENT })
}

fn human(report: &Report, out: &mut impl Write) -> io::Result<()> {
    for (name, value) in [
        ("protocol", report.protocol.to_owned()),
        ("frames", report.frames.to_string()),
        ("decoded", report.decoded.to_string()),
        ("errors", report.errors.to_string()),
        ("unknown", report.unknown.to_string()),
        ("symbols", report.symbols.join(" ")),
        ("trades", report.trades.to_string()),
        ("checksums ok", report.checksums_ok.to_string()),
        ("checksums bad", report.checksums_bad.to_string()),
        ("gaps", report.gaps.to_string()),
        ("duplicates", report.duplicates.to_string()),
    ] {
        writeln!(out, "{name:<14} {value}")?;
    }
    for note in &report.notes {
        writeln!(out, "{:<14} {note}", "note")?;
    }
    Ok(())
}

/// Reads a file whole. A compressed file that ends too early gives what could be unzipped, and the
/// cut.
fn read(path: &Path) -> io::Result<(Vec<u8>, Option<Cut>)> {
    let file = File::open(path)?;
    let compressed_len = file.metadata()?.len();
    let mut reader = BufReader::new(file);
    let mut magic = [0u8; 2];
    let got = reader.by_ref().take(2).read(&mut magic)?;
    let head = io::Cursor::new(magic[..got].to_vec());
    let whole = head.chain(reader);
    if magic == [0x1f, 0x8b] {
        return unzip(whole, compressed_len);
    }
    let mut bytes = Vec::new();
    whole.take(UNZIPPED_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > UNZIPPED_BYTES_MAX {
        return Err(too_long());
    }
    Ok((bytes, None))
}

fn unzip(compressed: impl Read, compressed_len: u64) -> io::Result<(Vec<u8>, Option<Cut>)> {
    let mut decoder = MultiGzDecoder::new(compressed);
    let mut bytes = Vec::new();
    let mut chunk = vec![0u8; 64 << 10];
    loop {
        match decoder.read(&mut chunk) {
            Ok(0) => return Ok((bytes, None)),
            Ok(n) => bytes.extend_from_slice(&chunk[..n]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                let reason = match error.kind() {
                    io::ErrorKind::UnexpectedEof => {
                        format!("the gzip file ends at its byte {compressed_len}")
                    }
                    _ => format!("the gzip file of {compressed_len} bytes is damaged: {error}"),
                };
                return Ok((bytes, Some(Cut { reason })));
            }
        }
        if bytes.len() > UNZIPPED_BYTES_MAX {
            return Err(too_long());
        }
    }
}

fn too_long() -> io::Error {
    io::Error::other(format!(
        "the recording has more than {UNZIPPED_BYTES_MAX} bytes; split it into shorter files"
    ))
}

#[cfg(test)]
mod tests;
