//! Purpose: tell parts of the process of markers as they are emitted. Inputs: which markers, by whom they are wanted.
//! Outputs: a call for each of them, on the thread that emits it, whatever the log's filter hides. Invariants: without a
//! listener a marker costs one atomic load; a marker that a listener itself emits is not told to it again, and to all
//! others; a listener that has gone is forgotten. A listener must not wait: it is called where orders are sent. Whoever
//! wants to take its time has [`crate::observe`].

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::marker::{Level, Marker};

/// Most listeners of a process: trail and alerts, and room for a few more.
pub const LISTENERS_MAX: usize = 8;

static COUNT: AtomicUsize = AtomicUsize::new(0);
static LISTENERS: RwLock<Vec<Arc<Listener>>> = RwLock::new(Vec::new());

thread_local! {
    /// Listeners that are being told on this thread, one bit for each place.
    static TELLING: Cell<u8> = const { Cell::new(0) };
}

type Wants = Box<dyn Fn(Marker, Level) -> bool + Send + Sync>;
type Tell = Box<dyn Fn(Marker, Level, &str) + Send + Sync>;

struct Listener {
    /// One bit; no two listeners share one.
    place: u8,
    wants: Wants,
    tell: Tell,
}

/// There are [`LISTENERS_MAX`] already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("eight parts listen to the markers already; next: end one of them")]
pub struct TooMany;

/// Ends the watch when it goes.
#[must_use = "the watch ends when this is dropped"]
pub struct MarkerWatch(Arc<Listener>);

impl std::fmt::Debug for MarkerWatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MarkerWatch").finish_non_exhaustive()
    }
}

impl Drop for MarkerWatch {
    fn drop(&mut self) {
        let mut listeners = LISTENERS.write().unwrap_or_else(PoisonError::into_inner);
        listeners.retain(|listener| !Arc::ptr_eq(listener, &self.0));
        COUNT.store(listeners.len(), Ordering::Release);
    }
}

/// Tells `tell` of the markers that `wants` names, with their fields as JSON: `,"key":value` for each.
///
/// # Errors
/// [`TooMany`].
pub fn watch_markers(
    wants: impl Fn(Marker, Level) -> bool + Send + Sync + 'static,
    tell: impl Fn(Marker, Level, &str) + Send + Sync + 'static,
) -> Result<MarkerWatch, TooMany> {
    let mut listeners = LISTENERS.write().unwrap_or_else(PoisonError::into_inner);
    let taken = listeners.iter().fold(0, |taken, listener| taken | listener.place);
    let place = (0..LISTENERS_MAX).map(|n| 1_u8 << n).find(|bit| taken & bit == 0);
    let place = place.ok_or(TooMany)?;
    let listener = Arc::new(Listener { place, wants: Box::new(wants), tell: Box::new(tell) });
    listeners.push(Arc::clone(&listener));
    COUNT.store(listeners.len(), Ordering::Release);
    Ok(MarkerWatch(listener))
}

/// Somebody is told of this marker.
#[must_use]
pub fn is_watched(marker: Marker, level: Level) -> bool {
    COUNT.load(Ordering::Acquire) > 0 && {
        let listeners = LISTENERS.read().unwrap_or_else(PoisonError::into_inner);
        listeners.iter().any(|listener| (listener.wants)(marker, level))
    }
}

pub(crate) fn tell(marker: Marker, level: Level, fields: &str) {
    if COUNT.load(Ordering::Acquire) == 0 {
        return;
    }
    // Taken out first: a listener may end a watch, which waits for the lock.
    let wanting: Vec<Arc<Listener>> = {
        let listeners = LISTENERS.read().unwrap_or_else(PoisonError::into_inner);
        listeners.iter().filter(|one| (one.wants)(marker, level)).map(Arc::clone).collect()
    };
    for listener in wanting {
        let telling = TELLING.get();
        if telling & listener.place == 0 {
            TELLING.set(telling | listener.place);
            (listener.tell)(marker, level, fields);
            TELLING.set(telling);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::{LISTENERS_MAX, TooMany, is_watched, watch_markers};
    use crate::{Level, Marker};

    type Heard = Arc<Mutex<Vec<String>>>;

    fn keep(heard: &Heard, marker: Marker, level: Level, fields: &str) {
        let line = format!("{} {} {fields}", marker.as_str(), level.as_str());
        heard.lock().expect("no poison").push(line);
    }

    /// One test: the listeners belong to the process.
    #[test]
    fn listeners_hear_what_they_want_though_no_log_is_there_and_until_they_go() {
        let (first, second) = (Heard::default(), Heard::default());
        let full = |marker, _| matches!(marker, Marker::SPOOL_FULL | Marker::SPOOL_HIGH);
        let watch = watch_markers(full, {
            let heard = Arc::clone(&first);
            move |marker, level, fields| {
                crate::marker!(SPOOL_HIGH, pct = 1);
                keep(&heard, marker, level, fields);
            }
        })
        .expect("there is room");
        let all = watch_markers(|_, level| level >= Level::Warn, {
            let heard = Arc::clone(&second);
            move |marker, level, fields| keep(&heard, marker, level, fields)
        });
        crate::marker!(SPOOL_FULL, pct = 100);
        crate::marker!(SPOOL_CLEAR, pct = 3);
        drop(watch);
        assert!(is_watched(Marker::SPOOL_FULL, Level::Error), "by the second");
        drop(all);
        crate::marker!(SPOOL_FULL, pct = 100);
        assert!(!is_watched(Marker::SPOOL_FULL, Level::Error));
        assert_eq!(*first.lock().expect("no poison"), ["SPOOL_FULL ERROR ,\"pct\":100"]);
        // What a listener emits is told to the others.
        let told = second.lock().expect("no poison").clone();
        assert_eq!(told, ["SPOOL_HIGH WARN ,\"pct\":1", "SPOOL_FULL ERROR ,\"pct\":100"]);

        let watches: Vec<_> = (0..LISTENERS_MAX)
            .map(|_| watch_markers(|_, _| false, |_, _, _| {}).expect("there is room"))
            .collect();
        assert_eq!(watch_markers(|_, _| false, |_, _, _| {}).err(), Some(TooMany));
        drop(watches);
        assert!(watch_markers(|_, _| false, |_, _, _| {}).is_ok(), "their places are free again");
    }
}
