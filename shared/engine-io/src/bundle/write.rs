//! Writing a bundle.
//!
//! Input: the engine's directories and a day. Output: one file. Invariants: the day verifies before it is handed
//! out, and is held against removal meanwhile; files stand in the order of their names; a file that changes while
//! it is copied ends the writing; the bundle has its name only when it is whole.

use super::{BundleFile, BundleIndex, INDEX, lead, to_canonical};
use crate::compress::files_of;
use crate::error::{Code, Fault};
use crate::files;
use crate::layout::{Day, EngineDirs};
use crate::manifest::{Manifest, days, read_manifest, verify_day};
use crate::tar::TarWriter;
use crate::{day_lock, snapshots, stored};
use penstock_engine::config::SCHEMA;
use penstock_types::frame::sha256;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Where a file of the bundle comes from.
enum Source {
    Path(PathBuf),
    Bytes(Vec<u8>),
}

/// Files by their names in the bundle.
struct Gathered<'a> {
    dirs: &'a EngineDirs,
    files: BTreeMap<String, Source>,
}

/// Names of the directories in a bundle, whatever the configuration calls them here.
fn name_of(dirs: &EngineDirs, path: &Path) -> Option<String> {
    let (transitions, configs) = (dirs.transitions(), dirs.configs());
    let roots = [
        ("log", &dirs.log),
        ("journal", &dirs.journal),
        ("snapshots", &dirs.snapshots),
        ("alerts", &dirs.alerts),
        ("transitions", &transitions),
        ("configs", &configs),
        ("manifests", &dirs.manifests),
    ];
    roots.into_iter().find_map(|(name, root)| {
        let rest = path.strip_prefix(root).ok()?.to_str()?;
        Some(format!("{name}/{rest}"))
    })
}

impl Gathered<'_> {
    /// Adds a file in the form in which it lies there.
    fn add(&mut self, path: &Path) -> Result<(), Fault> {
        let lies = stored::place(path)?;
        let name = name_of(self.dirs, &lies)
            .ok_or_else(|| Fault::new(Code::Invariant, "a file of none of the directories"))?;
        self.files.insert(name, Source::Path(lies));
        Ok(())
    }

    fn add_if_there(&mut self, path: &Path) -> Result<(), Fault> {
        if stored::form(path)?.is_some() { self.add(path) } else { Ok(()) }
    }

    /// What the day before gives: its manifest's end of the logs.
    fn lead(&mut self, before: Day, manifest: &Manifest) -> Result<(), Fault> {
        let entries = lead::last_entries(manifest);
        for entry in &entries {
            let path = self.dirs.log_file(entry.token_id, before, entry.segment);
            if stored::form(&path)?.is_none() {
                // A day that was pinned outlives the one before it; level A then begins within the day.
                return Ok(());
            }
        }
        for entry in entries {
            let (bin, json) = lead::cut(self.dirs, before, entry)?;
            let [bin_name, json_name] = lead::names(entry.token_id);
            self.files.insert(bin_name, Source::Bytes(bin));
            self.files.insert(json_name, Source::Bytes(json));
        }
        Ok(())
    }
}

/// Writes a closed day into one file.
///
/// # Errors
/// [`Code::ManMissing`] when the day is not closed or has no manifest; what does not verify, with its code;
/// [`Code::EnvLock`] while the day is being removed; [`Code::Storage`], also when the file is there already.
pub fn export_day(dirs: &EngineDirs, day: Day, to: &Path) -> Result<BundleIndex, Fault> {
    read_manifest(dirs, day)?;
    let _held = day_lock::hold(dirs, day)?;
    let manifest = verify_day(dirs, day)?.manifest;
    let mut gathered = Gathered { dirs, files: BTreeMap::new() };
    gather(&mut gathered, day, &manifest)?;
    let mut index = BundleIndex {
        schema_version: SCHEMA.to_owned(),
        engine_version: manifest.engine_version.clone(),
        date: day.to_string(),
        files: Vec::with_capacity(gathered.files.len()),
    };
    for (name, source) in &gathered.files {
        let (hash, bytes) = match source {
            Source::Path(path) => digest(path)?,
            Source::Bytes(bytes) => (sha256(bytes), u64::try_from(bytes.len()).unwrap_or(u64::MAX)),
        };
        index.files.push(BundleFile { name: name.clone(), bytes, sha256: hex::encode(hash) });
    }
    if fs::exists(to).map_err(|error| Fault::storage("look at", to, &error))? {
        let what = "the file is there already; next: name another one";
        return Err(Fault::new(Code::Storage, what).of(to));
    }
    let temporary = files::beside(to, ".tmp");
    crate::compress::remove_if_there(&temporary)?;
    write(&temporary, &index, &gathered)?;
    fs::rename(&temporary, to).map_err(|error| Fault::storage("rename to", to, &error))?;
    let dir = Some(files::dir_of(to)).filter(|dir| !dir.as_os_str().is_empty());
    files::sync_dir(dir.unwrap_or(Path::new(".")))?;
    Ok(index)
}

fn gather(gathered: &mut Gathered<'_>, day: Day, manifest: &Manifest) -> Result<(), Fault> {
    let dirs = gathered.dirs;
    for file in files_of(dirs, day, manifest) {
        gathered.add(&file.path)?;
    }
    for config in &manifest.configs {
        gathered.add(&dirs.configs().join(format!("{}.json", config.sha256)))?;
    }
    for name in files::names(&dirs.keys())? {
        if name.ends_with(".json") || name.ends_with(".pem") {
            gathered.add(&dirs.keys().join(name))?;
        }
    }
    gathered.add(&dirs.manifest(day))?;
    if manifest.genesis_sha256.is_some() {
        gathered.add(&dirs.genesis())?;
    }
    gathered.add_if_there(&snapshots::place(dirs, day.last_tick())?)?;
    let Some(before) = days(dirs)?.into_iter().rfind(|of| *of < day) else { return Ok(()) };
    gathered.add(&dirs.manifest(before))?;
    let first_tick = manifest.tokens.iter().map(|token| token.first_tick).min();
    if before.0 + 1 == day.0 && first_tick == Some(day.first_tick()) {
        gathered.add(&snapshots::place(dirs, before.last_tick())?)?;
        let earlier = read_manifest(dirs, before)?;
        // Changed with the first tick of the day: what opens it was made under the one before.
        if let Some(config) = earlier.configs.last() {
            gathered.add(&dirs.configs().join(format!("{}.json", config.sha256)))?;
        }
        gathered.lead(before, &earlier)?;
    }
    Ok(())
}

/// SHA-256 and length of a file as it lies there.
fn digest(path: &Path) -> Result<([u8; 32], u64), Fault> {
    let failed = |error| Fault::storage("read", path, &error);
    let mut file = File::open(path).map_err(failed)?;
    let (mut hash, mut len, mut part) = (Sha256::new(), 0_u64, vec![0; 1 << 16]);
    loop {
        let n = file.read(&mut part).map_err(failed)?;
        if n == 0 {
            return Ok((hash.finalize().into(), len));
        }
        hash.update(&part[..n]);
        len += u64::try_from(n).unwrap_or(0);
    }
}

fn write(to: &Path, index: &BundleIndex, gathered: &Gathered<'_>) -> Result<(), Fault> {
    let mut tar = TarWriter::create(to)?;
    tar.bytes(INDEX, &to_canonical(index)?)?;
    for (file, source) in index.files.iter().zip(gathered.files.values()) {
        match source {
            Source::Bytes(bytes) => tar.bytes(&file.name, bytes)?,
            Source::Path(path) => {
                let hash = hex::encode(tar.file(&file.name, path, file.bytes)?);
                if hash != file.sha256 {
                    let what = "the file changed while it was copied; next: export again";
                    let fault = Fault::new(Code::ManHash, what).of(path);
                    return Err(fault.differing(&file.sha256, hash));
                }
            }
        }
    }
    tar.end()
}
