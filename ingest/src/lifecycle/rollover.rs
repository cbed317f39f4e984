//! Run rollover without a break: when it is due, what stands before it, what follows.
//!
//! A run is due at its age, and at once when shedding has ended, so that a run with complete raw rows
//! begins. Order: number from the decision cluster → run row, cursor and partitions on the ingest cluster
//! → the core goes over at its next cut → its initial state as the run's first checkpoint. A cluster that
//! does not answer postpones it; the lineage goes on, and there is no gap.

use super::checkpoints;
use super::startup::open_run;
use crate::core::rollover::Rollover;
use crate::core::run::CoreCommand;
use crate::spooling::frames::RunRecord;
use crate::tasks::Hub;
use penstock_store::twins::RunRow;
use penstock_store_decision::publication::next_run_id;
use penstock_telemetry::marker;
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
    /// Rolls over until it is cancelled.
    pub(crate) async fn run(self) {
        let cancel = self.hub.cancel.clone();
        // A rollover that the stop cuts off leaves a run without records, which the next start closes.
        let _ = cancel.run_until_cancelled(self.follow()).await;
    }

    async fn follow(&self) {
        loop {
            self.wait_until_due().await;
            while let Err(why) = self.roll().await {
                tracing::warn!("rollover postponed: {why}");
                tokio::time::sleep(POSTPONE).await;
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
        let of = RunRecord { run, lineage: (*lineage).clone() };
        let rollover = Box::new(Rollover { of, context: context.clone(), begun });
        let gone = |_| "the core has ended".to_owned();
        self.hub.core.send(CoreCommand::Rollover(rollover)).await.map_err(|_| gone(()))?;
        let (fold, as_of) = state.await.map_err(|_| gone(()))?;
        marker!(
            INGEST_RUN_ROLLOVER,
            old_run_id = old.run_id,
            run_id = run_id,
            lineage_id = lineage.lineage_id.to_string(),
        );
        checkpoints::write(&ingest, fold, as_of).await;
        Ok(())
    }
}
