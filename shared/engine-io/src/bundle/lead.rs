//! The end of the log of the day before, with the proof that it is its end.
//!
//! Input: that log and its manifest; or the bundle's parts of them. Output: chunks with their ways to the root of
//! records; or a log that begins with them. Invariants: whole chunks only, up to the last record; every chunk
//! proves itself against the manifest, so no record of the lead can be another.

use super::{of_canonical, to_canonical};
use crate::error::{Code, Fault};
use crate::files;
use crate::layout::{Day, EngineDirs};
use crate::log::{LOG_HEADER_LEN, LOG_LEN_MAX, verify_segment};
use crate::manifest::{Manifest, TokenEntry};
use crate::merkle::{self, CHUNK_LEN, Sibling};
use crate::stored;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Records before a day that make every counter exact.
const LEAD_RECORDS: u64 = 3_600;
/// Records of a chunk.
const CHUNK_RECORDS: u64 = 1_000;

/// A step on the way to the root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    /// The other node stands first.
    is_left: bool,
    /// Its hash.
    sha256: String,
}

/// The document beside the chunks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Proof {
    token_id: u16,
    segment: u16,
    first_chunk: u64,
    paths: Vec<Vec<Step>>,
}

/// Names of a token's parts.
pub(super) fn names(token: u16) -> [String; 2] {
    [format!("lead/{token}.bin"), format!("lead/{token}.json")]
}

/// The newest segment of each token.
pub(super) fn last_entries(manifest: &Manifest) -> Vec<&TokenEntry> {
    let mut last: Vec<&TokenEntry> = Vec::new();
    for entry in &manifest.tokens {
        match last.iter_mut().find(|known| known.token_id == entry.token_id) {
            Some(known) => *known = entry,
            None => last.push(entry),
        }
    }
    last
}

/// Header and last chunks of a token's log, and their proof.
pub(super) fn cut(
    dirs: &EngineDirs,
    day: Day,
    entry: &TokenEntry,
) -> Result<(Vec<u8>, Vec<u8>), Fault> {
    let path = dirs.log_file(entry.token_id, day, entry.segment);
    let bytes = stored::read(&path, LOG_LEN_MAX)?;
    verify_segment(&path, &bytes)?;
    let (header, records) = bytes.split_at(LOG_HEADER_LEN);
    let leaves = merkle::chunk_leaves(records);
    if hex::encode(merkle::root(&leaves)) != entry.record_root {
        let what = "the root of the records is another than the manifest's";
        return Err(Fault::new(Code::ManRoot, what).of(&path).of_token(entry.token_id));
    }
    let first_chunk = entry.records.saturating_sub(LEAD_RECORDS) / CHUNK_RECORDS;
    let first = usize::try_from(first_chunk).unwrap_or(usize::MAX);
    let step = |sibling: Sibling| match sibling {
        Sibling::Left(hash) => Step { is_left: true, sha256: hex::encode(hash) },
        Sibling::Right(hash) => Step { is_left: false, sha256: hex::encode(hash) },
    };
    let way =
        |at: usize| merkle::path(&leaves, at).unwrap_or_default().into_iter().map(step).collect();
    let paths = (first..leaves.len()).map(way).collect();
    let (token_id, segment) = (entry.token_id, entry.segment);
    let proof = Proof { token_id, segment, first_chunk, paths };
    let chunks = records.get(first.saturating_mul(CHUNK_LEN)..).unwrap_or(&[]);
    Ok(([header, chunks].concat(), to_canonical(&proof)?))
}

/// Proves a token's lead that was unpacked below `root` and puts it where its log belongs; true when it is the
/// whole log.
pub(super) fn place(
    dirs: &EngineDirs,
    root: &Path,
    day: Day,
    entry: &TokenEntry,
) -> Result<bool, Fault> {
    let [bin, json] = names(entry.token_id).map(|name| root.join(name));
    let refuse = |code, what: &str| Fault::new(code, what).of(&bin).of_token(entry.token_id);
    let proof: Proof = of_canonical(&files::read(&json, super::INDEX_LEN_MAX)?)
        .map_err(|fault| fault.of(&json))?;
    if (proof.token_id, proof.segment) != (entry.token_id, entry.segment) {
        let what = "the chunks are of another token or segment than the manifest's last";
        return Err(refuse(Code::ManRoot, what));
    }
    let bytes = files::read(&bin, LOG_LEN_MAX)?;
    let records = bytes.get(LOG_HEADER_LEN..).unwrap_or(&[]);
    let leaves = merkle::chunk_leaves(records);
    let count = u64::try_from(leaves.len()).unwrap_or(u64::MAX);
    let chunks = entry.records.div_ceil(CHUNK_RECORDS);
    let is_enough = proof.first_chunk <= entry.records.saturating_sub(LEAD_RECORDS) / CHUNK_RECORDS;
    let behind = entry.records.saturating_sub(proof.first_chunk.saturating_mul(CHUNK_RECORDS));
    let has_all = u64::try_from(records.len()).ok() == behind.checked_mul(64);
    if proof.first_chunk.saturating_add(count) != chunks
        || proof.paths.len() != leaves.len()
        || !is_enough
        || !has_all
    {
        let what = "the chunks are not the last ones of the log";
        return Err(refuse(Code::ManRoot, what));
    }
    for (at, (leaf, steps)) in (proof.first_chunk..).zip(leaves.iter().zip(&proof.paths)) {
        let way = way_of(steps, at, chunks)
            .ok_or_else(|| refuse(Code::ManRoot, "the way of a chunk is not that of its place"))?;
        let root = hex::encode(merkle::root_of_path(*leaf, &way));
        if root != entry.record_root {
            let fault = refuse(Code::ManRoot, "a chunk does not prove itself");
            return Err(fault.differing(&entry.record_root, root));
        }
    }
    let path = dirs.log_file(entry.token_id, day, entry.segment);
    files::make_dir(files::dir_of(&path))?;
    files::write_whole(&path, &bytes, files::CLOSED_MODE)?;
    let is_whole = proof.first_chunk == 0;
    if is_whole && hex::encode(penstock_types::frame::sha256(&bytes)) != entry.sha256 {
        return Err(refuse(Code::ManHash, "the log is not the one that the manifest names"));
    }
    Ok(is_whole)
}

/// The siblings, if they stand on the sides that the chunk's number demands.
fn way_of(steps: &[Step], chunk: u64, chunks: u64) -> Option<Vec<Sibling>> {
    let (mut at, mut row, mut steps) = (chunk, chunks, steps.iter());
    let mut way = Vec::new();
    while row > 1 {
        let is_left = at % 2 == 1;
        if is_left || at + 1 < row {
            let step = steps.next().filter(|step| step.is_left == is_left)?;
            let hash = hex::decode(&step.sha256).ok()?.try_into().ok()?;
            way.push(if is_left { Sibling::Left(hash) } else { Sibling::Right(hash) });
        }
        (at, row) = (at / 2, row.div_ceil(2));
    }
    steps.next().is_none().then_some(way)
}
