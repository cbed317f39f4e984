//! What is stored of alerts, and by whom.
//!
//! Input: alerts as they are now. Output: nothing, or that the database takes nothing now. Invariants: a row is written
//! with its newest state, at most once a second; what could not be written is written when the database is back.

use std::collections::BTreeSet;
use std::future::Future;

use penstock_contracts::alert::Alert;

use crate::board::Identity;
use crate::sink::SinkName;

/// A row to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertRow {
    /// The alert.
    pub alert: Alert,
    /// When it ended, milliseconds since 1970.
    pub cleared_ms: Option<i64>,
}

/// A row of an earlier life of the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAlert {
    /// The alert.
    pub alert: Alert,
    /// It has ended.
    pub is_cleared: bool,
    /// Ways out that took it.
    pub delivered: BTreeSet<SinkName>,
}

/// The database takes nothing now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RowsError(pub String);

/// Where rows are kept.
pub trait Rows: Send + Sync + 'static {
    /// Writes the newest state of an alert.
    ///
    /// # Errors
    /// [`RowsError`]; it is written again then.
    fn save(&self, row: &AlertRow) -> impl Future<Output = Result<(), RowsError>> + Send;

    /// Notes that a way out took an alert.
    ///
    /// # Errors
    /// [`RowsError`]; it is noted again then.
    fn delivered(
        &self,
        id: &Identity,
        sink: SinkName,
    ) -> impl Future<Output = Result<(), RowsError>> + Send;
}

/// Keeps nothing: ingest has no rows of its own, execution writes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoRows;

impl Rows for NoRows {
    async fn save(&self, _row: &AlertRow) -> Result<(), RowsError> {
        Ok(())
    }

    async fn delivered(&self, _id: &Identity, _sink: SinkName) -> Result<(), RowsError> {
        Ok(())
    }
}
