//! Closed days with their manifests: compressed, and removed whole when they have had their time.
//!
//! Input: directories and limits, the day of the last tick, the days on which an order of ours was sent. Output:
//! markers, fewer bytes. Invariants: the code that touches files is that of `penstock retention`; a day that
//! this pass has compressed stays; without the database's word on orders nothing is removed.

use std::collections::BTreeSet;
use std::time::Instant;

use chrono::NaiveDate;
use penstock_engine_io::compress::{JanitorHooks, pack_day, raw_days};
use penstock_engine_io::retention::{Policy, clean};
use penstock_engine_io::{Code, Day, Fault};
use penstock_store_decision::retention::sent_days;
use penstock_telemetry::marker;
use sqlx::PgPool;
use tokio::runtime::Handle;

use super::EngineRun;

/// One pass; false when it has to come again because somebody reads a day or the database does not answer.
///
/// # Errors
/// The first day that does not verify, with its code, and [`Code::Storage`].
pub(super) fn tidy(
    run: &EngineRun,
    today: Day,
    pool: &PgPool,
    runtime: &Handle,
) -> Result<bool, Fault> {
    let (packed, is_whole) = pack(run, today)?;
    let traded = match runtime.block_on(sent_days(pool)) {
        Ok(days) => days.into_iter().map(day_of).collect::<BTreeSet<Day>>(),
        Err(error) => {
            tracing::warn!("no old day of the engine is removed: {error}");
            return Ok(false);
        }
    };
    let policy = Policy {
        today,
        keep_days: run.keep.days.into(),
        keep_days_traded: run.keep.days_traded.into(),
        snapshot_keep_days: run.keep.snapshot_days.into(),
    };
    let dirs = &run.options.dirs;
    let is_traded = |day: Day| traded.contains(&day);
    let done = clean(dirs, &policy, &is_traded, &packed, false, &JanitorHooks::none())?;
    for gone in done.gone {
        marker!(
            ENGINE_RETENTION,
            day = gone.day.to_string(),
            bytes = gone.bytes,
            traded = gone.is_traded
        );
    }
    Ok(is_whole)
}

/// Compresses the days that are raw; which, and whether all of them.
fn pack(run: &EngineRun, today: Day) -> Result<(Vec<Day>, bool), Fault> {
    let mut packed = Vec::new();
    if !run.keep.compress {
        return Ok((packed, true));
    }
    for day in raw_days(&run.options.dirs)?.into_iter().filter(|day| *day < today) {
        let began = Instant::now();
        let done = match pack_day(&run.options.dirs, day, &JanitorHooks::none()) {
            Ok(done) => done,
            Err(fault) if fault.code == Code::EnvLock => return Ok((packed, false)),
            Err(fault) => return Err(fault),
        };
        packed.push(day);
        marker!(
            ENGINE_COMPRESSED,
            day = day.to_string(),
            files = done.files,
            bytes_before = done.bytes_before,
            bytes_after = done.bytes_after,
            duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)
        );
    }
    Ok((packed, true))
}

/// The engine's day of a date.
fn day_of(date: NaiveDate) -> Day {
    let days = date.signed_duration_since(NaiveDate::default()).num_days();
    Day(u64::try_from(days).unwrap_or(0))
}
