//! What leaves for the clusters: generations, frames, epochs.

mod batch;
pub(crate) mod book_quarantine;
pub(crate) mod cuts;
pub(crate) mod epoch_markers;
mod epoch_rows;
pub(crate) mod epochs;
mod frame_runs;
pub(crate) mod frames;
pub(crate) mod level3_blocks;
pub(crate) mod publisher;
pub(crate) mod twins;
