//! Is every changed byte of the engine's files named? One byte at a time, thousands of times.
//!
//! Input: a folder of an engine, of which a copy is damaged; or nothing, for a short day over midnight that is made
//! here. Output: a table per kind of file, status 0 when everything was named with a code of its family and nothing
//! on disk is another than before, else 1. Invariants: the folder itself is only read; the same seed damages the
//! same bytes. What was sent as a bundle by somebody else is judged by `penstock verify bundle`, not here.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

#[path = "../tests/common/mod.rs"]
#[expect(dead_code, reason = "the damage needs a part of what tests share")]
mod common;
#[path = "../tests/common/damage/mod.rs"]
mod damage;

use damage::flips::{Tree, copy};
use damage::kinds::Kind;
use damage::synthetic::{FIRST, SECOND, Synthetic};
use damage::{Plan, bundle, run};
use penstock_engine_io::{Code, Fault};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

const USAGE: &str = "\
usage: damage --engine-dir DIR | --synthetic  [--per-file N] [--per-stream N] [--whole N] [--seed N]
  --per-file    changed bytes of each log, journal file and snapshot, and of large compressed files (1000)
  --per-stream  changed bytes of each stream and configuration (100)
  --whole       changes of each log, journal file and snapshot that the whole commands judge too (5)
  --seed        where and how (1)";

/// What the command line asks for.
struct Asked {
    engine_dir: Option<PathBuf>,
    plan: Plan,
}

impl Asked {
    fn of(mut words: impl Iterator<Item = String>) -> Option<Self> {
        let (mut engine_dir, mut is_synthetic) = (None, false);
        let mut plan =
            Plan { per_file: 1_000, every_len_max: 1 << 18, whole: 5, streams: 100, seed: 1 };
        while let Some(word) = words.next() {
            match word.as_str() {
                "--synthetic" => is_synthetic = true,
                "--engine-dir" => engine_dir = Some(PathBuf::from(words.next()?)),
                "--per-file" => plan.per_file = words.next()?.parse().ok()?,
                "--whole" => plan.whole = words.next()?.parse().ok()?,
                "--per-stream" => plan.streams = words.next()?.parse().ok()?,
                "--seed" => plan.seed = words.next()?.parse().ok()?,
                _ => return None,
            }
        }
        (engine_dir.is_some() != is_synthetic).then_some(Self { engine_dir, plan })
    }
}

fn main() -> ExitCode {
    let Some(asked) = Asked::of(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let scratch = tempfile::tempdir().unwrap();
    let began = Instant::now();
    let done = match &asked.engine_dir {
        Some(dir) => folder(dir, scratch.path(), &asked.plan),
        None => synthetic(scratch.path(), &asked.plan),
    };
    let seed = asked.plan.seed;
    match done {
        Ok((flips, true)) => {
            let s = began.elapsed().as_secs();
            println!("damage: CLEAN, each of {flips} changed bytes was named (seed {seed}, {s} s)");
            ExitCode::SUCCESS
        }
        Ok((flips, false)) => {
            println!("damage: FAILED, not all of {flips} changed bytes were named (seed {seed})");
            ExitCode::FAILURE
        }
        Err(fault) => {
            println!("damage: FAILED, the files are wrong without any damage: {fault}");
            ExitCode::FAILURE
        }
    }
}

/// Changed bytes, and whether each was named.
type Done = Result<(u64, bool), Fault>;

/// Damages a copy of a folder.
fn folder(dir: &Path, scratch: &Path, plan: &Plan) -> Done {
    if !dir.join("log").is_dir() {
        return Err(Fault::new(Code::EnvDir, "there is no log folder in it").of(dir));
    }
    let before = Tree::of(dir)?;
    let root = scratch.join("copy");
    copy(dir, &root)?;
    let done = kinds(&root, "the folder", plan, &Kind::IN_FOLDER)?;
    let is_same = before == Tree::of(dir)?;
    println!("the folder itself is {}", if is_same { "what it was" } else { "NOT WHAT IT WAS" });
    Ok((done.0, done.1 && is_same))
}

fn kinds(root: &Path, stage: &str, plan: &Plan, only: &[Kind]) -> Done {
    let report = run(root, plan, only)?;
    println!("-- {stage}\n{report}");
    Ok((report.lines.values().map(|line| line.flips).sum(), report.is_clean()))
}

/// Damages the short day over midnight at each of its stages.
fn synthetic(scratch: &Path, plan: &Plan) -> Done {
    let made = Synthetic::run(scratch);
    let mut all = Vec::new();
    let mut stage = |name: &str, only: &[Kind]| -> Result<(), Fault> {
        let root = scratch.join(name);
        copy(&made.root, &root)?;
        all.push(kinds(&root, name, plan, only)?);
        Ok(())
    };
    let [raw @ .., _, _, _] = Kind::IN_FOLDER;
    stage("an engine that stopped behind midnight", &raw)?;
    made.sign()?;
    made.sign_second()?;
    stage("two closed days, a rotated key", &[Kind::Manifest, Kind::Key])?;
    made.pack(FIRST)?;
    made.pack(SECOND)?;
    stage("both days compressed", &[Kind::Packed])?;
    let file = scratch.join("day.tar");
    made.export(FIRST, &file)?;
    let line = bundle(&file, &scratch.join("bundle"), plan)?;
    println!("-- the first day in one file\n{line}");
    all.push((line.flips, line.missed.is_empty()));
    let flips = all.iter().map(|(flips, _)| flips).sum();
    Ok((flips, all.iter().all(|(_, is_clean)| *is_clean)))
}
