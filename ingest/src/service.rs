//! The service: start in order, tasks with owners, stop in order.
//!
//! Start: clusters, fence, run → spool → pairs and universe → core → sockets → publishers. Stop: sockets,
//! last cut and frame, spool synced, loaded for at most ten seconds, run closed, fence released. Every
//! task ends through its queue or the token; the first failure ends the service with its exit status.

use crate::core::clock::RecordingClock;
use crate::core::feed_input::{Group, Market};
use crate::core::run::{
    COMMANDS_LEN_LIMIT, CoreCommand, CoreHealth, CorePorts, CoreThread, EVENTS_LEN_LIMIT,
    FRAMES_LEN_LIMIT, TrackedPair,
};
use crate::exit::Exit;
use crate::lifecycle::durability::Durability;
use crate::lifecycle::heartbeat::{self, Vitals, keep_fence, notify, watchdog};
use crate::lifecycle::lineage::LineageWatch;
use crate::lifecycle::startup::{Started, start};
use crate::lifecycle::{checkpoints, stop};
use crate::publish::cuts::CutSlot;
use crate::publish::epochs::{Epochs, EpochsStatus};
use crate::publish::frames::Frames;
use crate::publish::publisher::{Publisher, RunContext};
use crate::settings::Settings;
use crate::spooling::load::{LoadStatus, Loading};
use crate::spooling::sink::SpoolSink;
use crate::universe::feeds::{Reference, open_market};
use crate::universe::layers::{BuildInput, Layers};
use penstock_market::{Aggregator, MarketCore, Outputs, Recording};
use penstock_telemetry::marker;
use penstock_types::{TickId, UtcMicros};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How long the last frames may take at a stop.
const FRAMES_PATIENCE: Duration = Duration::from_secs(3);

/// Runs until `stop` is cancelled or something ends it.
///
/// # Errors
/// [`Exit`] with the reason and the exit status.
pub async fn run(settings: Settings, stop: CancellationToken) -> Result<(), Exit> {
    let clock = RecordingClock::start();
    let started_at = clock.now();
    let started = start(&settings, started_at).await?;
    marker!(
        INGEST_SERVICE_STARTED,
        run_id = started.run.run_id,
        lineage_id = started.lineage.lineage_id.to_string(),
        fencing_token = started.run.fencing_token,
        git_dirty = started.run.git_dirty,
        build_profile = started.run.build_profile,
        config_hash = started.run.config_hash,
        bindings_hash = started.run.bindings_hash,
    );
    marker!(
        INGEST_LINEAGE_CHANGED,
        lineage_id = started.lineage.lineage_id.to_string(),
        parent_lineage_id = Option::<String>::None,
        reason = "process_start",
        run_id = started.run.run_id,
    );
    let raw = crate::spooling::open::open(&settings, &started)?;
    let fold =
        checkpoints::initial_fold(&settings, &started.clusters, started.run.run_id, clock.now())
            .await;
    let reference = Reference::open(&settings, &clock).await?;
    let assembly = Assembly { settings, clock, started, fold, started_at };
    assembly.operate(raw, reference, stop).await
}

struct Assembly {
    settings: Settings,
    clock: RecordingClock,
    started: Started,
    fold: Aggregator,
    started_at: UtcMicros,
}

impl Assembly {
    /// The first universe: ranked by volume alone, everything not yet proven by rows.
    async fn first_universe(&self, reference: &mut Reference) -> Layers {
        let settings = &self.settings;
        let mut layers = Layers::new(settings.universe.clone(), settings.l2_depth);
        let quotes: Vec<&String> = settings.universe.quotes.iter().collect();
        marker!(UNIVERSE_SCOPE, quotes = quotes, fx_pairs_excluded = true, online_only = true);
        match reference.volumes.fetch().await {
            Ok(volumes) => reference.known_volumes = volumes,
            Err(error) => tracing::warn!("volumes: {error}"),
        }
        let pairs = reference.pairs.borrow().clone();
        // The core does not exist yet: what it will have to track is read from the layers.
        layers.rebuild(&BuildInput {
            pairs: &pairs,
            volumes: &reference.known_volumes,
            state: None,
            pinned: BTreeSet::new(),
            hard_blocked: BTreeSet::new(),
            tickers_min: 1,
            window_start: self.started_at,
        });
        marker!(
            UNIVERSE_START,
            pool_fetch_limit = settings.universe.pool_limit,
            pool_symbols_fetched = layers.universe.tracked.len(),
        );
        let rows: Vec<_> =
            layers.tracked().filter_map(|t| pairs.get(&t.symbol)).map(|p| p.twin.clone()).collect();
        crate::lifecycle::startup::write_instruments(
            &self.started.clusters,
            self.started.run.fencing_token,
            &rows,
        )
        .await;
        layers
    }

    fn first_tick(&self) -> TickId {
        let own = self.clock.now().tick();
        self.started.newest_frame.map_or(own, |newest| own.max(newest.tick_id.next()))
    }

    async fn operate(
        mut self,
        raw: crate::spooling::open::RawSpool,
        mut reference: Reference,
        stop: CancellationToken,
    ) -> Result<(), Exit> {
        let layers = self.first_universe(&mut reference).await;
        let tracked: Vec<TrackedPair> = layers.tracked().cloned().collect();
        self.fold.retain_symbols(|s| tracked.iter().any(|t| t.symbol == *s));
        let clusters = self.started.clusters.clone();
        checkpoints::write(&clusters.ingest, Box::new(self.fold.clone()), self.clock.now()).await;

        let (lineages, lineages_seen) =
            watch::channel(vec![Arc::new(self.started.lineage.clone())]);
        let context = RunContext {
            run: Arc::new(self.started.run.clone()),
            lineages: lineages_seen,
            run_symbols: Arc::new(Mutex::new(Vec::new())),
            ring_bytes: self.settings.spool.ring_bytes,
            candle_symbols: Arc::new(Mutex::new(BTreeSet::new())),
        };
        let sockets_stop = CancellationToken::new();
        let tasks_stop = CancellationToken::new();
        let (events, events_in) = mpsc::channel(EVENTS_LEN_LIMIT);
        let (core, commands) = mpsc::channel(COMMANDS_LEN_LIMIT);
        let (frames, frames_in) = mpsc::channel(FRAMES_LEN_LIMIT);
        let (health, health_seen) = watch::channel(CoreHealth::default());
        let cuts = Arc::new(CutSlot::default());
        let monitor = raw.writer.monitor();
        let budget = reference.budget();
        let groups =
            open_market(&self.settings, &self.clock, &layers, &budget, &events, &sockets_stop)?;
        drop(events);
        let market = self.market(&tracked, groups, raw.recovered_until)?;
        let sink = SpoolSink::new(raw.writer);
        let cuts_of_core = Arc::clone(&cuts);
        let ports =
            CorePorts { events: events_in, commands, frames, cuts: cuts_of_core, health, sink };
        let core_thread = CoreThread::new(market, ports)
            .start()
            .map_err(|e| Exit::Invariant(format!("start the core's thread: {e}")))?;

        let (published, published_seen) = watch::channel(None);
        let (is_slow, is_slow_seen) = watch::channel(false);
        let (epochs_status, epochs_seen) = watch::channel(EpochsStatus::default());
        let (load_status, load_seen) = watch::channel(LoadStatus::default());
        let (lost, mut lost_in) = mpsc::channel(1);
        let vitals = Vitals {
            context: context.clone(),
            health: health_seen.clone(),
            published: published_seen.clone(),
            epochs: epochs_seen,
            spool: monitor.clone(),
            load: load_seen,
            instance_id: self.started.instance_id,
            started_at: self.started_at,
            started: Instant::now(),
        };
        let publisher = Publisher::new(
            context.clone(),
            clusters.clone(),
            cuts,
            core.clone(),
            monitor.clone(),
            published,
            is_slow,
            self.settings.refresh_max,
        );
        let (delivered, _) = watch::channel(TickId(0));
        let newest = self.started.newest_frame;
        let frames_task =
            Frames::new(context.clone(), clusters.clone(), frames_in, delivered, newest.as_ref());
        let durability = Durability::new();
        let epochs = Epochs {
            settings: self.settings.clone(),
            context: context.clone(),
            clusters: clusters.clone(),
            clock: self.clock.clone(),
            published: published_seen,
            core: core.clone(),
            pairs: reference.pairs.clone(),
            volumes: reference.volumes,
            known_volumes: reference.known_volumes,
            layers,
            durability: durability.clone(),
            status: epochs_status,
            cancel: tasks_stop.clone(),
        };
        let lineage_watch = LineageWatch {
            settings: self.settings.clone(),
            context: context.clone(),
            decision: clusters.decision.clone(),
            clock: self.clock.clone(),
            health: health_seen.clone(),
            lineages,
            core: core.clone(),
            cancel: tasks_stop.clone(),
        };
        let mut tasks: JoinSet<Result<(), Exit>> = JoinSet::new();
        tasks.spawn(publisher.run());
        tasks.spawn(frames_task.run(FRAMES_PATIENCE));
        tasks.spawn(epochs.run());
        let mut quiet: JoinSet<()> = JoinSet::new();
        quiet.spawn(lineage_watch.run());
        quiet.spawn(durability.watch(
            monitor.clone(),
            is_slow_seen,
            self.settings.spool_sync_max_ms,
            self.clock.clone(),
            tasks_stop.clone(),
        ));
        quiet.spawn(vitals.clone().markers(tasks_stop.clone()));
        let beat = self.settings.heartbeat;
        quiet.spawn(vitals.clone().beats(clusters.decision.clone(), beat, tasks_stop.clone()));
        quiet.spawn(watchdog(health_seen, tasks_stop.clone()));
        quiet.spawn(checkpoints::run(
            clusters.ingest.clone(),
            core.clone(),
            self.settings.checkpoint_interval,
            tasks_stop.clone(),
        ));
        let fence_stop = CancellationToken::new();
        let fence = tokio::spawn(keep_fence(
            self.started.fence,
            clusters.decision.clone(),
            fence_stop.clone(),
            lost,
        ));
        let (load_stop, load_stopped) = oneshot::channel();
        let own = Loading::new(
            raw.own,
            clusters.clone(),
            Some(context.run.run_id),
            load_status,
            self.settings.raw_stall_max,
        );
        let mut loading = tokio::spawn(own.run(load_stopped));
        let mut inherited =
            stop::load_inherited(raw.inherited, &clusters, self.settings.raw_stall_max);
        notify(&[sd_notify::NotifyState::Ready]);

        let outcome = tokio::select! {
            // Biased: an asked-for stop wins over a failure that it may have caused.
            biased;
            () = stop.cancelled() => Ok(()),
            Some(exit) = lost_in.recv() => Err(exit),
            Some(ended) = tasks.join_next() => Err(stop::early_end(ended)),
            ended = &mut loading => Err(stop::early_load_end(ended)),
            () = stop::run_is_over(self.settings.run_duration_max.clone()) => {
                Err(stop::duration_reached(&self.settings, context.run.run_id))
            }
        };
        inherited.abort_all();
        stop::Stopping {
            outcome,
            sockets_stop,
            tasks_stop,
            fence_stop,
            core,
            core_thread,
            tasks,
            quiet,
            fence,
            loading,
            load_stop,
            spool_thread: raw.thread,
            spool_dirs: raw.dirs,
            vitals,
            clusters,
        }
        .run()
        .await
    }

    /// The core with everything that it tracks, and the gap that a restart leaves.
    fn market(
        &self,
        tracked: &[TrackedPair],
        groups: Vec<Group>,
        recovered_until: Option<UtcMicros>,
    ) -> Result<Market, Exit> {
        let recording = Recording {
            run_id: self.started.run.run_id,
            lineage_id: self.started.lineage.lineage_id,
            fencing_token: self.started.run.fencing_token,
        };
        let core = MarketCore::new(
            self.settings.core.clone(),
            recording,
            self.fold.clone(),
            self.first_tick(),
        );
        let mut market = Market::new(core, self.clock.clone(), groups);
        let at = self.clock.now();
        let mut out = Outputs::default();
        if let Some(from) = recovered_until {
            market.core.restart_gap(from, at, &mut out);
        }
        market.out = out;
        market.track(tracked, at).map_err(|e| Exit::Invariant(e.to_string()))?;
        Ok(market)
    }
}

/// Checks configuration, clusters, schema and spool, changes nothing.
///
/// # Errors
/// [`Exit`] with what is wrong.
pub async fn check(settings: &Settings) -> Result<(), Exit> {
    let clusters = crate::lifecycle::startup::open_clusters(settings, false).await?;
    let mut conn = clusters
        .decision
        .acquire()
        .await
        .map_err(|e| Exit::Unavailable { what: "the decision cluster", error: e.to_string() })?;
    let fence = penstock_store::fence::read_fence(
        &mut conn,
        penstock_store::fence::FencedService::Ingest,
        &settings.domain,
    )
    .await
    .map_err(|e| Exit::Unavailable { what: "the decision cluster", error: e.to_string() })?;
    match fence {
        Some(row) if row.alive => println!(
            "fence: token {} held by process {} on {}",
            row.fencing_token, row.holder_pid, row.holder_host
        ),
        Some(row) => println!("fence: free, last token {}", row.fencing_token),
        None => println!("fence: free, never taken"),
    }
    std::fs::create_dir_all(&settings.state_dir)
        .and_then(|()| std::fs::create_dir_all(&settings.spool_dir))
        .map_err(|e| Exit::Refused(format!("state or spool directory: {e}")))?;
    penstock_store::fence::refuse_network_filesystem(&settings.state_dir)
        .map_err(|e| Exit::Refused(e.to_string()))?;
    println!("configuration, clusters, schema, fence and spool directory are fit for a start");
    Ok(())
}

/// Asks the core to take what has arrived and to end.
pub(crate) async fn stop_core(core: &mpsc::Sender<CoreCommand>) {
    let (done, ended) = oneshot::channel();
    if core.send(CoreCommand::Stop(done)).await.is_ok() {
        // A core that ended by itself has told why through its thread.
        let _ = ended.await;
    }
}

pub(crate) use heartbeat::notify as notify_systemd;
