//! The exit supervisor: every open position, on every applied frame and at least every 250 ms.
//!
//! Input: positions with their plans, quotes, orders, time. Output: stops placed and raised, closes. It
//! shares no gate with entries; only the fence and the private stream limit it. Each tick starts from the
//! rows in memory, so that a restart goes on where the rows are.

mod close;
mod live;
mod protect;
mod regime;
mod review;
mod tick;

use penstock_store_orders::positions::PlanRecord;
use penstock_trading::exit::trigger::{Decision, Tick};
use penstock_types::vocab::{ExitReason, PlanState};

/// Whether regime or engine may act on a position in this tick: operator, panic and loss cap come before them, and
/// without a price nothing is decided.
fn may_act(plan: &PlanRecord, judged: &Tick) -> bool {
    let is_decided = matches!(
        judged.decision,
        Decision::InputStale
            | Decision::CloseMarket(
                ExitReason::Operator | ExitReason::PanicExit | ExitReason::LossCap
            )
    );
    !is_decided && matches!(plan.state, PlanState::Armed | PlanState::Trailing)
}
