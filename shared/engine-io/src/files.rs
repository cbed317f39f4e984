//! Small verbs on files that the formats share: whole files by rename, cut tails kept, directories synced.
//!
//! Input: paths and bytes. Output: files; or a fault with the path. Invariants: a file that appears under its
//! name is whole and on disk; nothing is overwritten in place; bytes that are taken away are kept in `.cut`.

use crate::error::{Code, Fault};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Permissions of a file that will not change again.
pub const CLOSED_MODE: u32 = 0o440;

/// Reads a whole file of at most `max` bytes.
///
/// # Errors
/// [`Code::Storage`] when it cannot be read or is longer.
pub fn read(path: &Path, max: u64) -> Result<Vec<u8>, Fault> {
    let failed = |error| Fault::storage("read", path, &error);
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(max.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    if len > max {
        let what = format!("the file is longer than {max} bytes; next: look at who wrote it");
        return Err(Fault::new(Code::Storage, what).of(path).at(max));
    }
    Ok(bytes)
}

/// Reads a file that may be missing.
///
/// # Errors
/// As [`read`].
pub fn read_if_there(path: &Path, max: u64) -> Result<Option<Vec<u8>>, Fault> {
    match fs::exists(path) {
        Ok(true) => read(path, max).map(Some),
        Ok(false) => Ok(None),
        Err(error) => Err(Fault::storage("look at", path, &error)),
    }
}

/// Makes a directory and its parents.
///
/// # Errors
/// [`Code::EnvDir`].
pub fn make_dir(path: &Path) -> Result<(), Fault> {
    fs::create_dir_all(path).map_err(|error| {
        Fault::new(Code::EnvDir, format!("failed to make the directory: {error}")).of(path)
    })
}

/// Makes the directory of a file that a running engine begins.
///
/// # Errors
/// [`Code::Storage`]: the surroundings were judged at the start, what fails now is the disk.
pub(crate) fn make_dir_for(path: &Path) -> Result<(), Fault> {
    let dir = dir_of(path);
    fs::create_dir_all(dir).map_err(|error| Fault::storage("make the directory", dir, &error))
}

/// Puts the names in a directory on disk.
///
/// # Errors
/// [`Code::Storage`].
pub fn sync_dir(path: &Path) -> Result<(), Fault> {
    let dir = File::open(path).map_err(|error| Fault::storage("open", path, &error))?;
    dir.sync_all().map_err(|error| Fault::storage("sync", path, &error))
}

/// The directory of a file.
#[must_use]
pub fn dir_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("."))
}

/// `path` with `suffix` behind its whole name.
#[must_use]
pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Changes the permissions.
///
/// # Errors
/// [`Code::Storage`].
pub fn set_mode(path: &Path, mode: u32) -> Result<(), Fault> {
    fs::set_permissions(path, Permissions::from_mode(mode))
        .map_err(|error| Fault::storage("set permissions of", path, &error))
}

/// Writes a file that is there whole or not at all: temporary file, sync, rename, sync of the directory.
///
/// # Errors
/// [`Code::Storage`].
pub fn write_whole(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Fault> {
    let temporary = beside(path, ".tmp");
    write_new(&temporary, bytes)?;
    set_mode(&temporary, mode)?;
    fs::rename(&temporary, path).map_err(|error| Fault::storage("rename to", path, &error))?;
    sync_dir(dir_of(path))
}

/// Writes and syncs a file in place of what an earlier try left under a temporary name.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> Result<(), Fault> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(Fault::storage("remove", path, &error));
        }
        Ok(()) | Err(_) => {}
    }
    let failed = |doing: &'static str| move |error| Fault::storage(doing, path, &error);
    let mut file =
        OpenOptions::new().write(true).create_new(true).open(path).map_err(failed("make"))?;
    file.write_all(bytes).map_err(failed("write"))?;
    file.sync_all().map_err(failed("sync"))
}

/// Takes the bytes from `from` on away and keeps them in the file's `.cut`; true when there were any.
///
/// # Errors
/// [`Code::Storage`].
pub fn cut(path: &Path, from: u64) -> Result<bool, Fault> {
    let failed = |doing: &'static str| move |error| Fault::storage(doing, path, &error);
    // A closed file of a day that is run again may be read-only.
    let mut file = match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            set_mode(path, 0o640)?;
            OpenOptions::new().read(true).write(true).open(path).map_err(failed("open"))?
        }
        Err(error) => return Err(Fault::storage("open", path, &error)),
    };
    let len = file.metadata().map_err(failed("look at"))?.len();
    if len <= from {
        return Ok(false);
    }
    file.seek(SeekFrom::Start(from)).map_err(failed("seek in"))?;
    let mut tail = Vec::new();
    // Bounded, so that the library does not look at the file once more and pass over a disk that refuses that.
    (&mut file).take(len - from).read_to_end(&mut tail).map_err(failed("read"))?;
    keep(&beside(path, ".cut"), &tail)?;
    file.set_len(from).map_err(failed("cut"))?;
    file.sync_all().map_err(failed("sync"))?;
    Ok(true)
}

/// Takes a whole file away and keeps its bytes in its `.cut`.
///
/// # Errors
/// [`Code::Storage`].
pub fn cut_whole(path: &Path) -> Result<bool, Fault> {
    if !fs::exists(path).map_err(|error| Fault::storage("look at", path, &error))? {
        return Ok(false);
    }
    cut(path, 0)?;
    fs::remove_file(path).map_err(|error| Fault::storage("remove", path, &error))?;
    sync_dir(dir_of(path))?;
    Ok(true)
}

fn keep(path: &Path, bytes: &[u8]) -> Result<(), Fault> {
    let failed = |doing: &'static str| move |error| Fault::storage(doing, path, &error);
    let mut file =
        OpenOptions::new().append(true).create(true).open(path).map_err(failed("open"))?;
    file.write_all(bytes).map_err(failed("write"))?;
    file.sync_all().map_err(failed("sync"))?;
    sync_dir(dir_of(path))
}

/// Names in a directory, sorted; none when it does not exist.
///
/// # Errors
/// [`Code::Storage`].
pub fn names(dir: &Path) -> Result<Vec<String>, Fault> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Fault::storage("list", dir, &error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| Fault::storage("list", dir, &error))?;
        // A name that is not text is not ours.
        if let Ok(name) = entry.file_name().into_string() {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_is_kept_and_what_is_written_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.bin");
        write_whole(&path, b"0123456789", CLOSED_MODE).unwrap();
        assert!(cut(&path, 7).unwrap());
        assert!(!cut(&path, 7).unwrap());
        assert!(cut(&path, 4).unwrap());
        assert_eq!(read(&path, 10).unwrap(), b"0123");
        assert_eq!(read(&beside(&path, ".cut"), 10).unwrap(), b"789456");
        assert_eq!(read(&path, 3).unwrap_err().code, Code::Storage);
        assert!(cut_whole(&path).unwrap());
        assert!(!cut_whole(&path).unwrap());
        assert_eq!(read_if_there(&path, 10).unwrap(), None);
        assert_eq!(names(dir.path()).unwrap(), ["a.bin.cut"]);
        assert_eq!(names(&dir.path().join("none")).unwrap(), Vec::<String>::new());
    }
}
