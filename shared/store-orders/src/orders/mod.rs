//! Orders as rows: committed before their first byte leaves, moved by the order machine only.
//!
//! [`persist`] writes a new order and returns the [`PersistedOrder`] without which nothing can be sent;
//! [`caps`] judges its money once more, `insert` holds its rows, `intent` takes the hash of what it is meant to do; [`transition`] moves a row by one event under
//! its lock; [`read`] reads rows. Invariant: a row, its
//! event and what follows from both (reservation, standby row) share one transaction.

pub mod caps;
pub(crate) mod insert;
mod intent;
pub mod persist;
pub mod read;
pub mod terms;
pub mod transition;

pub use persist::PersistedOrder;
pub use terms::{EntryContext, NewOrder, OrderRecord, Standby};
pub use transition::{Applied, EventNote, EventSource, Terms};
