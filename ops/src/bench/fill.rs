//! Purpose: raw rows and partitions that are there before something is measured. Inputs: a pair of
//! databases, numbers of rows and runs. Outputs: filled partitions with their keys, settled. Invariants:
//! made by the server itself, in pieces, with a sign of progress; the disk has room for them, or nothing
//! is made. It measures nothing.

use std::path::Path;

use nix::sys::statvfs::statvfs;
use penstock_store::ClusterRole;
use penstock_store::partitions::create_run_partitions;
use penstock_types::RunId;
use sqlx::{Connection, PgConnection};

use super::rig::Databases;
use crate::progress::Bar;

/// Rows of one statement.
const PIECE_ROWS: u64 = 500_000;
/// Disk for a row with its keys and its log: 40 GiB for 10^8 rows.
const BYTES_PER_ROW: u64 = 430;

/// Refuses rows that the disk has no room for.
///
/// # Errors
/// With the space that is there and that is needed.
pub(super) fn require_room(directory: &Path, rows: u64) -> anyhow::Result<()> {
    let found = statvfs(directory)?;
    let free = found.blocks_available().saturating_mul(found.fragment_size());
    let needed = rows.saturating_mul(BYTES_PER_ROW);
    anyhow::ensure!(
        free >= needed,
        "{rows} raw rows need {needed} bytes and {free} are free at {}; next: name another disk with \
         --directory, or fewer rows",
        directory.display()
    );
    Ok(())
}

/// Fills the trades of a run from number 1 on and lets the cluster settle.
///
/// # Errors
/// What the cluster said.
pub(super) async fn trades(
    databases: &Databases,
    run_id: RunId,
    (rows, symbols): (u64, u32),
) -> anyhow::Result<()> {
    let mut conn = databases.superuser(ClusterRole::Ingest).await?;
    let mut bar = Bar::new("filling raw rows");
    let mut done = 0;
    while done < rows {
        let until = rows.min(done + PIECE_ROWS);
        piece(&mut conn, run_id, (done + 1, until), symbols).await?;
        done = until;
        bar.at(i64::try_from(done)?, i64::try_from(rows)?);
    }
    sqlx::raw_sql("vacuum analyze trade_samples").execute(&mut conn).await?;
    sqlx::raw_sql("checkpoint").execute(&mut conn).await?;
    Ok(())
}

async fn piece(
    conn: &mut PgConnection,
    run_id: RunId,
    (from, until): (u64, u64),
    symbols: u32,
) -> anyhow::Result<()> {
    sqlx::query(
        "insert into trade_samples (run_id, seq, venue, symbol, trade_id, side, kind, ord_type,
             price, qty, ts_exchange, ts_local, conn_id)
         select $1, n, 0, 'S' || lpad((n % $4)::text, 5, '0') || '/USD', n, 'b', 'f', 'm',
             64123.1 + n % 97, 0.12345678, clock_timestamp(), clock_timestamp(), 1
         from generate_series($2::bigint, $3::bigint) as n",
    )
    .bind(run_id.0)
    .bind(i64::try_from(from)?)
    .bind(i64::try_from(until)?)
    .bind(i64::from(symbols))
    .execute(conn)
    .await?;
    Ok(())
}

/// Partitions of further runs, as many runs as are named.
///
/// # Errors
/// What the cluster said.
pub(super) async fn partitions(
    databases: &Databases,
    runs: impl ExactSizeIterator<Item = RunId>,
) -> anyhow::Result<()> {
    let mut conn = databases.superuser(ClusterRole::Ingest).await?;
    let mut bar = Bar::new("making partitions");
    let total = i64::try_from(runs.len())?;
    for (done, run_id) in (1..).zip(runs) {
        // One transaction each: all of them in one would need a lock for every table at once.
        let mut tx = conn.begin().await?;
        create_run_partitions(&mut tx, run_id).await?;
        tx.commit().await?;
        bar.at(done, total);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn rows_without_room_are_refused_with_both_numbers() {
        let here = tempfile::tempdir().unwrap();
        super::require_room(here.path(), 0).unwrap();
        let error = super::require_room(here.path(), u64::MAX).unwrap_err().to_string();
        assert!(error.contains(&u64::MAX.to_string()) && error.contains("--directory"), "{error}");
    }
}
