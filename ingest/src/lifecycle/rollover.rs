//! Run rollover without a break: when it is due, what stands before it, what follows.
//!
//! A run is due at its age, and at once when shedding has ended, so that a run with complete raw rows
//! begins. Order: number from the decision cluster → run row, cursor and partitions on the ingest cluster
//! → the core goes over at its next cut → its initial state as the run's first checkpoint. A cluster that
//! does not answer postpones it; the lineage goes on, and there is no gap.

use super::startup::open_run;
use crate::core::rollover::Rollover;
use crate::core::run::CoreCommand;
use crate::spooling::load::end_run;
use crate::tasks::Hub;
use penstock_store::spool::Segments;
use penstock_store::spool::frame_records::RunRecord;
use penstock_store::spool::loader::{Loader, LoaderSettings};
use penstock_store::twins::{RunEnd, RunRow};
use penstock_store_decision::publication::next_run_id;
use penstock_telemetry::marker;
use penstock_types::RunId;
use sqlx::PgPool;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Pause after a cluster that did not answer.
const POSTPONE: Duration = Duration::from_secs(5);

/// The task.
pub(crate) struct Rollovers {
    pub hub: Hub,
}

impl Rollovers {
    /// Rolls over until it is cancelled. One that has begun is carried to its end: done, or given up.
    pub(crate) async fn run(self) {
        let cancel = &self.hub.cancel;
        while cancel.run_until_cancelled(self.wait_until_due()).await.is_some() {
            while let Err(why) = self.roll().await {
                tracing::warn!("rollover postponed: {why}");
                if cancel.run_until_cancelled(tokio::time::sleep(POSTPONE)).await.is_none() {
                    return;
                }
            }
        }
    }

    async fn wait_until_due(&self) {
        let limit_ms = i64::try_from(self.hub.settings.rollover.as_millis()).unwrap_or(i64::MAX);
        let mut looks = tokio::time::interval(LOOK_EVERY);
        let mut was_shedding = false;
        loop {
            looks.tick().await;
            let is_shedding = self.hub.monitor.level().is_shedding();
            let age_ms = self.hub.clock.now().millis_since(self.hub.context.run().started_at);
            if age_ms >= limit_ms || (was_shedding && !is_shedding) {
                return;
            }
            was_shedding = is_shedding;
        }
    }

    async fn roll(&self) -> Result<(), String> {
        let Hub { clusters, context, clock, .. } = &self.hub;
        let ingest = clusters.ingest().ok_or("the ingest cluster has not answered yet")?;
        let run_id = next_run_id(&clusters.decision).await.map_err(|e| e.to_string())?;
        let (old, lineage) = (context.run(), context.lineage());
        let run = RunRow {
            run_id,
            lineage_id: lineage.lineage_id,
            predecessor_run_id: Some(old.run_id),
            started_at: clock.now(),
            ..(*old).clone()
        };
        if !open_run(&ingest, &run, &lineage).await.map_err(|e| e.to_string())? {
            return Err("the ingest cluster does not answer".to_owned());
        }
        let (begun, state) = oneshot::channel();
        let spare = self.hub.checkpoints.spare().await;
        let of = RunRecord { run, lineage: (*lineage).clone() };
        let rollover = Box::new(Rollover { of, context: context.clone(), spare, begun });
        // A core that has ended drops the command, and with it the sender.
        let _ = self.hub.core.send(CoreCommand::Rollover(rollover)).await;
        let Ok((fold, as_of)) = state.await else {
            self.give_up(ingest, run_id).await;
            return Err(format!("the recording has ended: run {run_id} stays empty"));
        };
        marker!(
            INGEST_RUN_ROLLOVER,
            old_run_id = old.run_id,
            run_id = run_id,
            lineage_id = lineage.lineage_id.to_string(),
        );
        self.hub.checkpoints.write(&ingest, fold, as_of).await;
        Ok(())
    }

    /// A run that the core never went over to is closed at once, best effort: the next start repeats it.
    async fn give_up(&self, ingest: PgPool, run_id: RunId) {
        let nowhere = Arc::new(Segments::new(self.hub.settings.spool_dir.clone()));
        let mut loader = Loader::new(ingest, nowhere, None, LoaderSettings::default());
        match loader.close_run(run_id).await {
            Ok(_) => end_run(&self.hub.clusters, run_id, RunEnd::Shutdown).await,
            Err(error) => tracing::warn!("close the empty run {run_id}: {error}"),
        }
    }
}
