//! `penstock soak`: the whole product on the simulated venues for a long time, with faults on a plan, judged
//! by what the venues' send log says.
//!
//! Inputs: length, symbols, which faults. Outputs: a table and one JSON object with rates, lags, memory and
//! verdicts. Invariants: the judge trusts no counter of the product where the venue or PostgreSQL has one of
//! its own; what the run wrote is removed after a clean end unless it is to be kept; a figure above its
//! target is printed and fails nothing, a broken verdict fails. Growth of memory is a verdict of runs of half an
//! hour and longer.

mod course;
mod figures;
mod judge;
mod plan;
mod private;
mod processes;
mod profile;
mod report;

use crate::arguments::{Output, minutes};
use std::path::PathBuf;

/// Options of `penstock soak`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Length in minutes
    #[arg(long, value_name = "N", default_value = "30", value_parser = minutes)]
    pub minutes: f64,
    /// Faults of the private side on the demo's profile, judged by the venue's own account
    #[arg(long, conflicts_with_all = ["symbols", "l3_symbols", "rate", "fault_every_s", "cut_s", "rollover_s",
        "binance_rotation_s", "scenario", "walkers", "calm_s"])]
    pub private: bool,
    /// With --private: only these rows of the matrix, in turn; ROW:N is one variant of a row
    #[arg(long, value_name = "ROW[:N]", value_delimiter = ',', requires = "private")]
    pub(crate) faults: Vec<private::Wanted>,
    /// With --private: seconds from one fault to the next
    #[arg(long, value_name = "N", default_value_t = 150, requires = "private",
        value_parser = clap::value_parser!(u64).range(60..=3_600))]
    pub every: u64,
    /// Symbols of the spot market; each has a derivative on both other venues
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=500))]
    pub symbols: u32,
    /// Symbols with order-by-order books
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=500))]
    pub l3_symbols: u32,
    /// Factor on the arrival rates of the simulated market
    #[arg(long, default_value = "1", value_parser = rate)]
    pub rate: f64,
    /// Seed of the market and of the plan of faults
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Stage a fault every so many seconds: short ones below 100, losses and kills from 100 on
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(5..=3_600))]
    pub fault_every_s: Option<u64>,
    /// Cut every public socket for so many seconds, once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=300))]
    pub cut_s: Option<u64>,
    /// Roll the run over every so many seconds
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(72..=86_400))]
    pub rollover_s: Option<u64>,
    /// Renew the sockets of Binance every so many seconds
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(60..=86_000))]
    pub binance_rotation_s: Option<u64>,
    /// Script of the market; `cascade` takes some symbols through pump, stacking, tension, cascade and calm
    #[arg(long, default_value = "pulses", value_parser = ["pulses", "cascade"])]
    pub scenario: String,
    /// Scenario `cascade`: symbols that walk, from the first, 20 s apart; they share a cluster of the engine
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=500))]
    pub walkers: u32,
    /// Scenario `cascade`: seconds of calm before the first one starts
    #[arg(long, value_name = "N", default_value_t = 1_200, value_parser = clap::value_parser!(u64).range(0..=86_400))]
    pub calm_s: u64,
    /// Keep the data root, with the send log, after a clean end
    #[arg(long)]
    pub keep: bool,
    /// Form of the output
    #[arg(long, value_enum, default_value = "human")]
    pub output: Output,
}

/// Runs the command.
///
/// # Errors
/// When something could not be started or read.
pub async fn run(args: Args, config_file: Option<PathBuf>) -> anyhow::Result<i32> {
    if args.private {
        return private::run(args, config_file).await;
    }
    course::run(args, config_file).await
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if (0.01..=100.0).contains(&value) => Ok(value),
        Ok(_) | Err(_) => Err("a factor from 0.01 to 100".to_owned()),
    }
}
