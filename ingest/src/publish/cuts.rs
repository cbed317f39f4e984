//! The slot between the core and the publisher: it holds one cut, and the newest wins.

use crate::cut_rows::generation_row;
use penstock_market::{Gaps, StateCut};
use penstock_store::raw_rows::GenerationRow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::sync::Notify;

/// A cut on its way to both clusters.
#[derive(Debug, Clone)]
pub(crate) struct CutJob {
    /// The cut.
    pub cut: Arc<StateCut>,
    /// Gaps at the cut.
    pub gaps: Arc<Gaps>,
    /// Monotonic time of the cut.
    pub cut_at: Instant,
    /// Time that the cut took.
    pub refresh_duration_ms: i32,
    /// Nothing of the run was shed or refused so far.
    pub raw_complete: bool,
}

impl CutJob {
    pub(crate) fn new(cut: StateCut, gaps: Gaps, cut_at: Instant, raw_complete: bool) -> Self {
        let refresh_duration_ms = i32::try_from(cut_at.elapsed().as_millis()).unwrap_or(i32::MAX);
        Self { cut: Arc::new(cut), gaps: Arc::new(gaps), cut_at, refresh_duration_ms, raw_complete }
    }

    /// The row of `state_generations`.
    pub(crate) fn generation_row(&self) -> GenerationRow {
        generation_row(&self.cut, self.refresh_duration_ms, self.raw_complete)
    }
}

#[derive(Debug, Default)]
struct Held {
    job: Option<CutJob>,
    is_closed: bool,
}

/// One place; the newest cut wins.
#[derive(Debug, Default)]
pub(crate) struct CutSlot {
    held: Mutex<Held>,
    filled: Notify,
}

impl CutSlot {
    /// Puts a cut in and returns the one that nobody took.
    pub(crate) fn put(&self, job: CutJob) -> Option<CutJob> {
        let older = self.lock().job.replace(job);
        self.filled.notify_one();
        older
    }

    /// No cut will follow.
    pub(crate) fn close(&self) {
        self.lock().is_closed = true;
        self.filled.notify_one();
    }

    /// The next cut; `None` when none will follow.
    pub(crate) async fn take(&self) -> Option<CutJob> {
        loop {
            {
                let mut held = self.lock();
                if let Some(job) = held.job.take() {
                    return Some(job);
                }
                if held.is_closed {
                    return None;
                }
            }
            self.filled.notified().await;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Held> {
        // A panic inside the few lines that hold it leaves a whole value behind.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
