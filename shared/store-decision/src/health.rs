//! `health_samples` and `startup_recoveries`: how the process and its databases are, and what a start found.
//!
//! Purpose: append. Inputs: figures. Outputs: rows. Invariants: append only; a session has one recovery.

use penstock_store::StoreError;
use penstock_store::pools::{ActAs, set_local_role};
use penstock_store::twins::db_time;
use penstock_types::{Decimal, SessionId, UtcMicros};
use serde::Serialize;
use sqlx::PgPool;

use crate::CLUSTER;

/// What the server knows of its own size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerSize {
    /// Bytes of the database.
    pub db_bytes: i64,
    /// Bytes of its write-ahead log.
    pub wal_bytes: i64,
}

/// Figures of one moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HealthSample {
    /// Session.
    pub session_id: SessionId,
    /// When, wall clock.
    pub ts: UtcMicros,
    /// Free bytes, the least of the watched paths.
    pub disk_free_bytes: i64,
    /// Bytes of the decision database.
    pub db_bytes: i64,
    /// Bytes of its write-ahead log.
    pub wal_bytes: i64,
    /// Bytes of the trail's files.
    pub jsonl_bytes: i64,
    /// Events that wait for the trail's writer.
    pub queue_len: i32,
    /// The same in percent of the queue, times 10 000.
    pub queue_pct_x10000: i32,
    /// Age of the oldest of them, milliseconds.
    pub lag_ms: i64,
    /// Resident memory.
    pub rss_bytes: i64,
    /// Processor time in percent of one processor, times 10 000.
    pub cpu_pct_x10000: i32,
    /// Events in the last minute.
    pub events_per_min: i64,
    /// Events dropped in it.
    pub drops_per_min: i64,
    /// REST counter as a share of its ceiling.
    pub rest_counter: Decimal,
    /// Greatest order counter of a pair as a share of its ceiling.
    pub engine_counter_max: Decimal,
}

/// What a start found and what it made of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StartupRecovery {
    /// Session.
    pub session_id: SessionId,
    /// When it was judged, wall clock.
    pub ts: UtcMicros,
    /// Class.
    pub class: &'static str,
    /// Orders of ours that were not ended.
    pub orders_found: i32,
    /// Open positions.
    pub positions_found: i32,
    /// Orders whose doubt was resolved.
    pub orders_resolved: i32,
    /// Everything else that the judgement rests on.
    pub report: serde_json::Value,
}

/// Asks the server for its size, as the observer, who alone may see the log's.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn server_size(pool: &PgPool) -> Result<ServerSize, StoreError> {
    let sql = |e| StoreError::sql("read the size of the server", CLUSTER, e);
    let mut tx = pool.begin().await.map_err(sql)?;
    set_local_role(&mut tx, ActAs::Observer).await.map_err(sql)?;
    let row = sqlx::query!(
        r#"select pg_database_size(current_database()) as "db_bytes!",
             (select coalesce(sum(size), 0) from pg_ls_waldir())::bigint as "wal_bytes!""#
    )
    .fetch_one(&mut *tx)
    .await
    .map_err(sql)?;
    Ok(ServerSize { db_bytes: row.db_bytes, wal_bytes: row.wal_bytes })
}

/// Appends a sample; a second one of the same microsecond is none.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn insert_sample(pool: &PgPool, s: &HealthSample) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into health_samples (session_id, ts, disk_free_bytes, db_bytes, wal_bytes, jsonl_bytes,
             queue_len, queue_pct_x10000, lag_ms, rss_bytes, cpu_pct_x10000, events_per_min,
             drops_per_min, rest_counter, engine_counter_max)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
         on conflict do nothing",
        s.session_id.0,
        db_time(s.ts),
        s.disk_free_bytes,
        s.db_bytes,
        s.wal_bytes,
        s.jsonl_bytes,
        s.queue_len,
        s.queue_pct_x10000,
        s.lag_ms,
        s.rss_bytes,
        s.cpu_pct_x10000,
        s.events_per_min,
        s.drops_per_min,
        s.rest_counter,
        s.engine_counter_max,
    )
    .execute(pool)
    .await
    .map(|_| ())
    .map_err(|e| StoreError::sql("write a health sample", CLUSTER, e))
}

/// Appends the recovery of a session; a later one of the same session is none.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn insert_recovery(pool: &PgPool, r: &StartupRecovery) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into startup_recoveries (session_id, ts, class, orders_found, positions_found,
             orders_resolved, report)
         values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing",
        r.session_id.0,
        db_time(r.ts),
        r.class,
        r.orders_found,
        r.positions_found,
        r.orders_resolved,
        r.report,
    )
    .execute(pool)
    .await
    .map(|_| ())
    .map_err(|e| StoreError::sql("write a recovery", CLUSTER, e))
}

/// Whether the session may write: its own row takes a change that changes nothing.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn write_probe(pool: &PgPool, session_id: SessionId) -> Result<bool, StoreError> {
    sqlx::query!(
        "update execution_sessions set last_evaluation_index = last_evaluation_index
         where session_id = $1",
        session_id.0,
    )
    .execute(pool)
    .await
    .map(|done| done.rows_affected() == 1)
    .map_err(|e| StoreError::sql("probe a write", CLUSTER, e))
}
