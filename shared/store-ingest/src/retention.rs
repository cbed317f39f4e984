//! What retention needs of the ingest cluster: partitions with the age of their run, and the marks of
//! closing and dropping.
//!
//! Ages are by the cluster's clock. Raw rows are never deleted one by one: partitions go as a whole.

use penstock_store::StoreError;
use penstock_store::pools::{ActAs, set_local_role};
use penstock_types::RunId;
use sqlx::{Connection, PgConnection};

use crate::CLUSTER;

/// A partition that stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// Parent table.
    pub table: String,
    /// Run.
    pub run_id: RunId,
    /// Its name.
    pub name: String,
    /// It has its indexes and figures.
    pub is_closed: bool,
    /// Time since the end of the run; `None` while it is open.
    pub ended_secs: Option<i64>,
    /// Everything of the run is loaded or explained.
    pub is_complete: bool,
    /// Bytes with its indexes, now.
    pub bytes: i64,
}

/// Every partition that stands, the oldest run first.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn partitions(conn: &mut PgConnection) -> Result<Vec<Partition>, StoreError> {
    let rows = sqlx::query!(
        r#"select p.table_name, p.run_id, p.partition_name, p.closed_at is not null as "is_closed!",
               extract(epoch from clock_timestamp() - r.ended_at)::bigint as ended_secs,
               coalesce(c.complete, false) as "is_complete!",
               coalesce(pg_total_relation_size(to_regclass('penstock.' || p.partition_name)), 0)
                   as "bytes!"
           from partition_registry p
           left join observation_runs r on r.run_id = p.run_id
           left join raw_load_cursor c on c.run_id = p.run_id
           where p.dropped_at is null order by p.run_id, p.table_name"#
    )
    .fetch_all(conn)
    .await
    .map_err(|e| StoreError::sql("list partitions", CLUSTER, e))?;
    Ok(rows
        .into_iter()
        .map(|r| Partition {
            table: r.table_name,
            run_id: RunId(r.run_id),
            name: r.partition_name,
            is_closed: r.is_closed,
            ended_secs: r.ended_secs,
            is_complete: r.is_complete,
            bytes: r.bytes,
        })
        .collect())
}

/// Notes that a partition has its indexes, with its size and rows.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn mark_closed(
    conn: &mut PgConnection,
    partition: &str,
    bytes: i64,
    rows: i64,
) -> Result<(), StoreError> {
    let sql = |e| StoreError::sql("mark a partition closed", CLUSTER, e);
    let mut tx = conn.begin().await.map_err(sql)?;
    set_local_role(&mut tx, ActAs::Owner).await.map_err(sql)?;
    sqlx::query!(
        "update partition_registry set closed_at = clock_timestamp(), bytes_at_close = $2,
             rows_at_close = $3
         where partition_name = $1 and closed_at is null",
        partition,
        bytes,
        rows,
    )
    .execute(&mut *tx)
    .await
    .map_err(sql)?;
    tx.commit().await.map_err(|e| StoreError::commit("mark a partition closed", CLUSTER, e))
}

/// Notes that a partition is gone.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn mark_dropped(conn: &mut PgConnection, partition: &str) -> Result<(), StoreError> {
    let sql = |e| StoreError::sql("mark a partition dropped", CLUSTER, e);
    let mut tx = conn.begin().await.map_err(sql)?;
    set_local_role(&mut tx, ActAs::Owner).await.map_err(sql)?;
    sqlx::query!(
        "update partition_registry set dropped_at = clock_timestamp()
         where partition_name = $1 and dropped_at is null",
        partition,
    )
    .execute(&mut *tx)
    .await
    .map_err(sql)?;
    tx.commit().await.map_err(|e| StoreError::commit("mark a partition dropped", CLUSTER, e))
}

/// Deletes the checkpoints of runs without a partition, and what describes the loading of those that
/// ended longer ago than `days`: generations, watermarks, cursors, quarantine. Returns the rows.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn forget_runs(conn: &mut PgConnection, days: i32) -> Result<u64, StoreError> {
    let sql = |e| StoreError::sql("forget old runs", CLUSTER, e);
    let mut tx = conn.begin().await.map_err(sql)?;
    set_local_role(&mut tx, ActAs::Owner).await.map_err(sql)?;
    let gone = sqlx::query_scalar!(
        r#"select r.run_id as "run_id!" from observation_runs r
           where r.ended_at is not null
               and exists (select from partition_registry p where p.run_id = r.run_id)
               and not exists (select from partition_registry p
                   where p.run_id = r.run_id and p.dropped_at is null)"#
    )
    .fetch_all(&mut *tx)
    .await
    .map_err(sql)?;
    let mut rows = sqlx::query!("delete from aggregator_checkpoints where run_id = any($1)", &gone)
        .execute(&mut *tx)
        .await
        .map_err(sql)?
        .rows_affected();
    let old = sqlx::query_scalar!(
        r#"select run_id as "run_id!" from observation_runs
           where run_id = any($1) and ended_at < clock_timestamp() - make_interval(days => $2)"#,
        &gone,
        days,
    )
    .fetch_all(&mut *tx)
    .await
    .map_err(sql)?;
    for done in [
        sqlx::query!("delete from state_generations where run_id = any($1)", &old)
            .execute(&mut *tx)
            .await,
        sqlx::query!("delete from refresh_watermarks where run_id = any($1)", &old)
            .execute(&mut *tx)
            .await,
        sqlx::query!("delete from raw_quarantine where run_id = any($1)", &old)
            .execute(&mut *tx)
            .await,
        sqlx::query!("delete from raw_load_cursor where run_id = any($1)", &old)
            .execute(&mut *tx)
            .await,
    ] {
        rows += done.map_err(sql)?.rows_affected();
    }
    tx.commit().await.map_err(|e| StoreError::commit("forget old runs", CLUSTER, e))?;
    Ok(rows)
}
