//! Bytes that are changed and put back, places that a seed chooses, and the hash of a tree of files.
//!
//! Input: files, seeds. Output: changes; hashes. Invariants: a seed and a file's name give the same places and
//! values everywhere; a changed byte is never the byte that was there; a tree's hash covers names, permissions
//! and bytes.

use penstock_engine_io::{Fault, files};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// A well-mixed number of a number (the finaliser of SplitMix64).
fn mixed(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The seed of a file: its name decides, not its place in a listing.
fn seed_of(seed: u64, name: &str) -> u64 {
    name.bytes().fold(mixed(seed), |state, byte| mixed(state ^ u64::from(byte)))
}

/// `n` different places below `len`, ascending; all of them when there are no more.
pub(crate) fn offsets(len: u64, n: usize, seed: u64, name: &str) -> Vec<u64> {
    let due = u64::try_from(n).unwrap_or(u64::MAX);
    if due >= len {
        return (0..len).collect();
    }
    let mut state = seed_of(seed, name);
    let mut found = BTreeSet::new();
    while found.len() < n {
        state = mixed(state);
        found.insert(state % len);
    }
    found.into_iter().collect()
}

/// A byte that is another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Change {
    /// Place.
    pub at: u64,
    /// What was there.
    pub was: u8,
    /// What is there.
    pub now: u8,
}

impl Change {
    /// The change of a byte that a seed chooses.
    pub(crate) fn of(at: u64, was: u8, seed: u64, name: &str) -> Self {
        let [value, ..] = mixed(seed_of(seed, name) ^ mixed(at)).to_le_bytes();
        let flip = if value == 0 { 1 } else { value };
        Self { at, was, now: was ^ flip }
    }
}

/// A file whose bytes are changed one at a time.
pub(crate) struct Open {
    path: PathBuf,
    file: File,
    len: u64,
}

impl Open {
    pub(crate) fn new(path: &Path) -> Result<Self, Fault> {
        let failed = |error| Fault::storage("open", path, &error);
        let file = OpenOptions::new().read(true).write(true).open(path).map_err(failed)?;
        let len = file.metadata().map_err(failed)?.len();
        Ok(Self { path: path.to_owned(), file, len })
    }

    pub(crate) const fn len(&self) -> u64 {
        self.len
    }

    /// Changes a byte.
    pub(crate) fn damage(&self, at: u64, seed: u64, name: &str) -> Result<Change, Fault> {
        let mut byte = [0];
        let failed = |error| Fault::storage("read", &self.path, &error);
        self.file.read_exact_at(&mut byte, at).map_err(failed)?;
        let change = Change::of(at, byte[0], seed, name);
        self.write(at, change.now)?;
        Ok(change)
    }

    /// Puts a byte back; what stands there must be the damage, not the work of whoever verified.
    pub(crate) fn mend(&mut self, change: Change) -> Result<(), Fault> {
        let mut byte = [0];
        let failed = |error| Fault::storage("read", &self.path, &error);
        self.file.read_exact_at(&mut byte, change.at).map_err(failed)?;
        assert_eq!(byte, [change.now], "{} was written by a verification", self.path.display());
        self.write(change.at, change.was)
    }

    fn write(&self, at: u64, byte: u8) -> Result<(), Fault> {
        let failed = |error| Fault::storage("write", &self.path, &error);
        self.file.write_all_at(&[byte], at).map_err(failed)
    }
}

/// Files below a folder, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tree(BTreeMap<PathBuf, (u32, [u8; 32])>);

impl Tree {
    pub(crate) fn of(root: &Path) -> Result<Self, Fault> {
        let mut found = BTreeMap::new();
        for path in names(root)? {
            let file = root.join(&path);
            let failed = |error| Fault::storage("look at", &file, &error);
            let mode = fs::metadata(&file).map_err(failed)?.permissions().mode();
            let hash = Sha256::digest(files::read(&file, u64::MAX - 1)?).into();
            found.insert(path, (mode, hash));
        }
        Ok(Self(found))
    }

    /// One hash of all.
    pub(crate) fn sha256(&self) -> String {
        let mut all = Sha256::new();
        for (path, (mode, hash)) in &self.0 {
            all.update(path.as_os_str().as_encoded_bytes());
            all.update([0]);
            all.update(mode.to_le_bytes());
            all.update(hash);
        }
        hex::encode(all.finalize())
    }

    /// Names of what is another, or on one side only.
    pub(crate) fn differs(&self, other: &Self) -> Vec<PathBuf> {
        let names: BTreeSet<&PathBuf> = self.0.keys().chain(other.0.keys()).collect();
        let is_other = |name: &&&PathBuf| self.0.get(**name) != other.0.get(**name);
        names.iter().filter(is_other).map(|name| (*name).clone()).collect()
    }
}

/// Files below a folder, relative to it, sorted.
pub(crate) fn names(root: &Path) -> Result<Vec<PathBuf>, Fault> {
    let mut found = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(dir) = open.pop() {
        for name in files::names(&dir)? {
            let path = dir.join(name);
            let failed = |error| Fault::storage("look at", &path, &error);
            if fs::metadata(&path).map_err(failed)?.is_dir() {
                open.push(path);
            } else {
                found.push(path.strip_prefix(root).map(Path::to_owned).unwrap_or(path));
            }
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Folders of an engine that a proof is about; beside them there may be a private key, which is never copied.
const FOLDERS: [&str; 7] =
    ["log", "journal", "snapshots", "alerts", "transitions", "manifests", "configs"];

/// Copies an engine's folder; every file of the copy may be written.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<(), Fault> {
    for path in names(from)? {
        if !FOLDERS.iter().any(|folder| path.starts_with(folder)) {
            continue;
        }
        let (source, target) = (from.join(&path), to.join(&path));
        files::make_dir(files::dir_of(&target))?;
        fs::copy(&source, &target).map_err(|error| Fault::storage("copy", &source, &error))?;
        files::set_mode(&target, 0o640)?;
    }
    Ok(())
}
