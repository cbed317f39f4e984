//! Every query on the ingest cluster, checked at build time against committed metadata.
//!
//! Inputs: pools or connections, plain values. Outputs: rows and typed errors. It decides nothing and
//! reads no clock of its host; statements that need "now" use the cluster's.

pub mod checkpoints;
pub mod epochs;
mod error;
pub mod evidence;
pub mod generations;
pub mod level3_losses;
pub mod pair_summary;
pub mod proof;
pub mod raw_read;
pub mod retention;
pub mod runs;
#[path = "../../store/both/epochs.rs"]
mod twin_epochs;
#[path = "../../store/both/runs.rs"]
mod twin_runs;
pub mod twins_write;
pub mod verify_read;

pub use error::TwinError;
pub use twin_epochs::{insert_epoch, insert_snapshot, upsert_instruments};
pub use twin_runs::{
    end_lineage, end_older_lineages, end_run, open_runs, set_run_warm, upsert_lineage, upsert_run,
};

use penstock_store::ClusterRole;

/// The cluster of this crate.
pub(crate) const CLUSTER: ClusterRole = ClusterRole::Ingest;

/// A writing transaction with its three time-outs, in one message.
pub(crate) const BEGIN_LIMITED: &str = "begin; set local lock_timeout = '2s'; \
     set local statement_timeout = '5s'; \
     set local idle_in_transaction_session_timeout = '5s'";
