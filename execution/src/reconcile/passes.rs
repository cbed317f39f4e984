//! What is done all the time: LIGHT and FULL passes when they are due, overdue requests, queues.
//!
//! Input: time and memory. Output: looks under way, rows of finished passes, causes for the mode.
//! Nothing in protection or exits waits for any of it.

use penstock_telemetry::marker;
use penstock_trading::mode::{CauseCode, Level, Signal};
use penstock_types::OrderId;
use penstock_types::vocab::StageName;
use penstock_venues::kraken::rates::RestUse;

use super::fetch::{LookKind, LookResult};
use crate::desk::{Desk, DeskError};
use crate::tracker::MutationKind;

/// Pause after a LIGHT pass that came to nothing: two intervals without one would make REST look stale, and what the
/// counters lacked they have regained by then (half a point a second at the middle tier).
const LIGHT_RETRY_MS: i64 = 1_000;

impl Desk {
    pub(crate) async fn housekeeping(&mut self) -> Result<(), DeskError> {
        self.overdue().await?;
        self.cancel_doomed().await?;
        self.start_looks();
        self.cancel_outsiders();
        self.start_confirms();
        self.flush_private().await?;
        self.store_balances().await?;
        self.finish_attach().await?;
        self.control().await?;
        let mono = self.mono_ms();
        if mono >= self.reconcile.next_fees_mono_ms {
            self.load_fees().await?;
        }
        self.start_full(mono).await?;
        if self.reconcile.complete {
            self.judge_new_balances().await?;
            self.steady(mono).await?;
        }
        self.ask_images().await?;
        self.judge_stream();
        self.judge_account(mono);
        self.judge_unproven();
        self.recover().await?;
        self.tracker.sweep(mono);
        Ok(())
    }

    /// A FULL pass, or the history of a start, when it is due and the counters have room for all of it: a pass that is
    /// refused in its middle has spent what the next one needs, again and again.
    async fn start_full(&mut self, mono: i64) -> Result<(), DeskError> {
        let due = self.reconcile.full_due || mono >= self.reconcile.next_full_mono_ms;
        if !due || self.reconcile.history_open || !self.reconcile.snapshot_seen {
            return Ok(());
        }
        let (cost, usage) = self.full_pass();
        let wait_ms = self.rest.state().lock().rest_room_in_ms(cost, usage, mono);
        self.reconcile.full_due = wait_ms > 0;
        if wait_ms > 0 {
            return Ok(());
        }
        self.reconcile.full_open = true;
        self.reconcile.next_full_mono_ms = mono + self.config.full_interval_ms;
        if self.reconcile.complete {
            // It lists the open orders as well.
            self.reconcile.next_light_mono_ms = mono + self.config.light_interval_ms;
            marker!(RECONCILE_STARTED, kind = "FULL", cause = "");
            self.tracker.said.enter(StageName::ReconcileRest, "FULL");
        }
        self.start_history(usage).await
    }

    async fn steady(&mut self, mono: i64) -> Result<(), DeskError> {
        if self.reconcile.full_open && !self.reconcile.history_open {
            self.reconcile.full_open = false;
        }
        if mono >= self.reconcile.next_light_mono_ms && !self.reconcile.light_open {
            self.reconcile.next_light_mono_ms = mono + self.config.light_interval_ms;
            self.reconcile.light_open = true;
            self.tracker.said.enter(StageName::ReconcileRest, "LIGHT");
            self.start_look(LookKind::Light, RestUse::Steady);
        }
        if mono >= self.reconcile.next_audit_mono_ms {
            self.audit().await?;
        }
        Ok(())
    }

    async fn flush_private(&mut self) -> Result<(), DeskError> {
        let batch = self.reconcile.take_private();
        if batch.is_empty() {
            return Ok(());
        }
        let stored = self.store.append_private(&batch).await;
        if self.written(stored)?.is_none() {
            self.reconcile.put_back(batch);
        }
        Ok(())
    }

    /// Requests without an answer in time; the socket answers each, so this is the second net.
    async fn overdue(&mut self) -> Result<(), DeskError> {
        let (now, mono) = (self.now(), self.mono_ms());
        let late: Vec<(OrderId, MutationKind)> = self
            .tracker
            .orders()
            .filter_map(|t| {
                let m = t.mutation?;
                let over = m.unresolved_until.map_or_else(
                    || mono - m.sent_mono_ms > 2 * self.config.ack_timeout_ms,
                    |until| now >= until,
                );
                over.then_some((t.record.order_id, m.kind))
            })
            .collect();
        for (id, kind) in late {
            if let Some(tracked) = self.tracker.get_mut(id) {
                tracked.mutation = None;
            }
            match kind {
                MutationKind::Add => {
                    let note = self.note().because("no answer");
                    let event = penstock_trading::order::OrderEvent::OutcomeUnknown;
                    self.apply(id, event, &note).await?;
                    self.look_soon(id, 0);
                }
                MutationKind::Cancel | MutationKind::Amend { .. } => self.look_soon(id, 0),
            }
        }
        Ok(())
    }

    pub(super) async fn on_light(&mut self, result: LookResult) -> Result<(), DeskError> {
        self.reconcile.light_open = false;
        if !result.whole {
            let soon = self.mono_ms() + LIGHT_RETRY_MS.min(self.config.light_interval_ms);
            self.reconcile.next_light_mono_ms = self.reconcile.next_light_mono_ms.min(soon);
        }
        self.finish_pass("LIGHT", &result).await
    }

    /// What the private stream's state means for the mode. A stream that is not connected counts as silent.
    pub(crate) fn judge_stream(&self) {
        let health = *self.orders.health().borrow();
        let silent_ms = (self.clock.now().mono_ns - health.last_frame_mono_ns) / 1_000_000;
        let counts_ms =
            if health.connected { silent_ms } else { silent_ms.max(self.config.stream_silent_ms) };
        let exposed = !self.tracker.positions.is_empty() || self.tracker.live().next().is_some();
        self.mode.watch([
            (Signal::PrivateStreamSilence, Some(counts_ms)),
            (Signal::PrivateStreamExposed, exposed.then_some(counts_ms)),
        ]);
    }

    /// How the venue treats the account, and how far its clock is.
    fn judge_account(&mut self, mono: i64) {
        let (standing, counters) = {
            let mut state = self.rest.state().lock();
            (state.standing(mono), state.counter_looks(mono))
        };
        self.tracker.said.counters(&counters);
        let rejects = i64::from(standing.timestamp_rejects);
        self.mode.watch([
            (Signal::Throttled, Some(standing.throttled.into())),
            (Signal::LockedOut, Some(standing.locked_out.into())),
            (Signal::TimestampRejects, Some(rejects)),
        ]);
        if standing.key_refused {
            let value = Some("the venue refused the key or its permissions".to_owned());
            self.mode.raise(CauseCode::ChecklistFailed, Level::Pause, value);
        }
        // A refusal for its time makes the comparison due at once.
        if rejects > 0 {
            self.reconcile.next_clock_mono_ms = mono;
        }
        let offset_us = self.orders.health().borrow().clock_offset_us;
        if let Some(offset_us) = offset_us.filter(|_| mono >= self.reconcile.next_clock_mono_ms) {
            self.reconcile.next_clock_mono_ms = mono + self.config.time_sync_ms;
            self.mode.signal(Signal::ClockOffset, Some(offset_us.saturating_abs() / 1_000));
        }
    }
}
