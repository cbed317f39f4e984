//! The service with a loaded trail: `run-execution-live`, and sixty warnings a second beside it.
//!
//! Input: the service's own command line. Output: what the service does. Invariants: everything but the load is the
//! shipped program; each warning goes the way of every marker that has no event of its own: observer, queue, file, row.
//! For `scripts/audit-outage`: while the decision cluster is down the service itself has hardly anything to say.

use std::process::ExitCode;
use std::time::Duration;

#[path = "../src/main.rs"]
mod shipped;

/// Warnings a second.
const PER_SECOND: u32 = 60;

fn main() -> ExitCode {
    std::thread::spawn(|| {
        for number in 1_u64.. {
            std::thread::sleep(Duration::from_secs(1) / PER_SECOND);
            penstock_telemetry::marker!(
                LIVE_EVALUATION_SLOW,
                duration_ms = number,
                budget_ms = 0,
                load = true
            );
        }
    });
    shipped::main()
}
