//! Sending: entries, cancels, amends, and the answers to them.
//!
//! Input: planned entries, decisions of the supervisor, answers. Output: committed rows, requests on
//! the socket. Invariants: an order goes out only as the [`PersistedOrder`] of its commit; an order has
//! at most one open request; an answer that proves nothing is *unknown*, looked up, never repeated.

mod answer;
#[cfg(feature = "failpoints")]
mod early;
mod entry;
mod send;

pub use entry::entry_rows;
pub(crate) use send::Amend;
