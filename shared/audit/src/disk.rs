//! One open file of the trail: bytes that are whole on disk, or held here until they are.
//!
//! Input: whole lines. Output: a file; or an error after which the file is as before. Invariants: what was appended and
//! is not synced is also in memory; a write that fails midway is cut off at once, or before the next write when even
//! that fails; after a failed sync nothing behind the last good one is believed to be in the file, because the system
//! may have dropped it, and all of it is written again.

use crate::line::LINE_BYTES_MAX;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Most bytes that are held until a sync; then one is made before the next append.
pub(crate) const UNSYNCED_BYTES_MAX: usize = 64 * LINE_BYTES_MAX;

/// What is done with a file; tests put another one in its place.
pub(crate) trait Bytes: Send {
    /// Writes all bytes at an offset.
    fn write_all_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Cuts or lengthens it.
    fn set_len(&mut self, len: u64) -> io::Result<()>;
    /// Puts it on disk.
    fn sync(&mut self) -> io::Result<()>;
}

impl Bytes for File {
    fn write_all_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        FileExt::write_all_at(self, bytes, offset)
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        Self::set_len(self, len)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

/// How the file differs from what should be in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Damage {
    None,
    /// Bytes of a failed write follow the last line.
    Torn,
    /// What follows the last sync may not be there.
    Doubtful,
}

/// An open file.
pub(crate) struct OpenFile {
    bytes: Box<dyn Bytes>,
    synced_len: u64,
    unsynced: Vec<u8>,
    damage: Damage,
    sha: Sha256,
}

impl OpenFile {
    /// A file with `len` bytes of whole lines, on disk, whose hash is `sha`.
    pub(crate) const fn new(bytes: Box<dyn Bytes>, len: u64, sha: Sha256) -> Self {
        Self { bytes, synced_len: len, unsynced: Vec::new(), damage: Damage::None, sha }
    }

    /// Length in bytes with what is not synced.
    pub(crate) fn len(&self) -> u64 {
        self.synced_len + u64::try_from(self.unsynced.len()).unwrap_or(u64::MAX)
    }

    /// Everything is on disk.
    pub(crate) fn is_synced(&self) -> bool {
        self.unsynced.is_empty() && self.damage == Damage::None
    }

    /// SHA-256 of all its lines.
    pub(crate) fn sha256(&self) -> String {
        hex::encode(self.sha.clone().finalize())
    }

    /// Appends whole lines.
    ///
    /// # Errors
    /// When they are not in the file; then none of them is.
    pub(crate) fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        if self.unsynced.len() >= UNSYNCED_BYTES_MAX {
            self.sync()?;
        }
        self.repair()?;
        let len = self.len();
        if let Err(error) = self.bytes.write_all_at(lines, len) {
            let cut = self.bytes.set_len(len);
            self.damage = if cut.is_ok() { Damage::None } else { Damage::Torn };
            return Err(error);
        }
        self.unsynced.extend_from_slice(lines);
        self.sha.update(lines);
        Ok(())
    }

    /// Puts everything on disk.
    ///
    /// # Errors
    /// When what follows the last good sync may not be on disk; it is held and written again the next time.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        self.repair()?;
        if let Err(error) = self.bytes.sync() {
            self.damage = Damage::Doubtful;
            return Err(error);
        }
        self.synced_len = self.len();
        self.unsynced.clear();
        Ok(())
    }

    fn repair(&mut self) -> io::Result<()> {
        match self.damage {
            Damage::None => return Ok(()),
            Damage::Torn => self.bytes.set_len(self.len())?,
            Damage::Doubtful => {
                self.bytes.set_len(self.synced_len)?;
                self.bytes.write_all_at(&self.unsynced, self.synced_len)?;
            }
        }
        self.damage = Damage::None;
        Ok(())
    }
}
