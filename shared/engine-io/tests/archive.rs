//! Archives, and the drill of a hard reset to a synthetic next major.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

#[expect(dead_code, reason = "each test file uses its own part of this module")]
mod common;

use common::*;
use penstock_engine::EngineConfig;
use penstock_engine_io::JanitorHooks;
use penstock_engine_io::archive::{Genesis, LIST, Request, archive, reset, verify_archive};
use penstock_engine_io::compress::pack_day;
use penstock_engine_io::keys::{self, Signer};
use penstock_engine_io::manifest::{Facts, close_day, verify_day};
use penstock_engine_io::replay::{ReplayStart, Verdict, level_a, level_b};
use penstock_engine_io::{Code, Day, EngineDirs, retention, snapshots};
use std::path::Path;

const FIRST: Day = Day(20_500);
const MAJOR: Request = Request { from: None, through: None, is_major: true };

fn facts(day: Day) -> Facts {
    Facts {
        engine_sha256: "ab".repeat(32),
        written_at_ms: (day.last_tick() + 1) * 250,
        ..Facts::default()
    }
}

/// The end of a day with its manifest and the beginning of the next, after a clean stop.
fn stopped(root: &Path) -> (EngineConfig, EngineDirs, Signer) {
    let config = config(1_200);
    whole_run(root, &config, &stream(MIDNIGHT - 300, 400, |tick| tick % 97 == 3));
    let dirs = EngineDirs::under(root);
    let private = root.join("private/signing.pem");
    keys::init(&dirs, &private, &[7; 32], "2026-02-16").unwrap();
    let signer = Signer::load(&private, &dirs).unwrap();
    close_day(&dirs, &config, FIRST, &facts(FIRST), Some(&signer)).unwrap();
    (config, dirs, signer)
}

#[test]
fn closed_days_are_archived_beside_a_running_service_and_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let (config, dirs, signer) = stopped(dir.path());
    pack_day(&dirs, FIRST, &JanitorHooks::none()).unwrap();
    let before = tree(dir.path());
    let to = tempfile::tempdir().unwrap();
    let (session, _) = start(&options(dir.path(), &config)).unwrap();
    let running = archive(&dirs, to.path(), MAJOR, Some(&signer)).unwrap_err();
    assert_eq!(running.code, Code::EnvLock);
    let done = archive(&dirs, to.path(), Request::default(), Some(&signer)).unwrap();
    session.stop().unwrap();
    assert_eq!(done.folder, to.path().join("engine-v1-2026-02-16-2026-02-16"));
    assert!(tree(dir.path()) == before, "archiving changes nothing");
    let list = verify_archive(&done.folder).unwrap();
    assert_eq!((list.last_tick, list.is_major), (FIRST.last_tick(), false));
    assert_eq!(list.key_id, Some(signer.key_id()));
    let again = archive(&dirs, to.path(), Request::default(), None).unwrap_err();
    assert_eq!(again.code, Code::EnvDir, "never into an archive that is there");
    let none = Request { from: Some(Day(20_600)), ..Request::default() };
    assert_eq!(archive(&dirs, to.path(), none, None).unwrap_err().code, Code::ManMissing);
    // The archive is an engine's folder of its own.
    let archived = EngineDirs::under(&done.folder);
    verify_day(&archived, FIRST).unwrap();
    let a = level_a(&archived, &config, Some(FIRST)).unwrap();
    let start = ReplayStart::Genesis;
    let b = level_b(&archived, &config, start, Some(FIRST.last_tick()), None).unwrap();
    assert_eq!((a.verdict, b.verdict, b.ticks), (Verdict::Identical, Verdict::Identical, 300));
    assert_eq!(b.state_chain, Some(list.state_chain));
}

#[test]
fn every_file_of_an_archive_that_changes_goes_or_comes_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let (_, dirs, signer) = stopped(dir.path());
    let to = tempfile::tempdir().unwrap();
    let folder = archive(&dirs, to.path(), Request::default(), Some(&signer)).unwrap().folder;
    let list = std::fs::read(folder.join(LIST)).unwrap();
    for (name, bytes) in tree(&folder) {
        let path = folder.join(&name);
        penstock_engine_io::files::set_mode(&path, 0o640).unwrap();
        let mut bad = bytes.clone();
        let middle = bad.len() / 2;
        bad[middle] ^= 1;
        std::fs::write(&path, &bad).unwrap();
        let fault = verify_archive(&folder).unwrap_err();
        assert_eq!(fault.code.exit(), 18, "{name}: {fault}");
        std::fs::remove_file(&path).unwrap();
        assert_eq!(verify_archive(&folder).unwrap_err().code.exit(), 18, "{name} is gone");
        std::fs::write(&path, &bytes).unwrap();
        verify_archive(&folder).unwrap();
    }
    for at in 0..list.len() {
        let mut bad = list.clone();
        bad[at] ^= 1;
        std::fs::write(folder.join(LIST), &bad).unwrap();
        let fault = verify_archive(&folder).unwrap_err();
        assert_eq!(fault.code.exit(), 18, "byte {at}: {fault}");
    }
    std::fs::write(folder.join(LIST), &list).unwrap();
    std::fs::write(folder.join("log/1/other.bin"), b"x").unwrap();
    assert_eq!(verify_archive(&folder).unwrap_err().code, Code::ManHash, "a file of no list");
}

#[test]
fn the_drill_of_a_next_major_begins_anew_and_the_chain_of_days_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let (config, dirs, signer) = stopped(dir.path());
    let to = tempfile::tempdir().unwrap();
    let days = archive(&dirs, to.path(), Request::default(), Some(&signer)).unwrap().folder;
    let major = archive(&dirs, to.path(), MAJOR, Some(&signer)).unwrap();
    let last = MIDNIGHT + 99;
    assert_eq!((major.list.last_tick, major.list.is_major), (last, true));
    assert_eq!(major.folder, to.path().join("engine-v1-2026-02-16-2026-02-17"));
    // Every refusal, and nothing is moved by it.
    let before = tree(dir.path());
    let code = |folder: &Path, schema: &str| reset(&dirs, folder, schema).unwrap_err().code;
    assert_eq!(code(&major.folder, "1.4"), Code::EnvSchema, "one major");
    assert_eq!(code(to.path(), "2.0"), Code::ManMissing, "no archive");
    assert_eq!(code(&days, "2.0"), Code::ManHash, "an archive of days alone");
    let lock = penstock_engine_io::session::lock(&dirs).unwrap();
    assert_eq!(code(&major.folder, "2.0"), Code::EnvLock, "a service runs");
    drop(lock);
    let (mut session, _) = start(&options(dir.path(), &config)).unwrap();
    let mut more = stream(MIDNIGHT + 100, 1, |_| false).remove(0);
    let all = stream(MIDNIGHT - 300, 400, |tick| tick % 97 == 3);
    let link = penstock_types::frame::verify_link(&all.last().unwrap().1, None).unwrap();
    penstock_types::frame::deliver(&mut more.1, Some(&link)).unwrap();
    assert!(tree(dir.path()) == before);
    feed(&mut session, &[more]).unwrap();
    session.stop().unwrap();
    assert_eq!(code(&major.folder, "2.0"), Code::ManHash, "the engine has gone on");
    std::fs::remove_dir_all(&major.folder).unwrap();
    let major = archive(&dirs, to.path(), MAJOR, Some(&signer)).unwrap();
    let last = last + 1;
    let newest = dirs.snapshot(last);
    let snapshot = std::fs::read(&newest).unwrap();
    std::fs::write(&newest, &snapshot[1..]).unwrap();
    assert_eq!(code(&major.folder, "2.0"), Code::ManHash, "another snapshot");
    std::fs::write(&newest, &snapshot).unwrap();
    let before = tree(dir.path());
    let genesis = reset(&dirs, &major.folder, "2.0").unwrap();
    assert_eq!((genesis.prev_schema.as_str(), genesis.last_tick), ("1.0", last));
    assert_eq!(genesis.last_state_chain, major.list.state_chain);
    assert_eq!(Genesis::parse(&std::fs::read(dirs.genesis()).unwrap()).unwrap(), genesis);
    for (name, bytes) in &before {
        let (top, rest) = name.split_once('/').unwrap();
        let moved = ["log", "journal", "snapshots", "alerts", "transitions"].contains(&top);
        let now = if moved { format!("{top}.v1/{rest}") } else { name.clone() };
        assert!(std::fs::read(dir.path().join(&now)).unwrap() == *bytes, "{now}");
    }
    new_major(dir.path(), &dirs, &config, &signer);
    // The old archive is verified by its own reader, which this build has.
    let archived = EngineDirs::under(&major.folder);
    verify_archive(&major.folder).unwrap();
    verify_day(&archived, FIRST).unwrap();
    let b = level_b(&archived, &config, ReplayStart::Genesis, None, None).unwrap();
    assert_eq!((b.verdict, b.state_chain), (Verdict::Identical, Some(genesis.last_state_chain)));
}

/// The new major begins with the flag and its first manifest names the reset.
fn new_major(root: &Path, dirs: &EngineDirs, config: &EngineConfig, signer: &Signer) {
    let second = Day(FIRST.0 + 1);
    let from = second.last_tick() - 50;
    let (mut session, _) = start(&options(root, config)).unwrap();
    feed(&mut session, &stream(from, 60, |_| false)).unwrap();
    session.stop().unwrap();
    let log = std::fs::read(dirs.log_file(1, second, 0)).unwrap();
    assert_eq!(log[32..64], [0; 32], "no log is linked to one of the old major");
    let flags = u16::from_le_bytes([log[64 + 16], log[64 + 17]]);
    assert_eq!(flags & 0b100, 0b100, "the first record is that of a cold start");
    let manifest = close_day(dirs, config, second, &facts(second), Some(signer)).unwrap();
    assert!(manifest.genesis_sha256.is_some());
    let first = penstock_types::frame::sha256(&std::fs::read(dirs.manifest(FIRST)).unwrap());
    let first: String = first.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(manifest.prev_manifest_sha256, Some(first), "the chain of days is unbroken");
    verify_day(dirs, second).unwrap();
    assert!(retention::has_gone(dirs, FIRST).unwrap(), "the old day's files are elsewhere");
    let a = level_a(dirs, config, Some(second)).unwrap();
    assert_eq!((a.verdict, a.first_mismatch, a.ticks), (Verdict::Identical, None, 51));
    let b = level_b(dirs, config, ReplayStart::Genesis, None, None).unwrap();
    assert_eq!((b.verdict, &b.first_mismatch), (Verdict::Identical, &None));
    // The second manifest after the reset does not name it again.
    let third = Day(second.0 + 1);
    assert!(snapshots::ticks(dirs).unwrap().iter().all(|tick| Day::of(*tick) <= third));
    let other = std::fs::read(dirs.genesis()).unwrap();
    penstock_engine_io::files::set_mode(&dirs.genesis(), 0o640).unwrap();
    let mut bad = other.clone();
    let at = bad.windows(10).position(|part| part == b"\"last_tick").unwrap() + 14;
    bad[at] ^= 1;
    std::fs::write(dirs.genesis(), &bad).unwrap();
    assert_eq!(verify_day(dirs, second).unwrap_err().code, Code::ManChain);
    std::fs::write(dirs.genesis(), &other).unwrap();
}
