//! Canonical JSON and its hash: the one byte form of a value that is stored, compared or signed.
//!
//! Purpose: RFC 8785 bytes (keys by UTF-16 code units, no white space, minimal escapes) and SHA-256 of
//! them as lower-case hex. Inputs: any `Serialize` value. Invariants: integers only, within
//! ±(2^53 − 1); amounts are decimal texts; a floating point number is refused, so that two machines
//! cannot print it differently. It does not round: quantize first, then serialize, then hash.

use alloc::string::String;
use alloc::vec::Vec;
use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::decimal;

/// Greatest integer that every JSON reader keeps exactly.
pub const INTEGER_MAX: i64 = (1 << 53) - 1;

/// A value that has no canonical form.
#[derive(Debug, thiserror::Error)]
pub enum CanonicalError {
    /// Not JSON, or not serializable.
    #[error("value is no JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// A number with a fraction, an exponent, or beyond ±(2^53 − 1).
    #[error(
        "number {number} has no canonical form: integers within ±9007199254740991 only; next: write it as decimal text"
    )]
    Number {
        /// The refused number.
        number: String,
    },
}

/// The canonical bytes of a value.
///
/// # Errors
/// [`CanonicalError`] when the value is not JSON or holds a number without a canonical form.
pub fn to_bytes(value: &impl Serialize) -> Result<Vec<u8>, CanonicalError> {
    let tree = serde_json::to_value(value)?;
    check_numbers(&tree)?;
    serde_json_canonicalizer::to_vec(&tree).map_err(CanonicalError::Json)
}

/// SHA-256 of the canonical bytes as 64 lower-case hex digits.
///
/// # Errors
/// As [`to_bytes`].
pub fn hash(value: &impl Serialize) -> Result<String, CanonicalError> {
    Ok(hash_bytes(&to_bytes(value)?))
}

/// SHA-256 of bytes as 64 lower-case hex digits.
#[must_use]
pub fn hash_bytes(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// Decimal text with exactly `scale` digits after the point, rounded half-even.
#[must_use]
pub fn dec_str(value: Decimal, scale: u32) -> String {
    decimal::fixed_text(value, scale)
}

fn check_numbers(value: &Value) -> Result<(), CanonicalError> {
    match value {
        Value::Null | Value::Bool(_) | Value::String(_) => Ok(()),
        Value::Number(number) => match number.as_i64() {
            Some(n) if (-INTEGER_MAX..=INTEGER_MAX).contains(&n) => Ok(()),
            Some(_) | None => Err(CanonicalError::Number { number: alloc::format!("{number}") }),
        },
        Value::Array(items) => items.iter().try_for_each(check_numbers),
        Value::Object(fields) => fields.values().try_for_each(check_numbers),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn the_known_vector_has_the_known_bytes_and_hash() {
        let value = json!({"b": 1, "a": "2.50", "c": [null, true]});
        assert_eq!(to_bytes(&value).unwrap(), br#"{"a":"2.50","b":1,"c":[null,true]}"#);
        assert_eq!(
            hash(&value).unwrap(),
            "03ab97fd27812c7c0bfefba4ff4eecca2f5882bbdf625b5ad96afb763eb218f7"
        );
    }

    #[test]
    fn numbers_that_two_readers_could_read_differently_are_refused() {
        for bad in [json!(1.5), json!(INTEGER_MAX + 1), json!({"x": [-INTEGER_MAX - 1]})] {
            assert!(matches!(to_bytes(&bad), Err(CanonicalError::Number { .. })), "{bad}");
        }
        assert!(to_bytes(&json!([INTEGER_MAX, -INTEGER_MAX])).is_ok());
    }

    #[test]
    fn decimal_text_has_the_digits_of_its_scale() {
        assert_eq!(dec_str(Decimal::new(25, 1), 2), "2.50");
        assert_eq!(dec_str(Decimal::new(12345, 5), 4), "0.1234");
    }

    proptest! {
        #[test]
        fn reading_the_canonical_bytes_and_writing_them_again_changes_nothing(
            keys in proptest::collection::btree_map("\\PC{0,8}", any::<i32>(), 0..12),
        ) {
            let bytes = to_bytes(&keys).unwrap();
            let again: Value = serde_json::from_slice(&bytes).unwrap();
            prop_assert_eq!(to_bytes(&again).unwrap(), bytes);
        }
    }
}
