//! Compression of closed days: every file of a day that has its manifest, one after the other.
//!
//! Input: a day. Output: smaller files, counts. Invariants: only files that the manifest names are touched, and
//! one is replaced only when its compressed form unpacks to the hash that the manifest names; a crash at any
//! step leaves a readable day, and the next pass goes on; a mismatch keeps the raw file and says so. It belongs
//! on the janitor's thread: the core and its writer never wait for it.
//!
//! ```text
//! X ▶ X.zst.tmp written, synced ▶ unpacked and compared ▶ X.zst (0440) ▶ directory synced ▶ X removed
//! ```

use crate::archive::last_reset;
use crate::day_lock::lock_alone;
use crate::error::{Code, Fault};
use crate::files::{self, CLOSED_MODE};
use crate::hooks::{JanitorHooks, JanitorPoint};
use crate::layout::{Day, EngineDirs};
use crate::manifest::{Manifest, days, read_manifest};
use crate::stored::{self, Form, Stored, packed};
use std::fs;
use std::path::{Path, PathBuf};

/// What compressing a day did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Packed {
    /// Files that were compressed, or whose raw form a crash had left.
    pub files: u64,
    /// Their raw bytes.
    pub bytes_before: u64,
    /// Their compressed bytes.
    pub bytes_after: u64,
}

/// A file of a day with the hash that its manifest names.
pub(crate) struct DayFile {
    /// Name under which it was written.
    pub path: PathBuf,
    /// SHA-256 of the raw bytes, hexadecimal.
    pub sha256: String,
}

/// Files of a day as its manifest names them: logs, journal, streams that have lines.
pub(crate) fn files_of(dirs: &EngineDirs, day: Day, manifest: &Manifest) -> Vec<DayFile> {
    let mut all = Vec::new();
    let mut add = |path: PathBuf, sha256: &String| {
        all.push(DayFile { path, sha256: sha256.clone() });
    };
    for token in &manifest.tokens {
        add(dirs.log_file(token.token_id, day, token.segment), &token.sha256);
    }
    for file in &manifest.journal.files {
        add(dirs.journal.join(day.to_string()).join(&file.name), &file.sha256);
    }
    for (path, stream) in [
        (dirs.alerts_file(day), &manifest.alerts),
        (dirs.transitions_file(day), &manifest.transitions),
    ] {
        if stream.count > 0 {
            add(path, &stream.sha256);
        }
    }
    all
}

/// Days with a manifest of which a raw file is left, ascending.
///
/// # Errors
/// [`Code::Storage`], [`Code::ManHash`] for a manifest that is none.
pub fn raw_days(dirs: &EngineDirs) -> Result<Vec<Day>, Fault> {
    let mut found = Vec::new();
    let reset = last_reset(dirs)?;
    for day in days(dirs)?.into_iter().filter(|day| reset.is_none_or(|at| day.last_tick() > at)) {
        let manifest = read_manifest(dirs, day)?;
        for file in files_of(dirs, day, &manifest) {
            if stored::form(&file.path)? == Some(Form::Raw) {
                found.push(day);
                break;
            }
        }
    }
    Ok(found)
}

/// Compresses the files of a day that has its manifest; what is compressed already is left alone.
///
/// # Errors
/// [`Code::ManMissing`] without a manifest; [`Code::ManHash`] when a file is not the one that it names, which
/// keeps the raw file; [`Code::EnvLock`] while somebody else reads, compresses or removes it; [`Code::Storage`].
pub fn pack_day(dirs: &EngineDirs, day: Day, hooks: &JanitorHooks<'_>) -> Result<Packed, Fault> {
    let manifest = read_manifest(dirs, day)?;
    let _alone = lock_alone(dirs, day)?;
    let mut done = Packed::default();
    for file in files_of(dirs, day, &manifest) {
        if let Some((before, after)) = pack_file(&file.path, &file.path, &file.sha256, hooks)? {
            done.files += 1;
            done.bytes_before += before;
            done.bytes_after += after;
        }
    }
    Ok(done)
}

/// Compresses one file to the name of `to` and removes it; raw and compressed bytes, `None` when there is no raw
/// form any more.
///
/// # Errors
/// As [`pack_day`].
pub(crate) fn pack_file(
    raw: &Path,
    to: &Path,
    sha256: &str,
    hooks: &JanitorHooks<'_>,
) -> Result<Option<(u64, u64)>, Fault> {
    let target = packed(to);
    let temporary = files::beside(&target, ".tmp");
    remove_if_there(&temporary)?;
    if !fs::exists(raw).map_err(|error| Fault::storage("look at", raw, &error))? {
        return Ok(None);
    }
    let is_packed =
        fs::exists(&target).map_err(|error| Fault::storage("look at", &target, &error))?;
    if !is_packed {
        hooks.pass(JanitorPoint::BeforePack)?;
        stored::pack(raw, &temporary)?;
        hooks.pass(JanitorPoint::AfterPack)?;
        let bytes = files::read(&temporary, u64::MAX - 1)?;
        if let Err(fault) = compare(Stored::of_packed(to, bytes), raw, sha256) {
            remove_if_there(&temporary)?;
            return Err(fault);
        }
        hooks.pass(JanitorPoint::AfterCompare)?;
        files::set_mode(&temporary, CLOSED_MODE)?;
        fs::rename(&temporary, &target)
            .map_err(|error| Fault::storage("rename to", &target, &error))?;
        hooks.pass(JanitorPoint::AfterRename)?;
        files::sync_dir(files::dir_of(&target))?;
        hooks.pass(JanitorPoint::AfterSync)?;
    } else {
        compare(Stored::open_packed(to), raw, sha256)?;
    }
    let len = |path: &Path| {
        fs::metadata(path).map(|meta| meta.len()).map_err(|e| Fault::storage("look at", path, &e))
    };
    let lens = (len(raw)?, len(&target)?);
    fs::remove_file(raw).map_err(|error| Fault::storage("remove", raw, &error))?;
    files::sync_dir(files::dir_of(raw))?;
    hooks.pass(JanitorPoint::AfterUnlink)?;
    Ok(Some(lens))
}

fn compare(opened: Result<Stored, Fault>, raw: &Path, sha256: &str) -> Result<(), Fault> {
    let (found, _) = opened?.digest()?;
    let found = hex::encode(found);
    if found == sha256 {
        return Ok(());
    }
    let what =
        "the file does not unpack to what the manifest names; next: penstock verify manifest";
    Err(Fault::new(Code::ManHash, what).of(raw).differing(sha256, found))
}

pub(crate) fn remove_if_there(path: &Path) -> Result<bool, Fault> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Fault::storage("remove", path, &error)),
    }
}
