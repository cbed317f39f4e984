//! `penstock replay --recover`: the end that a crash left in the engine's files, repaired by hand.
//!
//! Input: the engine's directories. Output: repaired logs and a fresh snapshot, by the code that a service runs at
//! its start; a report. Invariants: refused while a service writes there; nothing is connected to; an older
//! snapshot or the journal's first frame is taken only when it is asked for.

use std::path::PathBuf;

use penstock_engine_io::manifest::missing_days;
use penstock_engine_io::session::lock;
use penstock_engine_io::{Code, EngineDirs, Fault, Mode, NoStore, Session, StartOptions, Started};
use serde_json::json;

use super::Args;
use crate::arguments::Output;
use crate::engine_files::{archived_config, failed, places};
use crate::exit;

/// Runs the command.
///
/// # Errors
/// The configuration or standard output cannot be read or written.
pub(super) fn run(args: &Args, config_file: Option<PathBuf>) -> anyhow::Result<i32> {
    let dirs = match &args.engine_dir {
        Some(root) => EngineDirs::under(root),
        None => match places(config_file.clone())? {
            Some(places) => places.dirs,
            None => return Ok(exit::CONFIG),
        },
    };
    match recover(args, dirs, config_file) {
        Ok((started, last, missing)) => {
            print(&started, last, missing, args.output);
            Ok(exit::CLEAN)
        }
        Err(fault) => failed(&fault, args.output),
    }
}

fn recover(
    args: &Args,
    dirs: EngineDirs,
    config_file: Option<PathBuf>,
) -> Result<(Started, Option<u64>, usize), Fault> {
    if !dirs.journal.is_dir() {
        let what = "there is no journal to recover from; next: name the folder (--engine-dir)";
        return Err(Fault::new(Code::EnvDir, what).of(&dirs.journal));
    }
    // Whose files they are is asked before anything is read.
    drop(lock(&dirs)?);
    let config = archived_config(&dirs, config_file)?;
    let options = StartOptions {
        mode: Mode::SnapshotRecovery,
        snapshot: args.snapshot,
        from_genesis: args.from_genesis,
        disk_free_min_bytes: 0,
        ..StartOptions::live(dirs.clone(), config)
    };
    let (session, started) = Session::start(&options, &mut NoStore)?;
    let last = session.stop()?;
    Ok((started, last, missing_days(&dirs)?.len()))
}

fn print(started: &Started, last: Option<u64>, missing: usize, output: Output) {
    let cut: Vec<String> = started.cut.iter().map(|path| path.display().to_string()).collect();
    if output == Output::Json {
        let report = json!({
            "marker": "ENGINE_RECOVERED",
            "snapshot_tick": started.snapshot_tick,
            "log_tick": started.log_tick,
            "last_tick": last,
            "rolled_ticks": started.rolled_ticks,
            "changed_at": started.changed_at,
            "cut": cut,
            "days_without_manifest": missing,
        });
        println!("{report}");
        return;
    }
    let tick = |tick: Option<u64>| tick.map_or_else(|| "none".to_owned(), |tick| tick.to_string());
    println!("snapshot     {}", tick(started.snapshot_tick));
    println!("logs to      {}", tick(started.log_tick));
    println!("rolled       {} ticks", started.rolled_ticks);
    println!("stands at    {}", tick(last));
    for path in &cut {
        println!("cut          {path} (the bytes are kept in {path}.cut)");
    }
    if missing > 0 {
        println!(
            "manifests    {missing} closed days have none: the service writes them at its next start"
        );
    }
    println!("ENGINE_RECOVERED");
}
