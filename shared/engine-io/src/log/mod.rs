//! Event logs: one file per token and day, a header of 64 bytes and one record of 64 bytes per tick.
//!
//! Purpose: what the engine said, so that anybody can read it in any language and see every change. Invariants:
//! ticks are contiguous within a segment, so a record stands where its tick says; each file carries the hash
//! of the token's file before; a closed file never changes.

mod header;
mod reader;
mod writer;

pub use header::{LOG_HEADER_LEN, LOG_SCHEMA, LogHeader};
pub use reader::{LOG_LEN_MAX, Scan, scan, segments, verify_segment};
pub use writer::TokenLog;
