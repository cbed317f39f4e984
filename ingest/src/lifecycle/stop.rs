//! The stop in order, and what an early end of a task means.

use super::heartbeat::Vitals;
use crate::core::run::CoreCommand;
use crate::exit::Exit;
use crate::lifecycle::startup::Clusters;
use crate::service::{notify_systemd, stop_core};
use crate::settings::Settings;
use crate::spooling::load::{LoadStatus, Loading};
use penstock_market::CoreError;
use penstock_store::fence::Fence;
use penstock_store::spool::RecoveredDir;
use penstock_store::spool::loader::Loader;
use penstock_telemetry::marker;
use penstock_types::RunId;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinError, JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

/// How long the spool is loaded at a stop; the next start does the rest.
const LOAD_PATIENCE: Duration = Duration::from_secs(10);
/// How long publishers may take for the last generation and frame.
const PUBLISH_PATIENCE: Duration = Duration::from_secs(8);

/// Everything that a stop has to end.
pub(crate) struct Stopping {
    pub outcome: Result<(), Exit>,
    pub sockets_stop: CancellationToken,
    pub tasks_stop: CancellationToken,
    pub fence_stop: CancellationToken,
    pub core: mpsc::Sender<CoreCommand>,
    pub core_thread: std::thread::JoinHandle<Result<(), CoreError>>,
    pub tasks: JoinSet<Result<(), Exit>>,
    pub quiet: JoinSet<()>,
    pub fence: JoinHandle<Option<Fence>>,
    pub loading: JoinHandle<Result<bool, Exit>>,
    pub load_stop: oneshot::Sender<Instant>,
    pub spool_thread: std::thread::JoinHandle<()>,
    /// Locks of the spool's directories, given up last.
    pub spool_dirs: Vec<RecoveredDir>,
    pub vitals: Vitals,
    pub clusters: Clusters,
}

impl Stopping {
    /// Sockets, last cut and frame, spool, load, run, fence.
    ///
    /// # Errors
    /// The outcome that it was given, or a broken invariant of the core's thread.
    pub(crate) async fn run(mut self) -> Result<(), Exit> {
        let reason = self.outcome.as_ref().map_or_else(Exit::reason, |()| "asked");
        marker!(SHUTDOWN_STARTED, reason = reason);
        notify_systemd(&[sd_notify::NotifyState::Stopping]);
        self.sockets_stop.cancel();
        let is_ours = !matches!(self.outcome, Err(Exit::Fenced(_)));
        if is_ours {
            super::checkpoints::take(&self.clusters.ingest, &self.core).await;
        }
        self.vitals.tell_health();
        self.tasks_stop.cancel();
        stop_core(&self.core).await;
        let core_thread = self.core_thread;
        let core_end = tokio::task::spawn_blocking(move || core_thread.join()).await;
        if let Ok(Ok(Err(error))) = core_end {
            self.outcome = Err(Exit::Invariant(error.to_string()));
        }
        let mut tasks = self.tasks;
        if is_ours {
            let publishers = async { while tasks.join_next().await.is_some() {} };
            if tokio::time::timeout(PUBLISH_PATIENCE, publishers).await.is_err() {
                tracing::warn!("the last generation or frame could not be published in time");
            }
        }
        tasks.abort_all();
        // The writer went with the core: its thread syncs and ends.
        let spool_thread = self.spool_thread;
        if tokio::task::spawn_blocking(move || spool_thread.join()).await.is_err() {
            tracing::error!("the spool's thread did not end well");
        }
        if !self.loading.is_finished() && is_ours {
            let deadline = Instant::now() + LOAD_PATIENCE;
            if self.load_stop.send(deadline).is_ok() {
                match self.loading.await {
                    Ok(Ok(true)) => {}
                    Ok(Ok(false)) => {
                        tracing::warn!("the spool is not loaded: the next start does it")
                    }
                    Ok(Err(error)) => tracing::warn!("load at the stop: {error}"),
                    Err(error) => tracing::warn!("load at the stop: {error}"),
                }
            }
        } else {
            self.loading.abort();
        }
        while self.quiet.join_next().await.is_some() {}
        self.fence_stop.cancel();
        if let Ok(Some(fence)) = self.fence.await {
            let token = fence.token();
            match fence.release(&self.clusters.decision).await {
                Ok(()) => marker!(FENCE_RELEASED, service_fence = "ingest", fencing_token = token),
                Err(error) => tracing::warn!("release the fence: {error}"),
            }
        }
        drop(self.spool_dirs);
        let exit_code = self.outcome.as_ref().map_or_else(Exit::code, |()| 0);
        marker!(SHUTDOWN_COMPLETE, reason = reason, exit_code = exit_code);
        self.outcome
    }
}

/// A task that was to run until the stop has ended.
pub(crate) fn early_end(ended: Result<Result<(), Exit>, JoinError>) -> Exit {
    match ended {
        Ok(Err(exit)) => exit,
        Ok(Ok(())) => Exit::Invariant("a publishing task ended before the stop".to_owned()),
        Err(error) => Exit::Invariant(format!("a publishing task: {error}")),
    }
}

/// The loader has ended before the stop.
pub(crate) fn early_load_end(ended: Result<Result<bool, Exit>, JoinError>) -> Exit {
    match ended {
        Ok(Err(exit)) => exit,
        Ok(Ok(_)) => Exit::Invariant("the loader ended before the stop".to_owned()),
        Err(error) => Exit::Invariant(format!("the loader: {error}")),
    }
}

/// Waits for the end of the longest run; for ever without a limit.
pub(crate) async fn run_is_over(limit: Option<(Duration, String)>) {
    match limit {
        Some((limit, _)) => tokio::time::sleep(limit).await,
        None => std::future::pending().await,
    }
}

/// The exit of a run that reached its limit.
pub(crate) fn duration_reached(settings: &Settings, run_id: RunId) -> Exit {
    let hours = settings.run_duration_max.as_ref().map_or_else(String::new, |(_, h)| h.clone());
    marker!(INGEST_MAX_RUN_DURATION_REACHED, run_id = run_id, hours = hours);
    Exit::RunDuration { hours }
}

/// Loads directories of ended processes beside the own one; each task ends when its directory is empty
/// or the process ends.
pub(crate) fn load_inherited(
    loaders: Vec<Loader>,
    clusters: &Clusters,
    stall_max: Duration,
) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for loader in loaders {
        let (status, _) = watch::channel(LoadStatus::default());
        let loading = Loading::new(loader, clusters.clone(), None, status, stall_max);
        tasks.spawn(async move {
            let (keep, never) = oneshot::channel();
            if let Err(error) = loading.run(never).await {
                tracing::error!("load an inherited spool: {error}");
            }
            drop(keep);
        });
    }
    tasks
}
