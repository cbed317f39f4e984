//! What can go wrong while rows are read.
//!
//! Input: answers of the driver, texts of rows. Output: [`ReadError`]. Invariants: each names what was read; a row that
//! is not understood is never left out silently.

use core::fmt::Display;

/// Rows that could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The cluster did not answer, refused, or took longer than it may.
    #[error("decision cluster: {what} cannot be read: {source}; next: penstock status")]
    Sql {
        /// What was read.
        what: &'static str,
        /// Why it failed.
        source: sqlx::Error,
    },
    /// A row holds what this program does not know.
    #[error(
        "decision cluster: {what}: {problem}; next: the program is older than its schema, install the newest"
    )]
    Row {
        /// What was read.
        what: &'static str,
        /// What is wrong with it.
        problem: String,
    },
}

impl ReadError {
    /// Names what was asked for when the cluster failed.
    pub(super) fn sql(what: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |source| Self::Sql { what, source }
    }

    /// Names the row that is not understood.
    pub(super) fn row<E: Display>(what: &'static str) -> impl Fn(E) -> Self {
        move |problem| Self::Row { what, problem: problem.to_string() }
    }
}
