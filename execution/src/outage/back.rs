//! The way back: probe, memory from rows, the kept records in their order, then reconcile.
//!
//! Input: a cluster that answers. Output: rows and memory that agree with what happened meanwhile. A
//! record whose write fails stays the next one; a record that a row knows already changes nothing. No
//! stop is placed and nothing is closed before the last record is applied.

use std::collections::BTreeSet;

use penstock_store_orders::WriteError;
use penstock_store_orders::exit_plans::PlanChange;
use penstock_store_orders::orders::{EventNote, Terms};
use penstock_telemetry::marker;
use penstock_trading::exit::plan::PlanEvent;
use penstock_trading::mode::CauseCode;
use penstock_trading::order::{Facts, OrderEvent, step};
use penstock_types::vocab::{ExitReason, OrderRole, OrderState, PlanState};
use penstock_types::{Decimal, OrderId, PositionId, UtcMicros};
use penstock_venue_orders::PrivateEvent;

use super::Record;
use super::state::Released;
use crate::desk::{Desk, DeskError, Message};
use crate::tracker::{Held, Tracked};

impl Desk {
    /// Asks the cluster, in a task of its own.
    pub(super) fn probe(&mut self) {
        let mono = self.mono_ms();
        let Some(outage) = &mut self.outage else { return };
        if outage.probing || mono < outage.next_probe_mono_ms {
            return;
        }
        outage.probing = true;
        let (store, messages) = (self.store.for_a_task(), self.messages.clone());
        tokio::spawn(async move {
            let result = store.probe().await;
            // A desk that has ended wants no answer.
            let _ = messages.send(Message::Probe(result)).await;
        });
    }

    pub(super) async fn on_probe(
        &mut self,
        result: Result<(), WriteError>,
    ) -> Result<(), DeskError> {
        match result {
            Ok(()) => self.come_back().await,
            Err(error) if error.is_fenced_out() => Err(DeskError::from(error)),
            Err(error) => {
                tracing::debug!("{error}");
                self.still_away();
                Ok(())
            }
        }
    }

    fn still_away(&mut self) {
        let mono = self.mono_ms();
        self.store.set_away(true);
        if let Some(outage) = &mut self.outage {
            outage.probe_failed(mono);
        }
    }

    async fn come_back(&mut self) -> Result<(), DeskError> {
        self.store.set_away(false);
        self.reconcile.away = false;
        if !self.read_memory_anew().await? {
            self.still_away();
            return Ok(());
        }
        while let Some(record) = self.outage.as_mut().and_then(|o| o.records.pop_front()) {
            self.replay(record.clone()).await?;
            if self.reconcile.away {
                if let Some(outage) = &mut self.outage {
                    outage.records.push_front(record);
                }
                self.still_away();
                return Ok(());
            }
        }
        self.end_never_sent().await?;
        if self.reconcile.away {
            self.still_away();
            return Ok(());
        }
        self.after_outage().await
    }

    /// Rows that were let out by a transaction whose commit had no answer: they stand, but not a byte of
    /// them went out, and none will. Whoever wanted them decides anew.
    async fn end_never_sent(&mut self) -> Result<(), DeskError> {
        let never = |t: &&Tracked| {
            t.record.state == OrderState::PendingSubmit
                && t.record.fencing_token == self.store.token()
                && t.sent_mono_ms.is_none()
        };
        let ids: Vec<OrderId> =
            self.tracker.orders().filter(never).map(|t| t.record.order_id).collect();
        for id in ids {
            let note = self.note().because("commit without an answer");
            self.apply(id, OrderEvent::LocalRefusal, &note).await?;
        }
        Ok(())
    }

    async fn replay(&mut self, record: Record) -> Result<(), DeskError> {
        match record {
            Record::Event {
                event: PrivateEvent::Frame { at, is_snapshot, asked, text, .. },
                kept: true,
            } => self.on_frame(is_snapshot, asked, at, &text).await,
            Record::Event { event, .. } => self.on_event(event).await,
            Record::Answer { order_id, kind, answer } => {
                self.on_answer(order_id, kind, answer).await
            }
            Record::Released(sent) => self.replay_release(&sent).await,
            Record::CancelSent { order_id, at } => self.replay_cancel(order_id, at).await,
            // Its answer moves the row; without one the reconcile looks.
            Record::AmendSent { .. } => Ok(()),
        }
    }

    pub(super) async fn replay_release(&mut self, sent: &Released) -> Result<(), DeskError> {
        let in_stock =
            self.tracker.get(sent.order_id).is_some_and(|t| t.record.state == OrderState::Created);
        if in_stock {
            let note = EventNote {
                terms: Terms {
                    qty: Some(sent.qty),
                    limit_price: None,
                    trigger_price: sent.trigger,
                    deadline_at: Some(sent.deadline_at),
                },
                ..EventNote::local(sent.at).named("preauth_sent")
            };
            self.apply(sent.order_id, OrderEvent::PreauthSent, &note).await?;
        }
        let position = self.tracker.get(sent.order_id).and_then(|t| t.record.position_id);
        let Some(position) = position else { return Ok(()) };
        if sent.role == OrderRole::Exit {
            return self.replay_close(position, sent).await;
        }
        if let Some(held) = self.tracker.positions.get_mut(&position) {
            held.stop_sent_at.get_or_insert(sent.at);
        }
        let change = PlanChange {
            event: Some(PlanEvent::StopSubmitted),
            protection: Some(sent.order_id),
            ..PlanChange::default()
        };
        self.change_plan(position, &change).await?;
        Ok(())
    }

    /// The plan of a position whose close went out.
    async fn replay_close(
        &mut self,
        position: PositionId,
        sent: &Released,
    ) -> Result<(), DeskError> {
        let reason = self.tracker.positions.get(&position).and_then(|h| h.close_reason);
        let decided = PlanChange {
            event: Some(PlanEvent::CloseDecided),
            reason: Some(reason.unwrap_or(ExitReason::Operator)),
            ..PlanChange::default()
        };
        let is_decided = self.tracker.positions.get(&position).is_some_and(|h| {
            h.plan
                .as_ref()
                .is_some_and(|p| matches!(p.state, PlanState::Triggered | PlanState::Exiting))
        });
        if !is_decided {
            self.change_plan(position, &decided).await?;
        }
        let started = PlanChange {
            event: Some(PlanEvent::ClosingStarted),
            exit: Some(sent.order_id),
            attempt: true,
            protected_qty: Some(Decimal::ZERO),
            ..PlanChange::default()
        };
        self.change_plan(position, &started).await?;
        Ok(())
    }

    pub(super) async fn replay_cancel(
        &mut self,
        id: OrderId,
        at: UtcMicros,
    ) -> Result<(), DeskError> {
        let takes = self.tracker.get(id).is_some_and(|t| {
            step(t.record.state, OrderEvent::CancelSent, Facts::UNTOUCHED).is_ok()
        });
        if takes {
            let note = EventNote::local(at).because("decision cluster away");
            self.apply(id, OrderEvent::CancelSent, &note).await?;
        }
        Ok(())
    }

    /// Orders and positions as their rows stand: the last commits before the outage may have had no
    /// answer. False when they could not be read.
    async fn read_memory_anew(&mut self) -> Result<bool, DeskError> {
        let read = self.store.open_orders().await;
        let Some(rows) = self.written(read)? else { return Ok(false) };
        let open: BTreeSet<OrderId> = rows.iter().map(|r| r.order_id).collect();
        let ended: Vec<OrderId> = self
            .tracker
            .orders()
            .filter(|t| !t.record.state.is_terminal() && !open.contains(&t.record.order_id))
            .map(|t| t.record.order_id)
            .collect();
        let read = self.store.orders(&ended).await;
        let Some(ended) = self.written(read)? else { return Ok(false) };
        let mono = self.mono_ms();
        for row in rows.into_iter().chain(ended) {
            let (id, state) = (row.order_id, row.state);
            let waits = matches!(state, OrderState::Created | OrderState::PendingSubmit);
            let unknown = self.tracker.get(id).is_none() && !waits;
            self.tracker.put(row, mono);
            if unknown {
                self.look_soon(id, 0);
            }
        }
        let read = self.store.positions().await;
        let Some(positions) = self.written(read)? else { return Ok(false) };
        let open: BTreeSet<PositionId> = positions.iter().map(|(p, _)| p.position_id).collect();
        self.tracker.positions.retain(|id, _| open.contains(id));
        for (position, plan) in positions {
            let id = position.position_id;
            match self.tracker.positions.get_mut(&id) {
                Some(held) => (held.position, held.plan) = (position, plan),
                None => {
                    self.tracker.positions.insert(id, Held::new(position, plan, mono));
                }
            }
        }
        Ok(true)
    }

    /// Everything is applied: standby rows anew, a full reconcile, and every position gets its stop.
    async fn after_outage(&mut self) -> Result<(), DeskError> {
        let Some(outage) = self.outage.take() else { return Ok(()) };
        self.reconcile.db_failed = false;
        self.reconcile.full_due = true;
        self.mode.clear(CauseCode::DbUnavailable);
        if outage.overflowed || !self.reconcile.complete {
            let ids: Vec<OrderId> = self.tracker.live().map(|t| t.record.order_id).collect();
            for id in ids {
                let note = self.note().because("outage");
                self.apply(id, OrderEvent::Unverified, &note).await?;
            }
        }
        marker!(
            DECISION_DB_RECOVERED,
            down_ms = self.mono_ms() - outage.since_mono_ms,
            error = Option::<String>::None
        );
        self.clear_spool().await;
        self.renew_standbys().await?;
        self.clear_protection_causes();
        let ids: Vec<PositionId> = self.tracker.positions.keys().copied().collect();
        for id in ids {
            self.protect(id).await?;
        }
        Ok(())
    }
}
