//! Looks by REST: one order, everything, a balance; proofs of absence; corrections.
//!
//! Input: what was true some time ago. Output: trades first, then states, unless the stream knows better. When an order
//! counts as absent and when a difference may be corrected, the product's functions say.

use penstock_trading::absence::{
    AbsenceInput, DEADLINE_SLACK_MS, ImageSeen, image_proves, is_proven,
};
use penstock_trading::exit::closing::cancel_is_lost;
use penstock_trading::ledger::difference::{
    Difference, DifferenceInput, SEEN_TWICE_MS, View, judge,
};
use penstock_trading::order::OrderEvent;
use penstock_types::vocab::OrderState;
use penstock_types::{Decimal, UtcMicros};

use super::{Cx, GRACE_MS, Life, STREAM_WINS_MS, Stop, Waiting};
use crate::book::{Around, LOT};
use crate::net::{LookKind, Seen, Verb};
use crate::rows::{Id, Note, Row};
use crate::venue::{Ask, Report, Said};

/// Pauses between looks at an order that stays unproven, ms.
const PAUSES_MS: [i64; 5] = [1_000, 2_000, 5_000, 15_000, 30_000];
/// A row without a deadline: the longest that a reduce order gets, ms.
const DEADLINE_MS: i64 = 5_000;
/// Distance of whole passes, ms.
const FULL_MS: i64 = 60_000;

fn deadline_of(row: &Row) -> i64 {
    row.deadline.unwrap_or(row.created + DEADLINE_MS)
}

impl Life {
    fn absence_of(&self, row: &Row, look: Option<i64>) -> AbsenceInput {
        let at = UtcMicros::from_millis;
        let image = self.image.map(|image| ImageSeen {
            asked: at(image.asked),
            reaches_back: self.image_reaches(row.created),
        });
        AbsenceInput {
            reduces: row.reduces(),
            deadline: at(deadline_of(row)),
            image,
            look_started: look.map(at),
            grace_ms: GRACE_MS,
        }
    }

    /// Time until a look can be the last proof that an order needs, ms.
    fn until_proof(&self, row: &Row, now: i64) -> i64 {
        if row.venue.is_some() {
            return 0;
        }
        let first = row.reduces() && !row.state.is_terminal();
        let slack = if first { DEADLINE_SLACK_MS } else { GRACE_MS };
        (deadline_of(row) + slack - now).max(0)
    }

    /// Wants a look at an order, not before `delay`.
    pub(crate) fn look_soon(&mut self, now: i64, id: Id, delay: i64) {
        let until = self.mem.get(&id).map_or(0, |m| self.until_proof(&m.row, now));
        if let Some(mem) = self.mem.get_mut(&id) {
            let at = usize::try_from(mem.looks).unwrap_or(0).min(PAUSES_MS.len() - 1);
            let later = PAUSES_MS[at].max(delay).max(until);
            let due = now + if mem.looks == 0 { delay } else { later };
            mem.look = Some(mem.look.map_or(due, |wanted| wanted.min(due)));
        }
    }

    /// The second look at a reduce order that the first proof alone has ended.
    pub(crate) fn look_after_grace(&mut self, now: i64, id: Id) {
        if let Some(mem) = self.mem.get_mut(&id).filter(|m| m.row.reduces()) {
            mem.look = Some((deadline_of(&mem.row) + GRACE_MS).max(now));
        }
    }

    /// Starts what is due.
    pub(crate) fn start_looks(&mut self, cx: &mut Cx) {
        let now = cx.now;
        let mut due = Vec::new();
        for (id, mem) in &mut self.mem {
            if !mem.looking && mem.look.is_some_and(|at| at <= now) {
                (mem.looking, mem.look) = (true, None);
                due.push(*id);
            }
        }
        for id in due {
            self.ask_look(cx, LookKind::Order(id));
        }
        if !self.full_open && self.full.is_some_and(|at| at <= now) {
            self.full_open = true;
            self.ask_look(cx, LookKind::Full);
        }
        let doubt = self.live().map(|m| &m.row).any(|row| {
            is_in_doubt(row)
                && now >= deadline_of(row) + DEADLINE_SLACK_MS
                && !image_proves(&self.absence_of(row, None))
        });
        let differs = self.watched.is_some_and(|at| at <= now);
        if differs {
            self.watched = Some(now + SEEN_TWICE_MS);
            self.ask_look(cx, LookKind::Balance);
        }
        if (doubt || differs) && now >= self.next_image {
            self.ask_image(cx);
        }
    }

    pub(crate) fn on_look(&mut self, cx: &mut Cx, seen: &Seen) -> Result<(), Stop> {
        match seen.kind {
            LookKind::Order(id) => self.on_order_look(cx, id, seen),
            LookKind::Full => self.on_full(cx, seen),
            LookKind::Balance => {
                for held in self.held.values_mut() {
                    held.reading = false;
                }
                if seen.whole {
                    self.believe_base(cx, seen);
                }
                self.judge_base(cx)
            }
        }
    }

    fn on_order_look(&mut self, cx: &mut Cx, id: Id, seen: &Seen) -> Result<(), Stop> {
        if let Some(mem) = self.mem.get_mut(&id) {
            mem.looking = false;
            mem.looks += 1;
        }
        if seen.whole {
            if let Some(found) = seen.orders.first() {
                for trade in &seen.trades {
                    self.book_found(cx, id, trade)?;
                }
                self.settle(cx, id, found)?;
            } else {
                self.absent(cx, id, seen.started)?;
            }
        }
        self.release_waiting(cx)?;
        let Some(mem) = self.mem.get_mut(&id) else { return Ok(()) };
        let doubtful =
            matches!(mem.row.state, OrderState::SubmitUnknown | OrderState::ReconcileRequired);
        let canceling = mem.row.state == OrderState::PendingCancel && mem.mutation.is_none();
        if doubtful || canceling {
            self.look_soon(cx.now, id, PAUSES_MS[0]);
        } else {
            mem.looks = 0;
        }
        Ok(())
    }

    /// Books a trade that a look found.
    fn book_found(&mut self, cx: &mut Cx, id: Id, trade: &Report) -> Result<(), Stop> {
        if self.sells_too_much(cx, id, trade) {
            return self.put_aside(cx, Waiting::Report(*trade));
        }
        self.book(cx, id, trade, Around::default()).map(|_| ())
    }

    /// The state that REST shows, unless the stream knows better.
    fn settle(&mut self, cx: &mut Cx, id: Id, found: &Report) -> Result<(), Stop> {
        let now = cx.now;
        let Some(mem) = self.mem.get_mut(&id) else { return Ok(()) };
        mem.told = mem.told.max(found.cum);
        let (row, fresh) = (mem.row, mem.is_fresh(now));
        if self.waits(id) {
            return row.parent.map_or(Ok(()), |parent| self.look_parent(cx, parent));
        }
        let Some(mem) = self.mem.get(&id) else { return Ok(()) };
        let amending = mem.mutation.is_some();
        if row.cum < found.cum {
            self.owed.insert(id, found.cum);
        }
        // The stream said that it has ended: REST lags.
        let over = self.mem.get(&id).and_then(|m| m.ended);
        let over = over.is_some_and(|at| now - at < STREAM_WINS_MS);
        let lacked = self.image_lacks.get(&id).is_some_and(|at| now - at < STREAM_WINS_MS);
        if found.open && ((fresh && row.state.is_terminal()) || lacked || over) {
            return Ok(());
        }
        let event = match found.said {
            Said::Pending | Said::Live => OrderEvent::LiveReport,
            Said::Trade if found.open => OrderEvent::LiveReport,
            Said::Trade | Said::Filled => OrderEvent::VenueFilled,
            Said::Canceled => OrderEvent::VenueCanceled,
            Said::Expired => OrderEvent::VenueExpired,
        };
        let mut note = Note { venue: Some(found.venue), cum: Some(found.cum), ..Note::default() };
        if !(amending || (fresh && found.open)) {
            (note.qty, note.trigger) = (Some(found.qty), found.trigger);
        }
        if row.state == OrderState::Created {
            self.apply(cx, id, OrderEvent::PreauthSent, &note)?;
        }
        // One that was never sent, or by a predecessor, is long over.
        let since_cancel = self.mem.get(&id).and_then(|m| m.cancel).map_or(i64::MAX, |at| now - at);
        let lost = cancel_is_lost(amending, fresh, since_cancel);
        if found.open && row.state == OrderState::PendingCancel && lost {
            self.apply(cx, id, OrderEvent::CancelRefused, &note)?;
            return Ok(());
        }
        let doubtful = matches!(
            row.state,
            OrderState::PendingSubmit
                | OrderState::SubmitUnknown
                | OrderState::Suspect
                | OrderState::ReconcileRequired
                | OrderState::Created
        );
        if found.open && !doubtful && !row.state.is_terminal() {
            return Ok(());
        }
        if self.apply(cx, id, event, &note)? && event == OrderEvent::LiveReport {
            return self.after_live(cx, id);
        }
        Ok(())
    }

    /// A whole look did not show the order.
    fn absent(&mut self, cx: &mut Cx, id: Id, started: i64) -> Result<(), Stop> {
        let Some(row) = self.mem.get(&id).map(|m| m.row) else { return Ok(()) };
        let sent = row.state == OrderState::PendingSubmit;
        if !(sent || is_in_doubt(&row)) || row.venue.is_some() || !row.cum.is_zero() {
            return Ok(());
        }
        if !is_proven(&self.absence_of(&row, Some(started))) {
            return Ok(());
        }
        self.apply(cx, id, OrderEvent::Unverified, &Note::default())?;
        self.apply(cx, id, OrderEvent::StreamBack, &Note::default())?;
        self.is_absent(cx, id)
    }

    fn is_absent(&mut self, cx: &mut Cx, id: Id) -> Result<(), Stop> {
        if !self.apply(cx, id, OrderEvent::ProvenAbsent, &Note::default())? {
            return Ok(());
        }
        self.look_after_grace(cx.now, id);
        self.after_failed_send(cx, id)
    }

    /// Orders that the image lacks and that need no second proof.
    pub(crate) fn absent_from_image(&mut self, cx: &mut Cx) -> Result<(), Stop> {
        let lost: Vec<Id> = self
            .live()
            .map(|m| m.row)
            .filter(|row| row.state == OrderState::ReconcileRequired && is_in_doubt(row))
            .filter(|row| row.reduces() && is_proven(&self.absence_of(row, None)))
            .map(|row| row.id)
            .collect();
        for id in lost {
            self.is_absent(cx, id)?;
        }
        Ok(())
    }

    /// Everything: trades of the history, what rests against our rows, base.
    fn on_full(&mut self, cx: &mut Cx, seen: &Seen) -> Result<(), Stop> {
        self.full_open = false;
        if !seen.whole {
            self.full = Some(cx.now + 1_000);
            return Ok(());
        }
        self.full = Some(cx.now + FULL_MS);
        for trade in &seen.trades {
            let Some((id, token)) = trade.own else { continue };
            if token > self.token {
                return Err(Stop::Fenced);
            }
            if !self.mem.contains_key(&id)
                && let Some(row) = self.write(cx, |db, _| db.rows.get(&id).copied())?
            {
                self.put(row, cx.now);
            }
            self.book_found(cx, id, trade)?;
        }
        self.history_done = true;
        let differing = self.compare(cx.now, seen);
        self.pass_differs = !differing.is_empty();
        self.pass_seen = self.pass_seen.max(Some(seen.started - STREAM_WINS_MS));
        for id in differing {
            self.look_soon(cx.now, id, 0);
        }
        self.believe_base(cx, seen);
        self.release_waiting(cx)?;
        self.judge_base(cx)
    }

    /// Orders that REST shows otherwise than our rows.
    fn compare(&self, now: i64, seen: &Seen) -> Vec<Id> {
        let shown = |id: Id| seen.orders.iter().find(|r| r.own.is_some_and(|(own, _)| own == id));
        let differs = |mem: &super::Mem| {
            let row = &mem.row;
            let found = shown(row.id);
            let behind = found.is_some_and(|r| r.cum > row.cum);
            let live = row.is_live() && row.venue.is_some();
            let other = match found.filter(|r| r.open) {
                None => live,
                Some(r) if row.state.is_terminal() => r.open,
                Some(r) => {
                    let stop = r.stop && r.trigger != row.trigger;
                    mem.mutation.is_none() && (r.qty != row.qty || r.cum != row.cum || stop)
                }
            };
            behind || (other && !mem.is_fresh(now))
        };
        self.mem.values().filter(|mem| differs(mem)).map(|mem| mem.row.id).collect()
    }

    /// Base as a message or a look showed it.
    pub(crate) fn see_base(&mut self, as_of: i64, amount: Decimal, now: i64) {
        let new = View { amount, as_of_ms: as_of };
        self.views = match self.views {
            Some((_, last)) if as_of < last.as_of_ms => self.views,
            Some((first, last)) if last.amount == amount => Some((first, new)),
            Some(_) | None => Some((new, new)),
        };
        if self.base.is_none() || as_of == now {
            self.base = Some(amount);
        }
    }

    fn believe_base(&mut self, cx: &Cx, seen: &Seen) {
        self.see_base(seen.started - STREAM_WINS_MS, seen.base, cx.now);
        let newest = self.views.map_or(0, |(_, last)| last.as_of_ms);
        if newest < seen.started {
            self.base = Some(seen.base);
        }
    }

    /// Base against the ledger.
    pub(crate) fn judge_base(&mut self, cx: &mut Cx) -> Result<(), Stop> {
        let Some((first, last)) = self.views.filter(|_| self.complete) else { return Ok(()) };
        let first = if self.traded.is_some_and(|at| first.as_of_ms <= at) { last } else { first };
        self.views = Some((first, last));
        let ledger: Decimal = cx.db.positions.values().map(|p| p.head.base).sum();
        let unproven = self.live().any(|m| {
            matches!(
                m.row.state,
                OrderState::PendingSubmit
                    | OrderState::SubmitUnknown
                    | OrderState::Suspect
                    | OrderState::ReconcileRequired
            )
        });
        let image = self.image.filter(|_| self.image_reaches(first.as_of_ms - STREAM_WINS_MS));
        let pass = self.pass_seen.filter(|_| !self.pass_differs);
        let booked_all = !self.owes();
        let input = DifferenceInput {
            first,
            last,
            ledger,
            tolerance: LOT,
            last_trade_ms: self.traded,
            orders_seen_ms: image.map(|image| image.asked).max(pass),
            queue_empty: !self.has_waiting(),
            unproven,
            booked_all,
        };
        match judge(&input) {
            Difference::None => self.watched = None,
            Difference::Watch => {
                self.watched.get_or_insert(first.as_of_ms + SEEN_TWICE_MS);
            }
            Difference::Correct(delta) => {
                self.watched = None;
                self.adjust(cx, delta)?;
            }
        }
        Ok(())
    }

    /// Cancels again what must not live.
    pub(crate) fn cancel_doomed(&mut self, cx: &mut Cx) -> Result<(), Stop> {
        let (mem, now) = (&self.mem, cx.now);
        self.doomed.retain(|id| mem.get(id).is_some_and(|m| m.row.is_live()));
        let due: Vec<Id> = self
            .doomed
            .iter()
            .filter(|id| {
                self.mem.get(id).is_some_and(|m| m.cancel.is_none_or(|at| now - at >= 5_000))
            })
            .copied()
            .collect();
        for id in due {
            // Its state may forbid a new event; the request alone is what is wanted.
            self.cancel(cx, id)?;
            let asked = self.mem.get(&id).is_some_and(|m| m.cancel == Some(now));
            let open = self.mem.get(&id).is_some_and(|m| m.mutation.is_none());
            if !asked && open {
                self.send(cx, id, Verb::Cancel, Ask::Cancel)?;
            }
        }
        Ok(())
    }
}

fn is_in_doubt(row: &Row) -> bool {
    let asks = matches!(row.state, OrderState::SubmitUnknown | OrderState::ReconcileRequired);
    asks && row.venue.is_none() && row.cum.is_zero()
}
