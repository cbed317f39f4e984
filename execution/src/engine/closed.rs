//! Closed days with their manifests: compressed, and removed whole when they have had their time.
//!
//! Input: directories and limits, the day of the last tick, the days on which an order of ours was sent. Output:
//! markers, fewer bytes. Invariants: the pass is that of `penstock retention`; here a day that somebody reads makes
//! it come again, and so does a database that does not say on which days there were orders.

use std::collections::BTreeSet;
use std::time::Instant;

use penstock_engine_io::janitor::{self, OnHeld, Pass, Step};
use penstock_engine_io::retention::Policy;
use penstock_engine_io::{Day, Fault, JanitorHooks};
use penstock_store_decision::retention::sent_days;
use penstock_telemetry::marker;
use sqlx::PgPool;
use tokio::runtime::Handle;

use super::EngineRun;

/// One pass; false when it has to come again because somebody reads a day or the database does not answer.
///
/// # Errors
/// The first day that does not verify, with its code, and [`penstock_engine_io::Code::Storage`].
pub(super) fn tidy(
    run: &EngineRun,
    today: Day,
    pool: &PgPool,
    runtime: &Handle,
) -> Result<bool, Fault> {
    let pass = Pass {
        dirs: &run.options.dirs,
        policy: Policy {
            today,
            keep_days: run.keep.days.into(),
            keep_days_traded: run.keep.days_traded.into(),
            snapshot_keep_days: run.keep.snapshot_days.into(),
        },
        compresses: run.keep.compress,
        is_rehearsal: false,
        on_held: OnHeld::ComesAgain,
        hooks: JanitorHooks::none(),
    };
    let mut began = Instant::now();
    let ended = janitor::run(&pass, || traded(pool, runtime), &mut |step| say(step, &mut began))?;
    Ok(ended.is_whole())
}

/// The days that have an order of ours.
fn traded(pool: &PgPool, runtime: &Handle) -> Option<BTreeSet<Day>> {
    match runtime.block_on(sent_days(pool)) {
        Ok(days) => Some(days.into_iter().filter_map(Day::of_date).collect()),
        Err(error) => {
            tracing::warn!("no old day of the engine is removed: {error}");
            None
        }
    }
}

/// Says what changed files; `began` is when the compression of a day did.
fn say(step: Step, began: &mut Instant) {
    match step {
        Step::Packing(_) => *began = Instant::now(),
        Step::Packed(day, done) => marker!(
            ENGINE_COMPRESSED,
            day = day.to_string(),
            files = done.files,
            bytes_before = done.bytes_before,
            bytes_after = done.bytes_after,
            duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)
        ),
        Step::Gone(gone) => marker!(
            ENGINE_RETENTION,
            day = gone.day.to_string(),
            bytes = gone.bytes,
            traded = gone.is_traded
        ),
        Step::Moved(_) | Step::Kept(..) => {}
    }
}
