//! The stop in order, and what an early end of a task means.

use super::heartbeat::notify;
use super::lineage;
use crate::core::run::CoreCommand;
use crate::exit::Exit;
use crate::settings::Settings;
use crate::spooling::load::Loads;
use crate::tasks::{Hub, Stops, Tasks};
use penstock_market::CoreError;
use penstock_store::fence::Fence;
use penstock_store::spool::RecoveredDir;
use penstock_telemetry::marker;
use penstock_types::RunId;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinError, JoinHandle};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long the venue may take to close its sockets; what it has sent until then is taken.
const SOCKETS_PATIENCE: Duration = Duration::from_secs(2);
/// How long the spool is loaded at a stop; the next start does the rest.
const LOAD_PATIENCE: Duration = Duration::from_secs(10);
/// How long publishers may take for the last generation and frame.
const PUBLISH_PATIENCE: Duration = Duration::from_secs(8);

/// Everything that a stop has to end.
pub(crate) struct Stopping {
    pub outcome: Result<(), Exit>,
    pub stops: Stops,
    pub hub: Hub,
    /// Forwarders of the sockets; they end when the venue has closed.
    pub sockets: TaskTracker,
    pub core_thread: std::thread::JoinHandle<Result<(), CoreError>>,
    pub tasks: Tasks,
    pub fence: JoinHandle<Option<Fence>>,
    pub loads: Loads,
    /// The spool's thread and the locks of its directories, given up last.
    pub spool: (std::thread::JoinHandle<()>, Vec<RecoveredDir>),
}

impl Stopping {
    /// Sockets, last cut and frame, spool, load, run, fence.
    ///
    /// # Errors
    /// The outcome that it was given, or a broken invariant of the core's thread.
    pub(crate) async fn run(mut self) -> Result<(), Exit> {
        let reason = self.outcome.as_ref().map_or_else(Exit::reason, |()| "asked");
        marker!(SHUTDOWN_STARTED, reason = reason);
        notify(&[sd_notify::NotifyState::Stopping]);
        let is_ours = !matches!(self.outcome, Err(Exit::Fenced(_)));
        if is_ours {
            self.hub.checkpoints.take(&self.hub.clusters, &self.hub.core).await;
        }
        let health = self.hub.health.borrow().clone();
        self.stops.sockets.cancel();
        self.sockets.close();
        if tokio::time::timeout(SOCKETS_PATIENCE, self.sockets.wait()).await.is_err() {
            tracing::warn!("the venue did not close its sockets in time");
        }
        self.stops.tasks.cancel();
        self.end_core().await;
        self.tasks.vitals.tell_last_health(&health);
        self.end_tasks(is_ours).await;
        self.end_spool(is_ours).await;
        if is_ours {
            let end = if self.outcome.is_ok() { "shutdown" } else { reason };
            lineage::end_last(&self.hub, end).await;
        }
        self.stops.fence.cancel();
        if let Ok(Some(fence)) = self.fence.await {
            let token = fence.token();
            match fence.release(&self.hub.clusters.decision).await {
                Ok(()) => marker!(FENCE_RELEASED, service_fence = "ingest", fencing_token = token),
                Err(error) => tracing::warn!("release the fence: {error}"),
            }
        }
        let exit_code = self.outcome.as_ref().map_or_else(Exit::code, |()| 0);
        marker!(SHUTDOWN_COMPLETE, reason = reason, exit_code = exit_code);
        self.outcome
    }

    /// The core takes what has arrived, makes its last cut and ends.
    async fn end_core(&mut self) {
        let (done, ended) = oneshot::channel();
        if self.hub.core.send(CoreCommand::Stop(done)).await.is_ok() {
            // A core that ended by itself tells why through its thread.
            let _ = ended.await;
        }
        let thread = std::mem::replace(&mut self.core_thread, std::thread::spawn(|| Ok(())));
        match tokio::task::spawn_blocking(move || thread.join()).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => self.outcome = Err(Exit::Invariant(error.to_string())),
            Ok(Err(_)) | Err(_) => {
                self.outcome = Err(Exit::Invariant("the core's thread panicked".to_owned()));
            }
        }
    }

    async fn end_tasks(&mut self, is_ours: bool) {
        let publishing = &mut self.tasks.publishing;
        if is_ours {
            let publishers = async { while publishing.join_next().await.is_some() {} };
            if tokio::time::timeout(PUBLISH_PATIENCE, publishers).await.is_err() {
                tracing::warn!("the last generation or frame could not be published in time");
            }
        }
        publishing.abort_all();
        while self.tasks.quiet.join_next().await.is_some() {}
    }

    /// The writer went with the core: its thread syncs and ends. Then the rest is loaded, if it is ours.
    async fn end_spool(&mut self, is_ours: bool) {
        let thread = std::mem::replace(&mut self.spool.0, std::thread::spawn(|| {}));
        if !matches!(tokio::task::spawn_blocking(move || thread.join()).await, Ok(Ok(()))) {
            tracing::error!("the spool's thread did not end well");
        }
        self.loads.inherited.abort_all();
        let own = &mut self.loads.own;
        let Some(stop) = self.loads.stop.take().filter(|_| is_ours && !own.is_finished()) else {
            own.abort();
            return;
        };
        if stop.send(Instant::now() + LOAD_PATIENCE).is_ok() {
            match own.await {
                Ok(Ok(true)) => {}
                Ok(Ok(false)) => tracing::warn!("the spool is not loaded: the next start does it"),
                Ok(Err(error)) => tracing::warn!("load at the stop: {error}"),
                Err(error) => tracing::warn!("load at the stop: {error}"),
            }
        }
        self.spool.1.clear();
    }
}

/// Waits until the service has to end, and says why.
pub(crate) async fn ended(
    stop: &CancellationToken,
    lost: &mut mpsc::Receiver<Exit>,
    tasks: &mut Tasks,
    loads: &mut Loads,
    hub: &Hub,
) -> Result<(), Exit> {
    tokio::select! {
        // Biased: an asked-for stop wins over a failure that it may have caused.
        biased;
        () = stop.cancelled() => Ok(()),
        Some(exit) = lost.recv() => Err(exit),
        Some(ended) = tasks.publishing.join_next() => Err(early_end(ended)),
        ended = &mut loads.own => Err(early_load_end(ended)),
        () = run_is_over(hub.settings.run_duration_max.clone()) => {
            Err(duration_reached(&hub.settings, hub.context.run().run_id))
        }
    }
}

/// A task that was to run until the stop has ended.
fn early_end(ended: Result<Result<(), Exit>, JoinError>) -> Exit {
    match ended {
        Ok(Err(exit)) => exit,
        Ok(Ok(())) => Exit::Invariant("a publishing task ended before the stop".to_owned()),
        Err(error) => Exit::Invariant(format!("a publishing task: {error}")),
    }
}

/// The loader has ended before the stop.
fn early_load_end(ended: Result<Result<bool, Exit>, JoinError>) -> Exit {
    match ended {
        Ok(Err(exit)) => exit,
        Ok(Ok(_)) => Exit::Invariant("the loader ended before the stop".to_owned()),
        Err(error) => Exit::Invariant(format!("the loader: {error}")),
    }
}

/// Waits for the end of the longest run; for ever without a limit.
async fn run_is_over(limit: Option<(Duration, String)>) {
    match limit {
        Some((limit, _)) => tokio::time::sleep(limit).await,
        None => std::future::pending().await,
    }
}

/// The exit of a run that reached its limit.
fn duration_reached(settings: &Settings, run_id: RunId) -> Exit {
    let hours = settings.run_duration_max.as_ref().map_or_else(String::new, |(_, h)| h.clone());
    marker!(INGEST_MAX_RUN_DURATION_REACHED, run_id = run_id, hours = hours);
    Exit::RunDuration { hours }
}
