//! The engine's parts put together: started in order, stopped in order, with a watchdog.
//!
//! Input: the session, how the engine is run. Output: a running engine; its end. Invariants: a wrong
//! configuration or environment refuses the start of the service; every other fault leaves it running without
//! its core; the stop writes the last snapshot, and one that hangs for ten seconds is given up.

use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use penstock_engine_io::Fault;
use penstock_telemetry::{Level, marker};
use sqlx::PgPool;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::EngineRun;
use super::janitor::{JanitorParts, run_janitor};
use super::rows::{CHECKPOINTS_LEN_MAX, RowsParts, program_sha256, run_rows};
use super::source::{FULL_PAUSE, QUEUE_FRAMES_MAX, SourceParts, run_source};
use super::start::{say_fatal, say_start};
use super::worker::{CoreParts, Input, Place, fail, run_core};
use crate::context::Context;
use crate::exit::StartError;
use crate::wake::Wakes;

/// How long the stop waits for the last snapshot.
const STOP_WAIT: Duration = Duration::from_secs(10);
/// How long it waits for rows afterwards: what is missing is derived again at the next start.
const ROWS_WAIT: Duration = Duration::from_secs(3);
/// Exit statuses of the tools whose families refuse a start: configuration and environment.
const REFUSING: [u8; 2] = [10, 11];

/// How the engine ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineEnd {
    /// Its files are whole.
    Clean,
    /// It did not end in time; the next start recovers.
    Hung,
}

/// A running engine.
#[derive(Debug)]
pub struct Engine {
    queue: SyncSender<Input>,
    ended: oneshot::Receiver<()>,
    source: JoinHandle<()>,
    rows: JoinHandle<()>,
    /// Dropped to end the janitor, and what hears its end.
    janitor: (SyncSender<()>, oneshot::Receiver<()>),
    end: CancellationToken,
}

impl Engine {
    /// Starts the engine; none without one, or when its core has failed at its start. It reads and writes by
    /// this pool alone, so that its rows never wait in front of an order.
    ///
    /// # Errors
    /// [`StartError::Refused`] when configuration or environment of the engine do not allow a start.
    pub async fn start(
        context: &Context,
        pool: PgPool,
        wakes: &Arc<Wakes>,
    ) -> Result<Option<Self>, StartError> {
        let Some(run) = context.settings.engine.clone() else { return Ok(None) };
        say_start(&run);
        let (queue, inputs) = sync_channel(QUEUE_FRAMES_MAX);
        let (checkpoint, checkpoints) = mpsc::channel(CHECKPOINTS_LEN_MAX);
        let (starting, started) = oneshot::channel();
        let (ending, ended) = oneshot::channel();
        let parts = CoreParts {
            run: run.clone(),
            board: context.engine.clone(),
            mode: context.mode.clone(),
            pool: pool.clone(),
            runtime: Handle::current(),
            inputs,
            checkpoints: checkpoint,
        };
        let whole = move || {
            run_core(parts, starting);
            // Nobody waits any more when the service ends without a stop.
            let _ = ending.send(());
        };
        spawn_thread("engine-core", whole)?;
        let place = match started.await {
            Ok(Ok(place)) => place,
            Ok(Err(fault)) => return refused(context, &fault).map(|()| None),
            Err(_) => return Err(StartError::Refused("the engine's thread has ended".to_owned())),
        };
        Self::follow(context, (pool, wakes), run, place, (queue, ended, checkpoints)).map(Some)
    }

    fn follow(
        context: &Context,
        (pool, wakes): (PgPool, &Arc<Wakes>),
        run: EngineRun,
        place: Place,
        (queue, ended, checkpoints): CoreEnds,
    ) -> Result<Self, StartError> {
        let end = context.end.child_token();
        let source = tokio::spawn(run_source(SourceParts {
            pool: pool.clone(),
            wakes: Arc::clone(wakes),
            board: context.engine.clone(),
            bindings: context.settings.config.bindings.clone(),
            queue: queue.clone(),
            place,
            end: end.clone(),
        }));
        let rows = tokio::spawn(run_rows(RowsParts {
            pool: pool.clone(),
            session_id: context.session_id,
            run: run.clone(),
            board: context.engine.clone(),
            checkpoints,
            began: place.began,
        }));
        let (janitor, stop) = sync_channel(1);
        let (gone, going) = oneshot::channel();
        let (board, runtime) = (context.engine.clone(), Handle::current());
        let work = move || {
            let program_sha256 = runtime.block_on(program_sha256());
            run_janitor(JanitorParts { run, board, pool, runtime, program_sha256, stop });
            // As above.
            let _ = gone.send(());
        };
        spawn_thread("engine-janitor", work)?;
        Ok(Self { queue, ended, source, rows, janitor: (janitor, going), end })
    }

    /// Stops: no more frames, the last snapshot, the rows that are left.
    pub async fn stop(self) -> EngineEnd {
        self.end.cancel();
        let (janitor, janitor_gone) = self.janitor;
        drop(janitor);
        // It may wait for a database that does not answer; what it has not sent is read again later.
        self.source.abort();
        let (queue, ended) = (self.queue, self.ended);
        let ended = tokio::time::timeout(STOP_WAIT, async {
            // Behind the frames that wait; the core empties a full queue, or has gone.
            while let Err(TrySendError::Full(_)) = queue.try_send(Input::Stop) {
                tokio::time::sleep(FULL_PAUSE).await;
            }
            // Its end is its answer.
            let _ = ended.await;
        });
        if ended.await.is_err() {
            marker!(at Level::Error, ENGINE_SHUTDOWN, outcome = "hung");
            return EngineEnd::Hung;
        }
        let rest = async {
            // Either has its own words for a failure.
            let _ = self.rows.await;
            let _ = janitor_gone.await;
        };
        if tokio::time::timeout(ROWS_WAIT, rest).await.is_err() {
            tracing::warn!("rows of the engine are left for the next start");
        }
        EngineEnd::Clean
    }
}

type CoreEnds =
    (SyncSender<Input>, oneshot::Receiver<()>, mpsc::Receiver<penstock_engine_io::Checkpoint>);

/// A fault of the start: the service does not start, or it starts without its core.
fn refused(context: &Context, fault: &Fault) -> Result<(), StartError> {
    if REFUSING.contains(&fault.code.exit()) {
        say_fatal(fault);
        return Err(StartError::Refused(fault.to_string()));
    }
    fail(&context.engine, &context.mode, fault);
    Ok(())
}

fn spawn_thread(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), StartError> {
    let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(work);
    spawned.map(drop).map_err(|error| StartError::Refused(format!("{name} not started: {error}")))
}
