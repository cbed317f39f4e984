//! Symbols: the venue's own name of a traded pair, `BTC/USD` on Kraken spot.
//!
//! A symbol is checked once, where bytes become values, and is cheap to clone afterwards. Order is the
//! order of its UTF-8 bytes, which is also the order of rows in a generation's hash.

use alloc::string::String;
use alloc::sync::Arc;
use core::borrow::Borrow;
use core::fmt;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Longest symbol in bytes: the longest venue name seen is 20, the rest is margin.
pub const SYMBOL_LEN_MAX: usize = 32;

/// A checked symbol: 1 to 32 visible ASCII characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Symbol(Arc<str>);

/// Text that is no symbol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("symbol {text:?} is not 1 to 32 visible ASCII characters")]
pub struct SymbolError {
    /// The refused text, cut to 64 characters.
    pub text: String,
}

impl Symbol {
    /// Checks and takes a symbol.
    ///
    /// # Errors
    /// [`SymbolError`] when the text is empty, longer than 32 bytes or not visible ASCII.
    pub fn new(text: &str) -> Result<Self, SymbolError> {
        let fits = !text.is_empty() && text.len() <= SYMBOL_LEN_MAX;
        if fits && text.bytes().all(|b| b.is_ascii_graphic()) {
            return Ok(Self(Arc::from(text)));
        }
        Err(SymbolError { text: text.chars().take(64).collect() })
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Base leg, the part before the slash; the whole text when there is none.
    #[must_use]
    pub fn base(&self) -> &str {
        self.0.split_once('/').map_or(&self.0, |(base, _)| base)
    }

    /// Quote leg, the part after the slash; empty when there is none.
    #[must_use]
    pub fn quote(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, quote)| quote)
    }
}

impl fmt::Debug for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Borrow<str> for Symbol {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Symbol {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Serialize for Symbol {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Symbol {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <alloc::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::new(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symbol_has_two_legs_and_hostile_text_is_refused() {
        let symbol = Symbol::new("BTC/USD").unwrap();
        assert_eq!((symbol.base(), symbol.quote()), ("BTC", "USD"));
        for bad in ["", "A B", "\n", "Ä/USD", "123456789012345678901234567890123"] {
            assert!(Symbol::new(bad).is_err(), "{bad:?}");
        }
    }
}
