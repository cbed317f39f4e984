//! The whole service against scratch clusters and a simulated venue in this process.
#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

mod away;
mod backfill;
mod clusters;
mod derivatives;
mod faults;
mod frozen;
mod heartbeats;
mod history;
mod judge;
mod level3;
mod proxy;
mod publishing;
mod races;
mod recording;
mod rollover;
mod support;
mod takeover;
mod universe;
mod unknown_commit;
