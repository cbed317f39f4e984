//! Whether what was recorded is safe: the spool in time, nothing shed, publication not slow.
//!
//! Input: the spool's monitor and the publisher's slowness, looked at four times a second. Output: the
//! last moment at which it was not so.

use crate::tasks::Hub;
use penstock_types::UtcMicros;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::sync::watch;

const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Last moment at which durability did not hold.
#[derive(Debug, Clone)]
pub(crate) struct Durability(Arc<AtomicI64>);

impl Durability {
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicI64::new(i64::MIN)))
    }

    /// Durability held through the whole time since `from`.
    pub(crate) fn held_since(&self, from: UtcMicros) -> bool {
        self.0.load(Ordering::Relaxed) < from.0
    }

    /// Looks until it is cancelled.
    pub(crate) async fn watch(self, hub: Hub, is_slow: watch::Receiver<bool>) {
        let spool = &hub.monitor;
        let mut looks = tokio::time::interval(LOOK_EVERY);
        while hub.cancel.run_until_cancelled(looks.tick()).await.is_some() {
            let is_late = spool.sync_lag_ms() > hub.settings.spool_sync_max_ms;
            if is_late || spool.level().is_shedding() || spool.failed() || *is_slow.borrow() {
                self.0.store(hub.clock.now().0, Ordering::Relaxed);
            }
        }
    }
}
