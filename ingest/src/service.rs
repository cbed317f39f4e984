//! The service: start in order, tasks with owners, stop in order.
//!
//! Start: clusters, fence, run → spool → pairs and universe → core → sockets → publishers. Stop: sockets,
//! last cut and frame, spool synced, loaded for at most ten seconds, run closed, fence released. Every
//! task ends through its queue or the token; the first failure ends the service with its exit status.

use crate::core::clock::RecordingClock;
use crate::core::deriv_input::DerivInput;
use crate::core::feed_input::{Group, GroupKind, Market};
use crate::core::level3_input::Level3Pair;
use crate::core::lost_books::LostBooks;
use crate::core::run::{
    COMMANDS_LEN_LIMIT, CoreCommand, CoreHealth, CorePorts, CoreThread, EVENTS_LEN_LIMIT,
    FRAMES_LEN_LIMIT, FrameItem, Input, TrackedPair,
};
use crate::exit::Exit;
use crate::lifecycle::alerts::{Alerts, say_last};
use crate::lifecycle::checkpoints::{self, Checkpoints};
use crate::lifecycle::clusters::Clusters;
use crate::lifecycle::first_tick::first_tick;
use crate::lifecycle::heartbeat::notify;
use crate::lifecycle::level3_past::Level3Past;
use crate::lifecycle::startup::{Started, clock_behind, start};
use crate::lifecycle::stop;
use crate::lifecycle::venue_clocks::VenueClocks;
use crate::publish::cuts::CutSlot;
use crate::publish::publisher::RunContext;
use crate::settings::Settings;
use crate::spooling::arrival::Arrival;
use crate::spooling::frames::{FrameSpool, InheritedRun};
use crate::spooling::load::Loads;
use crate::spooling::open::RawSpool;
use crate::spooling::sink::SpoolSink;
use crate::tasks::{self, Hub, Stops, TaskEnds, Tasks};
use crate::universe::backfill::{BackfillRequest, REQUESTS_MAX};
use crate::universe::derivatives::{self, Opening};
use crate::universe::feeds::{Reference, SocketOpener};
use crate::universe::layers::{BuildInput, Layers};
use penstock_market::checkpoint::Checkpoint;
use penstock_market::{Aggregator, CoreError, MarketCore, Outputs, Recording};
use penstock_store::spool::SpoolWriter;
use penstock_store::twins::LineageRow;
use penstock_telemetry::marker;
use penstock_types::vocab::ReasonCode;
use penstock_types::{TickId, UtcMicros};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// Sockets, and the queue that their events arrive in.
struct MarketSide {
    groups: Vec<Group>,
    events: mpsc::Receiver<Input>,
    opener: SocketOpener,
    derivs: DerivInput,
}

/// What the core tracks from its beginning.
struct Carried {
    tracked: Vec<TrackedPair>,
    level3: Vec<Level3Pair>,
    /// What was known of lost order-by-order books.
    past: Level3Past,
}

impl Carried {
    async fn of(layers: &Layers, clusters: &Clusters, now: UtcMicros) -> Self {
        let tracked = layers.tracked().cloned().collect();
        let level3: Vec<Level3Pair> = layers.level3().cloned().collect();
        let past = if level3.is_empty() {
            Level3Past::default()
        } else {
            Level3Past::read(clusters, now).await
        };
        Self { tracked, level3, past }
    }
}

/// The core's thread and its queues.
struct RunningCore {
    commands: mpsc::Sender<CoreCommand>,
    thread: std::thread::JoinHandle<Result<(), CoreError>>,
    cuts: Arc<CutSlot>,
    frames: mpsc::Receiver<FrameItem>,
    backfill: mpsc::Receiver<BackfillRequest>,
    health: watch::Receiver<CoreHealth>,
    opener: SocketOpener,
}

/// Runs until `stop` is cancelled or something ends it.
///
/// # Errors
/// [`Exit`] with the reason and the exit status.
pub async fn run(settings: Settings, stop: CancellationToken) -> Result<(), Exit> {
    let alerts = Alerts::new(settings.alerts.clone());
    let alerting = alerts.start()?;
    let outcome = serve(settings, alerts.clone(), stop).await;
    alerting.finish(&alerts, &outcome).await;
    outcome
}

async fn serve(settings: Settings, alerts: Alerts, stop: CancellationToken) -> Result<(), Exit> {
    let clock = RecordingClock::start();
    let started_at = clock.now();
    // A stop during the start ends it where it is: locks go with the process, the next start closes
    // the run.
    let Some(started) = stop.run_until_cancelled(start(&settings, started_at)).await else {
        return Ok(());
    };
    let started = started?;
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
    let mut raw = crate::spooling::open::open(&settings, &started, &alerts)?;
    // What is still in the spool is newer than what was loaded; after a clean stop the spool is empty.
    let recorded = match started.clusters.ingest() {
        Some(_) => checkpoints::recorded_until(&settings, &started.clusters).await,
        // Without that cluster the newest frame tells how far the recording had come.
        None => started.newest_frame.map(|newest| newest.tick_id.end()),
    };
    raw.recovered_until = raw.recovered_until.max(recorded);
    let (frame_spool, mut inherited) = crate::spooling::frames::open(&settings, &started)?;
    crate::spooling::frames::compare(&mut inherited, &started.clusters.decision).await?;
    let fold =
        checkpoints::initial_fold(&settings, &started.clusters, started.run.run_id, clock.now())
            .await;
    let Some(reference) = stop.run_until_cancelled(Reference::open(&settings, &clock)).await else {
        let _ = started.fence.release(&started.clusters.decision).await; // The lease ends by itself too.
        return Ok(());
    };
    let reference = reference?;
    let assembly =
        Assembly { settings, clock, started, fold, frame_spool, inherited, started_at, alerts };
    // A clock that is behind what was left is refused before a socket opens.
    assembly.first_tick()?;
    assembly.operate(raw, reference, stop).await
}

struct Assembly {
    settings: Settings,
    clock: RecordingClock,
    started: Started,
    fold: Aggregator,
    frame_spool: FrameSpool,
    inherited: Vec<InheritedRun>,
    started_at: UtcMicros,
    alerts: Alerts,
}

impl Assembly {
    /// The first universe: ranked by volume alone, everything not yet proven by rows.
    async fn first_universe(&self, reference: &mut Reference) -> Layers {
        let settings = &self.settings;
        let mut layers = Layers::new(settings);
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
        let (l2, l3, execution) = settings.limit_overrides;
        let pool_symbols_fetched = layers.universe.tracked.len();
        if [l2, l3, execution].iter().any(Option::is_some) {
            marker!(
                UNIVERSE_LIMIT_OVERRIDE_ACTIVE,
                l2 = l2,
                l3 = l3,
                execution = execution,
                pool_symbols_fetched = pool_symbols_fetched,
            );
        } else {
            marker!(UNIVERSE_LIMIT_OVERRIDE_INACTIVE, pool_symbols_fetched = pool_symbols_fetched,);
        }
        marker!(
            UNIVERSE_START,
            pool_fetch_limit = settings.universe.pool_limit,
            pool_symbols_fetched = pool_symbols_fetched,
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

    fn first_tick(&self) -> Result<TickId, Exit> {
        let published = self.started.newest_frame.map(|newest| newest.tick_id);
        let left = self.inherited.iter().flat_map(|run| &run.frames).map(|f| f.tick_id).max();
        first_tick(self.clock.now().tick(), published, left).map_err(clock_behind)
    }

    /// What every publication needs to know of the run, and where its lineages are told.
    fn context(
        &self,
        tracked: &[TrackedPair],
    ) -> (RunContext, watch::Sender<Vec<Arc<LineageRow>>>) {
        let symbols: BTreeSet<_> = tracked.iter().map(|t| t.symbol.clone()).collect();
        let (run, ring_bytes) = (self.started.run.clone(), self.settings.spool.ring_bytes);
        let (lineages, seen) = watch::channel(vec![Arc::new(self.started.lineage.clone())]);
        (RunContext::new(run, seen, ring_bytes, &symbols), lineages)
    }

    async fn operate(
        mut self,
        raw: RawSpool,
        mut reference: Reference,
        stop: CancellationToken,
    ) -> Result<(), Exit> {
        let layers = self.first_universe(&mut reference).await;
        let carried = Carried::of(&layers, &self.started.clusters, self.clock.now()).await;
        let first_fold = self.first_checkpoint(&carried.tracked).await;
        let clusters = self.started.clusters.clone();
        let (context, lineages) = self.context(&carried.tracked);
        let stops = Stops::default();
        let RawSpool { writer, thread: spool_thread, sources, recovered_until, dirs } = raw;
        let monitor = writer.monitor();
        let clocks = VenueClocks::new(&self.alerts);
        let market_side = self.sockets(&layers, &reference, &clocks, &stops)?;
        let core = self.start_core(writer, market_side, recovered_until, carried)?;
        let arrival = Arrival {
            opener: self.started.opener,
            clusters: clusters.clone(),
            run: self.started.run.clone(),
            lineage: self.started.lineage.clone(),
            first_fold,
            spooled: sources.runs_with(&dirs),
            left: self.inherited.iter().map(|run| run.of.clone()).collect(),
        };
        let mut loads = Loads::start(
            &self.settings,
            &clusters,
            (&self.alerts, &context, &monitor),
            sources,
            arrival,
        );
        let hub = Hub {
            settings: self.settings.clone(),
            context,
            clusters,
            clock: self.clock.clone(),
            core: core.commands.clone(),
            health: core.health.clone(),
            monitor,
            alerts: self.alerts.clone(),
            checkpoints: Checkpoints::default(),
            clocks,
            cancel: stops.tasks.clone(),
        };
        let ends = TaskEnds {
            cuts: core.cuts,
            frames: core.frames,
            backfill: core.backfill,
            newest_frame: self.started.newest_frame,
            frame_spool: self.frame_spool,
            inherited: self.inherited,
            load: loads.status.clone(),
            lineages,
            instance_id: self.started.instance_id,
            started_at: self.started_at,
        };
        let sockets = core.opener.forwarders();
        let mut tasks = Tasks::start(&hub, ends, layers, (reference, core.opener));
        let (fence, mut lost) = tasks::keep(self.started.fence, &hub, &stops.fence);
        notify(&[sd_notify::NotifyState::Ready]);
        let outcome = stop::ended(&stop, &mut lost, &mut tasks, &mut loads, &hub).await;
        let (core_thread, spool) = (core.thread, (spool_thread, dirs));
        stop::Stopping { outcome, stops, hub, sockets, core_thread, tasks, fence, loads, spool }
            .run()
            .await
    }

    /// What the run begins with, written before its first row, or given back for later.
    async fn first_checkpoint(
        &mut self,
        tracked: &[TrackedPair],
    ) -> Option<(Box<Checkpoint>, UtcMicros)> {
        self.fold.retain_symbols(|s| tracked.iter().any(|t| t.symbol == *s));
        let l2_sample_interval_ms = self.settings.core.l2_sample_interval_ms;
        let fold = Checkpoint { fold: self.fold.clone(), sealer: None, l2_sample_interval_ms };
        let (fold, at) = (Box::new(fold), self.clock.now());
        match self.started.clusters.ingest() {
            Some(ingest) => {
                checkpoints::write(&ingest, fold, at).await;
                None
            }
            None => Some((fold, at)),
        }
    }

    /// Opens the market's sockets; their events go into one queue.
    fn sockets(
        &self,
        layers: &Layers,
        reference: &Reference,
        clocks: &VenueClocks,
        stops: &Stops,
    ) -> Result<MarketSide, Exit> {
        let (events, events_in) = mpsc::channel(EVENTS_LEN_LIMIT);
        let stop = stops.sockets.clone();
        let mut opener = SocketOpener::new(
            &self.settings,
            &self.clock,
            reference.budget(),
            events.clone(),
            (&self.alerts, clocks, stop),
        )?;
        let mut groups = Vec::new();
        for socket in opener.open_missing(layers)? {
            opener.connect(socket, |group| groups.push(group));
        }
        let derivs = derivatives::open(
            &self.settings.derivatives,
            &Opening {
                clock: &self.clock,
                kraken_budget: reference.budget(),
                events,
                clocks: clocks.clone(),
                forwarders: opener.forwarders(),
                stop: stops.sockets.clone(),
            },
        )?;
        Ok(MarketSide { groups, events: events_in, opener, derivs })
    }

    /// Starts the core's thread.
    fn start_core(
        &self,
        writer: SpoolWriter,
        side: MarketSide,
        recovered_until: Option<UtcMicros>,
        carried: Carried,
    ) -> Result<RunningCore, Exit> {
        let (commands, commands_in) = mpsc::channel(COMMANDS_LEN_LIMIT);
        let (frames, frames_in) = mpsc::channel(FRAMES_LEN_LIMIT);
        let (backfill, backfill_in) = mpsc::channel(REQUESTS_MAX);
        let (health, health_seen) = watch::channel(CoreHealth::default());
        let cuts = Arc::new(CutSlot::default());
        let (groups, derivs) = (side.groups, side.derivs);
        let market = self.market(carried, (groups, derivs), recovered_until)?;
        let ports = CorePorts {
            events: side.events,
            commands: commands_in,
            frames,
            cuts: Arc::clone(&cuts),
            health,
            sink: SpoolSink::new(writer),
            backfill,
            alerts: self.alerts.clone(),
        };
        let thread = CoreThread::new(market, ports)
            .start()
            .map_err(|e| Exit::Invariant(format!("start the core's thread: {e}")))?;
        let opener = side.opener;
        Ok(RunningCore {
            commands,
            thread,
            cuts,
            frames: frames_in,
            backfill: backfill_in,
            health: health_seen,
            opener,
        })
    }

    /// The core with everything that it tracks, and the gap that a restart leaves.
    fn market(
        &self,
        carried: Carried,
        (groups, derivs): (Vec<Group>, DerivInput),
        recovered_until: Option<UtcMicros>,
    ) -> Result<Market, Exit> {
        let recording = Recording {
            run_id: self.started.run.run_id,
            lineage_id: self.started.lineage.lineage_id,
            fencing_token: self.started.run.fencing_token,
        };
        let now = self.clock.now();
        let core = MarketCore::new(
            self.settings.core.clone(),
            recording,
            self.fold.clone(),
            self.first_tick()?,
        )
        .recording_from(now.tick())
        .with_bindings(self.settings.instruments.clone());
        let mut market = Market::new(core, self.clock.clone(), groups);
        market.lost_books = LostBooks::new(self.settings.book_quarantine.resyncs_max);
        let at = market.lift(now);
        let mut out = Outputs::default();
        if let Some(from) = recovered_until {
            market.core.restart_gap(from, at, &mut out);
            // Blind to orders until their first images, which the rest of the venue does not wait for.
            for group in market.groups.iter().filter(|g| g.kind == GroupKind::Level3) {
                market.core.restart_gap_of(&group.stream, from, at, &mut out);
            }
        }
        market.core.restore_level3(carried.past.blocks, carried.past.losses);
        market.out = out;
        market.begin_derivatives(derivs, recovered_until.unwrap_or(self.started_at), at);
        market.track(&carried.tracked, at).map_err(|e| Exit::Invariant(e.to_string()))?;
        market.track_level3(&carried.level3, at);
        Ok(market)
    }
}

/// The alert of a process that ends without its tasks: to every way out, within five seconds.
pub fn last_words(settings: &Settings, reason: ReasonCode, summary: &str) {
    say_last(&settings.alerts, reason, summary);
}

/// Checks configuration, clusters, schema and spool, changes nothing.
///
/// # Errors
/// [`Exit`] with what is wrong.
pub async fn check(settings: &Settings) -> Result<(), Exit> {
    let (clusters, opener) = crate::lifecycle::clusters::open_decision(settings, false).await?;
    opener.require().await?;
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
