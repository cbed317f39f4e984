//! Signs of life: the heartbeat row, the health markers, the fence's lease, systemd's watchdog.

use super::alerts::Alerts;
use super::execution_beat::ExecutionBeat;
use super::venue_clocks::VenueClocks;
use crate::core::run::CoreHealth;
use crate::exit::Exit;
use crate::lifecycle::startup::{fence_exit, host_name};
use crate::publish::epochs::EpochsStatus;
use crate::publish::publisher::{PublishedCut, RunContext};
use crate::spooling::load::LoadStatus;
use penstock_store::fence::{Fence, FenceError, FencedService};
use penstock_store::spool::SpoolMonitor;
use penstock_store_decision::heartbeat::{Heartbeat, beat, remove, remove_stale};
use penstock_telemetry::marker;
use penstock_telemetry::resources::Resources;
use penstock_types::{UtcMicros, Uuid};
use sqlx::PgPool;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

const HEALTH_EVERY: Duration = Duration::from_secs(60);
const WRITER_METRICS_EVERY: Duration = Duration::from_secs(10);

/// Everything that signs of life are made of.
#[derive(Clone)]
pub(crate) struct Vitals {
    pub context: RunContext,
    pub health: watch::Receiver<CoreHealth>,
    pub published: watch::Receiver<Option<PublishedCut>>,
    pub epochs: watch::Receiver<EpochsStatus>,
    pub spool: SpoolMonitor,
    pub load: watch::Receiver<LoadStatus>,
    pub alerts: Alerts,
    pub clocks: VenueClocks,
    pub instance_id: Uuid,
    pub started_at: UtcMicros,
    pub started: Instant,
}

impl Vitals {
    fn warmup_state(&self) -> &'static str {
        let epochs = self.epochs.borrow();
        match (epochs.is_warm, epochs.is_degraded_warmup) {
            (true, _) => "live_ready",
            (false, true) => "degraded_warmup",
            (false, false) => "warming_up",
        }
    }

    /// The marker that proofs and the closing line of the demo read.
    pub(crate) fn tell_health(&self) {
        self.tell_health_of(&self.health.borrow().clone());
    }

    /// The last one at a stop: how the streams were before the sockets were closed, with the counts of
    /// everything that arrived until they were.
    pub(crate) fn tell_last_health(&self, before: &CoreHealth) {
        let last = self.health.borrow().clone();
        self.tell_health_of(&CoreHealth {
            checksums_ok: last.checksums_ok,
            checksums_bad: last.checksums_bad,
            ..before.clone()
        });
    }

    fn tell_health_of(&self, health: &CoreHealth) {
        let healthy = health.is_whole && !health.is_gap_open && health.last_message_age_ms < 5_000;
        marker!(
            INGEST_STREAM_HEALTH,
            healthy = healthy,
            last_message_age_secs = health.last_message_age_ms / 1_000,
            valid_epochs = self.epochs.borrow().valid,
            gap = health.is_gap_open,
            reconnects = health.reconnects,
            warmup_state = self.warmup_state(),
            checksums_ok = health.checksums_ok,
            checksums_bad = health.checksums_bad,
        );
    }

    fn tell_heartbeat(&self, rows_before: [u64; 4]) -> [u64; 4] {
        let rows = self.health.borrow().rows;
        let per_s = |i: usize| (rows[i] - rows_before[i]) / HEALTH_EVERY.as_secs();
        let generation_id = self.published.borrow().as_ref().map(|p| p.job.cut.generation_id);
        marker!(
            INGEST_HEARTBEAT,
            run_id = self.context.run().run_id,
            uptime_secs = self.started.elapsed().as_secs(),
            rows_per_s = serde_json::json!({
                "ticker": per_s(0), "trade": per_s(1), "l2": per_s(2), "l3": per_s(3),
            }),
            generation_id = generation_id,
        );
        if !self.epochs.borrow().is_warm {
            marker!(INGEST_WARMUP_STATE, state = self.warmup_state());
        }
        rows
    }

    fn tell_writer(&self) {
        let load = self.load.borrow().clone();
        marker!(
            WRITER_METRICS,
            ring_pct = self.spool.held_bytes() * 100 / self.context.ring_bytes.max(1),
            spool_pct = self.spool.fill_pct(),
            synced_seq = self.spool.synced().seq,
            sync_lag_ms = self.spool.sync_lag_ms(),
            loaded_seq = load.loaded_seq,
            load_lag_secs = load.lag_secs,
            rows_loaded = load.rows_loaded,
            batches = load.batches,
        );
    }

    fn status(&self) -> serde_json::Value {
        let health = self.health.borrow();
        let published = self.published.borrow();
        serde_json::json!({
            "run_id": self.context.run().run_id,
            "lineage_id": self.context.lineage().lineage_id,
            "generation_id": published.as_ref().map(|p| p.job.cut.generation_id),
            "newest_tick_id": health.newest_tick,
            "epoch_id": self.epochs.borrow().newest,
            "warmup_state": self.warmup_state(),
            "spool_pct": self.spool.fill_pct(),
            "load_lag_secs": self.load.borrow().lag_secs,
            "gap_open": health.is_gap_open,
            "broken_frames": health.broken_frames,
            "clock_offset_ms": self.clocks.offsets_ms(),
            "derivatives": {
                "rows": health.deriv_rows,
                "frames": health.derivs.frames,
                "bodies": health.derivs.bodies,
                "broken": health.derivs.broken,
                "reconnects": health.derivs.reconnects,
                "rotations": health.derivs.rotations,
                "polls_failed": health.derivs.polls_failed,
            },
        })
    }

    /// Tells health and writer figures until it is cancelled.
    pub(crate) async fn markers(self, cancel: CancellationToken) {
        let mut health =
            tokio::time::interval_at(tokio::time::Instant::now() + HEALTH_EVERY, HEALTH_EVERY);
        let mut writer = tokio::time::interval(WRITER_METRICS_EVERY);
        let mut rows = [0; 4];
        loop {
            tokio::select! {
                // Biased: a stop first; the rarer marker before the frequent one.
                biased;
                () = cancel.cancelled() => return,
                _ = health.tick() => {
                    self.tell_health();
                    rows = self.tell_heartbeat(rows);
                }
                _ = writer.tick() => self.tell_writer(),
            }
        }
    }

    /// Writes the heartbeat row until it is cancelled, then removes it.
    pub(crate) async fn beats(self, pool: PgPool, every: Duration, cancel: CancellationToken) {
        let domain = self.context.domain.clone();
        if let Err(error) = remove_stale(&pool, FencedService::Ingest, &domain).await {
            tracing::debug!("old heartbeats: {error}");
        }
        let host = host_name();
        let mut ticks = tokio::time::interval(every);
        let mut execution = ExecutionBeat::new(domain.clone(), every);
        loop {
            tokio::select! {
                // Biased: a stop first; a new alert does not wait for its turn.
                biased;
                () = cancel.cancelled() => break,
                () = self.alerts.changed() => {}
                _ = ticks.tick() => execution.look(&pool, &self.alerts).await,
            }
            let row = Heartbeat {
                service: FencedService::Ingest,
                instance_id: self.instance_id,
                domain: &domain,
                host: &host,
                pid: self.context.run().pid,
                started_at: self.started_at,
                status: &self.status(),
                alerts: &self.alerts.rows(self.context.run().run_id.0),
            };
            match beat(&pool, &row).await {
                Ok(()) => beat_seen(),
                Err(error) => tracing::debug!("heartbeat: {error}"),
            }
        }
        if let Err(error) = remove(&pool, FencedService::Ingest, self.instance_id).await {
            tracing::debug!("remove the heartbeat: {error}");
        }
    }
}

/// When the heartbeat was last written, for who watches this machine from outside.
fn beat_seen() {
    let at = chrono::Utc::now().timestamp_millis();
    metrics::gauge!("service_heartbeat_timestamp_seconds").set(at as f64 / 1_000.0);
}

/// Renews the lease until it is cancelled, then hands the fence back for its release.
///
/// # Errors
/// [`Exit::Fenced`] when another instance has it.
pub(crate) async fn keep_fence(
    mut fence: Fence,
    pool: PgPool,
    cancel: CancellationToken,
    lost: mpsc::Sender<Exit>,
) -> Option<Fence> {
    let ttl_ms = u64::try_from(fence.request().ttl_ms).unwrap_or(15_000);
    let mut ticks = tokio::time::interval(Duration::from_millis(ttl_ms / 3));
    while cancel.run_until_cancelled(ticks.tick()).await.is_some() {
        match fence.renew(&pool).await {
            Ok(()) => {}
            Err(error @ FenceError::Lost { .. }) => {
                marker!(INGEST_FENCED_OUT, mine = fence.token(), current = "newer");
                // The service ends for this reason or for one that came before it.
                let _ = lost.send(fence_exit(error)).await;
                return None;
            }
            // The token stays ours until somebody takes it.
            Err(error) => tracing::warn!("renew the fence: {error}"),
        }
    }
    Some(fence)
}

/// Tells memory, processor time and open files until it is cancelled; never when `every` is zero.
pub(crate) async fn tell_resources(every: Duration, cancel: CancellationToken) {
    if every.is_zero() {
        return;
    }
    let mut resources = Resources::new();
    let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + every, every);
    while cancel.run_until_cancelled(ticks.tick()).await.is_some() {
        let usage = resources.look();
        marker!(
            RESOURCE_TELEMETRY,
            telemetry_rss_kb = usage.rss_kb,
            cpu_pct = usage.cpu_pct,
            open_fds = usage.open_fds,
        );
    }
}

/// Tells systemd that the process lives, as long as the core makes cuts.
pub(crate) async fn watchdog(health: watch::Receiver<CoreHealth>, cancel: CancellationToken) {
    let Some(limit) = sd_notify::watchdog_enabled() else { return };
    let mut ticks = tokio::time::interval(limit / 3);
    let mut seen = 0;
    while cancel.run_until_cancelled(ticks.tick()).await.is_some() {
        let newest = health.borrow().newest_tick;
        if newest != seen {
            seen = newest;
            notify(&[sd_notify::NotifyState::Watchdog]);
        }
    }
}

/// Tells systemd; without it nothing happens.
pub(crate) fn notify(states: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!("systemd: {error}");
    }
}
