//! Archives of closed days or of a whole major version, and the hard reset that an archive allows.
//!
//! Purpose: old formats are kept readable as files, never as branches of the engine. Inputs: the engine's
//! directories, days, a key. Outputs: a folder with a signed list of its files; moved directories and the
//! document of a reset. Invariants: archiving deletes nothing and reads back what it wrote; a reset happens only
//! over an archive that verifies and ends where the engine stopped; nothing is mixed.

mod reset;
mod verify;
mod write;

pub use reset::reset;
pub use verify::verify_archive;
pub use write::{Archived, Request, archive};

use crate::error::{Code, Fault};
use crate::files;
use crate::layout::EngineDirs;
use penstock_types::canonical;
use serde::{Deserialize, Serialize};

/// Name of the list of files.
pub const LIST: &str = "ARCHIVE.json";
/// Most bytes of a document of this module: a hundred thousand files.
pub const DOCUMENT_LEN_MAX: u64 = 1 << 26;

/// A file of an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArchiveFile {
    /// Name under which it was written; in the archive it may have its compressed form.
    pub name: String,
    /// Bytes, uncompressed.
    pub bytes: u64,
    /// SHA-256 of them.
    pub sha256: String,
}

/// The list of an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArchiveList {
    /// Version of the files.
    pub schema_version: String,
    /// Version of the engine that made it.
    pub engine_version: String,
    /// First day.
    pub first_date: String,
    /// Last day.
    pub last_date: String,
    /// It holds everything of the major, to the last tick.
    pub is_major: bool,
    /// Last tick.
    pub last_tick: u64,
    /// State chain after it.
    pub state_chain: String,
    /// Files by name, the list left out.
    pub files: Vec<ArchiveFile>,
    /// Key.
    pub key_id: Option<String>,
    /// Signature over everything else.
    pub signature: Option<String>,
}

/// The document of a hard reset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Genesis {
    /// Version that begins.
    pub schema_version: String,
    /// Version that ended.
    pub prev_schema: String,
    /// SHA-256 of the list of its archive.
    pub archive_sha256: String,
    /// Its last tick.
    pub last_tick: u64,
    /// State chain after that tick.
    pub last_state_chain: String,
}

fn of_canonical<T: Serialize + for<'de> Deserialize<'de>>(bytes: &[u8]) -> Result<T, Fault> {
    let refuse = |what: String| Fault::new(Code::ManHash, what);
    let value: T = serde_json::from_slice(bytes)
        .map_err(|error| refuse(format!("the document cannot be read: {error}")))?;
    if to_canonical(&value)? == bytes {
        Ok(value)
    } else {
        Err(refuse("the document is not canonical".to_owned()))
    }
}

fn to_canonical(value: &impl Serialize) -> Result<Vec<u8>, Fault> {
    canonical::to_bytes(value).map_err(|error| Fault::new(Code::Invariant, error.to_string()))
}

/// Last tick before the newest hard reset: days up to it are read by the reader of their own major.
///
/// # Errors
/// [`Code::ManHash`] for a document that is none, [`Code::Storage`].
pub fn last_reset(dirs: &EngineDirs) -> Result<Option<u64>, Fault> {
    let path = dirs.genesis();
    let Some(bytes) = files::read_if_there(&path, DOCUMENT_LEN_MAX)? else { return Ok(None) };
    let genesis = Genesis::parse(&bytes).map_err(|fault| fault.of(&path))?;
    Ok(Some(genesis.last_tick))
}

impl Genesis {
    /// Reads the document; its bytes must be canonical.
    ///
    /// # Errors
    /// [`Code::ManHash`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Fault> {
        of_canonical(bytes)
    }
}

impl ArchiveList {
    /// Reads a list; its bytes must be canonical and its names plain.
    ///
    /// # Errors
    /// [`Code::ManHash`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Fault> {
        let list: Self = of_canonical(bytes)?;
        let mut names: Vec<&str> = list.files.iter().map(|file| file.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        if names.len() == list.files.len() && names.into_iter().all(crate::tar::is_plain) {
            Ok(list)
        } else {
            Err(Fault::new(Code::ManHash, "the list names a file twice or outside of the archive"))
        }
    }

    /// What the signature is over: everything but itself.
    ///
    /// # Errors
    /// [`Code::Invariant`] when a number has no canonical form.
    pub fn signed_bytes(&self) -> Result<Vec<u8>, Fault> {
        let failed = |error: String| Fault::new(Code::Invariant, error);
        let mut value = serde_json::to_value(self).map_err(|error| failed(error.to_string()))?;
        if let Some(fields) = value.as_object_mut() {
            fields.remove("signature");
        }
        to_canonical(&value)
    }

    /// Number before the point of the version.
    #[must_use]
    pub fn major(&self) -> Option<u16> {
        major_of(&self.schema_version)
    }
}

/// Number before the point of a version.
pub(crate) fn major_of(schema: &str) -> Option<u16> {
    schema.split_once('.').and_then(|(major, _)| major.parse().ok())
}
