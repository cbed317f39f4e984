//! JSON objects written by hand, so that a number on the wire has exactly the digits of its
//! decimal.
//!
//! Inputs: names and values. Outputs: text. Invariant: strings are escaped, numbers are written
//! as they print and never pass through a float.

use chrono::{DateTime, SecondsFormat, Utc};
use rust_decimal::Decimal;

/// One JSON object under construction.
#[derive(Debug)]
pub(crate) struct Object {
    text: String,
}

impl Object {
    pub(crate) fn new() -> Object {
        Object { text: String::from("{") }
    }

    /// Adds a string.
    pub(crate) fn text(self, name: &str, value: &str) -> Object {
        let quoted = serde_json::Value::from(value).to_string();
        self.raw(name, &quoted)
    }

    /// Adds a string, when there is one.
    pub(crate) fn maybe_text(self, name: &str, value: Option<&str>) -> Object {
        match value {
            Some(value) => self.text(name, value),
            None => self,
        }
    }

    /// Adds a number with the digits of its decimal.
    pub(crate) fn number(self, name: &str, value: Decimal) -> Object {
        self.raw(name, &value.to_string())
    }

    /// Adds an integer.
    pub(crate) fn integer(self, name: &str, value: i64) -> Object {
        self.raw(name, &value.to_string())
    }

    /// Adds a truth value.
    pub(crate) fn flag(self, name: &str, value: bool) -> Object {
        self.raw(name, if value { "true" } else { "false" })
    }

    /// Adds a time in µs as RFC 3339 text.
    pub(crate) fn time(self, name: &str, us: i64) -> Object {
        self.text(name, &time_text(us))
    }

    /// Adds JSON text as it is.
    pub(crate) fn raw(mut self, name: &str, json: &str) -> Object {
        if self.text.len() > 1 {
            self.text.push(',');
        }
        self.text.push('"');
        self.text.push_str(name);
        self.text.push_str("\":");
        self.text.push_str(json);
        self
    }

    /// The finished object.
    pub(crate) fn end(mut self) -> String {
        self.text.push('}');
        self.text
    }
}

/// A JSON array of texts that are JSON already.
pub(crate) fn array(items: &[String]) -> String {
    format!("[{}]", items.join(","))
}

/// RFC 3339 with microseconds, as on the wire.
pub(crate) fn time_text(us: i64) -> String {
    let time: DateTime<Utc> = DateTime::from_timestamp_micros(us).unwrap_or_default();
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_zeros_and_strings_are_escaped() {
        let json = Object::new()
            .number("qty", Decimal::new(10_000_000, 8))
            .text("reason", "say \"no\"")
            .time("at", 1_700_000_000_000_001)
            .end();
        let expected = "{\"qty\":0.10000000,\"reason\":\"say \\\"no\\\"\",\
                        \"at\":\"2023-11-14T22:13:20.000001Z\"}";
        assert_eq!(json, expected);
    }
}
