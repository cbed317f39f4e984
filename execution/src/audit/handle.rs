//! What producers hold: four ways to say an event, by how long one may wait.
//!
//! Input: drafts. Output: an answer when a critical event is on disk. Invariants: [`AuditHandle::post`]
//! returns at once, from any thread; who awaits is told when the event is on disk and not before; nothing
//! is dropped but samples, under pressure where configuration allows it or for want of room, and what exceeds
//! twice the capacity; both are counted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use penstock_audit::Draft;
use penstock_types::vocab::Lane;
use tokio::sync::oneshot;

use super::console::Console;
use super::error::AuditError;
use super::pressure::{Pressure, PressureLimits};
use super::process::Stages;
use super::queue::{Lost, Queue, Refused, Waiting};
use super::rows::Rows;

/// Gives the time in milliseconds since the epoch.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// How long a producer that can wait does so under pressure, per event.
const PRESSED_WAIT: Duration = Duration::from_millis(250);

/// What the disk refuses, for as long as it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileFault {
    /// What it says.
    pub message: String,
    /// There is no space left.
    pub is_no_space: bool,
    /// Since when.
    pub since: Instant,
}

/// Figures of the writer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditFigures {
    /// How hard it is pressed.
    pub pressure: Pressure,
    /// Events that wait.
    pub queue_len: usize,
    /// Their share of the capacity, percent times 10,000.
    pub queue_pct_x10000: i64,
    /// Age of the oldest event without a row, milliseconds.
    pub lag_ms: i64,
    /// When rows were last written, milliseconds since 1970; 0 before the first.
    pub committed_ms: i64,
    /// Events that were taken since the start.
    pub events: u64,
    /// What was lost or dropped.
    pub lost: Lost,
    /// The disk refuses.
    pub fault: Option<FileFault>,
}

/// What handle, files, rows and monitor share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) queue: Queue,
    pub(crate) rows: Rows,
    pub(crate) limits: PressureLimits,
    pub(crate) drop_samples: bool,
    pub(crate) stages: Stages,
    pub(crate) console: Console,
    fault: Mutex<Option<FileFault>>,
    awaited: Mutex<Option<Instant>>,
    events: AtomicU64,
}

impl Shared {
    pub(crate) fn new(limits: PressureLimits, drop_samples: bool, console: Console) -> Self {
        Self {
            queue: Queue::new(limits),
            rows: Rows::default(),
            limits,
            drop_samples,
            stages: Stages::default(),
            console,
            fault: Mutex::default(),
            awaited: Mutex::default(),
            events: AtomicU64::new(0),
        }
    }

    /// Says what the disk refuses, or that it takes lines again.
    pub(crate) fn set_fault(&self, fault: Option<(String, bool)>) {
        let mut held = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        *held = fault.map(|(message, is_no_space)| {
            let since = held.as_ref().map_or_else(Instant::now, |before| before.since);
            FileFault { message, is_no_space, since }
        });
    }

    pub(crate) fn fault(&self) -> Option<FileFault> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Since when the oldest event waits that the thread holds and whose producer waits.
    pub(crate) fn set_awaited(&self, since: Option<Instant>) {
        *self.awaited.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    /// The longest wait for an acknowledgement that is not there yet.
    pub(crate) fn waited(&self) -> Duration {
        let held = *self.awaited.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = held.into_iter().chain(self.queue.oldest_awaited()).min();
        oldest.map_or(Duration::ZERO, |since| since.elapsed())
    }

    pub(crate) fn pressure(&self) -> Pressure {
        self.limits.judge(self.queue.len(), self.rows.lag_ms())
    }
}

/// The way to the writer; cheap to clone.
#[derive(Debug, Clone)]
pub struct AuditHandle {
    pub(crate) shared: Arc<Shared>,
}

impl AuditHandle {
    /// Says a critical event and returns when it is on disk. For producers that may wait: an entry waits
    /// for its decision to be on record, an exit does not and posts.
    ///
    /// # Errors
    /// [`AuditError`] when the event breaks a rule or the session has ended. A disk that refuses is no
    /// error: this waits, the mode becomes PAUSE.
    pub async fn critical(&self, draft: Draft) -> Result<(), AuditError> {
        let (ack, acked) = oneshot::channel();
        self.queue_up(Waiting::new(draft, Some(ack))).await?;
        acked.await.unwrap_or(Err(AuditError::Ended))
    }

    /// Says a normal event or a sample; under pressure it waits, at most a quarter of a second for the
    /// pressure to fall and as long as it takes for room. Not for exits.
    pub async fn normal(&self, draft: Draft) {
        let shared = &self.shared;
        if shared.pressure() > Pressure::Ok {
            if shared.drop_samples && draft.event_type.lane() == Lane::Sample {
                shared.queue.drop_sample();
                return;
            }
            let eased = || (shared.pressure() == Pressure::Ok).then_some(());
            // Either way it goes on: the wait slows the producer, it judges nothing.
            let _ = tokio::time::timeout(PRESSED_WAIT, shared.queue.until(eased)).await;
        }
        if let Err(error) = self.queue_up(Waiting::new(draft, None)).await {
            tracing::debug!("an event is not in the trail: {error}");
        }
    }

    /// Says an event of a producer that may be slowed and whose last word waits for the disk: a critical one waits for
    /// room, any other as [`AuditHandle::normal`] does. Not for exits.
    pub async fn paced(&self, draft: Draft) {
        if draft.event_type.lane() != Lane::Critical {
            return self.normal(draft).await;
        }
        if let Err(error) = self.queue_up(Waiting::new(draft, None)).await {
            tracing::debug!("an event is not in the trail: {error}");
        }
    }

    /// Says a sample from wherever nothing may wait. False when it is dropped, and counted: there is no room, or there is
    /// pressure and configuration allows it.
    pub fn sample(&self, draft: Draft) -> bool {
        let shared = &self.shared;
        let is_spared = shared.drop_samples && shared.pressure() > Pressure::Ok;
        if is_spared || shared.queue.offer(Waiting::new(draft, None)).is_err() {
            shared.queue.drop_sample();
            return false;
        }
        shared.events.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// Says an event from wherever nothing may wait: exits, protection, synchronous code. False when it is
    /// lost, and counted, because twice the capacity waits already.
    pub fn post(&self, draft: Draft) -> bool {
        self.shared.events.fetch_add(1, Ordering::Relaxed);
        self.shared.queue.force(Waiting::new(draft, None))
    }

    async fn queue_up(&self, waiting: Waiting) -> Result<(), AuditError> {
        let queue = &self.shared.queue;
        let mut held = Some(waiting);
        let entered = queue.until(|| match queue.offer(held.take()?) {
            Ok(()) => Some(Ok(())),
            Err(Refused::Closed) => Some(Err(AuditError::Ended)),
            Err(Refused::NoRoom(waiting)) => {
                held = Some(*waiting);
                None
            }
        });
        entered.await?;
        self.shared.events.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Where alerts are shown: the console of the stages, on which an alert ends a line in work.
    #[must_use]
    pub fn console_lines(&self) -> Box<dyn std::io::Write + Send> {
        self.shared.console.lines()
    }

    /// Events can be put on disk now. Without that no entry may be decided.
    #[must_use]
    pub fn is_writing(&self) -> bool {
        self.shared.fault().is_none()
    }

    /// Figures for the panel, the health sample, the heartbeat.
    #[must_use]
    pub fn figures(&self) -> AuditFigures {
        let shared = &self.shared;
        let (queue_len, lag_ms) = (shared.queue.len(), shared.rows.lag_ms());
        AuditFigures {
            pressure: shared.limits.judge(queue_len, lag_ms),
            queue_len,
            queue_pct_x10000: shared.limits.pct_x10000(queue_len),
            lag_ms,
            committed_ms: shared.rows.committed_ms(),
            events: shared.events.load(Ordering::Relaxed),
            lost: shared.queue.lost(),
            fault: shared.fault(),
        }
    }
}
