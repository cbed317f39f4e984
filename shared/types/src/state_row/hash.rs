//! The hash of a version of the state, and the canonical text that it runs over.
//!
//! Purpose: one text per row, the same on every machine. Inputs: rows, ascending by symbol. Outputs:
//! SHA-256 over the fields in column order without `generation_id`: canonical text, 0x1F between fields,
//! 0x1E after each row, `\N` for NULL, array elements joined by 0x1D. Invariants: a row is written into
//! one buffer that is used again, so a cut allocates nothing for its hash.

use super::{ColumnType, ColumnValue, StateRow};
use crate::digits::{push_fixed, push_integer, push_time};
use crate::{Symbol, decimal::scale};
use alloc::string::String;
use alloc::vec::Vec;
use sha2::{Digest, Sha256};

/// Between two fields.
const FIELD_END: u8 = 0x1f;
/// After the last field of a row.
const ROW_END: u8 = 0x1e;
/// Between two elements of an array.
const ELEMENT_END: u8 = 0x1d;
/// Room for a row: about 700 bytes were measured.
const ROW_LEN: usize = 1_024;

/// Hashes rows one after another, right after each was made.
#[derive(Debug, Clone)]
pub struct ContentHasher {
    hasher: Sha256,
    text: Vec<u8>,
    last: Option<Symbol>,
}

impl Default for ContentHasher {
    fn default() -> Self {
        Self { hasher: Sha256::new(), text: Vec::with_capacity(ROW_LEN), last: None }
    }
}

impl ContentHasher {
    /// Adds the next row.
    ///
    /// # Panics
    /// When it is not behind the row before by symbol: a broken invariant of the caller.
    pub fn push(&mut self, row: &StateRow) {
        assert!(
            self.last.as_ref().is_none_or(|last| *last < row.symbol),
            "state rows are strictly ascending by symbol"
        );
        self.last = Some(row.symbol.clone());
        self.text.clear();
        push_row(row, &mut self.text);
        self.hasher.update(&self.text);
    }

    /// The hash over all rows.
    #[must_use]
    pub fn finish(self) -> [u8; 32] {
        self.hasher.finalize().into()
    }
}

/// SHA-256 over rows that are sorted by symbol.
///
/// # Panics
/// When the rows are not strictly ascending by symbol: a broken invariant of the caller.
#[must_use]
pub fn content_hash(rows: &[StateRow]) -> [u8; 32] {
    let mut hasher = ContentHasher::default();
    rows.iter().for_each(|row| hasher.push(row));
    hasher.finish()
}

/// The canonical text of a row as it enters the hash, 0x1E included.
pub fn canonical_text(row: &StateRow, out: &mut String) {
    let mut text = Vec::with_capacity(ROW_LEN);
    push_row(row, &mut text);
    out.push_str(&String::from_utf8(text).expect("symbols, words and digits are text"));
}

fn push_row(row: &StateRow, out: &mut Vec<u8>) {
    row.push_fields(out);
    // The row's own end stands in the place of the last field's.
    out.pop();
    out.push(ROW_END);
}

/// Appends a field and its end; the generation is no part of the text. Inlined, so that each column keeps
/// the one case of its type.
#[inline(always)]
pub(super) fn push_field(out: &mut Vec<u8>, name: &str, kind: ColumnType, value: &ColumnValue<'_>) {
    if name == "generation_id" {
        return;
    }
    match value {
        ColumnValue::Bigint(n) => push_integer(out, *n),
        ColumnValue::Integer(Some(n)) => push_integer(out, i64::from(*n)),
        ColumnValue::Text(Some(text)) => out.extend_from_slice(text.as_bytes()),
        ColumnValue::Timestamp(Some(t)) => push_time(out, *t),
        ColumnValue::Numeric(Some(d)) => {
            let scale = match kind {
                ColumnType::Numeric(scale) => scale,
                ColumnType::Bigint
                | ColumnType::Integer
                | ColumnType::Text
                | ColumnType::Timestamp
                | ColumnType::Boolean
                | ColumnType::TextArray => scale::PX,
            };
            push_fixed(out, *d, scale);
        }
        ColumnValue::Boolean(b) => out.push(if *b { b't' } else { b'f' }),
        ColumnValue::TextArray(items) => {
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(ELEMENT_END);
                }
                out.extend_from_slice(item.as_bytes());
            }
        }
        ColumnValue::Integer(None)
        | ColumnValue::Text(None)
        | ColumnValue::Timestamp(None)
        | ColumnValue::Numeric(None) => out.extend_from_slice(b"\\N"),
    }
    out.push(FIELD_END);
}
