//! Purpose: what the cluster gives at best: a binary copy of the same rows into the same table with its
//! keys, without any code of ours in between. Inputs: the run whose rows are copied. Outputs: rows and
//! time. Invariants: the rows are read back first, so that only the copy is timed; it goes into the
//! partition of a run of its own, through the same parent; one connection, one transaction, durable.

use std::time::{Duration, Instant};

use futures_util::TryStreamExt;
use penstock_store::partitions::create_run_partitions;
use penstock_store::raw_rows::{copy_statement, copy_target};
use penstock_store::spool::StreamCode;
use penstock_types::RunId;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// Run of the copied rows; nothing else is recorded under it.
const COPY_RUN: RunId = RunId(1_000_000);
/// Bytes of one message.
const MESSAGE_BYTES: usize = 65_536;

/// Copies at most `rows_max` trades of a run. Rows and time.
///
/// # Errors
/// What the cluster said.
pub(super) async fn copy(
    conn: &mut PgConnection,
    run_id: RunId,
    rows_max: u64,
) -> anyhow::Result<(u64, Duration)> {
    let target = copy_target(StreamCode::Trade)
        .ok_or_else(|| anyhow::anyhow!("trades have no table in this version"))?;
    let rest = target.columns.get(1..).unwrap_or_default().join(", ");
    let read = format!(
        "copy (select {COPY_RUN}::bigint, {rest} from {} where run_id = {run_id} order by seq \
         limit {rows_max}) to stdout (format binary)",
        target.table
    );
    let mut bytes = Vec::new();
    let mut stream = conn.copy_out_raw(&read).await?;
    while let Some(part) = stream.try_next().await? {
        bytes.extend_from_slice(&part);
    }
    drop(stream);
    let mut tx = conn.begin().await?;
    create_run_partitions(&mut tx, COPY_RUN).await?;
    tx.commit().await?;
    sqlx::raw_sql("checkpoint").execute(&mut *conn).await?;
    let write = copy_statement(target.table, target.columns);
    let started = Instant::now();
    let mut copy = conn.copy_in_raw(&write).await?;
    for message in bytes.chunks(MESSAGE_BYTES) {
        copy.send(message).await?;
    }
    let rows = copy.finish().await?;
    let took = started.elapsed();
    let text = format!("delete from partition_registry where run_id = {COPY_RUN}");
    sqlx::raw_sql(AssertSqlSafe(text)).execute(conn).await?;
    Ok((rows, took))
}
