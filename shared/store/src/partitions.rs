//! Partitions: one per run of each raw table on the ingest cluster, one per UTC day of the daily
//! tables on the decision cluster. There is never a default partition.
//!
//! A partition is built beside its parent and then attached, which takes only a share-update lock on
//! the parent: writers of other partitions go on. Everything here acts as the owner for the length
//! of one transaction, and runs twice without harm.

use chrono::{Datelike, Days, NaiveDate};
use penstock_types::RunId;
use penstock_types::time::TICKS_PER_DAY;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::error::StoreError;
use crate::pools::{ActAs, set_local_role, set_role};
use crate::role::ClusterRole;

/// The raw tables, each partitioned by run.
pub const RAW_TABLES: [&str; 7] = [
    "ticker_samples",
    "trade_samples",
    "l2_snap_metrics",
    "l3_queue_metrics",
    "deriv_ticker_samples",
    "liquidation_samples",
    "candles_1m",
];

/// The tables of the decision cluster that have one partition per UTC day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DailyTable {
    /// Sealed frames; partitioned by tick. Created by ingest.
    EngineTickFrames,
    /// Candidates of evaluations. Created by execution.
    EvaluationCandidates,
    /// Messages of the private stream. Created by execution.
    RawPrivateExecutions,
    /// Inputs of decisions. Created by execution.
    CycleInputs,
    /// Rows of the audit trail. Created by execution.
    AuditEvents,
}

impl DailyTable {
    /// The parent's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::EngineTickFrames => "engine_tick_frames",
            Self::EvaluationCandidates => "evaluation_candidates",
            Self::RawPrivateExecutions => "raw_private_executions",
            Self::CycleInputs => "cycle_inputs",
            Self::AuditEvents => "audit_events",
        }
    }

    /// Name of a day's partition.
    #[must_use]
    pub fn partition(self, day: NaiveDate) -> String {
        format!("{}_d{}", self.name(), day.format("%Y%m%d"))
    }

    fn bounds(self, day: NaiveDate) -> Bounds {
        match self {
            Self::EngineTickFrames => {
                let number = day_number(day);
                Bounds {
                    column: "tick_id",
                    from: (number * TICKS_PER_DAY).to_string(),
                    to: ((number + 1) * TICKS_PER_DAY).to_string(),
                }
            }
            Self::EvaluationCandidates
            | Self::RawPrivateExecutions
            | Self::CycleInputs
            | Self::AuditEvents => {
                let next = day.checked_add_days(Days::new(1)).unwrap_or(day);
                Bounds { column: "day", from: format!("'{day}'"), to: format!("'{next}'") }
            }
        }
    }
}

/// Days since 1970-01-01.
#[must_use]
pub fn day_number(day: NaiveDate) -> i64 {
    i64::from(day.num_days_from_ce()) - 719_163
}

struct Bounds {
    column: &'static str,
    from: String,
    to: String,
}

/// Name of a run's partition.
#[must_use]
pub fn run_partition(table: &str, run_id: RunId) -> String {
    format!("{table}_r{run_id}")
}

/// Creates the seven partitions of a run and their registry rows, inside the caller's transaction,
/// which acts as the owner until its end.
///
/// # Errors
/// The driver's error.
pub async fn create_run_partitions(
    conn: &mut PgConnection,
    run_id: RunId,
) -> Result<(), sqlx::Error> {
    set_local_role(conn, ActAs::Owner).await?;
    for table in RAW_TABLES {
        let name = run_partition(table, run_id);
        let bounds =
            Bounds { column: "run_id", from: run_id.to_string(), to: (run_id.0 + 1).to_string() };
        create_partition(conn, table, &name, &bounds).await?;
        sqlx::query(
            "insert into partition_registry (table_name, run_id, partition_name, created_at)
             values ($1, $2, $3, clock_timestamp()) on conflict do nothing",
        )
        .bind(table)
        .bind(run_id.0)
        .bind(&name)
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

/// Creates a day's partition of a table in a transaction of its own.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn create_daily_partition(
    conn: &mut PgConnection,
    table: DailyTable,
    day: NaiveDate,
) -> Result<(), StoreError> {
    let sql = |e| StoreError::sql("create a daily partition", ClusterRole::Decision, e);
    let mut tx = conn.begin().await.map_err(sql)?;
    set_local_role(&mut tx, ActAs::Owner).await.map_err(sql)?;
    create_partition(&mut tx, table.name(), &table.partition(day), &table.bounds(day))
        .await
        .map_err(sql)?;
    tx.commit()
        .await
        .map_err(|e| StoreError::commit("create a daily partition", ClusterRole::Decision, e))
}

async fn create_partition(
    conn: &mut PgConnection,
    parent: &str,
    name: &str,
    bounds: &Bounds,
) -> Result<(), sqlx::Error> {
    // Two processes that create the same day would collide; the second waits and then finds it.
    sqlx::query("select pg_advisory_xact_lock(hashtextextended($1, 0))")
        .bind(name)
        .execute(&mut *conn)
        .await?;
    let exists: bool = sqlx::query_scalar("select to_regclass('penstock.' || $1) is not null")
        .bind(name)
        .fetch_one(&mut *conn)
        .await?;
    if exists {
        return Ok(());
    }
    let Bounds { column, from, to } = bounds;
    // The check spares ATTACH the scan; the partition's own constraint then says the same.
    let text = format!(
        "create table {name} (like {parent} including defaults including constraints
             including storage including indexes,
             constraint {name}_bounds check ({column} >= {from} and {column} < {to}));
         alter table {parent} attach partition {name} for values from ({from}) to ({to});
         alter table {name} drop constraint {name}_bounds;"
    );
    sqlx::raw_sql(AssertSqlSafe(text)).execute(conn).await.map(|_| ())
}

/// Gives the partition of a closed run its indexes and statistics: by symbol and time for looking up, by
/// time for reading on. Returns its bytes and rows. The connection acts as the owner from here on.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn close_run_partition(
    conn: &mut PgConnection,
    parent: &'static str,
    run_id: RunId,
) -> Result<(i64, i64), StoreError> {
    let sql = |e| StoreError::sql("close a partition", ClusterRole::Ingest, e);
    set_role(conn, ActAs::Owner).await.map_err(sql)?;
    let name = run_partition(parent, run_id);
    // Candles have their minute in the key and nothing to add.
    let indexes = if parent == "candles_1m" {
        String::new()
    } else {
        format!(
            "create index if not exists {name}_symbol_at on {name} (symbol, ts_local);
             create index if not exists {name}_at on {name} using brin (ts_local);"
        )
    };
    let text = format!("{indexes} analyze {name};");
    sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut *conn).await.map_err(sql)?;
    let text = format!("select pg_total_relation_size('{name}'), (select count(*) from {name})");
    // Asked once: a statement that stays prepared would stay with every closed run.
    sqlx::query_as(AssertSqlSafe(text)).persistent(false).fetch_one(conn).await.map_err(sql)
}

/// Detaches and drops one partition. `detach … concurrently` cannot run in a transaction, so the
/// connection acts as the owner from here on and should be closed.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn drop_partition(
    conn: &mut PgConnection,
    cluster: ClusterRole,
    parent: &'static str,
    partition: &str,
) -> Result<(), StoreError> {
    let sql = |e| StoreError::sql("drop a partition", cluster, e);
    set_role(conn, ActAs::Owner).await.map_err(sql)?;
    let attached: Option<(bool, bool)> = sqlx::query_as(
        "select i.inhrelid is not null, coalesce(i.inhdetachpending, false) from pg_class c
         left join pg_inherits i on i.inhrelid = c.oid
         where c.oid = to_regclass('penstock.' || $1)",
    )
    .bind(partition)
    .fetch_optional(&mut *conn)
    .await
    .map_err(sql)?;
    let Some((attached, pending)) = attached else { return Ok(()) };
    if attached {
        // A command that was cut off in the middle of a detach goes on there.
        let how = if pending { "finalize" } else { "concurrently" };
        let text = format!("alter table {parent} detach partition {partition} {how}");
        sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut *conn).await.map_err(sql)?;
    }
    let text = format!("drop table {partition}");
    sqlx::raw_sql(AssertSqlSafe(text)).execute(conn).await.map(|_| ()).map_err(sql)
}

/// Bytes of a partition with its indexes; 0 when it is not there any more.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn partition_bytes(
    conn: &mut PgConnection,
    cluster: ClusterRole,
    partition: &str,
) -> Result<u64, StoreError> {
    let asked = "select coalesce(pg_total_relation_size(to_regclass('penstock.' || $1)), 0)";
    let found = sqlx::query_scalar(asked).bind(partition).fetch_one(conn).await;
    let bytes: i64 = found.map_err(|e| StoreError::sql("measure a partition", cluster, e))?;
    Ok(u64::try_from(bytes).unwrap_or(0))
}

/// Names of a daily table's partitions whose day is before `keep_from`.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn daily_partitions_before(
    conn: &mut PgConnection,
    table: DailyTable,
    keep_from: NaiveDate,
) -> Result<Vec<String>, StoreError> {
    let names: Vec<String> = sqlx::query_scalar(
        "select c.relname::text from pg_inherits i join pg_class c on c.oid = i.inhrelid
         where i.inhparent = to_regclass('penstock.' || $1) order by 1",
    )
    .bind(table.name())
    .fetch_all(conn)
    .await
    .map_err(|e| StoreError::sql("list partitions", ClusterRole::Decision, e))?;
    let limit = table.partition(keep_from);
    Ok(names.into_iter().filter(|name| *name < limit).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_of_a_known_day_are_the_known_ticks() {
        let day = NaiveDate::from_ymd_opt(1970, 1, 2).unwrap();

        let bounds = DailyTable::EngineTickFrames.bounds(day);

        assert_eq!((bounds.from.as_str(), bounds.to.as_str()), ("345600", "691200"));
        assert_eq!(DailyTable::CycleInputs.partition(day), "cycle_inputs_d19700102");
        assert_eq!(DailyTable::CycleInputs.bounds(day).to, "'1970-01-03'");
    }
}
