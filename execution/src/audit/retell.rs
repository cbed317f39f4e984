//! When events that were lost are told from rows: after all that were not lost have a row themselves.
//!
//! Input: spans in which events were lost. Output: drafts, from the rows of orders and plans. Invariants: what still waits
//! in the queue or in the hands of the files' thread is behind a barrier first, an event that went through queue, file and
//! rows, so that nothing is told twice; a change whose event is about to be posted is given time for that; rows of other
//! events come before each batch; a question that fails or takes too long is asked again, later each time, and given up in
//! the end, counted and said: it says nothing of the rows, which are written all the same, and is no cause of the mode.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use penstock_audit::Draft;
use penstock_store_decision::lost;
use penstock_types::SessionId;
use sqlx::PgPool;

use super::error::AuditError;
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

/// Attempts at a span: half a minute with their pauses.
const TRIES_MAX: u32 = 7;
/// First pause after an attempt that failed; each is twice the one before it.
const PAUSE: Duration = Duration::from_millis(500);

/// The pause after so many attempts; none when it is given up.
const fn pause(tries: u32) -> Option<Duration> {
    if tries >= TRIES_MAX { None } else { Some(PAUSE.saturating_mul(1 << tries.saturating_sub(1))) }
}

/// How far a span is.
#[derive(Debug)]
enum Phase {
    /// Changes at its end may still be posted.
    Settling,
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
    tries: u32,
    due: Instant,
}

/// What is told, and how far that is.
#[derive(Debug, Default)]
pub(super) struct Retelling {
    task: Option<Task>,
}

impl Retelling {
    /// One step, to be made while no row is outstanding.
    pub(super) async fn step(&mut self, pool: &PgPool, session: SessionId, shared: &Arc<Shared>) {
        let Some(task) = &mut self.task else {
            let due = Instant::now() + SETTLE;
            let begun = |span| Task { span, phase: Phase::Settling, tries: 0, due };
            self.task = shared.queue.take_span().map(begun);
            return;
        };
        if Instant::now() < task.due {
            return;
        }
        match task.step(pool, session, shared).await {
            Ok(Progress::More) => {}
            Ok(Progress::Done) => self.task = None,
            Err(error) => {
                task.tries += 1;
                tracing::warn!("lost audit events are not told, attempt {}: {error}", task.tries);
                match pause(task.tries) {
                    Some(pause) => task.due = Instant::now() + pause,
                    None => {
                        task.give_up(shared, &error);
                        self.task = None;
                    }
                }
            }
        }
    }

    /// Counts what is left at the end of the session.
    pub(super) fn end(&mut self, shared: &Shared) {
        let Some(task) = self.task.take() else { return };
        let left = match &task.phase {
            Phase::Settling | Phase::Fenced => task.span.count,
            Phase::Telling(drafts) => u64::try_from(drafts.len()).unwrap_or(u64::MAX),
        };
        shared.queue.leave_untold(left);
        tracing::warn!("the session ends, {left} lost audit events are not told from rows");
    }
}

/// There is more to do, or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    More,
    Done,
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
enum StepError {
    #[error(transparent)]
    Rows(#[from] RowError),
    #[error(transparent)]
    Audit(#[from] AuditError),
}

impl Task {
    async fn step(
        &mut self,
        pool: &PgPool,
        session: SessionId,
        shared: &Arc<Shared>,
    ) -> Result<Progress, StepError> {
        let handle = AuditHandle { shared: Arc::clone(shared) };
        match &mut self.phase {
            Phase::Settling => {
                let now = chrono::Utc::now().timestamp_millis();
                // Acknowledged, its line is among those that want a row.
                handle.critical(rebuild::announced(self.span, now)).await?;
                self.phase = Phase::Fenced;
            }
            Phase::Fenced => {
                let drafts = read(pool, session, self.span).await?;
                let count = drafts.len();
                tracing::warn!("{count} lost audit events are told from rows of orders and plans");
                self.phase = Phase::Telling(drafts);
            }
            Phase::Telling(drafts) => {
                for draft in drafts.drain(..drafts.len().min(BATCH_MAX)) {
                    // It may wait: the files are written by a thread of their own. One that breaks a rule costs no other.
                    if let Err(error) = handle.critical(draft).await {
                        shared.queue.leave_untold(1);
                        tracing::warn!("a lost audit event is not told: {error}");
                    }
                }
                if drafts.is_empty() {
                    return Ok(Progress::Done);
                }
            }
        }
        Ok(Progress::More)
    }

    fn give_up(&self, shared: &Arc<Shared>, error: &StepError) {
        shared.queue.leave_untold(self.span.count);
        let now = chrono::Utc::now().timestamp_millis();
        let handle = AuditHandle { shared: Arc::clone(shared) };
        handle.post(rebuild::given_up(self.span, self.tries, &error.to_string(), now));
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
