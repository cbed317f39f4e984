//! What the protective stop of a position should be, and the next step towards it.
//!
//! Input: base, committed stop level, what stands at the venue, limits of the instrument, times.
//! Output: place, amend, swap or wait. Invariants: the quantity never exceeds the base; the level never
//! falls; a triggered stop is never touched; at most one unanswered request; nothing is asked of a market that
//! does not take it, and what was refused is asked again after a pause. It deliberately does not decide levels:
//! those come from the exit plan.

use crate::exit::closing::OrderView;
use crate::exit::market::Market;
use crate::exit::plan::PlanEvent;
use crate::rules::{Rule, holds};
use penstock_types::Decimal;
use penstock_types::decimal::floor_to_step;
use penstock_types::vocab::PlanState;

/// Retries after a stop that failed, in milliseconds; the last repeats without end.
pub const RETRY_MS: [i64; 4] = [250, 500, 1_000, 2_000];
/// Refused amends of the quantity before the stop is swapped.
pub const AMEND_REFUSALS_MAX: i32 = 2;
/// A successor amends no stop in the first seconds of its fence: an amend of its predecessor may
/// still arrive.
pub const SUCCESSOR_QUIET_MS: i64 = 4_000;
/// A refused change of the level alone is asked for again after this: the distance of two raises.
pub const LEVEL_RETRY_MS: i64 = 5_000;
/// An unanswered amend is unresolved until its deadline and this are over.
pub const AMEND_RESOLVE_MS: i64 = 2_000;

/// The stop as far as it is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StopView {
    /// What is known of it.
    pub order: OrderView,
    /// Its quantity at the venue, executed part included.
    pub qty: Decimal,
    /// Executed part.
    pub cum_qty: Decimal,
    /// Its trigger at the venue.
    pub trigger: Decimal,
    /// An amend or cancel is unanswered.
    pub mutation_open: bool,
}

impl StopView {
    /// No stop.
    pub const NONE: Self = Self {
        order: OrderView::Gone,
        qty: Decimal::ZERO,
        cum_qty: Decimal::ZERO,
        trigger: Decimal::ZERO,
        mutation_open: false,
    };

    /// Base that this stop covers.
    #[must_use]
    pub fn covered(&self) -> Decimal {
        match self.order {
            OrderView::Live | OrderView::Triggered | OrderView::Canceling => {
                (self.qty - self.cum_qty).max(Decimal::ZERO)
            }
            OrderView::Gone | OrderView::Unanswered | OrderView::Doubtful => Decimal::ZERO,
        }
    }
}

/// One moment of a protected position.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ProtectInput {
    /// The stop.
    pub stop: StopView,
    /// Base of the position.
    pub base: Decimal,
    /// Committed stop level.
    pub sl_price: Decimal,
    /// Smallest quantity that the venue takes.
    pub min_qty: Decimal,
    /// Quantity increment.
    pub lot: Decimal,
    /// Refused amends of the quantity in a row.
    pub amend_refusals: i32,
    /// Time since the last refused amend of this stop, if there was one.
    pub since_amend_refusal_ms: Option<i64>,
    /// Highest level that the best bid allows now; none without a quote.
    pub ceiling: Option<Decimal>,
    /// What the venue takes now.
    pub market: Market,
    /// Failed placements in a row.
    pub failures: i32,
    /// Time since the last failed placement.
    pub since_failure_ms: i64,
    /// Time since this session's fence.
    pub since_fence_ms: i64,
    /// The stop was placed by an earlier session.
    pub stop_is_inherited: bool,
}

/// The next step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProtectAction {
    /// Everything stands, or an answer is awaited.
    Wait,
    /// The base is below what a stop may be.
    BelowMinimum,
    /// Authorise and send a stop.
    Place {
        /// Quantity.
        qty: Decimal,
        /// Trigger.
        trigger: Decimal,
    },
    /// Amend in place; absent fields stay.
    Amend {
        /// New quantity, executed part included.
        qty: Option<Decimal>,
        /// New trigger, higher than the old one.
        trigger: Option<Decimal>,
    },
    /// Amending is refused again and again: cancel, then place anew.
    Swap,
    /// Ask the venue what became of it.
    LookUp,
}

/// Quantity of a stop over `base`.
#[must_use]
pub fn stop_qty(base: Decimal, lot: Decimal) -> Decimal {
    floor_to_step(base, lot).max(Decimal::ZERO)
}

/// Pause before the next placement after `failures` failed ones.
#[must_use]
pub fn retry_ms(failures: i32) -> i64 {
    match usize::try_from(failures) {
        Ok(0) | Err(_) => 0,
        Ok(n) => RETRY_MS[(n - 1).min(RETRY_MS.len() - 1)],
    }
}

/// The next step towards the stop that the plan wants: one total match over what is known of it.
#[must_use]
pub fn next(input: &ProtectInput) -> ProtectAction {
    let qty = stop_qty(input.base, input.lot);
    match input.stop.order {
        OrderView::Gone if qty < input.min_qty => ProtectAction::BelowMinimum,
        OrderView::Gone => {
            let rested = input.since_failure_ms >= retry_ms(input.failures);
            if rested && input.market.takes_stop() {
                ProtectAction::Place { qty, trigger: input.sl_price }
            } else {
                ProtectAction::Wait
            }
        }
        OrderView::Live => amend(input, qty),
        OrderView::Doubtful => ProtectAction::LookUp,
        OrderView::Triggered if !holds(Rule::AmendOfExecutingStop) => amend(input, qty),
        OrderView::Unanswered | OrderView::Triggered | OrderView::Canceling => ProtectAction::Wait,
    }
}

fn amend(input: &ProtectInput, base_qty: Decimal) -> ProtectAction {
    let waits = input.stop.mutation_open
        || (input.stop_is_inherited && input.since_fence_ms < SUCCESSOR_QUIET_MS);
    if (waits && holds(Rule::LateAmend)) || base_qty.is_zero() {
        return ProtectAction::Wait;
    }
    let sold = input.stop.cum_qty;
    let want_qty = if holds(Rule::AmendOfExecutingStop) { sold + base_qty } else { base_qty };
    let qty = (want_qty != input.stop.qty).then_some(want_qty);
    // A level above what the bid allows would fire at once; without a quote nobody can tell.
    let fits = input.ceiling.is_some_and(|ceiling| input.sl_price <= ceiling);
    let trigger = (fits && input.sl_price > input.stop.trigger).then_some(input.sl_price);
    if qty.is_some() && input.amend_refusals >= AMEND_REFUSALS_MAX {
        let can_swap = input.market.takes_stop();
        return if can_swap { ProtectAction::Swap } else { ProtectAction::Wait };
    }
    let pause_ms = if qty.is_some() { retry_ms(input.amend_refusals) } else { LEVEL_RETRY_MS };
    let rested = input.since_amend_refusal_ms.is_none_or(|ms| ms >= pause_ms);
    if (qty.is_none() && trigger.is_none()) || !rested || !input.market.takes_amend() {
        return ProtectAction::Wait;
    }
    ProtectAction::Amend { qty, trigger }
}

/// The event that a plan still lacks although its stop stands whole: what told of it may have been lost between the
/// order's transaction and the plan's, and no report says it again. `raised`: the stop is above its first level.
#[must_use]
pub fn owed_event(state: PlanState, input: &ProtectInput, raised: bool) -> Option<PlanEvent> {
    let wanted = stop_qty(input.base, input.lot);
    let live = input.stop.order == OrderView::Live && !wanted.is_zero();
    if !live || input.stop.covered() < wanted {
        return None;
    }
    match state {
        PlanState::Created => Some(PlanEvent::StopSubmitted),
        PlanState::Arming | PlanState::Unprotected if raised => Some(PlanEvent::StopAckedRaised),
        PlanState::Arming | PlanState::Unprotected => Some(PlanEvent::StopAcked),
        PlanState::Armed
        | PlanState::Trailing
        | PlanState::Triggered
        | PlanState::Exiting
        | PlanState::DustHold
        | PlanState::Closed => None,
    }
}

#[cfg(test)]
mod tests;
