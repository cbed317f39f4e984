//! Public REST of the derivative venues: funding, mark, open interest and the venue's clock regularly,
//! trades after a gap.
//!
//! [`PollPlan`] says what is due when, without input or output; [`spawn_poll`] asks and hands the bodies
//! on undecoded, with the time of their receipt. Nothing is retried on its own: what failed is due again
//! by the plan.

mod client;
mod history;
mod open_interest;
mod plan;
mod trades;

pub use client::{PollConfig, PollEvent, PollInbox, PollVenue, spawn_poll};
pub use open_interest::{IntervalChange, OiRule, StretchCause};
pub use plan::{Ask, Outcome, PollPlan, PollRule};
pub use trades::TradesAsk;

#[cfg(test)]
mod tests;
