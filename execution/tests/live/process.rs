//! One life of the binary: started with an environment of its own, read by its log, ended by its id.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tokio::process::{Child, Command};
use tokio::time::{Instant, interval, timeout};

use super::world::{LIMIT, LOOK};

/// A process that runs, or has ended; it is killed with this value.
pub(crate) struct Execution {
    child: Child,
    log: PathBuf,
    errors: PathBuf,
}

impl Execution {
    /// Starts the binary with further arguments; `life` names its log. Nothing of the test's own environment
    /// reaches it.
    pub(crate) fn start(
        directory: &Path,
        life: &str,
        arguments: &[&str],
        environment: &[(&'static str, String)],
    ) -> Self {
        let file = |end: &str| directory.join(format!("{life}.{end}"));
        let (log, errors) = (file("jsonl"), file("err"));
        let open = |path: &Path| std::fs::File::create(path).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_run-execution-live"))
            .arg("--config")
            .arg(directory.join("penstock.toml"))
            .args(arguments)
            .env_clear()
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(open(&log))
            .stderr(open(&errors))
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self { child, log, errors }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// Lines of its log that carry a marker.
    pub(crate) fn markers(&self, name: &str) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|line| line["marker"] == name).collect()
    }

    /// Waits until it has said a marker, and gives the first.
    pub(crate) async fn until_marker(&mut self, name: &str) -> Value {
        let end = Instant::now() + LIMIT;
        let mut looks = interval(LOOK);
        loop {
            if let Some(line) = self.markers(name).into_iter().next() {
                return line;
            }
            let ended = self.child.try_wait().unwrap();
            assert!(
                ended.is_none() && Instant::now() < end,
                "{name} was not said, status {ended:?}\n{}",
                self.last_words()
            );
            looks.tick().await;
        }
    }

    /// True while it runs.
    pub(crate) fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        match timeout(LIMIT, self.child.wait()).await {
            Ok(status) => status.unwrap(),
            Err(_) => panic!("it did not end within {LIMIT:?}\n{}", self.last_words()),
        }
    }

    /// What it wrote to stderr.
    pub(crate) fn errors(&self) -> String {
        std::fs::read_to_string(&self.errors).unwrap_or_default()
    }

    /// Kills it as the kernel does when memory is short.
    pub(crate) async fn kill(&mut self) {
        self.signal(Signal::SIGKILL);
        self.ended().await;
    }

    /// Asks for a clean stop and gives the exit code.
    pub(crate) async fn stop(&mut self) -> Option<i32> {
        self.signal(Signal::SIGTERM);
        self.ended().await.code()
    }

    /// Stops it as it stands, and waits until the kernel has.
    pub(crate) async fn sleep(&mut self) {
        self.signal(Signal::SIGSTOP);
        until("the stop", || self.sleeps()).await;
    }

    /// True while it is stopped.
    pub(crate) fn sleeps(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        // The state follows the name, which stands in brackets and may hold anything.
        stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('T'))
    }

    /// Lets it go on.
    pub(crate) fn go_on(&self) {
        self.signal(Signal::SIGCONT);
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.pid()).unwrap()), signal).unwrap();
    }

    /// The end of its log without what every line says, and its stderr: for messages of failures.
    pub(crate) fn last_words(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let tail = lines[lines.len().saturating_sub(40)..].join("\n");
        format!("{tail}\n{}", self.errors())
    }
}

/// Looks until something holds.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + LIMIT;
    let mut looks = interval(LOOK);
    while !holds() {
        assert!(Instant::now() < end, "{what} did not come within {LIMIT:?}");
        looks.tick().await;
    }
}
