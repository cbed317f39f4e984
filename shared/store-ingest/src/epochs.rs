//! The ingest twin of epochs and snapshots, and how far their publication has come.

use penstock_store::StoreError;
use penstock_store::again;
use penstock_store::twins::{JudgedEpochRow, LineageRow, RunRow, UniverseSnapshotRow};
use penstock_types::EpochId;
use sqlx::PgPool;

use crate::twin_epochs::{insert_epoch, insert_snapshot};
use crate::twin_runs::{upsert_lineage, upsert_run};
use crate::{BEGIN_LIMITED, CLUSTER, TwinError};

/// Writes snapshot and epoch as `pending` for the decision cluster, after the run and the lineage that
/// they refer to; equal rows are success.
///
/// # Errors
/// [`TwinError`].
pub async fn record_epoch(
    pool: &PgPool,
    (run, lineage): (&RunRow, &LineageRow),
    snapshot: Option<&UniverseSnapshotRow>,
    epoch: &JudgedEpochRow,
) -> Result<(), TwinError> {
    let sql = |action| move |e| StoreError::sql(action, CLUSTER, e);
    let mut tx = again::begin(pool, BEGIN_LIMITED).await.map_err(sql("begin"))?;
    upsert_run(&mut tx, run).await?;
    upsert_lineage(&mut tx, lineage).await?;
    if let Some(snapshot) = snapshot {
        insert_snapshot(&mut tx, snapshot).await?;
    }
    insert_epoch(&mut tx, epoch).await?;
    tx.commit().await.map_err(|e| StoreError::commit("record the epoch", CLUSTER, e))?;
    Ok(())
}

/// The decision cluster has the epoch.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn mark_epoch_synced(pool: &PgPool, epoch_id: EpochId) -> Result<(), StoreError> {
    sqlx::query!(
        "update ingest_epochs set decision_sync = 'synced', decision_synced_at = clock_timestamp()
         where epoch_id = $1",
        epoch_id.0,
    )
    .execute(pool)
    .await
    .map(|_| ())
    .map_err(|e| StoreError::sql("mark the epoch synced", CLUSTER, e))
}

/// Older pending epochs are not published any more: nobody could bind to them.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn skip_stale_epochs(pool: &PgPool, newest: EpochId) -> Result<u64, StoreError> {
    sqlx::query!(
        "update ingest_epochs set decision_sync = 'skipped_stale'
         where decision_sync = 'pending' and epoch_id < $1",
        newest.0,
    )
    .execute(pool)
    .await
    .map(|done| done.rows_affected())
    .map_err(|e| StoreError::sql("skip stale epochs", CLUSTER, e))
}
