//! Run and lineage rows, written with the same statements on both clusters: this file is a module of
//! both query crates, each of which checks it against its own cluster.
//!
//! Inserts do nothing when the row stands; afterwards the immutable fields are compared, because two
//! writers that share an id are a broken invariant that must not go unseen.

use penstock_store::StoreError;
use penstock_store::twins::{LineageRow, RunEnd, RunRow, TwinMismatch, db_time};
use penstock_types::{FencingToken, LineageId, RunId, UtcMicros};
use sqlx::PgConnection;

use crate::{CLUSTER, TwinError};

/// Inserts a run, or finds the equal row.
///
/// # Errors
/// [`TwinError`].
pub async fn upsert_run(conn: &mut PgConnection, row: &RunRow) -> Result<(), TwinError> {
    let sql = |e| StoreError::sql("write the run", CLUSTER, e);
    let mut hash = [0_u8; 32];
    hex::decode_to_slice(&row.bindings_hash, &mut hash).map_err(|_| TwinMismatch {
        table: "observation_runs",
        id: row.run_id.to_string(),
        field: "bindings_hash",
    })?;
    sqlx::query!(
        "insert into observation_runs (run_id, domain, mode, lineage_id, predecessor_run_id,
             fencing_token, host, pid, git_commit, git_dirty, build_profile, config_hash,
             bindings_hash, bindings, schema_version, started_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
         on conflict (run_id) do nothing",
        row.run_id.0,
        row.domain,
        row.mode,
        row.lineage_id.0,
        row.predecessor_run_id.map(|r| r.0),
        row.fencing_token.0,
        row.host,
        row.pid,
        row.git_commit,
        row.git_dirty,
        row.build_profile,
        row.config_hash,
        &hash[..],
        *row.bindings,
        row.schema_version,
        db_time(row.started_at),
    )
    .execute(&mut *conn)
    .await
    .map_err(sql)?;
    let found = sqlx::query!(
        "select domain, lineage_id, fencing_token, bindings_hash, started_at
         from observation_runs where run_id = $1",
        row.run_id.0,
    )
    .fetch_one(conn)
    .await
    .map_err(sql)?;
    let field = if found.domain != row.domain {
        "domain"
    } else if found.lineage_id != row.lineage_id.0 {
        "lineage_id"
    } else if found.fencing_token != row.fencing_token.0 {
        "fencing_token"
    } else if found.bindings_hash != hash {
        "bindings_hash"
    } else if UtcMicros::from(found.started_at) != row.started_at {
        "started_at"
    } else {
        return Ok(());
    };
    Err(TwinMismatch { table: "observation_runs", id: row.run_id.to_string(), field }.into())
}

/// Inserts a lineage, or finds the equal row. Its first run must stand.
///
/// # Errors
/// [`TwinError`].
pub async fn upsert_lineage(conn: &mut PgConnection, row: &LineageRow) -> Result<(), TwinError> {
    let sql = |e| StoreError::sql("write the lineage", CLUSTER, e);
    sqlx::query!(
        "insert into ingest_lineage (lineage_id, domain, first_run_id, parent_lineage_id, reason,
             fencing_token, config_hash, started_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8)
         on conflict (lineage_id) do nothing",
        row.lineage_id.0,
        row.domain,
        row.first_run_id.0,
        row.parent_lineage_id.map(|l| l.0),
        row.reason,
        row.fencing_token.0,
        row.config_hash,
        db_time(row.started_at),
    )
    .execute(&mut *conn)
    .await
    .map_err(sql)?;
    let found = sqlx::query!(
        "select domain, first_run_id, fencing_token, started_at
         from ingest_lineage where lineage_id = $1",
        row.lineage_id.0,
    )
    .fetch_one(conn)
    .await
    .map_err(sql)?;
    let field = if found.domain != row.domain {
        "domain"
    } else if found.first_run_id != row.first_run_id.0 {
        "first_run_id"
    } else if found.fencing_token != row.fencing_token.0 {
        "fencing_token"
    } else if UtcMicros::from(found.started_at) != row.started_at {
        "started_at"
    } else {
        return Ok(());
    };
    Err(TwinMismatch { table: "ingest_lineage", id: row.lineage_id.to_string(), field }.into())
}

/// Marks the end of the warm-up of a run.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn set_run_warm(
    conn: &mut PgConnection,
    run_id: RunId,
    at: UtcMicros,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update observation_runs set warm_at = $2 where run_id = $1 and warm_at is null",
        run_id.0,
        db_time(at),
    )
    .execute(conn)
    .await
    .map(|_| ())
    .map_err(|e| StoreError::sql("mark the run warm", CLUSTER, e))
}

/// Ends a run that is still open; true when it was.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn end_run(
    conn: &mut PgConnection,
    run_id: RunId,
    at: UtcMicros,
    reason: RunEnd,
) -> Result<bool, StoreError> {
    sqlx::query!(
        "update observation_runs set ended_at = $2, end_reason = $3
         where run_id = $1 and ended_at is null",
        run_id.0,
        db_time(at),
        reason.as_str(),
    )
    .execute(conn)
    .await
    .map(|done| done.rows_affected() == 1)
    .map_err(|e| StoreError::sql("end the run", CLUSTER, e))
}

/// Ends a lineage that is still open.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn end_lineage(
    conn: &mut PgConnection,
    lineage_id: LineageId,
    at: UtcMicros,
    reason: &str,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update ingest_lineage set ended_at = $2, end_reason = $3
         where lineage_id = $1 and ended_at is null",
        lineage_id.0,
        db_time(at),
        reason,
    )
    .execute(conn)
    .await
    .map(|_| ())
    .map_err(|e| StoreError::sql("end the lineage", CLUSTER, e))
}

/// Ends the open lineages of a domain that were begun under older tokens; returns how many there were.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn end_older_lineages(
    conn: &mut PgConnection,
    domain: &str,
    token: FencingToken,
    at: UtcMicros,
    reason: &str,
) -> Result<u64, StoreError> {
    sqlx::query!(
        "update ingest_lineage set ended_at = greatest($3, started_at), end_reason = $4
         where domain = $1 and fencing_token < $2 and ended_at is null",
        domain,
        token.0,
        db_time(at),
        reason,
    )
    .execute(conn)
    .await
    .map(|done| done.rows_affected())
    .map_err(|e| StoreError::sql("end older lineages", CLUSTER, e))
}

/// Runs of a domain without an end, oldest first.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn open_runs(conn: &mut PgConnection, domain: &str) -> Result<Vec<RunId>, StoreError> {
    let rows = sqlx::query_scalar!(
        "select run_id from observation_runs
         where domain = $1 and ended_at is null order by run_id",
        domain,
    )
    .fetch_all(conn)
    .await
    .map_err(|e| StoreError::sql("list open runs", CLUSTER, e))?;
    Ok(rows.into_iter().map(RunId).collect())
}
