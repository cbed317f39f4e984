//! Numbers and times as wire text.
//!
//! Input: scaled integers and microseconds. Output: text appended to a buffer. Invariants: a
//! number has exactly its digits after the point, never an exponent; a time is RFC 3339 in UTC
//! with `Z`. It knows no messages.

use std::fmt::Write;

use chrono::{DateTime, Utc};

/// Appends `units` × 10^-`decimals` with exactly `decimals` digits after the point.
pub(crate) fn push_fixed(out: &mut String, units: i64, decimals: u32) {
    if units < 0 {
        out.push('-');
    }
    let mut digits = [b'0'; 40];
    let mut left = units.unsigned_abs();
    let mut from = digits.len();
    while left > 0 {
        from -= 1;
        digits[from] = b'0' + (left % 10) as u8;
        left /= 10;
    }
    let decimals = (decimals as usize).min(digits.len() - 1);
    from = from.min(digits.len() - 1 - decimals);
    let point = digits.len() - decimals;
    out.extend(digits[from..point].iter().map(|&digit| char::from(digit)));
    if decimals > 0 {
        out.push('.');
        out.extend(digits[point..].iter().map(|&digit| char::from(digit)));
    }
}

/// [`push_fixed`] as a value.
pub(crate) fn fixed(units: i64, decimals: u32) -> String {
    let mut out = String::new();
    push_fixed(&mut out, units, decimals);
    out
}

/// Microseconds since the Unix epoch as RFC 3339 with six digits.
pub(crate) fn time_us(us: i64) -> String {
    DateTime::<Utc>::from_timestamp_micros(us)
        .unwrap_or_default()
        .format("%Y-%m-%dT%H:%M:%S%.6fZ")
        .to_string()
}

/// Microseconds since the Unix epoch as RFC 3339 with nine digits.
pub(crate) fn time_ns(us: i64) -> String {
    DateTime::<Utc>::from_timestamp_micros(us)
        .unwrap_or_default()
        .format("%Y-%m-%dT%H:%M:%S%.9fZ")
        .to_string()
}

/// Appends a JSON string.
pub(crate) fn push_json_text(out: &mut String, text: &str) {
    out.push('"');
    for one in text.chars() {
        match one {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            control if (control as u32) < 0x20 => {
                // Writing to a string cannot fail.
                let _ = write!(out, "\\u{:04x}", control as u32);
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_exactly_their_digits() {
        for (units, decimals, text) in [
            (452_810, 1, "45281.0"),
            (10_000_000, 8, "0.10000000"),
            (5, 0, "5"),
            (0, 2, "0.00"),
            (0, 0, "0"),
            (-150, 2, "-1.50"),
            (i64::MAX, 8, "92233720368.54775807"),
        ] {
            assert_eq!(fixed(units, decimals), text);
        }
    }

    #[test]
    fn times_carry_six_or_nine_digits() {
        let us = 1_783_465_203_947_173;
        assert_eq!(time_us(us), "2026-07-07T23:00:03.947173Z");
        assert_eq!(time_ns(us), "2026-07-07T23:00:03.947173000Z");
    }

    #[test]
    fn text_is_escaped() {
        let mut out = String::new();
        push_json_text(&mut out, "a\"b\\c\n");
        assert_eq!(out, r#""a\"b\\c\u000a""#);
        assert_eq!(serde_json::from_str::<String>(&out).expect("json"), "a\"b\\c\n");
    }
}
