//! Checkpoints of aggregator and sealer. The first of a run that does not start empty (`wm_seq` 0)
//! and the last two are kept, so that every generation of the run can be derived again.

use penstock_store::tuple::TupleWriter;
use penstock_store::{CopyGuard, StoreError};
use penstock_types::{RunId, Seq, UtcMicros};
use sqlx::PgPool;

use crate::CLUSTER;

/// The payload stands last, so that its bytes need no copy.
const COPY: &str = "copy aggregator_checkpoints (run_id, wm_seq, as_of, format_version, payload_hash, \
                    payload_zstd) from stdin (format binary)";
/// Bytes of a tuple before its payload.
const HEAD_LEN: usize = 96;

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

/// Writes a checkpoint and drops all but the first and the last two of the run. The payload goes in messages
/// of a copy: as a parameter it would be there twice more, once in a buffer that the connection keeps.
///
/// # Errors
/// [`StoreError`].
pub async fn write_checkpoint(pool: &PgPool, row: &Checkpoint) -> Result<(), StoreError> {
    let (mut guard, _) = CopyGuard::begun(pool, CLUSTER, None, "begin").await?;
    match insert(&mut guard, row).await {
        Ok(()) => guard.commit("write the checkpoint").await,
        Err(error) => {
            // The guard closes the connection when the server no longer answers.
            let _ = guard.rollback().await;
            Err(StoreError::sql("write the checkpoint", CLUSTER, error))
        }
    }
}

async fn insert(guard: &mut CopyGuard, row: &Checkpoint) -> Result<(), sqlx::Error> {
    let is_there = sqlx::query_scalar!(
        "select exists (select from aggregator_checkpoints
             where run_id = $1 and wm_seq = $2) as \"is_there!\"",
        row.run_id.0,
        row.wm_seq.0,
    )
    .fetch_one(guard.conn())
    .await?;
    // One process writes, under its fence; the same number is the same fold, and the first one stays.
    if !is_there {
        let mut head = Vec::with_capacity(HEAD_LEN);
        let mut tuple = TupleWriter::start(&mut head, 6);
        tuple.int8(row.run_id.0);
        tuple.int8(row.wm_seq.0);
        tuple.timestamp(row.as_of);
        tuple.int4(row.format_version);
        tuple.bytea(&row.payload_hash);
        let payload = tuple.end_with_bytea(&row.payload_zstd);
        guard.copy_in(COPY, &[&head[..], payload]).await?;
    }
    sqlx::query!(
        "delete from aggregator_checkpoints
         where run_id = $1 and wm_seq <> 0 and wm_seq not in (
             select wm_seq from aggregator_checkpoints
             where run_id = $1 order by wm_seq desc limit 2)",
        row.run_id.0,
    )
    .execute(guard.conn())
    .await?;
    Ok(())
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
