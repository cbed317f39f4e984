//! Recorded frames: the container, which protocol it holds, and the check over all of it.
//!
//! A recording is text, one frame per line, three columns separated by tabs: receive time in
//! microseconds (`-` if there is none), direction (`r` received, `s` sent), frame. [`lines`] reads it,
//! [`recognise`] tells the protocol of a frame, [`check`] decodes every frame, verifies every checksum
//! and follows every sequence. Input is the unzipped text; files and compression are the caller's.

mod check;
mod container;
mod protocol;
mod rest_row;

pub use check::{
    CheckError, FINDINGS_MAX, Finding, FindingKind, PROBLEMS_MAX, Problem, Report, check,
};
pub use container::{Cut, Direction, Line, LineBreak, LineError, LineFault, lines, push_line};
pub use protocol::{Protocol, recognise};
pub use rest_row::{RestRow, path_of, protocol_of, query_value, rest_row};
