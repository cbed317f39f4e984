//! What leaves for the clusters: generations, frames, epochs.

pub(crate) mod cuts;
pub(crate) mod epoch_markers;
pub(crate) mod epochs;
pub(crate) mod frames;
pub(crate) mod publisher;
