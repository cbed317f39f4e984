//! Start, keeping alive, stop.

pub(crate) mod alerts;
pub(crate) mod checkpoints;
pub(crate) mod clusters;
pub(crate) mod durability;
mod execution_beat;
pub(crate) mod first_tick;
pub(crate) mod heartbeat;
pub(crate) mod level3_past;
pub(crate) mod lineage;
pub(crate) mod rollover;
pub(crate) mod startup;
pub(crate) mod stop;
pub(crate) mod summaries;
pub(crate) mod venue_clocks;
