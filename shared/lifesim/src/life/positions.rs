//! Positions: fills, corrections, the stop of each.
//!
//! Input: trades, differences, orders after their transaction. Output: booked rows and the next step towards the stop
//! that the plan wants, as the product's protection function says it.

use penstock_trading::exit::plan::PlanEvent;
use penstock_trading::exit::trigger::stop_ceiling;
use penstock_trading::order::OrderEvent;
use penstock_trading::protection::{
    ProtectAction, ProtectInput, StopView, next, owed_event, stop_qty,
};
use penstock_types::Decimal;
use penstock_types::decimal::ceil_to_step;
use penstock_types::vocab::{ExitReason, OrderState, PlanState};

use super::{Cx, Held, Life, Mem, Stop};
use crate::book::{Around, LOT, Outcome, TICK};
use crate::net::Verb;
use crate::rows::{Id, Note, PlanChange, Role, Row, Status};
use crate::venue::{COST_MIN, Report};

/// Deadline of a reduce order after its decision, ms.
pub(crate) const REDUCE_DEADLINE_MS: i64 = 5_000;
/// From fill to stop without an alarm, ms.
const GRACE_MS: i64 = 1_500;
/// A position without a stop is closed after this, ms.
const HARD_MS: i64 = 20_000;

/// Smallest sellable quantity at a price.
#[must_use]
pub(crate) fn min_qty(price: Decimal) -> Decimal {
    let by_cost = Decimal::from(COST_MIN).checked_div(price).unwrap_or_default();
    ceil_to_step(by_cost, LOT).max(Decimal::new(1, 1))
}

/// A reduce order that is to be written.
pub(crate) struct Spec {
    pub(crate) role: Role,
    pub(crate) position: Id,
    pub(crate) qty: Decimal,
    pub(crate) trigger: Option<Decimal>,
    pub(crate) limit: Option<Decimal>,
    pub(crate) rests: bool,
}

impl Life {
    pub(crate) fn held_ids(&self) -> Vec<Id> {
        self.held.keys().copied().collect()
    }

    /// The live order of a position and role.
    pub(crate) fn live_of(&self, position: Id, role: Role) -> Option<&Mem> {
        self.live().find(|m| m.row.role == role && m.row.position == Some(position))
    }

    fn standby(&self, position: Id, role: Role) -> Option<&Row> {
        let stock = |m: &&Mem| {
            m.row.state == OrderState::Created
                && m.row.role == role
                && m.row.position == Some(position)
        };
        self.mem.values().find(stock).map(|m| &m.row)
    }

    /// Books a trade; true when it was new.
    pub(crate) fn book(
        &mut self,
        cx: &mut Cx,
        id: Id,
        report: &Report,
        around: Around,
    ) -> Result<bool, Stop> {
        let Some(trade) = report.trade else { return Ok(false) };
        if self.mem.get(&id).is_some_and(|m| m.row.state == OrderState::Created) {
            let note = Note { venue: Some(report.venue), ..Note::default() };
            self.apply(cx, id, OrderEvent::PreauthSent, &note)?;
        }
        let mid = cx.mid();
        let around = Around { venue: Some(report.venue), mid, now: cx.now, ..around };
        let outcome = self.write(cx, |db, cover| db.book(id, &trade, &around, cover))?;
        let change = match outcome {
            Outcome::Duplicate => return Ok(false),
            Outcome::Refused => {
                let state = self.mem.get(&id).map(|m| m.row.state);
                cx.broken(format!(
                    "the fill {} of order {id} was refused in {state:?}",
                    trade.exec
                ));
                return Ok(false);
            }
            Outcome::Booked(change) => change,
        };
        self.put(change.after, cx.now);
        self.traded = Some(cx.now);
        if change.closed {
            self.held.remove(&change.position);
        } else {
            let held = self.held.entry(change.position).or_default();
            if change.reopened.is_some() {
                held.close_reason = change.reopened;
            }
        }
        self.reload_standbys(cx);
        if change.opened {
            self.release_waiting(cx)?;
        }
        if change.excess && !change.after.state.is_terminal() {
            self.apply(cx, id, OrderEvent::Unverified, &Note::default())?;
        }
        if !change.closed && !change.before.reduces() {
            self.protect(cx, change.position)?;
        }
        if change.after.state.is_terminal() && !change.before.state.is_terminal() {
            self.ended(cx, &change.after)?;
        }
        Ok(true)
    }

    /// Corrects the position by a difference that counts.
    pub(crate) fn adjust(&mut self, cx: &mut Cx, delta: Decimal) -> Result<(), Stop> {
        let (Some(mid), now) = (cx.mid(), cx.now) else { return Ok(()) };
        let Some(id) = self.write(cx, |db, cover| db.adjust(delta, mid, now, cover))? else {
            return Ok(());
        };
        let gone = cx.db.positions.get(&id).is_none_or(|p| p.head.base.is_zero());
        if !gone {
            self.held.entry(id).or_default();
            return self.protect(cx, id);
        }
        self.held.remove(&id);
        let left: Vec<Id> = self
            .live()
            .filter(|m| m.row.reduces() && m.row.position == Some(id))
            .map(|m| m.row.id)
            .collect();
        for order in left {
            self.cancel(cx, order)?;
        }
        self.reload_standbys(cx);
        Ok(())
    }

    /// Changes a plan; true when the machine took it.
    pub(crate) fn change_plan(
        &mut self,
        cx: &mut Cx,
        id: Id,
        change: &PlanChange,
    ) -> Result<bool, Stop> {
        let taken = self.write(cx, |db, cover| db.change_plan(id, change, cover))?;
        if taken && cx.db.positions.get(&id).is_some_and(|p| p.status != Status::Open) {
            self.reload_standbys(cx);
        }
        Ok(taken)
    }

    pub(crate) fn plan_event(
        &mut self,
        cx: &mut Cx,
        id: Id,
        event: PlanEvent,
    ) -> Result<bool, Stop> {
        self.change_plan(cx, id, &PlanChange { event: Some(event), ..PlanChange::default() })
    }

    pub(crate) fn protect_input(&self, cx: &Cx, id: Id) -> Option<ProtectInput> {
        let position = cx.db.positions.get(&id)?;
        let (plan, held) = (position.plan?, self.held.get(&id)?);
        let stop = self.live_of(id, Role::Stop);
        let view = stop.map_or(StopView::NONE, |m| StopView {
            order: m.view(),
            qty: m.row.qty,
            cum_qty: m.row.cum,
            trigger: m.row.trigger.unwrap_or_default(),
            mutation_open: m.mutation.is_some(),
        });
        Some(ProtectInput {
            stop: view,
            base: position.head.base,
            sl_price: plan.sl,
            min_qty: min_qty(plan.sl),
            lot: LOT,
            amend_refusals: held.amend_refusals,
            since_amend_refusal_ms: held.amend_refused.map(|at| cx.now - at),
            ceiling: cx.top.map(|(bid, _)| stop_ceiling(bid, TICK)),
            market: cx.market,
            failures: held.failures,
            since_failure_ms: cx.now - held.failed,
            since_fence_ms: cx.now - self.fence,
            stop_is_inherited: stop.is_some_and(|m| m.row.token < self.token),
        })
    }

    /// One step towards the stop that the plan wants.
    pub(crate) fn protect(&mut self, cx: &mut Cx, id: Id) -> Result<(), Stop> {
        if self.in_snapshot || self.replaying || self.outage.is_some() {
            return Ok(());
        }
        let Some(plan) = cx.db.positions.get(&id).and_then(|p| p.plan) else { return Ok(()) };
        if matches!(
            plan.state,
            PlanState::Triggered | PlanState::Exiting | PlanState::Closed | PlanState::DustHold
        ) {
            return Ok(());
        }
        let Some(input) = self.protect_input(cx, id) else { return Ok(()) };
        let stop = self.live_of(id, Role::Stop).map(|m| m.row.id);
        match (next(&input), stop) {
            (ProtectAction::BelowMinimum, _) => self.below_minimum(cx, id),
            (ProtectAction::Place { qty, trigger }, _) => self.place_stop(cx, id, qty, trigger),
            (ProtectAction::Amend { qty, trigger }, Some(stop)) => {
                if qty.is_some() {
                    self.plan_event(cx, id, PlanEvent::QuantityChanged)?;
                }
                self.amend(cx, stop, qty, trigger)
            }
            (ProtectAction::Swap, Some(stop)) => {
                if let Some(held) = self.held.get_mut(&id) {
                    held.amend_refusals = 0;
                }
                self.cancel(cx, stop)
            }
            (ProtectAction::LookUp, Some(stop)) => {
                self.look_soon(cx.now, stop, 0);
                Ok(())
            }
            (
                ProtectAction::Wait
                | ProtectAction::Amend { .. }
                | ProtectAction::Swap
                | ProtectAction::LookUp,
                _,
            ) => Ok(()),
        }
    }

    fn place_stop(
        &mut self,
        cx: &mut Cx,
        id: Id,
        qty: Decimal,
        trigger: Decimal,
    ) -> Result<(), Stop> {
        let spec = Spec {
            role: Role::Stop,
            position: id,
            qty,
            trigger: Some(trigger),
            limit: None,
            rests: false,
        };
        let Some(row) = self.persist(cx, &spec)? else { return Ok(()) };
        self.send_row(cx, &row)?;
        self.plan_event(cx, id, PlanEvent::StopSubmitted)?;
        Ok(())
    }

    /// A reduce order as a row: the one in stock of this session, else a new one.
    pub(crate) fn persist(&mut self, cx: &mut Cx, spec: &Spec) -> Result<Option<Row>, Stop> {
        let (now, token) = (cx.now, self.token);
        let stock = self
            .standby(spec.position, spec.role)
            .filter(|row| row.qty >= spec.qty && row.token == token)
            .map(|row| row.id);
        let want = Row {
            id: 0,
            role: spec.role,
            state: OrderState::PendingSubmit,
            qty: spec.qty,
            cum: Decimal::ZERO,
            limit: spec.limit,
            trigger: spec.trigger,
            venue: None,
            token,
            parent: None,
            position: Some(spec.position),
            deadline: Some(now + REDUCE_DEADLINE_MS),
            created: now,
            rests: spec.rests,
            policy: penstock_types::vocab::ExitPolicy::Recovered,
        };
        let row = match stock {
            Some(stock) => self.write(cx, |db, cover| db.authorise(stock, &want, now, cover))?,
            None => Some(self.write(cx, |db, _| db.persist_reduce(&want, now))?),
        };
        if let Some(row) = row {
            self.put(row, now);
            self.reload_standbys(cx);
        }
        Ok(row)
    }

    /// Too little for a stop: wait for more, or hold it as dust once nothing more comes.
    pub(crate) fn below_minimum(&mut self, cx: &mut Cx, id: Id) -> Result<(), Stop> {
        if self.has_entry() {
            return Ok(());
        }
        let base = cx.db.positions.get(&id).map_or(Decimal::ZERO, |p| p.head.base);
        if base >= min_qty(Decimal::from(940)) && base >= Decimal::ONE {
            cx.broken(format!("{base} of position {id} counts as dust although it can be sold"));
        }
        self.plan_event(cx, id, PlanEvent::BelowMinimum)?;
        Ok(())
    }

    /// An order is live for the first time.
    pub(crate) fn after_live(&mut self, cx: &mut Cx, id: Id) -> Result<(), Stop> {
        let Some(row) = self.mem.get(&id).map(|m| m.row).filter(Row::reduces) else {
            return Ok(());
        };
        self.look_soon(cx.now, id, 2_000);
        let Some(position) = row.position.filter(|_| row.role == Role::Stop) else { return Ok(()) };
        let state = cx.db.positions.get(&position).and_then(|p| p.plan).map(|p| p.state);
        if state == Some(PlanState::Created) {
            self.plan_event(cx, position, PlanEvent::StopSubmitted)?;
        }
        self.stop_stands(cx, position, id)?;
        self.protect(cx, position)
    }

    /// An amend was answered, or a report repeated the terms of a live order.
    pub(crate) fn after_amend(&mut self, cx: &mut Cx, id: Id, ok: bool) -> Result<(), Stop> {
        let Some(mem) = self.mem.get_mut(&id) else { return Ok(()) };
        let row = mem.row;
        let shown = matches!(
            mem.mutation.map(|m| m.verb),
            Some(Verb::Amend { qty, trigger })
                if qty.is_none_or(|q| q == row.qty) && trigger.is_none_or(|t| Some(t) == row.trigger)
        );
        // A report of before it was sent shows the same terms by chance: it may still arrive.
        let heard_at = mem.heard_at;
        let since = mem.mutation.is_some_and(|m| heard_at >= m.sent * 1_000);
        if ok && shown && since {
            mem.mutation = None;
        }
        let Some(position) = row.position.filter(|_| row.role == Role::Stop) else { return Ok(()) };
        if ok {
            if let Some(held) = self.held.get_mut(&position) {
                (held.amend_refusals, held.amend_refused) = (0, None);
            }
            self.stop_stands(cx, position, id)?;
        }
        self.protect(cx, position)
    }

    /// The stop stands with its terms.
    fn stop_stands(&mut self, cx: &mut Cx, id: Id, stop: Id) -> Result<(), Stop> {
        let Some(row) = self.mem.get(&stop).map(|m| m.row) else { return Ok(()) };
        let Some(position) = cx.db.positions.get(&id) else { return Ok(()) };
        let (Some(plan), Some(held)) = (position.plan, self.held.get(&id)) else { return Ok(()) };
        let whole = row.left() >= stop_qty(position.head.base, LOT);
        let trigger = row.trigger.unwrap_or_default();
        let raised =
            plan.state == PlanState::Trailing || held.raised.is_some() || trigger > plan.sl;
        let stands = matches!(plan.state, PlanState::Armed | PlanState::Trailing);
        if plan.on_exchange == Some(trigger) && position.protected == row.left() && stands {
            return Ok(());
        }
        let event = if raised { PlanEvent::StopAckedRaised } else { PlanEvent::StopAcked };
        let change = PlanChange {
            event: whole.then_some(event),
            on_exchange: Some(trigger),
            protected: Some(row.left()),
            ..PlanChange::default()
        };
        if self.change_plan(cx, id, &change)?
            && whole
            && let Some(held) = self.held.get_mut(&id)
        {
            (held.failures, held.bare) = (0, None);
        }
        Ok(())
    }

    /// What the plan was not told of its stop, because the cluster went away between the two transactions.
    pub(crate) fn tell_plan(&mut self, cx: &mut Cx, id: Id) -> Result<(), Stop> {
        let Some(plan) = cx.db.positions.get(&id).and_then(|p| p.plan) else { return Ok(()) };
        let Some(input) = self.protect_input(cx, id) else { return Ok(()) };
        let raised =
            self.held.get(&id).is_some_and(|h| h.raised.is_some()) || plan.sl > plan.terms.sl_price;
        match owed_event(plan.state, &input, raised) {
            Some(event) => self.plan_event(cx, id, event).map(|_| ()),
            None => Ok(()),
        }
    }

    /// The venue reports the stop triggered: it is the exit.
    pub(crate) fn on_stop_triggered(&mut self, cx: &mut Cx, id: Id) -> Result<(), Stop> {
        let now = cx.now;
        let Some(mem) = self.mem.get_mut(&id).filter(|m| !m.triggered) else { return Ok(()) };
        mem.triggered = true;
        let Some(position) = mem.row.position else { return Ok(()) };
        let change = PlanChange {
            event: Some(PlanEvent::StopTriggered),
            reason: Some(ExitReason::SlHit),
            ..PlanChange::default()
        };
        self.change_plan(cx, position, &change)?;
        if let Some(held) = self.held.get_mut(&position) {
            held.decided = now;
        }
        // Our own bid must not meet the stop, and nothing may fill after the exit.
        let entry = self.live().find(|m| !m.row.reduces()).map(|m| m.row.id);
        entry.map_or(Ok(()), |entry| self.cancel(cx, entry))
    }

    /// Alarms of a position without a stop; at the hard limit it is closed.
    pub(crate) fn watch_grace(&mut self, cx: &mut Cx, id: Id) -> Result<(), Stop> {
        let Some(input) = self.protect_input(cx, id) else { return Ok(()) };
        let now = cx.now;
        let wanted = stop_qty(input.base, input.lot);
        let covered = input.stop.covered() >= wanted || wanted < input.min_qty;
        let triggered = input.stop.order == penstock_trading::exit::closing::OrderView::Triggered;
        let Some(held) = self.held.get_mut(&id) else { return Ok(()) };
        if covered || triggered {
            (held.bare, held.alarmed) = (None, false);
            return Ok(());
        }
        let bare = now - *held.bare.get_or_insert(now);
        if bare >= GRACE_MS && !held.alarmed {
            held.alarmed = true;
            self.plan_event(cx, id, PlanEvent::GraceOver)?;
        }
        let gone = input.stop.order == penstock_trading::exit::closing::OrderView::Gone;
        if bare >= HARD_MS && gone && self.may_close(cx, id) {
            self.decide_close(cx, id, ExitReason::PanicExit, false)?;
        }
        Ok(())
    }

    /// A position that this process did not open itself.
    pub(crate) fn take_over(&mut self, id: Id) {
        self.held.insert(id, Held::default());
    }
}
