//! Whole numbers of venues that write them in other forms: `1000.0`, `1.6e3`, `"1583139600000"`.
//!
//! Input: the text of a JSON number, or of a string that holds one. Output: an integer. What is not
//! whole is refused, never rounded.

use serde::de::{Deserialize, Deserializer, Error};

use crate::wire::{Num, Unknown, Unknowns};

/// A whole number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Whole(pub i64);

impl Whole {
    /// The number as a sequence number; below zero it is none.
    pub fn sequence(self) -> Option<u64> {
        u64::try_from(self.0).ok()
    }
}

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Num::<'de>::deserialize(deserializer)?.scaled(0).map(Self).map_err(D::Error::custom)
    }
}

impl Unknowns for Whole {
    fn visit_unknowns(&self, _sink: &mut dyn FnMut(Unknown<'_>)) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_whole_numbers_are_read_and_others_refused() {
        for (text, want) in [("17", 17), ("1000.0", 1_000), ("1.6e3", 1_600), ("-0.0", 0)] {
            assert_eq!(serde_json::from_str::<Whole>(text).unwrap(), Whole(want), "{text}");
        }
        for text in ["1.5", "1e40", "\"x\"", "null", "true"] {
            assert!(serde_json::from_str::<Whole>(text).is_err(), "{text}");
        }
        assert_eq!((Whole(-1).sequence(), Whole(7).sequence()), (None, Some(7)));
    }
}
