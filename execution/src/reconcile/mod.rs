//! Reconcile: the venue's truth against our rows, at attach, after a lost stream, and all the time.
//!
//! Input: snapshots of the stream, looks by REST. Output: events and fills with their source, rows of
//! the passes, causes for the mode. Invariants: trades are booked before an order ends; nothing is
//! concluded from absence before its proofs are complete; nothing is ever invented.

mod absence;
mod attach;
mod balance;
mod compare;
mod confirm;
mod fees;
mod fetch;
mod history;
mod look;
mod passes;
mod quiet;
mod recover;
mod state;
mod strangers;
mod views;

#[cfg(test)]
pub(crate) use fetch::{FoundOrder, FoundTrade};
pub(crate) use fetch::{LookKind, LookResult};
pub(crate) use state::ReconcileState;
