//! A disk that refuses: the engine stops with the disk's code, stays stopped, and loses nothing.
//!
//! Input: a limit for the size of files, which makes one write short and the next one fail, in a process of its
//! own; `/dev/full` in place of a file that is not there yet. Output: the fault, then the files of a start without
//! it. Invariants: each kind of file is the one that fails at least once; what is there afterwards is equal to an
//! undisturbed run and replays as such. Failed syncs need a tracer: `scripts/disk-faults`.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

mod common;

use common::*;
use penstock_engine_io::replay::{ReplayStart, Verdict, level_b};
use penstock_engine_io::{Day, EngineDirs, Fault};
use std::path::Path;
use std::process::Command;

const ROOT: &str = "PENSTOCK_DISK_ROOT";
const HOUR: u64 = 14_400;
/// First tick of the last hour before midnight.
const LATE: u64 = MIDNIGHT - HOUR;

/// A run: its frames, and how often it writes a snapshot.
struct Scene {
    frames: Vec<Delivered>,
    snapshot_every: i64,
}

impl Scene {
    /// Over midnight with many snapshots.
    fn midnight() -> Self {
        let frames = stream(MIDNIGHT - 130, 200, |tick| tick % 61 == 5);
        Self { frames, snapshot_every: 20 }
    }

    /// A long outage within an hour: its ticks are in the logs and not in the journal.
    fn outage() -> Self {
        let frames = stream(LATE + 40, 2_100, |tick| (LATE + 60..LATE + 2_100).contains(&tick));
        Self { frames, snapshot_every: 3_600 }
    }

    fn config(&self) -> penstock_engine::EngineConfig {
        config(self.snapshot_every)
    }

    /// Takes what `frames` has behind the start; as a session does that nobody looks after.
    fn run(&self, root: &Path, frames: &[Delivered]) -> Result<(), Fault> {
        let options = options(root, &self.config());
        go_on(&options, frames, &mut Table(&self.frames)).map(|_| ())
    }

    /// A start without faults makes an undisturbed run of what the fault left.
    fn ends_as(&self, plain: &Path, root: &Path, context: &str) {
        self.run(root, &self.frames).unwrap_or_else(|fault| panic!("{context}: {fault}"));
        assert_same(root, plain, context);
        let dirs = EngineDirs::under(root);
        let report = level_b(&dirs, &self.config(), ReplayStart::Genesis, None, None).unwrap();
        let verdict = (report.verdict, report.first_mismatch);
        assert_eq!(verdict, (Verdict::Identical, None), "{context}");
    }

    fn plain(&self) -> tempfile::TempDir {
        let plain = tempfile::tempdir().unwrap();
        whole_run(plain.path(), &self.config(), &self.frames);
        plain
    }
}

/// In the process that has a limit: the run, whose end is the process's. Elsewhere nothing.
fn limited(scene: &Scene) {
    let Some(root) = std::env::var_os(ROOT) else { return };
    let status = match scene.run(Path::new(&root), &scene.frames) {
        Ok(()) => 0,
        Err(fault) => {
            eprintln!("fault {fault}");
            i32::from(fault.code.exit())
        }
    };
    std::process::exit(status);
}

/// Runs a test's scene in a process whose files may have `blocks` of 512 bytes; the fault that it ended with.
fn with_limit(test: &str, root: &Path, blocks: u64) -> String {
    let run = "trap '' XFSZ; ulimit -f \"$1\"; shift; exec \"$@\"";
    let ended = Command::new("sh")
        .args(["-c", run, "sh", &blocks.to_string()])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(ROOT, root)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    let fault = said.lines().find_map(|line| line.strip_prefix("fault "));
    let fault = fault.unwrap_or_else(|| panic!("{blocks} blocks: {:?}: {said}", ended.status));
    assert_eq!(ended.status.code(), Some(16), "{blocks} blocks: {said}");
    assert!(fault.starts_with("E_STORAGE: failed to write"), "{blocks} blocks: {fault}");
    fault.to_owned()
}

/// Bytes of the largest file of a kind.
fn len_of(root: &Path, kind: &str) -> u64 {
    let all = tree(root);
    let of_kind = all.iter().filter(|(name, _)| name.contains(kind));
    of_kind.map(|(_, bytes)| u64::try_from(bytes.len()).unwrap()).max().unwrap()
}

#[test]
fn a_short_write_of_configuration_snapshot_or_frames_stops_the_engine_and_loses_nothing() {
    let test =
        "a_short_write_of_configuration_snapshot_or_frames_stops_the_engine_and_loses_nothing";
    let scene = Scene::midnight();
    limited(&scene);
    let plain = scene.plain();
    let len = |kind| len_of(plain.path(), kind);
    let blocks = [
        ("/configs/", len("configs/") / 1_024),
        ("/snapshots/", len("snapshots/") / 512 - 1),
        (".ejf", len("snapshots/") / 512 + 1),
        (".ejf", len(".ejf") / 1_024),
        (".ejf", len(".ejf") / 512),
    ];
    for (kind, blocks) in blocks {
        let root = tempfile::tempdir().unwrap();
        let fault = with_limit(test, root.path(), blocks);
        assert!(fault.contains(kind), "{blocks} blocks: {fault}");
        scene.ends_as(plain.path(), root.path(), &format!("{kind} after {blocks} blocks"));
    }
}

#[test]
fn a_short_write_of_a_log_stops_the_engine_and_loses_nothing() {
    let test = "a_short_write_of_a_log_stops_the_engine_and_loses_nothing";
    let scene = Scene::outage();
    limited(&scene);
    let plain = scene.plain();
    let (log, frames) = (len_of(plain.path(), "log/"), len_of(plain.path(), ".ejf"));
    // Both ends of what only the logs reach; buffers of a log are eight blocks long.
    let lowest = frames.max(len_of(plain.path(), ".jsonl")) / 512 + 1;
    assert!(lowest + 20 < log / 512, "the logs are no longer the largest: {log}, {frames} bytes");
    for blocks in [lowest, lowest + 3, lowest + 13, log / 512] {
        let root = tempfile::tempdir().unwrap();
        let fault = with_limit(test, root.path(), blocks);
        assert!(fault.contains("/log/"), "{blocks} blocks: {fault}");
        scene.ends_as(plain.path(), root.path(), &format!("log after {blocks} blocks"));
    }
}

/// Makes a day's stream the largest of all files: lines that the disk has had since long.
fn fill(path: &Path, tick: u64) {
    let line = format!("{{\"filled\":\"{}\",\"tick_id\":{tick}}}\n", "x".repeat(1_000));
    let mut lines = std::fs::read_to_string(path).unwrap();
    lines.push_str(&line.repeat(400));
    std::fs::write(path, lines).unwrap();
}

#[test]
fn a_short_write_of_a_stream_stops_the_engine_and_loses_nothing() {
    let test = "a_short_write_of_a_stream_stops_the_engine_and_loses_nothing";
    let frames = stream(MIDNIGHT - 130, 400, |_| false);
    let scene = Scene { frames, snapshot_every: 20 };
    limited(&scene);
    let files = [EngineDirs::alerts_file, EngineDirs::transitions_file];
    for (file, more) in files.iter().flat_map(|file| [(file, 1), (file, 2)]) {
        // given a day that has begun, and a stream without room for more than a line
        let begin = || {
            let root = tempfile::tempdir().unwrap();
            scene.run(root.path(), &scene.frames[..200]).unwrap();
            let path = file(&EngineDirs::under(root.path()), Day::of(MIDNIGHT));
            fill(&path, MIDNIGHT + 69);
            (root, path)
        };
        let (plain, _) = begin();
        scene.run(plain.path(), &scene.frames).unwrap();
        let (root, path) = begin();
        let blocks = std::fs::metadata(&path).unwrap().len() / 512 + more;
        // when the next lines come
        let fault = with_limit(test, root.path(), blocks);
        // then it is the stream that is named, and with room again nothing is missing
        assert!(fault.contains(path.to_str().unwrap()), "{blocks} blocks: {fault}");
        scene.run(root.path(), &scene.frames).unwrap();
        assert_same(root.path(), plain.path(), &format!("{} of {blocks} blocks", path.display()));
    }
}

/// The device that has no room for a byte.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_under_a_new_file_stops_the_engine_for_good_and_loses_nothing() {
    use penstock_engine_io::Code;

    let scene = Scene::midnight();
    let plain = scene.plain();
    type File = fn(&EngineDirs) -> std::path::PathBuf;
    let files: [(&str, File); 4] = [
        ("frames", |dirs| dirs.frames_file(MIDNIGHT)),
        ("quotes", |dirs| dirs.quotes_file(MIDNIGHT)),
        ("alerts", |dirs| dirs.alerts_file(Day::of(MIDNIGHT))),
        ("transitions", |dirs| dirs.transitions_file(Day::of(MIDNIGHT))),
    ];
    for (context, file) in files {
        // given a file of the next day on a device without room
        let root = tempfile::tempdir().unwrap();
        let options = options(root.path(), &scene.config());
        let path = file(&options.dirs);
        let (mut session, _) = start(&options).unwrap();
        // A beginning takes away what lies ahead of it.
        feed(&mut session, &scene.frames[..100]).unwrap();
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink("/dev/full", &path).unwrap();
        // when the run reaches it
        let fault = feed(&mut session, &scene.frames[100..]).expect_err(context);
        // then the disk is named, and no later frame or end is taken
        assert_eq!((fault.code, fault.file.as_deref()), (Code::Storage, Some(path.as_path())));
        assert!(fault.what.contains("os error 28"), "{fault}");
        let before = tree_without(root.path(), &path);
        let (_, frame, quotes) = scene.frames.last().unwrap();
        assert_eq!(session.take(frame, quotes).unwrap_err(), fault);
        assert_eq!(session.stop().unwrap_err(), fault);
        assert_eq!(tree_without(root.path(), &path), before, "{context}");
        // and with room again nothing is missing
        std::fs::remove_file(&path).unwrap();
        scene.ends_as(plain.path(), root.path(), context);
    }
}

/// The files but the one that has no end.
#[cfg(target_os = "linux")]
fn tree_without(root: &Path, path: &Path) -> std::collections::BTreeMap<String, Vec<u8>> {
    std::fs::remove_file(path).unwrap();
    let files = tree(root);
    std::os::unix::fs::symlink("/dev/full", path).unwrap();
    files
}
