//! The log's filter: lines go through the same redaction as events.
//!
//! Input: texts and fields of log lines. Output: what may stand in their place. Invariant: a line that
//! contains a loaded secret is never written as it is, whichever of its fields holds it.

use penstock_audit::Redactor;
use penstock_telemetry::LineFilter;
use serde_json::{Map, Value};

/// A redactor as the filter of the process's log.
#[derive(Debug)]
pub struct LogFilter(pub Redactor);

impl LineFilter for LogFilter {
    fn text(&self, text: &str) -> Option<String> {
        let kept = self.0.text(text);
        (kept != text).then_some(kept)
    }

    fn fields(&self, fields: Map<String, Value>) -> Map<String, Value> {
        self.0.data(&fields)
    }
}

#[cfg(test)]
mod tests;
