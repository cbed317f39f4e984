//! The spool: an append-only file queue between the market core and a cluster.

mod format;

pub use format::*;
