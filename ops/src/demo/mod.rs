//! `penstock demo`: two private clusters, a simulated venue and both services, watched and judged.
//!
//! Inputs: options. Outputs: what happens, on the terminal; with `--exit` a closing line with counts and
//! the verdict on every invariant, held against the venue's own ledger. It is the product on an ordinary
//! profile, not a mode of it: the same programs, the same keys, another venue.

mod ai;
pub mod evidence;
pub mod gather;
pub mod ledger;
pub(crate) mod replays;
mod run;
pub(crate) mod setup;
pub mod summary;
pub mod tops;
pub mod venue;
mod watch;

pub use run::run;

use crate::arguments::{Output, minutes};
use std::path::PathBuf;

/// Options of `penstock demo`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Seed of the simulated market
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Feed recorded frames instead of the generated market
    #[arg(long, value_name = "FILE")]
    pub recording: Option<PathBuf>,
    /// Length of the demo in minutes; without it, until Ctrl-C
    #[arg(long, value_name = "N", value_parser = minutes)]
    pub minutes: Option<f64>,
    /// End by itself, flat, with a closing line (needs --minutes or --recording)
    #[arg(long)]
    pub exit: bool,
    /// Stage a feed loss and a kill -9 of each service, and watch the recovery
    #[arg(long)]
    pub outage: bool,
    /// Inject one bad book checksum after a minute
    #[arg(long)]
    pub bad_checksum: bool,
    /// Symbols of the generated market
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub symbols: u32,
    /// Cash of the account, USD
    #[arg(long, default_value_t = 10_000)]
    pub cash: u64,
    /// Traded volume of 30 days, USD; decides the fees (0: 25/40 bps)
    #[arg(long, default_value_t = 250_000)]
    pub volume_30d: u64,
    /// Ask the simulated AI endpoint about entries: 0 not, 1 a failure blocks the entry, 2 it also pauses
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=2))]
    pub ai_dec: u8,
    /// Script of its answers (docs/ai-sim.md); without it every answer is right
    #[arg(long, value_name = "FILE")]
    pub ai_script: Option<PathBuf>,
    /// Faults of the simulated venue by the clock, one JSON object a line (docs/venue-sim.md)
    #[arg(long, value_name = "FILE")]
    pub faults: Option<PathBuf>,
    /// Program that judges the run as well: started with PENSTOCK_DATA at the data root once the services have stopped,
    /// while both clusters still answer; its exit code counts
    #[arg(long, value_name = "PROGRAM", requires = "exit")]
    pub afterwards: Option<PathBuf>,
    /// Keep the data root after a clean end
    #[arg(long)]
    pub keep: bool,
    /// Form of the output
    #[arg(long, value_enum, default_value = "human")]
    pub output: Output,
}
