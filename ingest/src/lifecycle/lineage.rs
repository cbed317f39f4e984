//! What breaks a lineage inside a process: a gap of the whole domain, a clock step, the operator.
//!
//! Input: the core's health, the clock, control requests. Output: a new lineage row that every
//! publication knows before the core records under it.

use crate::core::clock::CLOCK_STEP_MS;
use crate::core::run::CoreCommand;
use crate::lifecycle::startup::lineage_row;
use crate::tasks::Hub;
use penstock_store::twins::LineageRow;
use penstock_store_decision::control::{INGEST_KINDS, answer, pending};
use penstock_telemetry::marker;
use penstock_types::{LineageId, UtcMicros, Uuid};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Watches for breaks.
pub(crate) struct LineageWatch {
    pub hub: Hub,
    pub lineages: watch::Sender<Vec<Arc<LineageRow>>>,
}

impl LineageWatch {
    pub(crate) async fn run(self) {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        let (mut known_gap, mut known_step_ms) = (None, 0_i64);
        while self.hub.cancel.run_until_cancelled(looks.tick()).await.is_some() {
            let gap: Option<UtcMicros> = self.hub.health.borrow().stream_gap;
            if gap != known_gap {
                known_gap = gap;
                self.begin("stream_gap").await;
            }
            let step_ms = self.hub.clock.step_ms();
            if (step_ms - known_step_ms).abs() > CLOCK_STEP_MS {
                tracing::warn!(step_ms, "the wall clock moved against monotonic time");
                known_step_ms = step_ms;
                self.begin("clock_step").await;
            }
            self.requests().await;
        }
    }

    async fn requests(&self) {
        // A cluster that is away is told by the publisher; the request waits in its table.
        let Ok(requests) = pending(&self.hub.clusters.decision, &INGEST_KINDS).await else {
            return;
        };
        for request in requests {
            let lineage_id = self.begin("operator").await;
            let result = format!("lineage {lineage_id}");
            match answer(&self.hub.clusters.decision, request.id, &result).await {
                Ok(_) => marker!(
                    CONTROL_REQUEST_APPLIED,
                    id = request.id,
                    kind = request.kind,
                    args = request.args,
                    result = result,
                ),
                Err(error) => tracing::warn!("answer control request {}: {error}", request.id),
            }
        }
    }

    /// Lists the new lineage first, then tells the core.
    async fn begin(&self, reason: &str) -> LineageId {
        let parent = self.hub.context.lineage();
        let lineage_id = LineageId(Uuid::now_v7());
        let row = lineage_row(
            &self.hub.settings,
            self.hub.context.run.run_id,
            lineage_id,
            self.hub.context.run.fencing_token,
            self.hub.clock.now(),
            reason,
            Some(parent.lineage_id),
        );
        self.lineages.send_modify(|all| all.push(Arc::new(row)));
        marker!(
            INGEST_LINEAGE_CHANGED,
            lineage_id = lineage_id.to_string(),
            parent_lineage_id = parent.lineage_id.to_string(),
            reason = reason,
            run_id = self.hub.context.run.run_id,
        );
        // The core is gone only at the end of the process.
        let _ = self.hub.core.send(CoreCommand::Lineage(lineage_id)).await;
        lineage_id
    }
}
