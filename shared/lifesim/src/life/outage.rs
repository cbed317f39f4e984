//! Without the decision cluster: shadows of orders, kept records, stops in stock.
//!
//! Input: events. Output: requests without a write, as far as the product's rule allows them, and the records that are
//! applied in their order when the cluster is back. It closes nothing and raises no level.

use std::collections::{BTreeMap, VecDeque};

use penstock_trading::exit::closing::OrderView;
use penstock_trading::exit::trigger::stop_ceiling;
use penstock_trading::order::{OrderEvent, Said, Shadow};
use penstock_trading::protection::{ProtectAction, ProtectInput, StopView, next};
use penstock_trading::standby::may_send_cut_off;
use penstock_types::Decimal;
use penstock_types::vocab::OrderState;

use super::positions::{REDUCE_DEADLINE_MS, min_qty};
use super::stream::event_of;
use super::{Cx, Life, Mem, PREAUTH_MS, Stop, view_of};
use crate::book::{LOT, TICK};
use crate::net::{Event, Verb};
use crate::rows::{Id, Role, Row};
use crate::venue::{Answer, Ask, Report};

/// What was done or heard without rows.
#[derive(Clone, Debug)]
pub(crate) enum Record {
    Event(Event),
    Released { id: Id, qty: Decimal, trigger: Decimal, deadline: i64 },
    CancelSent(Id),
}

/// State.
#[derive(Debug, Default)]
pub struct Outage {
    shadows: BTreeMap<Id, Shadow>,
    records: VecDeque<Record>,
    failures: i32,
    failed: i64,
    /// Base of the open position when the rows were read last.
    base: Decimal,
    next_probe: i64,
}

impl Life {
    /// The cluster was found away outside of any event.
    ///
    /// # Errors
    /// The process has ended.
    pub fn lose_rows(&mut self, cx: &mut Cx) -> Result<(), Stop> {
        self.begin_outage(cx, Event::Tick)
    }

    pub(crate) fn begin_outage(&mut self, cx: &mut Cx, event: Event) -> Result<(), Stop> {
        // Memory's own view of the rows: the last commit may have had no answer.
        let base = self.known_base;
        if cx.cover.trace {
            println!("{:>8} life {} is without rows", cx.now, self.no);
        }
        self.outage =
            Some(Outage { base, failed: cx.now, next_probe: cx.now + 500, ..Outage::default() });
        for mem in self.mem.values_mut() {
            if core::mem::take(&mut mem.looking) {
                mem.look = Some(cx.now);
            }
        }
        self.full_open = false;
        self.full = Some(cx.now);
        self.remember(cx, event)?;
        self.hold(cx)
    }

    pub(crate) fn during(&mut self, cx: &mut Cx, event: Event) -> Result<(), Stop> {
        self.pass()?;
        match event {
            Event::Tick => {
                self.reconnect(cx);
                self.time_out_shaded(cx)?;
                let due = self.outage.as_ref().is_some_and(|o| cx.now >= o.next_probe);
                if due && self.reaches(cx) {
                    return self.come_back(cx);
                }
            }
            event => self.remember(cx, event)?,
        }
        self.hold(cx)
    }

    fn keep(&mut self, record: Record) {
        if let Some(outage) = &mut self.outage {
            outage.records.push_back(record);
        }
    }

    /// Takes an event into the shadows and keeps it for the rows.
    fn remember(&mut self, cx: &mut Cx, event: Event) -> Result<(), Stop> {
        match &event {
            Event::Report(report) => self.shade_report(report, None)?,
            Event::Image { open, trades, .. } => {
                for report in trades.iter().chain(open) {
                    let sum = trades.iter().filter(|t| t.own == report.own);
                    let sum: Decimal = sum.filter_map(|t| t.trade).map(|t| t.qty).sum();
                    self.shade_report(report, Some(sum))?;
                }
            }
            Event::Answer(id, verb, answer, in_time) => {
                self.shade_answer(cx.now, *id, *verb, *answer, *in_time);
            }
            Event::Lost => {
                (self.conn, self.snapshot_seen) = (None, false);
                self.connect = cx.now + cx.dice.between(300, 1_500);
                let ids: Vec<Id> = self.live().map(|m| m.row.id).collect();
                for id in ids {
                    self.shade(id, OrderEvent::StreamLost, Said::default());
                }
            }
            Event::Look(_) | Event::Tick => return Ok(()),
            Event::Balance(..) => {}
        }
        self.keep(Record::Event(event));
        Ok(())
    }

    fn shade_report(&mut self, report: &Report, image: Option<Decimal>) -> Result<(), Stop> {
        let Some(id) = self.correlate(report)?.filter(|id| self.mem.contains_key(id)) else {
            return Ok(());
        };
        // As with rows: what the venue said before what is known says nothing about now.
        if let Some(mem) = self.mem.get_mut(&id).filter(|_| image.is_none()) {
            if report.trade.is_none() && report.at < mem.heard_at {
                return Ok(());
            }
            mem.heard_at = mem.heard_at.max(report.at);
        }
        let cum = image.map_or(report.cum, |sum| sum.max(report.cum));
        let said = crate_said(report, cum);
        if self.shadow(id).is_some_and(|s| s.state == OrderState::Created) {
            self.shade(id, OrderEvent::PreauthSent, said);
        }
        let event = if report.trade.is_some() { OrderEvent::Fill } else { event_of(report.said) };
        self.shade(id, event, said);
        if let Some(mem) = self.mem.get_mut(&id) {
            mem.triggered |= report.triggered && report.open;
        }
        Ok(())
    }

    fn shade_answer(&mut self, now: i64, id: Id, verb: Verb, answer: Answer, in_time: bool) {
        let amends = matches!(verb, Verb::Amend { .. });
        if let Some(mem) = self.mem.get_mut(&id)
            && in_time
            && !(answer == Answer::Unknown && amends)
        {
            mem.mutation = None;
        }
        let event = match (verb, answer) {
            (Verb::Add, Answer::Acked(_)) => Some(OrderEvent::Acked),
            (Verb::Add, Answer::Refused(_)) => Some(OrderEvent::Refused),
            (Verb::Add, Answer::Expired) => Some(OrderEvent::DeadlineElapsed),
            (Verb::Add, Answer::Unknown) => Some(OrderEvent::OutcomeUnknown),
            (Verb::Amend { .. }, Answer::Acked(_)) => Some(OrderEvent::LiveReport),
            (Verb::Amend { .. } | Verb::Cancel, _) => None,
        };
        let said = match verb {
            Verb::Amend { qty, trigger } => Said { qty, trigger, cum_qty: None },
            Verb::Add | Verb::Cancel => Said::default(),
        };
        if let Some(event) = event {
            self.shade(id, event, said);
        }
        let failed = matches!(answer, Answer::Refused(_) | Answer::Expired) && verb != Verb::Cancel;
        if let Some(outage) = self.outage.as_mut().filter(|_| failed) {
            (outage.failures, outage.failed) = (outage.failures + 1, now);
        }
    }

    fn time_out_shaded(&mut self, cx: &mut Cx) -> Result<(), Stop> {
        for (id, verb) in self.overdue(cx.now) {
            self.remember(cx, Event::Answer(id, verb, Answer::Unknown, true))?;
        }
        Ok(())
    }

    /// The order as it is known without its row.
    fn shadow(&self, id: Id) -> Option<Shadow> {
        let shaded = self.outage.as_ref().and_then(|o| o.shadows.get(&id)).copied();
        shaded.or_else(|| {
            self.mem.get(&id).map(|m| Shadow {
                state: m.row.state,
                qty: m.row.qty,
                cum_qty: m.row.cum,
                trigger: m.row.trigger,
            })
        })
    }

    fn shade(&mut self, id: Id, event: OrderEvent, said: Said) {
        let Some(mut shadow) = self.shadow(id) else { return };
        shadow.take(event, said);
        if let Some(outage) = &mut self.outage {
            outage.shadows.insert(id, shadow);
        }
    }

    /// Everything that may be done now.
    fn hold(&mut self, cx: &mut Cx) -> Result<(), Stop> {
        if !may_send_cut_off(true, cx.now - self.lease, PREAUTH_MS) || self.outage.is_none() {
            return Ok(());
        }
        let live = |life: &Self, id: Id| life.shadow(id).is_some_and(|s| s.is_live());
        let entries: Vec<Id> = self
            .mem
            .values()
            .filter(|m| !m.row.reduces() && m.mutation.is_none() && live(self, m.row.id))
            .filter(|m| m.cancel.is_none_or(|at| cx.now - at >= 5_000))
            .map(|m| m.row.id)
            .collect();
        for id in entries {
            self.shade(id, OrderEvent::CancelSent, Said::default());
            self.keep(Record::CancelSent(id));
            self.send(cx, id, Verb::Cancel, Ask::Cancel)?;
        }
        self.guard(cx)
    }

    /// Base of the open position with what was executed since its rows were written.
    #[must_use]
    pub fn base_unwritten(&self) -> Decimal {
        let Some(outage) = &self.outage else { return Decimal::ZERO };
        let moved = outage.shadows.iter().filter_map(|(id, shadow)| {
            let row = &self.mem.get(id)?.row;
            let executed = shadow.cum_qty - row.cum;
            Some(if row.reduces() { -executed } else { executed })
        });
        (outage.base + moved.sum::<Decimal>()).max(Decimal::ZERO)
    }

    fn live_shadow(&self, role: Role) -> Option<(Row, Shadow)> {
        // A row whose commit was not answered stands, but not a byte of it went out.
        let never = |m: &Mem| {
            let own = m.row.token == self.token && m.sent.is_none();
            own && m.row.state == OrderState::PendingSubmit
        };
        let rows = self.mem.values().filter(|m| !never(m)).map(|m| m.row);
        let rows = rows.filter(|r| r.role == role);
        rows.filter_map(|r| Some((r, self.shadow(r.id)?))).find(|(_, shadow)| shadow.is_live())
    }

    /// The stop in stock that was not used yet.
    #[must_use]
    pub fn stock(&self) -> Option<Row> {
        let own =
            |m: &&Mem| m.row.role == Role::Stop && m.row.token == self.token && m.sent.is_none();
        let held = |r: &Row| r.position.is_none_or(|p| self.held.contains_key(&p));
        let unused = |r: &Row| self.shadow(r.id).is_some_and(|s| s.state == OrderState::Created);
        self.mem.values().filter(own).map(|m| m.row).find(|r| held(r) && unused(r))
    }

    /// A stop or a close went out and nobody knows what became of it: without rows nothing proves that it is absent.
    #[must_use]
    pub fn is_sale_in_doubt(&self) -> bool {
        let doubtful = |role: Role| {
            self.live_shadow(role)
                .is_some_and(|(_, shadow)| view_of(shadow.state, false) == OrderView::Doubtful)
        };
        doubtful(Role::Stop) || doubtful(Role::Close)
    }

    /// One step towards a whole stop.
    fn guard(&mut self, cx: &mut Cx) -> Result<(), Stop> {
        let base = self.base_unwritten();
        if base.is_zero() || self.live_shadow(Role::Close).is_some() {
            return Ok(());
        }
        let stop = self.live_shadow(Role::Stop);
        let Some(input) = self.guard_input(cx, base, stop) else { return Ok(()) };
        match next(&input) {
            ProtectAction::Place { qty, .. } => self.release(cx, qty, input.min_qty),
            ProtectAction::Amend { qty: Some(qty), .. } => {
                let Some((row, shadow)) = stop else { return Ok(()) };
                let stocks = self.mem.values().map(|m| &m.row);
                let stocks = stocks.filter(|r| !r.reduces() || r.state == OrderState::Created);
                let qty = qty.min(stocks.map(|r| r.qty).fold(shadow.qty, Decimal::max));
                let free = self.mem.get(&row.id).is_some_and(|m| m.mutation.is_none());
                if qty == shadow.qty || !free {
                    Ok(())
                } else {
                    self.amend(cx, row.id, Some(qty), None)
                }
            }
            ProtectAction::Amend { qty: None, .. }
            | ProtectAction::Wait
            | ProtectAction::BelowMinimum
            | ProtectAction::Swap
            | ProtectAction::LookUp => Ok(()),
        }
    }

    fn guard_input(
        &self,
        cx: &Cx,
        base: Decimal,
        stop: Option<(Row, Shadow)>,
    ) -> Option<ProtectInput> {
        let outage = self.outage.as_ref()?;
        let view = stop.map_or(StopView::NONE, |(row, shadow)| {
            let mem = self.mem.get(&row.id);
            StopView {
                order: view_of(shadow.state, mem.is_some_and(|m| m.triggered)),
                qty: shadow.qty,
                cum_qty: shadow.cum_qty,
                trigger: shadow.trigger.unwrap_or_default(),
                mutation_open: mem.is_some_and(|m| m.mutation.is_some()),
            }
        });
        let stock = self.stock().and_then(|r| r.trigger).unwrap_or_default();
        Some(ProtectInput {
            stop: view,
            base,
            sl_price: view.trigger,
            min_qty: min_qty(view.trigger.max(stock)),
            lot: LOT,
            amend_refusals: 0,
            since_amend_refusal_ms: None,
            ceiling: None,
            market: cx.market,
            failures: outage.failures,
            since_failure_ms: cx.now - outage.failed,
            since_fence_ms: cx.now - self.fence,
            stop_is_inherited: stop.is_some_and(|(row, _)| row.token < self.token),
        })
    }

    /// Sends the row in stock, at most its quantity, at its level or as far below as the bid demands.
    fn release(&mut self, cx: &mut Cx, qty: Decimal, least: Decimal) -> Result<(), Stop> {
        let Some(row) = self.stock() else { return Ok(()) };
        let qty = qty.min(row.qty);
        if qty < least {
            return Ok(());
        }
        let wanted = row.trigger.unwrap_or_default();
        let trigger = cx.top.map_or(wanted, |(bid, _)| wanted.min(stop_ceiling(bid, TICK)));
        let deadline = cx.now + REDUCE_DEADLINE_MS;
        let said = Said { qty: Some(qty), cum_qty: None, trigger: Some(trigger) };
        self.shade(row.id, OrderEvent::PreauthSent, said);
        self.keep(Record::Released { id: row.id, qty, trigger, deadline });
        let sent = Row { qty, trigger: Some(trigger), deadline: Some(deadline), ..row };
        self.send_row(cx, &sent)
    }

    /// The cluster is back: rows are read, records applied in their order, then everything is looked at.
    fn come_back(&mut self, cx: &mut Cx) -> Result<(), Stop> {
        let Some(mut outage) = self.outage.take() else { return Ok(()) };
        if cx.cover.trace {
            println!(
                "{:>8} life {} has rows again, {} records",
                cx.now,
                self.no,
                outage.records.len()
            );
        }
        let records = core::mem::take(&mut outage.records);
        self.replaying = true;
        let returned = self.return_with(cx, records);
        self.replaying = false;
        match returned.and_then(|()| self.after_outage(cx).map_err(|stop| (stop, VecDeque::new())))
        {
            Ok(()) => Ok(()),
            Err((Stop::Away, left)) => {
                outage.records = left;
                outage.next_probe = cx.now + 500;
                outage.base = self.known_base;
                outage.shadows.clear();
                let again: Vec<Record> = outage.records.iter().cloned().collect();
                self.outage = Some(outage);
                self.shade_again(cx, &again)
            }
            Err((stop, _)) => Err(stop),
        }
    }

    /// What is left of the records, in the shadows of the rows as they are now.
    fn shade_again(&mut self, cx: &mut Cx, records: &[Record]) -> Result<(), Stop> {
        let kept =
            self.outage.as_mut().map(|o| core::mem::take(&mut o.records)).unwrap_or_default();
        for record in records {
            match record {
                Record::Event(event) => self.remember(cx, event.clone())?,
                Record::Released { id, qty, trigger, .. } => {
                    let said = Said { qty: Some(*qty), cum_qty: None, trigger: Some(*trigger) };
                    self.shade(*id, OrderEvent::PreauthSent, said);
                }
                Record::CancelSent(id) => self.shade(*id, OrderEvent::CancelSent, Said::default()),
            }
        }
        if let Some(outage) = &mut self.outage {
            outage.records = kept;
        }
        Ok(())
    }

    fn return_with(
        &mut self,
        cx: &mut Cx,
        records: VecDeque<Record>,
    ) -> Result<(), (Stop, VecDeque<Record>)> {
        let mut left = records;
        if let Err(stop) = self.read_anew(cx) {
            return Err((stop, left));
        }
        while let Some(record) = left.pop_front() {
            if let Err(stop) = self.replay(cx, &record) {
                left.push_front(record);
                return Err((stop, left));
            }
        }
        Ok(())
    }
}

/// What a report says to a shadow.
fn crate_said(report: &Report, cum: Decimal) -> Said {
    let qty = report.open.then_some(report.qty);
    Said { qty, cum_qty: Some(cum), trigger: report.trigger }
}
