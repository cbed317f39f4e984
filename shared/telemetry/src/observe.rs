//! Purpose: hand markers to parts of the process that act on them: the audit trail, the alerts. Inputs:
//! markers as they are emitted. Outputs: a bounded receiver for each observer. Invariants: emitting never
//! waits for an observer; what finds a receiver full is dropped there and counted, and the line is in the
//! log all the same; a level that the log filters out still reaches who asked for it; an observer whose
//! receiver is gone is forgotten. Without observers a marker costs one atomic load more.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::mpsc;

use crate::emit::Fields;
use crate::marker::{Level, Marker};

/// Most observers of a process: trail and alerts, and room for two more.
pub const OBSERVERS_MAX: usize = 4;

/// Nobody asks for any level.
const NO_LEVEL: u8 = u8::MAX;

/// A marker as an observer sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Which.
    pub marker: Marker,
    /// How loud it was.
    pub level: Level,
    /// Its fields: the text of one JSON object.
    pub fields: String,
    /// When, milliseconds since the epoch.
    pub ts_ms: i64,
}

/// Markers of a level and above.
#[derive(Debug)]
pub struct Observer {
    /// They wait here, in their order.
    pub markers: mpsc::Receiver<Seen>,
    dropped: Arc<AtomicU64>,
}

impl Observer {
    /// Markers that found the receiver full.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// There are [`OBSERVERS_MAX`] already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("four parts observe the markers already; next: end one of them")]
pub struct TooMany;

struct Sender {
    at_least: Level,
    markers: mpsc::Sender<Seen>,
    dropped: Arc<AtomicU64>,
}

struct Board {
    senders: RwLock<Vec<Sender>>,
    lowest: AtomicU8,
}

static BOARD: Board = Board { senders: RwLock::new(Vec::new()), lowest: AtomicU8::new(NO_LEVEL) };

/// Observes markers of a level and above from now on; at most `capacity` of them wait.
///
/// # Errors
/// [`TooMany`].
pub fn observe(at_least: Level, capacity: usize) -> Result<Observer, TooMany> {
    BOARD.add(at_least, capacity)
}

/// Whether anybody asks for markers of this level.
pub(crate) fn is_observed(level: Level) -> bool {
    level as u8 >= BOARD.lowest.load(Ordering::Relaxed)
}

/// Hands a marker to whoever asked for its level.
pub(crate) fn hand_over(marker: Marker, level: Level, fields: &Fields) {
    if is_observed(level) {
        BOARD.hand_over(marker, level, fields);
    }
}

impl Board {
    fn add(&self, at_least: Level, capacity: usize) -> Result<Observer, TooMany> {
        let (markers, receiver) = mpsc::channel(capacity.max(1));
        let dropped = Arc::new(AtomicU64::new(0));
        let mut senders = self.senders.write().unwrap_or_else(PoisonError::into_inner);
        senders.retain(|sender| !sender.markers.is_closed());
        if senders.len() >= OBSERVERS_MAX {
            return Err(TooMany);
        }
        senders.push(Sender { at_least, markers, dropped: Arc::clone(&dropped) });
        let lowest = senders.iter().map(|s| s.at_least as u8).min().unwrap_or(NO_LEVEL);
        self.lowest.store(lowest, Ordering::Relaxed);
        Ok(Observer { markers: receiver, dropped })
    }

    fn hand_over(&self, marker: Marker, level: Level, fields: &Fields) {
        let seen = Seen {
            marker,
            level,
            fields: format!("{{{}}}", fields.as_str().strip_prefix(',').unwrap_or_default()),
            ts_ms: chrono::Utc::now().timestamp_millis(),
        };
        // Held for a few pushes; it is written only when an observer is added.
        let senders = self.senders.read().unwrap_or_else(PoisonError::into_inner);
        for sender in senders.iter().filter(|sender| level >= sender.at_least) {
            match sender.markers.try_send(seen.clone()) {
                // Whoever is gone wants nothing any more.
                Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => {}
                Err(mpsc::error::TrySendError::Full(_)) => {
                    sender.dropped.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board() -> Board {
        Board { senders: RwLock::new(Vec::new()), lowest: AtomicU8::new(NO_LEVEL) }
    }

    #[test]
    fn an_observer_gets_its_levels_in_order_and_counts_what_it_missed() {
        let board = board();
        let mut warnings = board.add(Level::Warn, 2).unwrap();
        let mut errors = board.add(Level::Error, 2).unwrap();
        let fields = Fields::new().with("reason", "lock").with("n", &7);

        for marker in [Marker::FENCE_BUSY, Marker::EXECUTION_FENCED_OUT, Marker::FENCE_BUSY] {
            board.hand_over(marker, marker.level(), &fields);
        }
        board.hand_over(Marker::FENCE_ACQUIRED, Level::Info, &fields);

        let first = warnings.markers.try_recv().unwrap();
        assert_eq!((first.marker, first.level), (Marker::FENCE_BUSY, Level::Warn));
        assert_eq!(first.fields, "{\"reason\":\"lock\",\"n\":7}");
        assert_eq!(warnings.markers.try_recv().unwrap().marker, Marker::EXECUTION_FENCED_OUT);
        assert!(warnings.markers.try_recv().is_err());
        assert_eq!(warnings.dropped(), 1);
        assert_eq!(errors.markers.try_recv().unwrap().marker, Marker::EXECUTION_FENCED_OUT);
        assert_eq!(errors.dropped(), 0);
    }

    #[test]
    fn the_place_of_an_observer_that_is_gone_is_free_again() {
        let board = board();
        let mut kept: Vec<Observer> =
            (0..OBSERVERS_MAX).map(|_| board.add(Level::Warn, 1).unwrap()).collect();
        assert_eq!(board.add(Level::Warn, 1).unwrap_err(), TooMany);

        kept.pop();

        board.hand_over(Marker::FENCE_BUSY, Level::Warn, &Fields::new());
        assert!(board.add(Level::Warn, 1).is_ok());
        assert_eq!(kept[0].markers.try_recv().unwrap().fields, "{}");
    }

    #[test]
    fn a_marker_that_the_log_filters_out_reaches_who_asked_for_it() {
        // This thread has no log at all: only the observer can see the marker.
        let mut observer = observe(Level::Warn, 16).unwrap();

        crate::marker!(FENCE_BUSY, reason = "lock");

        let seen = std::iter::from_fn(|| observer.markers.try_recv().ok());
        assert!(seen.into_iter().any(|seen| seen.marker == Marker::FENCE_BUSY));
    }
}
