//! Markers, logging and metrics of every Penstock process.
//!
//! Inputs: markers and ordinary `tracing` events, numbers for the `metrics` macros. Outputs: one JSON
//! object per line (or a human line on a terminal), Prometheus text on a loopback listener.
//! Invariants: logging never blocks the caller; a line that finds the queue full is dropped and
//! counted. Secrets never come here: callers pass values that are fit to be read by anyone, and the filter
//! that a service installs takes out what came all the same.
//!
//! | module | subject |
//! |---|---|
//! | [`Marker`] | the closed table of names and levels |
//! | [`marker!`] | emits one marker with its fields |
//! | [`watch_markers`] | who is told of some markers as they are emitted |
//! | [`init`] | installs the process's log |
//! | [`observe`] | the same through a bounded receiver, for who takes time |
//! | [`build`] | commit, branch, profile of this binary |
//! | [`metrics`] | recorder and listener |
//! | [`memory`] | memory of peaks goes back to the system |
//! | [`resources`] | memory, processor time, open files of this process |
//! | [`invariant`] | what happens when an assertion fails: record, flush, exit 70; restart loop |

pub mod build;
mod emit;
mod filter;
mod init;
pub mod invariant;
mod layer;
mod marker;
pub mod memory;
pub mod metrics;
mod observe;
pub mod resources;
mod sink;
mod watch;

pub use emit::{Fields, cycle_span, enabled, is_reserved, send};
pub use filter::{LineFilter, filter_lines};
pub use init::{Guard, LogOptions, LogTarget, Service, TelemetryError, flush, init, lines_dropped};
pub use marker::{Level, Marker};
pub use observe::{Observer, Seen, observe};
pub use watch::{LISTENERS_MAX, MarkerWatch, TooMany, is_watched, watch_markers};
