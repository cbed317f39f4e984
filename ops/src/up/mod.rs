//! `penstock up`: supervised clusters and both services on one machine, until Ctrl-C.
//!
//! Inputs: configuration, data root. Outputs: addresses and what happens, on the terminal; logs in the
//! data root. Invariants: nothing is touched before the whole configuration is good; Ctrl-C stops
//! services first, then clusters. A second Ctrl-C changes nothing: stops have limits of their own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use penstock_clusters::{ClusterError, ClusterKind, ClusterState, ClusterStatus};
use penstock_config::{Config, Process};
use penstock_telemetry::{Guard, LogOptions, LogTarget, Service, TelemetryError};

use crate::arguments::Output;
use crate::engine_files::{Places, failed, key};
use crate::exit;
use crate::progress::Progress;
use crate::stack::{Exit, Notice, Stack, StackOptions};

/// Arguments of `penstock up`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Managed clusters also listen on 127.0.0.1 (ports 25432 and 25433, with passwords)
    #[arg(long)]
    pub tcp: bool,
}

/// Runs the command.
///
/// # Errors
/// An I/O error of the terminal.
pub async fn run(args: Args, config_file: Option<PathBuf>) -> anyhow::Result<i32> {
    let (config, options) = match prepare(&args, config_file.as_deref()) {
        Ok(prepared) => prepared,
        Err(status) => return Ok(status),
    };
    let _log = match open_log(&options, &config) {
        Ok(guard) => guard,
        Err(error) => {
            eprintln!("{error}");
            let of_filter = matches!(error, TelemetryError::Filter { .. });
            return Ok(if of_filter { exit::CONFIG } else { exit::UNAVAILABLE });
        }
    };
    let places = Places::of(&config, options.root.path());
    match key::ensure(&places) {
        Ok(Some(id)) => say(&format!("the engine's manifests are signed with the new key {id}")),
        Ok(None) => {}
        Err(fault) => return failed(&fault, Output::Human),
    }
    // Before anything starts, so that a signal in the middle is not lost.
    let mut stop = Stop::new()?;
    let notices: Notice = Arc::new(|line| {
        tracing::info!("{line}");
        say(&line);
    });
    let progress = Progress::start("starting the clusters and the services");
    let started = tokio::select! {
        // A stop while the clusters come up: they are left to the next start, which adopts them.
        biased;
        () = stop.wait() => {
            drop(progress);
            say("stopped while starting; next: `penstock down` stops what is running already");
            return Ok(exit::CLEAN);
        }
        started = Stack::start(&options, &notices) => started,
    };
    drop(progress);
    let stack = match started {
        Ok(stack) => stack,
        Err(error) => return Ok(refused(&error)),
    };
    print_addresses(&options, &stack, &config);
    let ended = tokio::select! {
        // As above: the operator's wish first.
        biased;
        () = stop.wait() => None,
        exit = stack.ended() => Some(exit),
        () = watch_readiness(&stack) => None,
        () = watch_clusters(&stack, &notices) => None,
    };
    let status = match ended {
        None => exit::CLEAN,
        Some(Exit::Code(code)) => code,
        Some(Exit::Signal(_) | Exit::NotStarted) => exit::UNAVAILABLE,
    };
    let progress = Progress::start("stopping");
    let stopped = stack.stop(&notices).await;
    drop(progress);
    Ok(stopped.map_or_else(|error| refused(&error), |()| status))
}

/// Everything that can be judged before anything is touched; an error is the exit status, its reason is
/// printed.
fn prepare(args: &Args, config_file: Option<&Path>) -> Result<(Config, StackOptions), i32> {
    let config = penstock_config::load(Process::Tool, config_file).map_err(|error| {
        eprintln!("{error}");
        exit::CONFIG
    })?;
    let mut options =
        StackOptions::from_config(&config, config_file).map_err(|error| refused(&error))?;
    options.tcp = args.tcp;
    let missing: Vec<String> =
        options.missing_programs().iter().map(|path| path.display().to_string()).collect();
    if !missing.is_empty() {
        eprintln!(
            "find {}: not there; next: cargo build --release, then start penstock from the same directory",
            missing.join(", ")
        );
        return Err(exit::UNAVAILABLE);
    }
    if let Some(notice) = options.root.notice() {
        say(notice);
    }
    Ok((config, options))
}

/// A line for the operator. A terminal that is gone must not end the supervisor.
fn say(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Prints why the stack did not come up; the status says whether somebody else is at work.
fn refused(error: &ClusterError) -> i32 {
    eprintln!("{error}");
    match error {
        ClusterError::Locked { .. } => exit::FENCED,
        _ => exit::UNAVAILABLE,
    }
}

/// Where the panel's page is.
#[must_use]
pub fn panel_address(config: &Config) -> String {
    let panel = &config.areas.panel;
    let host = &panel.webui_bind;
    let host = if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]")
    } else {
        host.clone()
    };
    format!("http://{host}:{}/dashboard", panel.webui_port)
}

fn print_addresses(options: &StackOptions, stack: &Stack, config: &Config) {
    say(&format!("{:<20}{}", "data root", options.root.path().display()));
    for kind in ClusterKind::ALL {
        match options.cluster(kind) {
            Ok(Some(_)) => say(&format!("{kind:<20}penstock psql {kind}")),
            Ok(None) => say(&format!("{kind:<20}external")),
            Err(error) => say(&format!("{kind:<20}{error}")),
        }
    }
    for (service, port) in [
        (stack.ingest(), config.areas.telemetry.metrics_port_ingest),
        (stack.execution(), config.areas.telemetry.metrics_port_execution),
    ] {
        let spec = service.spec();
        let metrics = if port == 0 {
            String::new()
        } else {
            format!(", metrics http://127.0.0.1:{port}/metrics")
        };
        say(&format!("{:<20}log {}{metrics}", spec.name, spec.log_file().display()));
    }
    say(&format!("{:<20}{}", "panel", panel_address(config)));
    if config.areas.feeds.l3_enable && options.ingest_key.is_none() {
        say("no order-by-order books: set PENSTOCK_INGEST_API_KEY and PENSTOCK_INGEST_API_SECRET,");
        say("of a key without trading rights; L3_ENABLE=false turns them off");
    }
    say("Ctrl-C stops everything");
}

/// Shows that the first minute is a warm-up and not a hang. Never returns: what ends the command is a
/// signal or the end of the services.
async fn watch_readiness(stack: &Stack) {
    for (service, marker, while_waiting) in [
        (
            stack.ingest(),
            "INGEST_READY_FOR_EXECUTION_ATTACH",
            "warming up: waiting for the first valid epoch",
        ),
        (stack.execution(), "EXECUTION_ATTACHED", "waiting for execution to attach"),
    ] {
        let progress = Progress::start(while_waiting);
        crate::progress::marker_in(&service.spec().log_file(), marker).await;
        drop(progress);
        say(marker);
    }
    std::future::pending::<()>().await;
}

/// Says when a server vanished, came back, or stays down. Never returns, as above.
async fn watch_clusters(stack: &Stack, notices: &Notice) {
    let watches = stack.clusters().iter().map(|cluster| async move {
        let kind = cluster.spec().kind;
        let mut status = cluster.status();
        let mut last = status.borrow().state;
        while status.changed().await.is_ok() {
            let now = status.borrow_and_update().clone();
            if now.state != last {
                last = now.state;
                notices(cluster_line(kind, &now));
            }
        }
    });
    futures_util::future::join_all(watches).await;
    std::future::pending::<()>().await;
}

fn cluster_line(kind: ClusterKind, status: &ClusterStatus) -> String {
    match status.state {
        ClusterState::Restarting => {
            format!("cluster {kind}: the server vanished, starting it again")
        }
        ClusterState::Ready => format!("cluster {kind}: ready, restart {}", status.restarts),
        ClusterState::Failed => {
            let why = status.failure.as_deref().unwrap_or("it said nothing");
            format!(
                "cluster {kind}: stays down: {why}\nnext: remove the cause, then `penstock down` and `penstock up`"
            )
        }
        ClusterState::Absent
        | ClusterState::Initialising
        | ClusterState::Stopped
        | ClusterState::Starting
        | ClusterState::Adopted
        | ClusterState::Stopping => format!("cluster {kind}: {:?}", status.state),
    }
}

/// The supervisor's own log, beside those of the services.
fn open_log(options: &StackOptions, config: &Config) -> Result<Guard, TelemetryError> {
    penstock_telemetry::init(LogOptions {
        service: Service::Ops,
        domain: config.areas.clusters.domain.clone(),
        filter: config.areas.telemetry.log_level.clone(),
        target: LogTarget::File(options.root.log().join("penstock.jsonl")),
    })
}

/// SIGINT or SIGTERM.
struct Stop {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Stop {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn wait(&mut self) {
        tokio::select! {
            // Either is the same wish.
            biased;
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
