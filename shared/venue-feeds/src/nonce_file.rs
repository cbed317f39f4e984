//! The file that keeps a key's last nonce over a restart.
//!
//! Input: a path; before each signed call the nonce that it will carry. Output: at a start the nonce that was
//! kept, if the file holds one. Invariant: what a venue has seen was written before, so that a clock that
//! went back between two processes repeats nothing. Written whole (temporary file, fsync, rename), readable
//! by its owner only. A file that is missing or holds no nonce is no memory; one that cannot be written is
//! told, and the call goes out all the same: the venue refuses a nonce that is too low, which is handled.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use penstock_venues::kraken::nonce::{nonce_text, parse_nonce};

/// Where a nonce is kept.
#[derive(Debug, Clone)]
pub(crate) struct NonceFile(PathBuf);

impl NonceFile {
    pub(crate) const fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// The nonce that was kept.
    pub(crate) fn read(&self) -> Option<u64> {
        match fs::read(&self.0) {
            Ok(bytes) => {
                let kept = parse_nonce(&bytes);
                if kept.is_none() {
                    tracing::warn!(path = %self.0.display(), "it holds no nonce; the clock's is taken");
                }
                kept
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::warn!(path = %self.0.display(), "read the nonce: {error}");
                None
            }
        }
    }

    /// Keeps a nonce. Blocking; not for an async task.
    pub(crate) fn write(&self, nonce: u64) -> io::Result<()> {
        let temporary = self.0.with_extension("tmp");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)?;
        file.write_all(nonce_text(nonce).as_bytes())?;
        file.sync_all()?;
        fs::rename(&temporary, &self.0)?;
        let directory = self.0.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_is_read_again_and_anything_else_is_no_memory() {
        let directory = std::env::temp_dir().join(format!("nonce-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let file = NonceFile::new(directory.join("nonce"));
        assert_eq!(file.read(), None, "nothing was kept");
        for nonce in [1, 1_795_650_000_000_000_000] {
            file.write(nonce).unwrap();
            assert_eq!(file.read(), Some(nonce));
        }
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &fs::metadata(directory.join("nonce")).unwrap().permissions(),
        );
        assert_eq!(mode & 0o777, 0o600);
        fs::write(directory.join("nonce"), "17").unwrap();
        assert_eq!(file.read(), None, "cut before its end of line");
        fs::remove_dir_all(&directory).unwrap();
        assert!(file.write(1).is_err());
    }
}
