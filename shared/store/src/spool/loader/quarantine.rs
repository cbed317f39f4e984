//! The slow way of a batch: duplicates cost only themselves, and a row that the server refuses is
//! found by halving and put aside, so that it never stops the queue.

use penstock_types::RunId;

use super::batch::{Group, copy_through_stage, is_about_a_row};
use crate::error::{describe, sqlstate};
use crate::guard::CopyGuard;

/// Counts of a load.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Slow {
    pub(super) rows: u64,
    pub(super) duplicates: u64,
    pub(super) quarantined: u64,
}

impl Slow {
    pub(super) fn add(&mut self, other: Self) {
        self.rows += other.rows;
        self.duplicates += other.duplicates;
        self.quarantined += other.quarantined;
    }
}

/// Loads a group through a temporary table with `on conflict do nothing`, halving what is refused.
pub(super) async fn load_rowwise(
    guard: &mut CopyGuard,
    run_id: RunId,
    group: &Group<'_>,
) -> Result<Slow, sqlx::Error> {
    let mut counts = Slow::default();
    // Ranges still to load; the halves of a refused one come back, the first on top.
    let mut ranges = Vec::with_capacity(16);
    ranges.push(0..group.tuples.len());
    while let Some(range) = ranges.pop() {
        if range.is_empty() {
            continue;
        }
        let tuples = &group.tuples[range.clone()];
        guard.run("savepoint part".to_owned()).await?;
        match copy_through_stage(guard, group.target, tuples).await {
            Ok(inserted) => {
                guard.run("release savepoint part".to_owned()).await?;
                counts.rows += inserted;
                if !group.target.stream.is_output() {
                    counts.duplicates += tuples.len() as u64 - inserted;
                }
            }
            Err(error) if is_about_a_row(&error) => {
                guard.run("rollback to savepoint part".to_owned()).await?;
                if let [tuple] = tuples {
                    let seq = group.seqs[range.start];
                    put_aside(guard, run_id, group, seq, tuple, &error).await?;
                    counts.quarantined += 1;
                } else {
                    let middle = range.start + tuples.len() / 2;
                    ranges.push(middle..range.end);
                    ranges.push(range.start..middle);
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(counts)
}

async fn put_aside(
    guard: &mut CopyGuard,
    run_id: RunId,
    group: &Group<'_>,
    seq: u64,
    tuple: &[u8],
    error: &sqlx::Error,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into raw_quarantine (run_id, seq, stream, sqlstate, error, payload, at)
         values ($1, $2, $3, $4, $5, $6, clock_timestamp()) on conflict do nothing",
    )
    .bind(run_id.0)
    .bind(i64::try_from(seq).unwrap_or(i64::MAX))
    .bind(i16::from(group.target.stream.code()))
    .bind(sqlstate(error).unwrap_or_default())
    .bind(describe(error))
    .bind(tuple)
    .execute(guard.conn())
    .await
    .map(|_| ())
}
