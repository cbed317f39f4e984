//! The desk: the one task that owns orders, positions and everything that is sent.
//!
//! Input: events of the private stream, answers to requests, looks by REST, commands, ticks. Output:
//! transactions, requests, markers, causes for the mode. Invariants: one event is finished before the
//! next begins, so a symbol is never worked on twice at once; nothing here waits for the venue, so a
//! slow answer never delays a stop; memory follows the commit. A lost fence ends it with
//! [`DeskError::FencedOut`], a broken invariant with [`DeskError::Invariant`].

mod config;
mod error;
pub mod failpoints;
mod handle;
mod run;
mod state;
mod store;

pub use config::DeskConfig;
pub use error::DeskError;
pub(crate) use handle::Command;
pub use handle::{DeskHandle, DeskStatus};
pub use run::{DeskParts, spawn};

#[cfg(test)]
mod tests;
pub(crate) use state::{Balance, Desk, Input, Message, Waiting};
