//! The life of a session: start in order, run, stop in order.
//!
//! Purpose: wire the parts together. Inputs: settings, the wish to stop. Outputs: an exit code. Invariants:
//! no evaluation before the reconcile of the session; at the stop evaluations end first, resting entries are
//! cancelled, protective stops stay, then tasks end, rows are closed and the fence is given back; a lost
//! fence ends everything at once and writes nothing more.

mod parts;

use std::sync::Arc;
use std::time::{Duration, Instant};

use parts::{Given, parts_of};
use penstock_panel::run::{Listening, Panel};
use penstock_store::fence::FencedService;
use penstock_store_decision::{heartbeat, publication, sessions};
use penstock_store_orders::ExecStore;
use penstock_telemetry::marker;
use penstock_telemetry::memory::give_back_peaks;
use penstock_trading::mode::{CauseCode, ModeEvent};
use penstock_types::vocab::Verdict;
use penstock_venue_orders::{Clock, SharedVenueState};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::alerts::{self, Alerting};
use crate::attach::{self, BindingsOutcome, FenceEnd, Session, compare, venue};
use crate::audit::{AuditWriter, redactor, run_ended};
use crate::beat::run_beats;
use crate::boot::run_boot;
use crate::context::Context;
use crate::control::run_control;
use crate::cycle::{AiGate, LoopEnd, run_loop};
use crate::desk::{self, DeskError, DeskHandle};
use crate::engine::{Engine, EngineEnd};
use crate::exit::{self, StartError};
use crate::health::{run_free, run_health};
use crate::mode::{Watchdog, run_log};
use crate::panel;
use crate::quotes::run_reader;
use crate::refresh::{
    Instruments, load_instruments, refresh_fees, refresh_instruments, say_resources,
};
use crate::report::{Reporter, run_reports};
use crate::settings::{RunMode, Settings};
use crate::wake::{Wakes, run_listener};

/// How long the stop waits for resting entries to be cancelled.
const CANCEL_WAIT: Duration = Duration::from_secs(8);
/// How long the stop waits for tasks to end.
const TASKS_WAIT: Duration = Duration::from_secs(5);
/// Longest wait of `--once` for attach and NORMAL.
const ONCE_WAIT: Duration = Duration::from_secs(180);
/// Longest life of a position of `--once`: its time stop, extended, and its closing.
const ONCE_POSITION_WAIT: Duration = Duration::from_secs(1_200);

/// Why the session ended.
#[derive(Debug)]
enum End {
    Asked(&'static str),
    Once(Verdict),
    OnceTimeout,
    FencedOut,
    BindingsDiffer,
    Desk(DeskError),
}

/// Runs one session; `stop` is the wish to stop from outside.
///
/// # Errors
/// [`StartError`] while starting; afterwards the exit code says it.
pub async fn run(settings: Settings, stop: CancellationToken) -> Result<u8, StartError> {
    let started = Instant::now();
    venue::credentials(&settings)?;
    AiGate::of(&settings).map_err(|e| StartError::Refused(e.to_string()))?;
    let pool = attach::decision_pool(&settings).await?;
    let Session { context, fence, changes, audit } = attach::start(settings, pool).await?;
    let alerting = alerts::start(&context).await?;
    let state_dir = context.settings.config.areas.clusters.state_directory.clone();
    let salt = attach::order_id_salt(&context.pool, &state_dir).await?;
    let (end, wakes) = (&context.end, Arc::new(Wakes::default()));
    let watchdog = Watchdog::start(context.mode.clone(), context.quotes.clone())
        .map_err(|e| StartError::Refused(format!("watchdog not started: {e}")))?;
    let mode_log = tokio::spawn(run_log(
        context.mode.clone(),
        changes,
        context.pool.clone(),
        context.session_id,
        Arc::new(redactor(&context.settings.config)),
        end.clone(),
    ));
    let renewal = tokio::spawn(attach::run_renewal(fence, context.clone(), end.clone()));
    let mut tasks = readers(&context, &wakes);
    let engine = match &context.settings.engine {
        Some(_) => {
            Engine::start(&context, attach::engine_pool(&context.settings).await?, &wakes).await?
        }
        None => None,
    };
    let instruments: Instruments = Arc::default();
    load_instruments(&context, &instruments).await;
    tasks.push(tokio::spawn(refresh_instruments(context.clone(), Arc::clone(&instruments))));
    let opened = venue::open(&context)?;
    let store =
        ExecStore::new(context.pool.clone(), context.domain(), context.token, context.session_id);
    tasks.push(tokio::spawn(refresh_fees(context.clone(), opened.rest.clone(), store.clone())));
    tasks.push(opened.keeper);
    let state = opened.state.clone();
    let given = Given { store, salt, instruments, events: opened.events, rest: opened.rest };
    let way = (opened.socket.orders.clone(), opened.clock);
    let parts = parts_of(&context, given, way, state_dir).await?;
    let clock = Arc::clone(&parts.clock);
    let (handle, desk_task) = desk::spawn(parts).map_err(|e| StartError::Venue(e.to_string()))?;
    let panel = panel::start(&context, &handle, &state)?;
    tasks.push(panel::watch_rows(&context, &panel));
    tasks.extend(look_after(&context, &handle, &state, clock, panel.listening()));
    let running = Running { context, handle, wakes, stop, started };
    let (why, desk_task, renewal) = running.until_end(desk_task, renewal).await;
    tasks.push(opened.socket.task);
    let code =
        running.finish(why, desk_task, renewal, (mode_log, alerting), (tasks, engine), audit).await;
    drop(watchdog);
    end_panel(panel).await;
    state.flush().await;
    Ok(code)
}

/// What reads from the start on: notifications, frames, what the process uses.
fn readers(context: &Context, wakes: &Arc<Wakes>) -> Vec<JoinHandle<()>> {
    let (pool, end) = (context.pool.clone(), context.end.clone());
    let quotes = context.quotes.clone();
    vec![
        tokio::spawn(run_listener(pool.clone(), Arc::clone(wakes), end.clone())),
        tokio::spawn(run_reader(pool, quotes, Arc::clone(wakes), end.clone())),
        tokio::spawn(say_resources(context.clone())),
        tokio::spawn(run_beats(context.clone())),
        tokio::spawn(give_back_peaks(end.cancelled_owned())),
    ]
}

/// What looks after the session as a whole: the checklist, samples of health, the days.
fn look_after(
    context: &Context,
    desk: &DeskHandle,
    state: &SharedVenueState,
    clock: Arc<dyn Clock>,
    panel: Listening,
) -> [JoinHandle<()>; 4] {
    let (pool, domain) = (context.pool.clone(), context.domain().to_owned());
    let reporter = Reporter::new(pool, domain, context.mode.clone(), clock.now().wall);
    [
        tokio::spawn(run_boot(context.clone(), desk.clone(), panel)),
        tokio::spawn(run_free(context.clone())),
        tokio::spawn(run_health(context.clone(), state.clone())),
        tokio::spawn(run_reports(reporter, clock, context.end.clone())),
    ]
}

/// Ends the panel, which shows the stop itself for as long as it takes.
async fn end_panel(panel: Panel) {
    let thread = panel.stop();
    let ended = tokio::task::spawn_blocking(move || thread.join());
    if !matches!(tokio::time::timeout(TASKS_WAIT, ended).await, Ok(Ok(Ok(())))) {
        tracing::warn!("the panel's thread did not end within {TASKS_WAIT:?}");
    }
}

struct Running {
    context: Context,
    handle: DeskHandle,
    wakes: Arc<Wakes>,
    stop: CancellationToken,
    started: Instant,
}

type DeskTask = JoinHandle<Result<(), DeskError>>;

impl Running {
    /// Runs until something ends the session; gives back the tasks that have not ended.
    async fn until_end(
        &self,
        mut desk_task: DeskTask,
        mut renewal: JoinHandle<FenceEnd>,
    ) -> (End, Option<DeskTask>, Option<JoinHandle<FenceEnd>>) {
        let work = self.work();
        tokio::pin!(work);
        // A lost fence before all else; then the owner of orders, whose end nobody may miss.
        tokio::select! {
            biased;
            _ = &mut renewal => (End::FencedOut, Some(desk_task), None),
            ended = &mut desk_task => {
                let why = match ended {
                    Ok(Ok(())) => End::Asked("desk"),
                    Ok(Err(error)) => End::Desk(error),
                    Err(error) => End::Desk(DeskError::Invariant(error.to_string())),
                };
                (why, None, Some(renewal))
            }
            () = self.stop.cancelled() => (End::Asked("signal"), Some(desk_task), Some(renewal)),
            why = &mut work => (why, Some(desk_task), Some(renewal)),
        }
    }

    /// Reconcile, then evaluations.
    async fn work(&self) -> End {
        let mut changes = self.handle.changes();
        while !self.handle.status().reconciled {
            if changes.changed().await.is_err() {
                // The desk has ended; its own result says why.
                std::future::pending::<()>().await;
            }
        }
        if self.bindings_differ().await {
            return End::BindingsDiffer;
        }
        self.exposure_without_permission();
        let proof = self.context.settings.run_mode == RunMode::Proof;
        let size_quote = self.context.settings.decide.proof.map(|p| p.max_order_quote);
        marker!(PROOF_MODE_STATE, active = proof, size_quote = size_quote);
        let control = tokio::spawn(run_control(self.context.clone()));
        let account = Arc::new(self.handle.clone());
        let evaluations = run_loop(self.context.clone(), account, Arc::clone(&self.wakes));
        let once = self.context.settings.run_mode != RunMode::Attach;
        let ended = if once {
            match tokio::time::timeout(ONCE_WAIT, evaluations).await {
                Ok(ended) => ended,
                Err(_) => return End::OnceTimeout,
            }
        } else {
            evaluations.await
        };
        let why = match ended {
            LoopEnd::Stopped => End::Asked("operator"),
            LoopEnd::Deadline => End::Asked("runtime_deadline"),
            LoopEnd::FencedOut => End::FencedOut,
            LoopEnd::Once(verdict) => {
                if proof {
                    marker!(ROUTE_PROOF_DISABLED, reason = "once per session", verdict = verdict);
                }
                self.to_the_end_of_the_position().await;
                End::Once(verdict)
            }
        };
        control.abort();
        why
    }

    /// The published run has other token bindings and we have nothing to protect: a start is refused. With
    /// exposure, and while running, the evaluation says it and the mode stays DEGRADE.
    async fn bindings_differ(&self) -> bool {
        let status = self.handle.status();
        if status.open_positions > 0 || status.live_orders > 0 {
            return false;
        }
        let pool = &self.context.pool;
        let read = publication::published_generation(pool, self.context.domain()).await;
        let Ok(Some(publication::PublishedGeneration { run_id, .. })) = read else { return false };
        let ours = &self.context.settings.config.bindings;
        match compare(pool, run_id, ours).await {
            Ok(BindingsOutcome::Differ { theirs, ours, token_id, field }) => {
                marker!(
                    EXECUTION_BINDINGS_MISMATCH,
                    run_id = run_id,
                    theirs = theirs,
                    ours = ours,
                    token_id = token_id,
                    field = field
                );
                tracing::error!(
                    "token bindings of run {run_id} differ from ours at token {token_id:?}, field {field}; \
                     next: start both services with the same [[engine.token]] table"
                );
                true
            }
            Ok(BindingsOutcome::Equal | BindingsOutcome::NoRun) | Err(_) => false,
        }
    }

    /// Orders may not be sent although there is something to protect: said aloud, no evaluation trades. The mode
    /// says it for as long as it holds.
    fn exposure_without_permission(&self) {
        let status = self.handle.status();
        let exposed = status.open_positions > 0 || status.live_orders > 0;
        if self.context.settings.decide.execution_enable || !exposed {
            return;
        }
        marker!(
            EXPOSURE_DETECTED,
            positions = status.open_positions,
            orders = status.live_orders,
            reason = "EXECUTION_ENABLE=false"
        );
    }

    /// Waits until nothing of ours is open any more.
    async fn to_the_end_of_the_position(&self) {
        let mut changes = self.handle.changes();
        let flat = async {
            loop {
                let status = self.handle.status();
                if status.open_positions == 0 && status.live_orders == 0 {
                    return;
                }
                if changes.changed().await.is_err() {
                    return;
                }
            }
        };
        if tokio::time::timeout(ONCE_POSITION_WAIT, flat).await.is_err() {
            tracing::error!(
                "the position did not end within {ONCE_POSITION_WAIT:?}; its stop rests"
            );
        }
    }

    /// Stops in order and gives the exit code.
    async fn finish(
        &self,
        why: End,
        desk_task: Option<DeskTask>,
        renewal: Option<JoinHandle<FenceEnd>>,
        (mode_log, alerting): (JoinHandle<()>, Alerting),
        (tasks, engine): (Vec<JoinHandle<()>>, Option<Engine>),
        audit: AuditWriter,
    ) -> u8 {
        let (reason, mut code) = self.judge(&why);
        marker!(SHUTDOWN_STARTED, session_id = self.context.session_id, reason = reason);
        self.context.stop.cancel();
        let fenced = matches!(why, End::FencedOut)
            || matches!(why, End::Desk(DeskError::FencedOut(_) | DeskError::Restored { .. }));
        if fenced {
            // Whoever found it out: nothing leaves from here on.
            self.context.lease.lose();
        } else if desk_task.is_some() {
            self.cancel_resting_entries().await;
        }
        self.context.mode.request(ModeEvent::Stop);
        self.context.end.cancel();
        // Its own watchdog ends it: the last snapshot takes its time beside the rest.
        let engine = engine.map(|engine| tokio::spawn(engine.stop()));
        if let Some(task) = desk_task {
            join("desk", task).await;
        }
        if matches!(why, End::FencedOut | End::Desk(DeskError::FencedOut(_))) {
            attach::say_fenced_out(&self.context).await;
        }
        join("mode", mode_log).await;
        for task in tasks {
            join("task", task).await;
        }
        if let Some(engine) = engine
            && matches!(engine.await, Ok(EngineEnd::Hung))
        {
            code = exit::INVARIANT;
        }
        alerting.finish(&self.context.alerts, code, !fenced).await;
        if !fenced {
            self.close_rows(reason).await;
        }
        // Before the fence is given back: the successor's trail begins where this one ends.
        audit.finish(Some(run_ended(code, self.started.elapsed()))).await;
        if let Some(FenceEnd::Stopped(fence)) = match renewal {
            Some(task) => tokio::time::timeout(TASKS_WAIT, task).await.ok().and_then(Result::ok),
            None => None,
        } {
            let token = fence.token();
            match fence.release(&self.context.pool).await {
                Ok(()) => {
                    marker!(FENCE_RELEASED, service_fence = "execution", fencing_token = token)
                }
                Err(error) => {
                    tracing::warn!("fence not released, its lease ends by itself: {error}")
                }
            }
        }
        marker!(
            SHUTDOWN_COMPLETE,
            session_id = self.context.session_id,
            reason = reason,
            exit_code = code,
            uptime_secs = self.started.elapsed().as_secs()
        );
        code
    }

    fn judge(&self, why: &End) -> (&'static str, u8) {
        match why {
            End::Asked(reason) => (reason, exit::CLEAN),
            End::FencedOut => ("fenced_out", exit::FENCED),
            End::BindingsDiffer => ("bindings_mismatch", exit::CONFIGURATION),
            End::OnceTimeout => ("once_timeout", self.once_timeout_code()),
            End::Once(verdict) => ("once", exit::once_code(*verdict)),
            End::Desk(error) => {
                tracing::error!("{error}");
                ("desk", u8::try_from(error.exit_code()).unwrap_or(exit::INVARIANT))
            }
        }
    }

    /// `--once` did not reach NORMAL: nothing to bind to, or the mode.
    fn once_timeout_code(&self) -> u8 {
        let reasons = self.context.mode.view().reasons;
        if reasons.contains(&CauseCode::EpochNotValid) || reasons.contains(&CauseCode::LineageBreak)
        {
            exit::ATTACH_BLOCKED
        } else if reasons.iter().any(|r| {
            matches!(r, CauseCode::DataStale | CauseCode::WsStaleDegrade | CauseCode::WsStalePause)
        }) {
            exit::DATA_BLOCKED
        } else {
            exit::MODE_BLOCKED
        }
    }

    /// Cancels resting entries and waits until the desk knows of none that is live. The desk is asked and not the rows,
    /// which cannot be read when the decision cluster is away: its cancels go out all the same.
    async fn cancel_resting_entries(&self) {
        self.handle.stop_entries().await;
        self.handle.cancel_entries("shutdown").await;
        let mut changes = self.handle.changes();
        let none = async {
            while self.handle.status().live_entries > 0 {
                if changes.changed().await.is_err() {
                    return;
                }
            }
        };
        if tokio::time::timeout(CANCEL_WAIT, none).await.is_err() {
            tracing::warn!(
                "entries are still live after {CANCEL_WAIT:?}; they end at their own expiry"
            );
        }
    }

    async fn close_rows(&self, reason: &str) {
        let context = &self.context;
        if let Err(error) = sessions::end(&context.pool, context.session_id, reason).await {
            tracing::warn!("session not closed, its successor does: {error}");
        }
        let removed =
            heartbeat::remove(&context.pool, FencedService::Execution, context.holder_id).await;
        if let Err(error) = removed {
            tracing::warn!("heartbeat not removed: {error}");
        }
    }
}

async fn join<T>(what: &str, task: JoinHandle<T>) {
    let abort = task.abort_handle();
    if tokio::time::timeout(TASKS_WAIT, task).await.is_err() {
        tracing::warn!("{what} did not end within {TASKS_WAIT:?}");
        abort.abort();
    }
}
