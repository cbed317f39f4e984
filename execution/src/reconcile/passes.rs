//! What is done all the time: looks that confirm changes, LIGHT and FULL passes, overdue requests.
//!
//! Input: time and memory. Output: looks under way, rows of finished passes, causes for the mode.
//! Nothing in protection or exits waits for any of it.

use penstock_store_orders::reconcile::{ReconcileDiff, ReconcileRun};
use penstock_telemetry::marker;
use penstock_trading::mode::{CauseCode, Level};
use penstock_types::vocab::OrderState;
use penstock_types::{OrderId, PositionId};
use penstock_venues::kraken::rates::RestUse;
use penstock_venues::kraken::vocabulary::RestOrderStatus;

use super::fetch::{FoundOrder, LookKind, LookResult};
use super::state::Confirm;
use crate::desk::{Desk, DeskError};
use crate::tracker::{MutationKind, Tracked};

/// Pauses of a look that REST's lag made stale.
const STALE_PAUSES_MS: [i64; 4] = [2_000, 5_000, 15_000, 60_000];
/// Points of a difference of an order.
const ORDER_POINTS: i32 = 4;
/// Most ids of one query.
const IDS_PER_QUERY: usize = 50;

impl Desk {
    pub(crate) async fn housekeeping(&mut self) -> Result<(), DeskError> {
        self.overdue().await?;
        self.start_looks();
        self.start_confirms();
        self.flush_private().await?;
        self.store_balances().await?;
        self.finish_attach().await?;
        self.control().await?;
        let mono = self.mono_ms();
        if mono >= self.reconcile.next_fees_mono_ms {
            self.load_fees().await?;
        }
        if (self.reconcile.full_due || mono >= self.reconcile.next_full_mono_ms)
            && !self.reconcile.history_open
            && self.reconcile.snapshot_seen
        {
            self.reconcile.full_due = false;
            self.reconcile.full_open = true;
            self.reconcile.next_full_mono_ms = mono + self.config.full_interval_ms;
            if self.reconcile.complete {
                marker!(RECONCILE_STARTED, kind = "FULL");
            }
            self.start_history().await?;
        }
        if self.reconcile.complete {
            self.steady(mono).await?;
        }
        self.judge_stream(mono);
        self.judge_unproven();
        self.tracker.sweep(mono);
        Ok(())
    }

    async fn steady(&mut self, mono: i64) -> Result<(), DeskError> {
        if self.reconcile.full_open && !self.reconcile.history_open {
            self.reconcile.full_open = false;
            self.finish_full(mono).await?;
        }
        if mono >= self.reconcile.next_light_mono_ms && !self.reconcile.light_open {
            self.reconcile.next_light_mono_ms = mono + self.config.light_interval_ms;
            self.reconcile.light_open = true;
            self.start_look(LookKind::Light, RestUse::Steady);
            self.compare_balances().await?;
        }
        if mono >= self.reconcile.next_audit_mono_ms {
            self.audit().await?;
        }
        Ok(())
    }

    async fn finish_full(&mut self, mono: i64) -> Result<(), DeskError> {
        let run = ReconcileRun {
            kind: "FULL",
            cause: "",
            outcome: "ok",
            positions: self.tracker.positions.keys().copied().collect(),
            orders: self.tracker.live().map(|t| t.record.order_id).collect(),
            started_at: self.now(),
            dur_ms: 0,
            drift_score_x10000: Some(0),
            calls: 1,
            diffs: Vec::new(),
        };
        let stored = self.store.insert_reconcile(&run).await;
        self.written(stored)?;
        marker!(
            RECONCILE_COMPLETE,
            kind = "FULL",
            outcome = "ok",
            orders_checked = run.orders.len(),
            fills_recovered = self.reconcile.fills_recovered,
            duration_ms = self.mono_ms() - mono
        );
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

    /// A change at the venue is to be seen by a second witness.
    pub(crate) fn confirm_soon(&mut self, id: OrderId, cause: &'static str) {
        let mono = self.mono_ms();
        let reduces = self.tracker.get(id).is_some_and(|t| t.record.reduces());
        if !reduces {
            return;
        }
        let due_mono_ms = mono + self.config.confirm_delay_ms;
        let fresh = Confirm { cause, due_mono_ms, tries: 0, since_mono_ms: mono };
        self.reconcile.confirms.entry(id).or_insert(fresh);
    }

    fn start_confirms(&mut self) {
        let mono = self.mono_ms();
        if self.reconcile.confirm_open {
            return;
        }
        let mut cause = "AMEND";
        let mut ids = Vec::new();
        for (id, confirm) in &self.reconcile.confirms {
            if confirm.due_mono_ms > mono || ids.len() == IDS_PER_QUERY {
                continue;
            }
            let venue = self.tracker.get(*id).and_then(|t| t.record.exchange_order_id.clone());
            if let Some(venue) = venue {
                ids.push((*id, venue));
                cause = stronger(cause, confirm.cause);
            }
        }
        // An order whose id never came is looked up on its own.
        self.reconcile
            .confirms
            .retain(|id, c| c.due_mono_ms > mono || ids.iter().any(|(known, _)| known == id));
        if !ids.is_empty() {
            self.reconcile.confirm_open = true;
            self.start_look(LookKind::Confirm { ids, cause }, RestUse::Reserved);
        }
    }

    pub(super) async fn on_confirm(
        &mut self,
        ids: Vec<(OrderId, String)>,
        cause: &'static str,
        result: LookResult,
    ) -> Result<(), DeskError> {
        self.reconcile.confirm_open = false;
        let mono = self.mono_ms();
        let mut worst = if result.whole { "confirmed" } else { "failed" };
        let mut positions: Vec<PositionId> = Vec::new();
        for (id, venue) in &ids {
            positions.extend(self.tracker.get(*id).and_then(|t| t.record.position_id));
            let found = result.orders.iter().find(|o| o.venue_id == *venue);
            let agrees = self.tracker.get(*id).is_some_and(|t| found.is_some_and(|o| agrees(t, o)));
            if agrees {
                self.reconcile.confirms.remove(id);
                continue;
            }
            let Some(confirm) = self.reconcile.confirms.get_mut(id) else { continue };
            let pause = STALE_PAUSES_MS
                [usize::try_from(confirm.tries).unwrap_or(0).min(STALE_PAUSES_MS.len() - 1)];
            confirm.tries += 1;
            confirm.due_mono_ms = mono + pause;
            let old = mono - confirm.since_mono_ms > 60_000;
            if result.whole {
                worst = if old { "contradicted" } else { "stale" };
            }
            if old {
                self.reconcile.confirms.remove(id);
                self.look_soon(*id, 0);
            }
        }
        positions.dedup();
        let run = ReconcileRun {
            kind: "CONFIRM",
            cause,
            outcome: worst,
            positions,
            orders: ids.iter().map(|(id, _)| *id).collect(),
            started_at: result.started_at,
            dur_ms: mono - result.started_mono_ms,
            drift_score_x10000: None,
            calls: result.calls,
            diffs: Vec::new(),
        };
        let stored = self.store.insert_reconcile(&run).await;
        self.written(stored)?;
        marker!(
            at if worst == "confirmed" {
                penstock_telemetry::Level::Debug
            } else {
                penstock_telemetry::Level::Info
            },
            RECONCILE_COMPLETE,
            kind = "CONFIRM",
            cause = cause,
            outcome = worst,
            orders_checked = run.orders.len(),
            duration_ms = run.dur_ms
        );
        Ok(())
    }

    pub(super) async fn on_light(&mut self, result: LookResult) -> Result<(), DeskError> {
        self.reconcile.light_open = false;
        if !result.whole {
            return Ok(());
        }
        let mono = self.mono_ms();
        let mut diffs = Vec::new();
        let mut missing = std::collections::BTreeSet::new();
        for tracked in self.tracker.live() {
            let Some(venue) = &tracked.record.exchange_order_id else { continue };
            let young = tracked.stream_mono_ms.is_some_and(|at| mono - at < 60_000);
            if result.orders.iter().any(|o| o.venue_id == *venue) || young {
                continue;
            }
            missing.insert(tracked.record.order_id);
            diffs.push(ReconcileDiff {
                kind: "ORDER_MISSING",
                symbol: tracked.record.symbol.to_string(),
                order_id: Some(tracked.record.order_id),
                local: tracked.record.state.to_string(),
                remote: "not open".to_owned(),
                points: ORDER_POINTS,
                settled: self.reconcile.missed.contains(&tracked.record.order_id),
            });
        }
        // A fill that the stream lost shows in the executed quantity.
        let behind: Vec<OrderId> = result
            .orders
            .iter()
            .filter_map(|o| Some((self.tracker.by_venue(&o.venue_id)?, o)))
            .filter(|(id, o)| self.tracker.get(*id).is_some_and(|t| t.record.cum_qty < o.executed))
            .map(|(id, _)| id)
            .collect();
        for id in missing.iter().copied().chain(behind) {
            self.look_soon(id, 0);
        }
        self.reconcile.missed = missing;
        let score = i32::try_from(diffs.iter().filter(|d| d.settled).count()).unwrap_or(0)
            * ORDER_POINTS
            * 10_000;
        let run = ReconcileRun {
            kind: "LIGHT",
            cause: "",
            outcome: if diffs.is_empty() { "ok" } else { "diff" },
            positions: self.tracker.positions.keys().copied().collect(),
            orders: self.tracker.live().map(|t| t.record.order_id).collect(),
            started_at: result.started_at,
            dur_ms: mono - result.started_mono_ms,
            drift_score_x10000: Some(score),
            calls: result.calls,
            diffs,
        };
        let stored = self.store.insert_reconcile(&run).await;
        self.written(stored)?;
        let value = Some(format!("score {score}"));
        self.mode.set(CauseCode::ReconcileDiffDetected, Level::Degrade, score >= 20_000, value);
        Ok(())
    }

    /// What the private stream's state means for the mode.
    fn judge_stream(&self, _mono: i64) {
        let health = *self.orders.health().borrow();
        let silent_ms = (self.clock.now().mono_ns - health.last_frame_mono_ns) / 1_000_000;
        let down = !health.connected || silent_ms >= self.config.stream_silent_ms;
        let exposed = !self.tracker.positions.is_empty() || self.tracker.live().next().is_some();
        let level = if exposed && silent_ms >= 60_000 { Level::Pause } else { Level::Degrade };
        let value = Some(format!("{silent_ms} ms"));
        self.mode.set(CauseCode::PrivateStreamSilent, level, down, value);
    }
}

/// The stronger of two causes of one look.
fn stronger(a: &'static str, b: &'static str) -> &'static str {
    const ORDER: [&str; 5] = ["SWAP", "CLOSE", "CANCEL", "PLACE", "AMEND"];
    let rank = |word: &str| ORDER.iter().position(|o| *o == word).unwrap_or(ORDER.len());
    if rank(a) <= rank(b) { a } else { b }
}

/// The look shows what the stream said.
fn agrees(tracked: &Tracked, found: &FoundOrder) -> bool {
    let row = &tracked.record;
    match found.status {
        Some(RestOrderStatus::Open | RestOrderStatus::Pending) => {
            let live = matches!(
                row.state,
                OrderState::AckedOpen | OrderState::PartiallyFilled | OrderState::PendingCancel
            );
            let trigger =
                !found.is_stop || found.price.is_none() || found.price == row.trigger_price;
            live && found.qty == row.qty && found.executed == row.cum_qty && trigger
        }
        Some(RestOrderStatus::Closed) => row.state == OrderState::Filled,
        Some(RestOrderStatus::Canceled) => row.state == OrderState::Canceled,
        Some(RestOrderStatus::Expired) => row.state == OrderState::Expired,
        None => false,
    }
}
