//! The desk while the decision cluster is away, and its way back.
//!
//! Input: what the desk always hears. Output: cancels of resting entries, the committed standby stop of
//! an entry that fills now, larger quantities and committed levels of a live stop, the one close of a
//! position whose close is decided or wished; everything else waits. Each event, answer and send is kept
//! in its order, on the disk before the send, and applied to the rows when the cluster is back, by this
//! process or by the next, before anything new is decided. Invariants: nothing is sent whose row is not
//! committed; nothing is sent once the last renewal of the fence is too old, or a newer token was seen;
//! what is kept is bounded, and beyond the bound the venue is asked instead.

mod back;
mod close;
mod cover;
mod during;
mod kept;
mod spool;
mod state;

pub(crate) use spool::{APPEND_WAIT, Kept, Spool, take};
pub(crate) use state::{Outage, Record};
