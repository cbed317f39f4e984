//! `process_fill`: one trade of ours changes order, position, ledger, profit and plan exactly once.
//!
//! Input: an order and the venue's trade. Output: what changed. One transaction, in this order: fence,
//! order row, fill (a trade that is there already ends it), order, position and ledger, plan and
//! standby rows, realised result and scores, reservation, event, latency. A crash anywhere before the
//! commit leaves the trade unbooked, and reconcile finds it again by its id.

mod book;
mod position;
mod result;

pub use book::{BookedFill, FillContext, FillOutcome, FillReport};
pub(crate) use position::{RowRef, insert_ledger_of, raise_standby_quantity, write_head};
