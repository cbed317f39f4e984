//! What ingest reads from the account side: pinned symbols, and its own safety causes.
//!
//! Ingest sees symbols and states only: its role has no right to read anything else of positions and
//! orders.

use penstock_store::StoreError;
use penstock_store::twins::db_time;
use penstock_types::vocab::SafetyMode;
use penstock_types::{RunId, UtcMicros};
use sqlx::PgPool;

use crate::CLUSTER;

/// Symbols with an open position or a live order, ascending.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn pinned_symbols(pool: &PgPool) -> Result<Vec<String>, StoreError> {
    sqlx::query_scalar!(
        r#"select symbol as "symbol!" from positions where status in ('open', 'closing')
           union
           select symbol from execution_orders where not terminal and state <> 'created'
           order by 1"#
    )
    .fetch_all(pool)
    .await
    .map_err(|e| StoreError::sql("read pinned symbols", CLUSTER, e))
}

/// Symbols that no entry may be made in at the moment.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn hard_blocked_symbols(pool: &PgPool) -> Result<Vec<String>, StoreError> {
    sqlx::query_scalar!(
        r#"select symbol as "symbol!" from symbol_safety_effective
           where mode = 'hard_blocked' order by 1"#
    )
    .fetch_all(pool)
    .await
    .map_err(|e| StoreError::sql("read blocked symbols", CLUSTER, e))
}

/// A cause of ingest: `l2_checksum`, `book_stale`, `instrument_not_online`, `pinned_invalid_l3`,
/// `l3_resync_limit`.
#[derive(Debug, Clone)]
pub struct SafetyCause<'a> {
    /// Symbol.
    pub symbol: &'a str,
    /// Cause.
    pub cause: &'a str,
    /// Mode that it asks for.
    pub mode: SafetyMode,
    /// Reason code.
    pub primary_reason: &'a str,
    /// End; a quiet period must have one.
    pub expires_at: Option<UtcMicros>,
    /// Run.
    pub run_id: RunId,
    /// What else is known.
    pub detail: &'a serde_json::Value,
}

/// Sets a cause of ingest.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn set_safety_cause(pool: &PgPool, row: &SafetyCause<'_>) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into symbol_safety_state as s (symbol, cause, mode, primary_reason, expires_at,
             since, updated_at, updated_by, run_id, detail)
         values ($1, $2, $3, $4, $5, clock_timestamp(), clock_timestamp(), 'ingest', $6, $7)
         on conflict (symbol, cause) do update set
             mode = excluded.mode,
             primary_reason = excluded.primary_reason,
             expires_at = excluded.expires_at,
             since = case when s.mode = excluded.mode then s.since else excluded.since end,
             updated_at = excluded.updated_at,
             updated_by = excluded.updated_by,
             run_id = excluded.run_id,
             detail = excluded.detail",
        row.symbol,
        row.cause,
        row.mode.as_str(),
        row.primary_reason,
        row.expires_at.map(db_time),
        row.run_id.0,
        row.detail,
    )
    .execute(pool)
    .await
    .map(|_| ())
    .map_err(|e| StoreError::sql("set a safety cause", CLUSTER, e))
}

/// Symbols for which a cause stands, ascending.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn safety_symbols(pool: &PgPool, cause: &str) -> Result<Vec<String>, StoreError> {
    sqlx::query_scalar!("select symbol from symbol_safety_state where cause = $1 order by 1", cause)
        .fetch_all(pool)
        .await
        .map_err(|e| StoreError::sql("read a safety cause", CLUSTER, e))
}

/// Clears a cause of ingest; true when it stood.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn clear_safety_cause(
    pool: &PgPool,
    symbol: &str,
    cause: &str,
) -> Result<bool, StoreError> {
    sqlx::query!("delete from symbol_safety_state where symbol = $1 and cause = $2", symbol, cause,)
        .execute(pool)
        .await
        .map(|done| done.rows_affected() == 1)
        .map_err(|e| StoreError::sql("clear a safety cause", CLUSTER, e))
}
