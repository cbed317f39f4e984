//! The raw spool in operation: the sink of the core, and the loader that empties it.

pub(crate) mod arrival;
pub(crate) mod frames;
mod inherited;
pub(crate) mod load;
pub(crate) mod open;
pub(crate) mod sink;
