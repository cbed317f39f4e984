//! Writing an archive.
//!
//! Input: the engine's directories and which days, or all of the major. Output: a folder. Invariants: nothing is
//! deleted; closed days are held against removal while they are copied; the list is written last, after everything
//! was read back, so a folder without one is no archive; all of a major is taken from a clean stop alone.

use super::verify::{compare, names_below};
use super::{ArchiveFile, ArchiveList, LIST, to_canonical};
use crate::compress::files_of;
use crate::error::{Code, Fault};
use crate::files::{self, CLOSED_MODE};
use crate::journal::JournalReader;
use crate::keys::Signer;
use crate::layout::{Day, EngineDirs};
use crate::log::{LOG_LEN_MAX, segments, verify_segment};
use crate::manifest::{days, read_manifest, verify_day};
use crate::snapshots::{self, SNAPSHOT_LEN_MAX};
use crate::stored::{self, Stored};
use crate::{day_lock, session};
use penstock_engine::config::SCHEMA;
use penstock_engine::snapshot::SnapshotView;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What is archived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Request {
    /// First day; the oldest without it.
    pub from: Option<Day>,
    /// Last day; the newest that is closed without it.
    pub through: Option<Day>,
    /// Everything, to the last tick.
    pub is_major: bool,
}

/// What was archived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archived {
    /// Folder.
    pub folder: PathBuf,
    /// Its list.
    pub list: ArchiveList,
}

/// Where the archive ends.
struct End {
    tick: u64,
    state_chain: String,
}

/// Copies days, or the whole major, into a folder of its own below `to`.
///
/// # Errors
/// [`Code::ManMissing`] when no day is there to archive; what does not verify, with its code;
/// [`Code::EnvLock`] for a major while a service runs; [`Code::SnapAheadOfLog`] or
/// [`Code::LogAheadOfJournal`] when it was no clean stop; [`Code::EnvDir`] when the folder is there.
pub fn archive(
    dirs: &EngineDirs,
    to: &Path,
    request: Request,
    signer: Option<&Signer>,
) -> Result<Archived, Fault> {
    let _lock = if request.is_major { Some(session::lock(dirs)?) } else { None };
    let closed: Vec<Day> = days(dirs)?
        .into_iter()
        .filter(|day| request.from.is_none_or(|from| *day >= from))
        .filter(|day| request.through.is_none_or(|through| *day <= through))
        .collect();
    let mut held = Vec::new();
    let mut there = Vec::new();
    for day in closed {
        // A day that retention has removed has its manifest alone.
        if let Ok(lock) = day_lock::hold(dirs, day) {
            verify_day(dirs, day)?;
            held.push(lock);
            there.push(day);
        }
    }
    let (end, last_day) = if request.is_major {
        let end = clean_stop(dirs)?;
        let day = Day::of(end.tick);
        (end, day)
    } else {
        let Some(last) = there.last().copied() else { return Err(nothing(dirs)) };
        let state_chain = read_manifest(dirs, last)?.state_chain_close;
        (End { tick: last.last_tick(), state_chain }, last)
    };
    let first_day = there.first().copied().unwrap_or(last_day);
    let paths = if request.is_major { of_major(dirs)? } else { of_days(dirs, &there)? };
    let major = super::major_of(SCHEMA).unwrap_or(0);
    let folder = to.join(format!("engine-v{major}-{first_day}-{last_day}"));
    if fs::exists(&folder).map_err(|error| Fault::storage("look at", &folder, &error))? {
        let what = "the folder of the archive is there already; next: verify it or take it away";
        return Err(Fault::new(Code::EnvDir, what).of(&folder));
    }
    let mut list = ArchiveList {
        schema_version: SCHEMA.to_owned(),
        engine_version: env!("CARGO_PKG_VERSION").to_owned(),
        first_date: first_day.to_string(),
        last_date: last_day.to_string(),
        is_major: request.is_major,
        last_tick: end.tick,
        state_chain: end.state_chain,
        files: copy(dirs, &paths, &folder)?,
        key_id: signer.map(Signer::key_id),
        signature: None,
    };
    compare(&folder, &list)?;
    list.signature = match signer {
        Some(signer) => Some(signer.sign(&list.signed_bytes()?)),
        None => None,
    };
    files::write_whole(&folder.join(LIST), &to_canonical(&list)?, CLOSED_MODE)?;
    files::sync_dir(to)?;
    Ok(Archived { folder, list })
}

fn nothing(dirs: &EngineDirs) -> Fault {
    let what = "no closed day with its files and manifest is there to archive";
    Fault::new(Code::ManMissing, what).of(&dirs.manifests)
}

/// The last tick, when snapshot, logs and journal end with it: the engine was stopped and not killed.
fn clean_stop(dirs: &EngineDirs) -> Result<End, Fault> {
    let Some(tick) = snapshots::ticks(dirs)?.pop() else {
        let what = "there is no snapshot, so no engine has stopped here";
        return Err(Fault::new(Code::SnapMissing, what).of(&dirs.snapshots));
    };
    let path = dirs.snapshot(tick);
    let bytes = files::read(&path, SNAPSHOT_LEN_MAX)?;
    let view = SnapshotView::new(&bytes).map_err(|error| Fault::from(error).of(&path))?;
    let next = "next: start the service and stop it, or penstock replay --recover";
    for (token, _) in view.logs() {
        let mut last = None;
        if let Some((day, segment)) = segments(dirs, token)?.pop() {
            let path = dirs.log_file(token, day, segment);
            last = verify_segment(&path, &stored::read(&path, LOG_LEN_MAX)?)?.last_tick();
        }
        if last != Some(tick) {
            let what = format!("the log does not end with the newest snapshot; {next}");
            let fault = Fault::new(Code::SnapAheadOfLog, what).of_token(token);
            return Err(fault.differing(tick, last.unwrap_or(0)));
        }
    }
    let mut frame_seq = 0;
    let mut reader =
        JournalReader::from_tick(dirs, tick.saturating_sub(crate::layout::HOUR_TICKS))?;
    while let Some(entry) = reader.next_entry()? {
        frame_seq = entry.header.frame_seq.unsigned_abs();
    }
    // Missing ticks at the end may have outlived the last hour of frames.
    if frame_seq != view.header.frame_seq && frame_seq != 0 {
        let what = format!("the journal does not end with the newest snapshot's frame; {next}");
        let fault = Fault::new(Code::LogAheadOfJournal, what).of(&dirs.journal);
        return Err(fault.differing(view.header.frame_seq, frame_seq));
    }
    Ok(End { tick, state_chain: hex::encode(view.header.state_chain) })
}

/// Files of days by the names under which they were written.
fn of_days(dirs: &EngineDirs, there: &[Day]) -> Result<BTreeSet<PathBuf>, Fault> {
    let mut paths = BTreeSet::new();
    for day in there {
        let manifest = read_manifest(dirs, *day)?;
        paths.extend(files_of(dirs, *day, &manifest).into_iter().map(|file| file.path));
        paths.insert(dirs.manifest(*day));
        if manifest.genesis_sha256.is_some() {
            paths.insert(dirs.genesis());
        }
        for config in &manifest.configs {
            paths.insert(dirs.configs().join(format!("{}.json", config.sha256)));
        }
        for tick in [day.first_tick().saturating_sub(1), day.last_tick()] {
            let path = snapshots::place(dirs, tick)?;
            if stored::form(&path)?.is_some() {
                paths.insert(path);
            }
        }
    }
    for name in files::names(&dirs.keys())? {
        paths.insert(dirs.keys().join(name));
    }
    Ok(paths)
}

/// Everything under the engine's directories but locks, marks and what a crash left under a temporary name.
fn of_major(dirs: &EngineDirs) -> Result<BTreeSet<PathBuf>, Fault> {
    let mut paths = BTreeSet::new();
    for root in roots(dirs).map(|(_, root)| root) {
        for name in names_below(&root)? {
            let last = name.rsplit('/').next().unwrap_or_default();
            let is_mark = matches!(last, "LOCK" | "KEEP" | "GOING");
            if !is_mark && !last.ends_with(".tmp") && crate::tar::is_plain(&name) {
                paths.insert(root.join(stored::plain_name(&name)));
            }
        }
    }
    Ok(paths)
}

fn roots(dirs: &EngineDirs) -> [(&'static str, PathBuf); 7] {
    [
        ("log", dirs.log.clone()),
        ("journal", dirs.journal.clone()),
        ("snapshots", dirs.snapshots.clone()),
        ("alerts", dirs.alerts.clone()),
        ("transitions", dirs.transitions()),
        ("configs", dirs.configs()),
        ("manifests", dirs.manifests.clone()),
    ]
}

/// Copies files in the form in which they lie there; their list by name.
fn copy(
    dirs: &EngineDirs,
    paths: &BTreeSet<PathBuf>,
    folder: &Path,
) -> Result<Vec<ArchiveFile>, Fault> {
    let mut list = Vec::with_capacity(paths.len());
    for path in paths {
        let below = |(name, root): (&'static str, PathBuf)| {
            let rest = path.strip_prefix(root).ok()?.to_str()?;
            Some(format!("{name}/{rest}"))
        };
        let Some(name) = roots(dirs).into_iter().find_map(below) else {
            return Err(Fault::new(Code::Invariant, "a file of none of the directories").of(path));
        };
        let lies = stored::place(path)?;
        let target = folder.join(&name);
        let target = if lies == *path { target } else { stored::packed(&target) };
        files::make_dir(files::dir_of(&target))?;
        fs::copy(&lies, &target).map_err(|error| Fault::storage("copy to", &target, &error))?;
        files::set_mode(&target, CLOSED_MODE)?;
        let opened = fs::File::open(&target).and_then(|file| file.sync_all());
        opened.map_err(|error| Fault::storage("sync", &target, &error))?;
        files::sync_dir(files::dir_of(&target))?;
        let (hash, bytes) = Stored::open(path)?.digest()?;
        list.push(ArchiveFile { name, bytes, sha256: hex::encode(hash) });
    }
    list.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(list)
}
