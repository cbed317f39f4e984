//! The ingest cluster comes, at the start or later: what must stand there before the first record of
//! this process is loaded.
//!
//! Order: cluster → run row, load cursor and partitions of the own run → its first checkpoint → handed
//! to everybody → runs that an earlier process recorded without ever reaching the cluster. The attempts
//! have no limit: until one succeeds the spool takes everything, and the decision cluster is served.

use crate::exit::Exit;
use crate::lifecycle::checkpoints;
use crate::lifecycle::clusters::{Clusters, IngestOpener};
use crate::lifecycle::startup::open_run;
use penstock_market::checkpoint::Checkpoint;
use penstock_store::StoreError;
use penstock_store::spool::frame_records::RunRecord;
use penstock_store::twins::{LineageRow, RunRow};
use penstock_store_decision::publication::PublishedGeneration;
use penstock_store_decision::twins_read::{lineage_twin, run_twin};
use penstock_store_ingest::generations::settle_published;
use penstock_store_ingest::runs::load_cursor;
use penstock_types::{RunId, UtcMicros};
use sqlx::PgPool;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Between two attempts, so that a cluster that refuses at once is not asked without a pause.
const RETRY: Duration = Duration::from_millis(500);

/// What waits for the ingest cluster.
pub(crate) struct Arrival {
    pub opener: IngestOpener,
    pub clusters: Clusters,
    pub run: RunRow,
    pub lineage: LineageRow,
    /// The run's first checkpoint, when it could not be written at the start.
    pub first_fold: Option<(Box<Checkpoint>, UtcMicros)>,
    /// Runs with records in the raw spool.
    pub spooled: BTreeSet<RunId>,
    /// Runs that the frame spool knows.
    pub left: Vec<RunRecord>,
}

impl Arrival {
    /// Waits for the cluster and prepares it.
    ///
    /// # Errors
    /// [`Exit::Refused`] for a cluster that is not the right one, [`Exit::Invariant`] for another run
    /// under the own number.
    pub(crate) async fn prepare(
        mut self,
        mut waiting: impl FnMut(Duration),
    ) -> Result<PgPool, Exit> {
        let since = Instant::now();
        let pool = match self.clusters.ingest() {
            Some(pool) => pool,
            None => loop {
                if let Some(pool) = self.attempt().await? {
                    break pool;
                }
                waiting(since.elapsed());
                tokio::time::sleep(RETRY).await;
            },
        };
        for run_id in &self.spooled {
            while let Err(error) = self.adopt(&pool, *run_id).await {
                tracing::warn!("run {run_id} of the spool: {error}");
                tokio::time::sleep(RETRY).await;
            }
        }
        Ok(pool)
    }

    async fn attempt(&mut self) -> Result<Option<PgPool>, Exit> {
        let Some(pool) = self.opener.attempt().await? else { return Ok(None) };
        if !open_run(&pool, &self.run, &self.lineage).await? {
            return Ok(None);
        }
        if let Some((fold, as_of)) = self.first_fold.take() {
            checkpoints::write(&pool, fold, as_of).await;
        }
        self.opener.announce(pool.clone());
        Ok(Some(pool))
    }

    /// A run that recorded while this cluster was away has no row on it: the decision cluster has it, or
    /// the frame spool.
    async fn adopt(&self, pool: &PgPool, run_id: RunId) -> Result<(), StoreError> {
        if run_id == self.run.run_id || load_cursor(pool, run_id).await?.is_some() {
            return Ok(());
        }
        let Some((run, lineage)) = self.find(run_id).await? else {
            tracing::error!("run {run_id} of the spool is on neither cluster: it cannot be loaded");
            return Ok(());
        };
        // Another run under the number is told by the loader, which sets the segments aside.
        match open_run(pool, &run, &lineage).await {
            Ok(_) => tracing::info!("run {run_id} of the spool is new to the ingest cluster"),
            Err(error) => tracing::error!("run {run_id} of the spool: {error}"),
        }
        Ok(())
    }

    async fn find(&self, run_id: RunId) -> Result<Option<(RunRow, LineageRow)>, StoreError> {
        let decision = &self.clusters.decision;
        if let Some(run) = run_twin(decision, run_id).await?
            && let Some(lineage) = lineage_twin(decision, run.row.lineage_id).await?
        {
            return Ok(Some((run.row, lineage.row)));
        }
        let left = self.left.iter().find(|of| of.run.run_id == run_id);
        Ok(left.map(|of| (of.run.clone(), of.lineage.clone())))
    }
}

/// Marks the generation that was the published one at the start, best effort: nobody reads a decision from
/// the mark.
pub(super) async fn settle(pool: &PgPool, published: Option<PublishedGeneration>) {
    let Some(PublishedGeneration { generation_id, published_at, .. }) = published else { return };
    match settle_published(pool, generation_id, published_at).await {
        Ok(true) => tracing::info!("generation {generation_id} was published, and is marked now"),
        Ok(false) => {}
        Err(error) => tracing::warn!("mark generation {generation_id}: {error}"),
    }
}
