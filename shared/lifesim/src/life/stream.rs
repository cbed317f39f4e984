//! The private stream: reports one by one, images, its loss.
//!
//! Input: reports. Output: fills first, then states. A report that the venue made before one that was taken already says
//! nothing about now, but a trade is never late; the stop of an entry waits for the entry's fill.

use penstock_trading::order::OrderEvent;
use penstock_trading::standby::{StandbyRow, waits_for_parent};
use penstock_types::Decimal;
use penstock_types::vocab::OrderState;

use super::{Cx, Image, Life, Stop, Waiting};
use crate::book::Around;
use crate::rows::{Id, Note};
use crate::venue::{Report, Said};

/// A report whose order does not come is given up after this, ms.
const WAITING_MS: i64 = 30_000;
/// Trades of a whole image.
const IMAGE_TRADES: usize = 50;

/// The event of a report that carries no trade.
pub(crate) const fn event_of(said: Said) -> OrderEvent {
    match said {
        Said::Pending => OrderEvent::VenuePending,
        Said::Live => OrderEvent::LiveReport,
        Said::Filled => OrderEvent::VenueFilled,
        Said::Canceled => OrderEvent::VenueCanceled,
        Said::Expired => OrderEvent::VenueExpired,
        Said::Trade => OrderEvent::Unverified,
    }
}

impl Life {
    /// The row that a report is about; a newer token ends the session.
    pub(crate) fn correlate(&self, report: &Report) -> Result<Option<Id>, Stop> {
        let Some((id, token)) = report.own else { return Ok(None) };
        if token > self.token && !self.mem.contains_key(&id) {
            return Err(Stop::Fenced);
        }
        Ok(Some(id))
    }

    pub(crate) fn on_report(
        &mut self,
        cx: &mut Cx,
        report: &Report,
        stream: bool,
    ) -> Result<(), Stop> {
        let Some(id) = self.correlate(report)? else { return Ok(()) };
        if !self.mem.contains_key(&id) {
            // Its row was ended long ago, or by a predecessor.
            let row = self.write(cx, |db, _| db.rows.get(&id).copied())?;
            let Some(row) = row else { return Ok(()) };
            self.put(row, cx.now);
        }
        self.one_report(cx, id, report, stream)?;
        self.release_waiting(cx)
    }

    fn one_report(
        &mut self,
        cx: &mut Cx,
        id: Id,
        report: &Report,
        stream: bool,
    ) -> Result<(), Stop> {
        let now = cx.now;
        let Some(mem) = self.mem.get_mut(&id) else { return Ok(()) };
        if stream && report.trade.is_none() && report.at < mem.heard_at {
            self.look_soon(now, id, 0);
            return Ok(());
        }
        mem.heard = Some(now);
        mem.heard_at = mem.heard_at.max(report.at);
        mem.told = mem.told.max(report.cum);
        if stream && report.trade.is_none() {
            mem.ended = (!report.open).then_some(now);
        }
        let row = mem.row;
        self.image_lacks.remove(&id);
        if row.cum < report.cum {
            self.owed.insert(id, report.cum);
        }
        if self.waits(id) {
            return self.put_aside(cx, Waiting::Report(*report));
        }
        if self.sells_too_much(cx, id, report) {
            return self.put_aside(cx, Waiting::Report(*report));
        }
        if report.trade.is_some() {
            let around =
                Around { qty: Some(report.qty), cum: Some(report.cum), ..Around::default() };
            self.book(cx, id, report, around)?;
            return Ok(());
        }
        self.take_state(cx, id, report, stream)
    }

    fn take_state(
        &mut self,
        cx: &mut Cx,
        id: Id,
        report: &Report,
        stream: bool,
    ) -> Result<(), Stop> {
        let note = note_of(report, stream);
        if self.mem.get(&id).is_some_and(|m| m.row.state == OrderState::Created) {
            self.apply(cx, id, OrderEvent::PreauthSent, &Note { key: None, ..note })?;
        }
        let event = event_of(report.said);
        if event == OrderEvent::VenuePending {
            return Ok(());
        }
        let was_live = self.mem.get(&id).is_some_and(|m| {
            matches!(
                m.row.state,
                OrderState::AckedOpen | OrderState::PartiallyFilled | OrderState::PendingCancel
            )
        });
        let applied = self.apply(cx, id, event, &note)?;
        let after = self.mem.get(&id).map(|m| m.row).filter(|row| {
            applied
                && event == OrderEvent::LiveReport
                && matches!(row.state, OrderState::AckedOpen | OrderState::PartiallyFilled)
        });
        if after.is_some_and(|row| row.qty != report.qty || row.trigger != report.trigger) {
            cx.broken(format!("order {id} lives with other terms than the venue told"));
        }
        if report.triggered && report.open {
            self.on_stop_triggered(cx, id)?;
        }
        if applied && event == OrderEvent::LiveReport {
            return if was_live { self.after_amend(cx, id, true) } else { self.after_live(cx, id) };
        }
        Ok(())
    }

    /// The row stands by for an entry whose fill is not booked.
    pub(crate) fn waits(&self, id: Id) -> bool {
        self.mem.get(&id).is_some_and(|m| {
            waits_for_parent(&StandbyRow {
                state: m.row.state,
                has_position: m.row.position.is_some(),
                has_parent: m.row.parent.is_some(),
            })
        })
    }

    /// Entries that may have executed more than what is booked.
    fn owed_buys(&self) -> impl Iterator<Item = Id> + '_ {
        let behind = |m: &&super::Mem| !m.row.reduces() && (m.row.cum < m.told || m.row.is_live());
        self.mem.values().filter(behind).map(|m| m.row.id)
    }

    /// A sale of more than what is booked, while an entry may have bought more: its trades come first.
    pub(crate) fn sells_too_much(&self, cx: &Cx, id: Id, report: &Report) -> bool {
        let Some(trade) = report.trade else { return false };
        let sells = self.mem.get(&id).is_some_and(|m| m.row.reduces());
        let known = cx.db.fills.contains(&(id, trade.exec));
        let base = cx.db.open_position().map_or(Decimal::ZERO, |p| p.head.base);
        sells && !known && trade.qty > base && self.owed_buys().next().is_some()
    }

    /// Something waits for the fill of an entry, which is looked at, also when it has ended.
    pub(crate) fn put_aside(&mut self, cx: &mut Cx, what: Waiting) -> Result<(), Stop> {
        let id = match what {
            Waiting::Report(report) => report.own.map(|(id, _)| id),
            Waiting::Released { id, .. } | Waiting::Answer(id, _) => Some(id),
        };
        let parent = id.and_then(|id| self.mem.get(&id)).and_then(|m| m.row.parent);
        let buys: Vec<Id> = self.owed_buys().collect();
        for entry in buys {
            self.look_soon(cx.now, entry, 0);
        }
        self.waiting.push_back((cx.now, what));
        parent.map_or(Ok(()), |parent| self.look_parent(cx, parent))
    }

    pub(crate) fn look_parent(&mut self, cx: &mut Cx, parent: Id) -> Result<(), Stop> {
        if !self.mem.contains_key(&parent)
            && let Some(row) = self.write(cx, |db, _| db.rows.get(&parent).copied())?
        {
            self.put(row, cx.now);
        }
        self.look_soon(cx.now, parent, 0);
        Ok(())
    }

    /// Reports that waited for something that is known now.
    pub(crate) fn release_waiting(&mut self, cx: &mut Cx) -> Result<(), Stop> {
        let ready = |life: &Self, cx: &Cx, what: &Waiting| {
            let id = match what {
                Waiting::Report(report) => report.own.map(|(id, _)| id),
                Waiting::Released { id, .. } | Waiting::Answer(id, _) => Some(*id),
            };
            let short = match what {
                Waiting::Report(report) => id.is_some_and(|id| life.sells_too_much(cx, id, report)),
                Waiting::Released { .. } | Waiting::Answer(..) => false,
            };
            id.is_some_and(|id| life.mem.contains_key(&id) && !life.waits(id)) && !short
        };
        while let Some(at) = self.waiting.iter().position(|(_, what)| ready(self, cx, what)) {
            let Some((_, what)) = self.waiting.remove(at) else { return Ok(()) };
            match what {
                Waiting::Report(report) => {
                    if let Some((id, _)) = report.own {
                        self.one_report(cx, id, &report, false)?;
                    }
                }
                Waiting::Released { id, note } => self.released(cx, id, &note)?,
                Waiting::Answer(id, answer) => self.on_add_answer(cx, id, answer)?,
            }
        }
        Ok(())
    }

    /// Reports whose time is over: everything is looked at.
    pub(crate) fn expire_waiting(&mut self, now: i64) {
        while self.waiting.front().is_some_and(|(since, _)| now - since > WAITING_MS) {
            self.waiting.pop_front();
            self.full = Some(now);
        }
    }

    pub(crate) fn on_image(
        &mut self,
        cx: &mut Cx,
        asked: i64,
        open: &[Report],
        trades: &[Report],
    ) -> Result<(), Stop> {
        self.in_snapshot = true;
        let applied = self.apply_image(cx, asked, open, trades);
        self.in_snapshot = false;
        applied?;
        for id in self.held_ids() {
            self.protect(cx, id)?;
        }
        self.judge_base(cx)
    }

    fn apply_image(
        &mut self,
        cx: &mut Cx,
        asked: i64,
        open: &[Report],
        trades: &[Report],
    ) -> Result<(), Stop> {
        let waiting: Vec<Id> = self
            .live()
            .filter(|m| matches!(m.row.state, OrderState::Suspect | OrderState::SubmitUnknown))
            .map(|m| m.row.id)
            .collect();
        for id in waiting {
            self.apply(cx, id, OrderEvent::StreamBack, &Note::default())?;
        }
        for report in trades.iter().chain(open) {
            self.on_report(cx, report, false)?;
        }
        self.snapshot_seen = true;
        let oldest = trades.first().map(|report| report.at / 1_000);
        let since = oldest.filter(|_| trades.len() >= IMAGE_TRADES);
        self.image = Some(Image { asked, since });
        // What lived before it was asked for and is not in it has ended: how, a look says.
        let shown = |venue: Option<u64>| open.iter().any(|r| Some(r.venue) == venue);
        let ended: Vec<Id> = self
            .live()
            .filter(|m| m.row.venue.is_some() && !shown(m.row.venue))
            .filter(|m| m.changed < asked || m.row.state == OrderState::ReconcileRequired)
            .map(|m| m.row.id)
            .collect();
        for id in ended {
            self.image_lacks.insert(id, asked);
            self.apply(cx, id, OrderEvent::Unverified, &Note::default())?;
        }
        self.absent_from_image(cx)?;
        let doubtful: Vec<Id> = self
            .live()
            .filter(|m| m.row.state == OrderState::ReconcileRequired)
            .map(|m| m.row.id)
            .collect();
        for id in doubtful {
            self.look_soon(cx.now, id, 0);
        }
        Ok(())
    }

    /// The socket was lost: all that lives is in doubt.
    pub(crate) fn on_lost(&mut self, cx: &mut Cx) -> Result<(), Stop> {
        self.conn = None;
        self.connect = cx.now + cx.dice.between(300, 1_500);
        self.snapshot_seen = false;
        self.full = Some(cx.now);
        let ids: Vec<Id> = self.live().map(|m| m.row.id).collect();
        for id in ids {
            self.apply(cx, id, OrderEvent::StreamLost, &Note::default())?;
        }
        Ok(())
    }

    /// Executed quantities that are not booked yet.
    pub(crate) fn owes(&mut self) -> bool {
        let mem = &self.mem;
        self.owed.retain(|id, told| mem.get(id).is_some_and(|m| m.row.cum < *told));
        !self.owed.is_empty()
    }

    pub(crate) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The image would show every trade since this time, ms.
    pub(crate) fn image_reaches(&self, since: i64) -> bool {
        self.image.is_some_and(|image| image.since.is_none_or(|from| from <= since))
    }
}

/// The note of a report.
fn note_of(report: &Report, stream: bool) -> Note {
    Note {
        venue: Some(report.venue),
        cum: Some(report.cum),
        qty: Some(report.qty),
        trigger: report.trigger.filter(|trigger| *trigger > Decimal::ZERO),
        deadline: None,
        key: stream.then_some((report.said as u8, report.at)),
    }
}
