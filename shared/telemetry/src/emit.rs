//! Purpose: turn a marker and its fields into one `tracing` event. Inputs: a marker, field values that
//! serialise. Outputs: the event, with the fields already written as JSON in the order given.
//! Invariants: a field can never replace one of the line's own keys (checked when it is compiled); a
//! disabled level costs one comparison; a value longer than [`VALUE_BYTES_LIMIT`] is replaced by its
//! size. It does not look at the meaning of a field.

use serde::Serialize;

use crate::marker::{Level, Marker};

/// The `tracing` target of all markers; filters may name it.
pub(crate) const MARKER_TARGET: &str = "penstock::marker";

/// Longest JSON text of one field. Long lists belong into tables; a line longer than a pipe's buffer
/// would also be torn by readers.
pub(crate) const VALUE_BYTES_LIMIT: usize = 64 * 1024;

/// Keys that every line carries by itself.
const RESERVED: [&str; 6] = ["ts", "level", "service", "marker", "domain", "git_commit"];

/// Whether a field of this name would collide with one of the line's own keys.
#[must_use]
pub const fn is_reserved(key: &str) -> bool {
    let mut i = 0;
    while i < RESERVED.len() {
        if same(RESERVED[i].as_bytes(), key.as_bytes()) {
            return true;
        }
        i += 1;
    }
    false
}

const fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut i = 0;
    while i < a.len() {
        if a[i] != b[i] {
            return false;
        }
        i += 1;
    }
    true
}

/// Fields of one line as JSON text: `,"key":value` for each.
#[derive(Debug, Default, Clone)]
pub struct Fields {
    json: String,
}

impl Fields {
    /// No fields yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a field. Decimals serialise as strings, structures and lists as nested JSON; what does not
    /// serialise (a map with keys that are not text) becomes a text that says so.
    pub fn push<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) {
        let text = serde_json::to_string(value)
            .unwrap_or_else(|error| quoted(&format!("[not serialisable: {error}]")));
        self.push_json(key, &text);
    }

    /// [`Fields::push`] in a chain.
    #[must_use]
    pub fn with<T: Serialize + ?Sized>(mut self, key: &str, value: &T) -> Self {
        self.push(key, value);
        self
    }

    pub(crate) fn push_json(&mut self, key: &str, text: &str) {
        self.json.push(',');
        self.json.push_str(&quoted(key.strip_prefix("r#").unwrap_or(key)));
        self.json.push(':');
        if text.len() > VALUE_BYTES_LIMIT {
            self.json.push_str(&quoted(&format!("[left out: {} bytes]", text.len())));
        } else {
            self.json.push_str(text);
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.json
    }
}

pub(crate) fn quoted(text: &str) -> String {
    // A string always serialises; the fallback is there because the signature says otherwise.
    serde_json::to_string(text).unwrap_or_else(|_| "\"\"".to_owned())
}

/// Whether the log has lines of this level.
#[must_use]
pub fn enabled(level: Level) -> bool {
    match level {
        Level::Debug => tracing::enabled!(target: MARKER_TARGET, tracing::Level::DEBUG),
        Level::Info => tracing::enabled!(target: MARKER_TARGET, tracing::Level::INFO),
        Level::Warn => tracing::enabled!(target: MARKER_TARGET, tracing::Level::WARN),
        Level::Error => tracing::enabled!(target: MARKER_TARGET, tracing::Level::ERROR),
    }
}

/// Emits a marker; called by [`crate::marker!`].
pub fn send(marker: Marker, level: Level, fields: &Fields) {
    let name = marker.as_str();
    let fields = fields.as_str();
    crate::watch::tell(marker, level, fields);
    match level {
        Level::Debug => tracing::debug!(target: MARKER_TARGET, marker = name, fields = fields),
        Level::Info => tracing::info!(target: MARKER_TARGET, marker = name, fields = fields),
        Level::Warn => tracing::warn!(target: MARKER_TARGET, marker = name, fields = fields),
        Level::Error => tracing::error!(target: MARKER_TARGET, marker = name, fields = fields),
    }
}

/// A span that gives every line inside it `session_id` and `evaluation`. Enter it for the length of one
/// evaluation (`tracing::Instrument` for futures).
#[must_use]
pub fn cycle_span(session_id: &str, evaluation: u64) -> tracing::Span {
    tracing::error_span!(target: MARKER_TARGET, "cycle", session_id = session_id, evaluation = evaluation)
}

/// Emits a marker: `marker!(FENCE_ACQUIRED, fencing_token = 7, via = "lock")`.
///
/// Values are anything that implements `serde::Serialize`. `marker!(at Level::Warn, TRADES_BACKFILLED,
/// missing = 3)` overrides the level for the few markers whose level depends on what they say.
#[macro_export]
macro_rules! marker {
    (at $level:expr, $name:ident $(, $key:ident = $value:expr)* $(,)?) => {{
        $(const _: () = assert!(
            !$crate::is_reserved(stringify!($key)),
            concat!("the field ", stringify!($key), " would replace a key that every line carries"),
        );)*
        let level: $crate::Level = $level;
        if $crate::enabled(level) || $crate::is_watched($crate::Marker::$name, level) {
            let fields = $crate::Fields::new();
            $(let fields = fields.with(stringify!($key), &$value);)*
            $crate::send($crate::Marker::$name, level, &fields);
        }
    }};
    ($name:ident $(, $key:ident = $value:expr)* $(,)?) => {
        $crate::marker!(at $crate::Marker::$name.level(), $name $(, $key = $value)*)
    };
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Fields, VALUE_BYTES_LIMIT, is_reserved};

    #[test]
    fn the_lines_own_keys_are_reserved() {
        assert!(is_reserved("level"));
        assert!(is_reserved("git_commit"));
        assert!(!is_reserved("levels"));
        assert!(!is_reserved("run_id"));
    }

    #[test]
    fn a_value_over_the_limit_is_replaced_by_its_size() {
        let mut fields = Fields::new();
        fields.push("big", &"x".repeat(VALUE_BYTES_LIMIT));
        assert_eq!(
            fields.as_str(),
            format!(",\"big\":\"[left out: {} bytes]\"", VALUE_BYTES_LIMIT + 2)
        );
    }

    proptest! {
        #[test]
        fn any_text_survives_as_json(key in "[a-z_]{1,12}", value in ".*") {
            let mut fields = Fields::new();
            fields.push(&key, &value);
            let line = format!("{{\"first\":1{}}}", fields.as_str());
            prop_assert!(!line.contains('\n'));
            let read: serde_json::Value = serde_json::from_str(&line).expect("is JSON");
            if key != "first" {
                prop_assert_eq!(read[&key].as_str(), Some(value.as_str()));
            }
        }
    }
}
