//! Purpose: the one directory that holds everything a machine's Penstock writes, and the lock on it.
//! Inputs: `PENSTOCK_DATA`, the clone's path, the user that runs the servers. Outputs: [`DataRoot`],
//! [`SupervisorLock`]. Invariants: one supervisor per data root; a path given by the operator is used
//! or refused, never silently replaced; only the default may fall back.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::ClusterError;
use crate::host::RunAs;
use crate::kind::ClusterKind;

/// Longest path of a socket file that every supported system takes (macOS 103 bytes, Linux 107).
const SOCKET_PATH_BYTES_MAX: usize = 103;

/// Where roots go that PostgreSQL's user cannot reach.
const FALLBACK_PARENT: &str = "/var/lib/penstock";

/// The data root and the places in it.
#[derive(Debug, Clone)]
pub struct DataRoot {
    path: PathBuf,
    notice: Option<String>,
}

impl DataRoot {
    /// The root to use: `explicit` (from `PENSTOCK_DATA`), else `.data` in `clone`, else, when the
    /// server's user cannot reach that, a directory below `/var/lib/penstock` named after the clone.
    ///
    /// # Errors
    /// [`ClusterError::NotTraversable`] when an explicit root (or the fallback) cannot be reached.
    pub fn resolve(
        explicit: Option<&Path>,
        clone: &Path,
        user: &RunAs,
    ) -> Result<Self, ClusterError> {
        if let Some(path) = explicit {
            let path = absolute(path)?;
            refuse_closed(user, &path)?;
            return Ok(Self { path, notice: None });
        }
        let clone = absolute(clone)?;
        let path = clone.join(".data");
        let Some(closed) = user.first_closed(&path) else {
            return Ok(Self { path, notice: None });
        };
        let fallback = Path::new(FALLBACK_PARENT).join(short_hash(&clone));
        refuse_closed(user, &fallback)?;
        let notice = format!(
            "data root is {} because user {} may not pass {}",
            fallback.display(),
            user.name,
            closed.display()
        );
        Ok(Self { path: fallback, notice: Some(notice) })
    }

    /// A root at a given place, unchecked: for tests and for readers of an existing root.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned(), notice: None }
    }

    /// The directory itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What to tell the operator about the choice of the root, if anything.
    #[must_use]
    pub fn notice(&self) -> Option<&str> {
        self.notice.as_deref()
    }

    /// Data directory of a cluster.
    #[must_use]
    pub fn cluster(&self, kind: ClusterKind) -> PathBuf {
        self.path.join(format!("pg-{kind}"))
    }

    /// `log`: one `<process>.jsonl` for each process.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.path.join("log")
    }

    /// `state`: lock files, installation, request files.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.path.join("state")
    }

    /// `spool`: rows and frames on their way.
    #[must_use]
    pub fn spool(&self) -> PathBuf {
        self.path.join("spool")
    }

    /// The lock file of the supervisor.
    #[must_use]
    pub fn lock_file(&self) -> PathBuf {
        self.path.join("supervisor.lock")
    }

    /// The directory of the sockets: `run` in the root, or a private directory in the system's temporary
    /// directory when the socket's path would be too long for the operating system.
    ///
    /// # Errors
    /// [`ClusterError::ForeignDirectory`] when that directory belongs to somebody else.
    pub fn socket_directory(&self, user: &RunAs) -> Result<PathBuf, ClusterError> {
        let near = self.path.join("run");
        if fits(&near) {
            return Ok(near);
        }
        let name = format!("penstock-{}-{}", user.uid, short_hash(&self.path));
        let far = std::env::temp_dir().join(&name);
        let far = if fits(&far) { far } else { Path::new("/tmp").join(name) };
        if let Ok(found) = std::fs::symlink_metadata(&far)
            && (!found.is_dir() || found.uid() != user.uid)
        {
            return Err(ClusterError::ForeignDirectory { path: far, owner: found.uid() });
        }
        Ok(far)
    }
}

fn fits(directory: &Path) -> bool {
    // The ports of both clusters have five digits.
    let file = directory.join(format!(".s.PGSQL.{}", ClusterKind::Ingest.port()));
    file.as_os_str().len() <= SOCKET_PATH_BYTES_MAX
}

fn absolute(path: &Path) -> Result<PathBuf, ClusterError> {
    std::path::absolute(path).map_err(ClusterError::io("resolve", path))
}

fn refuse_closed(user: &RunAs, path: &Path) -> Result<(), ClusterError> {
    match user.first_closed(path) {
        None => Ok(()),
        Some(ancestor) => Err(ClusterError::NotTraversable {
            path: path.to_owned(),
            ancestor,
            user: user.name.clone(),
        }),
    }
}

/// The first eight hex digits of a path's BLAKE3 hash: a short name that differs between clones.
pub(crate) fn short_hash(path: &Path) -> String {
    blake3::hash(path.as_os_str().as_encoded_bytes()).to_hex()[..8].to_owned()
}

/// Held by the one supervisor of a data root as long as it lives; the kernel releases it with the
/// process. The file names the holder's process for `penstock down`.
#[derive(Debug)]
pub struct SupervisorLock {
    file: File,
}

impl SupervisorLock {
    /// Takes the lock.
    ///
    /// # Errors
    /// [`ClusterError::Locked`] when another process has it, [`ClusterError::Io`] otherwise.
    pub fn take(root: &DataRoot) -> Result<Self, ClusterError> {
        let path = root.lock_file();
        std::fs::create_dir_all(root.path()).map_err(ClusterError::io("create", root.path()))?;
        let mut file = open_lock(&path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(ClusterError::Locked { path }),
            Err(TryLockError::Error(source)) => {
                return Err(ClusterError::Io { action: "lock", path, source });
            }
        }
        let write = |file: &mut File| {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "{}", std::process::id())
        };
        write(&mut file).map_err(ClusterError::io("write", &path))?;
        Ok(Self { file })
    }

    /// The process that holds the lock of a root, if one does.
    ///
    /// # Errors
    /// [`ClusterError::Io`] when the file is there and cannot be read.
    pub fn holder(root: &DataRoot) -> Result<Option<u32>, ClusterError> {
        let path = root.lock_file();
        if !path.exists() {
            return Ok(None);
        }
        let mut file = open_lock(&path)?;
        match file.try_lock() {
            Ok(()) => Ok(None),
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                file.read_to_string(&mut text).map_err(ClusterError::io("read", &path))?;
                Ok(text.trim().parse().ok())
            }
            Err(TryLockError::Error(source)) => {
                Err(ClusterError::Io { action: "lock", path, source })
            }
        }
    }
}

impl Drop for SupervisorLock {
    fn drop(&mut self) {
        // The file stays: an unlinked lock file could be locked twice. A failure here changes nothing,
        // closing the file releases the lock as well.
        drop(self.file.unlock());
    }
}

fn open_lock(path: &Path) -> Result<File, ClusterError> {
    std::fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(path)
        .map_err(ClusterError::io("open", path))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use super::{DataRoot, SOCKET_PATH_BYTES_MAX, SupervisorLock};
    use crate::ClusterError;
    use crate::host::RunAs;

    fn stranger() -> RunAs {
        RunAs { uid: 54_321, gid: 54_321, name: "stranger".to_owned(), switch: false }
    }

    #[test]
    fn an_unreachable_default_falls_back_and_says_so_but_an_explicit_root_is_refused() {
        let clone = tempfile::tempdir().expect("temp dir");
        std::fs::set_permissions(clone.path(), std::fs::Permissions::from_mode(0o700))
            .expect("mode");

        let fallen = DataRoot::resolve(None, clone.path(), &stranger()).expect("falls back");
        let refused = DataRoot::resolve(Some(&clone.path().join("x")), clone.path(), &stranger());

        assert!(fallen.path().starts_with("/var/lib/penstock"), "{fallen:?}");
        assert!(fallen.notice().is_some_and(|text| text.contains("stranger")));
        assert!(matches!(refused, Err(ClusterError::NotTraversable { .. })), "{refused:?}");
    }

    #[test]
    fn long_roots_get_a_short_socket_directory_of_their_own() {
        let long = format!("/tmp/{}", "x".repeat(120));
        let one = DataRoot::at(Path::new(&long)).socket_directory(&stranger()).expect("chosen");
        let two = DataRoot::at(Path::new(&format!("{long}y")))
            .socket_directory(&stranger())
            .expect("chosen");

        assert!(one.join(".s.PGSQL.25432").as_os_str().len() <= SOCKET_PATH_BYTES_MAX, "{one:?}");
        assert_ne!(one, two);
        let short =
            DataRoot::at(Path::new("/srv/p")).socket_directory(&stranger()).expect("chosen");
        assert_eq!(short, Path::new("/srv/p/run"));
    }

    #[test]
    fn a_second_supervisor_is_refused_and_the_holder_is_named() {
        let directory = tempfile::tempdir().expect("temp dir");
        let root = DataRoot::at(directory.path());
        assert_eq!(SupervisorLock::holder(&root).expect("readable"), None);

        let held = SupervisorLock::take(&root).expect("free");
        let second = SupervisorLock::take(&root);
        assert!(matches!(second, Err(ClusterError::Locked { .. })), "{second:?}");
        assert_eq!(SupervisorLock::holder(&root).expect("readable"), Some(std::process::id()));

        drop(held);
        assert_eq!(SupervisorLock::holder(&root).expect("readable"), None);
        SupervisorLock::take(&root).expect("free again");
    }
}
