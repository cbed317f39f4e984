//! The crash points of the engine's files by name: in a test build a configured one ends the process there.
//!
//! Input: a point that the files pass. Output: nothing, or the end by SIGKILL. Invariants: every point has its
//! own name, `engine.` and the point's own in snake case; a build without failpoints passes them without a look.
//! The points themselves, and what holds at each, stand with the writer of the files.

use penstock_engine_io::{CrashPoint, Hooks};

use crate::desk::failpoints;

/// Name of a point, as the variable `FAILPOINTS` takes it.
#[must_use]
pub const fn name(point: CrashPoint) -> &'static str {
    match point {
        CrashPoint::BeforeJournalWrite => "engine.before_journal_write",
        CrashPoint::AfterJournalWrite => "engine.after_journal_write",
        CrashPoint::BeforeLogAppend => "engine.before_log_append",
        CrashPoint::BeforeAlertAppend => "engine.before_alert_append",
        CrashPoint::AfterAlertAppend => "engine.after_alert_append",
        CrashPoint::BeforeSnapshotSync => "engine.before_snapshot_sync",
        CrashPoint::AfterJournalSync => "engine.after_journal_sync",
        CrashPoint::AfterLogSync => "engine.after_log_sync",
        CrashPoint::BeforeSnapshotWrite => "engine.before_snapshot_write",
        CrashPoint::AfterSnapshotWrite => "engine.after_snapshot_write",
        CrashPoint::AfterSnapshotRename => "engine.after_snapshot_rename",
        CrashPoint::AfterSnapshotSync => "engine.after_snapshot_sync",
        CrashPoint::BeforeRotation => "engine.before_rotation",
        CrashPoint::AfterRotation => "engine.after_rotation",
    }
}

/// What happens at the points in this build.
pub(super) fn hooks() -> Hooks {
    if !fail::has_failpoints() {
        return Hooks::none();
    }
    Hooks::staged(|point| {
        failpoints::pass(name(point));
        // Who comes back goes on.
        false
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The word of an identifier: `AfterRotation` as `after_rotation`.
    fn snake(camel: &str) -> String {
        let mut word = String::new();
        for letter in camel.chars() {
            if letter.is_ascii_uppercase() && !word.is_empty() {
                word.push('_');
            }
            word.push(letter.to_ascii_lowercase());
        }
        word
    }

    #[test]
    fn every_point_has_the_name_of_its_own_word() {
        for point in CrashPoint::ALL {
            assert_eq!(name(point), format!("engine.{}", snake(&format!("{point:?}"))));
        }
    }
}
