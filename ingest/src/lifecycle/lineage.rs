//! What breaks a lineage inside a process: a gap of the whole domain, a clock step, the operator.
//!
//! Input: the core's health, the clock, control requests. Output: a new lineage row that every
//! publication knows before the core records under it, and the end of the one before. Ends are written
//! on the decision cluster, repeated until they stand; the ingest cluster gets them with its twins when
//! it is away.

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
/// Why a lineage ended that its process left open.
const OLDER_END: &str = "crash_detected";

/// Writes the end of the newest lineage at a clean stop, best effort on both clusters: what is missing
/// is written by the next process.
pub(crate) async fn end_last(hub: &Hub, reason: &str) {
    let (lineage_id, at) = (hub.context.lineage().lineage_id, hub.clock.now());
    if let Ok(mut conn) = hub.clusters.decision.acquire().await
        && let Err(error) =
            penstock_store_decision::end_lineage(&mut conn, lineage_id, at, reason).await
    {
        tracing::warn!("end lineage {lineage_id} on the decision cluster: {error}");
    }
    if let Some(ingest) = hub.clusters.ingest()
        && let Ok(mut conn) = ingest.acquire().await
        && let Err(error) =
            penstock_store_ingest::end_lineage(&mut conn, lineage_id, at, reason).await
    {
        tracing::warn!("end lineage {lineage_id} on the ingest cluster: {error}");
    }
}

/// Watches for breaks.
pub(crate) struct LineageWatch {
    pub hub: Hub,
    pub lineages: watch::Sender<Vec<Arc<LineageRow>>>,
    /// Ends that the decision cluster does not have yet.
    ends: Vec<(LineageId, UtcMicros, &'static str)>,
    /// Lineages that earlier processes left open have their end.
    are_older_ended: bool,
}

impl LineageWatch {
    pub(crate) const fn new(hub: Hub, lineages: watch::Sender<Vec<Arc<LineageRow>>>) -> Self {
        Self { hub, lineages, ends: Vec::new(), are_older_ended: false }
    }

    pub(crate) async fn run(mut self) {
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
            self.write_ends().await;
        }
    }

    /// Ends of lineages on both clusters; what the decision cluster does not take is repeated.
    async fn write_ends(&mut self) {
        let decision = &self.hub.clusters.decision;
        let Ok(mut conn) = decision.acquire().await else { return };
        if !self.are_older_ended {
            let run = self.hub.context.run();
            let ended = penstock_store_decision::end_older_lineages(
                &mut conn,
                &run.domain,
                run.fencing_token,
                run.started_at,
                OLDER_END,
            );
            self.are_older_ended = ended.await.is_ok();
            self.end_older_on_ingest().await;
        }
        while let Some((lineage_id, at, reason)) = self.ends.first().copied() {
            let ended =
                penstock_store_decision::end_lineage(&mut conn, lineage_id, at, reason).await;
            if let Err(error) = ended {
                tracing::debug!("end lineage {lineage_id}: {error}");
                return;
            }
            self.ends.remove(0);
            self.end_on_ingest(lineage_id, at, reason).await;
        }
    }

    async fn end_older_on_ingest(&self) {
        let run = self.hub.context.run();
        if let Some(ingest) = self.hub.clusters.ingest()
            && let Ok(mut conn) = ingest.acquire().await
            && let Err(error) = penstock_store_ingest::end_older_lineages(
                &mut conn,
                &run.domain,
                run.fencing_token,
                run.started_at,
                OLDER_END,
            )
            .await
        {
            tracing::debug!("end older lineages on the ingest cluster: {error}");
        }
    }

    async fn end_on_ingest(&self, lineage_id: LineageId, at: UtcMicros, reason: &str) {
        if let Some(ingest) = self.hub.clusters.ingest()
            && let Ok(mut conn) = ingest.acquire().await
            && let Err(error) =
                penstock_store_ingest::end_lineage(&mut conn, lineage_id, at, reason).await
        {
            tracing::debug!("end lineage {lineage_id} on the ingest cluster: {error}");
        }
    }

    async fn requests(&mut self) {
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
    async fn begin(&mut self, reason: &'static str) -> LineageId {
        let parent = self.hub.context.lineage();
        let lineage_id = LineageId(Uuid::now_v7());
        let row = lineage_row(
            &self.hub.settings,
            self.hub.context.run().run_id,
            lineage_id,
            self.hub.context.token,
            self.hub.clock.now(),
            reason,
            Some(parent.lineage_id),
        );
        self.ends.push((parent.lineage_id, row.started_at, reason));
        self.lineages.send_modify(|all| all.push(Arc::new(row)));
        marker!(
            INGEST_LINEAGE_CHANGED,
            lineage_id = lineage_id.to_string(),
            parent_lineage_id = parent.lineage_id.to_string(),
            reason = reason,
            run_id = self.hub.context.run().run_id,
        );
        // The core is gone only at the end of the process.
        let _ = self.hub.core.send(CoreCommand::Lineage(lineage_id)).await;
        lineage_id
    }
}
