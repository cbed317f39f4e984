//! Closed days of the engine: compressed, then those that have had their time removed whole.
//!
//! Input: the engine's directories, the limits of the configuration, the days on which an order of ours was sent.
//! Output: a line for each day that was compressed, went or is held. Invariants: the janitor's own code runs here;
//! a day that this run has compressed stays.

use std::collections::BTreeSet;
use std::time::Instant;

use chrono::{Datelike, NaiveDate};
use penstock_config::engine::EngineLocal;
use penstock_engine_io::compress::{JanitorHooks, pack_day, raw_days};
use penstock_engine_io::retention::{self, Policy};
use penstock_engine_io::{Day, EngineDirs, Fault};
use penstock_store_decision::retention::forget_engine_rows;
use penstock_types::TickId;
use sqlx::PgPool;

use super::Args;

/// The engine's day of a date.
pub(super) fn day_of(date: NaiveDate) -> Day {
    let days = date.num_days_from_ce() - NaiveDate::default().num_days_from_ce();
    Day(u64::try_from(days).unwrap_or(0))
}

/// One pass; bytes that went.
///
/// # Errors
/// The first day that does not verify, with its code; nothing behind it is touched.
pub(super) fn clean(
    dirs: &EngineDirs,
    local: &EngineLocal,
    today: Day,
    traded: &BTreeSet<Day>,
    args: &Args,
) -> Result<u64, Fault> {
    let hooks = JanitorHooks::none();
    let mut packed = Vec::new();
    for day in raw_days(dirs)? {
        if !local.compress {
            break;
        }
        packed.push(day);
        if args.dry_run {
            println!("engine {day}: would be compressed");
            continue;
        }
        let began = Instant::now();
        let done = pack_day(dirs, day, &hooks)?;
        println!(
            "ENGINE_COMPRESSED: {day}, {} files, {} bytes to {}, {} ms",
            done.files,
            done.bytes_before,
            done.bytes_after,
            began.elapsed().as_millis()
        );
    }
    let policy = Policy {
        today,
        keep_days: local.keep_days.into(),
        keep_days_traded: local.keep_days_traded.into(),
        snapshot_keep_days: local.snapshot_keep_days.into(),
    };
    let is_traded = |day: Day| traded.contains(&day);
    let done = retention::clean(dirs, &policy, &is_traded, &packed, args.dry_run, &hooks)?;
    for tick in done.moved {
        println!("engine snapshot {tick}: compressed, with the day that it opens");
    }
    for (day, why) in done.kept {
        println!("engine {day}: kept, {}", why.as_str());
    }
    let mut bytes = 0;
    for gone in done.gone {
        let verb = if args.dry_run { "would go" } else { "gone" };
        bytes += gone.bytes;
        println!(
            "ENGINE_RETENTION: {}, {} bytes, traded {}, {verb}",
            gone.day, gone.bytes, gone.is_traded
        );
    }
    Ok(bytes)
}

/// Days of transitions and alerts as rows; their files have days of their own.
const SAID_DAYS: u64 = 90;
/// Days of checkpoints.
const CHECKPOINT_DAYS: u64 = 30;

/// Rows that have had their time.
///
/// # Errors
/// When the cluster does not answer.
pub(super) async fn forget_rows(pool: &PgPool, today: Day, args: &Args) -> anyhow::Result<()> {
    let before = |days: u64| {
        let first = Day(today.0.saturating_sub(days)).first_tick();
        TickId::from_unsigned(first)
    };
    let (said, checkpoints) = (before(SAID_DAYS), before(CHECKPOINT_DAYS));
    let old = forget_engine_rows(pool, said, checkpoints, args.dry_run).await?;
    let verb = if args.dry_run { "would go" } else { "gone" };
    println!(
        "engine: rows of {} transitions, {} alerts, {} checkpoints {verb}",
        old.transitions, old.alerts, old.checkpoints
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engines_day_is_that_of_the_calendar() {
        for text in ["1970-01-01", "2026-02-16", "2028-02-29"] {
            let date: NaiveDate = text.parse().unwrap();
            assert_eq!(day_of(date).to_string(), text);
        }
    }
}
