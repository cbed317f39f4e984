//! Days of the decision cluster: frames of three days; decisions, private messages and inputs as long as
//! they are kept, held for longer when an order was filled, and never without a backup unless asked to; samples of
//! health likewise, as rows.

use super::{Args, Done};
use chrono::{Days, NaiveDate};
use penstock_config::Config;
use penstock_store::ClusterRole;
use penstock_store::partitions::{
    DailyTable, daily_partitions_before, drop_partition, partition_bytes,
};
use penstock_store::pools::connect_single;
use penstock_store_decision::retention::{filled_days, forget_health};
use penstock_types::Decimal;
use sqlx::PgPool;
use std::collections::BTreeSet;

/// Days of frames, today included.
const FRAME_DAYS: u64 = 3;
/// Days of candidates.
const CANDIDATE_DAYS: u64 = 30;
/// Days of samples of health.
const HEALTH_DAYS: u64 = 30;
/// Days of private messages.
const PRIVATE_DAYS: u64 = 90;

/// Drops days that have had their time; adds to `done` what went, or would go.
///
/// # Errors
/// When the cluster does not answer.
pub(super) async fn clean(
    url: &str,
    pool: &PgPool,
    today: NaiveDate,
    config: &Config,
    args: &Args,
    done: &mut Done,
) -> anyhow::Result<()> {
    let retention = &config.areas.retention;
    let traded_days = (retention.raw_retention_traded_hours / Decimal::from(24)).ceil();
    let traded_days = u64::try_from(traded_days).unwrap_or(u64::MAX);
    let held_from = today.checked_sub_days(Days::new(traded_days)).unwrap_or(NaiveDate::MIN);
    let held: BTreeSet<String> = filled_days(pool)
        .await?
        .into_iter()
        .filter(|day| *day >= held_from)
        .map(|day| DailyTable::CycleInputs.partition(day))
        .collect();
    let tables = [
        (DailyTable::EngineTickFrames, FRAME_DAYS, false),
        (DailyTable::EvaluationCandidates, CANDIDATE_DAYS, true),
        (DailyTable::RawPrivateExecutions, PRIVATE_DAYS, true),
        (DailyTable::CycleInputs, u64::from(retention.retention_cycle_inputs_days), true),
        (DailyTable::AuditEvents, u64::from(retention.retention_events_days), true),
    ];
    let settings = super::settings();
    for (table, days, is_evidence) in tables {
        let ago = days.saturating_sub(1);
        let keep_from = today.checked_sub_days(Days::new(ago)).unwrap_or(NaiveDate::MIN);
        let mut conn = pool.acquire().await?;
        for name in daily_partitions_before(&mut conn, table, keep_from).await? {
            if held.contains(&name) {
                println!("{name}: kept, an order of that day was filled");
            } else if is_evidence && !args.without_backup {
                println!("{name}: kept, there is no backup of it; next: --without-backup");
            } else {
                let bytes = partition_bytes(&mut conn, ClusterRole::Decision, &name).await?;
                if !args.dry_run {
                    let role = ClusterRole::Decision;
                    let mut owner = connect_single(url, role, &settings).await?;
                    drop_partition(&mut owner, role, table.name(), &name).await?;
                }
                let verb = if args.dry_run { "would be dropped" } else { "dropped" };
                println!("{name}: {verb}, {bytes} bytes");
                done.dropped += 1;
                done.bytes += bytes;
            }
        }
    }
    health(pool, today, args).await
}

/// Rows of a table without partitions that have had their time.
async fn health(pool: &PgPool, today: NaiveDate, args: &Args) -> anyhow::Result<()> {
    let ago = Days::new(HEALTH_DAYS.saturating_sub(1));
    let first_kept = today.checked_sub_days(ago).unwrap_or(NaiveDate::MIN);
    let is_rehearsal = args.dry_run || !args.without_backup;
    let rows = forget_health(pool, first_kept, is_rehearsal).await?;
    match (args.without_backup, args.dry_run) {
        (false, _) if rows > 0 => println!(
            "health_samples: {rows} rows kept, there is no backup of them; next: --without-backup"
        ),
        (false, _) => {}
        (true, true) => println!("health_samples: {rows} rows would go"),
        (true, false) => println!("health_samples: {rows} rows gone"),
    }
    Ok(())
}
