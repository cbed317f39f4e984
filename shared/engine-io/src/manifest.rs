//! The daily manifest: what a closed day consists of, chained to the days before and signed.
//!
//! Purpose: one small file that commits to every byte of a day, so that a third party needs nothing else to
//! trust. Invariants: it names only closed files; it is written once and whole; its bytes are canonical.

mod build;
mod verify;

pub use build::{Facts, close_day, days, missing_days, write_missing};
pub use verify::{Verified, read_manifest, verify_day, verify_document, verify_signature};

use crate::error::{Code, Fault};
use penstock_types::canonical;
use serde::{Deserialize, Serialize};

/// Most bytes of a manifest: 65,535 tokens of 400 bytes.
const MANIFEST_LEN_MAX: u64 = 1 << 26;

/// A configuration of the day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigEntry {
    /// First tick under it.
    pub from_tick: u64,
    /// SHA-256 of its canonical text, under which it is archived.
    pub sha256: String,
    /// SHA-256 of the bindings of ingest's run; null when the caller has none.
    pub bindings_hash: Option<String>,
}

/// A segment of a token's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenEntry {
    /// Token.
    pub token_id: u16,
    /// Its name.
    pub symbol: String,
    /// Its cluster.
    pub cluster_id: u8,
    /// Segment.
    pub segment: u16,
    /// First tick.
    pub first_tick: u64,
    /// Last tick.
    pub last_tick: u64,
    /// Records.
    pub records: u64,
    /// Bytes, uncompressed.
    pub bytes: u64,
    /// SHA-256 of the file.
    pub sha256: String,
    /// Root over its chunks of records.
    pub record_root: String,
}

/// A file of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Name within the day's directory.
    pub name: String,
    /// SHA-256.
    pub sha256: String,
    /// Bytes, uncompressed.
    pub bytes: u64,
}

/// The journal of the day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JournalEntry {
    /// Files by name.
    pub files: Vec<FileEntry>,
    /// SHA-256 of the first frame; null for a day that is a gap.
    pub first_frame_sha256: Option<String>,
    /// SHA-256 of the last frame.
    pub last_frame_sha256: Option<String>,
}

/// A stream of the day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamEntry {
    /// Lines.
    pub count: u64,
    /// SHA-256 of the file; that of nothing when there is none.
    pub sha256: String,
}

/// A day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Day.
    pub date: String,
    /// Version of the document.
    pub schema_version: String,
    /// Version of the engine.
    pub engine_version: String,
    /// SHA-256 of the program that ran it.
    pub engine_sha256: String,
    /// Configurations.
    pub configs: Vec<ConfigEntry>,
    /// Segments by token and number.
    pub tokens: Vec<TokenEntry>,
    /// Root over the segments.
    pub day_root: String,
    /// Journal.
    pub journal: JournalEntry,
    /// Alerts.
    pub alerts: StreamEntry,
    /// Transitions.
    pub transitions: StreamEntry,
    /// State chain before the day's first tick.
    pub state_chain_open: String,
    /// State chain after its last.
    pub state_chain_close: String,
    /// SHA-256 of the snapshot of its last tick.
    pub snapshot_close_sha256: String,
    /// Ticks that nobody sealed.
    pub gap_fill_ticks: u64,
    /// Ticks with a degraded token.
    pub degraded_ticks: u64,
    /// Longest tick; null when it is not known any more.
    pub max_tick_us: Option<u64>,
    /// Sealed ticks of a whole day's, in millionths.
    pub uptime_ppm: u64,
    /// SHA-256 of the newest earlier manifest.
    pub prev_manifest_sha256: Option<String>,
    /// SHA-256 of GENESIS.json on the first day after a hard reset.
    pub genesis_sha256: Option<String>,
    /// Written more than a minute after the day.
    pub late: bool,
    /// When it was written.
    pub written_at_ms: u64,
    /// Key.
    pub key_id: Option<String>,
    /// Signature over everything else.
    pub signature: Option<String>,
}

impl Manifest {
    /// Reads a manifest; its bytes must be canonical.
    ///
    /// # Errors
    /// [`Code::ManHash`] when the bytes are not those of a manifest.
    pub fn parse(bytes: &[u8]) -> Result<Self, Fault> {
        let refuse = |what: String| Fault::new(Code::ManHash, what);
        let manifest: Self = serde_json::from_slice(bytes)
            .map_err(|error| refuse(format!("the bytes are no manifest: {error}")))?;
        if manifest.bytes()? == bytes {
            Ok(manifest)
        } else {
            Err(refuse("the manifest is not canonical".to_owned()))
        }
    }

    /// The canonical bytes.
    ///
    /// # Errors
    /// [`Code::Invariant`] when a number has no canonical form.
    pub fn bytes(&self) -> Result<Vec<u8>, Fault> {
        canonical::to_bytes(self).map_err(|error| Fault::new(Code::Invariant, error.to_string()))
    }

    /// What the signature is over: everything but itself.
    ///
    /// # Errors
    /// As [`Manifest::bytes`].
    pub fn signed_bytes(&self) -> Result<Vec<u8>, Fault> {
        let failed = |error: String| Fault::new(Code::Invariant, error);
        let mut value = serde_json::to_value(self).map_err(|error| failed(error.to_string()))?;
        if let Some(fields) = value.as_object_mut() {
            fields.remove("signature");
        }
        canonical::to_bytes(&value).map_err(|error| failed(error.to_string()))
    }
}
