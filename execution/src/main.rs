//! `run-execution-live`: configuration, log, signals, exit code. Everything else is in the library.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use penstock_alerts::board::{Occurrence, Place};
use penstock_alerts::{AlertSource, Settings as AlertSettings};
use penstock_config::{Config, Process, load};
use penstock_execution::attach::{decision_pool, run_check};
use penstock_execution::audit::{LogFilter, log_redactor};
use penstock_execution::exit::{self, StartError};
use penstock_execution::service;
use penstock_execution::settings::{RunMode, Settings};
use penstock_telemetry::{LogOptions, LogTarget, Service, filter_lines, flush, init, invariant};
use penstock_types::vocab::{ReasonCode, StageName, SysMode};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Decides on published data and trades; opens no market data socket.
#[derive(Debug, Parser)]
#[command(name = "run-execution-live", version)]
struct Arguments {
    /// Configuration file; `penstock.toml` in the working directory when none is named.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Checks configuration, cluster, schema, publication, epoch and coverage, and exits.
    #[arg(long, conflicts_with = "once")]
    check: bool,
    /// One evaluation in NORMAL, its position managed to the end, exit.
    #[arg(long)]
    once: bool,
    /// Begins the engine anew over files that are there; every later proof carries the flag.
    #[arg(long, conflicts_with = "check")]
    cold_start: bool,
    /// Takes the engine's state over under the configuration of this SHA-256, which has to be the one that is in
    /// force; asked for once, when the newest snapshot is of another one.
    #[arg(long, value_name = "SHA256", value_parser = sha256, conflicts_with_all = ["check", "cold_start"])]
    accept_config: Option<[u8; 32]>,
    /// Forces the best candidate that fails for economic reasons only.
    #[arg(long, requires = "once")]
    proof: bool,
}

/// A hash of the command line.
fn sha256(text: &str) -> Result<[u8; 32], String> {
    let bytes = hex::decode(text).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| "64 hexadecimal digits, as `configs/` names its files".to_owned())
}

pub(crate) fn main() -> ExitCode {
    // Only a test build has failpoints; the shipped binary never looks at `FAILPOINTS`.
    let _failpoints = fail::has_failpoints().then(fail::FailScenario::setup);
    let arguments = Arguments::parse();
    let config = match load(Process::Execution, arguments.config.as_deref()) {
        Ok(config) => config,
        Err(error) => return end(&error.to_string(), exit::CONFIGURATION),
    };
    let options = LogOptions {
        service: Service::Execution,
        domain: config.areas.clusters.domain.clone(),
        filter: config.areas.telemetry.log_level.clone(),
        target: LogTarget::Stdout,
    };
    let _log = match init(options) {
        Ok(guard) => guard,
        Err(error) => return end(&error.to_string(), exit::CONFIGURATION),
    };
    // Nothing was logged yet but the start of the log.
    let filter = LogFilter(log_redactor(&config));
    let is_first = filter_lines(Box::new(filter));
    debug_assert!(is_first, "main installs the one filter");
    match operate(config, &arguments) {
        Ok(code) => {
            flush();
            ExitCode::from(code)
        }
        Err(error) => {
            tracing::error!("{error}");
            end(&error.to_string(), error.code())
        }
    }
}

fn end(message: &str, code: u8) -> ExitCode {
    flush();
    eprintln!("{message}");
    ExitCode::from(code)
}

fn operate(config: Config, arguments: &Arguments) -> Result<u8, StartError> {
    let state_dir = config.areas.clusters.state_directory.clone();
    let alerts = AlertSettings::of(&config, AlertSource::Execution);
    if !arguments.check {
        if invariant::is_restart_loop(&state_dir, chrono::Utc::now()) {
            tracing::error!("RESTART_LOOP: three broken invariants in ten minutes; staying down");
            last_words(
                &alerts,
                ReasonCode::RestartLoop,
                "three broken invariants in ten minutes, exit 71",
            );
            return Ok(exit::STAYS_DOWN);
        }
        invariant::exit_on_panic(state_dir, move |place, _| {
            // The message of a panic may say anything; the place is one of the source.
            let summary = format!("broken invariant at {place}, exit 70");
            last_words(&alerts, ReasonCode::InvariantViolation, &summary);
        });
    }
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    tracing::info!(config = %config.canonical(), "configuration in force");
    let mode = match (arguments.once, arguments.proof || config.areas.evaluation.route_proof_mode) {
        (true, true) => RunMode::Proof,
        (true, false) => RunMode::Once,
        (false, _) => RunMode::Attach,
    };
    let port = config.areas.telemetry.metrics_port_execution;
    let settings = Settings::new(config, mode)?;
    let settings = if arguments.cold_start { settings.with_cold_engine() } else { settings };
    let settings = settings.accepting(arguments.accept_config);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| StartError::Refused(format!("runtime not started: {e}")))?;
    runtime.block_on(async {
        if arguments.check {
            decision_pool(&settings).await?.close().await;
            return run_check(&settings).await;
        }
        let stop = CancellationToken::new();
        watch_signals(stop.clone())?;
        serve_metrics(port, stop.clone()).await?;
        service::run(settings, stop).await
    })
}

/// The alert of a process that ends without its tasks.
fn last_words(alerts: &AlertSettings, reason: ReasonCode, summary: &str) {
    let occurrence = Occurrence::new(AlertSource::Execution, reason, summary);
    let place = Place { stage: StageName::Shutdown, sys_mode: SysMode::Exit };
    penstock_alerts::last_words::say(alerts, occurrence, place);
}

/// Prometheus text on a loopback port of its own; 0 turns it off.
async fn serve_metrics(port: u16, stop: CancellationToken) -> Result<(), StartError> {
    if port == 0 {
        return Ok(());
    }
    let refused = |e: &dyn std::fmt::Display| StartError::Refused(e.to_string());
    let handle = penstock_telemetry::metrics::install().map_err(|e| refused(&e))?;
    let listener = penstock_telemetry::metrics::bind(port).await.map_err(|e| refused(&e))?;
    tokio::spawn(async move {
        let served =
            penstock_telemetry::metrics::serve(handle, listener, stop.cancelled_owned()).await;
        if let Err(error) = served {
            tracing::warn!("metrics: {error}");
        }
    });
    Ok(())
}

/// SIGTERM and SIGINT ask for the stop; a second one changes nothing.
fn watch_signals(stop: CancellationToken) -> Result<(), StartError> {
    let failed = |e: std::io::Error| StartError::Refused(format!("signals not watched: {e}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stop.cancel();
    });
    Ok(())
}
