//! `penstock down`: ends what `penstock up` started, from another terminal or after it was killed.
//!
//! Inputs: the data root. Outputs: nothing runs any more. Invariants: a living supervisor is asked and
//! does the stopping itself; only what a dead one left behind is stopped from here; external clusters
//! are not touched.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use penstock_clusters::{ClusterError, ClusterKind, SupervisorLock};
use penstock_config::Process;
use tokio::time::{Instant, sleep};

use crate::exit;
use crate::progress::Progress;
use crate::stack::{Notice, ServiceSpec, StackOptions, stop_left_behind};

/// Longest stop of a whole stack: two services with 30 s each, two clusters with 30 s.
const STOP_LIMIT: Duration = Duration::from_secs(130);
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// Runs the command.
///
/// # Errors
/// None at present beyond those it prints.
pub async fn run(config_file: Option<PathBuf>) -> anyhow::Result<i32> {
    let config = match penstock_config::load(Process::Tool, config_file.as_deref()) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("{error}");
            return Ok(exit::CONFIG);
        }
    };
    let options = match StackOptions::from_config(&config, config_file.as_deref()) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("{error}");
            return Ok(exit::UNAVAILABLE);
        }
    };
    match down(&options).await {
        Ok(true) => println!("stopped"),
        Ok(false) => println!("nothing was running in {}", options.root.path().display()),
        Err(error) => {
            eprintln!("{error}");
            return Ok(exit::UNAVAILABLE);
        }
    }
    Ok(exit::CLEAN)
}

/// Stops everything of a data root. Returns whether something ran.
///
/// # Errors
/// [`ClusterError`] when something does not stop.
pub async fn down(options: &StackOptions) -> Result<bool, ClusterError> {
    let _progress = Progress::start("stopping");
    let mut stopped = false;
    if let Some(pid) = SupervisorLock::holder(&options.root)? {
        println!("asking the supervisor (process {pid}) to stop");
        ask(options, pid).await?;
        stopped = true;
    }
    // What a killed supervisor left behind. With the lock nobody starts anything meanwhile.
    let _lock = match SupervisorLock::take(&options.root) {
        Ok(lock) => lock,
        Err(ClusterError::Io { .. }) if !options.root.path().exists() => return Ok(stopped),
        Err(error) => return Err(error),
    };
    let notices: Notice = Arc::new(|line| println!("{line}"));
    for name in [crate::stack::EXECUTION, crate::stack::INGEST] {
        stopped |= stop_left_behind(&named(options, name), &notices).await;
    }
    for kind in ClusterKind::ALL {
        let data = options.root.cluster(kind);
        if !data.exists() {
            continue;
        }
        if let Some(spec) = options.cluster(kind)?
            && penstock_clusters::stop_left_behind(&spec).await?
        {
            println!("stopped the {kind} cluster");
            stopped = true;
        }
    }
    Ok(stopped)
}

/// The places of a service; what it is started with does not matter for its end.
fn named(options: &StackOptions, name: &'static str) -> ServiceSpec {
    ServiceSpec {
        name,
        program: PathBuf::from(name),
        arguments: Vec::new(),
        set: Vec::new(),
        removed: Vec::new(),
        log: options.root.log(),
        state: options.root.state(),
    }
}

async fn ask(options: &StackOptions, pid: u32) -> Result<(), ClusterError> {
    if let Ok(pid) = i32::try_from(pid)
        && pid > 1
    {
        // An error means that it has ended in this moment; the lock below says so.
        let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
    }
    let deadline = Instant::now() + STOP_LIMIT;
    while SupervisorLock::holder(&options.root)?.is_some() {
        if Instant::now() >= deadline {
            return Err(ClusterError::Locked { path: options.root.lock_file() });
        }
        sleep(LOOK_INTERVAL).await;
    }
    Ok(())
}
