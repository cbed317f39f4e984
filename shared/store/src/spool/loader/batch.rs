//! One batch into the partitions of its run, together with the cursor.
//!
//! What a crash leaves: before the commit nothing, after it rows and cursor. A commit without an
//! answer is settled by the next step, which reads the cursor. Numbered records at or below the
//! cursor's number are skipped; outputs are never skipped and load with `on conflict do nothing`.

use std::collections::BTreeMap;

use penstock_types::{RunId, Seq};
use sqlx::{PgPool, Row};

use super::quarantine::{Slow, load_rowwise};
use super::{CLUSTER, LoadedBatch};
use crate::error::{StoreError, sqlstate};
use crate::guard::CopyGuard;
use crate::raw_rows::{CopyTarget, copy_target};
use crate::right_of_way::Patience;
use crate::spool::cursor::{Admission, Cursor, CursorUse, Passage, admit, number_behind, passage};
use crate::spool::format::StreamCode;
use crate::spool::segments::{Batch, SpoolPosition};

/// Why a batch was not loaded.
#[derive(Debug)]
pub(super) enum BatchError {
    /// The cursor stands elsewhere, because an unknown commit did take place.
    Reposition(SpoolPosition),
    /// The run has no open cursor.
    Closed,
    Store(StoreError),
}

impl From<StoreError> for BatchError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Reads where a run's loading stands; `None` when it is closed or unknown.
pub(super) async fn read_cursor(
    pool: &PgPool,
    run_id: RunId,
) -> Result<Option<SpoolPosition>, StoreError> {
    let sql = |e| StoreError::sql("read the load cursor", CLUSTER, e);
    let row = sqlx::query(
        "select segment_no, byte_offset from raw_load_cursor where run_id = $1 and not complete",
    )
    .bind(run_id.0)
    .fetch_optional(pool)
    .await
    .map_err(sql)?;
    match row {
        None => Ok(None),
        Some(row) => position(run_id, &row).map(Some).map_err(sql),
    }
}

fn position(run_id: RunId, row: &sqlx::postgres::PgRow) -> Result<SpoolPosition, sqlx::Error> {
    let segment_no: i32 = row.try_get("segment_no")?;
    let offset: i64 = row.try_get("byte_offset")?;
    Ok(SpoolPosition {
        run_id,
        segment_no: segment_no.unsigned_abs(),
        offset: offset.unsigned_abs(),
    })
}

/// Records of one stream, in order.
#[derive(Debug)]
pub(super) struct Group<'b> {
    pub(super) target: &'static CopyTarget,
    pub(super) seqs: Vec<u64>,
    pub(super) tuples: Vec<&'b [u8]>,
}

fn group<'b>(batch: &'b Batch, loaded_seq: u64) -> (BTreeMap<StreamCode, Group<'b>>, u64) {
    let mut groups: BTreeMap<StreamCode, Group<'b>> = BTreeMap::new();
    let mut last_seq = loaded_seq;
    for record in &batch.records {
        let passage = passage(record.flags, record.seq, loaded_seq);
        last_seq = number_behind(passage, record.seq, last_seq);
        if passage == Passage::Skip {
            continue;
        }
        // Streams of a later version stand as holes that the closing of the run explains.
        let Some(target) = copy_target(record.stream) else { continue };
        let group = groups.entry(record.stream).or_insert_with(|| Group {
            target,
            seqs: Vec::new(),
            tuples: Vec::new(),
        });
        group.seqs.push(record.seq);
        group.tuples.push(batch.payload(record));
    }
    (groups, last_seq)
}

/// Loads a batch that was read from a position on.
pub(super) async fn load_batch(
    pool: &PgPool,
    from: SpoolPosition,
    batch: &Batch,
    patience: &mut Patience,
) -> Result<LoadedBatch, BatchError> {
    match try_load(pool, from, batch, Path::Fast(patience)).await {
        // A unique violation, or a row that the server refuses: the same batch again, row by row.
        Err(BatchError::Store(error)) if is_row_error(&error) => {
            try_load(pool, from, batch, Path::RowWise).await
        }
        other => other,
    }
}

#[derive(Debug)]
enum Path<'p> {
    Fast(&'p mut Patience),
    RowWise,
}

/// Classes 22 (data) and 23 (integrity) belong to rows, not to the cluster.
fn is_row_error(error: &StoreError) -> bool {
    error.sqlstate().is_some_and(|code| code.starts_with("22") || code.starts_with("23"))
}

async fn try_load(
    pool: &PgPool,
    from: SpoolPosition,
    batch: &Batch,
    mut path: Path<'_>,
) -> Result<LoadedBatch, BatchError> {
    let sql = |action| move |e| StoreError::sql(action, CLUSTER, e);
    let run_id = batch.start.run_id;
    let (mut guard, _) = CopyGuard::begun(pool, CLUSTER, None, "begin").await?;
    // What is trimmed must be durable, whatever the cluster's default is. A batch may take longer
    // than a service's other statements.
    let limits = "set local synchronous_commit = on; set local lock_timeout = '2s'; \
                  set local statement_timeout = '60s'";
    guard.run(limits.to_owned()).await.map_err(sql("set the time-outs"))?;
    let cursor = open_cursor(&mut guard, run_id, CursorUse::Load).await?;
    match admit(cursor.as_ref(), from) {
        Admission::Load => {}
        Admission::Reposition(at) => {
            guard.rollback().await?;
            return Err(BatchError::Reposition(at));
        }
        Admission::Closed => {
            guard.rollback().await?;
            return Err(BatchError::Closed);
        }
    }
    let loaded_seq = cursor.map_or(0, |cursor| cursor.last_seq);
    let (groups, last_seq) = group(batch, loaded_seq);
    let mut total = Slow::default();
    for group in groups.values() {
        let one = match &mut path {
            Path::Fast(patience) => load_fast(&mut guard, group, patience).await,
            Path::RowWise => load_rowwise(&mut guard, run_id, group).await,
        };
        match one {
            Ok(one) => total.add(one),
            Err(error) => {
                // The transaction is lost with the connection when even the rollback fails.
                guard.rollback().await?;
                return Err(sql("copy raw rows")(error).into());
            }
        }
    }
    let has_generations = groups.contains_key(&StreamCode::Generation);
    if total.quarantined > 0 || has_generations {
        mark_incomplete(&mut guard, run_id).await?;
    }
    let loaded = LoadedBatch {
        run_id,
        rows: total.rows,
        duplicates: total.duplicates,
        quarantined: total.quarantined,
        last_seq: Seq(i64::try_from(last_seq).unwrap_or(i64::MAX)),
        trimmed_segments: 0,
        trimmed_bytes: 0,
    };
    move_cursor(&mut guard, &loaded, batch.end).await?;
    guard.commit("load raw rows").await?;
    Ok(loaded)
}

/// Reads and locks the cursor of a run; `None` when it is closed.
pub(super) async fn open_cursor(
    guard: &mut CopyGuard,
    run_id: RunId,
    of: CursorUse,
) -> Result<Option<Cursor>, StoreError> {
    let sql = |e| StoreError::sql("lock the load cursor", CLUSTER, e);
    let row = sqlx::query(of.statement())
        .bind(run_id.0)
        .fetch_optional(guard.conn())
        .await
        .map_err(sql)?;
    let Some(row) = row else { return Ok(None) };
    let at = position(run_id, &row).map_err(sql)?;
    let last_seq: i64 = row.try_get("last_seq").map_err(sql)?;
    Ok(Some(Cursor { at, last_seq: last_seq.unsigned_abs() }))
}

async fn move_cursor(
    guard: &mut CopyGuard,
    loaded: &LoadedBatch,
    end: SpoolPosition,
) -> Result<(), StoreError> {
    let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    sqlx::query(
        "update raw_load_cursor set last_seq = $2, segment_no = $3, byte_offset = $4,
             rows_loaded = rows_loaded + $5, rows_quarantined = rows_quarantined + $6,
             loaded_at = clock_timestamp()
         where run_id = $1",
    )
    .bind(loaded.run_id.0)
    .bind(loaded.last_seq.0)
    .bind(i32::try_from(end.segment_no).unwrap_or(i32::MAX))
    .bind(count(end.offset))
    .bind(count(loaded.rows))
    .bind(count(loaded.quarantined))
    .execute(guard.conn())
    .await
    .map(|_| ())
    .map_err(|e| StoreError::sql("move the load cursor", CLUSTER, e))
}

/// A generation above a quarantined number cannot be derived again.
async fn mark_incomplete(guard: &mut CopyGuard, run_id: RunId) -> Result<(), StoreError> {
    sqlx::query(
        "update state_generations set raw_complete = false
         where run_id = $1 and raw_complete and wm_seq >= (
             select min(seq) from raw_quarantine where run_id = $1 and stream < 16)",
    )
    .bind(run_id.0)
    .execute(guard.conn())
    .await
    .map(|_| ())
    .map_err(|e| StoreError::sql("mark generations incomplete", CLUSTER, e))
}

/// The ordinary way: one copy per stream, which only sends the payloads.
async fn load_fast(
    guard: &mut CopyGuard,
    group: &Group<'_>,
    patience: &mut Patience,
) -> Result<Slow, sqlx::Error> {
    let sent = group.tuples.len() as u64;
    if !group.target.stream.is_output() {
        let rows =
            guard.copy_in_bulk(&group.target.copy_statement(), &group.tuples, patience).await?;
        return Ok(Slow { rows, duplicates: 0, quarantined: 0 });
    }
    let rows = copy_through_stage(guard, group.target, &group.tuples).await?;
    // An output that stands was loaded before a restart; that is no finding.
    let _already = sent - rows;
    Ok(Slow { rows, duplicates: 0, quarantined: 0 })
}

/// Copies into a temporary table and inserts what is new; returns the rows inserted.
pub(super) async fn copy_through_stage(
    guard: &mut CopyGuard,
    target: &CopyTarget,
    tuples: &[&[u8]],
) -> Result<u64, sqlx::Error> {
    let columns = target.columns.join(", ");
    let stage = format!("load_{}", target.table);
    guard
        .run(format!(
            "create temp table if not exists {stage} on commit drop as \
             select {columns} from {} with no data; truncate {stage}",
            target.table
        ))
        .await?;
    guard.copy_in(&crate::raw_rows::copy_statement(&stage, target.columns), tuples).await?;
    let key = target.key;
    guard
        .run(format!(
            "insert into {} ({columns}) select {columns} from {stage} on conflict {key} do nothing",
            target.table
        ))
        .await
}

/// Whether an error is about a row: a unique violation on another key counts, a missing partition
/// (a check violation without a constraint) does not.
pub(super) fn is_about_a_row(error: &sqlx::Error) -> bool {
    let Some(code) = sqlstate(error) else { return false };
    if code == "23514" {
        return matches!(error, sqlx::Error::Database(db) if db.constraint().is_some());
    }
    code.starts_with("22") || matches!(code.as_str(), "23502" | "23505")
}
