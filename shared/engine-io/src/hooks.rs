//! Places at which tests stage a crash, of the writer and of the janitor; the product passes them without a look.
//!
//! Input: a place. Output: nothing, or the fault that a kill at this place would be. Invariant: without a test that
//! says so nothing happens. It knows no file.

use crate::error::{Code, Fault};
use std::fmt;
use std::sync::Arc;

/// Places at which a crash is staged in tests; the product passes them without a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CrashPoint {
    /// The frame has not been written.
    BeforeJournalWrite,
    /// Frame and block are written, the tick is not executed.
    AfterJournalWrite,
    /// The records of a tick are not handed to the logs.
    BeforeLogAppend,
    /// The records of a tick are in the logs, its alerts in no stream.
    BeforeAlertAppend,
    /// Alerts and transitions of a tick are appended.
    AfterAlertAppend,
    /// A snapshot is due, nothing is synced.
    BeforeSnapshotSync,
    /// The journal is on disk, the logs are not.
    AfterJournalSync,
    /// Journal, logs and streams are on disk.
    AfterLogSync,
    /// Nothing of the snapshot exists.
    BeforeSnapshotWrite,
    /// The snapshot is on disk under its temporary name.
    AfterSnapshotWrite,
    /// It has its name.
    AfterSnapshotRename,
    /// Its name is on disk.
    AfterSnapshotSync,
    /// The day's last tick is on disk, its files are not closed.
    BeforeRotation,
    /// The day's files are closed.
    AfterRotation,
}

impl CrashPoint {
    /// Every point.
    pub const ALL: [Self; 14] = [
        Self::BeforeJournalWrite,
        Self::AfterJournalWrite,
        Self::BeforeLogAppend,
        Self::BeforeAlertAppend,
        Self::AfterAlertAppend,
        Self::BeforeSnapshotSync,
        Self::AfterJournalSync,
        Self::AfterLogSync,
        Self::BeforeSnapshotWrite,
        Self::AfterSnapshotWrite,
        Self::AfterSnapshotRename,
        Self::AfterSnapshotSync,
        Self::BeforeRotation,
        Self::AfterRotation,
    ];
}

type Hook = dyn Fn(CrashPoint) -> bool + Send + Sync;

/// What happens at the crash points: nothing, or what a test says.
#[derive(Clone)]
pub struct Hooks(Option<Arc<Hook>>);

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Hooks(staged)" } else { "Hooks(none)" })
    }
}

impl Hooks {
    /// Nothing happens.
    #[must_use]
    pub const fn none() -> Self {
        Self(None)
    }

    /// Everything ends, as a kill would end it, at a point for which `crashes` is true.
    #[must_use]
    pub fn staged(crashes: impl Fn(CrashPoint) -> bool + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(crashes)))
    }

    pub(crate) fn pass(&self, point: CrashPoint) -> Result<(), Fault> {
        match &self.0 {
            Some(crashes) if crashes(point) => {
                Err(Fault::new(Code::Storage, format!("a staged crash at {point:?}")))
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// Places at which a crash of the janitor is staged in tests; the product passes them without a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum JanitorPoint {
    /// Nothing has been done for this file.
    BeforePack,
    /// The compressed bytes are on disk under a temporary name.
    AfterPack,
    /// They unpack to what they should.
    AfterCompare,
    /// They have their name.
    AfterRename,
    /// The name is on disk.
    AfterSync,
    /// The raw file is gone.
    AfterUnlink,
    /// A day is due and nothing of it is gone.
    BeforeRemoval,
    /// It is written down that the day goes.
    AfterRemovalMark,
    /// One more file of it is gone.
    AfterRemovedFile,
    /// Everything is gone but the mark.
    BeforeRemovalEnd,
}

impl JanitorPoint {
    /// Every point.
    pub const ALL: [Self; 10] = [
        Self::BeforePack,
        Self::AfterPack,
        Self::AfterCompare,
        Self::AfterRename,
        Self::AfterSync,
        Self::AfterUnlink,
        Self::BeforeRemoval,
        Self::AfterRemovalMark,
        Self::AfterRemovedFile,
        Self::BeforeRemovalEnd,
    ];
}

/// What happens at these places: nothing, or what a test says.
#[derive(Default)]
pub struct JanitorHooks<'a>(Option<&'a dyn Fn(JanitorPoint) -> bool>);

impl fmt::Debug for JanitorHooks<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "JanitorHooks(staged)" } else { "JanitorHooks(none)" })
    }
}

impl<'a> JanitorHooks<'a> {
    /// Nothing happens.
    #[must_use]
    pub const fn none() -> Self {
        Self(None)
    }

    /// Everything ends at a point for which `crashes` is true.
    #[must_use]
    pub const fn staged(crashes: &'a dyn Fn(JanitorPoint) -> bool) -> Self {
        Self(Some(crashes))
    }

    pub(crate) fn pass(&self, point: JanitorPoint) -> Result<(), Fault> {
        match self.0 {
            Some(crashes) if crashes(point) => {
                Err(Fault::new(Code::Storage, format!("a staged crash at {point:?}")))
            }
            Some(_) | None => Ok(()),
        }
    }
}
