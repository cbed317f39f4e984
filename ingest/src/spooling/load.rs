//! The loader as a task: batches until the end, old runs first, patience with the cluster.
//!
//! Inputs: the segments of one directory and the end of the process. Outputs: rows in the partitions,
//! closed runs, figures for markers. At the end it goes on until its own run is loaded and closed, or
//! the time for that is over; then the next start does it.

use crate::exit::Exit;
use crate::lifecycle::alerts::{Alerts, Reason};
use crate::lifecycle::clusters::Clusters;
use crate::publish::publisher::RunContext;
use crate::settings::Settings;
use crate::spooling::arrival::{self, Arrival};
use crate::spooling::inherited::InheritedLoad;
use penstock_store::spool::loader::{LoadError, LoadStep, Loader, LoaderSettings};
use penstock_store::spool::{BusyDir, RecoveredDir, Segments, SpoolMonitor};
use penstock_store::twins::RunEnd;
use penstock_store::{ClusterRole, StoreError};
use penstock_store_decision::publication::PublishedGeneration;
use penstock_telemetry::marker;
use penstock_types::{RunId, UtcMicros};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};

/// First and longest pause after a failed step.
const RETRY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));
/// Longest pause while what is left is loaded before the end.
const DRAIN_PAUSE_MAX: Duration = Duration::from_millis(20);

/// Figures of the loading.
#[derive(Debug, Clone, Default)]
pub(crate) struct LoadStatus {
    pub loaded_seq: i64,
    pub rows_loaded: u64,
    pub batches: u64,
    pub lag_secs: u64,
}

/// The runs of this process, one after the other.
#[derive(Clone)]
pub(crate) struct OwnRuns {
    first: RunId,
    /// The one that the loader holds open.
    open: RunId,
    context: RunContext,
    monitor: SpoolMonitor,
    segments: Arc<Segments>,
}

impl OwnRuns {
    /// How a run of this directory ended.
    fn end_of(&self, run_id: RunId) -> RunEnd {
        if run_id == self.context.run().run_id {
            RunEnd::Shutdown
        } else if run_id >= self.first {
            RunEnd::Rollover
        } else {
            RunEnd::CrashDetected
        }
    }
}

/// The loading task of one directory.
pub(crate) struct Loading {
    pub loader: Loader,
    pub clusters: Clusters,
    /// Runs of this process, when it is the own directory.
    own: Option<OwnRuns>,
    pub status: watch::Sender<LoadStatus>,
    pub stall_max: Duration,
    alerts: Alerts,
    /// The generation to be marked once its run is loaded.
    published: Option<PublishedGeneration>,
    behind_since: Option<Instant>,
    is_stall_told: bool,
    retry: Duration,
}

impl Loading {
    pub(crate) fn new(
        loader: Loader,
        clusters: Clusters,
        own: Option<OwnRuns>,
        status: watch::Sender<LoadStatus>,
        (stall_max, published): (Duration, Option<PublishedGeneration>),
        alerts: Alerts,
    ) -> Self {
        Self {
            loader,
            clusters,
            own,
            status,
            stall_max,
            alerts,
            published,
            behind_since: None,
            is_stall_told: false,
            retry: RETRY.0,
        }
    }

    /// Loads until `stop` gives a deadline, then until the own run is closed or the deadline.
    /// Returns whether the own run was closed.
    ///
    /// # Errors
    /// [`Exit::Fenced`] when another host closed the own run, [`Exit::Invariant`] when a segment that
    /// was good at the start cannot be read.
    pub(crate) async fn run(mut self, mut stop: oneshot::Receiver<Instant>) -> Result<bool, Exit> {
        let mut deadline = None;
        loop {
            if deadline.is_none() {
                self.follow_rollover();
            }
            if deadline.is_some_and(|d| Instant::now() >= d) {
                return Ok(false);
            }
            let pause = match self.loader.step().await {
                Ok(step) => match self.stepped(&step).await {
                    Some(is_own_closed) if is_own_closed && deadline.is_some() => return Ok(true),
                    Some(_) => Duration::ZERO,
                    None if deadline.is_some() && self.own.is_none() => return Ok(false),
                    None => self.loader.settings().interval,
                },
                Err(LoadError::OwnRunClosed { run_id }) => {
                    let error = LoadError::OwnRunClosed { run_id };
                    return Err(Exit::Fenced(error.to_string()));
                }
                Err(error) if error.is_transient() => self.failed(&error.to_string()),
                Err(error @ LoadError::Store(_)) => self.failed(&error.to_string()),
                Err(error) => return Err(Exit::Invariant(error.to_string())),
            };
            if deadline.is_some() {
                tokio::time::sleep(pause.min(DRAIN_PAUSE_MAX)).await;
                continue;
            }
            tokio::select! {
                // Biased: the end of the process before the next batch.
                biased;
                at = &mut stop => {
                    deadline = Some(at.unwrap_or_else(|_| Instant::now()));
                    self.loader.set_own_run(None);
                }
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Once the spool has synced a record of the next run, or passes one by a failed device, the run
    /// before is an old one.
    fn follow_rollover(&mut self) {
        let Some(own) = &mut self.own else { return };
        let synced = own.monitor.synced().position.run_id;
        let writing = own.segments.bypass_run().map_or(synced, |run_id| run_id.max(synced));
        if writing > own.open {
            own.open = writing;
            self.loader.set_own_run(Some(writing));
        }
    }

    /// Closes open runs of the domain that left nothing on this host: their process ended before its
    /// first record, after its last one was loaded, or on a host that is gone.
    async fn close_forgotten(&mut self, domain: &str, known_runs: &BTreeSet<RunId>) {
        let open = match open_runs(&self.clusters, domain).await {
            Ok(open) => open,
            Err(error) => {
                tracing::warn!("open runs: {error}");
                return;
            }
        };
        for run_id in open {
            let is_own = self.own.as_ref().is_some_and(|own| run_id >= own.first);
            if is_own || known_runs.contains(&run_id) {
                continue;
            }
            match self.loader.close_run(run_id).await {
                Ok(_) => end_run(&self.clusters, run_id, RunEnd::CrashDetected).await,
                Err(error) => tracing::warn!("close run {run_id}: {error}"),
            }
        }
    }

    /// Tells a step; `None` when there was nothing to do, else whether the own run was closed.
    async fn stepped(&mut self, step: &LoadStep) -> Option<bool> {
        self.retry = RETRY.0;
        match step {
            LoadStep::Idle => {
                self.caught_up();
                None
            }
            LoadStep::Loaded(batch) => {
                self.status.send_modify(|s| {
                    s.loaded_seq = batch.last_seq.0;
                    s.rows_loaded += batch.rows;
                    s.batches += 1;
                });
                if batch.duplicates > 0 {
                    marker!(RAW_DUPLICATE, run_id = batch.run_id, rows = batch.duplicates);
                }
                if batch.quarantined > 0 {
                    marker!(
                        RAW_ROW_QUARANTINED,
                        run_id = batch.run_id,
                        rows = batch.quarantined,
                        seq = batch.last_seq,
                    );
                    let rows = batch.quarantined;
                    let summary = format!("{rows} rows of run {} are in quarantine", batch.run_id);
                    let metrics = serde_json::json!({ "rows": rows });
                    self.alerts.occurred(Reason::RawDataLoss, &summary, metrics);
                }
                if batch.trimmed_segments > 0 {
                    marker!(
                        SPOOL_TRIMMED,
                        spool = "raw",
                        segments = batch.trimmed_segments,
                        bytes = batch.trimmed_bytes,
                        upto_seq = batch.last_seq,
                    );
                }
                self.caught_up();
                Some(false)
            }
            LoadStep::Closed(closed) => {
                let own = self.own.as_ref();
                let end = own.map_or(RunEnd::CrashDetected, |own| own.end_of(closed.run_id));
                end_run(&self.clusters, closed.run_id, end).await;
                self.settle_published(closed.run_id).await;
                Some(end == RunEnd::Shutdown)
            }
            LoadStep::SetAside { run_id, segments } => {
                tracing::error!(%run_id, segments, "another host closed this run: its segments are set aside as .late");
                Some(false)
            }
        }
    }

    /// The row of the last generation may have come through the spool, and is there now.
    async fn settle_published(&mut self, closed: RunId) {
        if let Some(pool) = self.clusters.ingest()
            && let Some(published) = self.published.take_if(|p| p.run_id == closed)
        {
            arrival::settle(&pool, Some(published)).await;
        }
    }

    fn caught_up(&mut self) {
        self.behind_since = None;
        if std::mem::take(&mut self.is_stall_told) {
            marker!(RAW_LOAD_RECOVERED, stalled_secs = self.status.borrow().lag_secs);
            self.alerts.ends(Reason::SpoolBacklog, LOAD);
        }
        self.status.send_modify(|s| s.lag_secs = 0);
    }

    fn failed(&mut self, error: &str) -> Duration {
        let since = *self.behind_since.get_or_insert_with(Instant::now);
        let lag_secs = since.elapsed().as_secs();
        self.status.send_modify(|s| s.lag_secs = lag_secs);
        if since.elapsed() > self.stall_max && !self.is_stall_told {
            self.is_stall_told = true;
            tell_stall(&self.alerts, lag_secs, error);
        }
        let pause = self.retry;
        self.retry = (self.retry * 2).min(RETRY.1);
        pause
    }
}

/// Condition of the alert about loading.
const LOAD: &str = "load";

fn tell_stall(alerts: &Alerts, load_lag_secs: u64, error: &str) {
    marker!(RAW_LOAD_STALLED, load_lag_secs = load_lag_secs, error = error);
    let summary = format!("raw rows wait in the spool for {load_lag_secs} s: {error}");
    alerts.begins(Reason::SpoolBacklog, LOAD, &summary);
}

/// The loading tasks of the process.
pub(crate) struct Loads {
    pub own: JoinHandle<Result<bool, Exit>>,
    /// Gives the own loader its deadline.
    pub stop: Option<oneshot::Sender<Instant>>,
    /// Directories of ended processes, loaded beside the own one.
    pub inherited: JoinSet<()>,
    pub status: watch::Receiver<LoadStatus>,
}

/// The spool directories of this process: that which it writes, those of ended processes, and those that
/// their processes still hold.
#[derive(Debug)]
pub(crate) struct Sources {
    pub own: Arc<Segments>,
    pub inherited: Vec<Arc<Segments>>,
    pub busy: Vec<BusyDir>,
    pub settings: LoaderSettings,
    /// What the pointer of the decision cluster named at the start: its process may have ended before it
    /// could mark it.
    pub published: Option<PublishedGeneration>,
}

impl Sources {
    /// Every run that stands in one of the opened directories, or in one that is still held.
    pub(crate) fn runs_with(&self, opened: &[RecoveredDir]) -> BTreeSet<RunId> {
        let found = opened.iter().flat_map(|dir| dir.runs.iter().map(|run| run.run_id));
        found.chain(self.busy.iter().flat_map(|dir| dir.runs.iter().copied())).collect()
    }
}

impl Loads {
    /// Starts one task per directory, once the ingest cluster answers; runs that left no segment are
    /// closed first.
    pub(crate) fn start(
        settings: &Settings,
        clusters: &Clusters,
        (alerts, context, monitor): (&Alerts, &RunContext, &SpoolMonitor),
        sources: Sources,
        arrival: Arrival,
    ) -> Self {
        let (status, status_seen) = watch::channel(LoadStatus::default());
        let (prepared, _) = watch::channel(false);
        let (stop, stopped) = oneshot::channel();
        let own_load = OwnLoad {
            segments: sources.own,
            load: sources.settings,
            clusters: clusters.clone(),
            domain: settings.domain.clone(),
            stall_max: settings.raw_stall_max,
            alerts: alerts.clone(),
            context: context.clone(),
            monitor: monitor.clone(),
            prepared: prepared.clone(),
            published: sources.published,
            status,
        };
        let load = InheritedLoad {
            load: sources.settings,
            clusters: clusters.clone(),
            stall_max: settings.raw_stall_max,
            alerts: alerts.clone(),
            published: sources.published,
            way: context.way.clone(),
            prepared: prepared.subscribe(),
        };
        let own = tokio::spawn(own_load.run(arrival, stopped));
        let mut tasks = JoinSet::new();
        for segments in sources.inherited {
            tasks.spawn(load.clone().run(segments));
        }
        for dir in sources.busy {
            tasks.spawn(load.clone().take_over(dir));
        }
        Self { own, stop: Some(stop), inherited: tasks, status: status_seen }
    }
}

/// What the own loading is made of.
struct OwnLoad {
    segments: Arc<Segments>,
    load: LoaderSettings,
    clusters: Clusters,
    domain: String,
    stall_max: Duration,
    alerts: Alerts,
    context: RunContext,
    monitor: SpoolMonitor,
    prepared: watch::Sender<bool>,
    published: Option<PublishedGeneration>,
    status: watch::Sender<LoadStatus>,
}

impl OwnLoad {
    /// Waits for the cluster, then loads. A stop that comes first leaves everything in the spool.
    async fn run(
        self,
        arrival: Arrival,
        mut stopped: oneshot::Receiver<Instant>,
    ) -> Result<bool, Exit> {
        let first = arrival.run.run_id;
        let known_runs = arrival.spooled.clone();
        let mut is_told = false;
        let waiting = |since: Duration| {
            self.status.send_modify(|s| s.lag_secs = since.as_secs());
            if since >= self.stall_max && !is_told {
                is_told = true;
                tell_stall(&self.alerts, since.as_secs(), "no answer since the start");
            }
        };
        let pool = tokio::select! {
            // Biased: an asked-for stop wins.
            biased;
            _ = &mut stopped => return Ok(false),
            pool = arrival.prepare(waiting) => pool?,
        };
        self.status.send_modify(|s| s.lag_secs = 0);
        self.prepared.send_replace(true);
        self.alerts.ends(Reason::SpoolBacklog, LOAD);
        let Self {
            segments,
            load,
            clusters,
            domain,
            stall_max,
            alerts,
            context,
            monitor,
            published,
            status,
            ..
        } = self;
        arrival::settle(&pool, published).await;
        let loader =
            Loader::new(pool, Arc::clone(&segments), Some(first), load).giving_way(&context.way);
        let own = OwnRuns { first, open: first, context, monitor, segments };
        let of = (stall_max, published);
        let mut loading = Loading::new(loader, clusters, Some(own), status, of, alerts);
        loading.close_forgotten(&domain, &known_runs).await;
        loading.run(stopped).await
    }
}

/// Writes the end of a run on both clusters, best effort: the next start repeats it.
pub(crate) async fn end_run(clusters: &Clusters, run_id: RunId, end: RunEnd) {
    let at = UtcMicros::from(chrono::Utc::now());
    if let Some(ingest) = clusters.ingest() {
        match ingest.acquire().await {
            Ok(mut conn) => {
                if let Err(error) = penstock_store_ingest::end_run(&mut conn, run_id, at, end).await
                {
                    tracing::warn!("end run {run_id} on the ingest cluster: {error}");
                }
            }
            Err(error) => tracing::warn!("end run {run_id} on the ingest cluster: {error}"),
        }
    }
    match clusters.decision.acquire().await {
        Ok(mut conn) => {
            if let Err(error) = penstock_store_decision::end_run(&mut conn, run_id, at, end).await {
                tracing::warn!("end run {run_id} on the decision cluster: {error}");
            }
        }
        Err(error) => tracing::warn!("end run {run_id} on the decision cluster: {error}"),
    }
}

/// Runs of the domain without an end on either cluster.
async fn open_runs(clusters: &Clusters, domain: &str) -> Result<BTreeSet<RunId>, StoreError> {
    let taken = |role| move |e| StoreError::sql("take a connection", role, e);
    let mut open = BTreeSet::new();
    if let Some(ingest) = clusters.ingest() {
        let mut conn = ingest.acquire().await.map_err(taken(ClusterRole::Ingest))?;
        open.extend(penstock_store_ingest::open_runs(&mut conn, domain).await?);
    }
    let mut conn = clusters.decision.acquire().await.map_err(taken(ClusterRole::Decision))?;
    open.extend(penstock_store_decision::open_runs(&mut conn, domain).await?);
    Ok(open)
}
