//! Pairs that a machine takes and that the composition cannot reach, each with its reason.
//!
//! Input: the committed table. Output: whether a pair stands in it. A pair that stands here and is reached fails the
//! run, as does one that does not and is not.

use penstock_trading::exit::plan::PlanEvent;
use penstock_trading::order::OrderEvent;
use penstock_types::vocab::{OrderState, PlanState};

/// The table: machine, state, event, reason; separated by bars.
pub const TABLE: &str = include_str!("../unreachable.txt");

fn stands(machine: &str, state: &str, event: &str) -> bool {
    TABLE.lines().filter(|line| !line.starts_with('#')).any(|line| {
        let mut parts = line.split('|').map(str::trim);
        parts.next() == Some(machine) && parts.next() == Some(state) && parts.next() == Some(event)
    })
}

/// The pair of an order cannot be reached.
#[must_use]
pub fn is_unreachable_order(state: OrderState, event: OrderEvent) -> bool {
    stands("order", state.as_str(), event.as_str())
}

/// The pair of a plan cannot be reached.
#[must_use]
pub fn is_unreachable_plan(state: PlanState, event: PlanEvent) -> bool {
    stands("plan", state.as_str(), event.as_str())
}
