//! `venue-sim`: the simulated venue as a process.
//!
//! Inputs: options. Outputs: one JSON line with addresses and credentials, then service until
//! SIGINT or SIGTERM; the log goes to standard error. Exit codes: 0 ended by a signal, 2 wrong
//! options, 1 anything else.

use anyhow::Context;
use clap::Parser;
use penstock_sim::generator::calibration::factors_text;
use penstock_sim::server::{MarketSource, Options, start};
use rust_decimal::Decimal;
use std::path::PathBuf;
use tokio::signal::unix::{SignalKind, signal};

/// A simulated Kraken spot venue on loopback.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Seed of the market; ids differ from run to run.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Script over the generated market; without it the market is calm.
    #[arg(long, value_parser = ["pulses"])]
    scenario: Option<String>,
    /// Recording (`.rec` or `.rec.gz`) that is the market, once; it brings its own pairs.
    #[arg(long, conflicts_with_all = ["scenario", "symbols"])]
    recording: Option<PathBuf>,
    /// Number of pairs.
    #[arg(long, default_value_t = 32)]
    symbols: usize,
    /// Market seconds per second.
    #[arg(long, default_value_t = 1.0)]
    speed: f64,
    /// Opening balance in USD.
    #[arg(long, default_value = "10000")]
    cash: Decimal,
    /// 30-day volume in USD that fixes the fee tier.
    #[arg(long, default_value = "250000")]
    volume_30d: Decimal,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let market = match (arguments.recording, arguments.scenario) {
        (Some(path), _) => MarketSource::Recorded(path),
        (None, Some(_)) => MarketSource::Pulses,
        (None, None) => MarketSource::Calm,
    };
    if matches!(market, MarketSource::Calm | MarketSource::Pulses) {
        tracing::info!("generated market against the recorded one: {}", factors_text());
    }
    let options = Options {
        seed: arguments.seed,
        market,
        symbols: arguments.symbols,
        speed: arguments.speed,
        cash_usd: arguments.cash,
        volume_30d_usd: arguments.volume_30d,
    };
    let mut terminate = signal(SignalKind::terminate()).context("failed to watch SIGTERM")?;
    let handle = start(options).await?;
    println!("{}", serde_json::to_string(&handle.addresses)?);
    tokio::select! {
        biased;
        _ = terminate.recv() => {}
        interrupted = tokio::signal::ctrl_c() => interrupted.context("failed to watch SIGINT")?,
    }
    handle.stop().await;
    Ok(())
}
