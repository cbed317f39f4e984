//! The pure half of trading: the decision, the order machine, the ledger, exit plans, protection.
//!
//! Purpose: everything that decides what to do, as functions from values to values. No sockets, no
//! clock, no randomness, no database: effects go out as data and the service carries them out.

pub mod absence;
pub mod capital;
pub mod cell;
pub mod costs;
pub mod cycle;
pub mod decide;
pub mod dms;
pub mod drift;
pub mod engine_gate;
pub mod exit;
pub mod fixtures;
pub mod gates;
pub mod groups;
pub mod ledger;
pub mod mode;
pub mod order;
pub mod protection;
pub mod pullback;
pub mod quarantine;
pub mod quiet;
pub mod rank;
pub mod recover;
pub mod risk;
pub mod routes;
pub mod rules;
pub mod select;
pub mod shadow;
pub mod size;
pub mod standby;
pub mod windows;

pub use cycle::CycleInput;
pub use decide::{Outcome, decide};
