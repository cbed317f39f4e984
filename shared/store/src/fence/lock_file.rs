//! The lock file of a service: opened close-on-exec, mode 0600, held for the life of the process,
//! never unlinked (a second file would get a second lock).

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::sys::statfs::statfs;

/// Why the lock file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// The file cannot be opened or locked.
    #[error("lock file {}: {source}; next: check that the state directory exists and belongs to this user", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// Locks of that filesystem do not hold between processes.
    #[error("state directory {} lies on a network filesystem ({kind}), whose locks do not hold; next: use a directory of this host", path.display())]
    NetworkFilesystem {
        /// The directory.
        path: PathBuf,
        /// Name of the filesystem.
        kind: &'static str,
    },
}

/// Identity of a locked file: `<boot id>:<device>:<inode>`. The boot id makes the same inode after a
/// reboot another holder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HolderLock(String);

impl HolderLock {
    /// The text of column `holder_lock`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A lock that this process holds until it ends or drops the value.
#[derive(Debug)]
pub struct LockFile {
    // Held for its lock alone.
    _file: File,
    identity: HolderLock,
}

impl LockFile {
    /// Tries to take the lock; `None` when another process, running or stopped, has it.
    ///
    /// # Errors
    /// [`LockError::Io`].
    pub fn try_take(path: &Path) -> Result<Option<Self>, LockError> {
        let io = |source| LockError::Io { path: path.to_owned(), source };
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(source)) => return Err(io(source)),
        }
        let meta = file.metadata().map_err(io)?;
        let boot = boot_id().map_err(io)?;
        let identity = HolderLock(format!("{boot}:{}:{}", meta.dev(), meta.ino()));
        Ok(Some(Self { _file: file, identity }))
    }

    /// What goes into the fence row.
    #[must_use]
    pub const fn identity(&self) -> &HolderLock {
        &self.identity
    }
}

fn boot_id() -> std::io::Result<String> {
    Ok(std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// Refuses a directory on a filesystem that turns `flock` into something else or ignores it.
///
/// # Errors
/// [`LockError`].
pub fn refuse_network_filesystem(dir: &Path) -> Result<(), LockError> {
    let stat = statfs(dir)
        .map_err(|errno| LockError::Io { path: dir.to_owned(), source: errno.into() })?;
    // Magic numbers of linux/magic.h and of the respective modules.
    let kind = match stat.filesystem_type().0 {
        0x6969 => "nfs",
        0x517B => "smb",
        0xFF53_4D42 => "cifs",
        0xFE53_4D42 => "smb2",
        0x0102_1997 => "9p",
        0x5346_414F => "afs",
        0x00C3_6400 => "ceph",
        0x6573_5546 => "fuse",
        _ => return Ok(()),
    };
    Err(LockError::NetworkFilesystem { path: dir.to_owned(), kind })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_holder_is_refused_until_the_first_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ingest-x.lock");

        let first = LockFile::try_take(&path).unwrap().expect("free");
        let second = LockFile::try_take(&path).unwrap();
        let identity = first.identity().clone();
        drop(first);
        let third = LockFile::try_take(&path).unwrap().expect("free again");

        assert!(second.is_none());
        assert_eq!(third.identity(), &identity);
        assert_eq!(identity.as_str().split(':').count(), 3);
        assert_eq!(identity.as_str().find(':'), Some(36));
        let mode = std::fs::metadata(&path).unwrap().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn deleted_lock_file_gets_another_identity() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ingest-x.lock");
        let first = LockFile::try_take(&path).unwrap().expect("free");
        std::fs::remove_file(&path).unwrap();

        let second = LockFile::try_take(&path).unwrap().expect("another file");

        assert_ne!(first.identity(), second.identity());
    }

    #[test]
    fn local_directory_is_accepted() {
        let dir = tempfile::tempdir().unwrap();

        assert!(refuse_network_filesystem(dir.path()).is_ok());
    }
}
