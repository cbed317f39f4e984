//! Closing a run whose records are all loaded.
//!
//! Every number in 1..=`last_seq` that has neither row nor quarantine nor gap row gets a gap row of
//! the process, numbered behind the last; generations at or above the first number without a row, or
//! above `last_seq`, can no longer be derived. All of it and `complete` in one commit; only then may
//! segments be unlinked.

use penstock_types::{RunId, Seq, UtcMicros};
use sqlx::{PgPool, Row};

use super::CLUSTER;
use super::batch::open_cursor;
use crate::error::StoreError;
use crate::guard::CopyGuard;
use crate::spool::cursor::CursorUse;
use crate::twins::db_time;

/// A run that is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClosedRun {
    /// Run.
    pub run_id: RunId,
    /// Highest number.
    pub last_seq: Seq,
    /// Gap rows written.
    pub gaps: u32,
    /// Generations that lost `raw_complete` now.
    pub incomplete_generations: u64,
    /// It had been closed before; nothing was changed.
    pub was_closed: bool,
}

pub(super) async fn close_run(pool: &PgPool, run_id: RunId) -> Result<ClosedRun, StoreError> {
    let sql = |e| StoreError::sql("close the run", CLUSTER, e);
    let (mut guard, _) = CopyGuard::begun(pool, CLUSTER, None, "begin").await?;
    guard
        .run("set local lock_timeout = '5s'; set local statement_timeout = '300s'".to_owned())
        .await
        .map_err(sql)?;
    let cursor = open_cursor(&mut guard, run_id, CursorUse::Close).await?;
    let Some(cursor) = cursor else {
        guard.rollback().await?;
        return Ok(ClosedRun {
            run_id,
            last_seq: Seq(0),
            gaps: 0,
            incomplete_generations: 0,
            was_closed: true,
        });
    };
    let last_seq = i64::try_from(cursor.last_seq).unwrap_or(i64::MAX);
    let holes = holes(&mut guard, run_id).await.map_err(sql)?;
    let mut gaps: i32 = 0;
    for hole in holes.iter().filter(|hole| !hole.explained) {
        gaps += 1;
        write_gap(&mut guard, run_id, last_seq + i64::from(gaps), hole).await.map_err(sql)?;
    }
    let first_missing = holes.first().map_or(last_seq + 1, |hole| hole.first);
    let incomplete = sqlx::query(
        "update state_generations set raw_complete = false
         where run_id = $1 and raw_complete and wm_seq >= $2",
    )
    .bind(run_id.0)
    .bind(first_missing)
    .execute(guard.conn())
    .await
    .map_err(sql)?;
    sqlx::query(
        "update raw_load_cursor set complete = true, loaded_at = clock_timestamp()
         where run_id = $1",
    )
    .bind(run_id.0)
    .execute(guard.conn())
    .await
    .map_err(sql)?;
    guard.commit("close the run").await?;
    Ok(ClosedRun {
        run_id,
        last_seq: Seq(last_seq),
        gaps: gaps.unsigned_abs(),
        incomplete_generations: incomplete.rows_affected(),
        was_closed: false,
    })
}

struct Hole {
    first: i64,
    last: i64,
    explained: bool,
}

async fn holes(guard: &mut CopyGuard, run_id: RunId) -> Result<Vec<Hole>, sqlx::Error> {
    let rows = sqlx::query(
        "select first_missing, last_missing, explained from raw_seq_holes
         where run_id = $1 order by first_missing",
    )
    .bind(run_id.0)
    .fetch_all(guard.conn())
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Hole { first: row.try_get(0)?, last: row.try_get(1)?, explained: row.try_get(2)? })
        })
        .collect()
}

/// The blind time of a hole lies between its two neighbours; without them it is that of the run.
async fn write_gap(
    guard: &mut CopyGuard,
    run_id: RunId,
    seq: i64,
    hole: &Hole,
) -> Result<(), sqlx::Error> {
    let from = neighbour_time(guard, run_id, hole.first - 1).await?;
    let to = neighbour_time(guard, run_id, hole.last + 1).await?;
    sqlx::query(
        "insert into ingest_stream_events (run_id, seq, lineage_id, ts, venue, stream, kind,
             gap_from, gap_to, first_seq, last_seq, detail)
         select r.run_id, $2, r.lineage_id, clock_timestamp(), -1, 'unknown', 'raw_drop',
             coalesce($3, r.started_at),
             greatest(coalesce($4, clock_timestamp()), coalesce($3, r.started_at)),
             $5, $6, '{\"found_by\":\"close\"}'
         from observation_runs r where r.run_id = $1",
    )
    .bind(run_id.0)
    .bind(seq)
    .bind(from.map(db_time))
    .bind(to.map(db_time))
    .bind(hole.first)
    .bind(hole.last)
    .execute(guard.conn())
    .await
    .map(|_| ())
}

async fn neighbour_time(
    guard: &mut CopyGuard,
    run_id: RunId,
    seq: i64,
) -> Result<Option<UtcMicros>, sqlx::Error> {
    let at: Option<chrono::DateTime<chrono::Utc>> = sqlx::query_scalar(
        "select ts_local from ticker_samples where run_id = $1 and seq = $2
         union all select ts_local from trade_samples where run_id = $1 and seq = $2
         union all select ts_local from l2_snap_metrics where run_id = $1 and seq = $2
         union all select ts_local from l3_queue_metrics where run_id = $1 and seq = $2
         union all select ts_local from deriv_ticker_samples where run_id = $1 and seq = $2
         union all select ts_local from liquidation_samples where run_id = $1 and seq = $2
         union all select ts from ingest_stream_events where run_id = $1 and seq = $2",
    )
    .bind(run_id.0)
    .bind(seq)
    .fetch_optional(guard.conn())
    .await?;
    Ok(at.map(Into::into))
}
