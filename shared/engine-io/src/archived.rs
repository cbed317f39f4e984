//! Archived configurations by their hash.
//!
//! Input: the directory of archived configurations and a hash, or what begins with it. Output: the resolved
//! configuration. Invariants: a text is used only if it has the hash of its name; nothing is guessed when two
//! configurations would fit.

use crate::error::{Code, Fault};
use crate::files;
use crate::layout::EngineDirs;
use crate::log::LogHeader;
use penstock_engine::EngineConfig;
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
