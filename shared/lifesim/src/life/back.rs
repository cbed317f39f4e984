//! The way back from an outage: rows are read, records applied, what memory was not told of is looked at.
//!
//! Input: records in their order. Output: the same events as with rows. Invariants: what went out without a write is
//! known as sent before its answer; what never went out ends; nothing older than now says anything about balances.

use penstock_trading::exit::closing::OrderView;
use penstock_trading::exit::plan::PlanEvent;
use penstock_trading::order::{Facts, OrderEvent, step};
use penstock_types::vocab::OrderState;

use super::outage::Record;
use super::{Cx, Life, Mem, Stop, Waiting};
use crate::rows::{Id, Note, Row, Status};

impl Life {
    pub(crate) fn read_anew(&mut self, cx: &mut Cx) -> Result<(), Stop> {
        let now = cx.now;
        self.write(cx, |_, _| ())?;
        self.lease = now;
        let rows: Vec<Row> = cx.db.rows.values().copied().collect();
        for row in rows {
            let known = self.mem.contains_key(&row.id);
            if known || !row.state.is_terminal() {
                self.put(row, now);
                if !known && !matches!(row.state, OrderState::Created | OrderState::PendingSubmit) {
                    self.look_soon(now, row.id, 0);
                }
            }
        }
        let open: Vec<Id> =
            cx.db.positions.values().filter(|p| p.status != Status::Closed).map(|p| p.id).collect();
        self.held.retain(|id, _| open.contains(id));
        for id in open {
            self.held.entry(id).or_default();
        }
        Ok(())
    }

    pub(crate) fn replay(&mut self, cx: &mut Cx, record: &Record) -> Result<(), Stop> {
        match record {
            Record::Event(event) => self.work(cx, event.clone()),
            Record::Released { id, qty, trigger, deadline } => {
                let note = Note {
                    qty: Some(*qty),
                    trigger: Some(*trigger),
                    deadline: Some(*deadline),
                    ..Note::default()
                };
                if self.waits(*id) {
                    self.put_aside(cx, Waiting::Released { id: *id, note })
                } else {
                    self.released(cx, *id, &note)
                }
            }
            Record::CancelSent(id) => {
                let takes = self.mem.get(id).is_some_and(|m| {
                    step(m.row.state, OrderEvent::CancelSent, Facts::UNTOUCHED).is_ok()
                });
                if takes {
                    self.apply(cx, *id, OrderEvent::CancelSent, &Note::default())?;
                }
                Ok(())
            }
        }
    }

    /// The row in stock that went out without a write is known to have been sent.
    pub(crate) fn released(&mut self, cx: &mut Cx, id: Id, note: &Note) -> Result<(), Stop> {
        if self.mem.get(&id).is_some_and(|m| m.row.state == OrderState::Created) {
            self.apply(cx, id, OrderEvent::PreauthSent, note)?;
        }
        if let Some(position) = self.mem.get(&id).and_then(|m| m.row.position) {
            self.plan_event(cx, position, PlanEvent::StopSubmitted)?;
        }
        Ok(())
    }

    pub(crate) fn after_outage(&mut self, cx: &mut Cx) -> Result<(), Stop> {
        // Let out by a commit without an answer, and not a byte of it went out.
        let never: Vec<Id> = self
            .mem
            .values()
            .filter(|m| m.row.state == OrderState::PendingSubmit && m.sent.is_none())
            .filter(|m| m.row.token == self.token)
            .map(|m| m.row.id)
            .collect();
        for id in never {
            self.apply(cx, id, OrderEvent::LocalRefusal, &Note::default())?;
        }
        self.full = Some(cx.now);
        // The event of a cancel may stand without its request, and a look may have been lost.
        let doubtful = |m: &&Mem| !matches!(m.view(), OrderView::Live | OrderView::Triggered);
        let asked: Vec<Id> = self.live().filter(doubtful).map(|m| m.row.id).collect();
        for id in asked {
            self.look_soon(cx.now, id, 0);
        }
        // A trade may be booked that memory was not told of: older balances say nothing.
        self.traded = Some(cx.now);
        if !self.complete {
            let ids: Vec<Id> = self.live().map(|m| m.row.id).collect();
            for id in ids {
                self.apply(cx, id, OrderEvent::Unverified, &Note::default())?;
            }
        }
        self.renew_standbys(cx)?;
        for id in self.held_ids() {
            self.protect(cx, id)?;
        }
        Ok(())
    }
}
