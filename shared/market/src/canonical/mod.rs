//! Canonical events: what the engine reads, from the rows that are recorded.
//!
//! Inputs: raw rows and the instruments that tokens bind. Output: per tick the events of all tokens in
//! their one order. [`normalise`] is a pure function of a row and a binding; [`EventQueue`] numbers what
//! it accepts, drops what came before, orders, conflates. No local time, no clock, no chance: the events
//! of a run follow from its rows. It does not know ticks, flags or frames; the sealer does.

mod binding;
mod duplicates;
mod normalise;
mod queue;
mod state;

pub use binding::{InstrumentBinding, InstrumentKey, Roles};
pub use normalise::{MAX_NOTIONAL_NTL, Reject, Source};
pub use queue::{EventCounts, EventQueue};
pub use state::QueueState;

#[cfg(test)]
mod tests;
