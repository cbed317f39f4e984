//! The bounded queue of drafts, in two lanes, between producers and the thread that writes the files.
//!
//! Input: drafts from tasks and threads. Output: batches, critical ones first. Invariants: normal and
//! sample events never take the quarter that is kept for critical ones, and none of them enters while the
//! queue is full; whoever cannot wait is taken into the waiting list, which is as long as the queue, and
//! what finds that full as well is lost, counted, and its first time remembered: the rows of orders and exits,
//! which have transactions of their own, say what happened from there on. No lock is held across a wait.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use penstock_audit::Draft;
use penstock_types::vocab::Lane;
use tokio::sync::{Notify, oneshot};

use super::error::AuditError;
use super::pressure::PressureLimits;

/// Says that an event is on disk, or why not.
pub(crate) type Ack = oneshot::Sender<Result<(), AuditError>>;

/// A draft that waits.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) draft: Draft,
    pub(crate) ack: Option<Ack>,
    pub(crate) since: Instant,
}

impl Waiting {
    pub(crate) fn new(draft: Draft, ack: Option<Ack>) -> Self {
        Self { draft, ack, since: Instant::now() }
    }

    fn is_critical(&self) -> bool {
        self.draft.event_type.lane() == Lane::Critical
    }
}

/// What did not fit anywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lost {
    /// Events since the start.
    pub count: u64,
    /// Time of the first one, milliseconds since the epoch; 0 when there is none.
    pub first_ms: i64,
    /// Time of the last one likewise.
    pub last_ms: i64,
    /// Samples that were dropped: for want of room, or under pressure where configuration allows it.
    pub samples: u64,
    /// Changes of the process and markers that went by before they could be said.
    pub missed: u64,
    /// Lost events that no row was asked for in time, and told ones that were refused.
    pub untold: u64,
}

impl Lost {
    /// Everything that is not in the trail as it happened.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.count.saturating_add(self.samples).saturating_add(self.missed)
    }
}

/// A time in which events were lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    /// Time of the first one, milliseconds since the epoch.
    pub(crate) from_ms: i64,
    /// Time of the last one likewise.
    pub(crate) to_ms: i64,
    /// How many they are.
    pub(crate) count: u64,
}

/// Why a draft was not taken.
#[derive(Debug)]
pub(crate) enum Refused {
    /// No room now.
    NoRoom(Box<Waiting>),
    /// Nothing is taken any more.
    Closed,
}

#[derive(Debug, Default)]
struct Lanes {
    critical: VecDeque<Waiting>,
    other: VecDeque<Waiting>,
    closed: bool,
    lost: Lost,
    /// What was lost and not told from rows yet.
    span: Option<Span>,
}

impl Lanes {
    fn len(&self) -> usize {
        self.critical.len() + self.other.len()
    }
}

/// The queue.
#[derive(Debug)]
pub(crate) struct Queue {
    lanes: Mutex<Lanes>,
    filled: Condvar,
    drained: Notify,
    limits: PressureLimits,
}

impl Queue {
    pub(crate) fn new(limits: PressureLimits) -> Self {
        let (filled, drained) = (Condvar::new(), Notify::new());
        Self { lanes: Mutex::default(), filled, drained, limits }
    }

    fn lock(&self) -> MutexGuard<'_, Lanes> {
        // A holder that panicked has only moved whole drafts.
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a draft where its lane has room.
    pub(crate) fn offer(&self, waiting: Waiting) -> Result<(), Refused> {
        let mut lanes = self.lock();
        if lanes.closed {
            return Err(Refused::Closed);
        }
        let len = lanes.len();
        let has_room = if waiting.is_critical() {
            len < self.limits.capacity
        } else {
            lanes.other.len() < self.limits.other_max() && !self.limits.is_full(len)
        };
        if !has_room {
            return Err(Refused::NoRoom(Box::new(waiting)));
        }
        push(&mut lanes, waiting);
        drop(lanes);
        self.filled.notify_one();
        Ok(())
    }

    /// Takes a draft of someone who cannot wait: beyond the room of its lane too, up to twice the capacity.
    /// False when it is lost.
    pub(crate) fn force(&self, waiting: Waiting) -> bool {
        let mut lanes = self.lock();
        let is_taken = !lanes.closed && lanes.len() < self.limits.capacity.saturating_mul(2);
        if is_taken {
            push(&mut lanes, waiting);
        } else {
            let ms = waiting.draft.ts_ms;
            lanes.lost.count += 1;
            lanes.lost.last_ms = ms;
            if lanes.lost.first_ms == 0 {
                lanes.lost.first_ms = ms;
            }
            let before = lanes.span.unwrap_or(Span { from_ms: ms, to_ms: ms, count: 0 });
            let (from_ms, to_ms) = (before.from_ms.min(ms), before.to_ms.max(ms));
            lanes.span = Some(Span { from_ms, to_ms, count: before.count + 1 });
        }
        drop(lanes);
        self.filled.notify_one();
        is_taken
    }

    /// The span in which events were lost, once the queue has room again; it is the caller's from then on.
    pub(crate) fn take_span(&self) -> Option<Span> {
        let mut lanes = self.lock();
        let has_room = lanes.len() < self.limits.capacity / 2 && !lanes.closed;
        if has_room { lanes.span.take() } else { None }
    }

    /// Counts what went by before it could be said.
    pub(crate) fn miss(&self, count: u64) {
        self.lock().lost.missed += count;
    }

    /// Counts what is not told from rows either.
    pub(crate) fn leave_untold(&self, count: u64) {
        self.lock().lost.untold += count;
    }

    /// Counts a sample that is dropped.
    pub(crate) fn drop_sample(&self) {
        self.lock().lost.samples += 1;
    }

    /// The oldest drafts, critical ones first; waits for one. The flag says that no more will come.
    pub(crate) fn take(&self, most: usize, wait: Duration) -> (Vec<Waiting>, bool) {
        let lanes = self.lock();
        let is_idle = |lanes: &mut Lanes| lanes.len() == 0 && !lanes.closed;
        let waited = self.filled.wait_timeout_while(lanes, wait, is_idle);
        let (mut lanes, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let mut taken = Vec::new();
        while taken.len() < most {
            let Lanes { critical, other, .. } = &mut *lanes;
            let Some(next) = critical.pop_front().or_else(|| other.pop_front()) else { break };
            taken.push(next);
        }
        let is_over = lanes.closed && lanes.len() == 0;
        drop(lanes);
        if !taken.is_empty() {
            self.drained.notify_waiters();
        }
        (taken, is_over)
    }

    /// Waits, for as long as nothing can be written; the end ends it.
    pub(crate) fn rest(&self, wait: Duration) {
        let waited = self.filled.wait_timeout_while(self.lock(), wait, |lanes| !lanes.closed);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    /// Nothing is taken any more.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_all();
        self.drained.notify_waiters();
    }

    /// Resolves when something was taken out after `ready` said no.
    pub(crate) async fn until<T>(&self, mut ready: impl FnMut() -> Option<T>) -> T {
        loop {
            let drained = self.drained.notified();
            tokio::pin!(drained);
            // Registered before the question, so that what is taken out in between wakes it.
            drained.as_mut().enable();
            if let Some(value) = ready() {
                return value;
            }
            drained.await;
        }
    }

    /// Nothing is taken any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Events that wait.
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Since when the oldest one waits whose producer waits too.
    pub(crate) fn oldest_awaited(&self) -> Option<Instant> {
        let lanes = self.lock();
        lanes.critical.iter().filter(|w| w.ack.is_some()).map(|w| w.since).min()
    }

    /// What was lost.
    pub(crate) fn lost(&self) -> Lost {
        self.lock().lost
    }
}

fn push(lanes: &mut Lanes, waiting: Waiting) {
    if waiting.is_critical() {
        lanes.critical.push_back(waiting);
    } else {
        lanes.other.push_back(waiting);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use penstock_types::vocab::{AuditEventType, StageName};

    const LIMITS: PressureLimits =
        PressureLimits { capacity: 64, high_pct: 80, full_pct: 95, lag_ms_max: 5_000 };

    fn draft(event_type: AuditEventType, ts_ms: i64) -> Waiting {
        Waiting::new(Draft::new(StageName::RankTopn, event_type, ts_ms), None)
    }

    fn fill(queue: &Queue, event_type: AuditEventType) -> usize {
        (1..).take_while(|at| queue.offer(draft(event_type, *at)).is_ok()).count()
    }

    #[test]
    fn a_quarter_is_kept_for_critical_events_and_they_come_first() {
        let queue = Queue::new(LIMITS);

        assert_eq!(fill(&queue, AuditEventType::RankTopn), 48);
        assert_eq!(fill(&queue, AuditEventType::OrderFill), 16);

        let (first, _) = queue.take(17, Duration::ZERO);
        assert!(first[..16].iter().all(Waiting::is_critical));
        assert_eq!(first[16].draft.ts_ms, 1);
    }

    #[test]
    fn nothing_but_critical_events_enters_a_full_queue() {
        let queue = Queue::new(LIMITS);
        // 95 % of 64 is 60.8.
        for at in 1..=61 {
            queue.offer(draft(AuditEventType::OrderFill, at)).unwrap();
        }

        let refused = queue.offer(draft(AuditEventType::RankTopn, 1));
        assert!(matches!(refused, Err(Refused::NoRoom(_))));
        assert!(queue.offer(draft(AuditEventType::OrderFill, 62)).is_ok());
    }

    #[test]
    fn who_cannot_wait_is_taken_up_to_twice_the_capacity_and_then_counted() {
        let queue = Queue::new(LIMITS);

        let taken = (1..=130).filter(|at| queue.force(draft(AuditEventType::OrderFill, *at)));

        assert_eq!(taken.count(), 128);
        let (lost, none) = (queue.lost(), Lost::default());
        assert_eq!(lost, Lost { count: 2, first_ms: 129, last_ms: 130, ..none });
    }

    #[test]
    fn a_closed_queue_gives_what_it_has_and_takes_nothing() {
        let queue = Queue::new(LIMITS);
        queue.offer(draft(AuditEventType::OrderFill, 1)).unwrap();
        queue.close();

        assert!(matches!(queue.offer(draft(AuditEventType::OrderFill, 2)), Err(Refused::Closed)));
        let (taken, is_over) = queue.take(8, Duration::from_secs(60));
        assert_eq!((taken.len(), is_over), (1, true));
    }
}
