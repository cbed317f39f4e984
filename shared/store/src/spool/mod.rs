//! The spool: an append-only file queue, so that an outage of a cluster of any length up to the
//! spool's limit loses nothing.
//!
//! One format serves the raw rows on their way to the ingest cluster, the sealed frames on their way
//! to the decision cluster, and the changes of execution while its cluster is away.
//!
//! | module | subject |
//! |---|---|
//! | [`format`] | the bytes |
//! | [`scan`] | walking a segment |
//! | [`recover`] | locks, torn tails, what an earlier process left |
//! | [`segments`] | the register of a directory, reading batches, trimming |
//! | [`queue`] | the producer's side, for a thread that must not wait |
//! | `ring` | what no disk holds yet, and its way past a device that refuses it |
//! | [`writer`] | the spool thread |
//! | [`settings`] | limits, cadences, reports |
//! | [`shed`] | what goes when it fills, and its gap rows |
//! | [`cursor`] | what a run's load cursor admits |
//! | [`frame_records`] | payloads of the frame spool |
//! | [`exec`] | the spool of execution, each record on the disk before it returns |
//! | [`loader`] | from raw segments into the run's partitions |

pub mod cursor;
pub mod exec;
pub mod format;
pub mod frame_records;
pub mod loader;
pub mod queue;
pub mod recover;
mod ring;
pub mod scan;
pub mod segments;
pub mod settings;
pub mod shed;
pub mod writer;

pub use exec::{ExecRecord, ExecSpool, OpenedExec};
pub use format::{SEGMENT_HEADER_LEN, StreamCode};
pub use queue::{Appended, SpoolMonitor, SpoolWriter, Synced};
pub use recover::{BusyDir, OpenedSpool, RecoveredDir, RecoveredRun, open_spool};
pub use segments::{Batch, BatchRecord, Segments, SpoolPosition};
pub use settings::{Overflow, SpoolEvent, SpoolSettings};
pub use shed::{DropRange, FillLevel};
pub use writer::start_writer;
