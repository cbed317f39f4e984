//! `run-ingest`: configuration, log, signals, exit status. Everything else is in the library.

use clap::Parser;
use penstock_config::{Config, EXIT_CONFIG, Process, load};
use penstock_ingest::exit::Exit;
use penstock_ingest::service::{self, last_words};
use penstock_ingest::settings::Settings;
use penstock_telemetry::{LogOptions, LogTarget, Service, flush, init, invariant};
use penstock_types::vocab::ReasonCode;
use std::path::PathBuf;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Records Kraken spot market data and publishes it to the decision cluster.
#[derive(Debug, Parser)]
#[command(name = "run-ingest", version)]
struct Arguments {
    /// Configuration file; `penstock.toml` in the working directory when none is named.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Checks configuration, clusters, schema, fence and spool, and exits.
    #[arg(long)]
    check: bool,
}

fn main() {
    let arguments = Arguments::parse();
    let config = match load(Process::Ingest, arguments.config.as_deref()) {
        Ok(config) => config,
        Err(error) => end(&error.to_string(), EXIT_CONFIG),
    };
    let options = LogOptions {
        service: Service::Ingest,
        domain: config.areas.clusters.domain.clone(),
        filter: config.areas.telemetry.log_level.clone(),
        target: LogTarget::Stdout,
    };
    let _log = match init(options) {
        Ok(guard) => guard,
        Err(error) => end(&error.to_string(), EXIT_CONFIG),
    };
    let outcome = operate(&config, arguments.check);
    flush();
    if let Err(exit) = outcome {
        tracing::error!("{exit}");
        end(&exit.to_string(), exit.code());
    }
}

fn end(message: &str, code: i32) -> ! {
    flush();
    eprintln!("{message}");
    std::process::exit(code)
}

fn operate(config: &Config, is_check: bool) -> Result<(), Exit> {
    let settings = Settings::from_config(config)?;
    if !is_check {
        if invariant::is_restart_loop(&settings.state_dir, chrono::Utc::now()) {
            last_words(
                &settings,
                ReasonCode::RestartLoop,
                "three broken invariants in ten minutes, exit 71",
            );
            return Err(Exit::RestartLoop);
        }
        let own = settings.clone();
        invariant::exit_on_panic(settings.state_dir.clone(), move |place, _| {
            // The message of a panic may say anything; the place is one of the source.
            let summary = format!("broken invariant at {place}, exit 70");
            last_words(&own, ReasonCode::InvariantViolation, &summary);
        });
    }
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    tracing::info!(config = %config.canonical(), "configuration in force");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| Exit::Invariant(format!("start the runtime: {e}")))?;
    runtime.block_on(async {
        if is_check {
            return service::check(&settings).await;
        }
        let stop = CancellationToken::new();
        serve_metrics(config, stop.clone()).await?;
        watch_signals(stop.clone())?;
        service::run(settings, stop).await
    })
}

/// Prometheus text on a loopback port of its own; 0 turns it off.
async fn serve_metrics(config: &Config, stop: CancellationToken) -> Result<(), Exit> {
    let port = config.areas.telemetry.metrics_port_ingest;
    if port == 0 {
        return Ok(());
    }
    let handle =
        penstock_telemetry::metrics::install().map_err(|e| Exit::Refused(e.to_string()))?;
    let listener =
        penstock_telemetry::metrics::bind(port).await.map_err(|e| Exit::Refused(e.to_string()))?;
    tokio::spawn(async move {
        if let Err(error) =
            penstock_telemetry::metrics::serve(handle, listener, stop.cancelled_owned()).await
        {
            tracing::warn!("metrics: {error}");
        }
    });
    Ok(())
}

/// SIGTERM and SIGINT ask for the stop; a second one changes nothing.
fn watch_signals(stop: CancellationToken) -> Result<(), Exit> {
    let failed = |e: std::io::Error| Exit::Invariant(format!("watch signals: {e}"));
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
