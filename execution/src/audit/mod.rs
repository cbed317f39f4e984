//! The audit trail of a session: one writer for all parts, files first, then rows.
//!
//! Purpose: what happened is on disk before it counts, and in the decision cluster as soon as that can be
//! reached. Inputs: drafts of all parts, markers that have no event of their own. Outputs: the chained
//! files, rows of `audit_events`, causes of the mode, stages on the console. Invariants: the order is
//! line, sync, row, and never another; a cluster that is away costs the rows' timeliness and nothing else;
//! a disk that refuses is a PAUSE, exits go on and their events wait; no producer that acts for an exit
//! ever waits here.
//!
//! | module | subject |
//! |---|---|
//! | [`AuditHandle`] | how parts say events |
//! | `queue` | two lanes, bounded |
//! | [`PressureLimits`] | how hard the writer is pressed |
//! | `files` | the thread: line, sync, acknowledgement |
//! | `rows`, `keeper` | lines without a row, and the task that gives them one |
//! | `monitor` | causes of the mode, DB_WRITER_BACKPRESSURE |
//! | [`LogFilter`] | log lines go through the same redaction |
//! | `console` | stages on stderr |
//! | `orders`, `said`, `desk` | events of orders, positions, closes, reconcile |
//! | `process` | events of modes, stages, the operator, markers |
//! | `rebuild`, `retell` | events that found no room, from the rows that say the same; when that is done |
//! | `told`, `rates` | recoveries, samples of health, days; counters of the venue |
//! | [`AuditWriter`] | start and end |

mod begin;
mod console;
mod desk;
mod error;
mod files;
mod handle;
mod keeper;
mod monitor;
mod orders;
mod pressure;
mod process;
mod queue;
mod rates;
mod rebuild;
mod redaction;
mod retell;
mod rows;
mod said;
mod told;
mod writer;

pub use begin::{begin, log_redactor, redactor, run_ended};
pub use console::{Console, SUMMARY_CHARS_MAX};
pub(crate) use desk::Safety;
pub use error::AuditError;
pub use handle::{AuditFigures, AuditHandle, Clock, FileFault};
pub(crate) use orders::of_fill;
pub use pressure::{Pressure, PressureLimits};
pub use process::{Loop, StageNote, StageNow, mode_changed, operator_command, tool_note};
pub use queue::Lost;
pub use redaction::LogFilter;
pub(crate) use said::Said;
pub use writer::{AuditWriter, WriterParts};
