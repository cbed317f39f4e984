//! Verifying a bundle: all that a third party does with a day, on one file.
//!
//! Input: the file and an empty folder to unpack into. Output: what was verified, with the reports of both levels.
//! Invariants: the file holds exactly what its index names; signature, chain, hashes and roots first, then level
//! A, then the journal and level B, then the ends of both against the manifest. It needs no database, no secret
//! and no clock, and nothing else of the machine.

use super::{BundleIndex, INDEX, INDEX_LEN_MAX, lead};
use crate::error::{Code, Fault};
use crate::files;
use crate::layout::{Day, EngineDirs};
use crate::manifest::{self, Manifest, days, read_manifest, verify_day, verify_signature};
use crate::replay::{Lead, ReplayStart, Report, Verdict, level_a_after, level_b};
use crate::tar::TarReader;
use crate::{archived, keys, snapshots, stored};
use sha2::{Digest, Sha256};
use std::io::Read;
use std::path::Path;

/// What a verified bundle says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The day with what was verified of it.
    pub day: manifest::Verified,
    /// States, clusters, phases and alerts from the records.
    pub level_a: Report,
    /// Every byte from the journal.
    pub level_b: Report,
    /// Both levels agree and end as the manifest says.
    pub verdict: Verdict,
}

/// Unpacks a bundle into an empty folder and verifies it.
///
/// # Errors
/// The first thing that is wrong with its code, file and byte; a difference of the levels is in the answer.
pub fn verify_bundle(bundle: &Path, scratch: &Path) -> Result<Verified, Fault> {
    let index = unpack(bundle, scratch)?;
    let dirs = EngineDirs::under(scratch);
    let Some(day) = Day::parse(&index.date) else {
        return Err(Fault::new(Code::ManHash, "the index names no day").of(bundle));
    };
    let verified = verify_day(&dirs, day)?;
    let manifest = &verified.manifest;
    let said = (index.schema_version.as_str(), index.engine_version.as_str());
    let due = (manifest.schema_version.as_str(), manifest.engine_version.as_str());
    if said != due {
        let fault = Fault::new(Code::ManHash, "the index is of another version than the manifest");
        return Err(fault.of(bundle).differing(format!("{due:?}"), format!("{said:?}")));
    }
    let before = earlier(&dirs, day, manifest)?;
    let lead = match &before {
        Some((of, earlier)) => leads(&dirs, scratch, *of, earlier)?,
        None => Lead::Whole,
    };
    let Some(config) = manifest.configs.last() else {
        return Err(Fault::new(Code::ManHash, "the manifest names no configuration").of(bundle));
    };
    let hash = hex::decode(&config.sha256).ok().and_then(|bytes| bytes.try_into().ok());
    let hash = hash.ok_or_else(|| Fault::new(Code::ManHash, "no hash of a configuration"))?;
    let config = archived::of_sha256(&dirs, &hash)?;
    let level_a = level_a_after(&dirs, &config, Some(day), lead)?;
    let open = day.first_tick().saturating_sub(1);
    let has_open = stored::form(&snapshots::place(&dirs, open)?)?.is_some();
    let start = if has_open { ReplayStart::Snapshot(open) } else { ReplayStart::Genesis };
    let level_b = level_b(&dirs, &config, start, Some(day.last_tick()), None)?;
    let ends = level_b.state_chain.as_deref() == Some(manifest.state_chain_close.as_str())
        && level_b.alerts_hash == manifest.alerts.sha256;
    let all = level_a.verdict == Verdict::Identical && level_b.verdict == Verdict::Identical;
    if all && !ends {
        let what = "the day does not end with the chain of states and the alerts of its manifest";
        let fault = Fault::new(Code::Determinism, what).of(&dirs.manifest(day));
        let found = level_b.state_chain.unwrap_or_default();
        return Err(fault.differing(&manifest.state_chain_close, found));
    }
    let verdict = if all { Verdict::Identical } else { Verdict::Breach };
    Ok(Verified { day: verified, level_a, level_b, verdict })
}

/// Compares every byte of a bundle with its index and unpacks nothing; `path` is what faults call it.
///
/// # Errors
/// [`Code::ManHash`] with the first byte or file that is wrong, [`Code::Storage`].
pub fn check_bundle(path: &Path, bytes: impl Read) -> Result<BundleIndex, Fault> {
    walk(path, TarReader::new(path, bytes), |tar, _, len| {
        let mut hash = Sha256::new();
        tar.content(len, |part| {
            hash.update(part);
            Ok(())
        })?;
        Ok(hash.finalize().into())
    })
}

fn unpack(bundle: &Path, scratch: &Path) -> Result<BundleIndex, Fault> {
    walk(bundle, TarReader::open(bundle)?, |tar, name, len| tar.unpack(scratch, name, len))
}

/// Exactly the files of the index, in its order; `take` says what their SHA-256 is.
fn walk<R: Read>(
    bundle: &Path,
    mut tar: TarReader<'_, R>,
    mut take: impl FnMut(&mut TarReader<'_, R>, &str, u64) -> Result<[u8; 32], Fault>,
) -> Result<BundleIndex, Fault> {
    let refuse = |what: String| Fault::new(Code::ManHash, what).of(bundle);
    let first = tar.next_file()?;
    let Some((_, len)) = first.filter(|(name, len)| name == INDEX && *len <= INDEX_LEN_MAX) else {
        return Err(refuse(format!("the bundle does not begin with {INDEX}")));
    };
    let mut bytes = Vec::new();
    tar.content(len, |part| {
        bytes.extend_from_slice(part);
        Ok(())
    })?;
    let index = BundleIndex::parse(&bytes).map_err(|fault| fault.of(bundle))?;
    for file in &index.files {
        let found = tar.next_file()?;
        if found.as_ref() != Some(&(file.name.clone(), file.bytes)) {
            let what = format!("the bundle does not hold {} in its place", file.name);
            return Err(
                refuse(what).differing(format!("{} bytes", file.bytes), format!("{found:?}"))
            );
        }
        let hash = hex::encode(take(&mut tar, &file.name, file.bytes)?);
        if hash != file.sha256 {
            let what = format!("{} is not what the index names", file.name);
            return Err(refuse(what).differing(&file.sha256, hash));
        }
    }
    match tar.next_file()? {
        None => Ok(index),
        Some((name, _)) => Err(refuse(format!("the bundle holds {name}, which no index names"))),
    }
}

/// The manifest before the day's, verified; the closing snapshot of the day before is the one that it names.
fn earlier(
    dirs: &EngineDirs,
    day: Day,
    manifest: &Manifest,
) -> Result<Option<(Day, Manifest)>, Fault> {
    let before = days(dirs)?.into_iter().rfind(|of| *of < day);
    let Some(before) = before else {
        if manifest.prev_manifest_sha256.is_some() {
            let what = "the manifest before the day's is not in the bundle";
            return Err(Fault::new(Code::ManChain, what).of(&dirs.manifest(day)));
        }
        return Ok(None);
    };
    let earlier = read_manifest(dirs, before)?;
    verify_signature(dirs, before, &earlier, &keys::records(dirs)?)?;
    let path = snapshots::place(dirs, day.first_tick().saturating_sub(1))?;
    if let Some(bytes) = stored::read_if_there(&path, snapshots::SNAPSHOT_LEN_MAX)? {
        let found = hex::encode(penstock_types::frame::sha256(&bytes));
        if before.0 + 1 != day.0 || found != earlier.snapshot_close_sha256 {
            let what =
                "the snapshot that opens the day is not the one that the day before closes with";
            let fault = Fault::new(Code::ManHash, what).of(&path);
            return Err(fault.differing(&earlier.snapshot_close_sha256, found));
        }
        if manifest.state_chain_open != earlier.state_chain_close {
            let what =
                "the day does not begin with the chain of states that the day before ends with";
            return Err(Fault::new(Code::ManChain, what).of(&dirs.manifest(day)));
        }
    }
    Ok(Some((before, earlier)))
}

/// Puts the ends of the logs of the day before in their places.
fn leads(
    dirs: &EngineDirs,
    scratch: &Path,
    before: Day,
    manifest: &Manifest,
) -> Result<Lead, Fault> {
    let has_any = !files::names(&scratch.join("lead"))?.is_empty();
    if !has_any {
        return Ok(Lead::Whole);
    }
    let mut is_whole = true;
    for entry in lead::last_entries(manifest) {
        is_whole &= lead::place(dirs, scratch, before, entry)?;
    }
    Ok(if is_whole { Lead::Whole } else { Lead::End })
}
