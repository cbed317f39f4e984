//! Purpose: the ingest service of a bench, as a process of its own: started, watched, stopped. Inputs: a
//! pair of databases, the addresses of a venue. Outputs: memory and processor time of the process.
//! Invariants: it is the service's own code with its own settings, in a process that holds nothing else,
//! so that its memory is its memory; it ends with the bench, however that ends.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use penstock_config::Process;
use penstock_ingest::settings::Settings;
use penstock_store::ClusterRole;
use penstock_telemetry::{LogOptions, LogTarget, Service as Who};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::super::rig::Databases;
use super::venue::Venue;
use crate::exit;

/// Longest stop; the service loads its spool for ten seconds.
const STOP_LIMIT: Duration = Duration::from_secs(60);
/// Unit of the kernel's processor times towards programs, the same on every machine.
const TICKS_PER_SECOND: u64 = 100;
/// Lines of its log that are shown when it ended by itself.
const TOLD_LINES: usize = 5;

/// A running service.
#[derive(Debug)]
pub(super) struct Service {
    child: Child,
    pid: i32,
    log: PathBuf,
}

/// What a process has used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Usage {
    /// Memory in use, bytes.
    pub(super) rss_bytes: u64,
    /// Most of it so far, bytes.
    pub(super) rss_max_bytes: u64,
    /// Processor time so far.
    pub(super) cpu: Duration,
}

impl Service {
    /// Starts it on a pair of databases.
    ///
    /// # Errors
    /// A process that cannot be started.
    pub(super) fn start(databases: &Databases, venue: &Venue) -> anyhow::Result<Self> {
        let directory = databases.state();
        let log = directory.join("run-ingest.jsonl");
        let child = Command::new(std::env::current_exe()?)
            .args(["bench", "ingest-service"])
            .current_dir(directory)
            .env_clear()
            .env("INGEST_DATABASE_URL", databases.url(ClusterRole::Ingest, "ingest_rw")?)
            .env("DECISION_DATABASE_URL", databases.url(ClusterRole::Decision, "publisher_rw")?)
            .env("PENSTOCK_DATA", directory)
            .env("KRAKEN_WS_PUBLIC_URL", &venue.ws_url)
            .env("KRAKEN_REST_URL", &venue.rest_url)
            // Every pair of the bench's venue.
            .env("EXECUTION_UNIVERSE_LIMIT", "0")
            .env("METRICS_PORT_INGEST", "0")
            // The bench's venue has no single orders.
            .env("L3_ENABLE", "false")
            .stdin(Stdio::null())
            .stdout(std::fs::File::create(&log)?)
            .stderr(std::fs::File::create(directory.join("run-ingest.stderr"))?)
            .kill_on_drop(true)
            .spawn()?;
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
        let pid = pid.ok_or_else(|| anyhow::anyhow!("the service ended at once"))?;
        Ok(Self { child, pid, log })
    }

    /// An error when it has ended by itself.
    ///
    /// # Errors
    /// Its status and the end of its log.
    pub(super) fn check(&mut self) -> anyhow::Result<()> {
        let Some(status) = self.child.try_wait()? else { return Ok(()) };
        let stderr = self.log.with_extension("stderr");
        let mut told = last_lines(&self.log);
        told.extend(last_lines(&stderr));
        anyhow::bail!("ingest ended by itself, {status}: {}", told.join("\n"))
    }

    /// What it has used until now.
    ///
    /// # Errors
    /// A process that is gone.
    pub(super) fn usage(&self) -> anyhow::Result<Usage> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid))?;
        Ok(Usage {
            rss_bytes: kib(&status, "VmRSS:") * 1_024,
            rss_max_bytes: kib(&status, "VmHWM:") * 1_024,
            cpu: cpu(&stat),
        })
    }

    /// Stops it as its operator would, and waits for its end.
    ///
    /// # Errors
    /// A service that does not end well.
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        self.check()?;
        kill(Pid::from_raw(self.pid), Signal::SIGTERM)?;
        let since = Instant::now();
        match tokio::time::timeout(STOP_LIMIT, self.child.wait()).await {
            Ok(status) => {
                let status = status?;
                let told = last_lines(&self.log).join("\n");
                anyhow::ensure!(status.success(), "ingest stopped with {status}: {told}");
                Ok(())
            }
            Err(_) => anyhow::bail!("ingest did not stop within {:?}", since.elapsed()),
        }
    }
}

fn last_lines(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let mut lines: Vec<String> = text.lines().rev().take(TOLD_LINES).map(str::to_owned).collect();
    lines.reverse();
    lines
}

/// A line of `/proc/<pid>/status`, in KiB; zero when it is not there.
fn kib(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// User and system time of `/proc/<pid>/stat`. The second field may contain spaces and ends with the last
/// parenthesis.
fn cpu(stat: &str) -> Duration {
    const UTIME_BEHIND_NAME: usize = 11;
    let behind = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: u64 = behind
        .split_whitespace()
        .skip(UTIME_BEHIND_NAME)
        .take(2)
        .filter_map(|n| n.parse::<u64>().ok())
        .sum();
    Duration::from_millis(ticks * 1_000 / TICKS_PER_SECOND)
}

/// The service's process: what `run-ingest` does, without its metrics.
///
/// # Errors
/// As its own.
pub(in crate::bench) async fn run() -> anyhow::Result<i32> {
    let config = match penstock_config::load(Process::Ingest, None) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("{error}");
            return Ok(exit::CONFIG);
        }
    };
    let _log = penstock_telemetry::init(LogOptions {
        service: Who::Ingest,
        domain: config.areas.clusters.domain.clone(),
        filter: config.areas.telemetry.log_level.clone(),
        target: LogTarget::StdoutJson,
    })?;
    let settings = Settings::from_config(&config)?;
    let (stop, mut terminated) = (CancellationToken::new(), signal(SignalKind::terminate())?);
    let asked = stop.clone();
    tokio::spawn(async move {
        terminated.recv().await;
        asked.cancel();
    });
    // Ctrl-C reaches the whole group of processes; the bench ends this one.
    let _interrupts = signal(SignalKind::interrupt())?;
    let outcome = penstock_ingest::service::run(settings, stop).await;
    penstock_telemetry::flush();
    match outcome {
        Ok(()) => Ok(exit::CLEAN),
        Err(exit) => {
            eprintln!("{exit}");
            Ok(exit.code())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{cpu, kib};
    use std::time::Duration;

    #[test]
    fn memory_and_time_are_read_where_they_stand() {
        let status = "Name:\tx\nVmHWM:\t   2048 kB\nVmRSS:\t 12 kB\n";
        assert_eq!(
            (kib(status, "VmRSS:"), kib(status, "VmHWM:"), kib(status, "Vm:")),
            (12, 2048, 0)
        );
        let stat = "7 (a) b) S 1 7 7 0 -1 4194304 1 0 0 0 150 50 0 0 20 0 4 0 100 0 0";
        assert_eq!(cpu(stat), Duration::from_secs(2));
        assert_eq!(cpu(""), Duration::ZERO);
    }
}
