//! Redaction: what must never reach a file, a row, a log line or an alert is taken out, or the whole is refused.
//!
//! Input: JSON, texts, URLs, and the secrets that were loaded. Output: the same without what must not be kept.
//! Invariants: keys that carry credentials are dropped; an object with a key that smells of one, or with a text that
//! contains a loaded secret or the name of its variable, is refused and leaves only hashes, verdict, reasons and error
//! code; what is too long is replaced as a whole, never cut, because half of a JSON text is none; the answer is searched
//! once more as it will be written. It knows secrets of at least eight characters, as they were loaded,
//! percent-encoded, escaped, and passwords within URLs; other encodings of a secret it cannot know.

mod url;

use crate::event::is_hex64;
use penstock_types::vocab::ReasonCode;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use std::fmt::Write;

/// Shortest secret that is looked for: shorter ones are found everywhere.
pub const SECRET_CHARS_MIN: usize = 8;

/// Most bytes of a stored JSON text unless configured otherwise.
pub const JSON_BYTES_MAX: usize = 4096;

/// What stands in place of a text that is refused.
pub const REDACTED: &str = "[REDACTED]";

/// Keys that carry credentials, in lower case; they are dropped with their values.
const DROPPED: [&str; 15] = [
    "authorization",
    "api-key",
    "api-sign",
    "x-mbx-apikey",
    "cookie",
    "set-cookie",
    "signature",
    "otp",
    "kraken_api_key",
    "kraken_api_secret",
    "ai_gate_api_key",
    "alert_pushover_user",
    "alert_telegram_chat_id",
    "ingest_database_url",
    "decision_database_url",
];

/// Keys that differ between two equal requests, in lower case; they are dropped from stored JSON of the AI gate.
const VOLATILE: [&str; 8] =
    ["timestamp", "ts", "nonce", "sequence", "seq", "temp_id", "temporary_id", "random"];

/// Parts of a key, in lower case, that make its object refused.
const SUSPECT: [&str; 6] = ["secret", "apikey", "api_key", "password", "passphrase", "private_key"];

/// Keys that end like a token's and are none.
const NO_TOKEN: [&str; 1] = ["fencing_token"];

/// Whose JSON it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Made here.
    Own,
    /// Sent to the AI gate or answered by it: volatile keys are dropped too.
    Ai,
}

/// Why something is refused. It names no content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// A key that smells of a credential.
    #[error("a key speaks of a credential")]
    Key,
    /// A loaded secret, or the name of its variable.
    #[error("a text contains a loaded secret or the name of its variable")]
    Secret,
}

/// What to look for. Printing it shows no secret.
#[derive(Debug, Clone)]
pub struct Redactor {
    taints: Vec<SecretString>,
    env_names: Vec<String>,
    sink_hosts: Vec<String>,
    json_bytes_max: usize,
}

impl Default for Redactor {
    /// Knows no secret; keys and URLs are judged all the same.
    fn default() -> Self {
        Self {
            taints: Vec::new(),
            env_names: Vec::new(),
            sink_hosts: Vec::new(),
            json_bytes_max: JSON_BYTES_MAX,
        }
    }
}

impl Redactor {
    /// Looks for these secrets too; those of fewer than eight characters are left out.
    #[must_use]
    pub fn with_secrets<'a>(mut self, secrets: impl IntoIterator<Item = &'a SecretString>) -> Self {
        for secret in secrets {
            let secret = secret.expose_secret();
            let inner = url::password_of(secret);
            let plain = [Some(secret.to_owned()), inner.clone(), inner.map(|p| url::decoded(&p))];
            for text in plain.into_iter().flatten() {
                if text.chars().count() < SECRET_CHARS_MIN {
                    continue;
                }
                let escaped = Value::from(text.as_str()).to_string();
                let escaped = escaped[1..escaped.len() - 1].to_owned();
                let (upper, lower) = (url::encoded(&text, true), url::encoded(&text, false));
                for form in [text, escaped, upper, lower] {
                    if !self.taints.iter().any(|known| known.expose_secret() == form) {
                        self.taints.push(SecretString::from(form));
                    }
                }
            }
        }
        self
    }

    /// Looks for these names of variables that hold secrets.
    #[must_use]
    pub fn with_env_names<'a>(mut self, names: impl IntoIterator<Item = &'a str>) -> Self {
        self.env_names.extend(names.into_iter().filter(|n| !n.is_empty()).map(str::to_owned));
        self
    }

    /// Hosts of alert sinks: the path of their URLs may be the secret and is left out.
    #[must_use]
    pub fn with_sink_hosts<'a>(mut self, hosts: impl IntoIterator<Item = &'a str>) -> Self {
        self.sink_hosts.extend(hosts.into_iter().map(str::to_ascii_lowercase));
        self
    }

    /// Most bytes of a stored JSON text.
    #[must_use]
    pub const fn with_json_bytes_max(mut self, bytes: usize) -> Self {
        self.json_bytes_max = bytes;
        self
    }

    /// The data of an event: redacted, or what may be kept of it when it is refused. How long it may be is judged with
    /// its line.
    #[must_use]
    pub fn data(&self, data: &Map<String, Value>) -> Map<String, Value> {
        self.object(data, Source::Own).unwrap_or_else(|_| self.kept_of(data))
    }

    /// A value without its dropped keys and with its URLs cut.
    ///
    /// # Errors
    /// [`Refused`] when nothing of it may be kept as it is.
    pub fn json(&self, value: &Value, source: Source) -> Result<Value, Refused> {
        let value = self.value(value, source)?;
        self.judge_written(&value)?;
        Ok(value)
    }

    /// JSON as the text that is stored: redacted; of a refused object what may be kept; `<TRUNCATED len_bytes=N>` when
    /// it is longer than the limit.
    #[must_use]
    pub fn stored_json(&self, value: &Value, source: Source) -> String {
        let value = self.json(value, source).unwrap_or_else(|_| match value {
            Value::Object(map) => Value::Object(self.kept_of(map)),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => Value::from(REDACTED),
        });
        let text = value.to_string();
        if text.len() > self.json_bytes_max {
            return format!("<TRUNCATED len_bytes={}>", text.len());
        }
        text
    }

    /// A text for a log line, an alert or the console: its URLs cut, or [`REDACTED`] as a whole.
    #[must_use]
    pub fn text(&self, text: &str) -> String {
        self.string(text).unwrap_or_else(|_| REDACTED.to_owned())
    }

    /// A text contains a loaded secret or the name of its variable.
    #[must_use]
    pub fn is_tainted(&self, text: &str) -> bool {
        self.taints.iter().any(|taint| text.contains(taint.expose_secret()))
            || self.env_names.iter().any(|name| text.contains(name.as_str()))
    }

    fn object(
        &self,
        map: &Map<String, Value>,
        source: Source,
    ) -> Result<Map<String, Value>, Refused> {
        let map = self.fields(map, source)?;
        let value = Value::Object(map);
        self.judge_written(&value)?;
        let Value::Object(map) = value else { return Err(Refused::Key) };
        Ok(map)
    }

    fn fields(
        &self,
        map: &Map<String, Value>,
        source: Source,
    ) -> Result<Map<String, Value>, Refused> {
        let mut kept = Map::new();
        for (key, value) in map {
            let lower = key.to_ascii_lowercase();
            let volatile = source == Source::Ai && VOLATILE.contains(&lower.as_str());
            if volatile || DROPPED.contains(&lower.as_str()) {
                continue;
            }
            self.judge_key(key, &lower)?;
            kept.insert(key.clone(), self.value(value, source)?);
        }
        Ok(kept)
    }

    fn value(&self, value: &Value, source: Source) -> Result<Value, Refused> {
        match value {
            Value::Null | Value::Bool(_) => Ok(value.clone()),
            Value::Number(number) if self.is_tainted(&number.to_string()) => Err(Refused::Secret),
            Value::Number(_) => Ok(value.clone()),
            Value::String(text) => self.string(text).map(Value::String),
            Value::Array(items) => {
                items.iter().map(|item| self.value(item, source)).collect::<Result<_, _>>()
            }
            Value::Object(map) => self.fields(map, source).map(Value::Object),
        }
    }

    fn judge_key(&self, key: &str, lower: &str) -> Result<(), Refused> {
        let token = lower.ends_with("token") && !NO_TOKEN.contains(&lower);
        if token || SUSPECT.iter().any(|part| lower.contains(part)) {
            return Err(Refused::Key);
        }
        if self.is_tainted(key) {
            return Err(Refused::Secret);
        }
        // A key is kept as it is or not at all.
        if url::scrubbed(key, &self.sink_hosts) == key { Ok(()) } else { Err(Refused::Key) }
    }

    /// Before its URLs are cut, because half of a secret may be left, and after it, because a cut joins nothing unseen.
    fn string(&self, text: &str) -> Result<String, Refused> {
        if self.is_tainted(text) {
            return Err(Refused::Secret);
        }
        let text = url::scrubbed(text, &self.sink_hosts);
        if self.is_tainted(&text) { Err(Refused::Secret) } else { Ok(text) }
    }

    /// A secret may lie across keys and values; what is written must not contain it either.
    fn judge_written(&self, value: &Value) -> Result<(), Refused> {
        if self.is_tainted(&value.to_string()) { Err(Refused::Secret) } else { Ok(()) }
    }

    /// What may be kept of a refused object: hashes, verdict, reasons, error code, each in its closed form.
    fn kept_of(&self, map: &Map<String, Value>) -> Map<String, Value> {
        let mut kept = Map::new();
        for (key, value) in map {
            let plain = key.len() <= 64
                && key.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
            if plain && is_kept(key, value) && self.judge_key(key, key).is_ok() {
                kept.insert(key.clone(), value.clone());
            }
        }
        let value = Value::Object(kept);
        match (self.judge_written(&value), value) {
            (Ok(()), Value::Object(kept)) => kept,
            (Ok(()) | Err(_), _) => Map::new(),
        }
    }
}

fn is_kept(key: &str, value: &Value) -> bool {
    let is_reason = |value: &Value| value.as_str().is_some_and(|t| ReasonCode::parse(t).is_ok());
    let name = key.strip_prefix("ai_").unwrap_or(key);
    match name {
        "verdict" => {
            value.as_str().is_some_and(|t| ["ALLOW", "BLOCK", "MODIFY", "ERROR"].contains(&t))
        }
        "reasons" => value.as_array().is_some_and(|items| items.iter().all(is_reason)),
        "error_code" | "primary_reason" | "first_reason" => is_reason(value),
        _ => (name.ends_with("_hash") || name == "hash") && value.as_str().is_some_and(is_hex64),
    }
}

/// Percent-encodes a byte.
fn push_percent(out: &mut String, byte: u8, upper: bool) {
    // Writing to a string cannot fail.
    let _ = if upper { write!(out, "%{byte:02X}") } else { write!(out, "%{byte:02x}") };
}

#[cfg(test)]
mod tests;
