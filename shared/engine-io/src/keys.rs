//! Signing keys: made, kept, rotated, and the records by which anybody can follow them.
//!
//! Input: a seed from the caller's random source, the private file, the directory of public keys. Output: files;
//! signatures; a verdict on the chain of keys. Invariants: the private key is read for each signature and zeroed
//! behind it; an existing private file is replaced by rotation alone; every public key has a record signed by
//! itself and, unless the old private key was lost, by the key before it.

use crate::error::{Code, Fault};
use crate::files;
use crate::layout::EngineDirs;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey, EncodePublicKey};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use penstock_types::canonical;
use penstock_types::frame::sha256;
use serde::{Deserialize, Serialize};
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Permissions of the private file.
const PRIVATE_MODE: u32 = 0o600;
/// Most bytes of a key's file or record.
const KEY_LEN_MAX: u64 = 16_384;

/// Record of a public key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyRecord {
    /// Version of the document.
    pub schema_version: String,
    /// First eight bytes of the public key's SHA-256 in hexadecimal.
    pub key_id: String,
    /// The 32 bytes in hexadecimal.
    pub public_key: String,
    /// First day that it may sign.
    pub from_date: String,
    /// The key before it.
    pub prev_key_id: Option<String>,
    /// The private key before it was lost: nothing but trust from outside links them.
    pub unlinked: bool,
    /// Signature by itself.
    pub signature: Option<String>,
    /// Signature by the key before it.
    pub prev_signature: Option<String>,
}

impl KeyRecord {
    /// What both signatures are over.
    fn signed_bytes(&self) -> Result<Vec<u8>, Fault> {
        let mut value =
            serde_json::to_value(self).map_err(|error| key_fault(&error.to_string()))?;
        if let Some(fields) = value.as_object_mut() {
            fields.remove("signature");
            fields.remove("prev_signature");
        }
        canonical::to_bytes(&value).map_err(|error| key_fault(&error.to_string()))
    }
}

fn key_fault(what: &str) -> Fault {
    Fault::new(Code::ManKey, what)
}

/// Id of a public key.
#[must_use]
pub fn key_id(public: &[u8; 32]) -> String {
    hex::encode(&sha256(public)[..8])
}

/// A private key, for as long as it signs.
pub struct Signer(SigningKey);

impl Signer {
    /// Reads and judges the private file.
    ///
    /// # Errors
    /// [`Code::EnvKey`] when others may read it, it is no Ed25519 key, or its public record is missing.
    pub fn load(path: &Path, dirs: &EngineDirs) -> Result<Self, Fault> {
        let refuse = |what: String| Fault::new(Code::EnvKey, what).of(path);
        let meta = std::fs::metadata(path)
            .map_err(|error| refuse(format!("failed to look at the private key: {error}")))?;
        let mode = meta.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            let what = "others may read the private key; next: chmod 600".to_owned();
            return Err(refuse(what).differing("600", format!("{mode:o}")));
        }
        let mut bytes = files::read(path, KEY_LEN_MAX)?;
        let key =
            std::str::from_utf8(&bytes).ok().and_then(|text| SigningKey::from_pkcs8_pem(text).ok());
        wipe(&mut bytes);
        let Some(key) = key else {
            return Err(refuse("the file is no Ed25519 key in PKCS#8 PEM".to_owned()));
        };
        let signer = Self(key);
        let record = dirs.keys().join(format!("{}.json", signer.key_id()));
        if !std::fs::exists(&record).unwrap_or(false) {
            let what = format!("the key has no public record {}", record.display());
            return Err(refuse(what));
        }
        Ok(signer)
    }

    /// Id of its public key.
    #[must_use]
    pub fn key_id(&self) -> String {
        key_id(self.0.verifying_key().as_bytes())
    }

    /// Signature in hexadecimal.
    #[must_use]
    pub fn sign(&self, bytes: &[u8]) -> String {
        hex::encode(self.0.sign(bytes).to_bytes())
    }
}

/// Overwrites what was secret; the compiler must believe that somebody looks at it afterwards.
pub fn wipe(secret: &mut [u8]) {
    secret.fill(0);
    std::hint::black_box(secret);
}

/// Makes the first key.
///
/// # Errors
/// [`Code::EnvKey`] when there is a private file already, or the public record of one that is gone.
pub fn init(
    dirs: &EngineDirs,
    private: &Path,
    seed: &[u8; 32],
    date: &str,
) -> Result<String, Fault> {
    let key = SigningKey::from_bytes(seed);
    files::make_dir(&dirs.keys())?;
    if let Some(last) = records(dirs)?.last() {
        let what = format!(
            "the key {} was published already; next: penstock keys rotate, with --lost if its private \
             file is gone",
            last.key_id
        );
        return Err(Fault::new(Code::EnvKey, what).of(private));
    }
    if let Some(parent) = private.parent() {
        files::make_dir(parent)?;
    }
    write_private(private, &key)?;
    publish(dirs, &key, date, None, false)
}

/// Replaces the key: public files first, then the private one by rename. With `is_lost` nothing of the old
/// private key is needed, and the record says that nothing links them.
///
/// # Errors
/// [`Code::EnvKey`] when the old key is not usable; [`Code::ManKey`] when no key was ever published.
pub fn rotate(
    dirs: &EngineDirs,
    private: &Path,
    seed: &[u8; 32],
    date: &str,
    is_lost: bool,
) -> Result<String, Fault> {
    let key = SigningKey::from_bytes(seed);
    let newest = records(dirs)?.pop();
    let Some(before) = newest else {
        return Err(
            key_fault("there is no key to rotate; next: penstock keys init").of(&dirs.keys())
        );
    };
    let old = if is_lost { None } else { Some(Signer::load(private, dirs)?) };
    if old.as_ref().is_some_and(|old| old.key_id() != before.key_id) {
        let what = "the private key is not the newest one that is published";
        return Err(Fault::new(Code::EnvKey, what).of(private));
    }
    let id = publish(dirs, &key, date, Some((&before.key_id, old.as_ref())), is_lost)?;
    let fresh = files::beside(private, ".tmp");
    if std::fs::exists(&fresh).unwrap_or(false) {
        std::fs::remove_file(&fresh).map_err(|error| Fault::storage("remove", &fresh, &error))?;
    }
    write_private(&fresh, &key)?;
    std::fs::rename(&fresh, private)
        .map_err(|error| Fault::storage("rename to", private, &error))?;
    files::sync_dir(files::dir_of(private))?;
    Ok(id)
}

fn write_private(path: &Path, key: &SigningKey) -> Result<(), Fault> {
    let refuse = |what: String| Fault::new(Code::EnvKey, what).of(path);
    let pem = key
        .to_pkcs8_pem(LineEnding::LF)
        .map_err(|error| refuse(format!("failed to write the key as PEM: {error}")))?;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(PRIVATE_MODE)
        .open(path)
        .map_err(|error| refuse(format!("failed to make the private file: {error}")))?;
    file.write_all(pem.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(|error| Fault::storage("write", path, &error))?;
    files::sync_dir(files::dir_of(path))
}

fn publish(
    dirs: &EngineDirs,
    key: &SigningKey,
    date: &str,
    before: Option<(&str, Option<&Signer>)>,
    unlinked: bool,
) -> Result<String, Fault> {
    let public = key.verifying_key();
    let id = key_id(public.as_bytes());
    let mut record = KeyRecord {
        schema_version: penstock_engine::config::SCHEMA.to_owned(),
        key_id: id.clone(),
        public_key: hex::encode(public.as_bytes()),
        from_date: date.to_owned(),
        prev_key_id: before.map(|(id, _)| id.to_owned()),
        unlinked,
        signature: None,
        prev_signature: None,
    };
    let bytes = record.signed_bytes()?;
    record.signature = Some(hex::encode(key.sign(&bytes).to_bytes()));
    record.prev_signature = before.and_then(|(_, old)| old).map(|old| old.sign(&bytes));
    let pem = public
        .to_public_key_pem(LineEnding::LF)
        .map_err(|error| key_fault(&format!("failed to write the key as PEM: {error}")))?;
    let json = canonical::to_bytes(&record).map_err(|error| key_fault(&error.to_string()))?;
    files::write_whole(&dirs.keys().join(format!("{id}.pem")), pem.as_bytes(), 0o444)?;
    files::write_whole(&dirs.keys().join(format!("{id}.json")), &json, 0o444)?;
    Ok(id)
}

/// Bytes of hexadecimal digits in the one spelling that is written; another one is another text.
fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let bytes: [u8; N] = hex::decode(text).ok()?.try_into().ok()?;
    (hex::encode(bytes) == text).then_some(bytes)
}

fn verify(public_hex: &str, bytes: &[u8], signature_hex: Option<&String>) -> Result<(), String> {
    let public: [u8; 32] =
        unhex(public_hex).ok_or("the public key is not 32 bytes in hexadecimal")?;
    let key = VerifyingKey::from_bytes(&public).map_err(|_| "the public key is no point")?;
    let signature: [u8; 64] = signature_hex
        .and_then(|text| unhex(text))
        .ok_or("the signature is not 64 bytes in hexadecimal")?;
    key.verify_strict(bytes, &Signature::from_bytes(&signature))
        .map_err(|_| "the signature does not verify".to_owned())
}

/// Checks a signature by a published key.
///
/// # Errors
/// [`Code::ManKey`] when the key has no record, [`Code::ManSignature`] when the signature does not verify.
pub fn verify_by(
    records: &[KeyRecord],
    key_id: &str,
    bytes: &[u8],
    signature: Option<&String>,
) -> Result<(), Fault> {
    let Some(record) = records.iter().find(|record| record.key_id == key_id) else {
        return Err(key_fault(&format!("the key {key_id} has no public record")));
    };
    verify(&record.public_key, bytes, signature)
        .map_err(|what| Fault::new(Code::ManSignature, format!("{what} (key {key_id})")))
}

/// Every public key in the order of its rotation, each record checked: id, own signature, signature by the
/// key before it unless it says that it is unlinked.
///
/// # Errors
/// [`Code::ManKey`] naming the first record that is wrong.
pub fn records(dirs: &EngineDirs) -> Result<Vec<KeyRecord>, Fault> {
    let mut open: Vec<KeyRecord> = Vec::new();
    for name in files::names(&dirs.keys())? {
        if !name.ends_with(".json") {
            continue;
        }
        let path = dirs.keys().join(&name);
        let bytes = files::read(&path, KEY_LEN_MAX)?;
        let record: KeyRecord = serde_json::from_slice(&bytes)
            .map_err(|error| key_fault(&format!("the record of a key: {error}")).of(&path))?;
        let again = canonical::to_bytes(&record).map_err(|error| key_fault(&error.to_string()))?;
        if again != bytes || name != format!("{}.json", record.key_id) {
            return Err(key_fault("the record is not canonical or has another name").of(&path));
        }
        judge(&record).map_err(|what| key_fault(&what).of(&path))?;
        judge_pem(dirs, &record)?;
        open.push(record);
    }
    let mut ordered: Vec<KeyRecord> = Vec::with_capacity(open.len());
    while !open.is_empty() {
        let last = ordered.last().map(|record| record.key_id.clone());
        let Some(at) = open.iter().position(|record| record.prev_key_id == last) else {
            return Err(key_fault("a key does not follow the ones before it").of(&dirs.keys()));
        };
        let record = open.swap_remove(at);
        if let Some(before) = ordered.last()
            && !record.unlinked
        {
            let bytes = record.signed_bytes()?;
            verify(&before.public_key, &bytes, record.prev_signature.as_ref()).map_err(|what| {
                key_fault(&format!("{what} of {} over its successor", before.key_id))
            })?;
        }
        ordered.push(record);
    }
    Ok(ordered)
}

/// The public file beside the record is its key, byte for byte.
fn judge_pem(dirs: &EngineDirs, record: &KeyRecord) -> Result<(), Fault> {
    let path = dirs.keys().join(format!("{}.pem", record.key_id));
    let refuse = |what: &str| key_fault(what).of(&path);
    let bytes = files::read_if_there(&path, KEY_LEN_MAX)?;
    let public: Option<[u8; 32]> =
        hex::decode(&record.public_key).ok().and_then(|bytes| bytes.try_into().ok());
    let pem = public
        .and_then(|public| VerifyingKey::from_bytes(&public).ok())
        .and_then(|key| key.to_public_key_pem(LineEnding::LF).ok());
    match (bytes, pem) {
        (Some(bytes), Some(pem)) if bytes == pem.as_bytes() => Ok(()),
        (None, _) => Err(refuse("the public file beside the record is missing")),
        (Some(_), _) => Err(refuse("the public file is not the key of its record")),
    }
}

fn judge(record: &KeyRecord) -> Result<(), String> {
    let public: [u8; 32] = hex::decode(&record.public_key)
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or("the public key is not 32 bytes in hexadecimal")?;
    if key_id(&public) != record.key_id {
        return Err("the id does not follow from the public key".to_owned());
    }
    if record.unlinked && record.prev_signature.is_some() {
        return Err("an unlinked key carries a signature of the key before it".to_owned());
    }
    let bytes = record.signed_bytes().map_err(|fault| fault.what)?;
    verify(&record.public_key, &bytes, record.signature.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> (tempfile::TempDir, EngineDirs, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let dirs = EngineDirs::under(dir.path());
        let private = dir.path().join("keys/signing.pem");
        (dir, dirs, private)
    }

    #[test]
    fn keys_are_made_once_rotated_and_followed() {
        let (_dir, dirs, private) = place();
        let first = init(&dirs, &private, &[1; 32], "2026-02-16").unwrap();
        assert_eq!(
            init(&dirs, &private, &[2; 32], "2026-02-16").unwrap_err().code,
            Code::EnvKey,
            "an existing key is never replaced"
        );
        let mode = std::fs::metadata(&private).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let signature = Signer::load(&private, &dirs).unwrap().sign(b"day");
        let second = rotate(&dirs, &private, &[2; 32], "2026-03-01", false).unwrap();
        let third = rotate(&dirs, &private, &[3; 32], "2026-04-01", true).unwrap();
        let records = records(&dirs).unwrap();
        let ids: Vec<_> = records.iter().map(|record| record.key_id.clone()).collect();
        assert_eq!(ids, [first.clone(), second.clone(), third.clone()]);
        assert_eq!(records.iter().map(|r| r.unlinked).collect::<Vec<_>>(), [false, false, true]);
        assert_eq!(Signer::load(&private, &dirs).unwrap().key_id(), third);
        verify_by(&records, &first, b"day", Some(&signature)).unwrap();
        for (id, bytes, code) in [
            (&first, &b"other"[..], Code::ManSignature),
            (&second, b"day", Code::ManSignature),
            (&"00".to_owned(), b"day", Code::ManKey),
        ] {
            let fault = verify_by(&records, id, bytes, Some(&signature)).unwrap_err();
            assert_eq!(fault.code, code);
        }
    }

    #[test]
    fn a_private_file_that_others_may_read_or_that_has_no_record_is_refused() {
        let (_dir, dirs, private) = place();
        let id = init(&dirs, &private, &[1; 32], "2026-02-16").unwrap();
        files::set_mode(&private, 0o640).unwrap();
        assert_eq!(Signer::load(&private, &dirs).err().unwrap().code, Code::EnvKey);
        files::set_mode(&private, 0o600).unwrap();
        std::fs::remove_file(dirs.keys().join(format!("{id}.json"))).unwrap();
        assert_eq!(Signer::load(&private, &dirs).err().unwrap().code, Code::EnvKey);
        std::fs::write(&private, "no key").unwrap();
        assert_eq!(Signer::load(&private, &dirs).err().unwrap().code, Code::EnvKey);
    }

    #[test]
    fn every_flipped_byte_of_a_record_is_seen() {
        let (_dir, dirs, private) = place();
        init(&dirs, &private, &[1; 32], "2026-02-16").unwrap();
        let second = rotate(&dirs, &private, &[2; 32], "2026-03-01", false).unwrap();
        let path = dirs.keys().join(format!("{second}.json"));
        let bytes = std::fs::read(&path).unwrap();
        files::set_mode(&path, 0o644).unwrap();
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 1;
            std::fs::write(&path, &bad).unwrap();
            assert_eq!(records(&dirs).unwrap_err().code, Code::ManKey, "byte {at}");
        }
    }
}
