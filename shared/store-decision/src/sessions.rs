//! `execution_sessions`, `exec_configs`, `equity_snapshots`: what a session is and what it owned.

use penstock_store::StoreError;
use penstock_store::again;
use penstock_store::twins::db_time;
use penstock_types::{Decimal, FencingToken, LineageId, RunId, SessionId, UtcMicros};
use sqlx::PgPool;

use crate::CLUSTER;

/// A session at its start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionStart<'a> {
    /// Session.
    pub session_id: SessionId,
    /// Domain.
    pub domain: &'a str,
    /// `attach`, `once` or `proof`.
    pub mode: &'static str,
    /// Fence.
    pub fencing_token: FencingToken,
    /// Host.
    pub host: &'a str,
    /// Process.
    pub pid: i32,
    /// Commit of the binary.
    pub git_commit: &'a str,
    /// Built from a changed tree.
    pub git_dirty: bool,
    /// Hash of the effective configuration.
    pub config_hash: &'a str,
    /// Start, wall clock.
    pub started_at: UtcMicros,
}

/// Writes the session's row and closes those of earlier sessions of the domain that did not end
/// themselves: their fence is below ours.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn start(pool: &PgPool, s: &SessionStart<'_>) -> Result<(), StoreError> {
    let sql = |e| StoreError::sql("write the session", CLUSTER, e);
    let mut tx = again::begin(pool, "begin").await.map_err(sql)?;
    sqlx::query!(
        "update execution_sessions set ended_at = clock_timestamp(), end_reason = 'crash_detected'
         where domain = $1 and fencing_token < $2 and ended_at is null",
        s.domain,
        s.fencing_token.0,
    )
    .execute(&mut *tx)
    .await
    .map_err(sql)?;
    sqlx::query!(
        "insert into execution_sessions (session_id, domain, mode, fencing_token, host, pid,
             git_commit, git_dirty, config_hash, started_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        s.session_id.0,
        s.domain,
        s.mode,
        s.fencing_token.0,
        s.host,
        s.pid,
        s.git_commit,
        s.git_dirty,
        s.config_hash,
        db_time(s.started_at),
    )
    .execute(&mut *tx)
    .await
    .map_err(sql)?;
    tx.commit().await.map_err(|e| StoreError::commit("write the session", CLUSTER, e))
}

/// The session bound for the first time.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn attached(
    pool: &PgPool,
    session_id: SessionId,
    lineage_id: LineageId,
    run_id: RunId,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update execution_sessions set attached_at = coalesce(attached_at, clock_timestamp()),
             bound_lineage_id = $2, bound_run_id = $3 where session_id = $1",
        session_id.0,
        lineage_id.0,
        run_id.0,
    )
    .execute(pool)
    .await
    .map(|_| ())
    .map_err(|e| StoreError::sql("write the attach", CLUSTER, e))
}

/// The session ended.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn end(pool: &PgPool, session_id: SessionId, reason: &str) -> Result<(), StoreError> {
    sqlx::query!(
        "update execution_sessions set ended_at = clock_timestamp(), end_reason = $2
         where session_id = $1 and ended_at is null",
        session_id.0,
        reason,
    )
    .execute(pool)
    .await
    .map(|_| ())
    .map_err(|e| StoreError::sql("end the session", CLUSTER, e))
}

/// Keeps the configuration behind a hash; the same hash is kept once.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn keep_config(
    pool: &PgPool,
    config_hash: &str,
    config: &serde_json::Value,
) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into exec_configs (config_hash, config) values ($1, $2) on conflict do nothing",
        config_hash,
        config,
    )
    .execute(pool)
    .await
    .map(|_| ())
    .map_err(|e| StoreError::sql("keep the configuration", CLUSTER, e))
}

/// Equity at an instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EquitySnapshot {
    /// Decision clock of the read that it rests on.
    pub at: UtcMicros,
    /// Session.
    pub session_id: SessionId,
    /// Equity.
    pub equity_quote: Decimal,
    /// Cash, holds included.
    pub cash_quote: Decimal,
    /// Positions at mid.
    pub positions_quote: Decimal,
    /// Open reservations.
    pub reserved_quote: Decimal,
    /// Realised since the beginning.
    pub realized_cum_quote: Decimal,
    /// High-water mark.
    pub hwm_quote: Decimal,
    /// Distance to it, bps.
    pub drawdown_bps: Decimal,
    /// What has come from outside, quote.
    pub external_cum_quote: Decimal,
    /// Newest row of `balance_changes` that was read.
    pub external_seen_id: i64,
    /// The venue's time of the cash.
    pub cash_as_of: UtcMicros,
    /// UTC day of the drawdown that stands; none when none stands.
    pub drawdown_day: Option<i32>,
}

/// Appends a snapshot; one of the same instant stands.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn keep_equity(pool: &PgPool, s: &EquitySnapshot) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into equity_snapshots (ts, session_id, equity_quote, cash_quote, positions_quote,
             reserved_quote, realized_cum_quote, hwm_quote, drawdown_bps, external_cum_quote,
             external_seen_id, cash_as_of, drawdown_day)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) on conflict do nothing",
        db_time(s.at),
        s.session_id.0,
        s.equity_quote,
        s.cash_quote,
        s.positions_quote,
        s.reserved_quote,
        s.realized_cum_quote,
        s.hwm_quote,
        s.drawdown_bps,
        s.external_cum_quote,
        s.external_seen_id,
        db_time(s.cash_as_of),
        s.drawdown_day,
    )
    .execute(pool)
    .await
    .map(|_| ())
    .map_err(|e| StoreError::sql("keep the equity", CLUSTER, e))
}
