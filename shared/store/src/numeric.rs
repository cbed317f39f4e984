//! `numeric` in its binary form as an exact decimal, quickly.
//!
//! Purpose: a cycle reads ten thousand numbers, and the driver raises 10 000 to a power for each of their
//! digit groups. Input: the bytes of a field. Output: the value with the scale that the server shows, zero
//! without one, as the driver gives it. Invariants: exact or an error; arbitrary bytes never panic.

use penstock_types::Decimal;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgTypeInfo, PgValueFormat, PgValueRef};
use sqlx::{Decode, Postgres, Type};

/// A `numeric` column, for `as "column: Numeric"` in a checked query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Numeric(pub Decimal);

/// Bytes that are no decimal of at most 96 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a numeric: {0}")]
pub struct NumericError(&'static str);

const NEGATIVE: u16 = 0x4000;
/// Digit groups of four that 29 digits can touch.
const GROUPS_MAX: usize = 8;

impl Type<Postgres> for Numeric {
    fn type_info() -> PgTypeInfo {
        <Decimal as Type<Postgres>>::type_info()
    }
}

impl<'r> Decode<'r, Postgres> for Numeric {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        match value.format() {
            PgValueFormat::Binary => Ok(Self(read_numeric(value.as_bytes()?)?)),
            PgValueFormat::Text => Ok(Self(Decimal::from_str_exact(value.as_str()?)?)),
        }
    }
}

/// Reads a field: count of groups, weight of the first, sign, scale, groups of four digits.
///
/// # Errors
/// [`NumericError`] for NaN, infinities, broken lengths and what does not fit into 96 bits.
pub fn read_numeric(bytes: &[u8]) -> Result<Decimal, NumericError> {
    let (head, groups) = bytes.split_first_chunk::<8>().ok_or(NumericError("no header"))?;
    let word = |i: usize| [head[2 * i], head[2 * i + 1]];
    let (weight, sign) = (i16::from_be_bytes(word(1)), u16::from_be_bytes(word(2)));
    let count = usize::from(u16::from_be_bytes(word(0)));
    let scale = u32::from(u16::from_be_bytes(word(3)));
    if groups.len() != count * 2 {
        return Err(NumericError("its groups do not add up"));
    }
    if sign & !NEGATIVE != 0 {
        return Err(NumericError("not a number"));
    }
    if count == 0 {
        return Ok(Decimal::ZERO);
    }
    if count > GROUPS_MAX {
        return Err(NumericError("more than 29 digits"));
    }
    // At most 32 digits: far below 128 bits.
    let mantissa = groups
        .chunks_exact(2)
        .try_fold(0_u128, |sum, pair| {
            let group = u16::from_be_bytes([pair[0], pair[1]]);
            (group < 10_000).then(|| sum * 10_000 + u128::from(group))
        })
        .ok_or(NumericError("a group has more than four digits"))?;
    let groups_after_point = i64::try_from(count).unwrap_or(i64::MAX) - 1 - i64::from(weight);
    let mantissa = shifted(mantissa, i64::from(scale) - groups_after_point * 4)?;
    let mantissa = i128::try_from(mantissa).map_err(|_| NumericError("more than 96 bits"))?;
    let mantissa = if sign == NEGATIVE { -mantissa } else { mantissa };
    Decimal::try_from_i128_with_scale(mantissa, scale)
        .map_err(|_| NumericError("more than 96 bits or 28 decimals"))
}

/// The mantissa with `digits` more decimals, or fewer when those are zeros.
fn shifted(mantissa: u128, digits: i64) -> Result<u128, NumericError> {
    let power = u32::try_from(digits.unsigned_abs()).ok().and_then(|d| 10_u128.checked_pow(d));
    let power = power.ok_or(NumericError("its point is too far away"))?;
    if digits >= 0 {
        return mantissa.checked_mul(power).ok_or(NumericError("more than 96 bits"));
    }
    if !mantissa.is_multiple_of(power) {
        return Err(NumericError("digits behind its scale"));
    }
    Ok(mantissa / power)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tuple::{TupleWriter, split_tuple};
    use proptest::prelude::*;

    fn field(value: Decimal) -> Vec<u8> {
        let mut out = Vec::new();
        let mut tuple = TupleWriter::start(&mut out, 1);
        tuple.numeric(value);
        tuple.end();
        split_tuple(&out).unwrap()[0].unwrap().to_vec()
    }

    proptest! {
        #[test]
        fn what_the_encoder_writes_is_read_with_value_and_scale(
            high in any::<u32>(), low in any::<u64>(), shift in 0_u32..96, negative: bool,
            scale in 0_u32..=28,
        ) {
            let mantissa = ((i128::from(high) << 64) | i128::from(low)) >> shift;
            let mantissa = if negative { -mantissa } else { mantissa };
            let value = Decimal::from_i128_with_scale(mantissa, scale);

            let read = read_numeric(&field(value)).unwrap();

            prop_assert_eq!(read, value);
            prop_assert_eq!(read.scale(), if value.is_zero() { 0 } else { scale });
        }

        #[test]
        fn arbitrary_bytes_are_a_number_or_an_error(
            bytes in proptest::collection::vec(any::<u8>(), 0..30),
            count in 0_u8..9,
        ) {
            let mut near = bytes.clone();
            if near.len() >= 8 {
                (near[0], near[1], near[4]) = (0, count, near[4] & 0x40);
                near.truncate(8 + usize::from(count) * 2);
            }
            for bytes in [bytes, near] {
                if let Ok(value) = read_numeric(&bytes) {
                    prop_assert!(value.scale() <= 28);
                }
            }
        }
    }

    #[test]
    fn values_of_other_writers_are_exact_or_refused() {
        let bytes = |words: [u16; 4], groups: &[u16]| -> Vec<u8> {
            words.iter().chain(groups).flat_map(|w| w.to_be_bytes()).collect()
        };
        // 12 000 000 has one group and two places behind it.
        let millions = read_numeric(&bytes([1, 1, 0, 0], &[1_200])).unwrap();
        assert_eq!(millions, Decimal::from(12_000_000));
        let small = read_numeric(&bytes([1, 0xfffd, NEGATIVE, 12], &[5])).unwrap();
        assert_eq!(small.to_string(), "-0.000000000005");
        for (words, groups) in [
            ([1, 0, 0xc000, 0], &[1_u16][..]),
            ([2, 0, 0, 0], &[1]),
            ([1, 0, 0, 0], &[10_000]),
            ([1, 0xffff, 0, 2], &[1_234]),
            ([1, 0x7fff, 0, 0], &[1]),
            ([9, 8, 0, 0], &[9_999; 9]),
            ([8, 7, 0, 0], &[9_999; 8]),
        ] {
            assert!(read_numeric(&bytes(words, groups)).is_err(), "{words:?}");
        }
    }
}
