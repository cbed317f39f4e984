//! The I-transaction: the ingest cluster's record of a generation, and its later fate.
//!
//! Input: a cut. Output: state rows, watermarks and the generation row in one commit. The transaction
//! has a deadline of its client: on expiry the connection is closed, the generation row goes to the
//! spool and publication goes on, because exits need fresh state also when this cluster hangs. A
//! run that another host has closed admits no further generation.

use std::time::Duration;

use penstock_store::raw_rows::GenerationRow;
use penstock_store::spool::cursor::CursorUse;
use penstock_store::state_copy::{create_stage, upsert_state};
use penstock_store::twins::db_time;
use penstock_store::{CopyGuard, StoreError};
use penstock_types::vocab::RawStream;
use penstock_types::{GenerationId, LineageId, RunId, Seq, UtcMicros};
use sqlx::PgPool;

use crate::{BEGIN_LIMITED, CLUSTER};

/// Deadline of the I-transaction: a quarter of the cut interval.
pub const I_TRANSACTION_DEADLINE: Duration = Duration::from_millis(250);

/// Last number of a stream that a generation has folded in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watermark {
    /// Stream.
    pub stream: RawStream,
    /// Number.
    pub last_seq: Seq,
    /// Receipt time of that row.
    pub last_ts_local: Option<UtcMicros>,
}

/// Why a generation was not recorded.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// The run has been closed, by a successor on another host (exit 75).
    #[error("run {run_id} is closed on the ingest cluster; next: nothing, a newer instance works")]
    RunClosed {
        /// The run.
        run_id: RunId,
    },
    /// The deadline passed; the outcome is unknown and the generation row goes to the spool, which
    /// loads it once.
    #[error(
        "the ingest cluster did not commit generation {generation_id} within {deadline_ms} ms; next: the row goes through the spool"
    )]
    Deadline {
        /// The generation.
        generation_id: GenerationId,
        /// The deadline.
        deadline_ms: u128,
    },
    /// A statement failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What follows an I-transaction that did not record its generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterFailure {
    /// The row goes to the spool and the generation is published all the same.
    SpoolAndPublish,
    /// Another host has closed the run: nothing is published any more.
    Stop,
}

impl RefreshError {
    /// What follows; publication never waits for the ingest cluster beyond the deadline.
    #[must_use]
    pub const fn follow_up(&self) -> AfterFailure {
        match self {
            Self::Deadline { .. } | Self::Store(_) => AfterFailure::SpoolAndPublish,
            Self::RunClosed { .. } => AfterFailure::Stop,
        }
    }
}

/// Records generations over one kept connection, on which the staging table exists.
#[derive(Debug)]
pub struct GenerationRecorder {
    pool: PgPool,
    guard: Option<CopyGuard>,
    deadline: Duration,
}

impl GenerationRecorder {
    /// A recorder on a pool of `ingest_rw`.
    #[must_use]
    pub const fn new(pool: PgPool) -> Self {
        Self { pool, guard: None, deadline: I_TRANSACTION_DEADLINE }
    }

    /// The same with another deadline.
    #[must_use]
    pub const fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Runs the I-transaction within the deadline.
    ///
    /// # Errors
    /// [`RefreshError`].
    pub async fn record(
        &mut self,
        row: &GenerationRow,
        watermarks: &[Watermark],
        encoded: &[u8],
    ) -> Result<Duration, RefreshError> {
        let started = std::time::Instant::now();
        let deadline = self.deadline;
        // Cancelling drops the guard in the middle of its transaction, which closes the connection.
        tokio::time::timeout(deadline, self.record_inner(row, watermarks, encoded))
            .await
            .map_err(|_| RefreshError::Deadline {
                generation_id: row.generation_id,
                deadline_ms: deadline.as_millis(),
            })??;
        Ok(started.elapsed())
    }

    async fn record_inner(
        &mut self,
        row: &GenerationRow,
        watermarks: &[Watermark],
        encoded: &[u8],
    ) -> Result<(), RefreshError> {
        let kept = self.guard.take();
        let (mut guard, is_new) =
            CopyGuard::begun(&self.pool, CLUSTER, kept, BEGIN_LIMITED).await?;
        if is_new {
            create_stage(&mut guard, CLUSTER).await?;
        }
        hold_run_open(&mut guard, row.run_id).await?;
        insert_generation(&mut guard, row).await?;
        upsert_state(&mut guard, CLUSTER, encoded).await?;
        delete_other_rows(&mut guard, row.run_id, row.generation_id).await?;
        upsert_watermarks(&mut guard, row.run_id, row.generation_id, watermarks).await?;
        guard.commit("record a generation").await?;
        self.guard = Some(guard);
        Ok(())
    }
}

/// Writes the state of a closed run's last generation again, as its own transaction wrote it: rows,
/// watermarks, and nothing of another generation. The caller has seen that the run is the newest of its
/// domain and closed, so that no service writes beside it.
///
/// # Errors
/// [`StoreError`].
pub async fn rewrite_state(
    pool: &PgPool,
    run_id: RunId,
    generation_id: GenerationId,
    watermarks: &[Watermark],
    encoded: &[u8],
) -> Result<u64, StoreError> {
    let mut guard = CopyGuard::acquire(pool, CLUSTER).await?;
    create_stage(&mut guard, CLUSTER).await?;
    guard.begin_with(BEGIN_LIMITED).await?;
    let rows = upsert_state(&mut guard, CLUSTER, encoded).await?;
    delete_other_rows(&mut guard, run_id, generation_id).await?;
    upsert_watermarks(&mut guard, run_id, generation_id, watermarks).await?;
    guard.commit("write the state again").await?;
    Ok(rows)
}

/// Keeps the run from being closed until this transaction ends.
async fn hold_run_open(guard: &mut CopyGuard, run_id: RunId) -> Result<(), RefreshError> {
    let open = sqlx::query(CursorUse::Record.statement())
        .bind(run_id.0)
        .fetch_optional(guard.conn())
        .await
        .map_err(|e| StoreError::sql("hold the run open", CLUSTER, e))?;
    open.map(|_| ()).ok_or(RefreshError::RunClosed { run_id })
}

async fn insert_generation(guard: &mut CopyGuard, row: &GenerationRow) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into state_generations (generation_id, run_id, lineage_id, as_of, row_count,
             changed_rows, delta_ticker_rows, delta_trade_rows, delta_l2_rows, delta_l3_rows,
             wm_seq, raw_complete, content_hash, refresh_duration_ms)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
         on conflict (generation_id) do nothing",
        row.generation_id.0,
        row.run_id.0,
        row.lineage_id.0,
        db_time(row.as_of),
        row.row_count,
        row.changed_rows,
        row.delta_ticker_rows,
        row.delta_trade_rows,
        row.delta_l2_rows,
        row.delta_l3_rows,
        row.wm_seq.0,
        row.raw_complete,
        &row.content_hash[..],
        row.refresh_duration_ms,
    )
    .execute(guard.conn())
    .await
    .map(|_| ())
    .map_err(|e| StoreError::sql("write the generation", CLUSTER, e))
}

async fn delete_other_rows(
    guard: &mut CopyGuard,
    run_id: RunId,
    generation_id: GenerationId,
) -> Result<(), StoreError> {
    sqlx::query!(
        "delete from run_symbol_state
         where (run_id = $1 and generation_id <> $2)
            or run_id in (select b.run_id from observation_runs a
                          join observation_runs b on b.domain = a.domain
                          where a.run_id = $1 and b.run_id <> $1)",
        run_id.0,
        generation_id.0,
    )
    .execute(guard.conn())
    .await
    .map(|_| ())
    .map_err(|e| StoreError::sql("delete rows of other generations", CLUSTER, e))
}

async fn upsert_watermarks(
    guard: &mut CopyGuard,
    run_id: RunId,
    generation_id: GenerationId,
    watermarks: &[Watermark],
) -> Result<(), StoreError> {
    let streams: Vec<String> = watermarks.iter().map(|w| w.stream.as_str().to_owned()).collect();
    let seqs: Vec<i64> = watermarks.iter().map(|w| w.last_seq.0).collect();
    let times: Vec<_> = watermarks.iter().map(|w| w.last_ts_local.map(db_time)).collect();
    sqlx::query!(
        "insert into refresh_watermarks (run_id, stream, last_seq, last_ts_local, generation_id)
         select $1, u.stream, u.last_seq, u.last_ts_local, $2
         from unnest($3::text[], $4::bigint[], $5::timestamptz[])
             as u (stream, last_seq, last_ts_local)
         on conflict (run_id, stream) do update set
             last_seq = excluded.last_seq,
             last_ts_local = excluded.last_ts_local,
             generation_id = excluded.generation_id",
        run_id.0,
        generation_id.0,
        &streams,
        &seqs,
        &times as &[Option<chrono::DateTime<chrono::Utc>>],
    )
    .execute(guard.conn())
    .await
    .map(|_| ())
    .map_err(|e| StoreError::sql("write the watermarks", CLUSTER, e))
}

/// What became of a generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncStatus {
    /// Visible on the decision cluster.
    Published,
    /// Skipped, because a newer one existed.
    Superseded,
    /// The D-transaction failed.
    Failed,
    /// The publisher was fenced out.
    Fenced,
}

impl SyncStatus {
    /// The word of column `sync_status`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Superseded => "superseded",
            Self::Failed => "failed",
            Self::Fenced => "fenced",
        }
    }
}

/// Writes the fate of a generation, best effort: the pointer on the decision cluster is the truth.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn mark_generation(
    pool: &PgPool,
    generation_id: GenerationId,
    status: SyncStatus,
    published_at: Option<UtcMicros>,
    sync_duration_ms: Option<i32>,
    error: Option<&str>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update state_generations set sync_status = $2, published_at = $3, sync_duration_ms = $4,
             sync_attempts = sync_attempts + 1, error = $5
         where generation_id = $1",
        generation_id.0,
        status.as_str(),
        published_at.map(db_time),
        sync_duration_ms,
        error,
    )
    .execute(pool)
    .await
    .map(|_| ())
    .map_err(|e| StoreError::sql("mark the generation", CLUSTER, e))
}

/// Marks the generation that the pointer of the decision cluster named when a process ended between its
/// commit there and the mark here. False when it is marked already, or its row has not been loaded yet.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn settle_published(
    pool: &PgPool,
    generation_id: GenerationId,
    published_at: UtcMicros,
) -> Result<bool, StoreError> {
    sqlx::query!(
        "update state_generations set sync_status = $2, published_at = $3
         where generation_id = $1 and sync_status <> $2",
        generation_id.0,
        SyncStatus::Published.as_str(),
        db_time(published_at),
    )
    .execute(pool)
    .await
    .map(|done| done.rows_affected() > 0)
    .map_err(|e| StoreError::sql("settle the mark of a generation", CLUSTER, e))
}

/// A recorded generation, for verification: the cut times are replayed with the rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedGeneration {
    /// Generation.
    pub generation_id: GenerationId,
    /// Lineage.
    pub lineage_id: LineageId,
    /// Time of the cut.
    pub as_of: UtcMicros,
    /// Last number folded in.
    pub wm_seq: Seq,
    /// Rows of the state.
    pub row_count: i32,
    /// Nothing up to `wm_seq` is missing.
    pub raw_complete: bool,
    /// Hash.
    pub content_hash: Vec<u8>,
}

/// All generations of a run, ascending.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn generations_of_run(
    pool: &PgPool,
    run_id: RunId,
) -> Result<Vec<RecordedGeneration>, StoreError> {
    let rows = sqlx::query!(
        "select generation_id, lineage_id, as_of, wm_seq, row_count, raw_complete, content_hash
         from state_generations where run_id = $1 order by generation_id",
        run_id.0,
    )
    .fetch_all(pool)
    .await
    .map_err(|e| StoreError::sql("read the generations of a run", CLUSTER, e))?;
    Ok(rows
        .into_iter()
        .map(|r| RecordedGeneration {
            generation_id: GenerationId(r.generation_id),
            lineage_id: LineageId(r.lineage_id),
            as_of: r.as_of.into(),
            wm_seq: Seq(r.wm_seq),
            row_count: r.row_count,
            raw_complete: r.raw_complete,
            content_hash: r.content_hash,
        })
        .collect())
}
