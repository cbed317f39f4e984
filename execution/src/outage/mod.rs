//! The desk while the decision cluster is away, and its way back.
//!
//! Input: what the desk always hears. Output: cancels of resting entries, the committed standby stop of
//! an entry that fills now, larger quantities of a live stop; everything else waits. Each event, answer
//! and send is kept in its order and applied to the rows when the cluster is back, before anything new
//! is decided. Invariants: nothing is sent whose row is not committed; nothing is sent once the last
//! renewal of the fence is too old, or a newer token was seen; what is kept is bounded, and beyond the
//! bound the venue is asked instead. It does not survive the process: what was sent and is not yet in
//! the rows is then found at the venue by the reconcile of the next start.

mod back;
mod cover;
mod during;
mod state;

pub(crate) use state::{Outage, Record};
