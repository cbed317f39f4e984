//! Purpose: a sealed tick by a bounded queue within the process. Inputs: sealed ticks. Outputs: times.
//! Invariants: the session is the engine's own with files of its own, on a thread of its own that waits for
//! frames and syncs the journal as the service's core does; the view is made and shown as there. No database
//! takes part.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use penstock_engine_io::{EngineDirs, Fault, NoStore, Session, StartOptions};
use penstock_execution::engine::EngineRun;
use penstock_types::TickId;
use penstock_types::engine_view::{EngineHealth, EngineView};
use penstock_types::frame::{Link, deliver};
use tokio::sync::mpsc;

use super::VIEW_LIMIT;
use super::sealed::Sealed;

/// Places of the queue, as in the service.
const QUEUE_FRAMES_MAX: usize = 256;

/// A frame with its block.
type Frame = (Vec<u8>, Vec<u8>);
/// Tick of a view and since when it can be read.
type Shown = (TickId, Instant);

/// An engine behind a queue.
#[derive(Debug)]
pub(super) struct InProcess {
    queue: SyncSender<Frame>,
    shown: mpsc::Receiver<Result<Shown, Fault>>,
    thread: JoinHandle<Result<(), Fault>>,
    newest: Arc<ArcSwapOption<EngineView>>,
    last: Option<Link>,
}

impl InProcess {
    /// Starts an engine that is run like the service's, with files below `root`.
    ///
    /// # Errors
    /// A fault of its start.
    pub(super) fn start(run: Option<EngineRun>, root: &Path) -> anyhow::Result<Self> {
        let run = run.ok_or_else(|| anyhow::anyhow!("the engine is not configured"))?;
        let options = StartOptions { dirs: EngineDirs::under(root), ..run.options };
        let (queue, frames) = sync_channel(QUEUE_FRAMES_MAX);
        let (show, shown) = mpsc::channel(QUEUE_FRAMES_MAX);
        let (session, _) = Session::start(&options, &mut NoStore)?;
        let newest = Arc::default();
        let core = Core {
            session,
            newest: Arc::clone(&newest),
            journal_group: run.journal_group,
            synced_at: Instant::now(),
        };
        let work = move || core.run(&frames, &show);
        let thread = std::thread::Builder::new().name("bench-core".to_owned()).spawn(work)?;
        Ok(Self { queue, shown, thread, newest, last: None })
    }

    /// Links a tick, hands it over and waits for its view; from before the link to the view.
    ///
    /// # Errors
    /// A fault of the engine; a view that did not come within ten seconds.
    pub(super) async fn take(&mut self, sealed: &Sealed) -> anyhow::Result<Duration> {
        let mut frame = sealed.frame.clone();
        let sealed_at = Instant::now();
        let link = deliver(&mut frame, self.last.as_ref())?;
        match self.queue.try_send((frame, sealed.quotes.clone())) {
            // A core that has gone has said why.
            Ok(()) | Err(TrySendError::Disconnected(_)) => {}
            Err(TrySendError::Full(_)) => anyhow::bail!("the queue of the engine is full"),
        }
        self.last = Some(link);
        let shown = tokio::time::timeout(VIEW_LIMIT, self.shown.recv()).await;
        let shown = shown.map_err(|_| {
            anyhow::anyhow!("no view of tick {} within {VIEW_LIMIT:?} in process", sealed.tick_id)
        })?;
        let (tick, at) =
            shown.ok_or_else(|| anyhow::anyhow!("the engine's thread has ended"))??;
        anyhow::ensure!(tick == sealed.tick_id, "view of {tick} instead of {}", sealed.tick_id);
        Ok(at.saturating_duration_since(sealed_at))
    }

    /// Ends the engine with its last snapshot; the state chain of the last view.
    ///
    /// # Errors
    /// A fault that it met.
    pub(super) fn stop(self) -> anyhow::Result<Option<[u8; 32]>> {
        drop(self.queue);
        let ended = self.thread.join();
        let ended = ended.map_err(|_| anyhow::anyhow!("the engine's thread has panicked"))?;
        ended?;
        Ok(self.newest.load().as_ref().map(|view| view.state_chain))
    }
}

struct Core {
    session: Session,
    newest: Arc<ArcSwapOption<EngineView>>,
    journal_group: Duration,
    synced_at: Instant,
}

impl Core {
    fn run(
        mut self,
        frames: &Receiver<Frame>,
        show: &mpsc::Sender<Result<Shown, Fault>>,
    ) -> Result<(), Fault> {
        loop {
            let wait = self.journal_group.saturating_sub(self.synced_at.elapsed());
            let done = match frames.recv_timeout(wait) {
                Ok(frame) => self.take(&frame).map(Some),
                Err(RecvTimeoutError::Disconnected) => return self.session.stop().map(drop),
                Err(RecvTimeoutError::Timeout) => Ok(None),
            };
            if let Some(said) = done.clone().transpose() {
                // Nobody waits any more when the bench has failed elsewhere.
                let _ = show.try_send(said);
            }
            done.and_then(|_| self.sync())?;
        }
    }

    fn take(&mut self, (frame, quotes): &Frame) -> Result<Shown, Fault> {
        let taken = self.session.take(frame, quotes)?;
        let last_tick = TickId::from_unsigned(taken.tick);
        let mut view = EngineView {
            last_tick,
            lag_ticks: 0,
            state_chain: [0; 32],
            health: EngineHealth::Ok,
            gap_tick: None,
            tokens: Vec::new(),
        };
        if let Some(engine) = self.session.engine() {
            view.state_chain = engine.chain();
            view.tokens.reserve(engine.config().tokens.len());
            engine.view(&mut view.tokens);
        }
        self.newest.store(Some(Arc::new(view)));
        Ok((last_tick, Instant::now()))
    }

    /// Puts the journal on disk when it is time.
    fn sync(&mut self) -> Result<(), Fault> {
        if self.synced_at.elapsed() < self.journal_group {
            return Ok(());
        }
        self.synced_at = Instant::now();
        self.session.sync_journal()
    }
}
