//! Errors of reading rows into values: the database failed, or a row holds what no writer may write.

use penstock_store::StoreError;
use penstock_types::state_row::ColumnError;
use penstock_types::symbol::SymbolError;
use penstock_types::vocab::UnknownWord;

/// Reading a row failed.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A statement failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A text is outside its vocabulary: writer and reader are of different versions.
    #[error("row not readable: {0}; next: compare the versions of both services")]
    Word(#[from] UnknownWord),
    /// A text is no symbol.
    #[error("row not readable: {0}")]
    Symbol(#[from] SymbolError),
    /// A column of a state row does not hold what it must.
    #[error("state row not readable: {0}")]
    Column(#[from] ColumnError),
}

impl ReadError {
    /// Waiting may help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Store(error) => error.is_transient(),
            Self::Word(_) | Self::Symbol(_) | Self::Column(_) => false,
        }
    }
}
