//! Verifying an archive: the list, its signature, every file.
//!
//! Input: the folder. Output: the list. Invariants: the folder holds exactly what the list names, in either form;
//! contents are compared uncompressed; nothing of the engine's formats is read, so that an archive of any version
//! verifies.

use super::{ArchiveList, DOCUMENT_LEN_MAX, LIST};
use crate::error::{Code, Fault};
use crate::files;
use crate::keys;
use crate::layout::EngineDirs;
use crate::stored::{Stored, plain_name};
use std::collections::BTreeSet;
use std::path::Path;

/// Reads an archive whole and compares it with its list.
///
/// # Errors
/// [`Code::ManMissing`] without a list or a file of it, [`Code::ManHash`] for one that differs or that no list
/// names, [`Code::ManSignature`] and [`Code::ManKey`] for its signature.
pub fn verify_archive(folder: &Path) -> Result<ArchiveList, Fault> {
    let path = folder.join(LIST);
    let Some(bytes) = files::read_if_there(&path, DOCUMENT_LEN_MAX)? else {
        return Err(Fault::new(Code::ManMissing, "the folder is no archive").of(&path));
    };
    let list = ArchiveList::parse(&bytes).map_err(|fault| fault.of(&path))?;
    let dirs = EngineDirs::under(folder);
    match (&list.key_id, &list.signature) {
        (Some(key_id), signature @ Some(_)) => {
            let keys = keys::records(&dirs)?;
            keys::verify_by(&keys, key_id, &list.signed_bytes()?, signature.as_ref())
                .map_err(|fault| fault.of(&path))?;
        }
        (None, None) => {}
        (Some(_), None) | (None, Some(_)) => {
            let what = "the list has a key without a signature, or the other way";
            return Err(Fault::new(Code::ManSignature, what).of(&path));
        }
    }
    compare(folder, &list)?;
    let known: BTreeSet<&str> = list.files.iter().map(|file| file.name.as_str()).collect();
    for name in names_below(folder)? {
        if name != LIST && !known.contains(plain_name(&name)) && !known.contains(name.as_str()) {
            let what = "the archive holds a file that its list does not name";
            return Err(Fault::new(Code::ManHash, what).of(&folder.join(name)));
        }
    }
    Ok(list)
}

/// Every file of a list against what lies in the folder.
pub(super) fn compare(folder: &Path, list: &ArchiveList) -> Result<(), Fault> {
    for file in &list.files {
        let path = folder.join(&file.name);
        if crate::stored::form(&path)?.is_none() {
            let what = "a file of the archive is missing";
            return Err(Fault::new(Code::ManMissing, what).of(&path));
        }
        let (hash, bytes) = Stored::open(&path)?.digest()?;
        let hash = hex::encode(hash);
        if (bytes, &hash) != (file.bytes, &file.sha256) {
            let fault = Fault::new(Code::ManHash, "the file is not the one that the list names");
            return Err(fault.of(&path).differing(&file.sha256, hash));
        }
    }
    Ok(())
}

/// Names of all files below a folder, with their folders, sorted.
pub(super) fn names_below(root: &Path) -> Result<Vec<String>, Fault> {
    let mut open = vec![String::new()];
    let mut found = Vec::new();
    while let Some(at) = open.pop() {
        let dir = root.join(&at);
        for name in files::names(&dir)? {
            let below = if at.is_empty() { name } else { format!("{at}/{name}") };
            if root.join(&below).is_dir() {
                open.push(below);
            } else {
                found.push(below);
            }
        }
    }
    found.sort_unstable();
    Ok(found)
}
