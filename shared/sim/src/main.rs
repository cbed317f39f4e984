//! `venue-sim`: the simulated venue as a process.
//!
//! Inputs: options. Outputs: one JSON line with addresses and credentials, then service until
//! SIGINT or SIGTERM; the log goes to standard error. Exit codes: 0 ended by a signal, 2 wrong
//! options, 1 anything else.

use anyhow::Context;
use clap::Parser;
use penstock_sim::account::EngineTier;
use penstock_sim::binance::Limits;
use penstock_sim::generator::Story;
use penstock_sim::generator::calibration::factors_text;
use penstock_sim::server::{MarketSource, Options, start};
use rust_decimal::Decimal;
use std::path::PathBuf;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// Simulated venues on loopback: Kraken spot, Kraken Futures, Binance USD-M.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Seed of the market; ids differ from run to run.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Script over the generated market; without it the market is calm.
    #[arg(long, value_parser = ["pulses", "cascade"])]
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
    /// Tier of the account's rate counters: starter, intermediate, pro.
    #[arg(long, default_value = "intermediate", value_parser = tier)]
    tier: EngineTier,
    /// Factor on the arrival rates of the generated flow.
    #[arg(long, default_value_t = 1.0)]
    rate: f64,
    /// Share of the takers that stop within the account's order when they reach one, 0 to 1.
    #[arg(long, default_value_t = 0.0)]
    split_share: f64,
    /// Points per second that level 3 subscriptions of one connection may cost: 200 (standard),
    /// 500 (pro), or more for tests.
    #[arg(long, default_value_t = penstock_sim::level3::POINTS_STANDARD)]
    l3_points: u32,
    /// Scenario `cascade`: seconds of calm before the first symbol starts.
    #[arg(long, default_value_t = 1_200.0)]
    calm_s: f64,
    /// Scenario `cascade`: symbols that go through it, 20 s apart.
    #[arg(long, default_value_t = 2)]
    walkers: usize,
    /// Binance: age at which a connection is closed, s.
    #[arg(long, default_value_t = 86_400)]
    binance_rotation_s: u64,
    /// Binance: weight of the REST requests of a minute.
    #[arg(long, default_value_t = 2_400)]
    binance_weight: u32,
    /// File of timed faults, one `{"at_ms":N,"fault":{…}}` a line.
    #[arg(long)]
    faults: Option<PathBuf>,
    /// Writes a line per frame sent to this file: time, connection, channel, symbol, ids, best prices.
    #[arg(long)]
    send_log: Option<PathBuf>,
}

fn tier(name: &str) -> Result<EngineTier, String> {
    EngineTier::named(name).ok_or_else(|| "starter, intermediate or pro".to_owned())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let market = match (arguments.recording, arguments.scenario.as_deref()) {
        (Some(path), _) => MarketSource::Recorded(path),
        (None, Some("cascade")) => {
            MarketSource::Cascade(Story { calm_s: arguments.calm_s, walkers: arguments.walkers })
        }
        (None, Some(_)) => MarketSource::Pulses,
        (None, None) => MarketSource::Calm,
    };
    if !matches!(market, MarketSource::Recorded(_) | MarketSource::Still) {
        tracing::info!("generated market against the recorded one: {}", factors_text());
    }
    let options = Options {
        seed: arguments.seed,
        market,
        symbols: arguments.symbols,
        speed: arguments.speed,
        cash_usd: arguments.cash,
        volume_30d_usd: arguments.volume_30d,
        tier: arguments.tier,
        rate: arguments.rate,
        split_share: arguments.split_share,
        l3_points_per_s: arguments.l3_points,
        binance: Limits {
            rotation: Duration::from_secs(arguments.binance_rotation_s),
            weight_per_min: arguments.binance_weight,
            ..Limits::default()
        },
        faults: arguments.faults,
        send_log: arguments.send_log,
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
