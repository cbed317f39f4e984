//! Orders: the one verb that moves them, answers, requests, ends.
//!
//! Input: events of the order machine, answers of the gateway. Output: rows, requests, looks. The answer is only an
//! acknowledgement; what became of the order is told by the stream, and either may come first.

use penstock_trading::exit::plan::PlanEvent;
use penstock_trading::order::{Effect, Facts, OrderEvent, step};
use penstock_types::Decimal;
use penstock_types::vocab::OrderState;

use super::{Cx, Life, Stop, Waiting};
use crate::net::Verb;
use crate::rows::{Applied, Id, Note, PlanChange, Role, Row};
use crate::venue::{Answer, Ask, Refusal};

/// Deadline of an amend after its decision, ms.
const AMEND_DEADLINE_MS: i64 = 2_000;

impl Life {
    /// Moves an order by one event; true when it was applied.
    pub(crate) fn apply(
        &mut self,
        cx: &mut Cx,
        id: Id,
        event: OrderEvent,
        note: &Note,
    ) -> Result<bool, Stop> {
        let adoptable = self.is_adoptable(cx, id);
        let applied = self.write(cx, |db, cover| db.apply(id, event, note, adoptable, cover))?;
        let Applied::Done { before, after, step } = applied else { return Ok(false) };
        self.put(after, cx.now);
        for effect in step.effects {
            match effect {
                Effect::LookUp | Effect::FetchTrades => self.look_soon(cx.now, id, 0),
                Effect::CancelAtOnce => {
                    self.doomed.insert(id);
                    self.send(cx, id, Verb::Cancel, Ask::Cancel)?;
                }
                Effect::ReleaseReservation
                | Effect::CloseStandby
                | Effect::StoreVenueId
                | Effect::QuietSymbol
                | Effect::AlertCritical
                | Effect::RefreshTerms => {}
            }
        }
        if step.effects.contains(&Effect::CloseStandby) {
            self.reload_standbys(cx);
        }
        if after.state.is_terminal() && !before.state.is_terminal() {
            self.ended(cx, &after)?;
        }
        Ok(true)
    }

    /// A stop over base that no other live reduce order covers.
    fn is_adoptable(&self, cx: &Cx, id: Id) -> bool {
        let Some(mem) = self.mem.get(&id).filter(|m| m.row.role == Role::Stop) else {
            return false;
        };
        let Some(position) = cx.db.open_position() else { return false };
        let other = self.live().any(|m| m.row.reduces() && m.row.position == Some(position.id));
        !other && position.head.base > Decimal::ZERO && mem.row.state.is_terminal()
    }

    /// Standby rows as the database has them.
    pub(crate) fn reload_standbys(&mut self, cx: &Cx) {
        // One that went out without a write is in stock by its row, and its request is open all the same.
        let stock = |id: &Id| cx.db.rows.get(id).is_some_and(|r| r.state == OrderState::Created);
        self.mem.retain(|id, m| m.row.state != OrderState::Created || stock(id));
        for row in cx.db.rows.values() {
            let known = self.mem.contains_key(&row.id);
            if row.state == OrderState::Created || (!known && row.is_live()) {
                self.put(*row, cx.now);
                if row.state != OrderState::Created {
                    self.look_soon(cx.now, row.id, 0);
                }
            }
        }
    }

    pub(crate) fn close_mutation(&mut self, id: Id) {
        if let Some(mem) = self.mem.get_mut(&id) {
            mem.mutation = None;
        }
    }

    /// An answer; `in_time` is false when its time was over before.
    pub(crate) fn on_answer(
        &mut self,
        cx: &mut Cx,
        id: Id,
        verb: Verb,
        answer: Answer,
        in_time: bool,
    ) -> Result<(), Stop> {
        if !self.mem.contains_key(&id) {
            return Ok(());
        }
        if verb == Verb::Add && self.waits(id) {
            return self.put_aside(cx, Waiting::Answer(id, answer));
        }
        if !in_time && verb != Verb::Add {
            // Another request of the order may be open by now: only a look tells.
            self.look_soon(cx.now, id, 0);
            return Ok(());
        }
        match verb {
            Verb::Add => self.on_add_answer(cx, id, answer),
            Verb::Cancel => {
                self.close_mutation(id);
                match answer {
                    Answer::Acked(_) => self.look_soon(cx.now, id, 2_000),
                    Answer::Refused(_) | Answer::Expired | Answer::Unknown => {
                        self.look_soon(cx.now, id, 0);
                    }
                }
                Ok(())
            }
            Verb::Amend { qty, trigger } => self.on_amend_answer(cx, id, answer, qty, trigger),
        }
    }

    pub(crate) fn on_add_answer(
        &mut self,
        cx: &mut Cx,
        id: Id,
        answer: Answer,
    ) -> Result<(), Stop> {
        // One that comes late or twice must not end what was asked since.
        if self.mem.get(&id).and_then(|m| m.mutation).is_some_and(|m| m.verb == Verb::Add) {
            self.close_mutation(id);
        }
        match answer {
            Answer::Acked(venue) => {
                let first = self.mem.get(&id).is_some_and(|m| {
                    matches!(m.row.state, OrderState::PendingSubmit | OrderState::SubmitUnknown)
                });
                let note = Note { venue: Some(venue), ..Note::default() };
                self.apply(cx, id, OrderEvent::Acked, &note)?;
                if first { self.after_live(cx, id) } else { Ok(()) }
            }
            Answer::Expired => {
                self.apply(cx, id, OrderEvent::DeadlineElapsed, &Note::default())?;
                self.after_failed_send(cx, id)
            }
            Answer::Refused(why) => {
                self.apply(cx, id, OrderEvent::Refused, &Note::default())?;
                if why == Refusal::Funds {
                    self.on_funds_refused(cx, id)?;
                }
                self.after_failed_send(cx, id)
            }
            Answer::Unknown => {
                self.apply(cx, id, OrderEvent::OutcomeUnknown, &Note::default())?;
                self.look_soon(cx.now, id, 0);
                Ok(())
            }
        }
    }

    fn on_amend_answer(
        &mut self,
        cx: &mut Cx,
        id: Id,
        answer: Answer,
        qty: Option<Decimal>,
        trigger: Option<Decimal>,
    ) -> Result<(), Stop> {
        match answer {
            Answer::Acked(_) => {
                self.close_mutation(id);
                let note = Note { qty, trigger, ..Note::default() };
                self.apply(cx, id, OrderEvent::LiveReport, &note)?;
                self.after_amend(cx, id, true)?;
                self.look_soon(cx.now, id, 2_000);
                Ok(())
            }
            Answer::Refused(why) => {
                self.close_mutation(id);
                let position = self.mem.get(&id).and_then(|m| m.row.position);
                if let Some(held) = position.and_then(|p| self.held.get_mut(&p)) {
                    held.amend_refused = Some(cx.now);
                    held.amend_refusals += i32::from(qty.is_some() && why != Refusal::Mode);
                }
                self.after_amend(cx, id, false)?;
                self.look_soon(cx.now, id, 0);
                Ok(())
            }
            Answer::Expired => {
                self.close_mutation(id);
                self.look_soon(cx.now, id, 0);
                Ok(())
            }
            // It may still arrive: no other change before its deadline has passed.
            Answer::Unknown => {
                self.look_soon(cx.now, id, 2_000);
                Ok(())
            }
        }
    }

    /// Requests whose answer did not come in time.
    pub(crate) fn overdue(&mut self, now: i64) -> Vec<(Id, Verb)> {
        let mut over = Vec::new();
        for (id, mem) in &mut self.mem {
            let Some(mutation) = &mut mem.mutation else { continue };
            if mutation.until.is_some_and(|until| now >= until) {
                mem.mutation = None;
            } else if !mutation.timed_out && now - mutation.sent >= super::ACK_MS {
                mutation.timed_out = true;
                over.push((*id, mutation.verb));
            }
        }
        over
    }

    /// Sends a committed order.
    pub(crate) fn send_row(&mut self, cx: &mut Cx, row: &Row) -> Result<(), Stop> {
        let expires = (row.role == Role::Entry).then_some(row.created + 25_000);
        let ask = Ask::Add {
            sells: row.reduces(),
            qty: row.qty,
            limit: row.limit,
            trigger: row.trigger.filter(|_| row.role == Role::Stop),
            rests: row.rests,
            expires,
            deadline: row.deadline,
        };
        self.send(cx, row.id, Verb::Add, ask)
    }

    /// Cancels a live order; nothing happens while another request of it is open.
    pub(crate) fn cancel(&mut self, cx: &mut Cx, id: Id) -> Result<(), Stop> {
        let ready = self.mem.get(&id).is_some_and(|m| {
            m.mutation.is_none()
                && m.row.is_live()
                && step(m.row.state, OrderEvent::CancelSent, Facts::UNTOUCHED).is_ok()
        });
        if !ready || !self.apply(cx, id, OrderEvent::CancelSent, &Note::default())? {
            return Ok(());
        }
        self.send(cx, id, Verb::Cancel, Ask::Cancel)
    }

    /// Changes a resting stop. The machine that asks for it knows whether another request is open.
    pub(crate) fn amend(
        &mut self,
        cx: &mut Cx,
        id: Id,
        qty: Option<Decimal>,
        trigger: Option<Decimal>,
    ) -> Result<(), Stop> {
        let deadline = cx.now + AMEND_DEADLINE_MS;
        self.send(cx, id, Verb::Amend { qty, trigger }, Ask::Amend { qty, trigger, deadline })
    }

    /// The venue says that the account cannot fund the order: what else of ours sells goes.
    fn on_funds_refused(&mut self, cx: &mut Cx, id: Id) -> Result<(), Stop> {
        if !self.mem.get(&id).is_some_and(|m| m.row.reduces()) {
            return Ok(());
        }
        let others: Vec<Id> = self.live().filter(|m| m.row.reduces()).map(|m| m.row.id).collect();
        for other in others {
            self.cancel(cx, other)?;
        }
        Ok(())
    }

    /// A stop did not reach the venue.
    pub(crate) fn after_failed_send(&mut self, cx: &mut Cx, id: Id) -> Result<(), Stop> {
        let Some(row) = self.mem.get(&id).map(|m| m.row) else { return Ok(()) };
        let Some(position) = row.position.filter(|_| row.role == Role::Stop) else { return Ok(()) };
        if let Some(held) = self.held.get_mut(&position) {
            held.failures += 1;
            held.failed = cx.now;
        }
        let change = PlanChange { event: Some(PlanEvent::StopFailed), ..PlanChange::default() };
        self.change_plan(cx, position, &change)?;
        Ok(())
    }

    /// An order has ended.
    pub(crate) fn ended(&mut self, cx: &mut Cx, row: &Row) -> Result<(), Stop> {
        if !row.reduces() {
            let open = cx.db.open_position().map(|p| p.id);
            return open.map_or(Ok(()), |position| self.protect(cx, position));
        }
        let Some(position) = row.position else { return Ok(()) };
        if row.role == Role::Close
            && !row.rests
            && let Some(held) = self.held.get_mut(&position)
        {
            let filled = row.cum > Decimal::ZERO;
            held.close_refusals = if filled { 0 } else { held.close_refusals + 1 };
            held.close_refused = cx.now;
        }
        if self.is_closing(cx, position) {
            return self.closing_step(cx, position);
        }
        let base = cx.db.positions.get(&position).map_or(Decimal::ZERO, |p| p.head.base);
        if row.role == Role::Stop && base > Decimal::ZERO && self.held.contains_key(&position) {
            let change = PlanChange {
                event: Some(PlanEvent::StopLost),
                protected: Some(Decimal::ZERO),
                ..PlanChange::default()
            };
            self.change_plan(cx, position, &change)?;
            self.protect(cx, position)?;
        }
        Ok(())
    }
}
