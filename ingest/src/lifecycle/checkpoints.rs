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
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use zstd::stream::raw::{Encoder, Operation};
use zstd::stream::zio::Writer;

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

/// What one checkpoint leaves to the next: the copy of the fold, the compressor, the place of its bytes. They are
/// megabytes; taken anew each time, they would find their old places cut up by what came in between, and the
/// process would grow with every checkpoint.
#[derive(Default)]
struct Kept {
    spare: Option<Box<State>>,
    packer: Option<Packer>,
}

/// A compressor and what it wrote last.
struct Packer {
    encoder: Encoder<'static>,
    payload: Vec<u8>,
}

impl Packer {
    /// Packs a checkpoint; returns the hash of its bytes.
    fn pack(self, state: &State) -> Result<(Self, [u8; 32]), String> {
        let Self { mut encoder, mut payload } = self;
        payload.clear();
        encoder.reinit().map_err(|e| e.to_string())?;
        let mut packed = Writer::new(payload, encoder);
        let hash = checkpoint::encode_into(state, &mut packed).map_err(|e| e.to_string())?;
        packed.finish().map_err(|e| e.to_string())?;
        let (payload, encoder) = packed.into_inner();
        Ok((Self { encoder, payload }, hash))
    }
}

/// The checkpoints of a run, one at a time.
#[derive(Clone, Default)]
pub(crate) struct Checkpoints(Arc<Mutex<Kept>>);

impl Checkpoints {
    /// Asks the core for a copy and writes it; nothing while the ingest cluster has not answered yet.
    pub(crate) async fn take(&self, clusters: &Clusters, core: &mpsc::Sender<CoreCommand>) {
        let Some(pool) = clusters.ingest() else { return };
        let mut kept = self.0.lock().await;
        let (answer, copy) = oneshot::channel();
        let spare = kept.spare.take();
        if core.send(CoreCommand::Checkpoint { spare, answer }).await.is_ok()
            && let Ok((state, as_of)) = copy.await
        {
            write_with(&mut kept, &pool, state, as_of).await;
        }
    }

    /// Memory for the copy with which a run begins.
    pub(crate) async fn spare(&self) -> Option<Box<State>> {
        self.0.lock().await.spare.take()
    }

    /// Writes a copy that the core has made.
    pub(crate) async fn write(&self, pool: &PgPool, state: Box<State>, as_of: UtcMicros) {
        write_with(&mut *self.0.lock().await, pool, state, as_of).await;
    }

    /// Writes one per interval until it is cancelled.
    pub(crate) async fn run(
        self,
        clusters: Clusters,
        core: mpsc::Sender<CoreCommand>,
        every: Duration,
        cancel: CancellationToken,
    ) {
        let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + every, every);
        while cancel.run_until_cancelled(ticks.tick()).await.is_some() {
            self.take(&clusters, &core).await;
        }
    }
}

/// Writes one checkpoint, of a service that writes no further one soon.
pub(crate) async fn write(pool: &PgPool, state: Box<State>, as_of: UtcMicros) {
    write_with(&mut Kept::default(), pool, state, as_of).await;
}

async fn write_with(kept: &mut Kept, pool: &PgPool, state: Box<State>, as_of: UtcMicros) {
    let packer = kept.packer.take();
    let encoded = tokio::task::spawn_blocking(move || {
        let packer = match packer {
            Some(packer) => packer,
            None => {
                let encoder = Encoder::new(ZSTD_LEVEL).map_err(|e| e.to_string())?;
                Packer { encoder, payload: Vec::new() }
            }
        };
        let (Packer { encoder, payload }, hash) = packer.pack(&state)?;
        let row = Checkpoint {
            run_id: state.fold.run_id(),
            wm_seq: state.fold.last_seq(),
            as_of,
            format_version: checkpoint::CHECKPOINT_FORMAT,
            payload_zstd: payload,
            payload_hash: hash.to_vec(),
        };
        Ok::<_, String>((state, encoder, row))
    });
    let (state, encoder, row) = match encoded.await.map_err(|e| e.to_string()).and_then(|r| r) {
        Ok(encoded) => encoded,
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
    kept.spare = Some(state);
    kept.packer = Some(Packer { encoder, payload: row.payload_zstd });
}

#[cfg(test)]
mod tests {
    use super::*;
    use penstock_market::FoldConfig;

    #[test]
    fn a_packer_that_is_used_again_packs_as_a_new_one() {
        let new = || Packer { encoder: Encoder::new(ZSTD_LEVEL).unwrap(), payload: Vec::new() };
        let mut used = new();
        for run in 1..4 {
            let fold = Aggregator::new(RunId(run), FoldConfig::default());
            let state = State { fold, sealer: None, l2_sample_interval_ms: 0 };
            let (packed, hash) = used.pack(&state).unwrap();
            let (fresh, _) = new().pack(&state).unwrap();
            assert_eq!(packed.payload, fresh.payload);
            let payload = zstd::decode_all(packed.payload.as_slice()).unwrap();
            let format = checkpoint::CHECKPOINT_FORMAT;
            assert_eq!(checkpoint::decode(format, &payload, &hash).unwrap(), state);
            used = packed;
        }
    }
}
