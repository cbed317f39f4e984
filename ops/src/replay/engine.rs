//! `penstock replay --level A|B --engine-dir DIR`: what the engine's files say, derived a second time.
//!
//! Input: the folder of the engine's directories. Output: the report, status 0 when everything is identical, 15
//! with the first difference, else that of the family of what is wrong with a file. Invariants: nothing below the
//! folder is written; the configuration is the archived one, and `--config` only when there is none.

use std::path::{Path, PathBuf};
use std::time::Instant;

use penstock_engine_io::replay::{ReplayStart, Report, level_a, level_b};
use penstock_engine_io::{Code, EngineDirs, Fault, files};

use super::{Args, Level};
use crate::engine_files::{archived_config, day_start, failed, print_report};
use crate::exit;
use crate::progress::Progress;

/// Runs the command.
///
/// # Errors
/// Standard output cannot be written.
pub(super) fn run(level: Level, args: &Args, config_file: Option<PathBuf>) -> anyhow::Result<i32> {
    let Some(root) = &args.engine_dir else { return Ok(exit::USAGE) };
    if level == Level::A && (args.from_snapshot.is_some() || args.out.is_some()) {
        eprintln!(
            "--from-snapshot and --out belong to --level B: level A has no snapshot and no files"
        );
        return Ok(exit::USAGE);
    }
    let began = Instant::now();
    let derived = {
        let _progress = Progress::start("deriving the engine's files again");
        derive(level, args, root, config_file)
    };
    match derived {
        Ok(report) => print_report(&report, began.elapsed(), args.output),
        Err(fault) => failed(&fault, args.output),
    }
}

fn derive(
    level: Level,
    args: &Args,
    root: &Path,
    config_file: Option<PathBuf>,
) -> Result<Report, Fault> {
    let dirs = EngineDirs::under(root);
    let config = archived_config(&dirs, config_file)?;
    if level == Level::A {
        return level_a(&dirs, &config, args.day);
    }
    let start = match (args.from_snapshot, args.day) {
        (Some(tick), _) => ReplayStart::Snapshot(tick),
        (None, Some(day)) => day_start(&dirs, day)?,
        (None, None) => ReplayStart::Genesis,
    };
    let until = args.day.map(penstock_engine_io::Day::last_tick);
    let out = args.out.as_deref().map(|out| new_folder(root, out)).transpose()?;
    level_b(&dirs, &config, start, until, out.as_ref())
}

/// A folder that holds nothing and does not lie below the engine's.
fn new_folder(root: &Path, out: &Path) -> Result<EngineDirs, Fault> {
    files::make_dir(out)?;
    let whole =
        |path: &Path| path.canonicalize().map_err(|error| Fault::storage("find", path, &error));
    if !files::names(out)?.is_empty() || whole(out)?.starts_with(whole(root)?) {
        let what = "the folder for the second derivation is not empty, or lies in the first one; \
                    next: name a new one (--out)";
        return Err(Fault::new(Code::EnvDir, what).of(out));
    }
    Ok(EngineDirs::under(out))
}
