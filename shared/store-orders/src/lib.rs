//! The transactions of orders, fills, exit plans and reconcile on the decision cluster, checked at build time
//! against committed metadata.
//!
//! Inputs: plain values, the order and exit machines of `trading`. Outputs: committed rows and typed errors.
//! Invariant: an intent is a [`orders::PersistedOrder`], which only a committed insert returns. It stands apart
//! from `store-decision`, so that ingest, which publishes to the same cluster, never reaches the order machine.

pub mod balances;
pub mod cells;
pub mod dust;
pub mod exit_plans;
pub mod fills;
pub mod latency;
pub mod orders;
pub mod positions;
pub mod private_log;
pub mod reconcile;
pub mod safety;
pub mod shadow;
pub mod trades;
pub mod writer;

pub use writer::{ExecStore, WriteError};
