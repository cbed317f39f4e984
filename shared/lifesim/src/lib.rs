//! Whole lives of orders and positions, seeded, under virtual time.
//!
//! Purpose: the product's pure machines (orders, plans, triggers, closing, protection, ledger, differences, absence,
//! standby rows) composed as the desk composes them, against the simulated venue in one process, with faults at every
//! seam. Input: a seed. Output: counts of what was reached and the first thing that must not be. A development crate:
//! it depends on the product and on the venue, neither depends on it, and the two know nothing of each other.

pub mod book;
mod chooser;
pub mod cover;
pub mod dice;
pub mod fault;
mod judge;
pub mod life;
pub mod net;
pub mod pairs;
pub mod report;
pub mod rows;
pub mod venue;
mod wire;
mod world;

pub use world::{BASE, EVENTS_MIN, FAULTS_MIN, History, run};
