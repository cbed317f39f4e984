//! Purpose: hand markers to parts of the process that take their time with them, as the audit trail does. Inputs:
//! markers as they are emitted. Outputs: a bounded receiver for each observer. Invariants: emitting never waits for an
//! observer; what finds a receiver full is dropped there and counted, and the line is in the log all the same; a level
//! that the log filters out still reaches who asked for it. An observer is one of the listeners of [`crate::watch_markers`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;

use crate::marker::{Level, Marker};
use crate::watch::{MarkerWatch, TooMany, watch_markers};

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

/// Markers of a level and above, for as long as it is kept.
#[derive(Debug)]
pub struct Observer {
    /// They wait here, in their order.
    pub markers: mpsc::Receiver<Seen>,
    dropped: Arc<AtomicU64>,
    _watch: MarkerWatch,
}

impl Observer {
    /// Markers that found the receiver full.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// Observes markers of a level and above from now on; at most `capacity` of them wait.
///
/// # Errors
/// [`TooMany`].
pub fn observe(at_least: Level, capacity: usize) -> Result<Observer, TooMany> {
    let (sender, markers) = mpsc::channel(capacity.max(1));
    let dropped = Arc::new(AtomicU64::new(0));
    let missed = Arc::clone(&dropped);
    let watch = watch_markers(
        move |_, level| level >= at_least,
        move |marker, level, fields| {
            let fields = format!("{{{}}}", fields.strip_prefix(',').unwrap_or_default());
            let ts_ms = chrono::Utc::now().timestamp_millis();
            match sender.try_send(Seen { marker, level, fields, ts_ms }) {
                // Whoever is gone wants nothing any more.
                Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => {}
                Err(mpsc::error::TrySendError::Full(_)) => {
                    missed.fetch_add(1, Ordering::Relaxed);
                }
            }
        },
    )?;
    Ok(Observer { markers, dropped, _watch: watch })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One test: what is emitted belongs to the process. This thread has no log at all.
    #[test]
    fn an_observer_gets_its_levels_in_order_and_counts_what_it_missed() {
        let mut warnings = observe(Level::Warn, 2).unwrap();
        let mut errors = observe(Level::Error, 2).unwrap();

        crate::marker!(FENCE_BUSY, reason = "lock", n = 7);
        crate::marker!(EXECUTION_FENCED_OUT);
        crate::marker!(FENCE_BUSY);
        crate::marker!(SPOOL_CLEAR, pct = 3);

        let first = warnings.markers.try_recv().unwrap();
        assert_eq!((first.marker, first.level), (Marker::FENCE_BUSY, Level::Warn));
        assert_eq!(first.fields, "{\"reason\":\"lock\",\"n\":7}");
        let second = warnings.markers.try_recv().unwrap();
        assert_eq!((second.marker, second.fields.as_str()), (Marker::EXECUTION_FENCED_OUT, "{}"));
        assert!(warnings.markers.try_recv().is_err());
        assert_eq!(warnings.dropped(), 1);
        assert_eq!(errors.markers.try_recv().unwrap().marker, Marker::EXECUTION_FENCED_OUT);
        assert_eq!(errors.dropped(), 0);
    }
}
