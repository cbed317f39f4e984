//! When events that were lost are told from rows: after all that were not lost have a row themselves.
//!
//! Input: spans in which events were lost. Output: drafts, from the rows of orders and plans. Invariants: what still waits
//! in the queue or in the hands of the files' thread is behind a barrier first, an event that went through queue, file and
//! rows, so that nothing is told twice; a change whose event is about to be posted is given time for that; rows of other
//! events come before each batch.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use penstock_audit::Draft;
use penstock_store_decision::lost;
use penstock_types::SessionId;
use sqlx::PgPool;

use super::handle::{AuditHandle, Shared};
use super::keeper::{RowError, late};
use super::queue::Span;
use super::rebuild;

/// Margin of a span: a row is older than its event by the time of a commit.
const MARGIN: Duration = Duration::from_secs(2);
/// Wait before the barrier: a change at the margin's end has its row, and its event after another margin.
const SETTLE: Duration = Duration::from_secs(4);
/// Drafts of one step: rows of other events do not wait for more than so many syncs.
const BATCH_MAX: usize = 16;

/// How far a span is.
#[derive(Debug)]
enum Phase {
    /// Changes at its end may still be posted.
    Settling { until: Instant },
    /// Everything that was not lost has a row when there is none outstanding.
    Fenced,
    /// So many are not said yet.
    Telling(VecDeque<Draft>),
}

/// A span that is told.
#[derive(Debug)]
struct Task {
    span: Span,
    phase: Phase,
}

/// What is told, and how far that is.
#[derive(Debug, Default)]
pub(super) struct Retelling {
    task: Option<Task>,
}

impl Retelling {
    /// One step, to be made while no row is outstanding.
    pub(super) async fn step(
        &mut self,
        pool: &PgPool,
        session: SessionId,
        shared: &Arc<Shared>,
    ) -> Result<(), RowError> {
        let Some(task) = &mut self.task else {
            let phase = || Phase::Settling { until: Instant::now() + SETTLE };
            self.task = shared.queue.take_span().map(|span| Task { span, phase: phase() });
            return Ok(());
        };
        let handle = AuditHandle { shared: Arc::clone(shared) };
        match &mut task.phase {
            Phase::Settling { until } if Instant::now() < *until => {}
            Phase::Settling { .. } => {
                let now = chrono::Utc::now().timestamp_millis();
                match handle.critical(rebuild::announced(task.span, now)).await {
                    // Its line is among those that want a row.
                    Ok(()) => task.phase = Phase::Fenced,
                    Err(error) => tracing::warn!("lost audit events are not told: {error}"),
                }
            }
            Phase::Fenced => {
                let drafts = read(pool, session, task.span).await?;
                let count = drafts.len();
                tracing::warn!("{count} lost audit events are told from rows of orders and plans");
                task.phase = Phase::Telling(drafts);
            }
            Phase::Telling(drafts) => {
                for draft in drafts.drain(..drafts.len().min(BATCH_MAX)) {
                    // It may wait: the files are written by a thread of their own.
                    if handle.critical(draft).await.is_err() {
                        break;
                    }
                }
                if drafts.is_empty() {
                    self.task = None;
                }
            }
        }
        Ok(())
    }
}

/// What rows of orders and plans say of a span and the trail does not.
async fn read(pool: &PgPool, session: SessionId, span: Span) -> Result<VecDeque<Draft>, RowError> {
    let at = |ms: i64| chrono::DateTime::from_timestamp_millis(ms).unwrap_or_default();
    let (from, to) = (at(span.from_ms) - MARGIN, at(span.to_ms) + MARGIN);
    let orders = late(lost::orders(pool, session, from, to)).await?;
    let plans = late(lost::plans(pool, session, from, to)).await?;
    let drafts = orders.iter().flat_map(rebuild::of_order);
    Ok(drafts.chain(plans.iter().map(rebuild::of_plan)).collect())
}

#[cfg(test)]
mod tests;
