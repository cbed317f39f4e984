//! Decimal text: the one form of an amount in a contract, and the few roundings that lead to it.
//!
//! Input: decimals, or text from a document. Output: [`DecStr`]. Invariants: the text is
//! `-?(0|[1-9][0-9]*)(\.[0-9]+)?`, so no exponent, no plus and no leading zero; reading is total; what was read is
//! written with the same digits, a minus before zero excepted; two amounts are equal when their texts are. It rounds
//! only where the name of the function says so: elsewhere a digit too many is an error.

use penstock_types::decimal::{WIRE_NUMBER_LEN_MAX, round_to, scale};
use rust_decimal::prelude::ToPrimitive;
use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// Digits after the point of an amount of money from the configuration; what is beyond them is cut.
pub const CONFIG_MONEY_SCALE: u32 = 2;

/// An amount as decimal text. Its digits after the point belong to it: `1.0` and `1.00` have different hashes and
/// are therefore not equal; compare [`DecStr::value`] for size.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct DecStr {
    mantissa: i128,
    scale: u32,
}

/// A text or a number that is no amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// The text has another form, or more digits than a decimal holds.
    #[error(
        "amount {text:?} is not decimal text of at most 28 digits, for example 0.0025; next: write digits and one point"
    )]
    Text {
        /// The refused text, cut to 64 characters.
        text: String,
    },
    /// The value has more digits after the point than its scale.
    #[error("amount {value} has more than {scale} digits after the point; next: quantize it first")]
    Digits {
        /// The refused value.
        value: Decimal,
        /// The scale.
        scale: u32,
    },
    /// The value has no room for the digits of its scale.
    #[error("amount {value} with {scale} digits after the point has more than 28 digits")]
    Size {
        /// The refused value.
        value: Decimal,
        /// The scale.
        scale: u32,
    },
}

/// What an amount is, which says how many digits after the point it has and what becomes of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AmountKind {
    /// A price, at the scale of this tick; other digits are an error.
    Price {
        /// The tick.
        tick: Decimal,
    },
    /// A quantity, at the scale of this step; other digits are an error.
    Quantity {
        /// The step.
        step: Decimal,
    },
    /// An amount of the quote asset, at the pair's decimals of costs; other digits are an error.
    Quote {
        /// Decimals of costs.
        cost_decimals: u32,
    },
    /// Money from the configuration, two digits; others are cut.
    ConfigMoney,
    /// Basis points, four digits, rounded half-even.
    Bps,
    /// Fractions and scores, six digits, rounded half-even.
    Ratio,
    /// Depth and other quote amounts of the state, ten digits, rounded half-even.
    StateAmount,
    /// Prices of the state, twelve digits, rounded half-even.
    StatePrice,
}

impl DecStr {
    /// Reads the text.
    ///
    /// # Errors
    /// [`AmountError::Text`] for any text of another form and for more digits than a decimal holds.
    pub fn parse(text: &str) -> Result<Self, AmountError> {
        let refused = || AmountError::Text { text: text.chars().take(64).collect() };
        if text.len() > WIRE_NUMBER_LEN_MAX || !is_decimal_text(text.as_bytes()) {
            return Err(refused());
        }
        Decimal::from_str_exact(text).map(Self::of).map_err(|_| refused())
    }

    /// The value with the digits that it has.
    #[must_use]
    pub fn of(value: Decimal) -> Self {
        Self { mantissa: value.mantissa(), scale: value.scale() }
    }

    /// The value with exactly `scale` digits after the point.
    ///
    /// # Errors
    /// [`AmountError`] when digits would be lost or do not fit.
    pub fn exact(value: Decimal, scale: u32) -> Result<Self, AmountError> {
        let mut short = value.normalize();
        if short.scale() > scale {
            return Err(AmountError::Digits { value, scale });
        }
        if scale > Decimal::MAX_SCALE {
            return Err(AmountError::Size { value, scale });
        }
        short.rescale(scale);
        if short.scale() != scale {
            return Err(AmountError::Size { value, scale });
        }
        Ok(Self::of(short))
    }

    /// The value as an amount of this kind.
    ///
    /// # Errors
    /// [`AmountError`] when digits would be lost that the kind does not round away, or do not fit.
    pub fn of_kind(value: Decimal, kind: AmountKind) -> Result<Self, AmountError> {
        let half_even = |scale| Self::exact(round_to(value, scale), scale);
        match kind {
            AmountKind::Price { tick } => Self::exact(value, tick.scale()),
            AmountKind::Quantity { step } => Self::exact(value, step.scale()),
            AmountKind::Quote { cost_decimals } => Self::exact(value, cost_decimals),
            AmountKind::ConfigMoney => {
                let cut =
                    value.round_dp_with_strategy(CONFIG_MONEY_SCALE, RoundingStrategy::ToZero);
                Self::exact(cut, CONFIG_MONEY_SCALE)
            }
            AmountKind::Bps => half_even(scale::BPS),
            AmountKind::Ratio => half_even(scale::RATIO),
            AmountKind::StateAmount => half_even(scale::AMT),
            AmountKind::StatePrice => half_even(scale::PX),
        }
    }

    /// The value.
    #[must_use]
    pub fn value(self) -> Decimal {
        // Both parts come out of a decimal and nowhere else.
        Decimal::from_i128_with_scale(self.mantissa, self.scale)
    }

    /// Digits after the point.
    #[must_use]
    pub const fn scale(self) -> u32 {
        self.scale
    }

    /// The value is above zero.
    #[must_use]
    pub const fn is_positive(self) -> bool {
        self.mantissa > 0
    }

    /// The value is below zero.
    #[must_use]
    pub const fn is_negative(self) -> bool {
        self.mantissa < 0
    }
}

/// The grammar of the text, without regard to size.
fn is_decimal_text(bytes: &[u8]) -> bool {
    let number = bytes.strip_prefix(b"-").unwrap_or(bytes);
    let whole = number.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if whole == 0 || (whole > 1 && number[0] == b'0') {
        return false;
    }
    match number[whole..].split_first() {
        None => true,
        Some((b'.', fraction)) => !fraction.is_empty() && fraction.iter().all(u8::is_ascii_digit),
        Some(_) => false,
    }
}

impl fmt::Display for DecStr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.value())
    }
}

impl fmt::Debug for DecStr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.value())
    }
}

impl Serialize for DecStr {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DecStr {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl serde::de::Visitor<'_> for Text {
            type Value = DecStr;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("decimal text")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<DecStr, E> {
                DecStr::parse(text).map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// Rounds half-even to a whole number, once, as the last step of a computation; `None` outside 32 bits.
#[must_use]
pub fn rhe(value: Decimal) -> Option<i32> {
    round_to(value, 0).to_i32()
}

/// `trunc(value / step) · step`, exact, at the scale of `step`; `None` when `step` is not above zero or the result
/// does not fit. It goes towards zero.
#[must_use]
pub fn floor_step(value: Decimal, step: Decimal) -> Option<DecStr> {
    if step <= Decimal::ZERO {
        return None;
    }
    let rest = value.checked_rem(step)?;
    DecStr::exact(value.checked_sub(rest)?, step.scale()).ok()
}

/// The least multiple of `step` that is not below a value above zero, at the scale of `step`; `None` as
/// [`floor_step`].
#[must_use]
pub fn ceil_step(value: Decimal, step: Decimal) -> Option<DecStr> {
    let below = floor_step(value, step)?;
    if below.value() >= value {
        return Some(below);
    }
    DecStr::exact(below.value().checked_add(step)?, step.scale()).ok()
}

#[cfg(test)]
mod tests;
