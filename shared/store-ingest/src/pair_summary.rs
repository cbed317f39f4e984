//! `pair_summary_24h`: what a run recorded of each pair in its last 24 hours, with the universe's score.
//!
//! Input: a run that is loaded. Output: one row per symbol. One statement over the run's own partitions,
//! so its cost is that of the run; it is written once, when the run has ended. Shares of minutes say how
//! much of the window had samples (of level 3 it is null for a pair without any); ranks are within the run,
//! the best 1, a missing value 0.

use penstock_store::StoreError;
use penstock_store::again;
use penstock_types::RunId;
use sqlx::PgPool;

use crate::CLUSTER;

/// Writes the rows of a run; those that stand are replaced. Returns their number.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn write_pair_summary(pool: &PgPool, run_id: RunId) -> Result<u64, StoreError> {
    let sql = |e| StoreError::sql("write the summary of pairs", CLUSTER, e);
    let mut tx = again::begin(pool, "begin").await.map_err(sql)?;
    // A run of a day is read once; nobody waits for it.
    sqlx::raw_sql("set local statement_timeout = '600s'").execute(&mut *tx).await.map_err(sql)?;
    let done = sqlx::query_file!("queries/write_pair_summary.sql", run_id.0,)
        .execute(&mut *tx)
        .await
        .map_err(sql)?;
    tx.commit().await.map_err(|e| StoreError::commit("write the summary of pairs", CLUSTER, e))?;
    Ok(done.rows_affected())
}

/// Runs of a domain that ended within a day, are loaded, still have their partitions, and have no
/// summary; ascending.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn runs_without_summary(pool: &PgPool, domain: &str) -> Result<Vec<RunId>, StoreError> {
    let ids = sqlx::query_scalar!(
        "select r.run_id from observation_runs r join raw_load_cursor c using (run_id)
         where r.domain = $1 and c.complete
             and r.ended_at > clock_timestamp() - interval '24 hours'
             and not exists (select from pair_summary_24h s where s.run_id = r.run_id)
             and exists (select from partition_registry p
                 where p.run_id = r.run_id and p.dropped_at is null)
         order by 1",
        domain,
    )
    .fetch_all(pool)
    .await
    .map_err(|e| StoreError::sql("list runs without a summary", CLUSTER, e))?;
    Ok(ids.into_iter().map(RunId).collect())
}
