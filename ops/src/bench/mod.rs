//! `penstock bench`: how fast this machine is, beside the targets.
//!
//! Inputs: what to measure. Outputs: a table and one JSON object with the machine's name. Invariants: each
//! bench runs on clusters of its own in a directory of its own and leaves nothing; what is timed is the
//! services' own code; a missed target is said, never hidden, and never a failure. It is no test.

pub mod alerts;
mod attached;
pub mod decide_to_intent;
mod figures;
mod fill;
mod floor;
mod full;
pub mod ingest;
mod intent;
mod loading;
mod market;
pub mod publish;
mod published;
mod raw;
pub mod retention;
mod rig;
pub mod seal_to_view;
mod side;

use std::io::Write;
use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};
use penstock_config::Process;

use crate::arguments::Output;
use crate::{exit, stack};
use rig::Rig;

/// What to measure and how to say it.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// The bench
    #[command(subcommand)]
    pub bench: Bench,
    /// Form of the output
    #[arg(long, value_enum, default_value = "human", global = true)]
    pub output: Output,
    /// Directory on the disk to measure (default: the system's temporary directory)
    #[arg(long, value_name = "DIR", global = true)]
    pub directory: Option<PathBuf>,
}

/// The benches.
#[derive(Debug, Subcommand)]
pub enum Bench {
    /// From the venue's socket to durable rows, with the memory of a symbol
    Ingest(ingest::Args),
    /// The service of `bench ingest`, which starts it
    #[command(hide = true)]
    IngestService,
    /// A publication: cut, record on the ingest cluster, publication on the decision cluster
    Publish(publish::Args),
    /// A publication beside and without partitions that are dropped
    Retention(retention::Args),
    /// From a generation that becomes visible to the committed intent that it led to
    DecideToIntent(decide_to_intent::Args),
    /// From a sealed tick to the view that the engine makes of it
    SealToView(seal_to_view::Args),
    /// What alerts cost those that raise them while their receivers are down, slow or flooded
    Alerts(alerts::Args),
}

/// Runs a bench.
///
/// # Errors
/// What a cluster said; standard output that cannot be written.
pub async fn run(args: Args, config_file: Option<PathBuf>) -> anyhow::Result<i32> {
    let config = match penstock_config::load(Process::Tool, config_file.as_deref()) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("{error}");
            return Ok(exit::CONFIG);
        }
    };
    let host = stack::host(&config);
    let directory = args.directory.as_deref();
    let report = match args.bench {
        Bench::Ingest(options) => {
            Rig::with(host, directory, |rig| ingest::run(rig, options)).await?
        }
        Bench::IngestService => return ingest::service::run().await,
        Bench::Publish(options) => {
            Rig::with(host, directory, |rig| publish::run(rig, options)).await?
        }
        Bench::Retention(options) => {
            Rig::with(host, directory, |rig| retention::run(rig, options)).await?
        }
        Bench::DecideToIntent(options) => {
            Rig::with(host, directory, |rig| decide_to_intent::run(rig, options)).await?
        }
        Bench::SealToView(options) => {
            Rig::with(host, directory, |rig| seal_to_view::run(rig, options)).await?
        }
        Bench::Alerts(options) => alerts::run(options).await?,
    };
    // Named after the work: the load is that of the measured minute.
    let machine = figures::machine();
    let mut out = std::io::stdout().lock();
    match args.output {
        Output::Human => write!(out, "{}", report.human(&machine))?,
        Output::Json => writeln!(out, "{}", report.json(&machine))?,
    }
    Ok(exit::CLEAN)
}
