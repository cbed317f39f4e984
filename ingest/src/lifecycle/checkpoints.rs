//! Checkpoints of the fold: one before the first row, then one per interval, the last at the stop.
//!
//! The first one carries the fold's own numbers (windows, limits), so that a verification of the run
//! cannot use others; a warm start begins with the newest one of the domain.

use crate::core::run::CoreCommand;
use crate::lifecycle::clusters::Clusters;
use crate::settings::Settings;
use penstock_market::Aggregator;
use penstock_market::checkpoint::{self, Checkpoint as State};
use penstock_store_ingest::checkpoints::{Checkpoint, newest_checkpoint, write_checkpoint};
use penstock_store_ingest::runs::last_row_times;
use penstock_telemetry::marker;
use penstock_types::{RunId, UtcMicros};
use sqlx::PgPool;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// Compression: the fastest level halves the time of the default and loses a tenth of the size.
const ZSTD_LEVEL: i32 = 1;

/// Venue number of Kraken spot in the raw tables.
const KRAKEN_SPOT: i16 = 0;

/// The fold that a run starts with: the newest checkpoint when it is young and of the same kind, else
/// an empty one.
pub(crate) async fn initial_fold(
    settings: &Settings,
    clusters: &Clusters,
    run_id: RunId,
    now: UtcMicros,
) -> Aggregator {
    let empty = || Aggregator::new(run_id, settings.core.fold.clone());
    let Some(ingest) = clusters.ingest() else { return empty() };
    let found = match newest_checkpoint(&ingest, &settings.domain).await {
        Ok(Some(found)) => found,
        Ok(None) => return empty(),
        Err(error) => {
            tracing::warn!("newest checkpoint: {error}");
            return empty();
        }
    };
    let age_ms = now.millis_since(found.as_of);
    let age_max_ms = i64::try_from(settings.warm_start_max_age.as_millis()).unwrap_or(0);
    if age_ms > age_max_ms {
        return empty();
    }
    let decoded = zstd::decode_all(found.payload_zstd.as_slice())
        .map_err(|e| e.to_string())
        .and_then(|payload| {
            checkpoint::decode(found.format_version, &payload, &found.payload_hash)
                .map(|read| read.fold)
                .map_err(|e| e.to_string())
        });
    match decoded {
        Ok(mut fold) if *fold.config() == settings.core.fold => {
            marker!(
                CHECKPOINT_LOADED,
                run_id = found.run_id,
                wm_seq = found.wm_seq,
                bytes = found.payload_zstd.len(),
                age_secs = age_ms / 1_000,
            );
            fold.begin_run(run_id, true);
            fold
        }
        Ok(_) => empty(),
        Err(error) => {
            tracing::warn!("checkpoint of run {}: {error}; starting cold", found.run_id);
            empty()
        }
    }
}

/// Until when the run before was recorded on the ingest cluster: its newest row, or its start when it
/// left none; nothing when there was no run before.
pub(crate) async fn recorded_until(settings: &Settings, clusters: &Clusters) -> Option<UtcMicros> {
    let ingest = clusters.ingest()?;
    let told = |error| tracing::warn!("end of the run before: {error}");
    let before = newest_checkpoint(&ingest, &settings.domain).await.map_err(told).ok().flatten()?;
    let told = |error| tracing::warn!("end of the run before: {error}");
    let times = last_row_times(&ingest, before.run_id).await.map_err(told).ok()?;
    let newest = times.iter().filter(|(venue, _)| *venue == KRAKEN_SPOT).map(|(_, at)| *at).max();
    newest.or(Some(before.as_of))
}

/// Writes one checkpoint.
pub(crate) async fn write(pool: &PgPool, state: Box<State>, as_of: UtcMicros) {
    let encoded = tokio::task::spawn_blocking(move || {
        let mut packed = zstd::Encoder::new(Vec::new(), ZSTD_LEVEL).map_err(|e| e.to_string())?;
        let hash = checkpoint::encode_into(&state, &mut packed).map_err(|e| e.to_string())?;
        let payload_zstd = packed.finish().map_err(|e| e.to_string())?;
        Ok::<_, String>(Checkpoint {
            run_id: state.fold.run_id(),
            wm_seq: state.fold.last_seq(),
            as_of,
            format_version: checkpoint::CHECKPOINT_FORMAT,
            payload_zstd,
            payload_hash: hash.to_vec(),
        })
    });
    let row = match encoded.await.map_err(|e| e.to_string()).and_then(|r| r) {
        Ok(row) => row,
        Err(error) => {
            tracing::error!("encode a checkpoint: {error}");
            return;
        }
    };
    match write_checkpoint(pool, &row).await {
        Ok(()) => marker!(
            CHECKPOINT_WRITTEN,
            run_id = row.run_id,
            wm_seq = row.wm_seq,
            bytes = row.payload_zstd.len(),
            age_secs = 0,
        ),
        Err(error) => tracing::warn!("write a checkpoint: {error}"),
    }
}

/// Asks the core for a copy and writes it; nothing while the ingest cluster has not answered yet.
pub(crate) async fn take(clusters: &Clusters, core: &mpsc::Sender<CoreCommand>) {
    let Some(pool) = clusters.ingest() else { return };
    let (answer, copy) = oneshot::channel();
    if core.send(CoreCommand::Checkpoint(answer)).await.is_ok()
        && let Ok((fold, as_of)) = copy.await
    {
        write(&pool, fold, as_of).await;
    }
}

/// Writes one per interval until it is cancelled.
pub(crate) async fn run(
    clusters: Clusters,
    core: mpsc::Sender<CoreCommand>,
    every: Duration,
    cancel: CancellationToken,
) {
    let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + every, every);
    while cancel.run_until_cancelled(ticks.tick()).await.is_some() {
        take(&clusters, &core).await;
    }
}
