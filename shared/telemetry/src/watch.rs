//! Purpose: tell one listener of some markers as they are emitted. Inputs: which markers, the listener. Outputs: a call
//! for each of them, on the thread that emits it, whatever the log's filter hides. Invariants: a process has one
//! listener at a time, the newest; without one a marker costs one comparison more; a marker that the listener itself
//! emits is not told to it again. The listener must not wait: it is called where orders are sent.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::marker::{Level, Marker};

static IS_WATCHED: AtomicBool = AtomicBool::new(false);
static WATCH: RwLock<Option<Arc<Watch>>> = RwLock::new(None);

thread_local! {
    static IS_TELLING: Cell<bool> = const { Cell::new(false) };
}

type Listener = Box<dyn Fn(Marker, Level, &str) + Send + Sync>;

struct Watch {
    wants: fn(Marker) -> bool,
    listener: Listener,
}

/// Ends the watch when it goes.
#[must_use = "the watch ends when this is dropped"]
pub struct MarkerWatch(Arc<Watch>);

impl std::fmt::Debug for MarkerWatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MarkerWatch").finish_non_exhaustive()
    }
}

impl Drop for MarkerWatch {
    fn drop(&mut self) {
        let mut watch = WATCH.write().unwrap_or_else(PoisonError::into_inner);
        if watch.as_ref().is_some_and(|newest| Arc::ptr_eq(newest, &self.0)) {
            *watch = None;
            IS_WATCHED.store(false, Ordering::Release);
        }
    }
}

/// Tells `listener` of the markers that `wants` names, with their fields as JSON: `,"key":value` for each.
pub fn watch_markers(
    wants: fn(Marker) -> bool,
    listener: impl Fn(Marker, Level, &str) + Send + Sync + 'static,
) -> MarkerWatch {
    let newest = Arc::new(Watch { wants, listener: Box::new(listener) });
    *WATCH.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&newest));
    IS_WATCHED.store(true, Ordering::Release);
    MarkerWatch(newest)
}

fn wanting(marker: Marker) -> Option<Arc<Watch>> {
    if !IS_WATCHED.load(Ordering::Acquire) {
        return None;
    }
    let watch = WATCH.read().unwrap_or_else(PoisonError::into_inner);
    watch.as_ref().filter(|watch| (watch.wants)(marker)).map(Arc::clone)
}

/// Somebody is told of this marker.
#[must_use]
pub fn is_watched(marker: Marker) -> bool {
    wanting(marker).is_some()
}

pub(crate) fn tell(marker: Marker, level: Level, fields: &str) {
    let Some(watch) = wanting(marker) else { return };
    if IS_TELLING.replace(true) {
        return;
    }
    (watch.listener)(marker, level, fields);
    IS_TELLING.set(false);
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::{is_watched, watch_markers};
    use crate::Marker;

    /// One test: the listener belongs to the process.
    #[test]
    fn a_listener_hears_what_it_wants_though_no_log_is_there_and_until_it_goes() {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let wants = |marker| matches!(marker, Marker::SPOOL_FULL | Marker::SPOOL_HIGH);
        let watch = watch_markers(wants, {
            let heard = Arc::clone(&heard);
            move |marker, level, fields| {
                crate::marker!(SPOOL_HIGH, pct = 1);
                let line = format!("{} {} {fields}", marker.as_str(), level.as_str());
                heard.lock().expect("no poison").push(line);
            }
        });
        crate::marker!(SPOOL_FULL, pct = 100);
        crate::marker!(SPOOL_CLEAR, pct = 3);
        drop(watch);
        crate::marker!(SPOOL_FULL, pct = 100);
        assert!(!is_watched(Marker::SPOOL_FULL));
        assert_eq!(*heard.lock().expect("no poison"), ["SPOOL_FULL ERROR ,\"pct\":100"]);
    }
}
