//! The private stream: frames as owned values, and what the desk does with them.
//!
//! Input: events of the socket. Output: [`StreamMessage`]s, then order events and fills. A frame or a row
//! that does not decode is counted, logged and answered with a reconcile; it is never fatal. Numbers are
//! decimals from their own text.

mod consume;
mod report;

pub(crate) use consume::event_of;
pub(crate) use report::word;
pub use report::{BalanceUpdate, ExecKind, Report, StreamError, StreamMessage, Trade, read};
