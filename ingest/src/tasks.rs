//! The tasks of the service: what each is made of, and who owns it.
//!
//! Input: the handles of the core and the spool. Output: two sets of tasks. Those that publish end the
//! service when they end; the quiet ones tell and watch, and end through the token.

use crate::core::clock::RecordingClock;
use crate::core::run::{CoreCommand, CoreHealth, FrameItem};
use crate::exit::Exit;
use crate::lifecycle::alerts::Alerts;
use crate::lifecycle::checkpoints::Checkpoints;
use crate::lifecycle::clusters::Clusters;
use crate::lifecycle::durability::Durability;
use crate::lifecycle::heartbeat::{Vitals, keep_fence, tell_resources, watchdog};
use crate::lifecycle::lineage::LineageWatch;
use crate::lifecycle::rollover::Rollovers;
use crate::lifecycle::summaries;
use crate::lifecycle::venue_clocks::VenueClocks;
use crate::publish::book_quarantine::BookQuarantines;
use crate::publish::cuts::CutSlot;
use crate::publish::epochs::{Epochs, EpochsStatus};
use crate::publish::frames::Frames;
use crate::publish::level3_blocks::Level3Blocks;
use crate::publish::publisher::{Publisher, RunContext};
use crate::publish::twins::Twins;
use crate::settings::Settings;
use crate::spooling::frames::{FrameSpool, InheritedRun};
use crate::spooling::load::LoadStatus;
use crate::universe::backfill::{Backfill, BackfillRequest};
use crate::universe::feeds::{Reference, SocketOpener};
use crate::universe::instruments::InstrumentWatch;
use crate::universe::layers::Layers;
use penstock_store::fence::Fence;
use penstock_store::spool::SpoolMonitor;
use penstock_store::twins::LineageRow;
use penstock_store_decision::frames::NewestFrame;
use penstock_telemetry::memory::give_back_peaks;
use penstock_types::{UtcMicros, Uuid};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

/// How long the last frames may take at a stop.
const FRAMES_PATIENCE: Duration = Duration::from_secs(3);

/// Tokens of the stop, in its order.
#[derive(Debug, Default)]
pub(crate) struct Stops {
    pub sockets: CancellationToken,
    pub tasks: CancellationToken,
    pub fence: CancellationToken,
}

/// Handles that every task is made of.
#[derive(Clone)]
pub(crate) struct Hub {
    pub settings: Settings,
    pub context: RunContext,
    pub clusters: Clusters,
    pub clock: RecordingClock,
    pub core: mpsc::Sender<CoreCommand>,
    pub health: watch::Receiver<CoreHealth>,
    pub monitor: SpoolMonitor,
    pub alerts: Alerts,
    pub checkpoints: Checkpoints,
    pub clocks: VenueClocks,
    pub cancel: CancellationToken,
}

/// Ends of queues that one task each takes over.
pub(crate) struct TaskEnds {
    pub cuts: Arc<CutSlot>,
    pub frames: mpsc::Receiver<FrameItem>,
    pub backfill: mpsc::Receiver<BackfillRequest>,
    pub newest_frame: Option<NewestFrame>,
    pub frame_spool: FrameSpool,
    pub inherited: Vec<InheritedRun>,
    pub load: watch::Receiver<LoadStatus>,
    pub lineages: watch::Sender<Vec<Arc<LineageRow>>>,
    pub instance_id: Uuid,
    pub started_at: UtcMicros,
}

/// The running tasks.
pub(crate) struct Tasks {
    pub publishing: JoinSet<Result<(), Exit>>,
    pub quiet: JoinSet<()>,
    pub vitals: Vitals,
}

impl Tasks {
    /// Starts all of them.
    pub(crate) fn start(
        hub: &Hub,
        ends: TaskEnds,
        layers: Layers,
        (reference, sockets): (Reference, SocketOpener),
    ) -> Self {
        let (published, published_seen) = watch::channel(None);
        let (is_slow, is_slow_seen) = watch::channel(false);
        let (status, status_seen) = watch::channel(EpochsStatus::default());
        let (recoveries, recoveries_seen) = watch::channel(0);
        let missed = Arc::new(Notify::new());
        let durability = Durability::new();
        let vitals = Vitals {
            context: hub.context.clone(),
            health: hub.health.clone(),
            published: published_seen.clone(),
            epochs: status_seen,
            spool: hub.monitor.clone(),
            load: ends.load,
            alerts: hub.alerts.clone(),
            clocks: hub.clocks.clone(),
            instance_id: ends.instance_id,
            started_at: ends.started_at,
            started: Instant::now(),
        };
        let mut publishing: JoinSet<Result<(), Exit>> = JoinSet::new();
        publishing.spawn(Publisher::new(hub, ends.cuts, published, is_slow, recoveries).run());
        let newest = ends.newest_frame.as_ref();
        let frames = Frames::new(hub, ends.frames, newest, ends.frame_spool, ends.inherited);
        publishing.spawn(frames.run(FRAMES_PATIENCE));
        let rest = Arc::clone(&reference.rest);
        let backfill = Backfill { hub: hub.clone(), rest, requests: ends.backfill };
        let instruments = InstrumentWatch { hub: hub.clone(), pairs: reference.pairs.clone() };
        let epochs = Epochs {
            hub: hub.clone(),
            published: published_seen,
            reference,
            sockets,
            missed: Arc::clone(&missed),
            layers,
            durability: durability.clone(),
            status,
        };
        publishing.spawn(epochs.run());
        let mut quiet = watchers(hub, &vitals);
        quiet.spawn(instruments.run());
        quiet.spawn(Level3Blocks { hub: hub.clone() }.run());
        quiet.spawn(BookQuarantines { hub: hub.clone() }.run());
        quiet.spawn(backfill.run());
        quiet.spawn(summaries::run(hub.clone()));
        quiet.spawn(Rollovers { hub: hub.clone() }.run());
        quiet.spawn(LineageWatch::new(hub.clone(), ends.lineages).run());
        quiet.spawn(durability.watch(hub.clone(), is_slow_seen));
        quiet.spawn(Twins { hub: hub.clone(), recoveries: recoveries_seen, missed }.run());
        Self { publishing, quiet, vitals }
    }
}

/// Tasks that tell how the service is.
fn watchers(hub: &Hub, vitals: &Vitals) -> JoinSet<()> {
    let (settings, cancel) = (&hub.settings, &hub.cancel);
    let mut quiet = JoinSet::new();
    quiet.spawn(vitals.clone().markers(cancel.clone()));
    let decision = hub.clusters.decision.clone();
    quiet.spawn(vitals.clone().beats(decision, settings.heartbeat, cancel.clone()));
    quiet.spawn(watchdog(hub.health.clone(), cancel.clone()));
    quiet.spawn(tell_resources(settings.resources, cancel.clone()));
    quiet.spawn(give_back_peaks(cancel.clone().cancelled_owned()));
    quiet.spawn(hub.checkpoints.clone().run(
        hub.clusters.clone(),
        hub.core.clone(),
        settings.checkpoint_interval,
        cancel.clone(),
    ));
    quiet
}

/// Keeps the fence beside everything else; what comes out of the queue ends the service.
pub(crate) fn keep(
    fence: Fence,
    hub: &Hub,
    stop: &CancellationToken,
) -> (JoinHandle<Option<Fence>>, mpsc::Receiver<Exit>) {
    let (lost, lost_in) = mpsc::channel(1);
    let decision = hub.clusters.decision.clone();
    (tokio::spawn(keep_fence(fence, decision, stop.clone(), lost)), lost_in)
}
