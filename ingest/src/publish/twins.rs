//! Twin rows after an outage of the ingest cluster: runs, lineages, snapshots and epochs are copied back
//! from the decision cluster, which is the authority for them.
//!
//! Input: the cluster's arrival, each end of an outage that the publisher sees, and each epoch that the
//! cluster did not take itself. Output: rows on the ingest cluster. State rows need no copy: the next generation writes all of them. Best effort with
//! repetition: a copy that fails is made again until one is whole.

use crate::tasks::Hub;
use penstock_store::StoreError;
use penstock_store_decision::twins_read;
use penstock_store_ingest::{TwinError, twins_write};
use sqlx::PgPool;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// Runs and lineages compared: more than a month of rollovers.
const RUNS_MAX: i64 = 256;
/// Epochs compared: ten days of them, far beyond what a spool can bridge.
const EPOCHS_MAX: i64 = 3_000;
const FOREIGN_KEY: &str = "23503";
/// Pause after a copy that failed.
const RETRY: Duration = Duration::from_secs(5);

/// The copying task.
pub(crate) struct Twins {
    pub hub: Hub,
    /// Ends of outages, counted by the publisher.
    pub recoveries: watch::Receiver<u64>,
    /// An epoch stands on the decision cluster alone.
    pub missed: Arc<Notify>,
}

/// What a copy brought.
#[derive(Debug, Default)]
struct Copied {
    runs: usize,
    lineages: usize,
    epochs: usize,
}

impl Twins {
    /// Copies whenever the ingest cluster has returned, until it is cancelled.
    pub(crate) async fn run(mut self) {
        let cancel = self.hub.cancel.clone();
        // The service ends while it waits: nothing is left to copy to.
        let _ = cancel.run_until_cancelled(self.follow()).await;
    }

    async fn follow(&mut self) {
        let mut clusters = self.hub.clusters.clone();
        let Some(ingest) = clusters.ingest_opened().await else { return };
        loop {
            self.recoveries.mark_unchanged();
            match self.copy(&ingest).await {
                Ok(copied) if copied.runs + copied.lineages + copied.epochs > 0 => tracing::info!(
                    runs = copied.runs,
                    lineages = copied.lineages,
                    epochs = copied.epochs,
                    "twin rows copied from the decision cluster"
                ),
                Ok(_) => {}
                Err(error) => {
                    tracing::debug!("copy twin rows: {error}");
                    tokio::time::sleep(RETRY).await;
                    continue;
                }
            }
            tokio::select! {
                // Biased: the end of an outage brings more than one epoch; either is the same comparison.
                biased;
                changed = self.recoveries.changed() => if changed.is_err() { return },
                () = self.missed.notified() => {}
            }
        }
    }

    async fn copy(&self, ingest: &PgPool) -> Result<Copied, TwinError> {
        let domain = &self.hub.settings.domain;
        let decision = &self.hub.clusters.decision;
        let mut copied = Copied::default();
        let ids = twins_read::newest_runs(decision, domain, RUNS_MAX).await?;
        for id in twins_write::runs_to_copy(ingest, &ids).await? {
            let Some(twin) = twins_read::run_twin(decision, id).await? else { continue };
            let end = twin.end.as_ref().map(|(at, reason)| (*at, reason.as_str()));
            twins_write::copy_run(ingest, &twin.row, twin.warm_at, end).await?;
            copied.runs += 1;
        }
        let ids = twins_read::newest_lineages(decision, domain, RUNS_MAX).await?;
        for id in twins_write::lineages_to_copy(ingest, &ids).await? {
            let Some(twin) = twins_read::lineage_twin(decision, id).await? else { continue };
            let end = twin.end.as_ref().map(|(at, reason)| (*at, reason.as_str()));
            twins_write::copy_lineage(ingest, &twin.row, end).await?;
            copied.lineages += 1;
        }
        copied.epochs = self.copy_epochs(ingest).await?;
        Ok(copied)
    }

    async fn copy_epochs(&self, ingest: &PgPool) -> Result<usize, TwinError> {
        let decision = &self.hub.clusters.decision;
        let ids =
            twins_read::newest_epochs(decision, &self.hub.settings.domain, EPOCHS_MAX).await?;
        let missing: Result<_, StoreError> = twins_write::missing_epochs(ingest, &ids).await;
        let mut epochs = 0;
        for id in missing? {
            let Some(twin) = twins_read::epoch_twin(decision, id).await? else { continue };
            match twins_write::copy_epoch(ingest, twin.snapshot.as_ref(), &twin.epoch).await {
                Ok(()) => epochs += 1,
                // Of a run or lineage older than those that are compared.
                Err(TwinError::Store(e)) if e.sqlstate().as_deref() == Some(FOREIGN_KEY) => {
                    tracing::warn!("epoch {id} belongs to no run of the ingest cluster: {e}");
                }
                Err(error) => return Err(error),
            }
        }
        twins_write::settle_pending(ingest, &ids).await?;
        Ok(epochs)
    }
}
