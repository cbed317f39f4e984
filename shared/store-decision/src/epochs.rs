//! Publishing an epoch: visible only together with its run, lineage and snapshot.

use penstock_store::CopyGuard;
use penstock_store::fence::{FencedService, check_fence};
use penstock_store::twins::{JudgedEpochRow, LineageRow, RunRow, UniverseSnapshotRow};
use penstock_types::FencingToken;
use sqlx::PgPool;

use crate::CLUSTER;
use crate::publication::{BEGIN_LIMITED, PublishError, notify};
use crate::twin_epochs::{insert_epoch, insert_snapshot};
use crate::twin_runs::{upsert_lineage, upsert_run};

/// One judged epoch with everything that it refers to.
#[derive(Debug, Clone, Copy)]
pub struct EpochInput<'a> {
    /// Token of the publisher.
    pub token: FencingToken,
    /// Run.
    pub run: &'a RunRow,
    /// Lineage.
    pub lineage: &'a LineageRow,
    /// Universe; `None` only for an invalid epoch without one.
    pub snapshot: Option<&'a UniverseSnapshotRow>,
    /// The epoch.
    pub epoch: &'a JudgedEpochRow,
}

/// Publishes an epoch; repeating it with equal rows is success.
///
/// # Errors
/// [`PublishError`]; a foreign key that fails here means that execution never binds, so the caller
/// reports it with the constraint's name.
pub async fn publish_epoch(pool: &PgPool, input: EpochInput<'_>) -> Result<(), PublishError> {
    let (mut guard, _) = CopyGuard::begun(pool, CLUSTER, None, BEGIN_LIMITED).await?;
    let domain = &input.run.domain;
    check_fence(guard.conn(), FencedService::Ingest, domain, input.token).await?;
    upsert_run(guard.conn(), input.run).await?;
    upsert_lineage(guard.conn(), input.lineage).await?;
    if let Some(snapshot) = input.snapshot {
        insert_snapshot(guard.conn(), snapshot).await?;
    }
    insert_epoch(guard.conn(), input.epoch).await?;
    let hint = format!("{{\"epoch_id\":{}}}", input.epoch.epoch_id);
    notify(&mut guard, "epoch_published", &hint).await?;
    guard.commit("publish an epoch").await?;
    Ok(())
}
