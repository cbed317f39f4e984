//! Identifiers. Each is a newtype, so that two of them cannot be confused in a signature.
//!
//! Every number stays below 2^53 and is therefore exact in JSON. Ids that carry their fence are built
//! as `fencing_token × 1_000_000_000 + n`: monotone over restarts and failovers, without a round trip.

use core::fmt;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Greatest fencing token: keeps `token × 1e9 + n` below 2^53.
pub const FENCING_TOKEN_MAX: i64 = 9_007_198;
/// Ids per fencing token.
pub const IDS_PER_TOKEN: i64 = 1_000_000_000;

macro_rules! numeric_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl $name {
            /// The number.
            #[must_use]
            pub const fn get(self) -> i64 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }

        impl From<i64> for $name {
            fn from(value: i64) -> Self {
                Self(value)
            }
        }
    };
}

numeric_id!(
    /// An observation run: one recording segment, one raw partition.
    RunId
);
numeric_id!(
    /// A judged window of data.
    EpochId
);
numeric_id!(
    /// The frozen symbol sets of an epoch.
    SnapshotId
);
numeric_id!(
    /// One whole version of a domain's state.
    GenerationId
);
numeric_id!(
    /// Token of a fence; grows by one with each acquisition.
    FencingToken
);
numeric_id!(
    /// One decision cycle as a row.
    EvaluationId
);
numeric_id!(
    /// An order row.
    OrderId
);
numeric_id!(
    /// A position row.
    PositionId
);
numeric_id!(
    /// Number of an input row of a run, from 1, given by the market core.
    Seq
);

/// An id that carries its fence could not be formed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The token is outside 1..=[`FENCING_TOKEN_MAX`].
    #[error(
        "fencing token {0} is outside 1..=9007198; next: `penstock fence raise` on a restored cluster"
    )]
    Token(i64),
    /// The counter is outside 1..1e9.
    #[error(
        "id counter {0} is outside 1..=999999999 under one fencing token; next: restart the service"
    )]
    Counter(i64),
}

/// `token × 1e9 + n`, the number behind generation, epoch and snapshot ids.
///
/// # Errors
/// [`IdError`] when the token or the counter is out of range.
pub const fn fenced_number(token: FencingToken, n: i64) -> Result<i64, IdError> {
    if token.0 < 1 || token.0 > FENCING_TOKEN_MAX {
        return Err(IdError::Token(token.0));
    }
    if n < 1 || n >= IDS_PER_TOKEN {
        return Err(IdError::Counter(n));
    }
    Ok(token.0 * IDS_PER_TOKEN + n)
}

/// Token that a fenced number carries.
#[must_use]
pub const fn token_of(number: i64) -> FencingToken {
    FencingToken(number / IDS_PER_TOKEN)
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0.as_hyphenated())
            }
        }
    };
}

uuid_id!(
    /// A chain of data without an unexplained discontinuity (UUIDv7).
    LineageId
);
uuid_id!(
    /// One life of the execution process (UUIDv7).
    SessionId
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fenced_numbers_carry_their_token_and_refuse_what_json_cannot_hold() {
        assert_eq!(fenced_number(FencingToken(42), 7), Ok(42_000_000_007));
        assert_eq!(token_of(42_000_000_007), FencingToken(42));
        assert!(fenced_number(FencingToken(FENCING_TOKEN_MAX), 999_999_999).unwrap() < 1 << 53);
        assert_eq!(fenced_number(FencingToken(0), 1), Err(IdError::Token(0)));
        assert_eq!(fenced_number(FencingToken(9_007_199), 1), Err(IdError::Token(9_007_199)));
        assert_eq!(fenced_number(FencingToken(1), 0), Err(IdError::Counter(0)));
        assert_eq!(
            fenced_number(FencingToken(1), 1_000_000_000),
            Err(IdError::Counter(1_000_000_000))
        );
    }
}
