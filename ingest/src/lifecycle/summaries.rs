//! The summary of each run's pairs, written once the run has ended and is loaded.
//!
//! Input: ended runs without a summary. Output: rows of `pair_summary_24h`. It looks once a minute and
//! reads the run's own partitions only; the recording never waits for it.

use crate::tasks::Hub;
use penstock_store_ingest::pair_summary::{runs_without_summary, write_pair_summary};
use std::time::Duration;

const LOOK_EVERY: Duration = Duration::from_secs(60);

/// Writes summaries until it is cancelled.
pub(crate) async fn run(hub: Hub) {
    let cancel = hub.cancel.clone();
    // A summary that the stop cuts off is written by the next process.
    let _ = cancel.run_until_cancelled(follow(hub)).await;
}

async fn follow(mut hub: Hub) {
    let Some(pool) = hub.clusters.ingest_opened().await else { return };
    let mut looks = tokio::time::interval(LOOK_EVERY);
    loop {
        looks.tick().await;
        let runs = match runs_without_summary(&pool, &hub.settings.domain).await {
            Ok(runs) => runs,
            Err(error) => {
                tracing::debug!("runs without a summary: {error}");
                continue;
            }
        };
        for run_id in runs {
            match write_pair_summary(&pool, run_id).await {
                Ok(pairs) => tracing::info!(%run_id, pairs, "summary of pairs"),
                Err(error) => tracing::warn!("summary of run {run_id}: {error}"),
            }
        }
    }
}
