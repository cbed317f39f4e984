//! `penstock demo`: clusters, a simulated venue and both services, watched and judged.

pub mod evidence;
pub mod ledger;
pub mod summary;
pub mod tops;
pub mod venue;
