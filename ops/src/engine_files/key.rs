//! The signing key where a data root begins: made when there is none, left alone otherwise.
//!
//! Input: places. Output: the id of a new key. Invariants: an existing key is never touched; where public keys
//! were published and the private one is gone, no new one begins beside them.

use chrono::Utc;
use penstock_engine_io::{Code, Fault, keys};

use super::Places;

/// Today, as the records of keys write it.
pub(crate) fn today() -> String {
    Utc::now().format("%Y-%m-%d").to_string()
}

/// Calls `make` with 32 bytes of the operating system, which are gone afterwards.
///
/// # Errors
/// [`Code::EnvKey`] when it gives none, and what `make` says.
pub(crate) fn with_seed<T>(make: impl FnOnce(&[u8; 32]) -> Result<T, Fault>) -> Result<T, Fault> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)
        .map_err(|error| Fault::new(Code::EnvKey, format!("no random bytes: {error}")))?;
    let made = make(&seed);
    keys::wipe(&mut seed);
    made
}

/// Makes the key of a new data root; `None` when a key, or the public record of one, is there.
///
/// # Errors
/// [`Code::EnvKey`], [`Code::EnvDir`], [`Code::Storage`].
pub fn ensure(places: &Places) -> Result<Option<String>, Fault> {
    let path = &places.signing_key_file;
    let is_there = std::fs::exists(path).map_err(|e| Fault::storage("look at", path, &e))?;
    if is_there || !keys::records(&places.dirs)?.is_empty() {
        return Ok(None);
    }
    with_seed(|seed| keys::init(&places.dirs, path, seed, &today())).map(Some)
}
