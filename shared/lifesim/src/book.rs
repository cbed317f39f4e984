//! Transactions of fills, corrections and new rows.
//!
//! Input: a trade, a difference, an order that is decided. Output: what changed. Order of steps and what hangs on
//! what as in the product's own transactions; quantities and money through its ledger.

use penstock_trading::exit::plan::PlanEvent;
use penstock_trading::exit::policy::{PolicyInput, plan_terms};
use penstock_trading::ledger::{Booked, FillTerms, Head, book_adjust, book_fill};
use penstock_trading::order::{Effect, Facts, OrderEvent, step};
use penstock_types::vocab::{ExitPolicy, ExitReason, Horizon, OrderState, Side};
use penstock_types::{Decimal, UtcMicros};

use crate::cover::Cover;
use crate::rows::{Db, Id, Note, Plan, PlanChange, Position, Role, Row, Status};

/// Fees of entry and exit together, basis points.
pub const ROUND_TRIP_BPS: i64 = 30;
/// Price increment.
pub const TICK: Decimal = Decimal::from_parts(1, 0, 0, false, 1);
/// Quantity increment.
pub const LOT: Decimal = Decimal::from_parts(1, 0, 0, false, 2);

/// A trade of ours.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Trade {
    /// The venue's number.
    pub exec: u64,
    /// Price.
    pub price: Decimal,
    /// Quantity.
    pub qty: Decimal,
    /// Fee in quote.
    pub fee: Decimal,
}

/// What a booking changed.
#[derive(Clone, Copy, Debug)]
pub struct Change {
    /// Order before.
    pub before: Row,
    /// Order after.
    pub after: Row,
    /// Its position.
    pub position: Id,
    /// The position is new.
    pub opened: bool,
    /// The position has no base left.
    pub closed: bool,
    /// More was sold or executed than there was.
    pub excess: bool,
    /// The position of this entry had closed before, for this reason.
    pub reopened: Option<ExitReason>,
}

/// Outcome of a trade.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::large_enum_variant, reason = "one value at a time, on the stack")]
pub enum Outcome {
    /// Booked.
    Booked(Change),
    /// Booked before.
    Duplicate,
    /// The machine refused it: it would be lost.
    Refused,
}

/// What a report says of the order of a trade.
#[derive(Clone, Copy, Default, Debug)]
pub struct Around {
    /// Quantity at the venue.
    pub qty: Option<Decimal>,
    /// Executed at the venue.
    pub cum: Option<Decimal>,
    /// The venue's number.
    pub venue: Option<u64>,
    /// Mid.
    pub mid: Option<Decimal>,
    /// Now, ms.
    pub now: i64,
}

impl Db {
    /// Books a trade.
    pub fn book(&mut self, id: Id, trade: &Trade, around: &Around, cover: &mut Cover) -> Outcome {
        let Some(before) = self.rows.get(&id).copied() else { return Outcome::Refused };
        if self.fills.contains(&(id, trade.exec)) {
            return Outcome::Duplicate;
        }
        let mut after = before;
        after.qty = around.qty.map_or(before.qty, |venue| venue.max(before.qty));
        after.cum += trade.qty;
        let facts = Facts {
            has_fills: true,
            complete: after.cum >= after.qty,
            booked_all: around.cum.is_none_or(|venue| venue <= after.cum),
            venue_id_known: before.venue.is_some(),
            adoptable: false,
        };
        cover.order(before.state, OrderEvent::Fill);
        let Ok(step) = step(before.state, OrderEvent::Fill, facts) else {
            cover.refused += 1;
            return Outcome::Refused;
        };
        let side = if before.role == Role::Entry { Side::Buy } else { Side::Sell };
        let terms = FillTerms {
            side,
            price: trade.price,
            qty: trade.qty,
            fee_quote: trade.fee,
            fee_base: Decimal::ZERO,
        };
        let held = self.position_of_fill(&before);
        let head = held.map_or_else(Head::default, |p| self.positions[&p].head);
        let Ok(booked) = book_fill(&head, &terms) else { return Outcome::Refused };
        self.fills.insert((id, trade.exec));
        cover.fills += 1;
        if cover.trace {
            println!(
                "         order {id} {:?}: {} fill {} -> {}",
                before.role, before.state, trade.qty, step.to
            );
        }
        after.state = step.to;
        after.venue = before.venue.or(around.venue);
        self.rows.insert(id, after);
        if step.effects.contains(&Effect::CloseStandby) {
            self.close_standbys(cover, |row| row.parent == Some(id) && row.position.is_none());
        }
        let opened = held.is_none();
        let position = held.unwrap_or_else(|| self.open(&after, &booked, around));
        self.put_head(position, &booked);
        if side == Side::Buy {
            self.raise_standbys(position);
            // It filled into a position that was there: its own stop in stock is for nothing.
            self.close_standbys(cover, |row| row.parent == Some(id) && row.position.is_none());
        }
        let closed = booked.head.base.is_zero();
        self.oversold |= booked.excess > Decimal::ZERO;
        let open = self.positions.get(&position).is_some_and(|p| p.status != Status::Closed);
        if closed && open {
            cover.closes += 1;
            let change = PlanChange { event: Some(PlanEvent::BaseGone), ..PlanChange::default() };
            if !self.change_plan(position, &change, cover)
                && let Some(p) = self.positions.get_mut(&position)
            {
                p.status = Status::Closed;
            }
        }
        let late = opened && side == Side::Buy && before.cum > Decimal::ZERO;
        let excess = booked.excess > Decimal::ZERO || after.cum > after.qty;
        let reopened = late.then(|| self.reason_of_close(id));
        Outcome::Booked(Change { before, after, position, opened, closed, excess, reopened })
    }

    /// The open position; for a sale without one, the remainder that its order was for.
    fn position_of_fill(&self, order: &Row) -> Option<Id> {
        let open = self.open_position().map(|p| p.id);
        open.or_else(|| order.position.filter(|_| order.reduces()))
    }

    fn reason_of_close(&self, entry: Id) -> ExitReason {
        let closed = self
            .positions
            .values()
            .rev()
            .find(|p| p.entry == Some(entry) && p.status == Status::Closed);
        closed.and_then(|p| p.plan).and_then(|p| p.reason).unwrap_or(ExitReason::SlHit)
    }

    fn open(&mut self, order: &Row, booked: &Booked, around: &Around) -> Id {
        let id = self.next_id();
        let price = booked.head.avg_entry.unwrap_or_default();
        let plan = (order.role == Role::Entry).then(|| plan_of(order.policy, price, around));
        self.positions.insert(
            id,
            Position {
                id,
                head: Head::default(),
                ledger: Vec::new(),
                plan,
                status: Status::Open,
                entry: (order.role == Role::Entry).then_some(order.id),
                opened: around.now,
                peak: price,
                trough: price,
                protected: Decimal::ZERO,
            },
        );
        if order.role == Role::Entry {
            for row in self.rows.values_mut() {
                let waits = row.state == OrderState::Created && row.position.is_none();
                if waits && row.parent == Some(order.id) {
                    row.position = Some(id);
                }
            }
            let qty = order.qty.max(booked.head.base);
            self.prepare(Role::Close, id, qty, None, order.token, around.now);
        }
        id
    }

    fn put_head(&mut self, id: Id, booked: &Booked) {
        if let Some(position) = self.positions.get_mut(&id) {
            position.head = booked.head;
            position.ledger.push(booked.row);
            position.protected = position.protected.min(booked.head.base);
        }
    }

    fn raise_standbys(&mut self, position: Id) {
        let base = self.positions.get(&position).map_or(Decimal::ZERO, |p| p.head.base);
        for row in self.rows.values_mut() {
            if row.state == OrderState::Created && row.position == Some(position) {
                row.qty = row.qty.max(base);
            }
        }
    }

    /// Corrects a position without a fill; the position.
    pub fn adjust(
        &mut self,
        delta: Decimal,
        mid: Decimal,
        now: i64,
        cover: &mut Cover,
    ) -> Option<Id> {
        let open = self.open_position().map(|p| p.id);
        if open.is_none() && delta < Decimal::ZERO {
            return None;
        }
        let head = open.map_or_else(Head::default, |p| self.positions[&p].head);
        let booked = book_adjust(&head, delta, mid).ok()?;
        self.adjusts.push(delta);
        let id = open.unwrap_or_else(|| {
            let id = self.next_id();
            let around = Around { mid: Some(mid), now, ..Around::default() };
            let position = Position {
                id,
                head: Head::default(),
                ledger: Vec::new(),
                plan: Some(plan_of(ExitPolicy::Recovered, mid, &around)),
                status: Status::Open,
                entry: None,
                opened: now,
                peak: mid,
                trough: mid,
                protected: Decimal::ZERO,
            };
            self.positions.insert(id, position);
            id
        });
        self.put_head(id, &booked);
        self.raise_standbys(id);
        if booked.head.base.is_zero() {
            let change = PlanChange { event: Some(PlanEvent::BaseGone), ..PlanChange::default() };
            self.change_plan(id, &change, cover);
        }
        Some(id)
    }

    fn row(&mut self, role: Role, qty: Decimal, token: u32, now: i64) -> Row {
        Row {
            id: self.next_id(),
            role,
            state: OrderState::Created,
            qty,
            cum: Decimal::ZERO,
            limit: None,
            trigger: None,
            venue: None,
            token,
            parent: None,
            position: None,
            deadline: None,
            created: now,
            rests: false,
            policy: ExitPolicy::TrailingStop,
        }
    }

    /// A row in stock for a position.
    pub fn prepare(
        &mut self,
        role: Role,
        position: Id,
        qty: Decimal,
        trigger: Option<Decimal>,
        token: u32,
        now: i64,
    ) {
        let row = Row { position: Some(position), trigger, ..self.row(role, qty, token, now) };
        self.rows.insert(row.id, row);
    }

    /// A row in stock for an entry.
    pub fn prepare_for_entry(&mut self, entry: &Row, trigger: Decimal, token: u32, now: i64) {
        let stop = self.row(Role::Stop, entry.qty, token, now);
        let stop = Row { parent: Some(entry.id), trigger: Some(trigger), ..stop };
        self.rows.insert(stop.id, stop);
    }

    /// An entry with its standby stop.
    pub fn persist_entry(&mut self, spec: &Row, trigger: Decimal, now: i64) -> Row {
        let fresh = self.row(Role::Entry, spec.qty, spec.token, now);
        let row = Row { id: fresh.id, created: now, ..*spec };
        self.rows.insert(row.id, row);
        self.prepare_for_entry(&row, trigger, row.token, now);
        row
    }

    /// A new row of a reduce order, ready to be sent.
    pub fn persist_reduce(&mut self, spec: &Row, now: i64) -> Row {
        let fresh = self.row(spec.role, spec.qty, spec.token, now);
        let row = Row { id: fresh.id, created: now, state: OrderState::PendingSubmit, ..*spec };
        self.rows.insert(row.id, row);
        row
    }

    /// Releases a row in stock and prepares the next of its role.
    pub fn authorise(&mut self, id: Id, spec: &Row, now: i64, cover: &mut Cover) -> Option<Row> {
        self.apply(id, OrderEvent::Authorise, &Note::default(), false, cover);
        let row = self.rows.get_mut(&id)?;
        if row.state != OrderState::PendingSubmit {
            return None;
        }
        let stock = row.qty;
        row.qty = spec.qty;
        row.trigger = spec.trigger;
        row.limit = spec.limit;
        row.deadline = spec.deadline;
        row.position = spec.position;
        row.rests = spec.rests;
        let row = *row;
        if let Some(position) = row.position {
            self.prepare(row.role, position, stock, row.trigger, row.token, now);
        }
        Some(row)
    }
}

fn plan_of(policy: ExitPolicy, price: Decimal, around: &Around) -> Plan {
    let terms = plan_terms(&PolicyInput {
        policy,
        entry_price: price,
        mid: around.mid,
        expected_move_bps: Decimal::from(120),
        atr_bps: None,
        spread_avg_bps: Decimal::TWO,
        round_trip_fees_bps: Decimal::from(ROUND_TRIP_BPS),
        horizon: Horizon::Short,
        tick: TICK,
        opened_at: UtcMicros::from_millis(around.now),
    });
    Plan {
        state: penstock_types::vocab::PlanState::Created,
        terms,
        sl: terms.sl_price,
        reason: None,
        attempts: 0,
        on_exchange: None,
    }
}
