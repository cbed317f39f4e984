//! `penstock export --engine-day D --to FILE.tar`: a closed day of the engine in one file.
//!
//! Input: the configuration's directories, or those of the command line. Output: the file, which `penstock verify
//! bundle` verifies by itself. Invariants: nothing secret and no path of this machine is in it; the same day gives
//! the same bytes.

use std::path::PathBuf;

use penstock_engine_io::bundle::export_day;
use penstock_engine_io::{Day, EngineDirs};
use serde_json::json;

use crate::arguments::Output;
use crate::engine_files::{NO_CONFIG, day, failed, places};
use crate::exit;
use crate::progress::Progress;

/// Arguments of `penstock export --engine-day`.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub struct Args {
    /// Day
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day, requires = "to")]
    pub engine_day: Option<Day>,
    /// File, which must not exist
    #[arg(long, value_name = "FILE.tar", requires = "engine_day")]
    pub to: Option<PathBuf>,
    /// Folder of the engine's directories, instead of the configuration's
    #[arg(long, value_name = "DIR", requires = "engine_day")]
    pub engine_dir: Option<PathBuf>,
    /// Form of the output
    #[arg(long, value_enum, default_value = "human", requires = "engine_day")]
    pub output: Output,
}

/// Runs the command.
///
/// # Errors
/// No data root can be found.
pub(super) fn run(args: &Args, config_file: Option<PathBuf>) -> anyhow::Result<i32> {
    let (Some(day), Some(to)) = (args.engine_day, &args.to) else { return Ok(exit::USAGE) };
    let dirs = match &args.engine_dir {
        Some(root) => EngineDirs::under(root),
        None => match places(config_file)? {
            Some(places) => places.dirs,
            None => return Ok(NO_CONFIG),
        },
    };
    let exported = {
        let _progress = Progress::start("verifying the day and writing it");
        export_day(&dirs, day, to)
    };
    let index = match exported {
        Ok(index) => index,
        Err(fault) => return failed(&fault, args.output),
    };
    let bytes: u64 = index.files.iter().map(|file| file.bytes).sum();
    match args.output {
        Output::Human => {
            println!("{day}: {} files, {bytes} bytes in {}", index.files.len(), to.display());
        }
        Output::Json => {
            let report = json!({ "date": day.to_string(), "files": index.files.len(), "bytes": bytes, "to": to });
            println!("{report}");
        }
    }
    Ok(exit::CLEAN)
}
