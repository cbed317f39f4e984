//! The report of a replay.
//!
//! Input: counts and the first difference. Output: a document for people and for programs. Invariant: two
//! replays of the same files give the same document but for its speeds, which the caller measures.

use crate::error::{Code, Fault};
use penstock_types::canonical;
use serde::Serialize;
use std::time::Duration;

/// What came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Verdict {
    /// Every byte follows.
    Identical,
    /// One does not.
    Breach,
}

/// The first difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mismatch {
    /// Tick.
    pub tick: u64,
    /// Token; null for what belongs to none.
    pub token: Option<u16>,
    /// Field of the record, or the file that differs.
    pub field: String,
    /// What follows.
    pub expected: String,
    /// What stands there.
    pub actual: String,
}

/// A replay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// `A` or `B`.
    pub replay_level: char,
    /// `genesis`, `snapshot <tick>` or `records <tick>`.
    pub start: String,
    /// Ticks that were derived and compared.
    pub ticks: u64,
    /// Tokens.
    pub tokens: u64,
    /// Bytes that were hashed.
    pub bytes_hashed: u64,
    /// First difference.
    pub first_mismatch: Option<Mismatch>,
    /// State chain after the last tick, hexadecimal; null where it is not known at the start.
    pub state_chain: Option<String>,
    /// SHA-256 of the alerts' lines, hexadecimal.
    pub alerts_hash: String,
    /// Verdict.
    pub verdict: Verdict,
}

impl Report {
    /// Exit status of the tools.
    #[must_use]
    pub const fn exit(&self) -> u8 {
        match self.verdict {
            Verdict::Identical => 0,
            Verdict::Breach => Code::Determinism.exit(),
        }
    }

    /// Token-ticks and hashed bytes per second.
    #[must_use]
    pub fn rates(&self, elapsed: Duration) -> (u64, u64) {
        let per_second = |n: u64| {
            let us = elapsed.as_micros().max(1);
            u64::try_from(u128::from(n) * 1_000_000 / us).unwrap_or(u64::MAX)
        };
        (per_second(self.ticks.saturating_mul(self.tokens)), per_second(self.bytes_hashed))
    }

    /// The document as canonical JSON with its speeds.
    ///
    /// # Errors
    /// [`Code::Invariant`] when a number has no canonical form.
    pub fn json(&self, elapsed: Duration) -> Result<Vec<u8>, Fault> {
        let failed = |what: String| Fault::new(Code::Invariant, what);
        let mut value = serde_json::to_value(self).map_err(|error| failed(error.to_string()))?;
        let (token_ticks, bytes) = self.rates(elapsed);
        if let Some(fields) = value.as_object_mut() {
            fields.remove("bytes_hashed");
            fields.insert("token_ticks_per_s".to_owned(), token_ticks.into());
            fields.insert("bytes_hashed_per_s".to_owned(), bytes.into());
        }
        canonical::to_bytes(&value).map_err(|error| failed(error.to_string()))
    }
}
