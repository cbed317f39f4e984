//! What the decision cluster says, read in one read-only transaction.
//!
//! Input: a pool of the observer, the session's identity, the figures of the process. Output: [`Stored`]. Invariants:
//! one repeatable-read transaction; each query has an order and a limit; nothing is written; the ingest cluster is not
//! read.

mod empty;

use penstock_contracts::dashboard::{
    AiGateSnapshot, Ext, IntentsSnapshot, List, MarketSnapshot, ORDERS_MAX, OrderRow,
    ReconcileSnapshot, RiskSnapshot, STAGES_MAX, StageHistoryRow, TopKSnapshot,
};
use sqlx::PgPool;

use crate::live::Live;
use crate::settings::{Identity, Lengths};

/// Sections that rest on rows, filled up with what the process knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Changes of the stage.
    pub stage_history: List<StageHistoryRow, STAGES_MAX>,
    /// Size of the decision database, bytes.
    pub db_bytes: i64,
    /// Size of its cluster's write-ahead log; 0 when it may not be looked at.
    pub wal_bytes: i64,
    /// Intents.
    pub intents: IntentsSnapshot,
    /// Comparison with the venue.
    pub reconcile: ReconcileSnapshot,
    /// Symbols.
    pub market: MarketSnapshot,
    /// Exposure, results, limits.
    pub risk: RiskSnapshot,
    /// The AI gate.
    pub aigate: AiGateSnapshot,
    /// Finalists.
    pub topk: TopKSnapshot,
    /// The rest.
    pub ext: Ext,
}

/// The rows could not be read.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {source}")]
pub struct ReadError {
    /// What was read.
    pub what: &'static str,
    /// Why not.
    pub source: sqlx::Error,
}

#[expect(missing_docs, reason = "placeholder")]
pub async fn read(
    _: &PgPool,
    identity: &Identity,
    _: &Lengths,
    _: &Live,
) -> Result<Stored, ReadError> {
    Ok(Stored::empty(identity))
}
#[expect(missing_docs, reason = "placeholder")]
pub async fn orders(_: &PgPool) -> Result<List<OrderRow, ORDERS_MAX>, ReadError> {
    Ok(List::default())
}
