//! Blocks that ingest sets because an order-by-order book is lost too often.
//!
//! Input: symbol, count, end. Output: one row of the cause `l3_resync_limit`, which forbids entries while
//! it stands and ends by its own time, also when nobody is there to clear it; and the rows that stand, for a
//! process that takes over.

use penstock_store::StoreError;
use penstock_store::twins::db_time;
use penstock_types::{RunId, Symbol, UtcMicros};
use sqlx::PgPool;

use crate::CLUSTER;

/// Cause of the rows.
pub const CAUSE: &str = "l3_resync_limit";

/// Sets a block until `until`; one that stands is replaced.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn set_level3_block(
    pool: &PgPool,
    symbol: &Symbol,
    resyncs: i32,
    until: UtcMicros,
    run_id: RunId,
) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into symbol_safety_state as s (symbol, cause, mode, primary_reason, expires_at,
             l3_resync_count, since, updated_at, updated_by, run_id)
         values ($1, $2, 'hard_blocked', 'L3_RESYNC_LIMIT', $3, $4, clock_timestamp(),
             clock_timestamp(), 'ingest', $5)
         on conflict (symbol, cause) do update set
             mode = excluded.mode,
             primary_reason = excluded.primary_reason,
             expires_at = excluded.expires_at,
             l3_resync_count = excluded.l3_resync_count,
             since = excluded.since,
             updated_at = excluded.updated_at,
             updated_by = excluded.updated_by,
             run_id = excluded.run_id",
        symbol.as_str(),
        CAUSE,
        db_time(until),
        resyncs,
        run_id.0,
    )
    .execute(pool)
    .await
    .map(|_| ())
    .map_err(|e| StoreError::sql("set a level 3 block", CLUSTER, e))
}

/// A block that stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandingBlock {
    /// Symbol.
    pub symbol: Symbol,
    /// Resyncs that caused it.
    pub resyncs: u32,
    /// Its end.
    pub until: UtcMicros,
}

/// The blocks whose time is not over, of whatever process.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn standing_level3_blocks(pool: &PgPool) -> Result<Vec<StandingBlock>, StoreError> {
    let rows = sqlx::query!(
        r#"select symbol, l3_resync_count, expires_at as "expires_at!"
        from symbol_safety_state
        where cause = $1 and expires_at > clock_timestamp()
        order by symbol"#,
        CAUSE,
    )
    .fetch_all(pool)
    .await
    .map_err(|e| StoreError::sql("read level 3 blocks", CLUSTER, e))?;
    let block = |symbol: &str, count: i32, until| {
        let resyncs = u32::try_from(count).unwrap_or(0);
        Some(StandingBlock { symbol: Symbol::new(symbol).ok()?, resyncs, until })
    };
    Ok(rows
        .iter()
        .filter_map(|row| block(&row.symbol, row.l3_resync_count, UtcMicros::from(row.expires_at)))
        .collect())
}

/// Removes the blocks whose time is over, of whatever process; returns their number.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn clear_ended_level3_blocks(pool: &PgPool) -> Result<u64, StoreError> {
    sqlx::query!(
        "delete from symbol_safety_state where cause = $1 and expires_at <= clock_timestamp()",
        CAUSE,
    )
    .execute(pool)
    .await
    .map(|done| done.rows_affected())
    .map_err(|e| StoreError::sql("clear ended level 3 blocks", CLUSTER, e))
}
