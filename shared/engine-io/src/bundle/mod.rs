//! A closed day in one file, from which anybody can verify it with nothing else at hand.
//!
//! Purpose: hand a day out. Inputs: the engine's directories and a day that has its manifest; or the file.
//! Outputs: a tape archive; or what was verified. Invariants: the same files give the same bytes; nothing secret
//! and no path of a machine is in it; every byte of it is bound by a hash, and what matters by the manifests.
//!
//! ```text
//! BUNDLE.json · alerts/ configs/ journal/ log/ manifests/ snapshots/ transitions/ as the engine keeps them
//! lead/<token>.bin   header of the log of the day before and the chunks with its last 3,600 records
//! lead/<token>.json  segment, number of the first chunk, the way of each chunk to the day's root of records
//! ```

mod lead;
mod verify;
mod write;

pub use verify::{Verified, check_bundle, verify_bundle};
pub use write::export_day;

use crate::error::{Code, Fault};
use penstock_types::canonical;
use serde::{Deserialize, Serialize};

/// Name of the index.
const INDEX: &str = "BUNDLE.json";
/// Most bytes of the index or of a document of chunks.
const INDEX_LEN_MAX: u64 = 1 << 27;

/// A file of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BundleFile {
    /// Name.
    pub name: String,
    /// Bytes, as they stand in the bundle.
    pub bytes: u64,
    /// SHA-256 of them.
    pub sha256: String,
}

/// The index of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BundleIndex {
    /// Version of the document.
    pub schema_version: String,
    /// Version of the engine that made the day.
    pub engine_version: String,
    /// Day.
    pub date: String,
    /// Files in their order, this one left out.
    pub files: Vec<BundleFile>,
}

impl BundleIndex {
    /// Reads an index; its bytes must be canonical.
    ///
    /// # Errors
    /// [`Code::ManHash`] when the bytes are not those of an index.
    pub fn parse(bytes: &[u8]) -> Result<Self, Fault> {
        let index: Self = of_canonical(bytes)?;
        let mut names: Vec<&str> = index.files.iter().map(|file| file.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        if names.len() == index.files.len() && names.into_iter().all(crate::tar::is_plain) {
            Ok(index)
        } else {
            Err(Fault::new(Code::ManHash, "the index names a file twice or outside of the bundle"))
        }
    }
}

/// A document whose bytes are canonical.
fn of_canonical<T: Serialize + for<'de> Deserialize<'de>>(bytes: &[u8]) -> Result<T, Fault> {
    let refuse = |what: String| Fault::new(Code::ManHash, what);
    let value: T = serde_json::from_slice(bytes)
        .map_err(|error| refuse(format!("a document of the bundle: {error}")))?;
    if to_canonical(&value)? == bytes {
        Ok(value)
    } else {
        Err(refuse("a document of the bundle is not canonical".to_owned()))
    }
}

fn to_canonical(value: &impl Serialize) -> Result<Vec<u8>, Fault> {
    canonical::to_bytes(value).map_err(|error| Fault::new(Code::Invariant, error.to_string()))
}
