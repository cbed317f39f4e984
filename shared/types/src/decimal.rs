//! Numbers: wire text to exact decimals, rounding to a column's scale once, scaled integers.
//!
//! No amount passes through binary floating point. `f64` exists in scores and features only;
//! [`from_feature`] is the one door from there to a decimal, and it rounds half-even to the column.

use alloc::string::String;
use alloc::vec::Vec;
use rust_decimal::prelude::ToPrimitive;
use rust_decimal::{Decimal, RoundingStrategy};

/// Scales of the column types: digits after the point.
pub mod scale {
    /// Prices, `numeric(24,12)`.
    pub const PX: u32 = 12;
    /// Base quantities, `numeric(28,12)`.
    pub const QTY: u32 = 12;
    /// Quote amounts, fees, profit, depth, `numeric(26,10)`.
    pub const AMT: u32 = 10;
    /// Basis points, `numeric(12,4)`.
    pub const BPS: u32 = 4;
    /// Fractions and scores, `numeric(9,6)`.
    pub const RATIO: u32 = 6;
    /// Funding rates, `numeric(24,18)`.
    pub const RATE: u32 = 18;
}

/// Longest number text accepted from a wire.
pub const WIRE_NUMBER_LEN_MAX: usize = 64;

/// Number text that was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("number {text:?} is no decimal of at most 28 digits")]
pub struct NumberError {
    /// The refused text, cut to 64 characters.
    pub text: String,
}

impl NumberError {
    fn of(text: &str) -> Self {
        Self { text: text.chars().take(WIRE_NUMBER_LEN_MAX).collect() }
    }
}

/// Digits of the largest exponent that is read: `1e999` is an answer about size, `1e9999` is noise.
pub const WIRE_EXPONENT_DIGITS_MAX: usize = 3;

/// Reads a JSON number text exactly: digits, point, exponent; nothing is rounded silently. Whatever has an
/// exact value in 28 digits after the point is read, however it is written: `0e66` is zero.
///
/// # Errors
/// [`NumberError`] when the text is no JSON number or does not fit into 28 digits.
pub fn parse_wire(text: &str) -> Result<Decimal, NumberError> {
    if text.len() > WIRE_NUMBER_LEN_MAX || !is_json_number(text.as_bytes()) {
        return Err(NumberError::of(text));
    }
    Decimal::from_str_exact(text)
        .ok()
        .or_else(|| by_digits(text))
        .ok_or_else(|| NumberError::of(text))
}

/// Digits after the point that a decimal holds.
const SCALE_MAX: i32 = 28;

/// The value of a checked text that the library does not read as it stands: with an exponent, or with
/// more digits than it takes of which the last are zeros.
fn by_digits(text: &str) -> Option<Decimal> {
    let (number, exponent) = match text.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let mut mantissa = 0_i128;
    for digit in whole.bytes().chain(fraction.bytes()).filter(u8::is_ascii_digit) {
        mantissa = mantissa.checked_mul(10)?.checked_add(i128::from(digit - b'0'))?;
    }
    let mut scale = i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
    if mantissa == 0 {
        scale = scale.clamp(0, SCALE_MAX);
    }
    while scale > SCALE_MAX && mantissa % 10 == 0 {
        mantissa /= 10;
        scale -= 1;
    }
    if scale < 0 {
        mantissa = mantissa.checked_mul(10_i128.checked_pow(scale.unsigned_abs())?)?;
        scale = 0;
    }
    let mut value = Decimal::try_from_i128_with_scale(mantissa, scale.unsigned_abs()).ok()?;
    value.set_sign_negative(whole.starts_with('-') && mantissa != 0);
    Some(value)
}

/// The grammar of a JSON number, a leading zero before digits excepted from refusal.
fn is_json_number(bytes: &[u8]) -> bool {
    let mut at = usize::from(bytes.first() == Some(&b'-'));
    let digits = |from: usize| bytes[from..].iter().take_while(|b| b.is_ascii_digit()).count();
    let whole = digits(at);
    if whole == 0 {
        return false;
    }
    at += whole;
    if bytes.get(at) == Some(&b'.') {
        let fraction = digits(at + 1);
        if fraction == 0 {
            return false;
        }
        at += 1 + fraction;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        at += 1;
        at += usize::from(matches!(bytes.get(at), Some(b'+' | b'-')));
        let exponent = digits(at);
        if exponent == 0 || exponent > WIRE_EXPONENT_DIGITS_MAX {
            return false;
        }
        at += exponent;
    }
    at == bytes.len()
}

/// Rounds half-even to a column's scale.
#[must_use]
pub fn round_to(value: Decimal, scale: u32) -> Decimal {
    value.round_dp_with_strategy(scale, RoundingStrategy::MidpointNearestEven)
}

/// A feature as a decimal of the column's scale, rounded half-even on its exact binary value as far as
/// 28 digits reach; `None` for NaN, infinities and what does not fit.
#[must_use]
pub fn from_feature(value: f64, scale: u32) -> Option<Decimal> {
    if !value.is_finite() {
        return None;
    }
    if let Some(units) = feature_units(value, scale) {
        return Some(without_trailing_zeros(units, scale));
    }
    Decimal::from_f64_retain(value).map(|d| {
        let rounded = round_to(d, scale);
        if rounded.is_zero() { Decimal::ZERO } else { rounded.normalize() }
    })
}

/// Highest scale of the exact way: 53 bits times 10^9 stay far below 128.
const FEATURE_SCALE_MAX: u32 = 9;

/// A finite feature in units of 10^-scale, rounded half-even on its exact value; `None` for what does not
/// fit into 63 bits and for scales above [`FEATURE_SCALE_MAX`].
fn feature_units(value: f64, scale: u32) -> Option<i64> {
    const FRACTION_BITS: u32 = 52;
    const EXPONENT_BIAS: u32 = 1_023;
    let bits = value.to_bits();
    let exponent = (bits >> FRACTION_BITS) as u32 & 0x7ff;
    // The value is `fraction / 2^shift`; numbers without a binary fraction are no features.
    let shift = (EXPONENT_BIAS + FRACTION_BITS).checked_sub(exponent)?;
    if scale > FEATURE_SCALE_MAX || shift == 0 {
        return None;
    }
    if shift > 126 || exponent == 0 {
        // Below 2^-73, and with it below half a unit of every scale.
        return Some(0);
    }
    let fraction = bits & ((1 << FRACTION_BITS) - 1) | (1 << FRACTION_BITS);
    let scaled = u128::from(fraction) * u128::from(10_u64.pow(scale));
    let (whole, rest) = (scaled >> shift, scaled & ((1 << shift) - 1));
    let half = 1_u128 << (shift - 1);
    let up = rest > half || (rest == half && whole & 1 == 1);
    let units = i64::try_from(whole + u128::from(up)).ok()?;
    Some(if value < 0.0 { -units } else { units })
}

fn without_trailing_zeros(mut units: i64, mut scale: u32) -> Decimal {
    if units == 0 {
        return Decimal::ZERO;
    }
    while scale > 0 && units % 10 == 0 {
        units /= 10;
        scale -= 1;
    }
    Decimal::new(units, scale)
}

/// A decimal as `f64`, for features and scores only.
#[must_use]
pub fn to_feature(value: Decimal) -> f64 {
    value.to_f64().unwrap_or(f64::NAN)
}

/// Fixed-point text with exactly `scale` digits after the point; the value is rounded half-even first.
#[must_use]
pub fn fixed_text(value: Decimal, scale: u32) -> String {
    let mut text = Vec::new();
    crate::digits::push_fixed(&mut text, value, scale);
    String::from_utf8(text).expect("digits, point and sign are ASCII")
}

/// The value in units of 10^-decimals; `None` when it has more digits than that or does not fit.
#[must_use]
pub fn to_scaled(value: Decimal, decimals: u32) -> Option<i64> {
    let value = value.normalize();
    if value.scale() > decimals {
        return None;
    }
    let factor = 10_i128.checked_pow(decimals - value.scale())?;
    i64::try_from(value.mantissa().checked_mul(factor)?).ok()
}

/// The decimal behind a scaled integer; `decimals` above 28 are not a scale and give zero.
#[must_use]
pub fn from_scaled(units: i64, decimals: u32) -> Decimal {
    Decimal::try_new(units, decimals).unwrap_or(Decimal::ZERO)
}

/// Rounds down to a multiple of a positive step.
#[must_use]
pub fn floor_to_step(value: Decimal, step: Decimal) -> Decimal {
    if step <= Decimal::ZERO {
        return value;
    }
    match value.checked_div(step).and_then(|n| n.floor().checked_mul(step)) {
        Some(floored) => floored.normalize(),
        None => value,
    }
}

/// Rounds up to a multiple of a positive step.
#[must_use]
pub fn ceil_to_step(value: Decimal, step: Decimal) -> Decimal {
    if step <= Decimal::ZERO {
        return value;
    }
    match value.checked_div(step).and_then(|n| n.ceil().checked_mul(step)) {
        Some(raised) => raised.normalize(),
        None => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use proptest::prelude::*;

    #[test]
    fn wire_numbers_are_exact_or_refused() {
        for (text, want) in [
            ("0.00100000", "0.00100000"),
            ("64123.123456789012345", "64123.123456789012345"),
            ("1e-08", "0.00000001"),
            ("5E-05", "0.00005"),
            ("-3", "-3"),
            ("0e66", "0"),
            ("0.00e-66", "0.0000000000000000000000000000"),
            ("1.50e1", "15.0"),
            ("-1.5E+3", "-1500"),
            ("100e-30", "0.0000000000000000000000000001"),
            ("0.00000000000000000000000000010", "0.0000000000000000000000000001"),
        ] {
            assert_eq!(parse_wire(text).unwrap().to_string(), want, "{text}");
        }
        for bad in [
            "",
            "-",
            ".5",
            "5.",
            "+1",
            "1_0",
            "NaN",
            "1e",
            "1e9999",
            "0e0000",
            "1e66",
            "1e-29",
            "0x1",
            " 1",
            "12345678901234567890.1234567890",
        ] {
            assert!(parse_wire(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn features_round_half_even_and_never_carry_nan() {
        assert_eq!(from_feature(2.5, 0).unwrap().to_string(), "2");
        assert_eq!(from_feature(-0.0, 4).unwrap().to_string(), "0");
        assert_eq!(from_feature(f64::NAN, 4), None);
        assert_eq!(from_feature(f64::INFINITY, 4), None);
        assert_eq!(fixed_text(Decimal::new(15, 1), 4), "1.5000");
        assert_eq!(fixed_text(Decimal::new(-4, 6), 4), "0.0000");
    }

    #[test]
    fn steps_round_towards_the_asked_side() {
        let step = Decimal::new(5, 1);
        assert_eq!(floor_to_step(Decimal::new(123, 2), step), Decimal::new(1, 0));
        assert_eq!(ceil_to_step(Decimal::new(123, 2), step), Decimal::new(15, 1));
    }

    /// The way over the decimal library, without the exact one before it.
    fn by_retained_digits(value: f64, scale: u32) -> Option<Decimal> {
        let d = Decimal::from_f64_retain(value)?;
        let rounded = round_to(d, scale);
        Some(if rounded.is_zero() { Decimal::ZERO } else { rounded.normalize() })
    }

    fn assert_same_feature(value: f64) {
        for scale in [0, 4, 6, 9, 12] {
            let (got, want) = (from_feature(value, scale), by_retained_digits(value, scale));
            assert_eq!(got, want, "{value:e} at scale {scale}");
            assert_eq!(got.map(|d| d.scale()), want.map(|d| d.scale()), "{value:e}, {scale}");
            assert_eq!(got.map(|d| d.to_string()), want.map(|d| d.to_string()), "{value:e}");
        }
    }

    #[test]
    fn features_at_and_beside_a_half_unit_round_as_the_library_rounds_them() {
        for n in 0..3_000_i32 {
            for scale in [4, 6] {
                let half = (f64::from(n) + 0.5) / 10_f64.powi(scale);
                for value in [half, half.next_up(), half.next_down(), -half] {
                    assert_same_feature(value);
                }
            }
            // Halves that a float holds exactly.
            assert_same_feature(f64::from(n) / 32.0);
        }
        for value in [0.0, -0.0, f64::MIN_POSITIVE, 5e-324, 1e-30, 1e15, 9e15, 1e22, -1e30, 1e300] {
            assert_same_feature(value);
        }
    }

    proptest! {
        #[test]
        fn any_feature_rounds_as_the_library_rounds_it(bits: u64, narrow in -1e6_f64..1e6) {
            let value = f64::from_bits(bits);
            if value.is_finite() {
                assert_same_feature(value);
            }
            assert_same_feature(narrow);
            assert_same_feature(narrow / 1e9);
        }

        #[test]
        fn scaled_integers_go_round(units in any::<i64>(), decimals in 0_u32..=18) {
            prop_assert_eq!(to_scaled(from_scaled(units, decimals), decimals), Some(units));
        }

        #[test]
        fn any_text_is_a_number_or_an_error(text in "\\PC{0,70}") {
            if let Ok(d) = parse_wire(&text) {
                prop_assert!(d.scale() <= 28);
            }
        }

        #[test]
        fn floor_and_ceil_enclose(units in 0_i64..1_000_000_000, step in 1_i64..1000) {
            let (value, step) = (Decimal::new(units, 4), Decimal::new(step, 3));
            prop_assert!(floor_to_step(value, step) <= value);
            prop_assert!(ceil_to_step(value, step) >= value);
        }
    }
}
