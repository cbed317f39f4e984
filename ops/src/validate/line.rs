//! Marker lines: the JSON lines of the services' logs, cut to a window of time.
//!
//! Anything that is not a JSON object with `ts`, `service` and `marker` is ignored, so that a torn last
//! line or a panic message never hides the rest.

use penstock_types::UtcMicros;
use serde_json::{Map, Value};
use std::io::{BufRead, BufReader};
use std::path::Path;

/// Longest line that is read; longer ones are passed over.
const LINE_BYTES_MAX: usize = 1 << 20;

/// One marker line.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// When it was written.
    pub ts: UtcMicros,
    /// `ingest`, `execution`, `ops`.
    pub service: String,
    /// Name of the marker.
    pub marker: String,
    /// `DEBUG`, `INFO`, `WARN`, `ERROR`.
    pub level: String,
    /// All keys of the line.
    pub fields: Map<String, Value>,
}

impl Line {
    /// Reads a line; `None` when it is no marker line.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let Value::Object(fields) = serde_json::from_str(text).ok()? else { return None };
        let word = |key: &str| fields.get(key).and_then(Value::as_str).map(str::to_owned);
        Some(Self {
            ts: UtcMicros::parse(fields.get("ts")?.as_str()?).ok()?,
            service: word("service")?,
            marker: word("marker")?,
            level: word("level").unwrap_or_default(),
            fields,
        })
    }

    /// A field as text: strings as they are, numbers and booleans printed; empty when absent or null.
    #[must_use]
    pub fn text(&self, key: &str) -> String {
        match self.fields.get(key) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        }
    }

    /// A field as an integer.
    #[must_use]
    pub fn number(&self, key: &str) -> Option<i64> {
        match self.fields.get(key)? {
            Value::Number(n) => n.as_i64(),
            Value::String(text) => text.parse().ok(),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        }
    }
}

/// The lines of a window, in order of time.
#[derive(Clone, Debug, Default)]
pub struct Lines(pub Vec<Line>);

impl Lines {
    /// Reads files; lines before `from` are left out.
    ///
    /// # Errors
    /// When a file cannot be opened or read.
    pub fn read(paths: &[impl AsRef<Path>], from: UtcMicros) -> std::io::Result<Self> {
        let mut lines = Vec::new();
        for path in paths {
            let mut reader = BufReader::new(std::fs::File::open(path)?);
            let mut bytes = Vec::new();
            while reader.read_until(b'\n', &mut bytes)? > 0 {
                if bytes.len() <= LINE_BYTES_MAX {
                    let line = std::str::from_utf8(&bytes).ok().and_then(Line::parse);
                    lines.extend(line.filter(|line| line.ts >= from));
                }
                bytes.clear();
            }
        }
        lines.sort_by_key(|line| line.ts);
        Ok(Self(lines))
    }

    /// Lines of one marker.
    pub fn of<'a>(&'a self, marker: &'a str) -> impl DoubleEndedIterator<Item = &'a Line> {
        self.0.iter().filter(move |line| line.marker == marker)
    }

    /// Lines of one marker of one service.
    pub fn from_service<'a>(
        &'a self,
        service: &'a str,
        marker: &'a str,
    ) -> impl DoubleEndedIterator<Item = &'a Line> {
        self.of(marker).filter(move |line| line.service == service)
    }

    /// Number of lines of a marker.
    #[must_use]
    pub fn count(&self, marker: &str) -> usize {
        self.of(marker).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_marker_lines_are_lines() {
        let line = Line::parse(
            r#"{"ts":"2026-11-25T21:00:00.000001Z","level":"INFO","service":"ingest","marker":"X","n":7,"s":"a"}"#,
        )
        .unwrap();
        assert_eq!((line.number("n"), line.text("s").as_str()), (Some(7), "a"));
        assert_eq!(line.text("absent"), "");
        for other in ["", "panicked at", "[]", "{\"ts\":1}", "{\"ts\":\"2026\",\"marker\":\"X\"}"] {
            assert_eq!(Line::parse(other), None, "{other}");
        }
    }
}
