//! The exit supervisor: every open position, on every applied frame and at least every 250 ms.
//!
//! Input: positions with their plans, quotes, orders, time. Output: stops placed and raised, closes. It
//! shares no gate with entries; only the fence and the private stream limit it. Each tick starts from the
//! rows in memory, so that a restart goes on where the rows are.

mod close;
mod dust;
mod live;
mod market;
mod outside;
mod protect;
mod regime;
mod review;
mod tick;

use penstock_store_orders::positions::PlanRecord;
use penstock_types::vocab::PlanState;

use crate::desk::Desk;

impl Desk {
    /// Orders, changes and cancels may be sent. The switch stops exits too: what is open is watched, booked and
    /// alarmed, and nothing is decided about it, so that no decision waits in a row to be carried out later.
    pub(crate) const fn is_permitted(&self) -> bool {
        self.config.execution_enable
    }
}

/// Whether regime or engine may ask for something of a position: while its stop stands.
const fn may_ask(plan: &PlanRecord) -> bool {
    matches!(plan.state, PlanState::Armed | PlanState::Trailing)
}
