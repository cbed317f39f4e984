//! `penstock replay`: what was recorded, derived a second time.
//!
//! Inputs: the command line. Output: an exit status. One of three things is derived: with `--run` the state of a
//! run from its raw rows, with `--level` what the engine's files say from logs or journal, with `--recover` the
//! end that a crash left in those files. It only tells the three apart.

mod engine;
mod recover;
mod state;

use std::path::PathBuf;

use clap::ArgGroup;
use penstock_engine_io::Day;

use crate::arguments::Output;
use crate::engine_files::day;

/// Arguments of `penstock replay`.
#[derive(Debug, Clone, clap::Args)]
#[command(group(ArgGroup::new("what").required(true).args(["run", "level", "recover"])))]
pub struct Args {
    /// State of a run from its raw rows
    #[arg(long)]
    pub run: Option<i64>,
    /// Write the derived rows to the ingest cluster
    #[arg(long, requires = "run")]
    pub write_state: bool,
    /// What the engine's files say: A from the logs, B from the journal
    #[arg(long, value_enum, requires = "engine_dir")]
    pub level: Option<Level>,
    /// Repair what a crash left in the engine's files, without a service
    #[arg(long)]
    pub recover: bool,
    /// Folder of the engine's directories by their default names
    #[arg(long, value_name = "DIR", conflicts_with = "run")]
    pub engine_dir: Option<PathBuf>,
    /// Only this day (level A or B)
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day, requires = "level")]
    pub day: Option<Day>,
    /// Begin behind the snapshot of this tick (level B)
    #[arg(long, value_name = "TICK", requires = "level", conflicts_with = "day")]
    pub from_snapshot: Option<u64>,
    /// New folder for the files of the second derivation (level B)
    #[arg(long, value_name = "DIR", requires = "level")]
    pub out: Option<PathBuf>,
    /// Recover from this snapshot instead of the newest
    #[arg(long, value_name = "TICK", requires = "recover", conflicts_with = "from_genesis")]
    pub snapshot: Option<u64>,
    /// Recover from the first frame of the journal
    #[arg(long, requires = "recover")]
    pub from_genesis: bool,
    /// Form of the report
    #[arg(long, value_enum, default_value = "human")]
    pub output: Output,
}

/// What is derived from what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Level {
    /// States, clusters, phases and alerts from the records.
    #[value(name = "A", alias = "a")]
    A,
    /// Every byte from the journal.
    #[value(name = "B", alias = "b")]
    B,
}

/// Runs the command.
///
/// # Errors
/// Whatever has no status of its own.
pub async fn run(args: Args, config_file: Option<PathBuf>) -> anyhow::Result<i32> {
    if let Some(run) = args.run {
        return state::run(run, args.write_state, config_file).await;
    }
    tokio::task::block_in_place(|| match args.level {
        Some(level) => engine::run(level, &args, config_file),
        None => recover::run(&args, config_file),
    })
}
