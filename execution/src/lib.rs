//! The execution service: attaches to published data, decides, and owns what it bought.
//!
//! Inputs: the decision cluster and the private side of the venue; no market data socket. Outputs:
//! orders, rows, markers. Invariants: one writer per domain, proven by the fence inside each writing
//! transaction; no byte of an order leaves before its row is committed; the mode never freezes exits.

pub mod account;
pub mod alerts;
pub mod attach;
pub mod audit;
pub mod beat;
pub mod boot;
pub mod context;
pub mod control;
pub mod cycle;
pub mod desk;
mod dms;
pub mod engine;
pub mod exit;
mod exits;
mod fills;
pub mod health;
pub mod lease;
pub mod mode;
mod operator;
mod outage;
mod panel;
pub mod progress;
pub mod quotes;
mod reconcile;
mod refresh;
pub mod report;
pub mod service;
pub mod settings;
pub mod stream;
pub mod submit;
mod tracker;
pub mod wake;
