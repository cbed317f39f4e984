//! Purpose: let a process take out of its log lines what must not be in them. Inputs: the filter of the
//! process, installed once; texts and fields on their way to a line. Outputs: the same, or what may stand
//! in their place. Invariants: without a filter nothing changes; a line stays valid JSON; a marker's fields
//! are looked at as a whole, so that a secret that lies across two of them is seen.

use std::sync::OnceLock;

use serde_json::{Map, Value};

use crate::emit::quoted;

/// Judges texts of lines. It must not log.
pub trait LineFilter: Send + Sync {
    /// What stands in place of a text; none when it may stay.
    fn text(&self, text: &str) -> Option<String>;

    /// What stands in place of fields one of whose texts may not stay.
    fn fields(&self, fields: Map<String, Value>) -> Map<String, Value>;
}

static FILTER: OnceLock<Box<dyn LineFilter>> = OnceLock::new();

/// Installs the filter of this process; false when there is one already.
pub fn filter_lines(filter: Box<dyn LineFilter>) -> bool {
    FILTER.set(filter).is_ok()
}

/// The filter of this process.
pub(crate) fn installed() -> Option<&'static dyn LineFilter> {
    FILTER.get().map(AsRef::as_ref)
}

/// A text that may stand in a line.
pub(crate) fn text(filter: &dyn LineFilter, text: &mut String) {
    if let Some(other) = filter.text(text) {
        *text = other;
    }
}

/// A value as JSON text that may stand in a line.
pub(crate) fn value(filter: &dyn LineFilter, json: &mut String) {
    // Numbers and switches hold no text.
    if let Ok(plain) = serde_json::from_str::<String>(json)
        && let Some(other) = filter.text(&plain)
    {
        *json = quoted(&other);
    }
}

/// Fields of a marker, `,"key":value` for each, that may stand in a line.
pub(crate) fn fields(filter: &dyn LineFilter, own: &mut String) {
    if filter.text(own).is_none() {
        return;
    }
    let inner = own.strip_prefix(',').unwrap_or(own);
    let read: Map<String, Value> =
        serde_json::from_str(&format!("{{{inner}}}")).unwrap_or_default();
    let kept = Value::Object(filter.fields(read)).to_string();
    let kept = kept.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or_default();
    *own = if kept.is_empty() { String::new() } else { format!(",{kept}") };
}

#[cfg(test)]
mod tests {
    use super::*;

    struct NoSecret;

    impl LineFilter for NoSecret {
        fn text(&self, text: &str) -> Option<String> {
            text.contains("hunter2").then(|| "[REDACTED]".to_owned())
        }

        fn fields(&self, fields: Map<String, Value>) -> Map<String, Value> {
            fields.into_iter().filter(|(_, v)| !v.to_string().contains("hunter2")).collect()
        }
    }

    #[test]
    fn what_may_stay_is_not_touched_and_the_rest_is_still_json() {
        let mut own = ",\"a\":1,\"b\":\"x\"".to_owned();
        fields(&NoSecret, &mut own);
        assert_eq!(own, ",\"a\":1,\"b\":\"x\"");

        let mut own = ",\"a\":1,\"b\":\"hunter2\"".to_owned();
        fields(&NoSecret, &mut own);
        assert_eq!(own, ",\"a\":1");

        let mut json = "\"my hunter2\"".to_owned();
        value(&NoSecret, &mut json);
        assert_eq!(json, "\"[REDACTED]\"");

        let mut number = "17".to_owned();
        value(&NoSecret, &mut number);
        assert_eq!(number, "17");
    }
}
