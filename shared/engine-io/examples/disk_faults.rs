//! Does the engine stop at every call of the disk that fails, and is nothing lost when it is started again?
//!
//! Input: a short run over midnight that is made here, and `strace`, which makes one call of the run fail: any
//! call, on any file of the engine, with EIO or ENOSPC. Output: a table, status 0 when every failed call stopped
//! the run with the code of the disk and a second run without faults left what an undisturbed one leaves, which a
//! replay confirms; else 1. Invariants: only folders that are made here are written; a call fails once and every
//! later one works, so that whoever tries a failed sync again is found out. Kills and damaged bytes are judged
//! elsewhere.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

#[path = "../tests/common/mod.rs"]
#[expect(dead_code, reason = "the faults need a part of what tests share")]
mod common;

use common::{Delivered, MIDNIGHT, Table, config, feed, go_on, options, stream, tree, whole_run};
use penstock_engine_io::replay::{ReplayStart, Verdict, level_b};
use penstock_engine_io::{EngineDirs, Fault, Session};
use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

const USAGE: &str = "\
usage: disk_faults [--per-call N]  |  disk_faults run DIR
  --per-call  failed calls of each kind and error in each stage, spread over the run; 0 is all (12)
  run         the run itself, which the other form starts with faults";

/// Calls that may fail; those that a machine does not have are left out by `strace`.
const CALLS: &str = "?open,openat,read,pread64,write,pwrite64,writev,fsync,fdatasync,?rename,\
                     ?renameat,?renameat2,?mkdir,?mkdirat,?unlink,?unlinkat,?chmod,fchmod,?fchmodat,\
                     ftruncate,flock,statx";
const ERRORS: [&str; 2] = ["EIO", "ENOSPC"];
/// Ticks between two syncs of the journal.
const SYNC_EVERY: usize = 8;

fn frames() -> Vec<Delivered> {
    stream(MIDNIGHT - 130, 200, |tick| tick % 61 == 5)
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let per_call = match words[..] {
        ["run", root] => return run(Path::new(root)),
        [] => Some(12),
        ["--per-call", n] => n.parse().ok(),
        _ => None,
    };
    let Some(per_call) = per_call else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    if judge(per_call) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What the faults disturb: a start over what is there, the rest of the frames, a clean end.
fn run(root: &Path) -> ExitCode {
    match live(root, &frames()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            // The status says it too, should nobody listen.
            let _ = writeln!(std::io::stderr(), "{fault}");
            ExitCode::from(fault.code.exit())
        }
    }
}

fn live(root: &Path, frames: &[Delivered]) -> Result<(), Fault> {
    let (mut session, started) = Session::start(&options(root, &config(20)), &mut Table(frames))?;
    let last = started.last_tick.unwrap_or(0);
    let rest: Vec<Delivered> = frames.iter().filter(|(tick, ..)| *tick > last).cloned().collect();
    for part in rest.chunks(SYNC_EVERY) {
        feed(&mut session, part)?;
        session.sync_journal()?;
    }
    session.stop().map(|_| ())
}

/// The n-th call of a kind on a file by one thread.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Call {
    name: String,
    path: PathBuf,
    nth: usize,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} no. {} on {}", self.name, self.nth, self.path.display())
    }
}

/// Where the run begins: in an empty folder, or in what a kill left.
struct Stage<'a> {
    name: &'static str,
    base: Option<&'a Path>,
    root: &'a Path,
}

impl Stage<'_> {
    fn prepare(&self) {
        if self.root.exists() {
            std::fs::remove_dir_all(self.root).unwrap();
        }
        match self.base {
            Some(base) => copy(base, self.root),
            None => std::fs::create_dir_all(self.root).unwrap(),
        }
    }

    /// Runs under `strace`; status, what the run said, and the trace.
    fn traced(&self, words: &[String]) -> (Option<i32>, String, String) {
        let trace = self.root.with_extension("trace");
        self.prepare();
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-o"]).arg(&trace).args(words);
        command.arg(std::env::current_exe().unwrap()).arg("run").arg(self.root);
        let ended = command.output().expect("strace is there");
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        (ended.status.code(), said, std::fs::read_to_string(&trace).unwrap_or_default())
    }

    /// Every call of an undisturbed run on a file below the folder, in the order of the run.
    fn calls(&self) -> Vec<Call> {
        let words = ["-y".to_owned(), "-e".to_owned(), format!("trace={CALLS}")];
        let (status, said, trace) = self.traced(&words);
        assert_eq!(status, Some(0), "the undisturbed run fails: {said}");
        let mut counts: BTreeMap<(String, String, PathBuf), usize> = BTreeMap::new();
        let mut calls = Vec::new();
        for line in trace.lines() {
            let Some((thread, name, path)) = parse(line) else { continue };
            if !path.starts_with(self.root) || path == self.root {
                continue;
            }
            let nth = counts.entry((thread.to_owned(), name.to_owned(), path.clone())).or_default();
            *nth += 1;
            let call = Call { name: name.to_owned(), path, nth: *nth };
            // Two threads may make the same call: the fault meets whoever comes first.
            if !calls.contains(&call) {
                calls.push(call);
            }
        }
        calls
    }
}

/// Thread, call and file of a line of a trace: `17 fsync(3</a/b>) = 0` or `17 mkdir("/a/b", 0777) = 0`.
fn parse(line: &str) -> Option<(&str, &str, PathBuf)> {
    let (thread, rest) = line.split_once(' ')?;
    let (name, arguments) = rest.trim_start().split_once('(')?;
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return None;
    }
    let is_number = arguments.starts_with(|first: char| first.is_ascii_digit());
    let is_of_fd = is_number && !arguments.contains("AT_EMPTY_PATH");
    let path = if is_of_fd || arguments.contains("AT_EMPTY_PATH") {
        arguments.split_once('<')?.1.split_once('>')?.0
    } else {
        arguments.split_once('"')?.1.split_once('"')?.0
    };
    Some((thread, name, PathBuf::from(path)))
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let place = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &place);
        } else {
            std::fs::copy(&path, &place).unwrap();
        }
    }
}

/// What became of the faults of one kind.
#[derive(Default)]
struct Line {
    calls: usize,
    injected: usize,
    storage: usize,
    environment: usize,
    harmless: usize,
    identical: usize,
}

/// How a run with a fault ended, if it ended as it should.
enum Ended {
    Storage,
    Environment,
    /// A directory that should be made was there already.
    Harmless,
}

/// Lets one call fail.
fn disturb(stage: &Stage<'_>, call: &Call, error: &str) -> Result<Ended, String> {
    let words = [
        "-P".to_owned(),
        call.path.display().to_string(),
        "-e".to_owned(),
        format!("trace={}", call.name),
        "-e".to_owned(),
        format!("inject={}:error={error}:when={}", call.name, call.nth),
    ];
    let (status, said, trace) = stage.traced(&words);
    if !trace.contains("(INJECTED)") {
        return Err(format!("the call was never made (status {status:?}): {said}"));
    }
    let code = said.split(':').next().unwrap_or_default();
    match status {
        Some(16) if code == "E_STORAGE" => Ok(Ended::Storage),
        Some(11) if code.starts_with("E_ENV_") => Ok(Ended::Environment),
        Some(0) if call.name.starts_with("mkdir") => Ok(Ended::Harmless),
        Some(0) => Err("the run went on as if nothing had failed".to_owned()),
        other => Err(format!("status {other:?}: {said}")),
    }
}

/// Starts again without a fault and compares with the undisturbed run.
fn recover(
    root: &Path,
    plain: &BTreeMap<String, Vec<u8>>,
    all: &[Delivered],
) -> Result<(), String> {
    go_on(&options(root, &config(20)), all, &mut Table(all))
        .map_err(|fault| format!("it does not start again: {fault}"))?;
    let got = tree(root);
    let names = |files: &BTreeMap<String, Vec<u8>>| -> Vec<String> {
        files.keys().filter(|name| !name.starts_with("snapshots")).cloned().collect()
    };
    if names(&got) != names(plain) {
        return Err(format!("other files are there: {:?}", names(&got)));
    }
    // A start writes a snapshot of its own, so that others are the newest three.
    let differs = |(name, want): &(&String, &Vec<u8>)| got.get(*name).is_some_and(|is| is != *want);
    if let Some((name, _)) = plain.iter().find(differs) {
        return Err(format!("{name} differs"));
    }
    let dirs = EngineDirs::under(root);
    let report = level_b(&dirs, &config(20), ReplayStart::Genesis, None, None)
        .map_err(|fault| format!("the replay fails: {fault}"))?;
    match (report.verdict, &report.first_mismatch) {
        (Verdict::Identical, None) => Ok(()),
        (verdict, mismatch) => Err(format!("the replay says {verdict:?}: {mismatch:?}")),
    }
}

/// Evenly spread choice of at most `n` of all.
fn spread(all: &[Call], n: usize) -> Vec<&Call> {
    if n == 0 || all.len() <= n {
        return all.iter().collect();
    }
    (0..n).map(|at| &all[at * (all.len() - 1) / (n - 1).max(1)]).collect()
}

/// All stages; true when nothing was found.
fn judge(per_call: usize) -> bool {
    let scratch = tempfile::tempdir().unwrap();
    let at = |name: &str| scratch.path().canonicalize().unwrap().join(name);
    let (plain, killed, root) = (at("plain"), at("killed"), at("engine"));
    let all = frames();
    whole_run(&plain, &config(20), &all);
    let plain = tree(&plain);
    // A kill behind midnight and behind the last snapshot, with a torn last frame.
    let (mut session, _) = common::start(&options(&killed, &config(20))).unwrap();
    feed(&mut session, &all[..147]).unwrap();
    drop(session);
    let path = EngineDirs::under(&killed).frames_file(MIDNIGHT);
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 9]).unwrap();

    let stages = [
        Stage { name: "from nothing", base: None, root: &root },
        Stage { name: "after a kill", base: Some(&killed), root: &root },
    ];
    let (mut injected, mut findings) = (0, Vec::new());
    for stage in &stages {
        println!("-- {}", stage.name);
        println!(
            "{:<10} {:<7} {:>6} {:>9} {:>10} {:>8} {:>9} {:>10}",
            "call", "error", "calls", "injected", "E_STORAGE", "E_ENV_*", "harmless", "identical"
        );
        let mut by_name: BTreeMap<String, Vec<Call>> = BTreeMap::new();
        for call in stage.calls() {
            by_name.entry(call.name.clone()).or_default().push(call);
        }
        for (name, calls) in &by_name {
            for error in ERRORS {
                let line = faults(stage, calls, error, per_call, (&plain, &all), &mut findings);
                injected += line.injected;
                println!(
                    "{name:<10} {error:<7} {:>6} {:>9} {:>10} {:>8} {:>9} {:>10}",
                    line.calls,
                    line.injected,
                    line.storage,
                    line.environment,
                    line.harmless,
                    line.identical
                );
            }
        }
    }
    for finding in &findings {
        println!("{finding}");
    }
    let is_clean = findings.is_empty() && injected > 0;
    let verdict = if is_clean { "CLEAN" } else { "FAILED" };
    println!("disk-faults: {verdict}, {injected} failed calls, {} findings", findings.len());
    is_clean
}

/// Faults of one kind and error in a stage.
fn faults(
    stage: &Stage<'_>,
    calls: &[Call],
    error: &str,
    per_call: usize,
    (plain, all): (&BTreeMap<String, Vec<u8>>, &[Delivered]),
    findings: &mut Vec<String>,
) -> Line {
    let mut line = Line { calls: calls.len(), ..Line::default() };
    for call in spread(calls, per_call) {
        line.injected += 1;
        let found = disturb(stage, call, error).map(|ended| match ended {
            Ended::Storage => line.storage += 1,
            Ended::Environment => line.environment += 1,
            Ended::Harmless => line.harmless += 1,
        });
        match found.and_then(|()| recover(stage.root, plain, all)) {
            Ok(()) => line.identical += 1,
            Err(what) => findings.push(format!("{}: {error} at {call}: {what}", stage.name)),
        }
    }
    line
}
