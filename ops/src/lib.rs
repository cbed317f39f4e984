//! The operator's tool as a library: one module per command, so that commands can be tested without a
//! process.

pub mod arguments;
pub mod bench;
pub mod catalog;
pub mod check_recording;
pub mod cli;
pub mod config;
pub mod databases;
pub mod demo;
pub mod down;
pub mod engine;
pub mod engine_files;
pub mod exit;
pub mod explain;
pub mod export;
pub mod flatten;
pub mod invariants;
pub mod keys;
pub mod mode;
pub mod progress;
pub mod psql;
pub mod reconcile;
pub mod record;
pub mod replay;
pub mod report;
mod request;
pub mod retention;
pub mod safety;
pub mod soak;
pub mod stack;
pub mod status;
pub mod up;
pub mod validate;
pub mod verify;
pub mod why;
