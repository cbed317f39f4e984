//! What both clusters have in common: pools, identity, migrations, fences, bulk copy, partitions,
//! and the spool between the market core and the ingest cluster.
//!
//! Checked queries live in `store-ingest` and `store-decision`; this crate has only runtime text
//! (copies, DDL, settings), so that it builds before query metadata exists.

pub mod again;
pub mod copy_out;
pub mod error;
pub mod fence;
pub mod guard;
pub mod identity;
pub mod migrate;
pub mod numeric;
pub mod partitions;
pub mod pools;
pub mod raw_rows;
pub mod right_of_way;
pub mod role;
#[cfg(feature = "samples")]
pub mod samples;
pub mod spool;
pub mod state_copy;
#[cfg(feature = "testing")]
pub mod testing;
pub mod tuple;
pub mod twins;

pub use error::StoreError;
pub use guard::CopyGuard;
pub use right_of_way::RightOfWay;
pub use role::ClusterRole;
