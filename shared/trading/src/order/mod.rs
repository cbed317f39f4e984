//! The life of one order as a pure machine: states, events, effects as data.
//!
//! Input: the state of the row, what happened, and the facts that the caller read under the row's
//! lock. Output: the next state, the marker to log and the effects to carry out, or a typed refusal.
//! Invariants: one total match lists every pair; a fill is never refused for the state of its order;
//! no report makes an order terminal while the venue's executed quantity is above the booked one. It
//! deliberately does not know rows, venues or time.

mod event;
mod shadow;
mod step;

pub use event::{Effect, Facts, IllegalTransition, OrderEvent, Step};
pub use shadow::{Said, Shadow};
pub use step::step;

#[cfg(test)]
mod tests;
