//! The ingest twin of a run with its partitions and its load cursor; what a successor finds of an
//! earlier run.

use penstock_store::StoreError;
use penstock_store::again;
use penstock_store::partitions::create_run_partitions;
use penstock_store::spool::SEGMENT_HEADER_LEN;
use penstock_store::twins::{LineageRow, RunRow};
use penstock_types::{RunId, Seq, UtcMicros};
use sqlx::PgPool;

use crate::twin_runs::{upsert_lineage, upsert_run};
use crate::{BEGIN_LIMITED, CLUSTER, TwinError};

/// Makes everything that must stand before the first record of a run: run row, lineage row, load
/// cursor, partitions. One transaction, repeatable.
///
/// # Errors
/// [`TwinError`].
pub async fn open_run(pool: &PgPool, run: &RunRow, lineage: &LineageRow) -> Result<(), TwinError> {
    let sql = |action| move |e| StoreError::sql(action, CLUSTER, e);
    let mut tx = again::begin(pool, BEGIN_LIMITED).await.map_err(sql("begin"))?;
    upsert_run(&mut tx, run).await?;
    upsert_lineage(&mut tx, lineage).await?;
    let first_offset = i64::try_from(SEGMENT_HEADER_LEN).unwrap_or(64);
    sqlx::query!(
        "insert into raw_load_cursor (run_id, last_seq, segment_no, byte_offset, rows_loaded,
             loaded_at)
         values ($1, 0, 1, $2, 0, clock_timestamp())
         on conflict (run_id) do nothing",
        run.run_id.0,
        first_offset,
    )
    .execute(&mut *tx)
    .await
    .map_err(sql("create the load cursor"))?;
    create_run_partitions(&mut tx, run.run_id).await.map_err(sql("create the partitions"))?;
    tx.commit().await.map_err(|e| StoreError::commit("open the run", CLUSTER, e))?;
    Ok(())
}

/// The load cursor of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadCursor {
    /// Run.
    pub run_id: RunId,
    /// Highest numbered record loaded.
    pub last_seq: Seq,
    /// Rows loaded.
    pub rows_loaded: i64,
    /// Rows in quarantine.
    pub rows_quarantined: i64,
    /// Everything of the run is loaded or explained.
    pub complete: bool,
}

/// Reads the cursor of a run.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn load_cursor(pool: &PgPool, run_id: RunId) -> Result<Option<LoadCursor>, StoreError> {
    let row = sqlx::query!(
        "select last_seq, rows_loaded, rows_quarantined, complete
         from raw_load_cursor where run_id = $1",
        run_id.0,
    )
    .fetch_optional(pool)
    .await
    .map_err(|e| StoreError::sql("read the load cursor", CLUSTER, e))?;
    Ok(row.map(|r| LoadCursor {
        run_id,
        last_seq: Seq(r.last_seq),
        rows_loaded: r.rows_loaded,
        rows_quarantined: r.rows_quarantined,
        complete: r.complete,
    }))
}

/// A stretch of numbers without a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeqHole {
    /// First number.
    pub first_missing: Seq,
    /// Last number.
    pub last_missing: Seq,
    /// A gap row covers it.
    pub explained: bool,
}

/// Numbers of a run that have no row, up to its `last_seq`. None of them may be unexplained once the
/// run is loaded and as long as its partitions stand.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn seq_holes(pool: &PgPool, run_id: RunId) -> Result<Vec<SeqHole>, StoreError> {
    let rows = sqlx::query!(
        r#"select first_missing as "first!", last_missing as "last!", explained as "explained!"
           from raw_seq_holes where run_id = $1 order by first_missing"#,
        run_id.0,
    )
    .fetch_all(pool)
    .await
    .map_err(|e| StoreError::sql("read the holes of a run", CLUSTER, e))?;
    Ok(rows
        .into_iter()
        .map(|r| SeqHole {
            first_missing: Seq(r.first),
            last_missing: Seq(r.last),
            explained: r.explained,
        })
        .collect())
}

/// Newest receipt time per venue of a run, for the gap rows of a restart whose spool is all loaded.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn last_row_times(
    pool: &PgPool,
    run_id: RunId,
) -> Result<Vec<(i16, UtcMicros)>, StoreError> {
    let rows = sqlx::query!(
        r#"select venue as "venue!", max(ts) as "ts!" from (
               select venue, max(ts_local) as ts from ticker_samples where run_id = $1 group by venue
               union all
               select venue, max(ts_local) from trade_samples where run_id = $1 group by venue
               union all
               select 0::smallint, max(ts_local) from l2_snap_metrics where run_id = $1
               union all
               select venue, max(ts) from ingest_stream_events
               where run_id = $1 and venue >= 0 group by venue
           ) t where ts is not null group by venue order by venue"#,
        run_id.0,
    )
    .fetch_all(pool)
    .await
    .map_err(|e| StoreError::sql("read the last rows of a run", CLUSTER, e))?;
    Ok(rows.into_iter().map(|r| (r.venue, r.ts.into())).collect())
}
