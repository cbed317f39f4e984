//! Shadow trades: what refused candidates would have come to.
//!
//! Purpose: the words of a shadow trade and its life from the opening to the result. Inputs: its frozen terms, the mid
//! of published states with their time. Outputs: a step, which is pending or final. Invariants: pure; no state from
//! before the opening and none from too long after the expiry resolves anything; a result is net of the costs that the
//! cost model gave the candidate. Which candidates open one is told by [`crate::decide::shadow`].

mod resolve;

pub use resolve::{Excursion, Resolution, ShadowTrade, Step, VOID_AFTER_EXPIRY_MS, step};

use penstock_types::Symbol;
use penstock_types::closed_vocabulary;
use penstock_types::vocab::{Blocker, Horizon, RouteType, Strategy};

use crate::cell::Source;
use penstock_types::Decimal;

closed_vocabulary! {
    /// Which way a trade goes. On spot only one of them can be traded.
    pub Direction {
        /// Bought first.
        Long = "LONG",
        /// Sold first; a shadow only.
        Short = "SHORT",
    }
}

closed_vocabulary! {
    /// What a shadow trade came to.
    pub ShadowOutcome {
        /// Nothing yet.
        Pending = "pending",
        /// Its take-profit was touched first.
        Tp = "tp",
        /// Its stop was touched first.
        Sl = "sl",
        /// Its time was up.
        Timeout = "timeout",
        /// Nobody can tell.
        Void = "void",
    }
}

/// A way of entering a symbol in a direction: of each at most one shadow trade is pending.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct WayKey {
    /// Symbol.
    pub symbol: Symbol,
    /// Direction.
    pub direction: Direction,
    /// Strategy.
    pub strategy: Strategy,
    /// Route.
    pub route_type: RouteType,
    /// Horizon.
    pub horizon: Horizon,
}

/// Whose result a shadow trade is to its cell: wanted when only a limit, a lock or a gate stood in its way.
///
/// A candidate whose symbol was held or being entered is not wanted: that trade is being made, and counts itself. `all`
/// are its blockers.
#[must_use]
pub fn source(direction: Direction, all: &[Blocker], surplus_bps: Option<Decimal>) -> Source {
    let made = [Blocker::PositionOpen, Blocker::SymbolLocked, Blocker::RegimeChaos];
    let could_trade = match direction {
        Direction::Long => !all.iter().any(|blocker| made.contains(blocker)),
        Direction::Short => false,
    };
    let was_worth_it = surplus_bps.is_some_and(|surplus| surplus >= Decimal::ZERO);
    if could_trade && was_worth_it { Source::ShadowWanted } else { Source::ShadowUnwanted }
}

#[cfg(test)]
mod tests;
