//! Which configuration the files under a folder were made under, from the files alone.
//!
//! Input: logs, snapshots, archived configurations. Output: one of the latter. Invariant: nothing is guessed when
//! neither log nor snapshot says which one it is.

use crate::archived;
use crate::error::{Code, Fault};
use crate::layout::EngineDirs;
use crate::log::{LOG_HEADER_LEN, LogHeader};
use crate::snapshots::{self, SNAPSHOT_LEN_MAX};
use crate::spans::all_segments;
use crate::stored::{self, Stored};
use penstock_engine::EngineConfig;
use penstock_engine::snapshot::SnapshotView;

/// The configuration that the files under a folder were made under: the one whose hash begins as the newest log
/// says, else that of the newest snapshot.
///
/// # Errors
/// As [`archived::of_sha256`]; [`Code::ManMissing`] when nothing says which one it is.
pub fn config_of(dirs: &EngineDirs) -> Result<EngineConfig, Fault> {
    if let Some(fingerprint) = newest_fingerprint(dirs)?
        && let Some(config) = archived::of_fingerprint(dirs, fingerprint)?
    {
        return Ok(config);
    }
    let Some(tick) = snapshots::ticks(dirs)?.pop() else {
        let what = "neither log nor snapshot says which archived configuration it was made under; \
                    next: name the file that it came from (--config)";
        return Err(Fault::new(Code::ManMissing, what).of(&dirs.configs()));
    };
    let path = dirs.snapshot(tick);
    let bytes = stored::read(&path, SNAPSHOT_LEN_MAX)?;
    let view = SnapshotView::new(&bytes).map_err(|error| Fault::from(error).of(&path))?;
    archived::of_sha256(dirs, &view.header.config_sha256)
}

/// Fingerprint of the newest log.
fn newest_fingerprint(dirs: &EngineDirs) -> Result<Option<u32>, Fault> {
    let Some(((day, segment), tokens)) = all_segments(dirs)?.pop_last() else { return Ok(None) };
    let Some(token) = tokens.first().copied() else { return Ok(None) };
    let path = dirs.log_file(token, day, segment);
    let mut head = [0; LOG_HEADER_LEN];
    Stored::open(&path)?.fill(&mut head)?;
    let header = LogHeader::decode(&head).map_err(|fault| fault.of(&path))?;
    Ok(Some(header.fingerprint))
}
