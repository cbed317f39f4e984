//! Closed days: compressed, and taken away when their time is over.
//!
//! Input: a directory, today, how long days are kept. Output: what was done. Invariants: the newest day and a day
//! without a seal are never touched; a plain file goes only after its compressed copy was read back and has the sealed
//! hash; a day that differs from its seal stays as it is, because it is evidence. It decides nothing about backups:
//! whoever removes a day has made sure of one.

use crate::day::Day;
use crate::finding::{Finding, What};
use crate::reader::{self, DayFiles};
use crate::trail::StorageError;
use crate::walk::{file_name, read_seal};
use sha2::{Digest, Sha256};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Age in days at which a file is compressed: when a whole day lies between it and today.
pub const COMPRESS_AGE_DAYS: i64 = 2;

/// Level of compression; text of this kind gains little from more.
const LEVEL: i32 = 3;

/// What a rotation did.
#[derive(Debug, Default)]
pub struct Rotated {
    /// Days that were compressed.
    pub compressed: Vec<Day>,
    /// Days that differ from their seals, and were left.
    pub findings: Vec<Finding>,
}

/// Compresses the days that are closed for long enough.
///
/// # Errors
/// [`StorageError`] when the disk refuses; what was compressed before stays so.
pub fn compress(dir: &Path, today: Day) -> Result<Rotated, StorageError> {
    let mut done = Rotated::default();
    for (day, files) in closed(dir)? {
        let (Some(plain), Some(seal)) = (&files.plain, &files.seal) else { continue };
        if today.days_since(day) < COMPRESS_AGE_DAYS {
            continue;
        }
        let sealed = read_seal(seal, day).map_err(|source| failed("read", seal, source))?;
        let found = Some(squeeze(plain, &dir.join(day.compressed_file()), sealed.as_deref())?);
        if found == sealed {
            fs::remove_file(plain).map_err(|source| failed("remove", plain, source))?;
            done.compressed.push(day);
            continue;
        }
        let what = match (found, sealed) {
            (Some(computed), Some(sealed)) => What::SealDiffers { computed, sealed },
            (Some(_) | None, _) => What::SealForm,
        };
        done.findings.push(Finding { file: file_name(&files), line: None, place: None, what });
    }
    Ok(done)
}

/// Closed days that are older than they must be kept, oldest first.
///
/// # Errors
/// [`StorageError`] when the directory cannot be listed.
pub fn expired(dir: &Path, today: Day, keep_days: i64) -> Result<Vec<Day>, StorageError> {
    let closed = closed(dir)?.into_iter().map(|(day, _)| day);
    Ok(closed.filter(|day| today.days_since(*day) > keep_days).collect())
}

/// Removes a closed day with its seal; false when it is not closed.
///
/// # Errors
/// [`StorageError`] when the disk refuses.
pub fn remove(dir: &Path, day: Day) -> Result<bool, StorageError> {
    let Some((_, files)) = closed(dir)?.into_iter().find(|(closed, _)| *closed == day) else {
        return Ok(false);
    };
    let partial = Some(dir.join(format!("{}.partial", day.file()))).filter(|path| path.exists());
    // The seal last: a crash in between leaves a seal without its file, which the next removal takes.
    for path in [partial, files.plain, files.compressed, files.seal].into_iter().flatten() {
        fs::remove_file(&path).map_err(|source| failed("remove", &path, source))?;
    }
    Ok(true)
}

/// Sealed days with a later one.
fn closed(dir: &Path) -> Result<Vec<(Day, DayFiles)>, StorageError> {
    let days = reader::days(dir).map_err(|source| failed("list", dir, source))?;
    let newest = days.keys().next_back().copied();
    let sealed = days.into_iter().filter(|(_, files)| files.seal.is_some());
    Ok(sealed.filter(|(day, _)| Some(*day) != newest).collect())
}

/// Compresses a file and reads the copy back; its SHA-256. The copy has its name only when that is the expected one.
fn squeeze(plain: &Path, to: &Path, expected: Option<&str>) -> Result<String, StorageError> {
    let mut temporary = to.as_os_str().to_owned();
    temporary.push(".tmp");
    let temporary = Path::new(&temporary);
    let writing = |source| failed("write", temporary, source);
    let mut input = File::open(plain).map_err(|source| failed("open", plain, source))?;
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o640);
    let out = options.open(temporary).map_err(writing)?;
    let mut encoder = zstd::stream::write::Encoder::new(out, LEVEL).map_err(writing)?;
    io::copy(&mut input, &mut encoder).map_err(writing)?;
    let mut out = encoder.finish().map_err(writing)?;
    out.flush().and_then(|()| out.sync_all()).map_err(writing)?;
    let hash = copy_hash(temporary).map_err(|source| failed("read", temporary, source))?;
    if expected != Some(hash.as_str()) {
        fs::remove_file(temporary).map_err(|source| failed("remove", temporary, source))?;
        return Ok(hash);
    }
    fs::rename(temporary, to).map_err(|source| failed("rename to", to, source))?;
    let dir = to.parent().unwrap_or(Path::new("."));
    let synced = File::open(dir).and_then(|dir| dir.sync_all());
    synced.map_err(|source| failed("sync", dir, source))?;
    Ok(hash)
}

/// SHA-256 of what a compressed file holds.
fn copy_hash(path: &Path) -> io::Result<String> {
    let mut source = zstd::stream::read::Decoder::new(File::open(path)?)?;
    let (mut sha, mut chunk) = (Sha256::new(), vec![0; 64 * 1024]);
    loop {
        let len = source.read(&mut chunk)?;
        if len == 0 {
            return Ok(hex::encode(sha.finalize()));
        }
        sha.update(&chunk[..len]);
    }
}

fn failed(doing: &'static str, path: &Path, source: io::Error) -> StorageError {
    StorageError { doing, path: path.to_owned(), source }
}
