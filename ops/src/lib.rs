//! The operator's tool as a library: one module per command, so that commands can be tested without a
//! process.

pub mod check_recording;
pub mod demo;
pub mod invariants;
pub mod validate;
