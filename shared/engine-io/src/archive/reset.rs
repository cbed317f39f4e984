//! The hard reset to another major version.
//!
//! Input: the engine's directories, a verified archive, the version of the program. Output: empty directories,
//! the old ones beside them, the document of the reset. Invariants: refused with a service running, without an
//! archive that verifies and ends at the newest snapshot, and when files and program are of one major; nothing
//! is deleted; manifests, keys and configurations stay, so the chain of days goes on; a reset that was cut off
//! goes on when it is asked for again, because the snapshots move last.

use super::{ArchiveList, DOCUMENT_LEN_MAX, Genesis, LIST, major_of, to_canonical, verify_archive};
use crate::error::{Code, Fault};
use crate::files::{self, CLOSED_MODE};
use crate::layout::EngineDirs;
use crate::{session, snapshots};
use penstock_types::frame::sha256;
use std::fs;
use std::path::Path;

/// Moves the files of the old major away and writes the document of the reset; `program_schema` is the version of
/// the program that begins anew.
///
/// # Errors
/// [`Code::EnvLock`] while a service runs; [`Code::EnvSchema`] when files and program are of one major; what is
/// wrong with the archive, with its code; [`Code::ManHash`] when it does not end at the newest snapshot.
pub fn reset(dirs: &EngineDirs, folder: &Path, program_schema: &str) -> Result<Genesis, Fault> {
    let _lock = session::lock(dirs)?;
    let list = verify_archive(folder)?;
    let (old, new) = (list.major(), major_of(program_schema));
    let (Some(old), Some(new)) = (old, new) else {
        let what = "a version has no number before its point";
        return Err(
            Fault::new(Code::EnvSchema, what).differing(&list.schema_version, program_schema)
        );
    };
    if old == new {
        let what = "files and program are of one major, so there is nothing to reset; next: run the \
                    program of the new major";
        return Err(Fault::new(Code::EnvSchema, what).of(&dirs.snapshots).differing(old, new));
    }
    ends_here(dirs, &list, old)?;
    let moved = [dirs.journal.clone(), dirs.alerts.clone(), dirs.transitions(), dirs.log.clone()];
    for dir in &moved {
        move_away(dir, old)?;
    }
    let genesis = Genesis {
        schema_version: program_schema.to_owned(),
        prev_schema: list.schema_version.clone(),
        archive_sha256: hex::encode(sha256(&files::read(&folder.join(LIST), DOCUMENT_LEN_MAX)?)),
        last_tick: list.last_tick,
        last_state_chain: list.state_chain.clone(),
    };
    files::write_whole(&dirs.genesis(), &to_canonical(&genesis)?, CLOSED_MODE)?;
    move_away(&dirs.snapshots, old)?;
    for dir in dirs.all() {
        files::make_dir(&dir)?;
    }
    Ok(genesis)
}

/// The archive is one of everything and its newest snapshot is the one that lies here.
fn ends_here(dirs: &EngineDirs, list: &ArchiveList, old: u16) -> Result<(), Fault> {
    let refuse = |what: &str| Fault::new(Code::ManHash, what).of(&dirs.snapshots);
    if !list.is_major {
        return Err(refuse("the archive is one of days; next: penstock engine archive --major"));
    }
    let newest = snapshots::ticks(dirs)?.pop();
    let Some(tick) = newest.filter(|tick| *tick == list.last_tick) else {
        let fault = refuse("the archive does not end at the newest snapshot; next: archive again");
        return Err(fault.differing(list.last_tick, newest.unwrap_or(0)));
    };
    let path = dirs.snapshot(tick);
    let bytes = files::read(&path, snapshots::SNAPSHOT_LEN_MAX)?;
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let listed = list.files.iter().find(|file| file.name == format!("snapshots/{name}"));
    let found = hex::encode(sha256(&bytes));
    if listed.is_none_or(|file| file.sha256 != found) {
        return Err(refuse("the newest snapshot is not the archive's; next: archive again"));
    }
    // Magic and version stand at the same place in every major.
    let major = bytes.get(5).copied().map(u16::from);
    if bytes.starts_with(b"ESNP") && major == Some(old) {
        return Ok(());
    }
    let what = "the newest snapshot is of another major than the archive";
    let fault = Fault::new(Code::EnvSchema, what).of(&path);
    Err(fault.differing(old, major.unwrap_or(0)))
}

/// Renames a directory to its name with the major behind it; one that went already is left alone.
fn move_away(dir: &Path, major: u16) -> Result<(), Fault> {
    let away = files::beside(dir, &format!(".v{major}"));
    let there = |path: &Path| fs::exists(path).map_err(|e| Fault::storage("look at", path, &e));
    if !there(dir)? {
        return Ok(());
    }
    if there(&away)? {
        let is_empty = files::names(dir)?.iter().all(|name| name == "LOCK");
        if is_empty {
            return Ok(());
        }
        let what = "the place for the old directory is taken; next: move it elsewhere";
        return Err(Fault::new(Code::EnvDir, what).of(&away));
    }
    fs::rename(dir, &away).map_err(|error| Fault::storage("rename to", &away, &error))?;
    files::sync_dir(files::dir_of(dir))
}
