//! Verifying a day against its manifest, from files alone.
//!
//! Input: a directory and a day. Output: what was verified. Invariants: nothing is written; every file that the
//! manifest names must be there, whole and the one that it names; the first difference ends it with its code.

use super::build::{days, genesis_of, journal_entry, newest_before, stream_entry};
use super::{MANIFEST_LEN_MAX, Manifest, TokenEntry};
use crate::error::{Code, Fault};
use crate::files;
use crate::keys;
use crate::layout::{Day, EngineDirs};
use crate::log::{LOG_HEADER_LEN, LOG_LEN_MAX, LogHeader, verify_segment};
use crate::{merkle, snapshots, stored};
use sha2::{Digest, Sha256};

/// What a verified day consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The manifest.
    pub manifest: Manifest,
    /// It is signed by a published key.
    pub is_signed: bool,
    /// A key on the way to the one that signed was lost, so that trust has to come from outside.
    pub is_unlinked: bool,
    /// Bytes that were hashed.
    pub bytes: u64,
}

/// Reads a manifest; its bytes must be canonical.
///
/// # Errors
/// [`Code::ManMissing`] when it is not there, [`Code::ManHash`] when its bytes are not those of a manifest.
pub fn read_manifest(dirs: &EngineDirs, day: Day) -> Result<Manifest, Fault> {
    let path = dirs.manifest(day);
    let Some(bytes) = files::read_if_there(&path, MANIFEST_LEN_MAX)? else {
        return Err(Fault::new(Code::ManMissing, "the day has no manifest").of(&path));
    };
    let manifest = Manifest::parse(&bytes).map_err(|fault| fault.of(&path))?;
    if manifest.date != day.to_string() {
        let fault = Fault::new(Code::ManHash, "the manifest is of another day").of(&path);
        return Err(fault.differing(day, &manifest.date));
    }
    Ok(manifest)
}

/// Verifies what stands in a manifest by itself: signature and chain of manifests; the files of its day may have
/// had their time.
///
/// # Errors
/// [`Code::ManMissing`], [`Code::ManHash`], [`Code::ManSignature`], [`Code::ManKey`], [`Code::ManChain`].
pub fn verify_document(dirs: &EngineDirs, day: Day) -> Result<Verified, Fault> {
    let manifest = read_manifest(dirs, day)?;
    let path = dirs.manifest(day);
    let is_unlinked = verify_signature(dirs, day, &manifest, &keys::records(dirs)?)?;
    if manifest.genesis_sha256.is_some() && manifest.genesis_sha256 != genesis_of(dirs, day)? {
        let what = "the manifest names another document of a reset than the one that is there";
        return Err(Fault::new(Code::ManChain, what).of(&dirs.genesis()));
    }
    let before = newest_before(dirs, day)?;
    let is_first = before.is_none() && days(dirs)?.first() == Some(&day);
    if manifest.prev_manifest_sha256 != before && !is_first {
        let text = |hash: &Option<String>| hash.clone().unwrap_or_else(|| "null".to_owned());
        let what = "the manifest does not continue the one before it";
        let fault = Fault::new(Code::ManChain, what).of(&path);
        return Err(fault.differing(text(&before), text(&manifest.prev_manifest_sha256)));
    }
    Ok(Verified { is_signed: manifest.signature.is_some(), is_unlinked, bytes: 0, manifest })
}

/// Verifies a day: signature, chain of manifests, configurations, logs with roots and header chain, journal,
/// streams, and the closing snapshot as long as it is there.
///
/// # Errors
/// The first difference, with its code, file and byte.
pub fn verify_day(dirs: &EngineDirs, day: Day) -> Result<Verified, Fault> {
    let verified = verify_document(dirs, day)?;
    let manifest = &verified.manifest;
    let path = dirs.manifest(day);
    verify_configs(dirs, manifest)?;
    verify_closing(dirs, day, manifest)?;
    let mut bytes = 0;
    let mut leaves = Vec::with_capacity(manifest.tokens.len());
    for token in &manifest.tokens {
        let hash = verify_log(dirs, day, manifest, token)?;
        bytes += token.bytes;
        leaves.push(merkle::segment_leaf(token.token_id, &hash));
    }
    let root = hex::encode(merkle::root(&leaves));
    if root != manifest.day_root {
        let fault = Fault::new(Code::ManRoot, "the day's root does not follow from its logs");
        return Err(fault.of(&path).differing(&manifest.day_root, root));
    }
    verify_journal_files(dirs, day, manifest)?;
    bytes += manifest.journal.files.iter().map(|file| file.bytes).sum::<u64>();
    for (file, want) in [
        (dirs.alerts_file(day), &manifest.alerts),
        (dirs.transitions_file(day), &manifest.transitions),
    ] {
        let got = stream_entry(&file)?;
        if got != *want {
            let what = "the stream is not the one that the manifest names";
            let fault = Fault::new(Code::ManHash, what).of(&file);
            return Err(fault.differing(&want.sha256, got.sha256));
        }
    }
    Ok(Verified { bytes, ..verified })
}

/// Verifies the signature of a manifest, if it has one; true when a key on the way to the one that signed was
/// lost.
///
/// # Errors
/// [`Code::ManSignature`], [`Code::ManKey`].
pub fn verify_signature(
    dirs: &EngineDirs,
    day: Day,
    manifest: &Manifest,
    keys: &[keys::KeyRecord],
) -> Result<bool, Fault> {
    let path = dirs.manifest(day);
    match (&manifest.key_id, &manifest.signature) {
        (Some(key_id), signature @ Some(_)) => {
            keys::verify_by(keys, key_id, &manifest.signed_bytes()?, signature.as_ref())
                .map_err(|fault| fault.of(&path))?;
            let upto = keys.iter().position(|key| key.key_id == *key_id).unwrap_or(0);
            Ok(keys.iter().take(upto + 1).any(|key| key.unlinked))
        }
        (None, None) => Ok(false),
        (Some(_), None) | (None, Some(_)) => {
            let what = "the manifest has a key without a signature, or the other way";
            Err(Fault::new(Code::ManSignature, what).of(&path))
        }
    }
}

/// The archived configurations are those of the manifest.
fn verify_configs(dirs: &EngineDirs, manifest: &Manifest) -> Result<(), Fault> {
    let begins = |tick: u64| manifest.tokens.iter().any(|token| token.first_tick == tick);
    let is_ordered = manifest.configs.is_sorted_by(|a, b| a.from_tick < b.from_tick);
    if !is_ordered || !manifest.configs.iter().all(|config| begins(config.from_tick)) {
        let what = "a configuration does not begin where a log begins";
        return Err(Fault::new(Code::ManHash, what));
    }
    for config in &manifest.configs {
        let path = dirs.configs().join(format!("{}.json", config.sha256));
        let Some(bytes) = files::read_if_there(&path, crate::archived::CONFIG_LEN_MAX)? else {
            let what = "a configuration that the manifest names is not archived";
            return Err(Fault::new(Code::ManMissing, what).of(&path));
        };
        let found = hex::encode(Sha256::digest(&bytes));
        if found != config.sha256 {
            let what = "the archived configuration is another than its name says";
            return Err(Fault::new(Code::ManHash, what).of(&path).differing(&config.sha256, found));
        }
    }
    Ok(())
}

/// The snapshot that closes the day is that of the manifest; it may have gone with the day that it opens.
fn verify_closing(dirs: &EngineDirs, day: Day, manifest: &Manifest) -> Result<(), Fault> {
    let path = snapshots::place(dirs, day.last_tick())?;
    let Some(bytes) = stored::read_if_there(&path, snapshots::SNAPSHOT_LEN_MAX)? else {
        return Ok(());
    };
    let found = hex::encode(Sha256::digest(&bytes));
    if found == manifest.snapshot_close_sha256 {
        return Ok(());
    }
    // The part that is wrong says more than the hash of the whole.
    penstock_engine::snapshot::SnapshotView::new(&bytes)
        .map_err(|error| Fault::from(error).of(&path))?;
    let what = "the closing snapshot is not the one that the manifest names";
    let fault = Fault::new(Code::ManHash, what).of(&path);
    Err(fault.differing(&manifest.snapshot_close_sha256, found))
}

fn verify_log(
    dirs: &EngineDirs,
    day: Day,
    manifest: &Manifest,
    token: &TokenEntry,
) -> Result<[u8; 32], Fault> {
    let path = dirs.log_file(token.token_id, day, token.segment);
    let of = |fault: Fault| fault.of(&path).of_token(token.token_id);
    let bytes = stored::read(&path, LOG_LEN_MAX)?;
    // The record that is wrong says more than the hash of the whole.
    let scan = verify_segment(&path, &bytes)?;
    let sha256: [u8; 32] = Sha256::digest(&bytes).into();
    if hex::encode(sha256) != token.sha256 {
        let fault = of(Fault::new(Code::ManHash, "the log is not the one that the manifest names"));
        return Err(fault.differing(&token.sha256, hex::encode(sha256)));
    }
    let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let said = (token.first_tick, token.last_tick, token.records, token.bytes);
    let found = (scan.first_tick.unwrap_or(0), scan.last_tick().unwrap_or(0), scan.records, len);
    if said != found {
        let fault = of(Fault::new(Code::ManHash, "ticks, records or bytes are not the manifest's"));
        return Err(fault.differing(format!("{said:?}"), format!("{found:?}")));
    }
    let root = hex::encode(merkle::root(&merkle::chunk_leaves(&bytes[LOG_HEADER_LEN..])));
    if root != token.record_root {
        let fault = of(Fault::new(Code::ManRoot, "the root of the records is another"));
        return Err(fault.differing(&token.record_root, root));
    }
    let in_force = manifest.configs.iter().rfind(|config| config.from_tick <= token.first_tick);
    let known = in_force.is_some_and(|config| {
        let hash = hex::decode(&config.sha256).ok().and_then(|bytes| bytes.try_into().ok());
        hash.is_some_and(|hash| LogHeader::fingerprint(&hash) == scan.header.fingerprint)
    });
    if !known || (scan.header.token, scan.header.day) != (token.token_id, day) {
        let what = "the header of the log is of another token, day or configuration";
        return Err(of(Fault::new(Code::LogHeader, what)).at(8));
    }
    verify_header_chain(dirs, day, manifest, token, &scan.header).map_err(of)?;
    Ok(sha256)
}

/// The log names the hash of the token's file before, as far as a manifest tells of it.
fn verify_header_chain(
    dirs: &EngineDirs,
    day: Day,
    manifest: &Manifest,
    token: &TokenEntry,
    header: &LogHeader,
) -> Result<(), Fault> {
    let is_before =
        |other: &&TokenEntry| other.token_id == token.token_id && other.segment < token.segment;
    let mut due = manifest.tokens.iter().rfind(is_before).map(|other| other.sha256.clone());
    if due.is_none() && manifest.genesis_sha256.is_some() {
        // A hard reset begins the logs anew; the chain of manifests goes on.
        due = Some(hex::encode([0; 32]));
    }
    if due.is_none()
        && let Some(before) = days(dirs)?.into_iter().rfind(|of| *of < day)
    {
        let earlier = read_manifest(dirs, before)?;
        let of_token = |other: &&TokenEntry| other.token_id == token.token_id;
        due = earlier.tokens.iter().rfind(of_token).map(|other| other.sha256.clone());
    }
    match due {
        Some(due) if due != hex::encode(header.previous) => {
            let what = "the log does not name the hash of the token's log before it";
            let fault = Fault::new(Code::ManChain, what).at(32);
            Err(fault.differing(due, hex::encode(header.previous)))
        }
        Some(_) | None => Ok(()),
    }
}

fn verify_journal_files(dirs: &EngineDirs, day: Day, manifest: &Manifest) -> Result<(), Fault> {
    let found = journal_entry(dirs, day)?;
    for (want, got) in manifest.journal.files.iter().zip(&found.files) {
        if want != got {
            let path = dirs.journal.join(day.to_string()).join(&want.name);
            let what = "the file of the journal is not the one that the manifest names";
            let fault = Fault::new(Code::ManHash, what).of(&path);
            return Err(fault.differing(&want.sha256, &got.sha256));
        }
    }
    if found != manifest.journal {
        let what = "files or frames of the journal are not those that the manifest names";
        let fault = Fault::new(Code::ManHash, what).of(&dirs.journal.join(day.to_string()));
        return Err(fault.differing(manifest.journal.files.len(), found.files.len()));
    }
    Ok(())
}
