//! How the venue's side stands, as this process knows it: the answer to a probe.
//!
//! Input: memory. Output: one object as text. Nothing is asked of the venue: one process has the key, and a look for a
//! person must cost the desk nothing.

use serde_json::json;

use crate::desk::Desk;

impl Desk {
    pub(super) fn probe_answer(&self) -> String {
        let now = self.clock.now();
        let health = *self.orders.health().borrow();
        let silent_ms = (now.mono_ns - health.last_frame_mono_ns).max(0) / 1_000_000;
        let state = self.rest.state().lock();
        let counters: Vec<_> = state
            .counter_looks(now.mono_ms())
            .into_iter()
            .map(|c| {
                json!({
                    "scope": c.scope,
                    "share_x10000": c.share_x10000,
                    "backoff_ms": c.backoff_ms,
                })
            })
            .collect();
        json!({
            "version": 1,
            "venue": {
                "market": format!("{:?}", self.system),
                "private_stream": {
                    "connected": health.connected,
                    "executions_whole": health.executions_whole,
                    "balances_whole": health.balances_whole,
                    "silent_ms": silent_ms,
                },
                "clock_offset_us": health.clock_offset_us,
                "counters": counters,
            },
            "desk": {
                "reconciled": self.reconcile.complete,
                "open_positions": self.tracker.positions.len(),
                "live_orders": self.tracker.live().count(),
                "permission": self.is_permitted(),
            },
        })
        .to_string()
    }
}
