//! The real `run-execution-live` as a process: killed at each crash point, beside a second instance, with
//! other token bindings, without its cluster. Venue, cluster and published rows are real; nothing of the
//! service runs inside the test.
#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

mod crash;
mod early;
mod engine;
mod instances;
mod ledger;
#[path = "../rig/market.rs"]
mod market;
mod outage;
mod process;
mod shipped;
mod world;
