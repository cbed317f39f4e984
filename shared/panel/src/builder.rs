//! Builds a document at every beat and hands the same bytes to everybody.
//!
//! Input: the process's figures, a read-only pool. Output: the newest document, alerts that rose, and whether the
//! database's half is old. Invariants: one document per beat, never two to catch up; a database that does not answer
//! within [`READ_MAX`] leaves the last good sections in place, marked with their age, and the process's figures go on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use penstock_contracts::alert::Alert;
use penstock_contracts::dashboard::AlertAggregateRow;
use sqlx::PgPool;
use tokio::sync::{broadcast, watch};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::document;
use crate::live::Look;
use crate::rows::{self, Stored};
use crate::settings::{Identity, Lengths};

/// Longest reading of the database for a document.
pub const READ_MAX: Duration = Duration::from_secs(2);
/// Alerts that a slow reader may be behind; it misses the older ones and finds them in the next document.
const ALERTS_BEHIND_MAX: usize = 64;

/// Where documents are taken from.
#[derive(Debug, Clone)]
pub struct Board {
    newest: watch::Sender<Bytes>,
    alerts: broadcast::Sender<AlertAggregateRow>,
    stale: watch::Sender<bool>,
}

impl Default for Board {
    fn default() -> Self {
        Self {
            newest: watch::Sender::new(Bytes::new()),
            alerts: broadcast::Sender::new(ALERTS_BEHIND_MAX),
            stale: watch::Sender::new(false),
        }
    }
}

impl Board {
    /// The newest document; empty before the first.
    #[must_use]
    pub fn newest(&self) -> Bytes {
        self.newest.borrow().clone()
    }

    /// Wakes with each document.
    #[must_use]
    pub fn documents(&self) -> watch::Receiver<Bytes> {
        self.newest.subscribe()
    }

    /// Alerts that rise from now on.
    #[must_use]
    pub fn alerts(&self) -> broadcast::Receiver<AlertAggregateRow> {
        self.alerts.subscribe()
    }

    /// Whether the database's half of the document is old.
    #[must_use]
    pub fn stale(&self) -> watch::Receiver<bool> {
        self.stale.subscribe()
    }

    /// Shows a document.
    fn show(&self, text: Bytes) {
        self.newest.send_replace(text);
    }
}

/// The task that builds.
pub struct Builder {
    /// The process.
    pub look: Arc<dyn Look>,
    /// The decision cluster, read only.
    pub pool: PgPool,
    /// What never changes.
    pub identity: Arc<Identity>,
    /// Lengths of lists.
    pub lengths: Lengths,
    /// Where documents go.
    pub board: Board,
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder").field("identity", &self.identity).finish_non_exhaustive()
    }
}

/// What the last beat left.
struct Last {
    stored: Stored,
    good_at: Instant,
    alerts: Vec<Alert>,
}

impl Builder {
    /// Builds at every beat until the end.
    pub async fn run(self, every: Duration, end: CancellationToken) {
        let stored = Stored::empty(&self.identity);
        let mut last = Last { stored, good_at: Instant::now(), alerts: self.look.look().alerts };
        let mut beat = tokio::time::interval(every);
        beat.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            // The end first: a stopping process shows its last document.
            tokio::select! {
                biased;
                () = end.cancelled() => return,
                _ = beat.tick() => {}
            }
            self.build(&mut last).await;
        }
    }

    async fn build(&self, last: &mut Last) {
        let began = Instant::now();
        let before = self.look.look();
        let read =
            rows::read_after(&self.pool, &self.identity, &self.lengths, &before, &last.stored);
        let problem = match tokio::time::timeout(READ_MAX, read).await {
            Ok(Ok(stored)) => {
                last.stored = stored;
                last.good_at = Instant::now();
                None
            }
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some(format!("no answer within {} ms", READ_MAX.as_millis())),
        };
        let was_stale = self.board.stale.send_replace(problem.is_some());
        if let Some(problem) = &problem
            && !was_stale
        {
            tracing::warn!(
                "the panel shows old rows: {problem}; next: look at the decision cluster, the figures of the \
                 process go on"
            );
        }
        // Looked at anew: a reading that took its time must not show figures of before it.
        let live = self.look.look();
        let stale_ms = problem.map_or(0, |_| age_ms(last.good_at));
        for row in document::risen(&last.alerts, &live.alerts) {
            // Nobody listening is no error.
            let _ = self.board.alerts.send(row);
        }
        self.board.show(document::text(document::assemble(&live, &last.stored, stale_ms)));
        last.alerts = live.alerts;
        metrics::histogram!("webui_snapshot_build_seconds").record(began.elapsed().as_secs_f64());
    }
}

fn age_ms(since: Instant) -> i64 {
    i64::try_from(since.elapsed().as_millis()).unwrap_or(i64::MAX).max(1)
}
