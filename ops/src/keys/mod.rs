//! `penstock keys init|show|rotate`: the key that signs the engine's daily manifests.
//!
//! Inputs: the configuration's directories and key file, or those of the command line; randomness of the operating
//! system. Outputs: key files, or what is there. Invariants: an existing private key is replaced by rotation
//! alone; the private key is never printed.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use penstock_engine_io::keys::{self, KeyRecord, Signer};
use penstock_engine_io::{EngineDirs, Fault};
use serde_json::json;

use crate::arguments::Output;
use crate::engine_files::key::{today, with_seed};
use crate::engine_files::{NO_CONFIG, Places, failed, places};
use crate::exit;

/// Arguments of `penstock keys`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// What to do
    #[command(subcommand)]
    pub action: Action,
    /// Folder of the engine's directories, instead of the configuration's
    #[arg(long, value_name = "DIR", global = true, requires = "key_file")]
    pub engine_dir: Option<PathBuf>,
    /// Private key, with --engine-dir
    #[arg(long, value_name = "FILE", global = true, requires = "engine_dir")]
    pub key_file: Option<PathBuf>,
    /// Form of the output
    #[arg(long, value_enum, default_value = "human", global = true)]
    pub output: Output,
}

/// What to do.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum Action {
    /// Make the first key
    Init,
    /// Say which keys there are; never the private one
    Show,
    /// Make a new key, signed by the old one
    Rotate {
        /// The old private key is gone: nothing links the new one to it
        #[arg(long)]
        lost: bool,
    },
}

/// Runs the command.
///
/// # Errors
/// No data root can be found.
pub fn run(args: &Args, config_file: Option<PathBuf>) -> anyhow::Result<i32> {
    let places = match (&args.engine_dir, &args.key_file) {
        (Some(root), Some(file)) => {
            Places { dirs: EngineDirs::under(root), signing_key_file: file.clone() }
        }
        (Some(_), None) | (None, Some(_)) | (None, None) => match places(config_file)? {
            Some(places) => places,
            None => return Ok(NO_CONFIG),
        },
    };
    let done = match args.action {
        Action::Init => init(&places, args.output),
        Action::Show => show(&places, args.output),
        Action::Rotate { lost } => rotate(&places, lost, args.output),
    };
    done.map_or_else(|fault| failed(&fault, args.output), |()| Ok(exit::CLEAN))
}

fn say(output: Output, verb: &str, key_id: &str, file: &Path) {
    match output {
        Output::Human => println!("key {key_id} {verb}; private file {}", file.display()),
        Output::Json => {
            println!("{}", json!({ "key_id": key_id, "private_file": file, "did": verb }));
        }
    }
}

fn init(places: &Places, output: Output) -> Result<(), Fault> {
    let file = &places.signing_key_file;
    let key_id = with_seed(|seed| keys::init(&places.dirs, file, seed, &today()))?;
    say(output, "made", &key_id, file);
    Ok(())
}

fn rotate(places: &Places, lost: bool, output: Output) -> Result<(), Fault> {
    let file = &places.signing_key_file;
    let key_id = with_seed(|seed| keys::rotate(&places.dirs, file, seed, &today(), lost))?;
    let verb =
        if lost { "made; nothing links it to the lost one" } else { "made, the old one signed it" };
    say(output, verb, &key_id, file);
    Ok(())
}

/// State of the private file in a few words.
fn private_state(places: &Places, records: &[KeyRecord]) -> (bool, String) {
    let file = &places.signing_key_file;
    let Ok(meta) = std::fs::metadata(file) else {
        return (false, "missing: manifests are unsigned".to_owned());
    };
    let mode = meta.permissions().mode() & 0o777;
    match Signer::load(file, &places.dirs) {
        Ok(signer) if records.last().is_some_and(|last| last.key_id == signer.key_id()) => {
            (true, format!("the newest key, mode {mode:o}"))
        }
        Ok(signer) => (false, format!("of the older key {}", signer.key_id())),
        Err(fault) => (false, fault.to_string()),
    }
}

fn show(places: &Places, output: Output) -> Result<(), Fault> {
    let records = keys::records(&places.dirs)?;
    let (is_good, state) = private_state(places, &records);
    let file = &places.signing_key_file;
    if output == Output::Json {
        let report = json!({
            "keys": records,
            "private_file": file,
            "private_file_good": is_good,
            "private_file_state": state,
        });
        println!("{report}");
        return Ok(());
    }
    for record in &records {
        let link = match (&record.prev_key_id, record.unlinked) {
            (None, _) => "the first".to_owned(),
            (Some(before), false) => format!("signed by {before}"),
            (Some(before), true) => format!("unlinked: {before} was lost"),
        };
        println!("{}  since {}  {}  {link}", record.key_id, record.from_date, record.public_key);
    }
    if records.is_empty() {
        println!("no key; next: penstock keys init");
    }
    println!("private file {}: {state}", file.display());
    Ok(())
}
