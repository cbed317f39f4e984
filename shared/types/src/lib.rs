//! The words of the product as types: identifiers, numbers, symbols, closed vocabularies, rows that
//! cross a boundary, frames, canonical JSON, time.
//!
//! Purpose: one meaning per word for every crate. Pure: no clock, no randomness, no input or output;
//! builds without `std` (with `alloc`). What needs `std` (canonical JSON, the CPU's CRC-32C) stands
//! behind the feature `std`.
#![no_std]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

#[cfg(feature = "std")]
pub mod canonical;
pub mod cl_ord_id;
pub mod decimal;
pub mod digits;
pub mod engine_view;
pub mod frame;
pub mod ids;
pub mod level3;
pub mod raw;
pub mod rows;
pub mod state_row;
pub mod symbol;
pub mod time;
pub mod vocab;

pub use ids::{
    EpochId, EvaluationId, FencingToken, GenerationId, LineageId, OrderId, PositionId, RunId, Seq,
    SessionId, SnapshotId,
};
pub use rust_decimal::Decimal;
pub use symbol::Symbol;
pub use time::{TickId, UtcMicros};
pub use uuid::Uuid;
