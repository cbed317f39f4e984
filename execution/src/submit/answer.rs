//! Answers to requests, and the one verb that moves an order by an event.
//!
//! Input: what the gateway said. Output: transactions, looks, markers. The answer is only an
//! acknowledgement: what became of the order is told by the stream, and either may come first.

use penstock_alerts::Metrics;
use penstock_store_orders::orders::transition::Knowledge;
use penstock_store_orders::orders::{Applied, EventNote, EventSource, OrderRecord, Terms};
use penstock_telemetry::{Fields, marker};
use penstock_trading::order::{Effect, OrderEvent, Step};
use penstock_types::OrderId;
use penstock_types::vocab::{OrderRole, OrderState, ReasonCode};
use penstock_venue_orders::{OrderAnswer, OrderOutcome};
use penstock_venues::kraken::error_table::{ErrorClass, ErrorOutcome, Judgement};
use penstock_venues::kraken::rest::UnknownReason;

use crate::desk::{Desk, DeskError, failpoints};
use crate::tracker::MutationKind;

/// Words of the venue's post-only refusal: the order would have taken.
const POST_ONLY_TEXT: &str = "Post only order";

impl Desk {
    pub(crate) async fn on_answer(
        &mut self,
        id: OrderId,
        kind: MutationKind,
        answer: OrderAnswer,
    ) -> Result<(), DeskError> {
        if let (MutationKind::Add, Some(sent)) = (kind, answer.sent_at) {
            let decided = self.tracker.get(id).map_or(0, |t| t.decided_mono_us);
            let since = sent.mono_ns / 1_000 - decided;
            let since = if decided == 0 { 0 } else { since };
            let stored = self.store.latency_submitted(id, sent.wall, since).await;
            self.written(stored)?;
        }
        match kind {
            MutationKind::Add => self.on_add_answer(id, &answer).await,
            MutationKind::Cancel => self.on_cancel_answer(id, &answer).await,
            MutationKind::Amend { qty, trigger } => {
                let terms = Terms { qty, trigger_price: trigger, ..Terms::default() };
                self.on_amend_answer(id, &answer, terms).await
            }
        }
    }

    fn close_mutation(&mut self, id: OrderId) {
        if let Some(tracked) = self.tracker.get_mut(id) {
            tracked.mutation = None;
        }
    }

    async fn on_add_answer(&mut self, id: OrderId, answer: &OrderAnswer) -> Result<(), DeskError> {
        if answer.sent_at.is_some() {
            failpoints::pass(failpoints::AFTER_SEND_BEFORE_B);
        }
        self.close_mutation(id);
        let mut note = self.note_from(EventSource::WsMethod);
        match &answer.outcome {
            OrderOutcome::Acked { order_id, .. } => {
                note.venue_id.clone_from(order_id);
                self.acked(id, answer, &note).await
            }
            OrderOutcome::Rejected { text, judgement } => {
                note = note.because(text);
                self.refused(id, text, *judgement, &note).await
            }
            OrderOutcome::Unknown { reason, judgement } => {
                note = note.because(&reason.to_string());
                if judgement.class == ErrorClass::Unlisted {
                    marker!(
                        WS_UNHANDLED_ERROR,
                        order_id = id.0,
                        method = "add_order",
                        error = reason.to_string()
                    );
                }
                let moved = self.apply(id, OrderEvent::OutcomeUnknown, &note).await?;
                self.look_soon(id, 0);
                if moved && matches!(reason, UnknownReason::Timeout { .. }) {
                    self.after_timeout(id).await?;
                }
                Ok(())
            }
            OrderOutcome::NotSent(reason) => {
                note = EventNote { source: EventSource::Local, ..note };
                note = note.because(&reason.to_string());
                self.apply(id, OrderEvent::LocalRefusal, &note).await?;
                self.after_failed_send(id).await
            }
        }
    }

    async fn acked(
        &mut self,
        id: OrderId,
        answer: &OrderAnswer,
        note: &EventNote,
    ) -> Result<(), DeskError> {
        let first = self.tracker.get(id).is_some_and(|t| {
            matches!(t.record.state, OrderState::PendingSubmit | OrderState::SubmitUnknown)
        });
        self.apply(id, OrderEvent::Acked, note).await?;
        if let (Some(sent), Some(seen)) = (answer.sent_at, answer.answered_at) {
            let us = (seen.mono_ns - sent.mono_ns) / 1_000;
            self.note_latency(us);
            let stored = self.store.latency_acked(id, None, seen.wall, us).await;
            self.written(stored)?;
            if let Some(tracked) = self.tracker.get(id) {
                marker!(
                    ORDER_LATENCY,
                    order_id = id.0,
                    cl_ord_id = tracked.record.cl_ord_id.as_hyphenated().to_string(),
                    symbol = tracked.record.symbol.as_str(),
                    t1_submit_ts_local = sent.wall.rfc3339(),
                    t2_ack_seen_ts_local = seen.wall.rfc3339(),
                    submit_to_ack_seen_ms = us / 1_000
                );
            }
        }
        if first {
            self.after_live(id).await?;
        }
        failpoints::pass(failpoints::AFTER_ACK_BEFORE_FILL);
        Ok(())
    }

    async fn refused(
        &mut self,
        id: OrderId,
        text: &str,
        judgement: Judgement,
        note: &EventNote,
    ) -> Result<(), DeskError> {
        let event = match judgement.outcome {
            ErrorOutcome::Expired => OrderEvent::DeadlineElapsed,
            ErrorOutcome::Refused if text.contains(POST_ONLY_TEXT) => OrderEvent::VenueCanceled,
            ErrorOutcome::Refused | ErrorOutcome::Unknown | ErrorOutcome::Accepted => {
                OrderEvent::Refused
            }
        };
        self.learn_market(id, judgement.action);
        let applied = self.apply(id, event, note).await?;
        if applied && event == OrderEvent::Refused {
            self.after_refusal(id, judgement.class, text).await?;
        }
        if judgement.class == ErrorClass::Funds {
            self.on_funds_refused(id).await?;
        }
        self.after_failed_send(id).await
    }

    async fn on_cancel_answer(
        &mut self,
        id: OrderId,
        answer: &OrderAnswer,
    ) -> Result<(), DeskError> {
        self.close_mutation(id);
        match &answer.outcome {
            // The stream tells the end; a look follows should it stay silent.
            OrderOutcome::Acked { .. } => {
                self.confirm_soon(id, "CANCEL");
                Ok(())
            }
            OrderOutcome::NotSent(reason) => {
                let note = self.note().because(&reason.to_string());
                self.apply(id, OrderEvent::CancelRefused, &note).await?;
                Ok(())
            }
            OrderOutcome::Rejected { .. } | OrderOutcome::Unknown { .. } => {
                self.look_soon(id, 0);
                Ok(())
            }
        }
    }

    async fn on_amend_answer(
        &mut self,
        id: OrderId,
        answer: &OrderAnswer,
        terms: Terms,
    ) -> Result<(), DeskError> {
        match &answer.outcome {
            OrderOutcome::Acked { .. } => {
                self.close_mutation(id);
                let mut note = self.note_from(EventSource::WsMethod).named("amended");
                note.terms = terms;
                self.apply(id, OrderEvent::LiveReport, &note).await?;
                self.after_amend(id, true).await?;
                self.confirm_soon(id, "AMEND");
                Ok(())
            }
            OrderOutcome::Rejected { text, judgement } => {
                self.close_mutation(id);
                let of_quantity = terms.qty.is_some();
                self.after_amend_refusal(id, of_quantity, judgement.action, text).await?;
                self.look_soon(id, 0);
                Ok(())
            }
            // The request may still arrive: no other change before its deadline has passed.
            OrderOutcome::Unknown { .. } => {
                self.look_soon(id, 2_000);
                Ok(())
            }
            OrderOutcome::NotSent(_) => {
                self.close_mutation(id);
                Ok(())
            }
        }
    }

    /// Moves an order by one event; true when the event was applied.
    pub(crate) async fn apply(
        &mut self,
        id: OrderId,
        event: OrderEvent,
        note: &EventNote,
    ) -> Result<bool, DeskError> {
        let knows = Knowledge { adoptable: self.is_adoptable(id) };
        let applied = self.store.apply(id, event, note, knows).await;
        match self.written(applied)? {
            None | Some(Applied::Duplicate) => Ok(false),
            Some(Applied::Illegal(illegal)) => {
                marker!(ORDER_ILLEGAL_TRANSITION, order_id = id.0, reason = illegal.to_string());
                if let Some(symbol) = self.tracker.get(id).map(|t| t.record.symbol.clone()) {
                    self.exit_only(&symbol, "order_reject", "ORDER_ILLEGAL_TRANSITION").await?;
                }
                Ok(false)
            }
            Some(Applied::Done { before, after, step }) => {
                let mono = self.mono_ms();
                self.tracker.put((*after).clone(), mono);
                self.log_step(&before, &after, &step, note);
                self.effects(&before, &after, &step).await?;
                Ok(true)
            }
        }
    }

    fn log_step(&self, before: &OrderRecord, after: &OrderRecord, step: &Step, note: &EventNote) {
        let Some(name) = step.marker else { return };
        if before.state == after.state && name == "ORDER_ACK" {
            return;
        }
        let fields = Fields::new()
            .with("order_id", &after.order_id.0)
            .with("cl_ord_id", &after.cl_ord_id.as_hyphenated().to_string())
            .with("exchange_order_id", &after.exchange_order_id)
            .with("symbol", &after.symbol.as_str())
            .with("role", &after.role.as_str())
            .with("state", &after.state.as_str())
            .with("reason", &note.reason)
            .with("cum_qty", &after.cum_qty.to_string());
        Self::marker(name, &fields);
    }

    async fn effects(
        &mut self,
        before: &OrderRecord,
        after: &OrderRecord,
        step: &Step,
    ) -> Result<(), DeskError> {
        for effect in step.effects {
            match effect {
                Effect::LookUp => self.look_soon(after.order_id, 0),
                Effect::FetchTrades => self.look_soon(after.order_id, 0),
                Effect::CancelAtOnce => {
                    self.reconcile.doomed.insert(after.order_id);
                    self.spawn_cancel(after.order_id);
                }
                // The venue's text says for how long: the answer's handler has it.
                Effect::QuietSymbol
                | Effect::ReleaseReservation
                | Effect::CloseStandby
                | Effect::StoreVenueId
                | Effect::AlertCritical
                | Effect::RefreshTerms => {}
            }
        }
        if after.state == OrderState::SubmitUnknown && before.state != after.state {
            self.tell_unknown(after);
        }
        if after.state.is_terminal() && !before.state.is_terminal() {
            if after.enters() {
                marker!(
                    SYMBOL_EXECUTION_LOCK_RELEASED,
                    symbol = after.symbol.as_str(),
                    owner = "entry",
                    owner_ref = after.cl_ord_id.as_hyphenated().to_string()
                );
            }
            if step.effects.contains(&Effect::CloseStandby) && after.enters() {
                self.reload_standbys().await?;
            }
            self.after_end(after).await?;
        }
        Ok(())
    }

    /// A person hears at once of a send whose outcome is unknown; the mode waits for what the looks find.
    fn tell_unknown(&self, row: &OrderRecord) {
        let summary =
            format!("outcome of {} order {} is unknown, looked up", row.role, row.order_id.0);
        let occurrence = self.alerts.occurrence(ReasonCode::IntentSentUnknown, &summary);
        let metrics = Metrics::default().with("order_id", row.order_id.0);
        self.alerts.raise(occurrence.with_metrics(metrics).of_symbol(row.symbol.as_str()));
    }

    /// A stop over base that no other live reduce order covers.
    fn is_adoptable(&self, id: OrderId) -> bool {
        let Some(tracked) = self.tracker.get(id) else { return false };
        let row = &tracked.record;
        if row.role != OrderRole::Protection {
            return false;
        }
        let Some(held) = self.tracker.position_of(&row.symbol) else { return false };
        let position = held.position.position_id;
        let other = self
            .tracker
            .live()
            .any(|t| t.record.reduces() && t.record.position_id == Some(position));
        !other && held.base() > penstock_types::Decimal::ZERO
    }
}
