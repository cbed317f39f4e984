//! What was reached: pairs of state and event of both machines, faults by kind, events.
//!
//! Input: every call of a machine. Output: counts, and for each pair whether the machine takes it for any facts.

use penstock_trading::exit::plan::{self, PlanEvent};
use penstock_trading::order::{Facts, OrderEvent, step};
use penstock_types::vocab::{OrderState, PlanState};

use crate::fault::Kind;

const ORDERS: usize = OrderState::ALL.len() * OrderEvent::ALL.len();
const PLANS: usize = PlanState::ALL.len() * PlanEvent::ALL.len();
const FAULTS: usize = Kind::ALL.len();

/// Counts of one or many histories.
#[derive(Clone, Debug)]
pub struct Cover {
    orders: [u64; ORDERS],
    plans: [u64; PLANS],
    faults: [u64; FAULTS],
    /// Messages and answers that a life has taken.
    pub events: u64,
    /// Events of the order machine that it refused.
    pub refused: u64,
    /// Fills that were booked.
    pub fills: u64,
    /// Positions that were closed.
    pub closes: u64,
    /// Every event is told.
    pub trace: bool,
}

impl Default for Cover {
    fn default() -> Self {
        Self {
            orders: [0; ORDERS],
            plans: [0; PLANS],
            faults: [0; FAULTS],
            events: 0,
            refused: 0,
            fills: 0,
            closes: 0,
            trace: false,
        }
    }
}

fn place<T: PartialEq>(list: &[T], one: &T) -> usize {
    list.iter().position(|other| other == one).unwrap_or_default()
}

fn order_at(state: OrderState, event: OrderEvent) -> usize {
    place(OrderState::ALL, &state) * OrderEvent::ALL.len() + place(OrderEvent::ALL, &event)
}

fn plan_at(state: PlanState, event: PlanEvent) -> usize {
    place(PlanState::ALL, &state) * PlanEvent::ALL.len() + place(PlanEvent::ALL, &event)
}

/// The order machine takes the pair for some facts.
#[must_use]
pub fn is_legal_order(state: OrderState, event: OrderEvent) -> bool {
    (0_u8..32).any(|bits| {
        let facts = Facts {
            has_fills: bits & 1 != 0,
            complete: bits & 3 == 3,
            booked_all: bits & 4 != 0,
            venue_id_known: bits & 8 != 0,
            adoptable: bits & 16 != 0,
        };
        step(state, event, facts).is_ok()
    })
}

/// The plan machine takes the pair.
#[must_use]
pub fn is_legal_plan(state: PlanState, event: PlanEvent) -> bool {
    plan::step(state, event).is_ok()
}

impl Cover {
    /// The order machine was asked for this pair.
    pub fn order(&mut self, state: OrderState, event: OrderEvent) {
        self.orders[order_at(state, event)] += 1;
    }

    /// The plan machine was asked for this pair.
    pub fn plan(&mut self, state: PlanState, event: PlanEvent) {
        self.plans[plan_at(state, event)] += 1;
    }

    /// A fault took effect.
    pub fn fault(&mut self, kind: Kind) {
        self.faults[place(Kind::ALL, &kind)] += 1;
    }

    /// How often.
    #[must_use]
    pub fn order_hits(&self, state: OrderState, event: OrderEvent) -> u64 {
        self.orders[order_at(state, event)]
    }

    /// How often.
    #[must_use]
    pub fn plan_hits(&self, state: PlanState, event: PlanEvent) -> u64 {
        self.plans[plan_at(state, event)]
    }

    /// How often.
    #[must_use]
    pub fn fault_hits(&self, kind: Kind) -> u64 {
        self.faults[place(Kind::ALL, &kind)]
    }

    /// All faults.
    #[must_use]
    pub fn faults(&self) -> u64 {
        self.faults.iter().sum()
    }

    /// Adds the counts of another.
    pub fn add(&mut self, other: &Self) {
        let pairs = self.orders.iter_mut().zip(other.orders.iter());
        let plans = self.plans.iter_mut().zip(other.plans.iter());
        let faults = self.faults.iter_mut().zip(other.faults.iter());
        for (mine, theirs) in pairs.chain(plans).chain(faults) {
            *mine += theirs;
        }
        self.events += other.events;
        self.refused += other.refused;
        self.fills += other.fills;
        self.closes += other.closes;
    }
}
