//! What of closed days may go, and its going: snapshots that close old days, then whole days, oldest first.
//!
//! Input: today, how long things are kept, which days had an order of ours. Output: what went, what stayed and
//! why. Invariants: manifests, public keys and configurations are never touched; a day goes whole, and only when
//! its manifest exists and verifies, nobody reads it and it was not compressed in the same run; that it goes is
//! written down first, so a crash in between cannot leave half a day that looks like one. It reads no clock.

use crate::archive::last_reset;
use crate::compress::{DayFile, files_of, pack_file, remove_if_there};
use crate::day_lock::{GOING, day_dir, try_exclusive};
use crate::error::{Code, Fault};
use crate::files;
use crate::hooks::{JanitorHooks, JanitorPoint};
use crate::layout::{Day, EngineDirs};
use crate::manifest::{days, read_manifest, verify_day};
use crate::snapshots;
use crate::stored::{self, packed};
use std::fs;
use std::path::{Path, PathBuf};

/// Name of the file that pins a day, in its journal directory.
const PIN: &str = "KEEP";
/// Newest snapshots that always stay where they are.
const SNAPSHOTS_KEPT: usize = 3;

/// How long what is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// The day that it is.
    pub today: Day,
    /// Days after which a closed day may go.
    pub keep_days: u64,
    /// The same for a day with an order of ours.
    pub keep_days_traded: u64,
    /// Days after which a snapshot that closes a day leaves the others.
    pub snapshot_keep_days: u64,
}

impl Policy {
    fn is_older(&self, day: Day, keep_days: u64) -> bool {
        day.0.saturating_add(keep_days) < self.today.0
    }
}

/// Why an old day stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The operator pinned it.
    Pinned,
    /// An order of ours was sent on it.
    Traded,
    /// Somebody reads it.
    Read,
    /// It was compressed in this very run.
    JustPacked,
}

impl Why {
    /// In a few words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pinned => "it is pinned; next: penstock engine keep DAY --release",
            Self::Traded => "an order of ours was sent on it",
            Self::Read => "an archive or an export reads it",
            Self::JustPacked => "it was compressed in this run",
        }
    }
}

/// A day that went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone {
    /// Day.
    pub day: Day,
    /// Bytes as they were stored.
    pub bytes: u64,
    /// It had an order of ours.
    pub is_traded: bool,
}

/// What a pass did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Done {
    /// Days that went, oldest first; in a rehearsal those that would.
    pub gone: Vec<Gone>,
    /// Old days that stay.
    pub kept: Vec<(Day, Why)>,
    /// Ticks of the snapshots that left the others.
    pub moved: Vec<u64>,
}

/// Which days had an order of ours.
pub type IsTraded<'a> = dyn Fn(Day) -> bool + 'a;

/// One pass: snapshots first, then days. `just_packed` are the days that this run has compressed; a rehearsal
/// says what would go and changes nothing.
///
/// # Errors
/// The first day that does not verify, with its code, and [`Code::Storage`]: nothing behind it is touched.
pub fn clean(
    dirs: &EngineDirs,
    policy: &Policy,
    is_traded: &IsTraded<'_>,
    just_packed: &[Day],
    is_rehearsal: bool,
    hooks: &JanitorHooks<'_>,
) -> Result<Done, Fault> {
    let mut done = Done::default();
    if !is_rehearsal {
        done.moved = move_snapshots(dirs, policy, hooks)?;
    }
    let reset = last_reset(dirs)?;
    for day in days(dirs)?.into_iter().filter(|day| reset.is_none_or(|at| day.last_tick() > at)) {
        if !policy.is_older(day, policy.keep_days) {
            continue;
        }
        let parts = parts_of(dirs, day)?;
        let is_going = is_there(&day_dir(dirs, day).join(GOING))?;
        if parts.is_empty() && !is_going {
            continue;
        }
        let traded = is_traded(day);
        let why = if is_going {
            None
        } else if is_pinned(dirs, day)? {
            Some(Why::Pinned)
        } else if traded && !policy.is_older(day, policy.keep_days_traded) {
            Some(Why::Traded)
        } else if just_packed.contains(&day) {
            Some(Why::JustPacked)
        } else {
            None
        };
        if let Some(why) = why {
            done.kept.push((day, why));
            continue;
        }
        let bytes = parts.iter().filter_map(|path| fs::metadata(path).ok()).map(|m| m.len()).sum();
        if is_rehearsal {
            done.gone.push(Gone { day, bytes, is_traded: traded });
            continue;
        }
        if remove(dirs, day, &parts, hooks)? {
            done.gone.push(Gone { day, bytes, is_traded: traded });
        } else {
            done.kept.push((day, Why::Read));
        }
    }
    Ok(done)
}

fn is_there(path: &Path) -> Result<bool, Fault> {
    fs::exists(path).map_err(|error| Fault::storage("look at", path, &error))
}

/// Everything of a day that would go, in either form.
fn parts_of(dirs: &EngineDirs, day: Day) -> Result<Vec<PathBuf>, Fault> {
    let manifest = read_manifest(dirs, day)?;
    let mut all: Vec<PathBuf> =
        files_of(dirs, day, &manifest).into_iter().map(|DayFile { path, .. }| path).collect();
    all.push(dirs.open_snapshot(day));
    let mut found = Vec::new();
    for path in all {
        for form in [path.clone(), packed(&path)] {
            if is_there(&form)? {
                found.push(form);
            }
        }
    }
    Ok(found)
}

/// Whether nothing of a day is left but its manifest.
///
/// # Errors
/// [`Code::Storage`], [`Code::ManHash`] for a manifest that is none.
pub fn has_gone(dirs: &EngineDirs, day: Day) -> Result<bool, Fault> {
    Ok(parts_of(dirs, day)?.is_empty())
}

/// Removes a day whole; false when somebody reads it.
fn remove(
    dirs: &EngineDirs,
    day: Day,
    parts: &[PathBuf],
    hooks: &JanitorHooks<'_>,
) -> Result<bool, Fault> {
    let dir = day_dir(dirs, day);
    files::make_dir(&dir)?;
    let Some(_lock) = try_exclusive(&dir)? else { return Ok(false) };
    hooks.pass(JanitorPoint::BeforeRemoval)?;
    let mark = dir.join(GOING);
    if !is_there(&mark)? {
        verify_day(dirs, day)?;
        files::write_whole(&mark, b"", 0o440)?;
    }
    hooks.pass(JanitorPoint::AfterRemovalMark)?;
    for path in parts {
        remove_if_there(path)?;
        hooks.pass(JanitorPoint::AfterRemovedFile)?;
    }
    // The names have to be gone before the mark is: a name that came back would be half a day.
    let mut touched: Vec<&Path> = parts.iter().map(|path| files::dir_of(path)).collect();
    touched.sort_unstable();
    touched.dedup();
    for dir in touched {
        files::sync_dir(dir)?;
    }
    hooks.pass(JanitorPoint::BeforeRemovalEnd)?;
    remove_if_there(&mark)?;
    match fs::remove_dir(&dir) {
        // A cut or a foreign file stays until the operator takes it.
        Ok(()) | Err(_) => files::sync_dir(&dirs.journal)?,
    }
    Ok(true)
}

/// Snapshots that close old days go, compressed, to the days that they open; one that opens a day which has gone
/// goes too.
fn move_snapshots(
    dirs: &EngineDirs,
    policy: &Policy,
    hooks: &JanitorHooks<'_>,
) -> Result<Vec<u64>, Fault> {
    let ticks = snapshots::ticks(dirs)?;
    let old = &ticks[..ticks.len().saturating_sub(SNAPSHOTS_KEPT)];
    let have = days(dirs)?;
    let mut moved = Vec::new();
    for tick in old {
        let day = Day::of(*tick);
        let opened = Day(day.0 + 1);
        let is_due = *tick == day.last_tick() && policy.is_older(day, policy.snapshot_keep_days);
        if !is_due || !have.contains(&day) {
            continue;
        }
        let from = dirs.snapshot(*tick);
        let sha256 = read_manifest(dirs, day)?.snapshot_close_sha256;
        if day_dir(dirs, opened).is_dir() {
            let Some(_lock) = try_exclusive(&day_dir(dirs, opened))? else { continue };
            pack_file(&from, &dirs.open_snapshot(opened), &sha256, hooks)?;
        } else if have.contains(&opened) {
            remove_if_there(&from)?;
            files::sync_dir(&dirs.snapshots)?;
        } else {
            continue;
        }
        moved.push(*tick);
    }
    Ok(moved)
}

fn is_pinned(dirs: &EngineDirs, day: Day) -> Result<bool, Fault> {
    is_there(&day_dir(dirs, day).join(PIN))
}

/// Pins a day, or releases it; whether that changed anything.
///
/// # Errors
/// [`Code::ManMissing`] when nothing of the day is there, [`Code::Storage`].
pub fn keep(dirs: &EngineDirs, day: Day, is_released: bool) -> Result<bool, Fault> {
    let dir = day_dir(dirs, day);
    if !dir.is_dir() {
        let what = "nothing of the day is there to keep";
        return Err(Fault::new(Code::ManMissing, what).of(&dir));
    }
    let path = dir.join(PIN);
    let was = is_pinned(dirs, day)?;
    match (was, is_released) {
        (false, false) => files::write_whole(&path, b"", 0o440)?,
        (true, true) => {
            remove_if_there(&path)?;
            files::sync_dir(&dir)?;
        }
        (true, false) | (false, true) => {}
    }
    Ok(was == is_released)
}

/// Days that are pinned, ascending.
///
/// # Errors
/// [`Code::Storage`].
pub fn pinned(dirs: &EngineDirs) -> Result<Vec<Day>, Fault> {
    let mut found = Vec::new();
    for name in stored::names(&dirs.journal)? {
        if let Some(day) = Day::parse(&name)
            && is_pinned(dirs, day)?
        {
            found.push(day);
        }
    }
    Ok(found)
}
