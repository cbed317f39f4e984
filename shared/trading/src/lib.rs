//! The pure half of trading: the decision, the order machine, the ledger, exit plans, protection.
//!
//! Purpose: everything that decides what to do, as functions from values to values. No sockets, no
//! clock, no randomness, no database: effects go out as data and the service carries them out.

pub mod exit;
pub mod ledger;
pub mod order;
pub mod protection;
