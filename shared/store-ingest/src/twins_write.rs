//! Twin rows that the ingest cluster missed, written from what the decision cluster holds.
//!
//! Input: ids to compare and whole rows. Output: which are missing, and rows that stand. A row that
//! stands is never changed but for its end and for how far its publication has come.

use penstock_store::StoreError;
use penstock_store::again;
use penstock_store::twins::{JudgedEpochRow, LineageRow, RunRow, UniverseSnapshotRow, db_time};
use penstock_types::{EpochId, LineageId, RunId, UtcMicros};
use sqlx::PgPool;

use crate::twin_epochs::{insert_epoch, insert_snapshot};
use crate::twin_runs::{upsert_lineage, upsert_run};
use crate::{BEGIN_LIMITED, CLUSTER, TwinError};

/// Runs of the list that do not stand or are open, ascending.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn runs_to_copy(pool: &PgPool, ids: &[RunId]) -> Result<Vec<RunId>, StoreError> {
    let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
    let found = sqlx::query_scalar!(
        r#"select u.id as "id!" from unnest($1::bigint[]) as u (id)
           where not exists (select from observation_runs r
               where r.run_id = u.id and r.ended_at is not null)
           order by u.id"#,
        &ids,
    )
    .fetch_all(pool)
    .await
    .map_err(|e| StoreError::sql("compare runs", CLUSTER, e))?;
    Ok(found.into_iter().map(RunId).collect())
}

/// Lineages of the list that do not stand or are open, in the order of the list.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn lineages_to_copy(
    pool: &PgPool,
    ids: &[LineageId],
) -> Result<Vec<LineageId>, StoreError> {
    let ids: Vec<_> = ids.iter().map(|id| id.0).collect();
    let found = sqlx::query_scalar!(
        r#"select u.id as "id!" from unnest($1::uuid[]) with ordinality as u (id, n)
           where not exists (select from ingest_lineage l
               where l.lineage_id = u.id and l.ended_at is not null)
           order by u.n"#,
        &ids,
    )
    .fetch_all(pool)
    .await
    .map_err(|e| StoreError::sql("compare lineages", CLUSTER, e))?;
    Ok(found.into_iter().map(LineageId).collect())
}

/// Epochs of the list that do not stand, ascending.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn missing_epochs(pool: &PgPool, ids: &[EpochId]) -> Result<Vec<EpochId>, StoreError> {
    let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
    let found = sqlx::query_scalar!(
        r#"select u.id as "id!" from unnest($1::bigint[]) as u (id)
           where not exists (select from ingest_epochs e where e.epoch_id = u.id) order by u.id"#,
        &ids,
    )
    .fetch_all(pool)
    .await
    .map_err(|e| StoreError::sql("compare epochs", CLUSTER, e))?;
    Ok(found.into_iter().map(EpochId).collect())
}

/// Writes a run with its end.
///
/// # Errors
/// [`TwinError`].
pub async fn copy_run(
    pool: &PgPool,
    row: &RunRow,
    warm_at: Option<UtcMicros>,
    end: Option<(UtcMicros, &str)>,
) -> Result<(), TwinError> {
    let sql = |e| StoreError::sql("copy a run", CLUSTER, e);
    let mut tx = again::begin(pool, BEGIN_LIMITED).await.map_err(sql)?;
    upsert_run(&mut tx, row).await?;
    sqlx::query!(
        "update observation_runs set warm_at = coalesce(warm_at, $2), ended_at = $3,
             end_reason = $4
         where run_id = $1 and ended_at is null",
        row.run_id.0,
        warm_at.map(db_time),
        end.map(|(at, _)| db_time(at)),
        end.map(|(_, reason)| reason),
    )
    .execute(&mut *tx)
    .await
    .map_err(sql)?;
    tx.commit().await.map_err(|e| StoreError::commit("copy a run", CLUSTER, e))?;
    Ok(())
}

/// Writes a lineage with its end. Its first run must stand.
///
/// # Errors
/// [`TwinError`].
pub async fn copy_lineage(
    pool: &PgPool,
    row: &LineageRow,
    end: Option<(UtcMicros, &str)>,
) -> Result<(), TwinError> {
    let sql = |e| StoreError::sql("copy a lineage", CLUSTER, e);
    let mut tx = again::begin(pool, BEGIN_LIMITED).await.map_err(sql)?;
    upsert_lineage(&mut tx, row).await?;
    if let Some((at, reason)) = end {
        crate::twin_runs::end_lineage(&mut tx, row.lineage_id, at, reason).await?;
    }
    tx.commit().await.map_err(|e| StoreError::commit("copy a lineage", CLUSTER, e))?;
    Ok(())
}

/// Writes an epoch with its snapshot; it is published already. Run and lineage must stand.
///
/// # Errors
/// [`TwinError`].
pub async fn copy_epoch(
    pool: &PgPool,
    snapshot: Option<&UniverseSnapshotRow>,
    epoch: &JudgedEpochRow,
) -> Result<(), TwinError> {
    let sql = |e| StoreError::sql("copy an epoch", CLUSTER, e);
    let mut tx = again::begin(pool, BEGIN_LIMITED).await.map_err(sql)?;
    if let Some(snapshot) = snapshot {
        insert_snapshot(&mut tx, snapshot).await?;
    }
    insert_epoch(&mut tx, epoch).await?;
    sqlx::query!(
        "update ingest_epochs set decision_sync = 'synced', decision_synced_at = clock_timestamp()
         where epoch_id = $1",
        epoch.epoch_id.0,
    )
    .execute(&mut *tx)
    .await
    .map_err(sql)?;
    tx.commit().await.map_err(|e| StoreError::commit("copy an epoch", CLUSTER, e))?;
    Ok(())
}

/// Settles epochs that stand as `pending`: those of the list are published; the others older than the
/// newest of it never will be.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn settle_pending(pool: &PgPool, published: &[EpochId]) -> Result<u64, StoreError> {
    let ids: Vec<i64> = published.iter().map(|id| id.0).collect();
    sqlx::query!(
        "update ingest_epochs set
             decision_sync = case when epoch_id = any($1::bigint[]) then 'synced' else 'skipped_stale' end,
             decision_synced_at = case when epoch_id = any($1::bigint[]) then clock_timestamp() end
         where decision_sync = 'pending' and epoch_id <= (
             select max(u.id) from unnest($1::bigint[]) as u (id))",
        &ids,
    )
    .execute(pool)
    .await
    .map(|done| done.rows_affected())
    .map_err(|e| StoreError::sql("settle pending epochs", CLUSTER, e))
}
