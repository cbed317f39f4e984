//! Purpose: the command line of `penstock`: one subcommand, one module. Inputs: arguments. Outputs: an
//! exit status. Invariants: this file only names and calls; what a command does stands in its module.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::arguments::Output;
use crate::{
    bench, check_recording, config, demo, down, engine, exit, explain, export, flatten, keys, mode,
    psql, reconcile, record, replay, report, retention, safety, soak, status, up, validate, verify,
    why,
};

/// The operator's tool of Penstock.
#[derive(Debug, Parser)]
#[command(name = "penstock", version, propagate_version = true)]
pub struct Cli {
    /// Configuration file (default: penstock.toml in the working directory, when it is there)
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Bring up two private clusters and both services; Ctrl-C stops all of it
    Up(up::Args),
    /// Stop what `up` started
    Down,
    /// Clusters, a simulated venue and both services, watched and judged; needs no key and no network
    Demo(demo::Args),
    /// Is it healthy, what is it doing, since when and why
    Status(status::Args),
    /// Why a symbol is not traded: the first closed gate, its numbers, since when, what to do
    Why(why::Args),
    /// An order or a decision, from the frames behind it to its exits
    Explain(explain::Args),
    /// Ask execution for a mode
    Mode(mode::Args),
    /// Close every position, or that of one symbol
    Flatten(flatten::Args),
    /// Mark a symbol, or end one of its marks
    Safety(safety::Args),
    /// Compare the rows with the venue
    Reconcile(reconcile::Args),
    /// What a day was
    Report(report::Args),
    /// Proofs over the services' logs and both clusters
    Validate(validate::Args),
    /// Derive again what was recorded, and compare
    Verify(verify::Args),
    /// Derive a run's last state from its raw rows, or what the engine's files say; repair those
    Replay(replay::Args),
    /// Write a recorded run as Parquet or CSV, or a day of the engine as one file
    Export(export::Args),
    /// Close and drop raw partitions and days that have had their time
    Retention(retention::Args),
    /// The key that signs the engine's daily manifests
    Keys(keys::Args),
    /// Keep, archive or begin anew the engine's files
    Engine(engine::Args),
    /// Open a shell on a managed cluster
    Psql(psql::Args),
    /// Check or show the configuration
    Config(config::Args),
    /// Measure this machine against the targets
    Bench(bench::Args),
    /// Run for a long time on simulated venues, with faults, judged by what they sent
    Soak(soak::Args),
    /// Write the real frames of a venue into a recording
    Record(record::Args),
    /// Decode a recording and report what was found in it
    CheckRecording {
        /// The recording, compressed or not
        file: PathBuf,
        /// Form of the report
        #[arg(long, value_enum, default_value = "human")]
        output: Output,
    },
}

/// Runs a command line.
///
/// # Errors
/// Whatever has no message of its own.
pub async fn run(cli: Cli) -> anyhow::Result<i32> {
    match cli.command {
        Command::Up(args) => up::run(args, cli.config).await,
        Command::Down => down::run(cli.config).await,
        Command::Demo(args) => demo::run(args, cli.config).await,
        Command::Status(args) => status::run(args, cli.config).await,
        Command::Why(args) => why::run(args, cli.config).await,
        Command::Explain(args) => explain::run(args, cli.config).await,
        Command::Mode(args) => mode::run(args, cli.config).await,
        Command::Flatten(args) => flatten::run(args, cli.config).await,
        Command::Safety(args) => safety::run(args, cli.config).await,
        Command::Reconcile(args) => reconcile::run(args, cli.config).await,
        Command::Report(args) => report::run(args, cli.config).await,
        Command::Validate(args) => validate::run(args, cli.config).await,
        Command::Verify(args) => verify::run(args, cli.config).await,
        Command::Replay(args) => replay::run(args, cli.config).await,
        Command::Export(args) => export::run(args, cli.config).await,
        Command::Retention(args) => retention::run(args, cli.config).await,
        Command::Keys(args) => keys::run(&args, cli.config),
        Command::Engine(args) => tokio::task::block_in_place(|| engine::run(&args, cli.config)),
        Command::Psql(args) => psql::run(&args, cli.config),
        Command::Config(args) => config::run(&args, cli.config),
        Command::Bench(args) => bench::run(args, cli.config).await,
        Command::Soak(args) => soak::run(args, cli.config).await,
        Command::Record(args) => record::run(args, cli.config).await,
        Command::CheckRecording { file, output } => {
            let (mut out, mut err) = (std::io::stdout().lock(), std::io::stderr().lock());
            let status = check_recording::run(&file, output, &mut out, &mut err)?;
            Ok(i32::from(status))
        }
    }
}

/// The status of an error that reached `main`. A reader that went away (`penstock … | head`) is no error.
#[must_use]
pub fn status_of(error: &anyhow::Error) -> i32 {
    let closed = error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe);
    if closed { exit::CLEAN } else { 1 }
}
