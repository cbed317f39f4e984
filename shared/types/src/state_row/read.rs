//! Reading a state row from columns in order, whatever delivers them.
//!
//! Purpose: the table of columns is also the order in which a reader takes them, so that a select list
//! made of [`super::COLUMNS`] and the struct cannot disagree. Inputs: a source of columns. Outputs: one
//! value per field, or the column that does not hold what it must. It knows no database.

use crate::vocab::{Regime, RegimeSub, UnknownWord};
use crate::{Decimal, GenerationId, RunId, Symbol, UtcMicros};
use alloc::string::String;
use alloc::vec::Vec;

/// A column that does not hold what its field needs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ColumnError {
    /// NULL in a column of a field that is always there.
    #[error("NULL where a value is required")]
    Null,
    /// A word outside its vocabulary.
    #[error(transparent)]
    Word(#[from] UnknownWord),
    /// A text that is no symbol.
    #[error(transparent)]
    Symbol(#[from] crate::symbol::SymbolError),
}

/// A row whose columns are taken one after another.
pub trait ColumnReader {
    /// Error of the source.
    type Error: From<ColumnError>;
    /// Next column as `bigint`.
    fn bigint(&mut self) -> Result<Option<i64>, Self::Error>;
    /// Next column as `integer`.
    fn integer(&mut self) -> Result<Option<i32>, Self::Error>;
    /// Next column as `numeric`.
    fn numeric(&mut self) -> Result<Option<Decimal>, Self::Error>;
    /// Next column as `timestamptz`.
    fn timestamp(&mut self) -> Result<Option<UtcMicros>, Self::Error>;
    /// Next column as `text`.
    fn text(&mut self) -> Result<Option<String>, Self::Error>;
    /// Next column as `boolean`.
    fn boolean(&mut self) -> Result<Option<bool>, Self::Error>;
    /// Next column as `text[]`.
    fn text_array(&mut self) -> Result<Option<Vec<String>>, Self::Error>;
}

/// A field that can be read from the next column.
pub trait FromColumn: Sized {
    /// Takes the next column.
    ///
    /// # Errors
    /// The source's, or [`ColumnError`] when the column holds something else.
    fn read<R: ColumnReader>(reader: &mut R) -> Result<Self, R::Error>;
}

fn required<T, E: From<ColumnError>>(value: Option<T>) -> Result<T, E> {
    value.ok_or_else(|| ColumnError::Null.into())
}

macro_rules! plain {
    ($($type:ty => $method:ident),+ $(,)?) => {$(
        impl FromColumn for $type {
            fn read<R: ColumnReader>(reader: &mut R) -> Result<Self, R::Error> {
                required(reader.$method()?)
            }
        }
        impl FromColumn for Option<$type> {
            fn read<R: ColumnReader>(reader: &mut R) -> Result<Self, R::Error> {
                reader.$method()
            }
        }
    )+};
}

plain!(
    i64 => bigint, i32 => integer, Decimal => numeric, UtcMicros => timestamp, bool => boolean,
    Vec<String> => text_array,
);

impl FromColumn for RunId {
    fn read<R: ColumnReader>(reader: &mut R) -> Result<Self, R::Error> {
        required(reader.bigint()?).map(Self)
    }
}

impl FromColumn for GenerationId {
    fn read<R: ColumnReader>(reader: &mut R) -> Result<Self, R::Error> {
        required(reader.bigint()?).map(Self)
    }
}

impl FromColumn for Symbol {
    fn read<R: ColumnReader>(reader: &mut R) -> Result<Self, R::Error> {
        let text: String = required(reader.text()?)?;
        Self::new(&text).map_err(|e| ColumnError::from(e).into())
    }
}

impl FromColumn for Regime {
    fn read<R: ColumnReader>(reader: &mut R) -> Result<Self, R::Error> {
        required(<Option<Self>>::read(reader)?)
    }
}

impl FromColumn for Option<Regime> {
    fn read<R: ColumnReader>(reader: &mut R) -> Result<Self, R::Error> {
        let word = reader.text()?.map(|text| Regime::parse(&text));
        word.transpose().map_err(|e| ColumnError::from(e).into())
    }
}

impl FromColumn for Option<RegimeSub> {
    fn read<R: ColumnReader>(reader: &mut R) -> Result<Self, R::Error> {
        let word = reader.text()?.map(|text| RegimeSub::parse(&text));
        word.transpose().map_err(|e| ColumnError::from(e).into())
    }
}
