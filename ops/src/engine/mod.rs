//! `penstock engine keep|archive|reset`: the engine's files over months and versions.
//!
//! Inputs: the configuration's directories, or those of the command line. Outputs: a pin, an archive, or a new
//! beginning; a line that says so. Invariants: nothing is deleted; a reset happens only over a verified archive
//! and without a service; the key signs what it signs in a manifest.

use std::path::PathBuf;

use clap::Subcommand;
use penstock_engine::config::SCHEMA;
use penstock_engine_io::archive::{Request, archive, reset};
use penstock_engine_io::keys::Signer;
use penstock_engine_io::{Day, EngineDirs, Fault, retention};
use serde_json::json;

use crate::arguments::Output;
use crate::engine_files::{NO_CONFIG, Places, day, failed, places};
use crate::exit;
use crate::progress::Progress;

/// Arguments of `penstock engine`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// What to do
    #[command(subcommand)]
    pub action: Action,
    /// Folder of the engine's directories, instead of the configuration's; nothing is signed then
    #[arg(long, value_name = "DIR", global = true)]
    pub engine_dir: Option<PathBuf>,
    /// Form of the output
    #[arg(long, value_enum, default_value = "human", global = true)]
    pub output: Output,
}

/// What to do.
#[derive(Debug, Clone, Subcommand)]
pub enum Action {
    /// Pin a day, so that retention leaves it
    Keep {
        /// Day
        #[arg(value_parser = day, value_name = "YYYY-MM-DD")]
        day: Day,
        /// Release it instead
        #[arg(long)]
        release: bool,
    },
    /// Copy closed days, or all of the running major, into a folder with a signed list
    Archive {
        /// Folder below which the archive is made
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
        /// First day
        #[arg(long, value_parser = day, value_name = "YYYY-MM-DD", conflicts_with = "major")]
        from: Option<Day>,
        /// Last day
        #[arg(long, value_parser = day, value_name = "YYYY-MM-DD", conflicts_with = "major")]
        through: Option<Day>,
        /// Everything to the last tick, after a clean stop of the service
        #[arg(long)]
        major: bool,
    },
    /// Begin anew with this program's major version; the old files stay beside the new ones
    Reset {
        /// Archive of everything
        #[arg(long, value_name = "DIR")]
        archive: PathBuf,
    },
}

/// Runs the command.
///
/// # Errors
/// No data root can be found.
pub fn run(args: &Args, config_file: Option<PathBuf>) -> anyhow::Result<i32> {
    let places = match &args.engine_dir {
        Some(root) => Places { dirs: EngineDirs::under(root), signing_key_file: PathBuf::new() },
        None => match places(config_file)? {
            Some(places) => places,
            None => return Ok(NO_CONFIG),
        },
    };
    match act(&args.action, &places, args.output) {
        Ok(()) => Ok(exit::CLEAN),
        Err(fault) => failed(&fault, args.output),
    }
}

fn act(action: &Action, places: &Places, output: Output) -> Result<(), Fault> {
    let dirs = &places.dirs;
    match action {
        Action::Keep { day, release } => {
            let changed = retention::keep(dirs, *day, *release)?;
            let state = if *release { "released" } else { "kept" };
            let pinned: Vec<String> =
                retention::pinned(dirs)?.iter().map(ToString::to_string).collect();
            match output {
                Output::Human => println!("{day} is {state}; pinned days: {}", pinned.join(", ")),
                Output::Json => {
                    println!(
                        "{}",
                        json!({ "day": day.to_string(), "changed": changed, "pinned": pinned })
                    );
                }
            }
        }
        Action::Archive { to, from, through, major } => {
            let request = Request { from: *from, through: *through, is_major: *major };
            let signer = signer(places)?;
            let done = {
                let _progress = Progress::start("copying and reading back");
                archive(dirs, to, request, signer.as_ref())?
            };
            let bytes: u64 = done.list.files.iter().map(|file| file.bytes).sum();
            let report = json!({
                "marker": "ENGINE_ARCHIVED",
                "folder": done.folder,
                "files": done.list.files.len(),
                "bytes": bytes,
                "last_tick": done.list.last_tick,
                "state_chain": done.list.state_chain,
                "signed": done.list.signature.is_some(),
            });
            match output {
                Output::Json => println!("{report}"),
                Output::Human => println!(
                    "ENGINE_ARCHIVED: {}, {} files, {bytes} bytes, to tick {}, read back and compared{}",
                    done.folder.display(),
                    done.list.files.len(),
                    done.list.last_tick,
                    if done.list.signature.is_some() { ", signed" } else { ", not signed" },
                ),
            }
        }
        Action::Reset { archive } => {
            let genesis = reset(dirs, archive, SCHEMA)?;
            let report = json!({
                "marker": "ENGINE_RESET",
                "schema_version": genesis.schema_version,
                "prev_schema": genesis.prev_schema,
                "last_tick": genesis.last_tick,
                "archive_sha256": genesis.archive_sha256,
            });
            match output {
                Output::Json => println!("{report}"),
                Output::Human => println!(
                    "ENGINE_RESET: from {} to {}; the next start begins anew behind tick {}",
                    genesis.prev_schema, genesis.schema_version, genesis.last_tick
                ),
            }
        }
    }
    Ok(())
}

/// The key, if there is one.
fn signer(places: &Places) -> Result<Option<Signer>, Fault> {
    let file = &places.signing_key_file;
    if file.as_os_str().is_empty() || !std::fs::exists(file).unwrap_or(false) {
        return Ok(None);
    }
    Signer::load(file, &places.dirs).map(Some)
}
