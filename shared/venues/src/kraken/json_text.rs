//! Writing one JSON object as text, in the order of its calls.
//!
//! Input: names and typed values. Output: the object's text. A decimal keeps its own digits, with a
//! point and never an exponent; that is why no general serialiser is used here.

use std::fmt::Write;

use chrono::{DateTime, SecondsFormat};
use penstock_types::UtcMicros;
use rust_decimal::Decimal;

/// A decimal as a float literal of JSON: its own digits, with a point.
pub fn float_text(value: Decimal) -> String {
    let mut text = value.to_string();
    if !text.contains('.') {
        text.push_str(".0");
    }
    text
}

/// Writer of one JSON object.
pub(crate) struct Object(String);

impl Object {
    pub(crate) fn new() -> Self {
        Self(String::from("{"))
    }

    fn key(&mut self, key: &'static str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        self.0.push('"');
        self.0.push_str(key);
        self.0.push_str("\":");
    }

    pub(crate) fn str(&mut self, key: &'static str, value: &str) {
        self.key(key);
        push_string(&mut self.0, value);
    }

    pub(crate) fn opt_str(&mut self, key: &'static str, value: Option<&str>) {
        if let Some(value) = value {
            self.str(key, value);
        }
    }

    pub(crate) fn strs(&mut self, key: &'static str, values: &[&str]) {
        self.key(key);
        self.0.push('[');
        for (index, value) in values.iter().enumerate() {
            if index > 0 {
                self.0.push(',');
            }
            push_string(&mut self.0, value);
        }
        self.0.push(']');
    }

    pub(crate) fn bool(&mut self, key: &'static str, value: bool) {
        self.key(key);
        self.0.push_str(if value { "true" } else { "false" });
    }

    pub(crate) fn int(&mut self, key: &'static str, value: i64) {
        self.key(key);
        self.0.push_str(&value.to_string());
    }

    pub(crate) fn number(&mut self, key: &'static str, value: Decimal) {
        self.key(key);
        self.0.push_str(&float_text(value));
    }

    pub(crate) fn opt_number(&mut self, key: &'static str, value: Option<Decimal>) {
        if let Some(value) = value {
            self.number(key, value);
        }
    }

    pub(crate) fn opt_time(
        &mut self,
        key: &'static str,
        value: Option<UtcMicros>,
        digits: SecondsFormat,
    ) {
        let Some(time) = value.and_then(|at| DateTime::from_timestamp_micros(at.0)) else { return };
        self.str(key, &time.to_rfc3339_opts(digits, true));
    }

    pub(crate) fn object(&mut self, key: &'static str, value: Self) {
        self.key(key);
        self.0.push_str(&value.close());
    }

    pub(crate) fn close(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

fn push_string(out: &mut String, value: &str) {
    out.push('"');
    for c in value.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c < ' ' => {
                // Writing into a String cannot fail.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
