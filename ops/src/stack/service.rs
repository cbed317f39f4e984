//! Purpose: keep one service running. Inputs: a program with its environment, a stop. Outputs: its
//! status. Invariants: the service is a child in a process group of its own, so that Ctrl-C reaches the
//! supervisor first; its standard output is its log; it gets SIGTERM and time before SIGKILL; whether
//! it is started again is decided by [`super::restart::judge`] alone.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::Notice;
use super::restart::{Exit, STARTS_WINDOW, Verdict, judge};

/// Longest clean stop of a service; execution needs up to 20 s.
const STOP_LIMIT: Duration = Duration::from_secs(30);
/// How often a process that is not our child is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// A service to run.
#[derive(Debug, Clone)]
pub struct ServiceSpec {
    /// Name of the process: the log is `<name>.jsonl`.
    pub name: &'static str,
    /// Program.
    pub program: PathBuf,
    /// Arguments.
    pub arguments: Vec<String>,
    /// Variables set for it.
    pub set: Vec<(String, String)>,
    /// Variables taken away from it.
    pub removed: Vec<&'static str>,
    /// Directory of the log.
    pub log: PathBuf,
    /// Directory of the file that names its process.
    pub state: PathBuf,
}

impl ServiceSpec {
    /// Its log.
    #[must_use]
    pub fn log_file(&self) -> PathBuf {
        self.log.join(format!("{}.jsonl", self.name))
    }

    /// Where what it writes to standard error goes: messages of a start that fails, a panic.
    #[must_use]
    pub fn error_file(&self) -> PathBuf {
        self.log.join(format!("{}.stderr", self.name))
    }

    fn pid_file(&self) -> PathBuf {
        self.state.join(format!("{}.pid", self.name))
    }
}

/// How a service stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceStatus {
    /// Its process, while it runs.
    pub pid: Option<u32>,
    /// How often it has been started.
    pub starts: u32,
    /// How it ended last.
    pub last_exit: Option<Exit>,
    /// It has ended and is not started again.
    pub down: bool,
}

/// A service that is kept running.
#[derive(Debug)]
pub struct Service {
    spec: ServiceSpec,
    status: watch::Receiver<ServiceStatus>,
    stop: mpsc::Sender<()>,
    task: JoinHandle<()>,
}

impl Service {
    /// Starts it. A process that an earlier supervisor left behind is stopped first: two instances
    /// would fight for the fence.
    pub async fn start(spec: ServiceSpec, notices: Notice) -> Self {
        stop_left_behind(&spec, &notices).await;
        let status = ServiceStatus { pid: None, starts: 0, last_exit: None, down: false };
        let (sender, status) = watch::channel(status);
        let (stop, commands) = mpsc::channel(1);
        let keeper = Keeper {
            spec: spec.clone(),
            status: sender,
            commands,
            notices,
            starts: VecDeque::new(),
            pause: Duration::ZERO,
        };
        let task = tokio::spawn(keeper.run());
        Self { spec, status, stop, task }
    }

    /// What it was started from.
    #[must_use]
    pub const fn spec(&self) -> &ServiceSpec {
        &self.spec
    }

    /// A view of its status that can be waited on.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<ServiceStatus> {
        self.status.clone()
    }

    /// Waits until it has ended for good.
    pub async fn down(&self) -> Option<Exit> {
        let mut status = self.status.clone();
        // An ended keeper says nothing more: what it said last holds.
        let last = status.wait_for(|now| now.down).await.map(|now| now.last_exit);
        last.unwrap_or_else(|_| self.status.borrow().last_exit)
    }

    /// Stops it: SIGTERM, after half a minute SIGKILL.
    pub async fn stop(self) -> Option<Exit> {
        // A keeper that has ended already needs no message.
        let _ = self.stop.send(()).await;
        if self.task.await.is_err() {
            tracing::error!("the keeper of {} panicked", self.spec.name);
        }
        self.status.borrow().last_exit
    }
}

struct Keeper {
    spec: ServiceSpec,
    status: watch::Sender<ServiceStatus>,
    commands: mpsc::Receiver<()>,
    notices: Notice,
    starts: VecDeque<Instant>,
    pause: Duration,
}

impl Keeper {
    async fn run(mut self) {
        loop {
            let started = Instant::now();
            self.starts.push_back(started);
            self.starts.retain(|at| started.duration_since(*at) < STARTS_WINDOW);
            let exit = match self.spawn() {
                Ok(child) => match self.watch(child).await {
                    Some(exit) => exit,
                    None => return,
                },
                Err(error) => {
                    (self.notices)(format!("{}: {error}", self.spec.name));
                    Exit::NotStarted
                }
            };
            let verdict = judge(exit, started.elapsed(), self.starts.len(), self.pause);
            self.ended(exit, verdict);
            let Verdict::RestartAfter(pause) = verdict else { return };
            self.pause = pause;
            tokio::select! {
                // A stop must not wait for a restart.
                biased;
                _ = self.commands.recv() => {
                    self.status.send_modify(|status| status.down = true);
                    return;
                }
                () = sleep(pause) => {}
            }
        }
    }

    fn ended(&self, exit: Exit, verdict: Verdict) {
        let next = match verdict {
            Verdict::RestartAfter(pause) => {
                format!("starting it again in {} ms", pause.as_millis())
            }
            Verdict::Finished => "finished".to_owned(),
            Verdict::StayDown => format!("stays down; its last words: {}", self.last_words()),
        };
        (self.notices)(format!("{} ended: {exit}; {next}", self.spec.name));
        self.status.send_modify(|status| {
            status.pid = None;
            status.last_exit = Some(exit);
            status.down = !matches!(verdict, Verdict::RestartAfter(_));
        });
    }

    /// The end of what it wrote to standard error, or where its log is.
    fn last_words(&self) -> String {
        let text = std::fs::read_to_string(self.spec.error_file()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        let last = lines[lines.len().saturating_sub(5)..].join("\n");
        if last.is_empty() { format!("see {}", self.spec.log_file().display()) } else { last }
    }

    fn spawn(&self) -> std::io::Result<Child> {
        let shown = |error: std::io::Error| {
            let program = self.spec.program.display();
            std::io::Error::new(
                error.kind(),
                format!(
                    "start {program}: {error}; next: build the services, they are looked for next to this program"
                ),
            )
        };
        std::fs::create_dir_all(&self.spec.log)?;
        std::fs::create_dir_all(&self.spec.state)?;
        let log =
            std::fs::OpenOptions::new().create(true).append(true).open(self.spec.log_file())?;
        let errors = std::fs::File::create(self.spec.error_file())?;
        let mut command = Command::new(&self.spec.program);
        command.args(&self.spec.arguments);
        // First what the environment must not bring along, then what the service is given under the
        // same names.
        for name in &self.spec.removed {
            command.env_remove(name);
        }
        command.envs(self.spec.set.iter().cloned());
        command.stdin(Stdio::null()).stdout(log).stderr(errors).process_group(0);
        let child = command.spawn().map_err(shown)?;
        if let Some(pid) = child.id() {
            // Whole or not at all: an empty file would hide the process from the next supervisor.
            let part = self.spec.pid_file().with_extension("part");
            std::fs::write(&part, format!("{pid}\n"))?;
            std::fs::rename(&part, self.spec.pid_file())?;
        }
        self.status.send_modify(|status| {
            status.pid = child.id();
            status.starts += 1;
        });
        Ok(child)
    }

    /// Waits for the end of the child; `None` when it was told to stop.
    async fn watch(&mut self, mut child: Child) -> Option<Exit> {
        tokio::select! {
            // The end first: a child that has ended needs no stop.
            biased;
            ended = child.wait() => Some(ended.map_or(Exit::NotStarted, Exit::from_status)),
            _ = self.commands.recv() => {
                let exit = end(&mut child).await;
                self.status.send_modify(|status| {
                    status.pid = None;
                    status.last_exit = Some(exit);
                    status.down = true;
                });
                None
            }
        }
    }
}

/// SIGTERM, and SIGKILL when that does not help.
async fn end(child: &mut Child) -> Exit {
    if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()) {
        // An error means that it has ended in this moment; the wait below says so.
        let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
    }
    if let Ok(ended) = timeout(STOP_LIMIT, child.wait()).await {
        return ended.map_or(Exit::NotStarted, Exit::from_status);
    }
    // As above.
    let _ = child.start_kill();
    child.wait().await.map_or(Exit::NotStarted, Exit::from_status)
}

/// Stops the process that an earlier supervisor left behind, if it is there and really that program.
/// Returns whether there was one.
pub async fn stop_left_behind(spec: &ServiceSpec, notices: &Notice) -> bool {
    let Some(pid) = left_behind(&spec.pid_file(), &spec.program) else { return false };
    notices(format!("{} of an earlier supervisor runs as process {pid}: stopping it", spec.name));
    for (signal, limit) in [(Signal::SIGTERM, STOP_LIMIT), (Signal::SIGKILL, STOP_LIMIT)] {
        // An error means that it has ended.
        let _ = kill(Pid::from_raw(pid), signal);
        let deadline = Instant::now() + limit;
        while left_behind(&spec.pid_file(), &spec.program).is_some() && Instant::now() < deadline {
            sleep(LOOK_INTERVAL).await;
        }
    }
    true
}

fn left_behind(pid_file: &Path, program: &Path) -> Option<i32> {
    let pid: i32 =
        std::fs::read_to_string(pid_file).ok()?.trim().parse().ok().filter(|pid| *pid > 1)?;
    kill(Pid::from_raw(pid), None).ok()?;
    let name = program.file_name()?.to_string_lossy().into_owned();
    // A zombie has an empty command line; another program that got the number has another name.
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    String::from_utf8_lossy(&line).contains(&name).then_some(pid)
}
