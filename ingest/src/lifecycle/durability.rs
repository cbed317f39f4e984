//! Whether what was recorded is safe: the spool in time, nothing shed, publication not slow.
//!
//! Input: the spool's monitor and the publisher's slowness, looked at four times a second. Output: the
//! last moment at which it was not so, and the last at which order-by-order rows were shed: those go first,
//! and an epoch without them stays durable.

use crate::tasks::Hub;
use penstock_store::spool::StreamCode;
use penstock_types::UtcMicros;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::sync::watch;

const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Last moments at which durability did not hold.
#[derive(Debug, Clone)]
pub(crate) struct Durability {
    lost: Arc<AtomicI64>,
    level3_shed: Arc<AtomicI64>,
}

impl Durability {
    pub(crate) fn new() -> Self {
        let never = || Arc::new(AtomicI64::new(i64::MIN));
        Self { lost: never(), level3_shed: never() }
    }

    /// Durability held through the whole time since `from`.
    pub(crate) fn held_since(&self, from: UtcMicros) -> bool {
        self.lost.load(Ordering::Relaxed) < from.0
    }

    /// No order-by-order row was shed since `from`.
    pub(crate) fn kept_level3_since(&self, from: UtcMicros) -> bool {
        self.level3_shed.load(Ordering::Relaxed) < from.0
    }

    /// Looks until it is cancelled.
    pub(crate) async fn watch(self, hub: Hub, is_slow: watch::Receiver<bool>) {
        let spool = &hub.monitor;
        let mut looks = tokio::time::interval(LOOK_EVERY);
        while hub.cancel.run_until_cancelled(looks.tick()).await.is_some() {
            let is_late = spool.sync_lag_ms() > hub.settings.spool_sync_max_ms;
            let level = spool.level();
            let is_shed = level.sheds(StreamCode::L2);
            if is_late || is_shed || spool.failed() || *is_slow.borrow() {
                self.lost.store(hub.clock.now().0, Ordering::Relaxed);
            }
            if level.sheds(StreamCode::L3) {
                self.level3_shed.store(hub.clock.now().0, Ordering::Relaxed);
            }
        }
    }
}
