//! Every query on the decision cluster that is no part of an order's life, checked at build time against
//! committed metadata. Orders, fills and exits stand in `store-orders`, because their transactions apply the
//! order machine, which ingest never reaches.
//!
//! Inputs: pools or connections, plain values. Outputs: rows and typed errors. It decides nothing and
//! reads no clock of its host; statements that need "now" use the cluster's.

pub mod account;
pub mod ai_gate;
pub mod alerts;
pub mod audit;
pub mod bindings;
pub mod closes;
pub mod control;
pub mod cycle_input;
pub mod daily;
pub mod engine_rows;
pub mod epochs;
mod error;
pub mod evaluations;
pub mod evidence;
pub mod explain;
pub mod frames;
pub mod frames_read;
pub mod glance;
pub mod health;
pub mod heartbeat;
pub mod installation;
pub mod instruments;
pub mod ledger_read;
pub mod level3;
pub mod lost;
pub mod modes;
pub mod overview;
pub mod proof;
pub mod publication;
mod read_error;
pub mod retention;
pub mod sessions;
pub mod shadow_trades;
pub mod stored_cycles;
pub mod symbol_gates;
#[path = "../../store/both/epochs.rs"]
mod twin_epochs;
#[path = "../../store/both/runs.rs"]
mod twin_runs;
pub mod twins_read;
pub mod vocabularies;
pub mod why;

pub use error::TwinError;
pub use read_error::ReadError;
pub use twin_epochs::{insert_epoch, insert_snapshot, upsert_instruments};
pub use twin_runs::{
    end_lineage, end_older_lineages, end_run, open_runs, set_run_warm, upsert_lineage, upsert_run,
};

use penstock_store::ClusterRole;

/// The cluster of this crate.
pub(crate) const CLUSTER: ClusterRole = ClusterRole::Decision;
