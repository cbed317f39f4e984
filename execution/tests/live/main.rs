//! The real `run-execution-live` as a process: killed at each crash point of its orders and of its engine's
//! files, beside a second instance, with other token bindings, without its cluster. Venue, cluster and
//! published rows are real; nothing of the service runs inside the test.
#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

mod boot;
mod crash;
mod early;
mod engine;
mod engine_crash;
mod engine_judge;
mod instances;
mod ledger;
mod lockout;
#[path = "../../../shared/engine/tests/common/mod.rs"]
mod made;
#[path = "../rig/market.rs"]
mod market;
mod outage;
mod panel;
mod process;
#[expect(
    dead_code,
    reason = "gaps, changes and other runs are for the engine's tests inside the process"
)]
#[path = "../rig/recorded.rs"]
mod recorded;
mod shipped;
mod switch;
#[expect(dead_code, reason = "the configuration is for the engine's tests inside the process")]
#[path = "../../../shared/engine-io/tests/common/tape.rs"]
mod tape;
mod world;
mod zombie;
