//! Binary tuples of `copy … (format binary)`: writing them without an allocation per value, and
//! taking them apart again.
//!
//! Input: values whose decimals are already rounded to their column's scale. Output: bytes exactly
//! as the server expects them: i16 column count, then per column i32 length (−1 = null) and bytes,
//! all big endian. Types must match exactly (int4 is not int8), which a test over the catalogue
//! checks for every table that is copied into.

use penstock_types::{Decimal, UtcMicros, Uuid};

/// Microseconds from 1970-01-01 to 2000-01-01, where PostgreSQL's time begins.
const PG_EPOCH_US: i64 = 946_684_800_000_000;

/// Writes tuples into a buffer.
#[derive(Debug)]
pub struct TupleWriter<'b> {
    out: &'b mut Vec<u8>,
    columns_left: i16,
}

impl<'b> TupleWriter<'b> {
    /// Starts a tuple of `columns` columns.
    pub fn start(out: &'b mut Vec<u8>, columns: i16) -> Self {
        out.extend_from_slice(&columns.to_be_bytes());
        Self { out, columns_left: columns }
    }

    /// Ends the tuple.
    ///
    /// # Panics
    /// When another number of columns was announced: the encoder itself would be wrong, and the
    /// server would read the rest of the batch shifted.
    pub fn end(self) {
        assert_eq!(self.columns_left, 0, "a tuple was ended with columns missing");
    }

    /// Ends the tuple with a last `bytea`, whose bytes are not copied: they are to be sent behind the buffer.
    ///
    /// # Panics
    /// As [`end`](Self::end), and when the value is longer than PostgreSQL's limit of 1 GiB.
    pub fn end_with_bytea(mut self, value: &[u8]) -> &[u8] {
        self.columns_left -= 1;
        let len = i32::try_from(value.len()).expect("a value is below the server's limit of 1 GiB");
        self.out.extend_from_slice(&len.to_be_bytes());
        self.end();
        value
    }

    fn field(&mut self, bytes: &[u8]) {
        self.columns_left -= 1;
        let len = i32::try_from(bytes.len()).expect("a field is below the record limit of 1 MiB");
        self.out.extend_from_slice(&len.to_be_bytes());
        self.out.extend_from_slice(bytes);
    }

    /// `null`.
    pub fn null(&mut self) {
        self.columns_left -= 1;
        self.out.extend_from_slice(&(-1_i32).to_be_bytes());
    }

    /// Writes `value` with `write`, or null.
    pub fn opt<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        match value {
            Some(value) => write(self, value),
            None => self.null(),
        }
    }

    /// `smallint`.
    pub fn int2(&mut self, value: i16) {
        self.field(&value.to_be_bytes());
    }

    /// `integer`.
    pub fn int4(&mut self, value: i32) {
        self.field(&value.to_be_bytes());
    }

    /// `bigint`.
    pub fn int8(&mut self, value: i64) {
        self.field(&value.to_be_bytes());
    }

    /// `boolean`.
    pub fn bool(&mut self, value: bool) {
        self.field(&[u8::from(value)]);
    }

    /// `"char"`; only ASCII letters are ever passed.
    pub fn pg_char(&mut self, value: char) {
        let byte = u8::try_from(value).unwrap_or(b'?');
        self.field(&[byte]);
    }

    /// `text`.
    pub fn text(&mut self, value: &str) {
        self.field(value.as_bytes());
    }

    /// `bytea`.
    pub fn bytea(&mut self, value: &[u8]) {
        self.field(value);
    }

    /// `uuid`.
    pub fn uuid(&mut self, value: Uuid) {
        self.field(value.as_bytes());
    }

    /// `timestamptz`. Times that PostgreSQL cannot hold saturate.
    pub fn timestamp(&mut self, value: UtcMicros) {
        self.field(&value.0.saturating_sub(PG_EPOCH_US).to_be_bytes());
    }

    /// `jsonb` from JSON text: version byte 1, then the text.
    pub fn jsonb(&mut self, value: &str) {
        self.columns_left -= 1;
        let len = i32::try_from(value.len() + 1).expect("a field is below the record limit");
        self.out.extend_from_slice(&len.to_be_bytes());
        self.out.push(1);
        self.out.extend_from_slice(value.as_bytes());
    }

    /// `text[]`: one dimension, lower bound 1, no nulls.
    pub fn text_array(&mut self, items: &[String]) {
        const TEXT_OID: i32 = 25;
        self.columns_left -= 1;
        let at = self.begin_sized();
        let dimensions = i32::from(!items.is_empty());
        self.out.extend_from_slice(&dimensions.to_be_bytes());
        self.out.extend_from_slice(&0_i32.to_be_bytes());
        self.out.extend_from_slice(&TEXT_OID.to_be_bytes());
        if !items.is_empty() {
            let n = i32::try_from(items.len()).expect("an array is below the record limit");
            self.out.extend_from_slice(&n.to_be_bytes());
            self.out.extend_from_slice(&1_i32.to_be_bytes());
        }
        for item in items {
            let len = i32::try_from(item.len()).expect("an item is below the record limit");
            self.out.extend_from_slice(&len.to_be_bytes());
            self.out.extend_from_slice(item.as_bytes());
        }
        self.end_sized(at);
    }

    /// `numeric`, exact: digits in base 10 000, weight of the first, sign, display scale.
    pub fn numeric(&mut self, value: Decimal) {
        self.columns_left -= 1;
        let at = self.begin_sized();
        write_numeric(self.out, value);
        self.end_sized(at);
    }

    fn begin_sized(&mut self) -> usize {
        let at = self.out.len();
        self.out.extend_from_slice(&[0; 4]);
        at
    }

    fn end_sized(&mut self, at: usize) {
        let len = self.out.len() - at - 4;
        let len = i32::try_from(len).expect("a field is below the record limit");
        self.out[at..at + 4].copy_from_slice(&len.to_be_bytes());
    }
}

fn write_numeric(out: &mut Vec<u8>, value: Decimal) {
    let scale = value.scale();
    let mut mantissa = value.mantissa().unsigned_abs();
    // Align the fraction to groups of four digits.
    let pad = (4 - scale % 4) % 4;
    // At most 29 digits and 3 of padding: 8 groups. The padding multiplies by ≤ 1000, and
    // 2^96 · 1000 < 2^128.
    mantissa *= 10_u128.pow(pad);
    let fraction_groups = i16::try_from((scale + pad) / 4).expect("a scale is at most 28");
    // Division of 128 bits is slow and seldom needed; then two halves of four groups need two of them.
    const HALF: u64 = 10_000_000_000_000_000;
    let mut groups = [0_i16; 8];
    let (high_half, low_half) = match u64::try_from(mantissa) {
        Ok(narrow) => (narrow / HALF, narrow % HALF),
        Err(_) => (
            u64::try_from(mantissa / u128::from(HALF)).expect("2^96 · 1000 is below 10^32"),
            u64::try_from(mantissa % u128::from(HALF)).expect("below 10^16"),
        ),
    };
    for (at, half) in [(0, low_half), (4, high_half)] {
        let mut half = half;
        for group in &mut groups[at..at + 4] {
            *group = i16::try_from(half % 10_000).expect("below 10 000");
            half /= 10_000;
        }
    }
    let n = groups.iter().rposition(|group| *group != 0).map_or(0, |last| last + 1);
    let mut low = 0;
    while low < n && groups[low] == 0 {
        low += 1;
    }
    let digits = &groups[low..n];
    let weight = i16::try_from(n).expect("at most 8 groups") - 1 - fraction_groups;
    let negative = value.is_sign_negative() && !digits.is_empty();
    let sign: u16 = if negative { 0x4000 } else { 0 };
    let weight = if digits.is_empty() { 0 } else { weight };
    let count = i16::try_from(digits.len()).expect("at most 8 groups");
    out.extend_from_slice(&count.to_be_bytes());
    out.extend_from_slice(&weight.to_be_bytes());
    out.extend_from_slice(&sign.to_be_bytes());
    out.extend_from_slice(&i16::try_from(scale).expect("a scale is at most 28").to_be_bytes());
    for digit in digits.iter().rev() {
        out.extend_from_slice(&digit.to_be_bytes());
    }
}

/// A tuple that is not one: its lengths do not add up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a copy tuple: {0}")]
pub struct TupleError(&'static str);

/// Takes a tuple apart into its fields.
///
/// # Errors
/// [`TupleError`] for a negative count, a length beyond the end, or bytes left over.
pub fn split_tuple(bytes: &[u8]) -> Result<Vec<Option<&[u8]>>, TupleError> {
    let (head, mut rest) =
        bytes.split_first_chunk::<2>().ok_or(TupleError("shorter than its column count"))?;
    let columns = i16::from_be_bytes(*head);
    let columns = usize::try_from(columns).map_err(|_| TupleError("negative column count"))?;
    let mut fields = Vec::with_capacity(columns.min(128));
    for _ in 0..columns {
        let (head, tail) =
            rest.split_first_chunk::<4>().ok_or(TupleError("ends inside a length"))?;
        let len = i32::from_be_bytes(*head);
        if len == -1 {
            fields.push(None);
            rest = tail;
            continue;
        }
        let len = usize::try_from(len).map_err(|_| TupleError("negative length"))?;
        let (field, tail) = tail.split_at_checked(len).ok_or(TupleError("ends inside a field"))?;
        fields.push(Some(field));
        rest = tail;
    }
    if !rest.is_empty() {
        return Err(TupleError("bytes left over"));
    }
    Ok(fields)
}

/// Reads a `timestamptz` field; `None` for another length.
#[must_use]
pub fn read_timestamp(field: &[u8]) -> Option<UtcMicros> {
    let bytes: [u8; 8] = field.try_into().ok()?;
    Some(UtcMicros(i64::from_be_bytes(bytes).saturating_add(PG_EPOCH_US)))
}

/// Reads a `smallint` field; `None` for another length.
#[must_use]
pub fn read_int2(field: &[u8]) -> Option<i16> {
    Some(i16::from_be_bytes(field.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn numeric_bytes(value: Decimal) -> Vec<u8> {
        let mut out = Vec::new();
        write_numeric(&mut out, value);
        out
    }

    proptest! {
        #[test]
        fn numeric_encoding_is_read_back_equal_by_an_independent_decoder(
            mantissa in -79_228_162_514_264_337_593_543_950_335_i128
                ..=79_228_162_514_264_337_593_543_950_335,
            scale in 0_u32..=28,
        ) {
            let value = Decimal::from_i128_with_scale(mantissa, scale);
            let bytes = numeric_bytes(value);

            let decoded = decode_numeric(&bytes);

            prop_assert_eq!(decoded, value);
        }

        #[test]
        fn arbitrary_bytes_never_make_the_splitter_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            // Nothing to assert beyond coming back: the property is the absence of a panic.
            let fields = split_tuple(&bytes).map(|f| f.len()).unwrap_or(0);
            prop_assert!(fields <= bytes.len());
        }
    }

    /// Decodes by the documented layout, independently of the encoder.
    fn decode_numeric(bytes: &[u8]) -> Decimal {
        let word = |i: usize| i16::from_be_bytes([bytes[2 * i], bytes[2 * i + 1]]);
        let (count, weight, sign, scale) = (word(0), word(1), word(2), word(3));
        let mut text = String::new();
        if sign != 0 {
            text.push('-');
        }
        for group in 0..=weight.max(0) {
            let index = group - (weight.max(0) - weight);
            let digit = if index >= 0 && index < count { word(4 + index as usize) } else { 0 };
            text.push_str(&format!("{digit:04}"));
        }
        text.push('.');
        let mut fraction = String::new();
        for k in 1..=(scale + 3) / 4 {
            let index = weight + k;
            let digit = if index >= 0 && index < count { word(4 + index as usize) } else { 0 };
            fraction.push_str(&format!("{digit:04}"));
        }
        fraction.truncate(usize::try_from(scale).unwrap());
        text.push_str(&fraction);
        Decimal::from_str_exact(text.trim_end_matches('.')).unwrap()
    }

    #[test]
    fn tuple_goes_round_and_keeps_nulls() {
        let mut out = Vec::new();
        let mut tuple = TupleWriter::start(&mut out, 4);
        tuple.int8(7);
        tuple.null();
        tuple.text_array(&["a".to_owned(), String::new()]);
        tuple.timestamp(UtcMicros(1));
        tuple.end();

        let fields = split_tuple(&out).unwrap();

        assert_eq!(fields[0], Some(&7_i64.to_be_bytes()[..]));
        assert_eq!(fields[1], None);
        assert_eq!(read_timestamp(fields[3].unwrap()), Some(UtcMicros(1)));
        assert_eq!(split_tuple(&out[..out.len() - 1]), Err(TupleError("ends inside a field")));
    }
}
