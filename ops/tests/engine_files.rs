//! The commands over the engine's files, as processes: what they say, with which status, and that they change
//! nothing they should not.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

#[path = "../../shared/engine-io/tests/common/mod.rs"]
#[expect(dead_code, reason = "this file uses its own part of this module")]
mod common;

use common::*;
use penstock_engine::EngineConfig;
use penstock_engine_io::keys::{self, Signer};
use penstock_engine_io::manifest::{Facts, close_day};
use penstock_engine_io::{Day, EngineDirs, snapshots};
use std::path::Path;
use std::process::Command;

const FIRST: Day = Day(20_500);

/// Status, standard output and standard error of the tool.
fn penstock(args: &[&str]) -> (i32, String, String) {
    let place = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_penstock"))
        .args(args)
        .env("PENSTOCK_DATA", place.path())
        .current_dir(place.path())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

/// The same with JSON as the answer.
fn json(args: &[&str]) -> (i32, serde_json::Value) {
    let (status, out, err) = penstock(&[args, &["--output", "json"]].concat());
    let value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{err}"));
    (status, value)
}

/// The last minutes of a day, signed, and the first of the next.
fn engine(root: &Path) -> (EngineConfig, EngineDirs) {
    let config = config(1_200);
    whole_run(root, &config, &stream(MIDNIGHT - 300, 400, |tick| tick % 97 == 3));
    let dirs = EngineDirs::under(root);
    let private = root.join("private/signing.pem");
    keys::init(&dirs, &private, &[7; 32], "2026-02-16").unwrap();
    let signer = Signer::load(&private, &dirs).unwrap();
    let written_at_ms = (FIRST.last_tick() + 1) * 250;
    let facts = Facts { engine_sha256: "ab".repeat(32), written_at_ms, ..Facts::default() };
    close_day(&dirs, &config, FIRST, &facts, Some(&signer)).unwrap();
    (config, dirs)
}

fn write(path: &Path, bytes: &[u8]) {
    penstock_engine_io::files::set_mode(path, 0o640).unwrap();
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn replay_and_verify_find_everything_identical_and_change_nothing() {
    let dir = tempfile::tempdir().unwrap();
    engine(dir.path());
    let root = dir.path().to_str().unwrap();
    let before = tree(dir.path());
    let snapshot = (MIDNIGHT - 1).to_string();
    for (args, start, ticks) in [
        (&["replay", "--level", "A"][..], "genesis", 400),
        (&["replay", "--level", "B"], "genesis", 400),
        (&["replay", "--level", "B", "--from-snapshot", &snapshot], "snapshot 7085145599", 100),
        (&["replay", "--level", "A", "--day", "2026-02-17"], "genesis", 100),
        (&["verify", "log"], "genesis", 400),
        (&["verify", "journal"], "genesis", 400),
        (&["verify", "journal", "--day", "2026-02-16"], "genesis", 300),
    ] {
        let (status, report) = json(&[args, &["--engine-dir", root]].concat());
        assert_eq!((status, &report["verdict"]), (0, &"IDENTICAL".into()), "{args:?}: {report}");
        assert_eq!(
            (&report["start"], &report["ticks"]),
            (&start.into(), &ticks.into()),
            "{args:?}"
        );
        assert!(report["token_ticks_per_s"].as_u64().unwrap() > 0);
        assert!(report["bytes_hashed_per_s"].as_u64().unwrap() > 0);
    }
    let (status, report) = json(&["verify", "manifest", "--engine-dir", root]);
    assert_eq!((status, &report["days"][0]["signed"]), (0, &true.into()), "{report}");
    let (status, out, _) = penstock(&["replay", "--level", "A", "--engine-dir", root]);
    assert!(status == 0 && out.contains("IDENTICAL") && out.contains("token ticks per s"), "{out}");
    assert!(tree(dir.path()) == before, "nothing below the folder is another");
    let out = tempfile::tempdir().unwrap();
    let second = out.path().to_str().unwrap();
    let (status, _) = json(&["replay", "--level", "B", "--engine-dir", root, "--out", second]);
    assert_eq!(status, 0);
    for (name, bytes) in tree(out.path()) {
        assert!(before[&name] == bytes, "{name} of the second derivation");
    }
    let (status, fault) = json(&["replay", "--level", "B", "--engine-dir", root, "--out", second]);
    assert_eq!((status, &fault["code"]), (11, &"E_ENV_DIR".into()), "a folder that is not empty");
    let within = tempfile::tempdir().unwrap();
    let second = within.path().to_str().unwrap();
    let args = ["replay", "--level", "B", "--engine-dir", root, "--out", second];
    let (status, _) = json(&[&args[..], &["--from-snapshot", &snapshot]].concat());
    assert_eq!(status, 0, "a second derivation that begins at a snapshot writes the same files");
    for (name, bytes) in tree(within.path()) {
        assert!(before[&name] == bytes, "{name}");
    }
}

#[test]
fn the_first_difference_is_named_to_tick_token_and_field() {
    let dir = tempfile::tempdir().unwrap();
    let (_, dirs) = engine(dir.path());
    let root = dir.path().to_str().unwrap();
    let path = dirs.log_file(2, FIRST, 0);
    let mut bytes = std::fs::read(&path).unwrap();
    let at = 64 + 64 * 200;
    bytes[at + 12] = if bytes[at + 12] == 2 { 3 } else { 2 };
    let crc = penstock_types::frame::crc32c(&bytes[at..at + 60]);
    bytes[at + 60..at + 64].copy_from_slice(&crc.to_le_bytes());
    write(&path, &bytes);
    for args in [
        &["verify", "log", "--day", "2026-02-16"][..],
        &["verify", "journal", "--day", "2026-02-16"],
        &["replay", "--level", "A", "--day", "2026-02-16"],
    ] {
        let (status, report) = json(&[args, &["--engine-dir", root]].concat());
        let found = &report["first_mismatch"];
        assert_eq!((status, &report["verdict"]), (15, &"BREACH".into()), "{args:?}: {report}");
        assert_eq!(found["tick"], MIDNIGHT - 100, "{report}");
        assert_eq!((&found["token"], &found["field"]), (&2.into(), &"fsm_state".into()));
    }
    let (status, fault) = json(&["verify", "manifest", "--engine-dir", root]);
    assert_eq!((status, &fault["code"]), (18, &"E_MAN_HASH".into()), "{fault}");
    assert_eq!(fault["file"], path.to_str().unwrap());
}

/// A changed byte of each kind of file: the command that sees it, its codes and its status.
#[test]
fn a_changed_byte_is_named_with_its_code_and_the_status_of_its_family() {
    let dir = tempfile::tempdir().unwrap();
    let (config, dirs) = engine(dir.path());
    let root = dir.path().to_str().unwrap();
    let hash: String = config.sha256().iter().map(|byte| format!("{byte:02x}")).collect();
    let newest = snapshots::ticks(&dirs).unwrap().pop().unwrap();
    let cases = [
        (dirs.log_file(1, FIRST, 0), 64 + 64 * 33 + 21, "log", "E_LOG_CORRUPT", 13),
        (dirs.log_file(1, FIRST, 0), 40, "log", "E_LOG_HEADER", 13),
        (dirs.frames_file(MIDNIGHT - 1), 5_000, "journal", "E_FRAME_CRC", 14),
        (dirs.quotes_file(MIDNIGHT - 1), 500, "journal", "E_FRAME_CRC", 14),
        (dirs.snapshot(newest), 700, "journal", "E_SNAP_CHECKSUM", 12),
        (dirs.snapshot(MIDNIGHT - 1), 700, "manifest", "E_SNAP_CHECKSUM", 12),
        (dirs.alerts_file(FIRST), 77, "manifest", "E_MAN_HASH", 18),
        (dirs.transitions_file(FIRST), 77, "manifest", "E_MAN_HASH", 18),
        (dirs.manifest(FIRST), 0, "manifest", "E_MAN_HASH", 18),
        (dirs.configs().join(format!("{hash}.json")), 30, "manifest", "E_MAN_HASH", 18),
    ];
    for (path, at, what, code, exit) in cases {
        let bytes = std::fs::read(&path).unwrap();
        let mut bad = bytes.clone();
        bad[at] ^= 1;
        write(&path, &bad);
        let before = tree(dir.path());
        let (status, fault) = json(&["verify", what, "--engine-dir", root]);
        assert_eq!((status, &fault["code"]), (exit, &code.into()), "{}: {fault}", path.display());
        assert!(fault["file"].as_str().unwrap().starts_with(root), "{fault}");
        let (status, _, err) = penstock(&["verify", what, "--engine-dir", root]);
        assert!(status == exit && err.contains("ENGINE_FATAL") && err.contains(code), "{err}");
        assert!(tree(dir.path()) == before, "{}", path.display());
        write(&path, &bytes);
    }
    let (status, _) = json(&["verify", "manifest", "--engine-dir", root]);
    assert_eq!(status, 0);
}

/// Numbers that follow from a seed (xorshift).
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, max: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(max).unwrap()).unwrap()
    }
}

#[test]
fn any_changed_byte_of_any_file_of_a_closed_day_is_named() {
    let dir = tempfile::tempdir().unwrap();
    engine(dir.path());
    let root = dir.path().to_str().unwrap();
    let mut seeded = Seeded(20_500);
    let mut changed = 0;
    for (name, bytes) in tree(dir.path()) {
        let is_of_day =
            ["2026-02-16", "manifests/", "configs/"].iter().any(|part| name.contains(part));
        let is_close = name.ends_with(&format!("{}.snap", MIDNIGHT - 1));
        if !is_of_day && !is_close {
            continue;
        }
        let path = dir.path().join(&name);
        for _ in 0..2 {
            let mut bad = bytes.clone();
            let at = seeded.below(bad.len());
            bad[at] ^= 1 << seeded.below(8);
            write(&path, &bad);
            let (status, fault) = json(&["verify", "manifest", "--engine-dir", root]);
            let code = fault["code"].as_str().unwrap_or_default();
            let named = fault["file"].as_str().is_some_and(|file| Path::new(file) == path);
            let family = [("E_SNAP", 12), ("E_LOG", 13), ("E_FRAME", 14), ("E_MAN", 18)];
            let is_family =
                family.iter().any(|(prefix, exit)| code.starts_with(prefix) && status == *exit);
            // A manifest of another key is told from the manifest's side.
            assert!(
                is_family && (named || name.starts_with("manifests/")),
                "{name} byte {at}: {fault}"
            );
            changed += 1;
        }
        write(&path, &bytes);
    }
    assert!(changed >= 20, "{changed}");
    assert_eq!(json(&["verify", "manifest", "--engine-dir", root]).0, 0);
}

#[test]
fn a_torn_end_is_recovered_by_hand_and_an_older_snapshot_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let (config, dirs) = engine(dir.path());
    let root = dir.path().to_str().unwrap();
    let whole = tree(dir.path());
    let newest = snapshots::ticks(&dirs).unwrap().pop().unwrap();
    std::fs::remove_file(dirs.snapshot(newest)).unwrap();
    let path = dirs.log_file(2, Day(FIRST.0 + 1), 0);
    let log = std::fs::read(&path).unwrap();
    std::fs::write(&path, &log[..log.len() - 30]).unwrap();
    let (session, _) = start(&options(dir.path(), &config)).unwrap();
    let (status, fault) = json(&["replay", "--recover", "--engine-dir", root]);
    assert_eq!((status, &fault["code"]), (11, &"E_ENV_LOCK".into()), "a service runs");
    drop(session);
    std::fs::remove_file(dirs.snapshot(newest)).unwrap_or_default();
    std::fs::write(&path, &log[..log.len() - 30]).unwrap();
    let (status, report) = json(&["replay", "--recover", "--engine-dir", root]);
    assert_eq!((status, &report["last_tick"]), (0, &newest.into()), "{report}");
    assert_eq!(report["rolled_ticks"], 99, "the first tick of the day has a snapshot");
    let same = |context: &str| {
        for (name, bytes) in tree(dir.path()) {
            let is_same = whole.get(&name).is_none_or(|had| *had == bytes);
            assert!(is_same, "{context}: {name}");
        }
        assert!(whole.keys().all(|name| dir.path().join(name).exists()), "{context}");
    };
    same("the newest snapshot");
    let snapshot = dirs.snapshot(newest);
    let bytes = std::fs::read(&snapshot).unwrap();
    let mut bad = bytes.clone();
    bad[700] ^= 1;
    std::fs::write(&snapshot, &bad).unwrap();
    let (status, fault) = json(&["replay", "--recover", "--engine-dir", root]);
    assert_eq!(
        (status, &fault["code"]),
        (12, &"E_SNAP_CHECKSUM".into()),
        "never another by itself"
    );
    std::fs::remove_file(&snapshot).unwrap();
    let older = (MIDNIGHT - 1).to_string();
    let (status, report) =
        json(&["replay", "--recover", "--engine-dir", root, "--snapshot", &older]);
    assert_eq!((status, &report["snapshot_tick"]), (0, &(MIDNIGHT - 1).into()), "{report}");
    same("an older snapshot");
    for tick in snapshots::ticks(&dirs).unwrap() {
        std::fs::remove_file(dirs.snapshot(tick)).unwrap();
    }
    let (status, fault) = json(&["replay", "--recover", "--engine-dir", root]);
    assert_eq!((status, &fault["code"]), (12, &"E_SNAP_MISSING".into()), "{fault}");
    let (status, report) = json(&["replay", "--recover", "--engine-dir", root, "--from-genesis"]);
    assert_eq!((status, &report["rolled_ticks"]), (0, &400.into()), "{report}");
    for (name, bytes) in tree(dir.path()) {
        assert!(whole.get(&name).is_none_or(|had| *had == bytes), "genesis: {name}");
    }
}

#[test]
fn keys_are_made_shown_rotated_and_never_printed() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("engine");
    let private = dir.path().join("private/signing.pem");
    let place = ["--engine-dir", root.to_str().unwrap(), "--key-file", private.to_str().unwrap()];
    let keys = |args: &[&str]| json(&[&["keys"], args, &place[..]].concat());
    let (status, made) = keys(&["init"]);
    assert_eq!(status, 0, "{made}");
    let text = std::fs::read_to_string(&private).unwrap();
    let (status, fault) = keys(&["init"]);
    assert_eq!((status, &fault["code"]), (11, &"E_ENV_KEY".into()));
    assert_eq!(
        std::fs::read_to_string(&private).unwrap(),
        text,
        "an existing key is never replaced"
    );
    let (_, first) = keys(&["show"]);
    assert_eq!(
        (&first["private_file_good"], &first["keys"][0]["key_id"]),
        (&true.into(), &made["key_id"])
    );
    let (status, second) = keys(&["rotate"]);
    assert_eq!(status, 0, "{second}");
    std::fs::remove_file(&private).unwrap();
    assert_eq!(keys(&["rotate"]).0, 11, "the old private key is missing");
    assert_eq!(keys(&["init"]).0, 11, "a new beginning beside published keys");
    let (status, third) = keys(&["rotate", "--lost"]);
    assert_eq!(status, 0, "{third}");
    let (_, all) = keys(&["show"]);
    let unlinked: Vec<_> =
        all["keys"].as_array().unwrap().iter().map(|key| &key["unlinked"]).collect();
    assert_eq!(unlinked, [&false, &false, &true]);
    let secret = std::fs::read_to_string(&private).unwrap();
    let secret = secret.lines().nth(1).unwrap();
    assert!(!all.to_string().contains(secret));
    penstock_engine_io::files::set_mode(&private, 0o640).unwrap();
    let (_, all) = keys(&["show"]);
    assert_eq!(all["private_file_good"], false);
    assert!(all["private_file_state"].as_str().unwrap().contains("chmod 600"), "{all}");
}

#[test]
fn a_day_leaves_as_one_file_that_verifies_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (_, dirs) = engine(dir.path());
    let root = dir.path().to_str().unwrap();
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("day.tar");
    let bundle = file.to_str().unwrap();
    let export = |day: &str, to: &str| {
        json(&["export", "--engine-day", day, "--to", to, "--engine-dir", root])
    };
    let (status, fault) = export("2026-02-17", bundle);
    assert_eq!((status, &fault["code"]), (18, &"E_MAN_MISSING".into()), "{fault}");
    let (status, report) = export("2026-02-16", bundle);
    assert_eq!(status, 0, "{report}");
    let (status, report) = json(&["verify", "bundle", bundle]);
    assert_eq!(
        (status, &report["verdict"], &report["signed"]),
        (0, &"IDENTICAL".into(), &true.into()),
        "{report}"
    );
    assert_eq!(
        (&report["level_a"]["ticks"], &report["level_b"]["ticks"]),
        (&300.into(), &300.into())
    );
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, &bytes).unwrap();
    let (status, fault) = json(&["verify", "bundle", bundle]);
    assert_eq!((status, &fault["code"]), (18, &"E_MAN_HASH".into()), "{fault}");
    let (status, report) = json(&["engine", "keep", "2026-02-16", "--engine-dir", root]);
    assert_eq!((status, &report["pinned"][0]), (0, &"2026-02-16".into()));
    let (status, report) =
        json(&["engine", "keep", "2026-02-16", "--release", "--engine-dir", root]);
    assert_eq!((status, report["pinned"].as_array().unwrap().len()), (0, 0));
    let archives = place.path().join("archives");
    let to = archives.to_str().unwrap();
    std::fs::create_dir(&archives).unwrap();
    let (status, report) =
        json(&["engine", "archive", "--to", to, "--major", "--engine-dir", root]);
    assert_eq!((status, &report["marker"]), (0, &"ENGINE_ARCHIVED".into()), "{report}");
    let folder = report["folder"].as_str().unwrap();
    let before = tree(dir.path());
    let (status, fault) = json(&["engine", "reset", "--archive", folder, "--engine-dir", root]);
    assert_eq!(
        (status, &fault["code"]),
        (11, &"E_ENV_SCHEMA".into()),
        "files and program are of one major"
    );
    assert!(tree(dir.path()) == before);
    assert!(dirs.snapshots.exists());
}

#[test]
fn what_makes_no_sense_on_the_command_line_is_refused() {
    for args in [
        &["replay"][..],
        &["replay", "--level", "A"],
        &["replay", "--run", "1", "--level", "A", "--engine-dir", "x"],
        &["replay", "--recover", "--snapshot", "1", "--from-genesis"],
        &["replay", "--level", "A", "--engine-dir", "x", "--from-snapshot", "1"],
        &["verify", "log"],
        &["export", "--engine-day", "2026-02-16"],
        &["export", "--engine-day", "2026-02-30", "--to", "x"],
        &["export"],
    ] {
        assert_eq!(penstock(args).0, 2, "{args:?}");
    }
}
