//! Every generation, and the lack of one, between evaluations.
//!
//! Purpose: the mode worsens when a generation shows a lost guarantee, not when the next evaluation is due.
//! Inputs: wake-ups and a poll every 100 ms, what evaluations have bound to. Outputs: causes of the mode; the
//! newest generation for the scheduler. Invariants: it clears only what it raised itself, so that a cause ends
//! when evaluation and generation agree, and the stable window counts from there; while the cluster does not
//! answer, what was read last goes on ageing. It evaluates nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use penstock_store::{ClusterRole, StoreError};
use penstock_store_decision::glance::{Glanced, RowGlance, glance};
use penstock_store_decision::{ReadError, cycle_input};
use penstock_trading::cycle::LineageMemory;
use penstock_trading::decide::Glance;
use penstock_types::rows::{EpochRow, SnapshotRow};
use penstock_types::{GenerationId, UtcMicros};
use sqlx::PgPool;
use tokio::sync::watch;

use crate::context::Context;
use crate::mode::Source;
use crate::wake::Wakes;

/// Poll beside the notifications.
pub(super) const POLL_EVERY: Duration = Duration::from_millis(100);

/// The newest generation, as the scheduler takes it.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) generation: GenerationId,
    /// Decision clock of its publication.
    pub(super) published_at: UtcMicros,
    pub(super) rows: Arc<Vec<RowGlance>>,
}

/// Watches until it is aborted.
pub(super) async fn run_watch(
    context: Context,
    wakes: Arc<Wakes>,
    lineage: watch::Receiver<LineageMemory>,
    seen: watch::Sender<Option<Seen>>,
) {
    let mut watcher = Watcher { context, lineage, seen, held: None };
    loop {
        watcher.turn().await;
        // The hint first, which is sooner than the poll.
        tokio::select! {
            biased;
            () = wakes.state.notified() => {}
            () = tokio::time::sleep(POLL_EVERY) => {}
        }
    }
}

struct Watcher {
    context: Context,
    lineage: watch::Receiver<LineageMemory>,
    seen: watch::Sender<Option<Seen>>,
    /// What was read last, and when.
    held: Option<(Glance, Instant)>,
}

/// What one look brought.
struct Look {
    glanced: Glanced,
    /// Of another generation than the known one.
    licence: Option<(Vec<EpochRow>, Vec<SnapshotRow>)>,
}

impl Watcher {
    async fn turn(&mut self) {
        match self.read().await {
            Ok(look) => self.take(look),
            Err(error) => tracing::debug!("the newest generation was not seen: {error}"),
        }
        self.judge();
    }

    async fn read(&self) -> Result<Look, ReadError> {
        let known = self.known();
        let reading = look(&self.context.pool, self.context.domain(), known, &self.seen);
        tokio::pin!(reading);
        loop {
            // The answer first; a cluster that does not give one makes nothing younger.
            tokio::select! {
                biased;
                read = &mut reading => return read,
                () = tokio::time::sleep(POLL_EVERY) => self.judge(),
            }
        }
    }

    fn known(&self) -> Option<GenerationId> {
        self.held.as_ref().and_then(|(held, _)| held.publication.as_ref()).map(|p| p.generation_id)
    }

    fn take(&mut self, look: Look) {
        let Look { glanced: Glanced { now, publication, ingest_fence, rows }, licence } = look;
        let at = Instant::now();
        let glance = match (rows, self.held.take()) {
            (None, Some((held, _))) => Glance { now, publication, ingest_fence, ..held },
            (rows, _) => {
                let (epochs, snapshots) = licence.unwrap_or_default();
                let rows = rows.unwrap_or_default();
                let rows = rows.into_iter().map(|row| (row.symbol, row.generation_id)).collect();
                Glance { now, publication, ingest_fence, epochs, snapshots, rows }
            }
        };
        self.held = Some((glance, at));
    }

    /// Judges what was read last at its age now.
    fn judge(&self) {
        let Some((held, read_at)) = &self.held else { return };
        let waited_ms = i64::try_from(read_at.elapsed().as_millis()).unwrap_or(i64::MAX);
        let lineage = *self.lineage.borrow();
        let config = &self.context.settings.decide;
        let guarantees = held.guarantees(waited_ms, lineage, config);
        self.context.mode.set_all(Source::Generation, guarantees.findings());
    }
}

/// Looks; the scheduler gets a generation before its epochs are read, which an evaluation reads itself.
async fn look(
    pool: &PgPool,
    domain: &str,
    known: Option<GenerationId>,
    seen: &watch::Sender<Option<Seen>>,
) -> Result<Look, ReadError> {
    let glanced = glance(pool, domain, known).await?;
    let (Some(publication), Some(rows)) = (&glanced.publication, &glanced.rows) else {
        return Ok(Look { glanced, licence: None });
    };
    let (generation, lineage_id) = (publication.generation_id, publication.lineage_id);
    let (published_at, rows) = (publication.published_at, Arc::new(rows.clone()));
    seen.send_replace(Some(Seen { generation, published_at, rows }));
    let mut conn = pool
        .acquire()
        .await
        .map_err(|e| StoreError::sql("take a connection", ClusterRole::Decision, e))?;
    let licence = cycle_input::epochs(&mut conn, lineage_id).await?;
    Ok(Look { glanced, licence: Some(licence) })
}
