//! Configurations by their hash: what a log or snapshot was made under, from the files alone.
//!
//! Input: the directory of archived configurations and a hash, or what begins with it. Output: the resolved
//! configuration. Invariants: a text is used only if it has the hash of its name; nothing is guessed when two
//! configurations would fit.

use crate::error::{Code, Fault};
use crate::files;
use crate::layout::EngineDirs;
use crate::log::{LOG_HEADER_LEN, LogHeader};
use crate::snapshots::{self, SNAPSHOT_LEN_MAX};
use crate::spans::all_segments;
use crate::stored::{self, Stored};
use penstock_engine::EngineConfig;
use penstock_engine::snapshot::SnapshotView;
use penstock_types::frame::sha256;

/// Most bytes of an archived configuration: 65,535 tokens of 2 KiB.
pub const CONFIG_LEN_MAX: u64 = 1 << 27;

/// The configuration of a hash.
///
/// # Errors
/// [`Code::ManMissing`] when it is not archived, [`Code::ManHash`] when its text is another,
/// [`Code::CfgParse`] and its kin when it cannot be run by this build.
pub fn of_sha256(dirs: &EngineDirs, hash: &[u8; 32]) -> Result<EngineConfig, Fault> {
    let path = dirs.config(hash);
    let Some(bytes) = files::read_if_there(&path, CONFIG_LEN_MAX)? else {
        let what = "the configuration is not archived; next: name the file that it came from \
                    (--config)";
        return Err(Fault::new(Code::ManMissing, what).of(&path));
    };
    let found = sha256(&bytes);
    if found != *hash {
        let what = "the archived configuration is another than its name says";
        let fault = Fault::new(Code::ManHash, what).of(&path);
        return Err(fault.differing(hex::encode(hash), hex::encode(found)));
    }
    let text = String::from_utf8(bytes).map_err(|_| {
        Fault::new(Code::CfgParse, "the archived configuration is no text").of(&path)
    })?;
    EngineConfig::parse(&text).map_err(|error| Fault::from(error).of(&path))
}

/// Hashes of what is archived, ascending.
///
/// # Errors
/// [`Code::Storage`].
pub fn hashes(dirs: &EngineDirs) -> Result<Vec<[u8; 32]>, Fault> {
    let of = |name: &String| -> Option<[u8; 32]> {
        hex::decode(name.strip_suffix(".json")?).ok()?.try_into().ok()
    };
    Ok(files::names(&dirs.configs())?.iter().filter_map(of).collect())
}

/// The configuration that the files under a folder were made under: the one whose hash begins as the newest log
/// says, else that of the newest snapshot.
///
/// # Errors
/// As [`of_sha256`]; [`Code::ManMissing`] when nothing says which one it is.
pub fn of_files(dirs: &EngineDirs) -> Result<EngineConfig, Fault> {
    if let Some(fingerprint) = newest_fingerprint(dirs)?
        && let Some(config) = of_fingerprint(dirs, fingerprint)?
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
    of_sha256(dirs, &view.header.config_sha256)
}

/// The one archived configuration whose hash begins as a log says; `None` when there is none, or more than one.
///
/// # Errors
/// As [`of_sha256`].
pub fn of_fingerprint(dirs: &EngineDirs, fingerprint: u32) -> Result<Option<EngineConfig>, Fault> {
    let fits = |hash: &[u8; 32]| LogHeader::fingerprint(hash) == fingerprint;
    let mut fitting = hashes(dirs)?.into_iter().filter(fits);
    match (fitting.next(), fitting.next()) {
        (Some(hash), None) => of_sha256(dirs, &hash).map(Some),
        (_, _) => Ok(None),
    }
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
