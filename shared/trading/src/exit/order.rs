//! The order in which what may end a position, or move its stop, is asked: the first that asks acts.
//!
//! Input: one tick with its usable quote, and what regime and engine ask for. Output: the trigger that acts
//! and its decision. Invariant: every trigger has one place, and a later one is never asked once an earlier
//! has spoken.

use super::regime::RegimeAction;
use super::review::ReviewAction;
use super::trigger::{Decision, Moment};

/// What may end a position or move its stop, in order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trigger {
    /// The operator's close, or that of a position that reopened.
    Operator,
    /// The stop has evidently failed.
    Panic,
    /// A loss beyond the cap that lasts.
    LossCap,
    /// The venue's stop has fired: it is the exit.
    Stop,
    /// The pair of regimes.
    Regime,
    /// The engine's view.
    Engine,
    /// Take-profit.
    TakeProfit,
    /// Time is up.
    TimeStop,
    /// A loser that does not move.
    StaleLoser,
    /// A step of breakeven.
    Breakeven,
    /// The trail.
    Trail,
}

impl Trigger {
    /// All, in their order.
    pub const ALL: [Self; 11] = [
        Self::Operator,
        Self::Panic,
        Self::LossCap,
        Self::Stop,
        Self::Regime,
        Self::Engine,
        Self::TakeProfit,
        Self::TimeStop,
        Self::StaleLoser,
        Self::Breakeven,
        Self::Trail,
    ];
}

/// What others ask for at this moment: facts of the venue, the matrix of regimes, the engine.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Asked {
    /// The venue reports the stop triggered.
    pub stop_fired: bool,
    /// What is due of the pair of regimes.
    pub regime: Option<RegimeAction>,
    /// What is due of the engine's review.
    pub engine: Option<ReviewAction>,
}

/// What one trigger asks for, whatever the others do.
#[must_use]
pub fn asks(trigger: Trigger, at: &Moment<'_>) -> Option<Decision> {
    match trigger {
        Trigger::Operator => at.operator(),
        Trigger::Panic => at.panic(),
        Trigger::LossCap => at.loss_cap(),
        Trigger::Stop => at.input.asked.stop_fired.then_some(Decision::AwaitStop),
        Trigger::Regime => match at.input.asked.regime {
            None | Some(RegimeAction::Keep) => None,
            Some(action) => Some(Decision::Regime(action)),
        },
        Trigger::Engine => match at.input.asked.engine {
            None | Some(ReviewAction::Keep) => None,
            Some(action) => Some(Decision::Engine(action)),
        },
        Trigger::TakeProfit => at.take_profit(),
        Trigger::TimeStop => at.time_up(),
        Trigger::StaleLoser => at.stale_loser(),
        Trigger::Breakeven => at.breakeven(),
        Trigger::Trail => at.trail(),
    }
}

/// The first trigger that asks, with its decision.
#[must_use]
pub fn first(at: &Moment<'_>) -> Option<(Trigger, Decision)> {
    Trigger::ALL.iter().find_map(|trigger| asks(*trigger, at).map(|found| (*trigger, found)))
}

#[cfg(test)]
mod tests;
