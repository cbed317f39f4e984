//! Numbers and texts of a contract that must not be taken for one another: basis points, scaled numbers, times,
//! hashes, ids.
//!
//! Input: plain numbers and text. Output: newtypes that are written as the plain ones. Invariants: a hash is lower-case
//! hex of its length; nothing here holds a floating point number.

use crate::amount::rhe;
use penstock_types::{Decimal, canonical};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

macro_rules! scaled {
    ($($(#[$doc:meta])+ $name:ident, $per_unit:expr;)+) => {
        $(
            $(#[$doc])+
            #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
            #[serde(transparent)]
            pub struct $name(pub i32);

            impl $name {
                /// From the real value, rounded half-even; `None` outside 32 bits.
                #[must_use]
                pub fn of(value: Decimal) -> Option<Self> {
                    value.checked_mul(Decimal::from($per_unit)).and_then(rhe).map(Self)
                }

                /// The real value.
                #[must_use]
                pub fn value(self) -> Decimal {
                    Decimal::from(self.0) / Decimal::from($per_unit)
                }
            }

            impl fmt::Display for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    write!(f, "{}", self.0)
                }
            }
        )+
    };
}

scaled! {
    /// Whole basis points; one is 0.01 %. Made from basis points with digits.
    Bps, 1;
    /// A real value times 10,000.
    X10000, 10_000;
    /// Percent times 10,000, literally: 80 % is 800,000. Made from percent.
    PctX10000, 10_000;
}

/// Milliseconds since the Unix epoch in UTC: the form of a time in a contract. 0 = none, where a field says so.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct TsMs(pub i64);

/// Text that is no hash or id of its form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {form}")]
pub struct HexError {
    /// The refused text, cut to 80 characters.
    pub text: String,
    /// What it should have been.
    pub form: &'static str,
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

macro_rules! hex_text {
    ($($(#[$doc:meta])+ $name:ident, $prefix:literal, $digits:literal, $form:literal;)+) => {
        $(
            $(#[$doc])+
            #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
            pub struct $name(String);

            impl $name {
                /// Regular expression of its text.
                pub const PATTERN: &'static str = concat!("^", $prefix, "[0-9a-f]{", $digits, "}$");

                /// Reads the text.
                ///
                /// # Errors
                /// [`HexError`] for any other form.
                pub fn parse(text: &str) -> Result<Self, HexError> {
                    match text.strip_prefix($prefix) {
                        Some(hex) if is_hex(hex, $digits) => Ok(Self(text.to_owned())),
                        Some(_) | None => {
                            Err(HexError { text: text.chars().take(80).collect(), form: $form })
                        }
                    }
                }

                /// The text.
                #[must_use]
                pub fn as_str(&self) -> &str {
                    &self.0
                }
            }

            impl fmt::Display for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str(&self.0)
                }
            }

            impl Serialize for $name {
                fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    serializer.serialize_str(&self.0)
                }
            }

            impl<'de> Deserialize<'de> for $name {
                fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    let text = String::deserialize(deserializer)?;
                    Self::parse(&text).map_err(serde::de::Error::custom)
                }
            }
        )+
    };
}

hex_text! {
    /// SHA-256 as 64 lower-case hex digits.
    Hex64, "", 64, "64 lower-case hex digits";
    /// 64 bits as 16 lower-case hex digits.
    Hex16, "", 16, "16 lower-case hex digits";
    /// Id of a decision: the SHA-256 of what it decides.
    DecisionId, "dec_", 64, "dec_ and 64 lower-case hex digits";
}

impl Hex64 {
    /// SHA-256 of bytes.
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self(canonical::hash_bytes(bytes))
    }
}

impl DecisionId {
    /// The id of a hash.
    #[must_use]
    pub fn of(hash: &Hex64) -> Self {
        Self(format!("dec_{hash}"))
    }
}

/// A hash, or the empty text of what was never hashed.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct HashOrEmpty(pub Option<Hex64>);

impl HashOrEmpty {
    /// There is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

impl Serialize for HashOrEmpty {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_ref().map_or("", Hex64::as_str))
    }
}

impl<'de> Deserialize<'de> for HashOrEmpty {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.is_empty() {
            return Ok(Self(None));
        }
        Hex64::parse(&text).map(|hash| Self(Some(hash))).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scaled_numbers_are_rounded_once_and_written_plainly() {
        let dec = |text| Decimal::from_str_exact(text).unwrap();
        assert_eq!(Bps::of(dec("12.5")), Some(Bps(12)));
        assert_eq!(X10000::of(dec("0.55555")), Some(X10000(5_556)));
        assert_eq!(PctX10000::of(dec("80")), Some(PctX10000(800_000)));
        assert_eq!(X10000::of(dec("214748.36475")), None);
        assert_eq!(X10000(5_500).value(), dec("0.55"));
        assert_eq!(serde_json::to_string(&Bps(-3)).unwrap(), "-3");
        assert!(serde_json::from_str::<Bps>("1.5").is_err());
        assert!(serde_json::from_str::<Bps>("2147483648").is_err());
    }

    #[test]
    fn hashes_have_one_form() {
        let hash = Hex64::of_bytes(b"");
        assert_eq!(Hex64::parse(hash.as_str()), Ok(hash.clone()));
        assert!(Hex64::parse(&hash.as_str().to_uppercase()).is_err());
        assert!(Hex64::parse(&hash.as_str()[1..]).is_err());
        assert!(Hex64::parse(&format!("{hash}0")).is_err());
        let id = DecisionId::of(&hash);
        assert_eq!(DecisionId::parse(id.as_str()), Ok(id));
        assert!(DecisionId::parse(hash.as_str()).is_err());
        assert_eq!(serde_json::from_str::<HashOrEmpty>("\"\"").unwrap(), HashOrEmpty(None));
        assert!(serde_json::from_str::<HashOrEmpty>("\"ab\"").is_err());
    }
}
