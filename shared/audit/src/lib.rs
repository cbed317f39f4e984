//! The audit trail: what happened, in an order that nobody can change unseen.
//!
//! Purpose: events with one envelope; redaction before anything is kept; one file for each UTC day, hash-chained
//! line by line and sealed when the day is over; verification that names what was changed, taken away or added.
//! Inputs: drafts of events with their times, secrets to look for, a directory. Outputs: lines for the database,
//! files, reports. Invariants: what is not redacted cannot become an event; a line is whole on disk or its caller is
//! told which are not; nothing is removed from a file but the torn end of a write, which is kept or follows again.
//! It reads no clock, opens no socket and knows no database.

pub mod backlog;
pub mod database;
pub mod day;
mod disk;
pub mod event;
pub mod finding;
pub mod line;
pub mod live;
pub mod payload;
mod reader;
pub mod redact;
pub mod rotation;
pub mod schema;
pub mod trail;
pub mod verify;
mod walk;

pub use day::Day;
pub use event::{Draft, Event, EventError};
pub use finding::{Finding, Report, Unseen, What};
pub use line::{Hash, LINE_BYTES_MAX, Line, LineError};
pub use live::LiveEnd;
pub use redact::Redactor;
pub use trail::{Appended, Opened, Sealed, Trail};
pub use verify::{Beside, verify, verify_dir};
pub use walk::PREV_SESSION;
