//! A second trading service beside the first: the same programs, keys and databases, a panel of its own.
//!
//! Inputs: what the first one is started with. Output: a process that is ended by its own id. Invariant: it is no
//! child of the supervisor, so that nobody starts it again.

use crate::stack::StackOptions;
use anyhow::Context;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};

/// Longest clean stop.
const STOP_LIMIT: Duration = Duration::from_secs(30);
/// Where its panel listens: the first one's port is taken.
const PANEL_ADDRESS: &str = "127.0.0.2";

/// Where its log goes.
pub(super) fn log_file(options: &StackOptions) -> PathBuf {
    options.root.log().join("run-execution-second.jsonl")
}

/// The process.
#[derive(Debug)]
pub(super) struct Second {
    child: Child,
}

impl Second {
    /// Starts it.
    ///
    /// # Errors
    /// When the program or its log cannot be opened.
    pub(super) fn start(options: &StackOptions) -> anyhow::Result<Self> {
        let spec = options.execution()?;
        let path = log_file(options);
        let log = std::fs::OpenOptions::new().create(true).append(true).open(&path);
        let log = log.with_context(|| format!("open {}", path.display()))?;
        let errors = std::fs::File::create(path.with_extension("stderr"))?;
        let mut command = Command::new(&spec.program);
        command.args(&spec.arguments);
        for name in &spec.removed {
            command.env_remove(name);
        }
        command.envs(spec.set).env("WEBUI_BIND", PANEL_ADDRESS);
        command.stdin(Stdio::null()).stdout(log).stderr(errors).process_group(0).kill_on_drop(true);
        let child = command.spawn().with_context(|| format!("start {}", spec.program.display()))?;
        Ok(Self { child })
    }

    /// Ends it: SIGTERM, and SIGKILL when that does not help.
    pub(super) async fn stop(mut self) {
        if let Some(pid) = self.child.id().and_then(|pid| i32::try_from(pid).ok()) {
            // An error means that it has ended in this moment.
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        if tokio::time::timeout(STOP_LIMIT, self.child.wait()).await.is_err() {
            // As above.
            let _ = self.child.kill().await;
        }
    }
}
