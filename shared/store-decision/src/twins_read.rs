//! Runs, lineages, snapshots and epochs as they stand on the decision cluster, which is the authority
//! for them: what the ingest cluster missed during an outage is copied from here.
//!
//! Input: ids, or a domain with a limit. Output: whole rows. Nothing is changed.

use penstock_store::StoreError;
use penstock_store::twins::{
    EpochCriteria, JudgedEpochRow, LineageRow, RunRow, UniverseSnapshotRow,
};
use penstock_types::vocab::{EpochStatus, L3Mode};
use penstock_types::{
    EpochId, FencingToken, GenerationId, LineageId, RunId, SnapshotId, UtcMicros,
};
use sqlx::PgPool;
use std::sync::Arc;

use crate::CLUSTER;

/// How a run or a lineage ended: when, and the word for it.
pub type End = Option<(UtcMicros, String)>;

/// A run with what is written later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunTwin {
    /// The row.
    pub row: RunRow,
    /// End of the warm-up.
    pub warm_at: Option<UtcMicros>,
    /// Its end.
    pub end: End,
}

/// A lineage with its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineageTwin {
    /// The row.
    pub row: LineageRow,
    /// Its end.
    pub end: End,
}

/// A judged epoch with its snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpochTwin {
    /// The epoch.
    pub epoch: JudgedEpochRow,
    /// Its universe.
    pub snapshot: Option<UniverseSnapshotRow>,
}

/// The newest runs of a domain, ascending.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn newest_runs(
    pool: &PgPool,
    domain: &str,
    limit: i64,
) -> Result<Vec<RunId>, StoreError> {
    let ids = sqlx::query_scalar!(
        r#"select n.run_id as "run_id!" from (
               select run_id from observation_runs where domain = $1 order by run_id desc limit $2
           ) n order by n.run_id"#,
        domain,
        limit,
    )
    .fetch_all(pool)
    .await
    .map_err(|e| StoreError::sql("list runs", CLUSTER, e))?;
    Ok(ids.into_iter().map(RunId).collect())
}

/// The newest lineages of a domain, oldest first.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn newest_lineages(
    pool: &PgPool,
    domain: &str,
    limit: i64,
) -> Result<Vec<LineageId>, StoreError> {
    let ids = sqlx::query_scalar!(
        r#"select n.lineage_id as "lineage_id!" from (
               select lineage_id, started_at from ingest_lineage
               where domain = $1 order by started_at desc limit $2
           ) n order by n.started_at"#,
        domain,
        limit,
    )
    .fetch_all(pool)
    .await
    .map_err(|e| StoreError::sql("list lineages", CLUSTER, e))?;
    Ok(ids.into_iter().map(LineageId).collect())
}

/// The newest epochs of a domain, ascending.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn newest_epochs(
    pool: &PgPool,
    domain: &str,
    limit: i64,
) -> Result<Vec<EpochId>, StoreError> {
    let ids = sqlx::query_scalar!(
        r#"select n.epoch_id as "epoch_id!" from (
               select e.epoch_id from ingest_epochs e join observation_runs r using (run_id)
               where r.domain = $1 and e.status <> 'pending' order by e.epoch_id desc limit $2
           ) n order by n.epoch_id"#,
        domain,
        limit,
    )
    .fetch_all(pool)
    .await
    .map_err(|e| StoreError::sql("list epochs", CLUSTER, e))?;
    Ok(ids.into_iter().map(EpochId).collect())
}

/// A run.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn run_twin(pool: &PgPool, run_id: RunId) -> Result<Option<RunTwin>, StoreError> {
    let row = sqlx::query!(
        "select domain, mode, lineage_id, predecessor_run_id, fencing_token, host, pid, git_commit,
             git_dirty, build_profile, config_hash, bindings_hash, bindings, schema_version,
             started_at, warm_at, ended_at, end_reason
         from observation_runs where run_id = $1",
        run_id.0,
    )
    .fetch_optional(pool)
    .await
    .map_err(|e| StoreError::sql("read a run", CLUSTER, e))?;
    Ok(row.map(|r| RunTwin {
        row: RunRow {
            run_id,
            domain: r.domain,
            mode: r.mode,
            lineage_id: LineageId(r.lineage_id),
            predecessor_run_id: r.predecessor_run_id.map(RunId),
            fencing_token: FencingToken(r.fencing_token),
            host: r.host,
            pid: r.pid,
            git_commit: r.git_commit,
            git_dirty: r.git_dirty,
            build_profile: r.build_profile,
            config_hash: r.config_hash,
            bindings_hash: hex::encode(r.bindings_hash),
            bindings: Arc::new(r.bindings),
            schema_version: r.schema_version,
            started_at: r.started_at.into(),
        },
        warm_at: r.warm_at.map(Into::into),
        end: r.ended_at.map(Into::into).zip(r.end_reason),
    }))
}

/// A lineage.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn lineage_twin(
    pool: &PgPool,
    lineage_id: LineageId,
) -> Result<Option<LineageTwin>, StoreError> {
    let row = sqlx::query!(
        "select domain, first_run_id, parent_lineage_id, reason, fencing_token, config_hash,
             started_at, ended_at, end_reason
         from ingest_lineage where lineage_id = $1",
        lineage_id.0,
    )
    .fetch_optional(pool)
    .await
    .map_err(|e| StoreError::sql("read a lineage", CLUSTER, e))?;
    Ok(row.map(|r| LineageTwin {
        row: LineageRow {
            lineage_id,
            domain: r.domain,
            first_run_id: RunId(r.first_run_id),
            parent_lineage_id: r.parent_lineage_id.map(LineageId),
            reason: r.reason,
            fencing_token: FencingToken(r.fencing_token),
            config_hash: r.config_hash,
            started_at: r.started_at.into(),
        },
        end: r.ended_at.map(Into::into).zip(r.end_reason),
    }))
}

/// A judged epoch with its snapshot.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn epoch_twin(pool: &PgPool, epoch_id: EpochId) -> Result<Option<EpochTwin>, StoreError> {
    let sql = |e| StoreError::sql("read an epoch", CLUSTER, e);
    let row = sqlx::query!(
        r#"select lineage_id, epoch_seq, run_id, snapshot_id, generation_id, status, window_start,
               window_end, created_at, completed_at as "completed_at!",
               coalesce(symbol_count, 0) as "symbol_count!",
               coalesce(entry_set_count, 0) as "entry_set_count!",
               coalesce(pinned_excluded_count, 0) as "pinned_excluded_count!",
               coalesce(hard_blocked_excluded_count, 0) as "hard_blocked_excluded_count!",
               frac_ticker, frac_trade, frac_l2, frac_l3, l3_mode,
               coalesce(criteria_ticker_ok, false) as "ticker_ok!",
               coalesce(criteria_trade_ok, false) as "trade_ok!",
               coalesce(criteria_l2_ok, false) as "l2_ok!",
               coalesce(criteria_l3_ok, false) as "l3_ok!",
               coalesce(criteria_pinned_ok, false) as "pinned_ok!",
               coalesce(criteria_universe_ok, false) as "universe_ok!",
               coalesce(criteria_continuity_ok, false) as "continuity_ok!",
               coalesce(criteria_durability_ok, false) as "durability_ok!",
               reasons, fencing_token
           from ingest_epochs where epoch_id = $1 and completed_at is not null"#,
        epoch_id.0,
    )
    .fetch_optional(pool)
    .await
    .map_err(sql)?;
    let Some(r) = row else { return Ok(None) };
    let word = |e: penstock_types::vocab::UnknownWord| sql(sqlx::Error::Decode(Box::new(e)));
    let snapshot = match r.snapshot_id {
        Some(id) => snapshot_row(pool, SnapshotId(id)).await?,
        None => None,
    };
    let epoch = JudgedEpochRow {
        epoch_id,
        lineage_id: LineageId(r.lineage_id),
        epoch_seq: r.epoch_seq,
        run_id: RunId(r.run_id),
        snapshot_id: r.snapshot_id.map(SnapshotId),
        generation_id: r.generation_id.map(GenerationId),
        status: EpochStatus::parse(&r.status).map_err(word)?,
        window_start: r.window_start.into(),
        window_end: r.window_end.into(),
        created_at: r.created_at.into(),
        completed_at: r.completed_at.into(),
        symbol_count: r.symbol_count,
        entry_set_count: r.entry_set_count,
        pinned_excluded_count: r.pinned_excluded_count,
        hard_blocked_excluded_count: r.hard_blocked_excluded_count,
        frac_ticker: r.frac_ticker,
        frac_trade: r.frac_trade,
        frac_l2: r.frac_l2,
        frac_l3: r.frac_l3,
        l3_mode: r.l3_mode.as_deref().map(L3Mode::parse).transpose().map_err(word)?,
        criteria: EpochCriteria {
            ticker_ok: r.ticker_ok,
            trade_ok: r.trade_ok,
            l2_ok: r.l2_ok,
            l3_ok: r.l3_ok,
            pinned_ok: r.pinned_ok,
            universe_ok: r.universe_ok,
            continuity_ok: r.continuity_ok,
            durability_ok: r.durability_ok,
        },
        reasons: r.reasons,
        fencing_token: FencingToken(r.fencing_token),
    };
    Ok(Some(EpochTwin { epoch, snapshot }))
}

async fn snapshot_row(
    pool: &PgPool,
    snapshot_id: SnapshotId,
) -> Result<Option<UniverseSnapshotRow>, StoreError> {
    let row = sqlx::query!(
        "select run_id, lineage_id, as_of, published_at, execution_symbols, pinned_symbols,
             l3_symbols, tracked_symbols, excluded, universe_hash, fencing_token
         from execution_universe_snapshots where snapshot_id = $1",
        snapshot_id.0,
    )
    .fetch_optional(pool)
    .await
    .map_err(|e| StoreError::sql("read a universe snapshot", CLUSTER, e))?;
    Ok(row.map(|r| UniverseSnapshotRow {
        snapshot_id,
        run_id: RunId(r.run_id),
        lineage_id: LineageId(r.lineage_id),
        as_of: r.as_of.into(),
        published_at: r.published_at.into(),
        execution_symbols: r.execution_symbols,
        pinned_symbols: r.pinned_symbols,
        l3_symbols: r.l3_symbols,
        tracked_symbols: r.tracked_symbols,
        excluded: r.excluded,
        universe_hash: r.universe_hash,
        fencing_token: FencingToken(r.fencing_token),
    }))
}
