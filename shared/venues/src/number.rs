//! Number and time text to integers and decimals, exactly.
//!
//! Input: the text of a JSON number (`63501.6`, `0.00005100`, `5e-05`) or of an RFC 3339 time.
//! Output: an integer in a given scale, a decimal, nanoseconds. Invariant: no value is rounded; what
//! does not fit is an error. It does not use floating point and does not allocate.

use penstock_types::decimal::{WIRE_EXPONENT_DIGITS_MAX, WIRE_NUMBER_LEN_MAX, parse_wire};
use rust_decimal::Decimal;
use thiserror::Error;

/// Why a number text has no exact value in the wanted form.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NumberError {
    /// Not the text of a number.
    #[error("{text:?} is not a number")]
    Syntax {
        /// The text.
        text: String,
    },
    /// More digits after the point than the scale has.
    #[error(
        "{text} has more than {scale} digits after the point; the instrument's precision changed or is wrong"
    )]
    Inexact {
        /// The text.
        text: String,
        /// The scale that was asked for.
        scale: u8,
    },
    /// Larger than the target type.
    #[error("{text} at scale {scale} does not fit into 64 bits")]
    Overflow {
        /// The text.
        text: String,
        /// The scale that was asked for.
        scale: u8,
    },
}

/// A number text taken apart: `mantissa` × 10^`exponent`.
#[derive(Clone, Copy, Debug)]
struct Parts {
    negative: bool,
    mantissa: u64,
    exponent: i32,
    overflow: bool,
}

const POWERS_OF_TEN: [u64; 20] = {
    let mut table = [1u64; 20];
    let mut i = 1;
    while i < 20 {
        table[i] = table[i - 1] * 10;
        i += 1;
    }
    table
};

#[inline]
fn parts(text: &str) -> Option<Parts> {
    let bytes = text.as_bytes();
    if bytes.len() > WIRE_NUMBER_LEN_MAX {
        return None;
    }
    let mut at = 0;
    let negative = bytes.first() == Some(&b'-');
    if negative {
        at = 1;
    }
    let mut mantissa = 0u64;
    let mut overflow = false;
    let mut digits = 0u32;
    let mut fraction = 0i32;
    let mut after_point = false;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'0'..=b'9' => {
                digits += 1;
                fraction += i32::from(after_point);
                let digit = u64::from(byte - b'0');
                match mantissa.checked_mul(10).and_then(|m| m.checked_add(digit)) {
                    Some(next) => mantissa = next,
                    None => overflow = true,
                }
            }
            b'.' if !after_point && digits > 0 => after_point = true,
            b'e' | b'E' if digits > 0 => break,
            _ => return None,
        }
        at += 1;
    }
    if digits == 0 || (after_point && fraction == 0) {
        return None;
    }
    let exponent = if at < bytes.len() { exponent(&bytes[at + 1..])? } else { 0 };
    Some(Parts { negative, mantissa, exponent: exponent - fraction, overflow })
}

fn exponent(bytes: &[u8]) -> Option<i32> {
    let (negative, digits) = match bytes.first()? {
        b'-' => (true, &bytes[1..]),
        b'+' => (false, &bytes[1..]),
        _ => (false, bytes),
    };
    if digits.is_empty() || digits.len() > WIRE_EXPONENT_DIGITS_MAX {
        return None;
    }
    let mut value = 0i32;
    for byte in digits {
        if !byte.is_ascii_digit() {
            return None;
        }
        value = value * 10 + i32::from(byte - b'0');
    }
    Some(if negative { -value } else { value })
}

/// Whether the text is a number; [`scaled`] and [`decimal`] refuse it only when it does not fit.
pub fn is_number(text: &str) -> bool {
    parts(text).is_some()
}

/// The value of `text` as an integer of 10^-`scale`.
///
/// # Errors
/// Not a number, more digits than `scale`, or too large for `i64`.
#[inline]
pub fn scaled(text: &str, scale: u8) -> Result<i64, NumberError> {
    let overflow = || NumberError::Overflow { text: shown(text), scale };
    let parts = parts(text).ok_or_else(|| NumberError::Syntax { text: shown(text) })?;
    if parts.overflow {
        return scaled_long(text, scale);
    }
    let shift = i32::from(scale) + parts.exponent;
    let magnitude = if parts.mantissa == 0 {
        0
    } else if (0..20).contains(&shift) {
        parts.mantissa.checked_mul(POWERS_OF_TEN[shift as usize]).ok_or_else(overflow)?
    } else if (-19..0).contains(&shift) {
        let divisor = POWERS_OF_TEN[shift.unsigned_abs() as usize];
        if !parts.mantissa.is_multiple_of(divisor) {
            return Err(NumberError::Inexact { text: shown(text), scale });
        }
        parts.mantissa / divisor
    } else if shift < 0 {
        return Err(NumberError::Inexact { text: shown(text), scale });
    } else {
        return Err(overflow());
    };
    let value = if parts.negative {
        0_i64.checked_sub_unsigned(magnitude)
    } else {
        i64::try_from(magnitude).ok()
    };
    value.ok_or_else(overflow)
}

/// The rare text with more than 19 digits: trailing zeros may still make it exact.
#[cold]
fn scaled_long(text: &str, scale: u8) -> Result<i64, NumberError> {
    let overflow = || NumberError::Overflow { text: shown(text), scale };
    let value = decimal(text).map_err(|_| overflow())?.normalize();
    if value.scale() > u32::from(scale) {
        return Err(NumberError::Inexact { text: shown(text), scale });
    }
    let factor = 10i128.checked_pow(u32::from(scale) - value.scale()).ok_or_else(overflow)?;
    let wide = value.mantissa().checked_mul(factor).ok_or_else(overflow)?;
    i64::try_from(wide).map_err(|_| overflow())
}

/// The value of `text` as a decimal; trailing zeros are kept.
///
/// # Errors
/// Not a number, or more than 28 digits after the point or a mantissa above 96 bits.
pub fn decimal(text: &str) -> Result<Decimal, NumberError> {
    parse_wire(text).map_err(|_| NumberError::Syntax { text: shown(text) })
}

/// Number of digits after the point that the text needs (`5e-05` needs 5, `1.50` shows 2).
pub fn fraction_digits(text: &str) -> u8 {
    match parts(text) {
        Some(parts) if parts.exponent < 0 => u8::try_from(-parts.exponent).unwrap_or(u8::MAX),
        _ => 0,
    }
}

/// A decimal of `value` × 10^-`scale`.
pub fn unscaled(value: i64, scale: u8) -> Decimal {
    Decimal::from_i128_with_scale(i128::from(value), u32::from(scale.min(28)))
}

/// Error texts quote at most this many characters of a hostile number.
const SHOWN_CHARS_MAX: usize = 40;

fn shown(text: &str) -> String {
    text.chars().take(SHOWN_CHARS_MAX).collect()
}

/// Nanoseconds since the Unix epoch of an RFC 3339 text in UTC (`Z` or `+00:00`).
pub fn rfc3339_nanos(text: &str) -> Option<i64> {
    let b = text.as_bytes();
    if b.len() < 20 || b[4] != b'-' || b[7] != b'-' || b[13] != b':' || b[16] != b':' {
        return None;
    }
    if !matches!(b[10], b'T' | b't' | b' ') {
        return None;
    }
    let (year, month, day) = (digits(&b[0..4])?, digits(&b[5..7])?, digits(&b[8..10])?);
    let (hour, minute, second) = (digits(&b[11..13])?, digits(&b[14..16])?, digits(&b[17..19])?);
    if !(1..=12).contains(&month) || day == 0 || day > days_in_month(year, month) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let mut at = 19;
    let mut nanos = 0i64;
    if b[at] == b'.' {
        at += 1;
        let mut unit = 100_000_000i64;
        let start = at;
        while let Some(byte @ b'0'..=b'9') = b.get(at) {
            nanos += i64::from(byte - b'0') * unit;
            unit /= 10;
            at += 1;
        }
        if at == start {
            return None;
        }
    }
    if !matches!(&b[at..], b"Z" | b"z" | b"+00:00" | b"-00:00") {
        return None;
    }
    let days = days_from_civil(year, month, day);
    let seconds = days * 86_400 + hour * 3_600 + minute * 60 + second;
    seconds.checked_mul(1_000_000_000)?.checked_add(nanos)
}

#[inline]
fn digits(bytes: &[u8]) -> Option<i64> {
    let mut value = 0;
    for byte in bytes {
        if !byte.is_ascii_digit() {
            return None;
        }
        value = value * 10 + i64::from(byte - b'0');
    }
    Some(value)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days since 1970-01-01 of a proleptic Gregorian date (Hinnant's algorithm).
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use penstock_types::decimal::to_scaled;
    use proptest::prelude::*;

    #[test]
    fn numbers_of_the_venue_have_exact_integers() {
        for (text, scale, want) in [
            ("63501.6", 1, 635_016),
            ("0.00005100", 8, 5_100),
            ("5e-05", 8, 5_000),
            ("1E-8", 8, 1),
            ("1.5e3", 0, 1_500),
            ("-19.9743", 4, -199_743),
            ("0", 8, 0),
            ("0.0", 0, 0),
            ("774.6366982600", 8, 77_463_669_826),
            ("1.00", 0, 1),
        ] {
            assert_eq!(scaled(text, scale), Ok(want), "{text} at {scale}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_and_never_rounded() {
        assert!(matches!(scaled("0.123", 2), Err(NumberError::Inexact { .. })));
        assert!(matches!(scaled("1e-30", 8), Err(NumberError::Inexact { .. })));
        assert!(matches!(scaled("92233720368547758.08", 2), Err(NumberError::Overflow { .. })));
        assert!(matches!(scaled("1e40", 2), Err(NumberError::Overflow { .. })));
        for text in ["", "-", ".", "1.", ".5", "1e", "1e+", "abc", "1..2", "1e99999", "+1", "0x1"] {
            assert!(matches!(scaled(text, 2), Err(NumberError::Syntax { .. })), "{text:?}");
            assert!(decimal(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn times_of_the_venue_are_exact() {
        for (text, want) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2026-07-07T23:00:03.977459Z", 1_783_465_203_977_459_000),
            ("2024-05-19T18:55:20.910159752Z", 1_716_144_920_910_159_752),
            ("2024-02-29T00:00:00+00:00", 1_709_164_800_000_000_000),
        ] {
            assert_eq!(rfc3339_nanos(text), Some(want), "{text}");
        }
        for text in ["2023-02-29T00:00:00Z", "2024-05-19", "2024-05-19T18:55:20.Z", "nonsense", ""]
        {
            assert_eq!(rfc3339_nanos(text), None, "{text}");
        }
    }

    /// The integer is the decimal in its scale, or there is none.
    fn assert_one_answer(text: &str, scale: u8) {
        let by_decimal = decimal(text).ok().map(|value| to_scaled(value, u32::from(scale)));
        assert_eq!(scaled(text, scale).ok(), by_decimal.flatten(), "{text} at scale {scale}");
        assert!(by_decimal.is_none() || is_number(text), "{text}");
    }

    #[test]
    fn both_readers_take_zero_with_any_exponent() {
        for text in ["0e66", "0e-66", "-0E+999", "0.00e-99", "0.0000000000000000000000000000000"] {
            assert_eq!(scaled(text, 8), Ok(0), "{text}");
            assert_eq!(decimal(text), Ok(Decimal::ZERO), "{text}");
            assert_one_answer(text, 8);
        }
        let long = format!("0.{}", "0".repeat(WIRE_NUMBER_LEN_MAX));
        for text in ["0e1000", "0e+", &long] {
            assert!(scaled(text, 8).is_err(), "{text}");
            assert_one_answer(text, 8);
        }
    }

    proptest! {
        #[test]
        fn text_to_integer_and_back_is_the_same(value in any::<i64>(), scale in 0u8..=18) {
            let text = unscaled(value, scale).to_string();
            prop_assert_eq!(scaled(&text, scale), Ok(value));
            prop_assert_eq!(decimal(&text).unwrap(), unscaled(value, scale));
        }

        #[test]
        fn any_text_is_answered(text in "\\PC*", scale in any::<u8>()) {
            let _ = scaled(&text, scale);
            let _ = decimal(&text);
            let _ = rfc3339_nanos(&text);
            let _ = fraction_digits(&text);
        }

        #[test]
        fn both_readers_give_one_answer(
            text in "-?[0-9]{0,40}\\.?[0-9]{0,40}([eE][+-]?[0-9]{0,5})?",
            scale in 0u8..=28,
        ) {
            assert_one_answer(&text, scale);
        }

        #[test]
        fn both_readers_give_one_answer_about_small_numbers_and_zeros(
            text in "-?0{0,3}[0-9]{0,4}(\\.[0-9]{0,3}0{0,30})?([eE][+-]?[0-9]{1,3})?",
            scale in 0u8..=28,
        ) {
            assert_one_answer(&text, scale);
        }
    }
}
