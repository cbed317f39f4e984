//! Checkpoints of aggregator and sealer. The first of a run that does not start empty (`wm_seq` 0)
//! and the last two are kept, so that every generation of the run can be derived again.

use penstock_store::StoreError;
use penstock_store::again;
use penstock_store::twins::db_time;
use penstock_types::{RunId, Seq, UtcMicros};
use sqlx::PgPool;

use crate::CLUSTER;

/// A checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Run.
    pub run_id: RunId,
    /// Last number folded in.
    pub wm_seq: Seq,
    /// Time of the cut.
    pub as_of: UtcMicros,
    /// Version of the payload's layout.
    pub format_version: i32,
    /// Payload, compressed.
    pub payload_zstd: Vec<u8>,
    /// SHA-256 of the uncompressed payload.
    pub payload_hash: Vec<u8>,
}

/// Writes a checkpoint and drops all but the first and the last two of the run.
///
/// # Errors
/// [`StoreError`].
pub async fn write_checkpoint(pool: &PgPool, row: &Checkpoint) -> Result<(), StoreError> {
    let sql = |e| StoreError::sql("write the checkpoint", CLUSTER, e);
    let mut tx = again::begin(pool, "begin").await.map_err(sql)?;
    sqlx::query!(
        "insert into aggregator_checkpoints
             (run_id, wm_seq, as_of, format_version, payload_zstd, payload_hash)
         values ($1, $2, $3, $4, $5, $6) on conflict (run_id, wm_seq) do nothing",
        row.run_id.0,
        row.wm_seq.0,
        db_time(row.as_of),
        row.format_version,
        row.payload_zstd,
        row.payload_hash,
    )
    .execute(&mut *tx)
    .await
    .map_err(sql)?;
    sqlx::query!(
        "delete from aggregator_checkpoints
         where run_id = $1 and wm_seq <> 0 and wm_seq not in (
             select wm_seq from aggregator_checkpoints
             where run_id = $1 order by wm_seq desc limit 2)",
        row.run_id.0,
    )
    .execute(&mut *tx)
    .await
    .map_err(sql)?;
    tx.commit().await.map_err(|e| StoreError::commit("write the checkpoint", CLUSTER, e))
}

/// The newest checkpoint of a domain, for a warm start.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn newest_checkpoint(
    pool: &PgPool,
    domain: &str,
) -> Result<Option<Checkpoint>, StoreError> {
    let row = sqlx::query!(
        "select c.run_id, c.wm_seq, c.as_of, c.format_version, c.payload_zstd, c.payload_hash
         from aggregator_checkpoints c join observation_runs r on r.run_id = c.run_id
         where r.domain = $1 order by c.run_id desc, c.wm_seq desc limit 1",
        domain,
    )
    .fetch_optional(pool)
    .await
    .map_err(|e| StoreError::sql("read the newest checkpoint", CLUSTER, e))?;
    Ok(row.map(|r| Checkpoint {
        run_id: RunId(r.run_id),
        wm_seq: Seq(r.wm_seq),
        as_of: r.as_of.into(),
        format_version: r.format_version,
        payload_zstd: r.payload_zstd,
        payload_hash: r.payload_hash,
    }))
}

/// The newest checkpoint of a run at or below a number, for verification.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn checkpoint_at(
    pool: &PgPool,
    run_id: RunId,
    wm_seq_max: Seq,
) -> Result<Option<Checkpoint>, StoreError> {
    let row = sqlx::query!(
        "select run_id, wm_seq, as_of, format_version, payload_zstd, payload_hash
         from aggregator_checkpoints
         where run_id = $1 and wm_seq <= $2 order by wm_seq desc limit 1",
        run_id.0,
        wm_seq_max.0,
    )
    .fetch_optional(pool)
    .await
    .map_err(|e| StoreError::sql("read a checkpoint", CLUSTER, e))?;
    Ok(row.map(|r| Checkpoint {
        run_id: RunId(r.run_id),
        wm_seq: Seq(r.wm_seq),
        as_of: r.as_of.into(),
        format_version: r.format_version,
        payload_zstd: r.payload_zstd,
        payload_hash: r.payload_hash,
    }))
}
