//! The stored form of inputs: zstd over canonical JSON.
//!
//! Purpose: keep what repeats a decision, and read it back. Inputs: a `CycleInput`, the second reads.
//! Outputs: bytes and hashes. Invariants: reading back gives an equal value; a block that inflates beyond
//! the limit is refused.

use penstock_trading::cycle::{CycleInput, ReRead};
use penstock_trading::decide::DecideConfig;
use penstock_trading::gates::Choke;
use penstock_types::Symbol;
use penstock_types::canonical::{self, CanonicalError};
use serde::{Deserialize, Serialize};

/// Level of compression: the fastest that still halves twice.
const ZSTD_LEVEL: i32 = 1;
/// Largest inflated input: 1 000 symbols with 2 kB each, and as much again for the rest.
const INFLATED_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Version of inputs that this binary decides again.
pub const CURRENT_INPUT: u16 = penstock_trading::cycle::CYCLE_INPUT_VERSION;

/// A stored block that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum StoredError {
    /// Not zstd, or inflates beyond the limit.
    #[error("stored input cannot be inflated within {INFLATED_BYTES_MAX} bytes: {0}")]
    Inflate(#[from] std::io::Error),
    /// Not the JSON of this version.
    #[error("stored input cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    /// No canonical form.
    #[error("input has no canonical form: {0}")]
    Canonical(#[from] CanonicalError),
}

/// A second read and what the gates said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SecondRead {
    /// Symbol.
    pub symbol: Symbol,
    /// What was read.
    pub read: ReRead,
    /// What the choke said.
    pub choke: Choke,
}

/// Bytes and hash of an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Compressed canonical JSON.
    pub bytes: Vec<u8>,
    /// SHA-256 of the canonical JSON.
    pub hash: String,
}

/// Stores a value.
///
/// # Errors
/// [`StoredError`].
pub fn store(value: &impl Serialize) -> Result<Stored, StoredError> {
    let json = canonical::to_bytes(value)?;
    let bytes = zstd::bulk::compress(&json, ZSTD_LEVEL)?;
    Ok(Stored { bytes, hash: canonical::hash_bytes(&json) })
}

/// Reads an input back and gives the hash of its canonical JSON.
///
/// # Errors
/// [`StoredError`].
pub fn read_input(bytes: &[u8]) -> Result<(CycleInput, String), StoredError> {
    let json = zstd::bulk::decompress(bytes, INFLATED_BYTES_MAX)?;
    Ok((serde_json::from_slice(&json)?, canonical::hash_bytes(&json)))
}

/// The settings of `decide` inside a row of `exec_configs`.
#[derive(Debug, Deserialize)]
struct StoredConfig {
    decide: DecideConfig,
}

/// Reads the settings that decided from a row of `exec_configs`; its key is part of them.
///
/// # Errors
/// [`StoredError::Json`].
pub fn read_config(
    config_hash: &str,
    config: &serde_json::Value,
) -> Result<DecideConfig, StoredError> {
    let mut decide = StoredConfig::deserialize(config)?.decide;
    decide.contract.config_hash = config_hash.to_owned();
    Ok(decide)
}

/// Repeats a stored decision: true when input and outcome have the stored hashes.
///
/// # Errors
/// [`StoredError`].
pub fn repeats(
    input: &[u8],
    input_hash: &str,
    outcome_hash: &str,
    (config_hash, config): (&str, &serde_json::Value),
) -> Result<bool, StoredError> {
    let (cycle, hash) = read_input(input)?;
    let decision = penstock_trading::decide(&cycle, &read_config(config_hash, config)?);
    Ok(hash == input_hash && decision.outcome_hash()? == outcome_hash)
}
