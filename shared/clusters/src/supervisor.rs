//! Purpose: run one managed cluster. Inputs: a [`ClusterSpec`], `down`. Outputs: a server that serves,
//! and its status. Invariants: the server is our direct child (a dead one is collected at once, so the
//! next can start) or an adopted one; all decisions are those of [`crate::state::step`]; dropping the
//! handle leaves the server running, and the next supervisor adopts it. It does not run migrations.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sqlx::{ConnectOptions, Connection};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::ClusterError;
use crate::cluster::ClusterSpec;
use crate::pidfile::{self, Liveness};
use crate::state::{ClusterEffect, ClusterEvent, ClusterState, step};
use crate::watch::{LOOK_INTERVAL, Process, blocking, gone, ready};

/// Longest start until the first answer.
const READY_LIMIT: Duration = Duration::from_secs(30);
/// Longest fast stop before SIGQUIT.
const STOP_LIMIT: Duration = Duration::from_secs(30);
/// Longest wait for the remains of a server that an earlier supervisor left dead.
const STALE_LIMIT: Duration = Duration::from_secs(10);
/// Back-off of restarts: 50 ms, doubled up to 2 s.
const BACK_OFF_FIRST: Duration = Duration::from_millis(50);
const BACK_OFF_MAX: Duration = Duration::from_secs(2);
/// A server that vanishes this often within the window stays down.
const VANISHED_LIMIT: usize = 5;
const VANISHED_WINDOW: Duration = Duration::from_secs(60);

/// What a supervisor says about its cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterStatus {
    /// Where it stands.
    pub state: ClusterState,
    /// How often the server has been started again.
    pub restarts: u32,
    /// Process of the server, when there is one.
    pub pid: Option<i32>,
    /// Why it failed.
    pub failure: Option<String>,
}

/// A cluster under supervision.
#[derive(Debug)]
pub struct ManagedCluster {
    spec: Arc<ClusterSpec>,
    status: watch::Receiver<ClusterStatus>,
    down: mpsc::Sender<()>,
    task: JoinHandle<()>,
}

impl ManagedCluster {
    /// Starts (or makes, or adopts) the cluster and returns once it answers and has its database, roles
    /// and schema.
    ///
    /// # Errors
    /// [`ClusterError::Program`] with the server's last words, [`ClusterError::Sql`] for the set-up.
    pub async fn start(spec: ClusterSpec) -> Result<Self, ClusterError> {
        let spec = Arc::new(spec);
        let (first, state) = match (spec.exists(), pidfile::look(&spec.data)) {
            (false, _) => (ClusterEvent::Up, ClusterState::Absent),
            (true, Liveness::Alive(_)) => (ClusterEvent::FoundAlive, ClusterState::Stopped),
            (true, Liveness::NoFile | Liveness::Dead) => (ClusterEvent::Up, ClusterState::Stopped),
        };
        let status = ClusterStatus { state, restarts: 0, pid: None, failure: None };
        let (status_sender, mut status) = watch::channel(status);
        let (down, commands) = mpsc::channel(1);
        let driver = Driver {
            spec: Arc::clone(&spec),
            state,
            status: status_sender,
            commands,
            process: Process::None,
            vanished: VecDeque::new(),
            outage_since: None,
            back_off: BACK_OFF_FIRST,
            deadline: Instant::now() + READY_LIMIT,
            stale_until: Instant::now(),
            failure: None,
        };
        let task = tokio::spawn(driver.run(first));
        let settled = status
            .wait_for(|now| {
                matches!(
                    now.state,
                    ClusterState::Ready | ClusterState::Adopted | ClusterState::Failed
                )
            })
            .await
            .map(|now| now.clone());
        match settled {
            Ok(now) if now.state != ClusterState::Failed => {}
            Ok(now) => return Err(failed(&spec, now.failure)),
            Err(_) => return Err(failed(&spec, Some("its supervisor ended".to_owned()))),
        }
        let cluster = Self { spec, status, down, task };
        if let Err(error) = cluster.prepare().await {
            // Leaving a half prepared server running would hide the failure from the next start.
            cluster.stop().await?;
            return Err(error);
        }
        Ok(cluster)
    }

    /// Its fixed properties, URLs among them.
    #[must_use]
    pub fn spec(&self) -> &ClusterSpec {
        &self.spec
    }

    /// A view of its status that can be waited on.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<ClusterStatus> {
        self.status.clone()
    }

    /// Stops the server and waits for its end.
    ///
    /// # Errors
    /// [`ClusterError::Program`] when it does not stop.
    pub async fn stop(self) -> Result<(), ClusterError> {
        // A driver that has ended already (failed) needs no message.
        let _ = self.down.send(()).await;
        if self.task.await.is_err() {
            return Err(failed(&self.spec, Some("its supervisor panicked".to_owned())));
        }
        let last = self.status.borrow().clone();
        match last.state {
            ClusterState::Stopped | ClusterState::Absent | ClusterState::Failed => Ok(()),
            other => Err(failed(&self.spec, Some(format!("still {other:?} after the stop")))),
        }
    }

    /// Database, roles and schema.
    async fn prepare(&self) -> Result<(), ClusterError> {
        let name = self.spec.kind.as_str();
        let sql = || ClusterError::sql(name);
        let mut admin = self.spec.superuser("postgres").connect().await.map_err(sql())?;
        let exists: bool =
            sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
                .bind(name)
                .fetch_one(&mut admin)
                .await
                .map_err(sql())?;
        if !exists {
            // The name comes from a closed list.
            let text = sqlx::AssertSqlSafe(format!("create database {name}"));
            sqlx::raw_sql(text).execute(&mut admin).await.map_err(sql())?;
        }
        admin.close().await.map_err(sql())?;
        let mut own = self.spec.superuser(name).connect().await.map_err(sql())?;
        crate::roles::install(&mut own, self.spec.kind).await.map_err(sql())?;
        own.close().await.map_err(sql())
    }
}

fn failed(spec: &ClusterSpec, detail: Option<String>) -> ClusterError {
    ClusterError::Program {
        program: "postgres",
        cluster: spec.kind.to_string(),
        detail: detail.unwrap_or_else(|| "it said nothing".to_owned()),
    }
}

/// Stops the server of a data directory that no supervisor of this process runs, if there is one.
/// Returns whether there was.
///
/// # Errors
/// [`ClusterError::Program`] when it does not stop.
pub async fn stop_left_behind(spec: &ClusterSpec) -> Result<bool, ClusterError> {
    match pidfile::look(&spec.data) {
        Liveness::NoFile | Liveness::Dead => Ok(false),
        Liveness::Alive(_) => {
            let spec = spec.clone();
            blocking(move || spec.stop_with_pg_ctl()).await.map(|()| true)
        }
    }
}

struct Driver {
    spec: Arc<ClusterSpec>,
    state: ClusterState,
    status: watch::Sender<ClusterStatus>,
    commands: mpsc::Receiver<()>,
    process: Process,
    /// When the server vanished from a serving state, newest last.
    vanished: VecDeque<Instant>,
    /// Since when it has not served.
    outage_since: Option<Instant>,
    back_off: Duration,
    /// Limit of the present starting or stopping.
    deadline: Instant,
    /// Until when a start that fails on the remains of a dead server is tried again.
    stale_until: Instant,
    failure: Option<String>,
}

impl Driver {
    async fn run(mut self, first: ClusterEvent) {
        let mut event = Some(first);
        loop {
            let current = match event.take() {
                Some(current) => current,
                None => match self.next_event().await {
                    Some(current) => current,
                    // The handle is gone: the server stays for the next supervisor.
                    None => return,
                },
            };
            if current == ClusterEvent::Gone {
                self.note_gone();
            }
            let (next, effects) = match step(self.state, current) {
                Ok(moved) => moved,
                Err(illegal) => {
                    tracing::error!(cluster = %self.spec.kind, "supervisor: {illegal}");
                    continue;
                }
            };
            self.state = next;
            if next == ClusterState::Ready {
                self.outage_since = None;
                self.back_off = BACK_OFF_FIRST;
            }
            for effect in effects {
                if let Some(produced) = self.perform(*effect).await {
                    event = Some(produced);
                }
            }
            self.publish();
            if event.is_none()
                && matches!(
                    next,
                    ClusterState::Stopped | ClusterState::Absent | ClusterState::Failed
                )
            {
                return;
            }
        }
    }

    fn note_gone(&mut self) {
        self.process = Process::None;
        if matches!(self.state, ClusterState::Ready | ClusterState::Adopted) {
            let now = Instant::now();
            tracing::warn!(cluster = %self.spec.kind, "the server vanished, starting it again");
            self.vanished.push_back(now);
            self.vanished.retain(|at| now.duration_since(*at) < VANISHED_WINDOW);
            self.outage_since = Some(now);
        }
    }

    fn publish(&self) {
        let pid = match &self.process {
            Process::None => None,
            Process::Child(child) => child.id().and_then(|id| i32::try_from(id).ok()),
            Process::Adopted(pid) => Some(*pid),
        };
        self.status.send_modify(|status| {
            status.state = self.state;
            status.pid = pid;
            status.failure.clone_from(&self.failure);
        });
    }

    async fn perform(&mut self, effect: ClusterEffect) -> Option<ClusterEvent> {
        match effect {
            ClusterEffect::Initialise => Some(self.initialise().await),
            ClusterEffect::RemovePartial => {
                if let Err(error) = self.spec.remove_partial() {
                    tracing::warn!(cluster = %self.spec.kind, "{error}");
                }
                None
            }
            ClusterEffect::Spawn => {
                if pidfile::look(&self.spec.data) == Liveness::Dead {
                    self.stale_until = Instant::now() + STALE_LIMIT;
                    self.await_stale_process().await;
                }
                self.spawn().await
            }
            ClusterEffect::Watch => {
                self.adopt();
                None
            }
            ClusterEffect::SpawnAfterBackOff => self.spawn_after_back_off().await,
            ClusterEffect::StopChild => {
                self.deadline = Instant::now() + STOP_LIMIT;
                self.signal(Signal::SIGINT);
                matches!(self.process, Process::None).then_some(ClusterEvent::StopDone)
            }
            ClusterEffect::StopAdopted => {
                let spec = Arc::clone(&self.spec);
                if let Err(error) = blocking(move || spec.stop_with_pg_ctl()).await {
                    tracing::error!(cluster = %self.spec.kind, "{error}");
                }
                Some(ClusterEvent::StopDone)
            }
            ClusterEffect::Quit => {
                self.deadline = Instant::now() + STOP_LIMIT;
                self.signal(Signal::SIGQUIT);
                None
            }
            ClusterEffect::Report => {
                let text = self.spec.last_log_lines();
                let earlier = self.failure.take().unwrap_or_default();
                self.failure = Some(format!("{earlier}\n{text}").trim().to_owned());
                None
            }
        }
    }

    async fn initialise(&mut self) -> ClusterEvent {
        let spec = Arc::clone(&self.spec);
        match blocking(move || spec.initialise()).await {
            Ok(()) => ClusterEvent::InitDone,
            Err(error) => {
                self.failure = Some(error.to_string());
                ClusterEvent::InitFailed
            }
        }
    }

    /// A dead server's process that nobody has collected keeps its pid file valid in the eyes of the
    /// next one.
    async fn await_stale_process(&self) {
        let Some(file) = pidfile::read(&self.spec.data) else { return };
        let there = || kill(Pid::from_raw(file.pid), None).is_ok();
        while there() && Instant::now() < self.stale_until {
            sleep(LOOK_INTERVAL).await;
        }
    }

    async fn spawn(&mut self) -> Option<ClusterEvent> {
        self.end_previous().await;
        self.deadline = Instant::now() + READY_LIMIT;
        match self.spawn_child() {
            Ok(child) => {
                self.process = Process::Child(child);
                None
            }
            Err(error) => {
                self.failure = Some(error.to_string());
                Some(ClusterEvent::Gone)
            }
        }
    }

    /// A server that was told to quit must be gone before the next is started.
    async fn end_previous(&mut self) {
        if let Process::Child(child) = &mut self.process
            && timeout(STALE_LIMIT, child.wait()).await.is_err()
        {
            // It is a child that ignores SIGQUIT; nothing gentler is left, and an error means it ended.
            let _ = child.kill().await;
        }
        self.process = Process::None;
    }

    fn spawn_child(&self) -> Result<tokio::process::Child, ClusterError> {
        self.spec.configure()?;
        let command = self.spec.server()?;
        let program = self.spec.binaries.program("postgres");
        tokio::process::Command::from(command).spawn().map_err(ClusterError::io("run", &program))
    }

    fn adopt(&mut self) {
        if let Liveness::Alive(file) = pidfile::look(&self.spec.data) {
            self.process = Process::Adopted(file.pid);
            // The caller may be another one than that of the first start.
            match self.spec.configure() {
                Ok(()) => self.signal(Signal::SIGHUP),
                Err(error) => tracing::warn!(cluster = %self.spec.kind, "{error}"),
            }
        } else {
            // It ended between the look and now; the next look at it says so.
            self.process = Process::Adopted(i32::MAX);
        }
    }

    async fn spawn_after_back_off(&mut self) -> Option<ClusterEvent> {
        let outage_too_long = self.outage_since.is_some_and(|since| since.elapsed() > READY_LIMIT);
        if self.vanished.len() >= VANISHED_LIMIT || outage_too_long {
            self.failure = Some(format!(
                "vanished {} times in {} s, or did not come back within {} s",
                self.vanished.len(),
                VANISHED_WINDOW.as_secs(),
                READY_LIMIT.as_secs()
            ));
            return Some(ClusterEvent::GaveUp);
        }
        let wait = self.back_off;
        self.back_off = (self.back_off * 2).min(BACK_OFF_MAX);
        self.publish();
        tokio::select! {
            // A stop must not wait for a restart.
            biased;
            Some(()) = self.commands.recv() => return Some(ClusterEvent::Down),
            () = sleep(wait) => {}
        }
        self.status.send_modify(|status| status.restarts += 1);
        self.spawn().await
    }

    fn signal(&self, signal: Signal) {
        let pid = match &self.process {
            Process::None => None,
            Process::Child(child) => child.id().and_then(|id| i32::try_from(id).ok()),
            Process::Adopted(pid) => Some(*pid),
        };
        if let Some(pid) = pid
            && let Err(error) = kill(Pid::from_raw(pid), signal)
        {
            tracing::warn!(cluster = %self.spec.kind, "send {signal} to process {pid}: {error}");
        }
    }

    /// Waits for whatever comes next in the present state; `None` when nobody holds the handle.
    async fn next_event(&mut self) -> Option<ClusterEvent> {
        match self.state {
            ClusterState::Starting | ClusterState::Restarting => loop {
                let event = tokio::select! {
                    // A stop first; then the end of the process, which makes readiness moot.
                    biased;
                    told = self.commands.recv() => return told.map(|()| ClusterEvent::Down),
                    () = gone(&mut self.process) => ClusterEvent::Gone,
                    () = ready(&self.spec) => ClusterEvent::BecameReady,
                    () = sleep_until(self.deadline) => ClusterEvent::TimedOut,
                };
                if event == ClusterEvent::Gone && Instant::now() < self.stale_until {
                    sleep(BACK_OFF_FIRST).await;
                    if self.spawn().await.is_none() {
                        continue;
                    }
                }
                return Some(event);
            },
            ClusterState::Ready | ClusterState::Adopted => {
                tokio::select! {
                    biased;
                    told = self.commands.recv() => told.map(|()| ClusterEvent::Down),
                    () = gone(&mut self.process) => Some(ClusterEvent::Gone),
                }
            }
            ClusterState::Stopping => {
                tokio::select! {
                    biased;
                    () = gone(&mut self.process) => Some(ClusterEvent::StopDone),
                    () = sleep_until(self.deadline) => Some(ClusterEvent::TimedOut),
                }
            }
            // `run` never waits in these: each has an effect that yields the next event, or ends.
            ClusterState::Absent
            | ClusterState::Initialising
            | ClusterState::Stopped
            | ClusterState::Failed => self.commands.recv().await.map(|()| ClusterEvent::Down),
        }
    }
}
