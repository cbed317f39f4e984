//! `run-ingest`: market data from the venue's sockets to both clusters.
//!
//! Purpose: the shell around the pure market core. Inputs: public sockets and REST, configuration.
//! Outputs: raw rows through the spool, generations, frames, epochs. Invariants: nothing is published
//! without the fence; the core's thread never waits for a cluster; execution is not known here.

pub mod bindings;
mod core;
pub mod cut_rows;
pub mod exit;
mod lifecycle;
mod publish;
pub mod service;
pub mod settings;
mod spooling;
mod tasks;
mod universe;
pub mod verify;
