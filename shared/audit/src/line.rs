//! A line of the trail: an event with its place, chained to the line before it.
//!
//! Input: an event with session, number and the hash before it, or bytes. Output: canonical bytes that end with a
//! newline, or an error that says what is wrong. Invariants: one event at one place has one byte form; any other byte
//! is an error or another hash; a line has at most 64 KiB with its newline. Whether a line is where it belongs is judged
//! by whoever reads the lines before it.

use crate::event::{Draft, Event, EventError, MODE, VERSION, is_hex64};
use penstock_types::canonical;
use penstock_types::vocab::{AuditEventType, ReasonCode, StageName};
use penstock_types::{
    EpochId, EvaluationId, GenerationId, OrderId, RunId, SessionId, SnapshotId, Symbol, TickId,
};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::fmt;

/// Longest line in bytes, its newline included.
pub const LINE_BYTES_MAX: usize = 64 * 1024;

/// Greatest number of a session's line, exact in JSON.
pub const SEQ_MAX: i64 = canonical::INTEGER_MAX;

/// A hash of the chain, written as 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// What stands before the first line of a session: 64 zeros.
    pub const ZERO: Self = Self([0; 32]);

    /// Reads 64 lower-case hex digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        let read = is_hex64(text) && hex::decode_to_slice(text, &mut bytes).is_ok();
        read.then_some(Self(bytes))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            serde::de::Error::custom("a hash of the chain is 64 lower-case hex digits")
        })
    }
}

/// Bytes that are no line.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// More bytes than a line may have.
    #[error("{bytes} bytes, a line has at most 65536")]
    TooLong {
        /// How many were seen.
        bytes: usize,
    },
    /// Not the envelope.
    #[error("it is no event: {0}")]
    Json(#[from] serde_json::Error),
    /// A field that is not the one value it can have.
    #[error("{field} is {value}, not {form}")]
    Field {
        /// Its name.
        field: &'static str,
        /// The refused value, cut.
        value: String,
        /// What it must be.
        form: &'static str,
    },
    /// The event breaks a rule.
    #[error(transparent)]
    Event(#[from] EventError),
    /// The same event is written otherwise.
    #[error("it is not in canonical form")]
    NotCanonical,
    /// The content does not have the hash that the line states.
    #[error("its content has the hash {computed}, the line states {stated}")]
    Hash {
        /// Of the content.
        computed: Hash,
        /// In the line.
        stated: Hash,
    },
}

/// A line.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// The session that wrote it.
    pub session_id: SessionId,
    /// Its number in the session, from 1.
    pub seq: i64,
    /// Hash of the line before it, zeros for the first of a session.
    pub prev_hash: Hash,
    /// Its own hash.
    pub hash: Hash,
    /// What it says; with the data that was written, when the whole was too long.
    pub event: Event,
}

/// The envelope as JSON, before its values are judged.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    v: i64,
    seq: i64,
    ts_ms: i64,
    local_received_ms: i64,
    exchange_time_ms: i64,
    session_id: SessionId,
    run_id: RunId,
    cycle_id: EvaluationId,
    mode: String,
    stage: StageName,
    event_type: AuditEventType,
    reasons: Vec<ReasonCode>,
    snapshot_id: SnapshotId,
    generation_id: GenerationId,
    epoch_id: EpochId,
    tick_id: TickId,
    decision_id: String,
    order_intent_id: String,
    symbol: String,
    data: Map<String, Value>,
    prev_hash: Hash,
    hash: Hash,
}

impl Line {
    /// Gives an event its place: the line and its bytes with the newline. Data that would make the line longer than
    /// 64 KiB is replaced by its hash and its length.
    #[must_use]
    pub fn write(
        event: Event,
        session_id: SessionId,
        seq: i64,
        prev_hash: Hash,
    ) -> (Self, Vec<u8>) {
        let line = Self::placed(event, session_id, seq, prev_hash);
        let bytes = line.bytes();
        if bytes.len() <= LINE_BYTES_MAX {
            return (line, bytes);
        }
        let data = canonical_bytes(&Value::Object(line.event.fields().data.clone()));
        let sha256 = canonical::hash_bytes(&data);
        let short = [
            ("sha256".to_owned(), json!(sha256)),
            ("truncated_bytes".to_owned(), json!(data.len())),
        ];
        let event = line.event.with_data(short.into_iter().collect());
        let line = Self::placed(event, session_id, seq, prev_hash);
        let bytes = line.bytes();
        assert!(bytes.len() <= LINE_BYTES_MAX, "an envelope without data is short");
        (line, bytes)
    }

    /// Reads a line without its newline.
    ///
    /// # Errors
    /// [`LineError`]: what of it is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, LineError> {
        if bytes.len() >= LINE_BYTES_MAX {
            return Err(LineError::TooLong { bytes: bytes.len() });
        }
        let raw: Raw = serde_json::from_slice(bytes)?;
        let line = Self::judge(raw)?;
        let hash = content_hash(&line.event, line.session_id, line.seq, line.prev_hash);
        if hash != line.hash {
            return Err(LineError::Hash { computed: hash, stated: line.hash });
        }
        // After the hash: a changed value is the better answer than a changed form.
        let written = line.bytes();
        if written.strip_suffix(b"\n") != Some(bytes) {
            return Err(LineError::NotCanonical);
        }
        Ok(line)
    }

    /// The canonical bytes with the newline.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut object = placed_object(&self.event, self.session_id, self.seq, self.prev_hash);
        object.insert("hash".to_owned(), json!(self.hash.to_string()));
        let mut bytes = canonical_bytes(&Value::Object(object));
        bytes.push(b'\n');
        bytes
    }

    /// The event of this line at its place, by the content alone: what a stored copy of the event must hash to.
    #[must_use]
    pub fn has_hash_of(&self, event: &Event) -> bool {
        content_hash(event, self.session_id, self.seq, self.prev_hash) == self.hash
    }

    fn placed(event: Event, session_id: SessionId, seq: i64, prev_hash: Hash) -> Self {
        let hash = content_hash(&event, session_id, seq, prev_hash);
        Self { session_id, seq, prev_hash, hash, event }
    }

    fn judge(raw: Raw) -> Result<Self, LineError> {
        let field = |field, value: String, form| {
            let value = value.chars().take(64).collect();
            Err(LineError::Field { field, value, form })
        };
        if raw.v != VERSION {
            return field("v", raw.v.to_string(), "1");
        }
        if raw.mode != MODE {
            return field("mode", raw.mode, "LIVE");
        }
        if raw.session_id.0.get_version_num() != 7 {
            return field("session_id", raw.session_id.to_string(), "a UUID of version 7");
        }
        if !(1..=SEQ_MAX).contains(&raw.seq) {
            return field("seq", raw.seq.to_string(), "within 1..=9007199254740991");
        }
        let order_id = match raw.order_intent_id.strip_prefix("oi_") {
            Some(number) => number.parse().ok().map(OrderId),
            None => None,
        };
        if order_id.is_none() && !raw.order_intent_id.is_empty() {
            return field("order_intent_id", raw.order_intent_id, "empty or oi_ and a number");
        }
        let symbol = match raw.symbol.as_str() {
            "" => None,
            text => match Symbol::new(text) {
                Ok(symbol) => Some(symbol),
                Err(_) => return field("symbol", raw.symbol, "empty or a symbol"),
            },
        };
        let event = Event::stored(Draft {
            ts_ms: raw.ts_ms,
            local_received_ms: raw.local_received_ms,
            exchange_time_ms: raw.exchange_time_ms,
            run_id: raw.run_id,
            cycle_id: raw.cycle_id,
            stage: raw.stage,
            event_type: raw.event_type,
            reasons: raw.reasons,
            snapshot_id: raw.snapshot_id,
            generation_id: raw.generation_id,
            epoch_id: raw.epoch_id,
            tick_id: raw.tick_id,
            decision_id: raw.decision_id,
            order_id,
            symbol,
            data: raw.data,
        })?;
        let (session_id, seq, prev_hash, hash) = (raw.session_id, raw.seq, raw.prev_hash, raw.hash);
        Ok(Self { session_id, seq, prev_hash, hash, event })
    }
}

fn placed_object(event: &Event, session: SessionId, seq: i64, prev: Hash) -> Map<String, Value> {
    let mut object = event.object();
    object.insert("session_id".to_owned(), json!(session.to_string()));
    object.insert("seq".to_owned(), json!(seq));
    object.insert("prev_hash".to_owned(), json!(prev.to_string()));
    object
}

/// SHA-256 over the hex digits of the hash before it, then the canonical line without its own hash.
fn content_hash(event: &Event, session_id: SessionId, seq: i64, prev_hash: Hash) -> Hash {
    let mut sha = Sha256::new();
    sha.update(prev_hash.to_string());
    sha.update(canonical_bytes(&Value::Object(placed_object(event, session_id, seq, prev_hash))));
    Hash(sha.finalize().into())
}

fn canonical_bytes(value: &Value) -> Vec<u8> {
    canonical::to_bytes(value).expect("an event's numbers were judged when it was made")
}

#[cfg(test)]
mod tests;
