//! Shadow trades in the service: opened with the record of a cycle, looked at with every publication.
//!
//! Purpose: what was refused goes on being measured, and its cell learns from it. Inputs: finished decisions, published
//! states, pending rows. Outputs: rows, folded cells, one marker when a cell is suspended. Invariants: nothing here
//! stands between a decision and its submit, or touches an exit; a cycle reads of it only what the cells say.

mod book;
mod keeper;
mod open;

pub(super) use keeper::run_shadows;
pub(super) use open::{Shadows, row};

use penstock_store_orders::cells::CellSuspended;
use penstock_telemetry::marker;

/// Says that a cell rests from now on.
pub(crate) fn say_suspended(suspended: &CellSuspended) {
    marker!(
        STRATEGY_CELL_SUSPENDED,
        strategy = suspended.key.strategy,
        regime = suspended.key.regime,
        route_type = suspended.key.route_type,
        ewma_net_bps = suspended.ewma_net_bps,
        until = suspended.until.rfc3339()
    );
}
