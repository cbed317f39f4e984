//! Time: exits, the closing sequence, the first reconcile of a session, everything that is due.
//!
//! Input: ticks. Output: what the product's trigger and closing functions ask for, carried out.

use penstock_trading::exit::closing::{ClosingAction, ClosingInput, OrderView, next};
use penstock_trading::exit::market::CloseForm;
use penstock_trading::exit::order::Asked;
use penstock_trading::exit::plan::PlanEvent;
use penstock_trading::exit::trigger::{Decision, TickInput, judge};
use penstock_trading::order::OrderEvent;
use penstock_types::Decimal;
use penstock_types::decimal::floor_to_step;
use penstock_types::vocab::{ExitPolicy, ExitReason, OrderState, PlanState};

use super::positions::{Spec, min_qty};
use super::{Cx, Life, Mem, Stop};
use crate::book::{LOT, ROUND_TRIP_BPS, TICK};
use crate::net::{LookKind, Msg};
use crate::rows::{Id, Note, PlanChange, Position, Role, Row, Status};

/// A close that gave up is tried anew after this, ms.
const CLOSE_AGAIN_MS: i64 = 5_000;
/// The fence is renewed this often, ms.
const RENEW_MS: i64 = 2_000;
/// Rows that were lost this long ago are looked at once more, ms.
const LOST_MS: i64 = 600_000;

impl Life {
    /// Memory from rows; every order that may live becomes unverified.
    ///
    /// # Errors
    /// The process has ended, or the cluster is away.
    pub fn attach(&mut self, cx: &mut Cx) -> Result<(), Stop> {
        let now = cx.now;
        let rows: Vec<Row> = self.write(cx, |db, _| {
            let lost =
                |row: &Row| row.state == OrderState::LostOrRejected && now - row.created < LOST_MS;
            db.rows.values().filter(|r| !r.state.is_terminal() || lost(r)).copied().collect()
        })?;
        for row in rows {
            self.put(row, now);
            if row.state == OrderState::LostOrRejected {
                self.look_after_grace(now, row.id);
            }
        }
        let open = |p: &&Position| p.status != Status::Closed;
        let ids: Vec<Id> = cx.db.positions.values().filter(open).map(|p| p.id).collect();
        for id in ids {
            self.take_over(id);
        }
        let ids: Vec<Id> = self.live().map(|m| m.row.id).collect();
        for id in ids {
            self.apply(cx, id, OrderEvent::Unverified, &Note::default())?;
        }
        Ok(())
    }

    /// Everything that is due.
    pub(crate) fn tick(&mut self, cx: &mut Cx) -> Result<(), Stop> {
        self.renew(cx)?;
        self.reconnect(cx);
        for id in self.held_ids() {
            self.supervise(cx, id)?;
        }
        self.expire_waiting(cx.now);
        self.cancel_doomed(cx)?;
        if self.watched.is_some() {
            self.judge_base(cx)?;
        }
        self.start_looks(cx);
        self.finish_attach(cx)
    }

    pub(crate) fn renew(&mut self, cx: &mut Cx) -> Result<(), Stop> {
        if cx.now - self.lease >= RENEW_MS {
            self.write(cx, |_, _| ())?;
            self.lease = cx.now;
        }
        Ok(())
    }

    /// A new socket, and the image that it is asked for.
    pub(crate) fn reconnect(&mut self, cx: &mut Cx) {
        if self.conn.is_some() || cx.now < self.connect {
            return;
        }
        cx.connections += 1;
        self.conn = Some(cx.connections);
        self.ask_image(cx);
    }

    /// Ends the session's first reconcile once everything has been looked at.
    fn finish_attach(&mut self, cx: &mut Cx) -> Result<(), Stop> {
        if self.complete || !self.snapshot_seen || !self.history_done || self.base.is_none() {
            return Ok(());
        }
        let unseen = |m: &Mem| m.row.state == OrderState::ReconcileRequired && m.looks == 0;
        if self.live().any(unseen) || self.mem.values().any(|m| m.looking) {
            return Ok(());
        }
        let token = self.token;
        self.write(cx, |db, cover| db.close_standbys(cover, |row| row.token < token))?;
        self.reload_standbys(cx);
        self.renew_standbys(cx)?;
        self.complete = true;
        self.full = Some(cx.now);
        for id in self.held_ids() {
            self.protect(cx, id)?;
        }
        self.cancel_entries(cx)
    }

    pub(crate) fn cancel_entries(&mut self, cx: &mut Cx) -> Result<(), Stop> {
        let entries: Vec<Id> = self.live().filter(|m| !m.row.reduces()).map(|m| m.row.id).collect();
        for id in entries {
            self.cancel(cx, id)?;
        }
        Ok(())
    }

    /// Standby rows of this session for every live entry and open position.
    pub(crate) fn renew_standbys(&mut self, cx: &mut Cx) -> Result<(), Stop> {
        let (token, now) = (self.token, cx.now);
        let entries: Vec<Row> = self.live().map(|m| m.row).filter(|r| !r.reduces()).collect();
        self.write(cx, |db, _| {
            let has = |db: &crate::rows::Db, which: &dyn Fn(&Row) -> bool| {
                db.rows.values().any(|r| r.state == OrderState::Created && which(r))
            };
            let open: Vec<(Id, Decimal, Option<Decimal>)> = db
                .positions
                .values()
                .filter(|p| p.status == Status::Open && p.head.base > Decimal::ZERO)
                .map(|p| (p.id, p.head.base, p.plan.map(|plan| plan.sl)))
                .collect();
            for (id, base, sl) in &open {
                for role in [Role::Stop, Role::Close] {
                    if !has(db, &|r| r.position == Some(*id) && r.role == role) {
                        db.prepare(role, *id, *base, sl.filter(|_| role == Role::Stop), token, now);
                    }
                }
            }
            for entry in entries.iter().filter(|_| open.is_empty()) {
                if !has(db, &|r| r.parent == Some(entry.id)) {
                    let limit = entry.limit.unwrap_or_default();
                    db.prepare_for_entry(entry, limit - Decimal::from(15), token, now);
                }
            }
        })?;
        self.reload_standbys(cx);
        Ok(())
    }

    pub(crate) fn is_closing(&self, cx: &Cx, id: Id) -> bool {
        let plan = cx.db.positions.get(&id).and_then(|p| p.plan);
        self.held.contains_key(&id)
            && plan.is_some_and(|p| matches!(p.state, PlanState::Triggered | PlanState::Exiting))
    }

    fn tick_input(&self, cx: &Cx, position: &Position, id: Id) -> Option<TickInput> {
        let (plan, held) = (position.plan?, self.held.get(&id)?);
        let stop_fired = self.live_of(id, Role::Stop).is_some_and(|m| m.triggered);
        Some(TickInput {
            policy: plan.terms.policy,
            avg_entry: position.head.avg_entry.unwrap_or_default(),
            sl_bps: plan.terms.sl_bps,
            sl_price: plan.sl,
            tp_bps: plan.terms.tp_bps,
            trail_bps: plan.terms.trail_bps,
            breakeven_arm_bps: plan.terms.breakeven_arm_bps,
            panic_bps: plan.terms.panic_bps,
            time_stop_at: plan.terms.time_stop_at,
            opened_at: penstock_types::UtcMicros::from_millis(position.opened),
            tp_raised: plan.reason == Some(ExitReason::TpHit),
            peak: position.peak,
            trough: position.trough,
            round_trip_fees_bps: Decimal::from(ROUND_TRIP_BPS),
            tick: TICK,
            loss_cap_bps: Decimal::from(100),
            loss_since: held.loss_since,
            mid_300s_ago: None,
            regime: None,
            quote: cx.quote(),
            quote_age_ms_max: 3_000,
            flatten: held.flatten || held.close_reason.is_some(),
            asked: Asked { stop_fired, ..Asked::default() },
            tp_closes: plan.terms.policy == ExitPolicy::TimeDecay,
            raised_at: held.raised.map(penstock_types::UtcMicros::from_millis),
            raise_interval_ms: 5_000,
            now: cx.wall(),
        })
    }

    fn supervise(&mut self, cx: &mut Cx, id: Id) -> Result<(), Stop> {
        let Some(position) = cx.db.positions.get(&id) else { return Ok(()) };
        let (Some(plan), extremes) = (position.plan, (position.peak, position.trough)) else {
            return Ok(());
        };
        let Some(input) = self.tick_input(cx, position, id) else { return Ok(()) };
        match plan.state {
            PlanState::Closed => return Ok(()),
            PlanState::Triggered | PlanState::Exiting => return self.closing_step(cx, id),
            PlanState::DustHold => return self.dust(cx, id),
            PlanState::Created
            | PlanState::Arming
            | PlanState::Armed
            | PlanState::Trailing
            | PlanState::Unprotected => {}
        }
        let judged = judge(&input);
        if let Some(held) = self.held.get_mut(&id) {
            held.loss_since = judged.loss_since;
        }
        match judged.decision {
            Decision::CloseMarket(reason) => {
                let reopened = self.held.get(&id).and_then(|h| h.close_reason);
                self.decide_close(cx, id, reopened.unwrap_or(reason), false)?;
            }
            Decision::CloseMaker(reason) => self.decide_close(cx, id, reason, true)?,
            Decision::Raise { to, .. } => {
                let change = PlanChange {
                    event: Some(PlanEvent::Raised),
                    sl: Some(to),
                    ..PlanChange::default()
                };
                let stands = matches!(plan.state, PlanState::Armed | PlanState::Trailing);
                if stands
                    && self.change_plan(cx, id, &change)?
                    && let Some(held) = self.held.get_mut(&id)
                {
                    held.raised = Some(cx.now);
                }
            }
            Decision::Hold
            | Decision::InputStale
            | Decision::AwaitStop
            | Decision::Regime(_)
            | Decision::Engine(_)
            | Decision::ExtendTimeStop { .. } => {}
        }
        if (judged.peak, judged.trough) != extremes {
            let extremes = Some((judged.peak, judged.trough));
            self.change_plan(cx, id, &PlanChange { extremes, ..PlanChange::default() })?;
        }
        self.protect(cx, id)?;
        self.tell_plan(cx, id)?;
        self.watch_grace(cx, id)
    }

    /// What was too little can be sold again after a move, once nothing else is open.
    fn dust(&mut self, cx: &mut Cx, id: Id) -> Result<(), Stop> {
        if self.has_entry() || cx.db.open_position().is_some() {
            return Ok(());
        }
        let Some(input) = self.closing_input(cx, id) else { return Ok(()) };
        if input.base >= input.min_qty {
            self.plan_event(cx, id, PlanEvent::Sellable)?;
        }
        Ok(())
    }

    pub(crate) fn may_close(&self, cx: &Cx, id: Id) -> bool {
        let again = self.held.get(&id).is_some_and(|h| cx.now >= h.close_again);
        again && cx.market.matches()
    }

    pub(crate) fn decide_close(
        &mut self,
        cx: &mut Cx,
        id: Id,
        reason: ExitReason,
        maker: bool,
    ) -> Result<(), Stop> {
        if !self.may_close(cx, id) {
            return Ok(());
        }
        let change = PlanChange {
            event: Some(PlanEvent::CloseDecided),
            reason: Some(reason),
            ..PlanChange::default()
        };
        if !self.change_plan(cx, id, &change)? {
            return Ok(());
        }
        let attempts = cx.db.positions.get(&id).and_then(|p| p.plan).map_or(0, |p| p.attempts);
        if let Some(held) = self.held.get_mut(&id) {
            held.decided = cx.now;
            held.maker = maker;
            held.short = None;
            held.attempts_base = attempts;
            held.close_refusals = 0;
        }
        self.closing_step(cx, id)
    }

    fn closing_input(&mut self, cx: &Cx, id: Id) -> Option<ClosingInput> {
        let now = cx.now;
        let position = cx.db.positions.get(&id)?;
        let (plan, held) = (position.plan?, *self.held.get(&id)?);
        let price = cx.top.map(|(bid, _)| bid).or(position.head.avg_entry).unwrap_or_default();
        let base = position.head.base;
        let selling: Decimal = self.live().filter(|m| m.row.reduces()).map(|m| m.row.left()).sum();
        let available = self.base.map_or(base, |total| (total - selling).max(Decimal::ZERO));
        let view = |m: Option<&Mem>| m.map_or(OrderView::Gone, Mem::view);
        let stop = self.live_of(id, Role::Stop);
        let close = self.live_of(id, Role::Close);
        let short = available < base && view(stop) == OrderView::Gone;
        let input = ClosingInput {
            stop: view(stop),
            close: view(close),
            entry: view(self.live().find(|m| !m.row.reduces())),
            urgent: matches!(plan.reason, Some(ExitReason::PanicExit | ExitReason::LossCap)),
            close_rests: close.is_some_and(|m| m.row.rests),
            maker_wanted: held.maker,
            base,
            available,
            min_qty: min_qty(price),
            lot: LOT,
            attempts: plan.attempts - held.attempts_base,
            since_decided_ms: now - held.decided,
            since_cancel_ms: stop.and_then(|m| m.cancel).map_or(0, |at| now - at),
            // One that a predecessor sent counts from its row.
            since_close_ms: close.map_or(0, |m| now - m.sent.unwrap_or(m.row.created)),
            since_short_ms: held.short.map_or(0, |at| now - at),
            maker_rest_ms: 10_000,
            maker_void: cx.top.is_none() || self.conn.is_none() || price <= plan.sl,
            market: cx.market,
            refusals: held.close_refusals,
            since_refusal_ms: now - held.close_refused,
        };
        let held = self.held.get_mut(&id)?;
        held.short = short.then(|| held.short.unwrap_or(now));
        Some(input)
    }

    pub(crate) fn closing_step(&mut self, cx: &mut Cx, id: Id) -> Result<(), Stop> {
        if self.in_snapshot || self.replaying || self.outage.is_some() {
            return Ok(());
        }
        let Some(input) = self.closing_input(cx, id) else { return Ok(()) };
        let stop = self.live_of(id, Role::Stop).map(|m| m.row.id);
        let close = self.live_of(id, Role::Close).map(|m| m.row.id);
        let entry = self.live().find(|m| !m.row.reduces()).map(|m| m.row.id);
        let of = |found: Option<Id>| found.unwrap_or_default();
        match next(&input) {
            ClosingAction::Wait | ClosingAction::Done => Ok(()),
            ClosingAction::CancelEntry => self.cancel(cx, of(entry)),
            ClosingAction::CancelStop => self.cancel(cx, of(stop)),
            ClosingAction::LookUpStop | ClosingAction::StopUnknown => {
                self.look_soon(cx.now, of(stop), 0);
                Ok(())
            }
            ClosingAction::LookUpClose => {
                self.look_soon(cx.now, of(close), 0);
                Ok(())
            }
            ClosingAction::CancelClose => self.cancel(cx, of(close)),
            ClosingAction::ReadBalance => {
                let reading = self
                    .held
                    .get_mut(&id)
                    .is_some_and(|h| core::mem::replace(&mut h.reading, true));
                if !reading {
                    self.ask_look(cx, LookKind::Balance);
                }
                Ok(())
            }
            ClosingAction::RearmStop | ClosingAction::GiveUp => self.rearm(cx, id),
            ClosingAction::Dust => self.below_minimum(cx, id),
            ClosingAction::Submit { qty, form } => self.submit_close(cx, id, qty, form, &input),
        }
    }

    fn rearm(&mut self, cx: &mut Cx, id: Id) -> Result<(), Stop> {
        if let Some(held) = self.held.get_mut(&id) {
            (held.short, held.close_again) = (None, cx.now + CLOSE_AGAIN_MS);
        }
        self.plan_event(cx, id, PlanEvent::CloseFailed)?;
        self.protect(cx, id)
    }

    fn submit_close(
        &mut self,
        cx: &mut Cx,
        id: Id,
        qty: Decimal,
        form: CloseForm,
        input: &ClosingInput,
    ) -> Result<(), Stop> {
        let limit = match (form, cx.top) {
            (CloseForm::Market, _) | (_, None) => None,
            (CloseForm::Rest, Some((_, ask))) => Some(ask),
            (CloseForm::Limit, Some((bid, _))) => {
                Some(floor_to_step(bid * Decimal::new(99, 2), TICK))
            }
        };
        if form != CloseForm::Market && limit.is_none() {
            return Ok(());
        }
        // What the rule about the entry is for: nobody has asked our own bid to go.
        let bid = |m: &Mem| !m.row.reduces() && m.view() == OrderView::Live && m.cancel.is_none();
        if !input.urgent && self.live().any(bid) {
            cx.broken(format!(
                "position {id} is sold while its own bid rests, and nobody cancels it"
            ));
        }
        let rests = form == CloseForm::Rest;
        let spec = Spec { role: Role::Close, position: id, qty, trigger: None, limit, rests };
        let Some(row) = self.persist(cx, &spec)? else { return Ok(()) };
        self.send_row(cx, &row)?;
        let change = PlanChange {
            event: Some(PlanEvent::ClosingStarted),
            attempt: true,
            protected: Some(Decimal::ZERO),
            ..PlanChange::default()
        };
        self.change_plan(cx, id, &change)?;
        Ok(())
    }

    /// A new entry, when nothing is open or in doubt; true when one went out.
    ///
    /// # Errors
    /// The process has ended, or the cluster is away.
    pub fn enter(
        &mut self,
        cx: &mut Cx,
        qty: Decimal,
        limit: Decimal,
        policy: ExitPolicy,
    ) -> Result<bool, Stop> {
        let busy = self.live().next().is_some() || cx.db.open_position().is_some();
        if busy
            || !self.complete
            || self.outage.is_some()
            || self.conn.is_none()
            || !self.snapshot_seen
        {
            return Ok(false);
        }
        let now = cx.now;
        let spec = Row {
            id: 0,
            role: Role::Entry,
            state: OrderState::PendingSubmit,
            qty,
            cum: Decimal::ZERO,
            limit: Some(limit),
            trigger: None,
            venue: None,
            token: self.token,
            parent: None,
            position: None,
            deadline: Some(now + 2_000),
            created: now,
            rests: true,
            policy,
        };
        let trigger = limit - Decimal::from(15);
        let row = self.write(cx, |db, _| db.persist_entry(&spec, trigger, now))?;
        self.put(row, now);
        self.reload_standbys(cx);
        if cx.dice.percent(3) {
            // A check between the row and the send says no.
            self.apply(cx, row.id, OrderEvent::LocalRefusal, &Note::default())?;
            return Ok(true);
        }
        self.send_row(cx, &row)?;
        Ok(true)
    }

    /// The operator wants everything closed.
    pub fn flatten(&mut self) {
        for held in self.held.values_mut() {
            held.flatten = true;
        }
    }

    /// A message of this life's own.
    #[must_use]
    pub fn is_mine(&self, msg: &Msg) -> bool {
        matches!(msg, Msg::ToLife { life, .. } if *life == self.no)
    }
}
