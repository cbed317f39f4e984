//! Snapshots on disk: written whole or not at all, found newest first, kept as long as they are needed.
//!
//! Input: bytes of a snapshot; a directory. Output: files; or the snapshots that are there with what is wrong
//! with them. Invariants: nothing is overwritten in place; the newest snapshot is never removed; a damaged one
//! is named with its code and never loaded, and no other is taken in its place unless somebody asks for it.

use crate::error::{Code, Fault};
use crate::files;
use crate::hooks::{CrashPoint, Hooks};
use crate::layout::{DAY_TICKS, Day, EngineDirs, snapshot_tick};
use crate::stored;
use penstock_engine::snapshot::{SnapshotContext, SnapshotView};
use penstock_engine::{Engine, EngineConfig};
use std::fs;
use std::path::PathBuf;

/// Most bytes of a snapshot: header, blocks of 65,535 tokens and 255 clusters.
pub const SNAPSHOT_LEN_MAX: u64 = 256 + 255 * 128 + 65_535 * 2_304 + 32;
/// Newest snapshots that are always kept.
const KEPT: usize = 3;

/// Ticks of the snapshots that are there, ascending.
///
/// # Errors
/// [`Code::Storage`].
pub fn ticks(dirs: &EngineDirs) -> Result<Vec<u64>, Fault> {
    let names = files::names(&dirs.snapshots)?;
    Ok(names.iter().filter_map(|name| snapshot_tick(name)).collect())
}

/// The same with those that lie in the journal of the day that they open.
///
/// # Errors
/// [`Code::Storage`].
pub fn all_ticks(dirs: &EngineDirs) -> Result<Vec<u64>, Fault> {
    let mut found = ticks(dirs)?;
    for name in files::names(&dirs.journal)? {
        let Some(day) = Day::parse(&name) else { continue };
        if stored::form(&dirs.open_snapshot(day))?.is_some() {
            found.push(day.first_tick().saturating_sub(1));
        }
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// Where the snapshot of a tick lies: among the others, or, when it closes a day that is old, compressed in the
/// journal of the day that it opens.
///
/// # Errors
/// [`Code::Storage`].
pub fn place(dirs: &EngineDirs, tick: u64) -> Result<PathBuf, Fault> {
    let path = dirs.snapshot(tick);
    if tick % DAY_TICKS == DAY_TICKS - 1 && stored::form(&path)?.is_none() {
        let moved = dirs.open_snapshot(Day(Day::of(tick).0 + 1));
        if stored::form(&moved)?.is_some() {
            return Ok(moved);
        }
    }
    Ok(path)
}

/// A snapshot that was loaded.
#[derive(Debug)]
pub struct Loaded {
    /// Its tick.
    pub tick: u64,
    /// The engine.
    pub engine: Engine,
    /// What the snapshot says beside the state.
    pub context: SnapshotContext,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Tick of a snapshot, and the snapshot or what is wrong with it.
pub type Surveyed = (u64, Result<Loaded, Fault>);

/// Loads the snapshot of a tick.
///
/// # Errors
/// The code of what is wrong with it, with its file.
pub fn load(dirs: &EngineDirs, config: &EngineConfig, tick: u64) -> Result<Loaded, Fault> {
    let path = place(dirs, tick)?;
    let bytes = stored::read(&path, SNAPSHOT_LEN_MAX)?;
    let (engine, context) =
        Engine::import(config, &bytes).map_err(|error| Fault::from(error).of(&path))?;
    if engine.last_tick() != Some(tick) {
        let what = "the snapshot is not of the tick that its name says";
        let fault = Fault::new(Code::SnapChecksum, what).of(&path).in_tick(tick);
        return Err(fault.differing(tick, engine.last_tick().unwrap_or(0)));
    }
    Ok(Loaded { tick, engine, context, bytes })
}

/// The same under whatever configuration it was written: `known` if it is that one, else the archived one.
///
/// # Errors
/// As [`load`]; [`Code::ManMissing`] and its kin when the configuration is not archived.
pub fn load_archived(dirs: &EngineDirs, known: &EngineConfig, tick: u64) -> Result<Loaded, Fault> {
    let bytes = read_checked(dirs, tick)?;
    let path = place(dirs, tick)?;
    let view = SnapshotView::new(&bytes).map_err(|error| Fault::from(error).of(&path))?;
    let sha256 = view.header.config_sha256;
    if sha256 == known.sha256() {
        return load(dirs, known, tick);
    }
    load(dirs, &crate::archived::of_sha256(dirs, &sha256)?, tick)
}

/// The bytes of a snapshot of which every hash and CRC holds; what they say is not judged.
///
/// # Errors
/// [`Code::SnapChecksum`], [`Code::SnapVersion`] with its file; [`Code::Storage`].
pub fn read_checked(dirs: &EngineDirs, tick: u64) -> Result<Vec<u8>, Fault> {
    let path = place(dirs, tick)?;
    let bytes = stored::read(&path, SNAPSHOT_LEN_MAX)?;
    SnapshotView::new(&bytes).map_err(|error| Fault::from(error).of(&path))?;
    Ok(bytes)
}

/// Every snapshot, newest first, with what is wrong with it: what an operator chooses from.
///
/// # Errors
/// [`Code::Storage`] when the directory cannot be listed.
pub fn survey(dirs: &EngineDirs, config: &EngineConfig) -> Result<Vec<Surveyed>, Fault> {
    let mut ticks = ticks(dirs)?;
    ticks.reverse();
    Ok(ticks.into_iter().map(|tick| (tick, load(dirs, config, tick))).collect())
}

/// Writes a snapshot: steps 3 to 7 of its procedure, after journal, logs and streams are on disk.
pub(crate) fn write(
    dirs: &EngineDirs,
    tick: u64,
    bytes: &[u8],
    hooks: &Hooks,
) -> Result<PathBuf, Fault> {
    let path = dirs.snapshot(tick);
    if let Some(had) = files::read_if_there(&path, SNAPSHOT_LEN_MAX)? {
        if had == bytes {
            return Ok(path);
        }
        let what = "the snapshot of this tick exists with other bytes";
        return Err(Fault::new(Code::Determinism, what).of(&path).in_tick(tick));
    }
    let temporary = files::beside(&path, ".tmp");
    hooks.pass(CrashPoint::BeforeSnapshotWrite)?;
    files::write_new(&temporary, bytes)?;
    hooks.pass(CrashPoint::AfterSnapshotWrite)?;
    fs::rename(&temporary, &path).map_err(|error| Fault::storage("rename to", &path, &error))?;
    hooks.pass(CrashPoint::AfterSnapshotRename)?;
    files::sync_dir(&dirs.snapshots)?;
    hooks.pass(CrashPoint::AfterSnapshotSync)?;
    Ok(path)
}

/// Removes what is no longer needed: all but the newest three and those that close a day, and what a crash left
/// under a temporary name. A day's closing snapshot is where the next day's proof begins; it goes when its day
/// goes.
///
/// # Errors
/// [`Code::Storage`].
pub fn prune(dirs: &EngineDirs) -> Result<Vec<u64>, Fault> {
    let ticks = ticks(dirs)?;
    let old = &ticks[..ticks.len().saturating_sub(KEPT)];
    let is_kept = |tick: &u64| tick % DAY_TICKS == DAY_TICKS - 1;
    let gone: Vec<u64> = old.iter().copied().filter(|tick| !is_kept(tick)).collect();
    for tick in &gone {
        let path = dirs.snapshot(*tick);
        fs::remove_file(&path).map_err(|error| Fault::storage("remove", &path, &error))?;
    }
    for name in files::names(&dirs.snapshots)? {
        if name.strip_suffix(".tmp").and_then(snapshot_tick).is_some() {
            let path = dirs.snapshots.join(name);
            fs::remove_file(&path).map_err(|error| Fault::storage("remove", &path, &error))?;
        }
    }
    Ok(gone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_three_and_the_closed_days_stay() {
        let dir = tempfile::tempdir().unwrap();
        let dirs = EngineDirs::under(dir.path());
        files::make_dir(&dirs.snapshots).unwrap();
        let close = |day: u64| Day(day).last_tick();
        let all = [close(10), close(11), close(18), close(18) + 1_201, close(18) + 2_401];
        let last = [close(18) + 3_601, close(18) + 4_801];
        for tick in all.iter().chain(&last) {
            write(&dirs, *tick, b"x", &Hooks::none()).unwrap();
        }
        fs::write(files::beside(&dirs.snapshot(5), ".tmp"), b"torn").unwrap();
        let gone = prune(&dirs).unwrap();
        assert_eq!(gone, [close(18) + 1_201]);
        let kept = [close(10), close(11), close(18), close(18) + 2_401, last[0], last[1]];
        assert_eq!(ticks(&dirs).unwrap(), kept);
        assert_eq!(files::names(&dirs.snapshots).unwrap().len(), 6);
        assert_eq!(write(&dirs, last[0], b"x", &Hooks::none()).unwrap(), dirs.snapshot(last[0]));
        let fault = write(&dirs, last[0], b"y", &Hooks::none()).unwrap_err();
        assert_eq!(fault.code, Code::Determinism);
    }
}
