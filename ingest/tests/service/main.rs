//! The whole service against scratch clusters and a simulated venue in this process.
#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

mod faults;
mod publishing;
mod recording;
mod support;
mod takeover;
