//! What the decision cluster keeps: rows of orders, positions with their ledgers and plans, fills.
//!
//! Input: transactions, one method each. Output: what changed. Invariants: every move of an order goes through the
//! product's order machine, every move of a plan through its plan machine, every fill and correction through its
//! ledger; nothing here decides. What a process keeps in memory dies with it, this does not.

use std::collections::{BTreeMap, BTreeSet};

use penstock_trading::exit::plan::{self, PlanEvent};
use penstock_trading::exit::policy::PlanTerms;
use penstock_trading::ledger::{Head, LedgerRow};
use penstock_trading::order::{Effect, Facts, IllegalTransition, OrderEvent, Step, step};
use penstock_types::Decimal;
use penstock_types::vocab::{ExitPolicy, ExitReason, OrderState, PlanState};

use crate::cover::Cover;

/// Number of a row.
pub type Id = u32;

/// What an order is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// Buys.
    Entry,
    /// Protects.
    Stop,
    /// Ends a position.
    Close,
}

/// One order.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Row {
    /// Its number, part of its client id.
    pub id: Id,
    /// What it is for.
    pub role: Role,
    /// State.
    pub state: OrderState,
    /// Quantity.
    pub qty: Decimal,
    /// Booked quantity.
    pub cum: Decimal,
    /// Limit.
    pub limit: Option<Decimal>,
    /// Trigger.
    pub trigger: Option<Decimal>,
    /// The venue's number.
    pub venue: Option<u64>,
    /// Token of the session that wrote it.
    pub token: u32,
    /// The entry that it stands by for.
    pub parent: Option<Id>,
    /// Its position.
    pub position: Option<Id>,
    /// The venue refuses its request from then on, ms.
    pub deadline: Option<i64>,
    /// When it was written, ms.
    pub created: i64,
    /// A close that rests.
    pub rests: bool,
    /// Exit policy of an entry.
    pub policy: ExitPolicy,
}

impl Row {
    /// It sells.
    #[must_use]
    pub fn reduces(&self) -> bool {
        self.role != Role::Entry
    }

    /// Neither ended nor in stock.
    #[must_use]
    pub const fn is_live(&self) -> bool {
        !self.state.is_terminal() && !matches!(self.state, OrderState::Created)
    }

    /// What is not executed.
    #[must_use]
    pub fn left(&self) -> Decimal {
        (self.qty - self.cum).max(Decimal::ZERO)
    }
}

/// Status of a position.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// Open.
    Open,
    /// Too little to sell.
    Dust,
    /// No base.
    Closed,
}

/// Exit plan of a position.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Plan {
    /// State.
    pub state: PlanState,
    /// Frozen terms.
    pub terms: PlanTerms,
    /// Committed stop level.
    pub sl: Decimal,
    /// Why it closes.
    pub reason: Option<ExitReason>,
    /// Closes sent.
    pub attempts: i32,
    /// The stop stands with this trigger.
    pub on_exchange: Option<Decimal>,
}

/// A position.
#[derive(Clone, PartialEq, Debug)]
pub struct Position {
    /// Number.
    pub id: Id,
    /// Head of its ledger.
    pub head: Head,
    /// Its ledger.
    pub ledger: Vec<LedgerRow>,
    /// Its plan.
    pub plan: Option<Plan>,
    /// Status.
    pub status: Status,
    /// The entry that opened it.
    pub entry: Option<Id>,
    /// When, ms.
    pub opened: i64,
    /// Highest mid.
    pub peak: Decimal,
    /// Lowest mid.
    pub trough: Decimal,
    /// Quantity under the stop.
    pub protected: Decimal,
}

/// What a report says beside its event.
#[derive(Clone, Copy, PartialEq, Default, Debug)]
pub struct Note {
    /// The venue's number.
    pub venue: Option<u64>,
    /// Executed quantity.
    pub cum: Option<Decimal>,
    /// Quantity.
    pub qty: Option<Decimal>,
    /// Trigger.
    pub trigger: Option<Decimal>,
    /// Deadline of what went out before its event could be written.
    pub deadline: Option<i64>,
    /// Recognises the same report of the stream.
    pub key: Option<(u8, i64)>,
}

/// Outcome of an event.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::large_enum_variant, reason = "one value at a time, on the stack")]
pub enum Applied {
    /// Moved or stayed.
    Done {
        /// Before.
        before: Row,
        /// After.
        after: Row,
        /// The machine's step.
        step: Step,
    },
    /// The same report was applied before.
    Duplicate,
    /// The pair cannot happen.
    Illegal(IllegalTransition),
}

/// Change of a plan.
#[derive(Clone, Copy, Default, Debug)]
pub struct PlanChange {
    /// Event.
    pub event: Option<PlanEvent>,
    /// Why it closes.
    pub reason: Option<ExitReason>,
    /// New level.
    pub sl: Option<Decimal>,
    /// Level at the venue.
    pub on_exchange: Option<Decimal>,
    /// Quantity under the stop.
    pub protected: Option<Decimal>,
    /// One more close was sent.
    pub attempt: bool,
    /// Peak and trough.
    pub extremes: Option<(Decimal, Decimal)>,
}

/// All rows.
#[derive(Clone, Default, Debug)]
pub struct Db {
    /// Orders.
    pub rows: BTreeMap<Id, Row>,
    /// Positions.
    pub positions: BTreeMap<Id, Position>,
    /// Trades that are booked: order and the venue's number.
    pub fills: BTreeSet<(Id, u64)>,
    /// Token of the session that holds the fence.
    pub token: u32,
    pub(crate) last: Id,
    seen: BTreeSet<(Id, u8, i64)>,
    /// Corrections without a fill, in their order.
    pub adjusts: Vec<Decimal>,
    /// More was sold than the ledger held: alarmed, and for a person.
    pub oversold: bool,
    /// What a transaction found that must not be.
    pub broken: Option<&'static str>,
}

impl Db {
    /// A new number.
    pub const fn next_id(&mut self) -> Id {
        self.last += 1;
        self.last
    }

    /// The open position of the symbol.
    #[must_use]
    pub fn open_position(&self) -> Option<&Position> {
        self.positions.values().find(|p| p.status == Status::Open)
    }

    /// Moves an order by an event that is no fill.
    pub fn apply(
        &mut self,
        id: Id,
        event: OrderEvent,
        note: &Note,
        adoptable: bool,
        cover: &mut Cover,
    ) -> Applied {
        let Some(before) = self.rows.get(&id).copied() else { return Applied::Duplicate };
        if let Some((kind, at)) = note.key
            && self.seen.contains(&(id, kind, at))
        {
            return Applied::Duplicate;
        }
        let qty = note.qty.unwrap_or(before.qty);
        let facts = Facts {
            has_fills: before.cum > Decimal::ZERO,
            complete: before.cum >= qty && before.cum > Decimal::ZERO,
            booked_all: note.cum.is_none_or(|venue| venue <= before.cum),
            venue_id_known: before.venue.is_some(),
            adoptable,
        };
        cover.order(before.state, event);
        let step = match step(before.state, event, facts) {
            Ok(step) => step,
            Err(illegal) => {
                cover.refused += 1;
                return Applied::Illegal(illegal);
            }
        };
        if let Some((kind, at)) = note.key {
            self.seen.insert((id, kind, at));
        }
        if !before.state.is_terminal() && step.to.is_terminal() && !facts.booked_all {
            self.broken = Some("an order ended although its trades are missing");
        }
        let after = self.store(&before, &step, note);
        if cover.trace {
            println!(
                "         order {id} {:?}: {} {event} -> {}",
                before.role, before.state, after.state
            );
        }
        // What stands by for an entry that has ended, and got no position from it, is for nothing.
        if after.state.is_terminal() && before.role == Role::Entry {
            self.close_standbys(cover, |row| row.parent == Some(id) && row.position.is_none());
        }
        Applied::Done { before, after, step }
    }

    fn store(&mut self, before: &Row, step: &Step, note: &Note) -> Row {
        let newest = self.positions.keys().next_back().copied();
        let mut after = *before;
        after.state = step.to;
        after.venue = before.venue.or(note.venue);
        if step.effects.contains(&Effect::RefreshTerms) {
            after.qty = note.qty.unwrap_or(before.qty);
            after.trigger = note.trigger.or(before.trigger);
            after.deadline = note.deadline.or(before.deadline);
        }
        // A standby row of an entry gets its position from the entry's fill; one that had ended, the newest.
        let placed = before.parent.is_none() || before.state.is_terminal();
        if before.reduces() && !step.to.is_terminal() && placed {
            after.position = before.position.or(newest);
        }
        let stray = after.reduces() && after.is_live() && after.position.is_none();
        if stray && event_shows_it(step) {
            self.broken = Some("a reduce order lives that protects no position");
        }
        self.rows.insert(before.id, after);
        after
    }

    /// Closes standby rows that are not needed.
    pub fn close_standbys(&mut self, cover: &mut Cover, which: impl Fn(&Row) -> bool) {
        let ids: Vec<Id> = self
            .rows
            .values()
            .filter(|row| row.state == OrderState::Created && which(row))
            .map(|row| row.id)
            .collect();
        for id in ids {
            self.apply(id, OrderEvent::StandbyClosed, &Note::default(), false, cover);
        }
    }

    /// Changes a plan; false when the machine refuses.
    pub fn change_plan(&mut self, id: Id, change: &PlanChange, cover: &mut Cover) -> bool {
        let Some(position) = self.positions.get_mut(&id) else { return false };
        let Some(plan) = &mut position.plan else { return false };
        if let Some(event) = change.event {
            cover.plan(plan.state, event);
            if cover.trace {
                println!("         plan of {id}: {} {event}", plan.state);
            }
            let Ok(to) = plan::step(plan.state, event) else { return false };
            plan.state = to;
            position.status = match to {
                PlanState::DustHold => Status::Dust,
                PlanState::Closed => Status::Closed,
                _ => Status::Open,
            };
        }
        plan.reason = change.reason.or(plan.reason);
        plan.sl = change.sl.map_or(plan.sl, |sl| sl.max(plan.sl));
        plan.on_exchange = change.on_exchange.or(plan.on_exchange);
        plan.attempts += i32::from(change.attempt);
        if let Some(protected) = change.protected {
            position.protected = protected;
        }
        if let Some((peak, trough)) = change.extremes {
            (position.peak, position.trough) = (peak, trough);
        }
        let ended = position.status != Status::Open;
        if ended {
            self.close_standbys(cover, |row| row.position == Some(id));
        }
        true
    }
}

/// The step says that the order is at the venue.
fn event_shows_it(step: &Step) -> bool {
    matches!(step.to, OrderState::AckedOpen | OrderState::PartiallyFilled)
}
