//! Closed days compressed, kept and removed: either form reads alike, and a kill at any step loses nothing.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

#[expect(dead_code, reason = "each test file uses its own part of this module")]
mod common;
#[path = "common/second.rs"]
mod second;

use common::*;
use penstock_engine::EngineConfig;
use penstock_engine_io::JanitorHooks;
use penstock_engine_io::compress::{pack_day, raw_days};
use penstock_engine_io::janitor::{self, Ended, OnHeld, Pass, Step};
use penstock_engine_io::keys::{self, Signer};
use penstock_engine_io::manifest::{Facts, close_day, verify_day, verify_document, write_missing};
use penstock_engine_io::replay::{ReplayStart, Verdict, level_a, level_b};
use penstock_engine_io::retention::{self, Policy, Why};
use penstock_engine_io::{Code, Day, EngineDirs, JanitorPoint, day_lock, snapshots, stored};
use second::second_verifier;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const FIRST: Day = Day(20_500);
const SECOND: Day = Day(20_501);

fn facts(day: Day) -> Facts {
    Facts {
        engine_sha256: "ab".repeat(32),
        written_at_ms: (day.last_tick() + 1) * 250,
        ..Facts::default()
    }
}

/// The last minutes of a day and the first of the next; the first day has its signed manifest.
fn closed_day(root: &Path) -> (EngineConfig, EngineDirs) {
    let config = config(1_200);
    whole_run(root, &config, &stream(MIDNIGHT - 300, 400, |tick| tick % 97 == 3));
    let dirs = EngineDirs::under(root);
    let private = root.join("private/signing.pem");
    keys::init(&dirs, &private, &[7; 32], "2026-02-16").unwrap();
    let signer = Signer::load(&private, &dirs).unwrap();
    close_day(&dirs, &config, FIRST, &facts(FIRST), Some(&signer)).unwrap();
    (config, dirs)
}

/// The raw bytes of every file by the name under which it was written.
fn contents(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for name in tree(root).into_keys() {
        let plain = stored::plain_name(&name).to_owned();
        found.insert(plain.clone(), stored::read(&root.join(&plain), u64::MAX - 1).unwrap());
    }
    found
}

fn policy(today: u64) -> Policy {
    Policy { today: Day(today), keep_days: 30, keep_days_traded: 90, snapshot_keep_days: 7 }
}

#[test]
fn a_compressed_day_reads_verifies_and_replays_like_a_raw_one() {
    let dir = tempfile::tempdir().unwrap();
    let (config, dirs) = closed_day(dir.path());
    let want = contents(dir.path());
    let raw = (
        verify_day(&dirs, FIRST).unwrap(),
        level_a(&dirs, &config, None).unwrap(),
        level_b(&dirs, &config, ReplayStart::Genesis, None, None).unwrap(),
    );
    assert_eq!(raw_days(&dirs).unwrap(), [FIRST]);
    let done = pack_day(&dirs, FIRST, &JanitorHooks::none()).unwrap();
    assert!(done.files >= 6 && done.bytes_after < done.bytes_before / 2, "{done:?}");
    assert_eq!(raw_days(&dirs).unwrap(), []);
    assert_eq!(pack_day(&dirs, FIRST, &JanitorHooks::none()).unwrap().files, 0);
    assert!(tree(dir.path()).contains_key("log/1/2026-02-16.bin.zst"));
    assert!(contents(dir.path()) == want, "no byte of what was said is another");
    let packed = (
        verify_day(&dirs, FIRST).unwrap(),
        level_a(&dirs, &config, None).unwrap(),
        level_b(&dirs, &config, ReplayStart::Genesis, None, None).unwrap(),
    );
    assert!(raw == packed, "raw and compressed days give equal reports");
    let day = FIRST.to_string();
    let (status, report) = second_verifier(&["--day", &day, "--engine-dir"], dir.path());
    assert_eq!((status, &report["verdict"]), (0, &"IDENTICAL".into()), "{report}");
    let day = level_a(&dirs, &config, Some(FIRST)).unwrap();
    assert_eq!((day.verdict, day.ticks), (Verdict::Identical, 300));
    // The engine goes on behind a compressed day, and recovers over it from its first frame.
    let options = options(dir.path(), &config);
    let (session, _) = start(&options).unwrap();
    session.stop().unwrap();
    let newest = snapshots::ticks(&dirs).unwrap();
    for tick in newest {
        std::fs::remove_file(dirs.snapshot(tick)).unwrap();
    }
    let again = penstock_engine_io::StartOptions {
        mode: penstock_engine_io::Mode::SnapshotRecovery,
        from_genesis: true,
        ..options
    };
    let (session, started) = start(&again).unwrap();
    assert_eq!(started.last_tick, Some(MIDNIGHT + 99));
    session.stop().unwrap();
    for (name, bytes) in contents(dir.path()) {
        assert!(name.starts_with("snapshots") || want[&name] == bytes, "{name}");
    }
}

#[test]
fn every_flipped_byte_of_a_manifest_a_key_and_a_compressed_log_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let (_, dirs) = closed_day(dir.path());
    let key = Signer::load(&dir.path().join("private/signing.pem"), &dirs).unwrap().key_id();
    let documents = [
        (dirs.manifest(FIRST), None),
        (dirs.keys().join(format!("{key}.json")), Some(Code::ManKey)),
        (dirs.keys().join(format!("{key}.pem")), Some(Code::ManKey)),
    ];
    for (path, code) in documents {
        let bytes = std::fs::read(&path).unwrap();
        penstock_engine_io::files::set_mode(&path, 0o640).unwrap();
        for at in 0..bytes.len() {
            for bit in [0, 5] {
                let mut bad = bytes.clone();
                bad[at] ^= 1 << bit;
                std::fs::write(&path, &bad).unwrap();
                let found = verify_document(&dirs, FIRST).unwrap_err().code;
                let due = code.unwrap_or(found);
                assert!(
                    found == due && found.exit() == 18,
                    "{} byte {at}: {found}",
                    path.display()
                );
            }
        }
        std::fs::write(&path, &bytes).unwrap();
        verify_document(&dirs, FIRST).unwrap();
    }
    pack_day(&dirs, FIRST, &JanitorHooks::none()).unwrap();
    let log = dirs.log_file(1, FIRST, 0);
    let path = stored::packed(&log);
    let bytes = std::fs::read(&path).unwrap();
    for at in 0..bytes.len() {
        let mut bad = bytes.clone();
        bad[at] ^= 1 << (at % 8);
        let fault = stored::unpack(&bad, 1 << 20).unwrap_err();
        assert_eq!(fault.code, Code::ManHash, "byte {at}");
    }
    // As a whole: the day names the file, and so do both levels of replay.
    let mut bad = bytes.clone();
    let middle = bad.len() / 2;
    bad[middle] ^= 1;
    penstock_engine_io::files::set_mode(&path, 0o640).unwrap();
    std::fs::write(&path, &bad).unwrap();
    let config = penstock_engine_io::origin::config_of(&dirs).unwrap();
    for fault in [
        verify_day(&dirs, FIRST).unwrap_err(),
        level_a(&dirs, &config, None).unwrap_err(),
        level_b(&dirs, &config, ReplayStart::Genesis, None, None).unwrap_err(),
    ] {
        assert_eq!((fault.code, fault.file.as_deref()), (Code::ManHash, Some(path.as_path())));
    }
}

#[test]
fn a_kill_at_each_step_of_compression_loses_nothing_and_the_next_pass_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let (_, dirs) = closed_day(dir.path());
    let want = contents(dir.path());
    let steps = &JanitorPoint::ALL[..6];
    for (nth, point) in (1..=3).flat_map(|nth| steps.iter().map(move |point| (nth, *point))) {
        let met = Cell::new(0);
        let crash = |at: JanitorPoint| {
            met.set(met.get() + u32::from(at == point));
            at == point && met.get() == nth
        };
        if raw_days(&dirs).unwrap().is_empty() {
            // Everything is compressed: the day is made raw again for the steps that are left.
            for name in want.keys() {
                stored::make_raw(&dir.path().join(name), u64::MAX - 1).unwrap();
            }
            for name in want.keys() {
                stored::remove_packed(&dir.path().join(name)).unwrap();
            }
        }
        let stopped = pack_day(&dirs, FIRST, &JanitorHooks::staged(&crash));
        if let Err(fault) = &stopped {
            assert_eq!(fault.code, Code::Storage, "{fault}");
        }
        assert!(contents(dir.path()) == want, "{point:?} {nth}");
        verify_day(&dirs, FIRST).unwrap();
    }
    pack_day(&dirs, FIRST, &JanitorHooks::none()).unwrap();
    assert!(contents(dir.path()) == want);
    let all = tree(dir.path());
    let left: Vec<&String> =
        all.keys().filter(|name| all.contains_key(&format!("{name}.zst"))).collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(std::fs::read_dir(dir.path().join("log/1")).unwrap().count() == 2);
}

#[test]
fn a_file_that_is_not_the_manifests_stays_raw_and_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let (_, dirs) = closed_day(dir.path());
    let path = dirs.log_file(2, FIRST, 0);
    let bytes = std::fs::read(&path).unwrap();
    let mut bad = bytes.clone();
    bad[200] ^= 1;
    penstock_engine_io::files::set_mode(&path, 0o640).unwrap();
    std::fs::write(&path, &bad).unwrap();
    let fault = pack_day(&dirs, FIRST, &JanitorHooks::none()).unwrap_err();
    assert_eq!((fault.code, fault.file.as_deref()), (Code::ManHash, Some(path.as_path())));
    assert_eq!(std::fs::read(&path).unwrap(), bad);
    assert!(!stored::packed(&path).exists());
    std::fs::write(&path, &bytes).unwrap();
    pack_day(&dirs, FIRST, &JanitorHooks::none()).unwrap();
    // A compressed form that does not unpack to the manifest's bytes does not replace the raw one either.
    std::fs::write(&path, &bytes).unwrap();
    std::fs::copy(stored::packed(&dirs.log_file(1, FIRST, 0)), stored::packed(&path)).unwrap();
    let fault = pack_day(&dirs, FIRST, &JanitorHooks::none()).unwrap_err();
    assert_eq!(fault.code, Code::ManHash);
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
}

#[test]
fn days_go_whole_when_their_time_has_come_and_nobody_holds_them() {
    let dir = tempfile::tempdir().unwrap();
    let (_, dirs) = closed_day(dir.path());
    let (none, hooks) = (|_: Day| false, JanitorHooks::none());
    let clean = |today: u64, packed: &[Day]| {
        retention::clean(&dirs, &policy(today), &none, packed, false, &hooks).unwrap()
    };
    let manifests = |of: &BTreeMap<String, Vec<u8>>| -> Vec<String> {
        of.keys()
            .filter(|name| name.starts_with("manifests") || name.starts_with("configs"))
            .cloned()
            .collect()
    };
    let before = tree(dir.path());
    assert!(clean(20_530, &[]).gone.is_empty(), "thirty days are not over");
    let old = 20_531;
    assert_eq!(clean(old, &[FIRST]).kept, [(FIRST, Why::JustPacked)]);
    assert!(retention::keep(&dirs, FIRST, false).unwrap());
    assert!(!retention::keep(&dirs, FIRST, false).unwrap());
    assert_eq!(retention::pinned(&dirs).unwrap(), [FIRST]);
    assert_eq!(clean(old, &[]).kept, [(FIRST, Why::Pinned)]);
    assert!(retention::keep(&dirs, FIRST, true).unwrap());
    let traded = |day: Day| day == FIRST;
    let done = retention::clean(&dirs, &policy(old), &traded, &[], false, &hooks).unwrap();
    assert_eq!(done.kept, [(FIRST, Why::Traded)]);
    let held = day_lock::hold(&dirs, FIRST).unwrap();
    assert_eq!(clean(old, &[]).kept, [(FIRST, Why::Read)]);
    drop(held);
    let rehearsed = retention::clean(&dirs, &policy(old), &none, &[], true, &hooks).unwrap();
    assert_eq!(rehearsed.gone.len(), 1);
    assert!(dirs.log_file(1, FIRST, 0).exists(), "a rehearsal changes nothing");
    // A day that does not verify stays, with its code.
    let path = dirs.alerts_file(FIRST);
    let alerts = std::fs::read(&path).unwrap();
    penstock_engine_io::files::set_mode(&path, 0o640).unwrap();
    std::fs::write(&path, &alerts[1..]).unwrap();
    let fault = retention::clean(&dirs, &policy(old), &none, &[], false, &hooks).unwrap_err();
    assert_eq!(fault.code, Code::ManHash);
    std::fs::write(&path, &alerts).unwrap();
    let done = clean(old, &[]);
    assert_eq!(done.gone.iter().map(|gone| gone.day).collect::<Vec<_>>(), [FIRST]);
    assert!(done.gone[0].bytes > 1_000);
    let after = tree(dir.path());
    assert_eq!(manifests(&after), manifests(&before));
    assert!(
        !after.keys().any(|name| name.contains("2026-02-16") && !name.starts_with("manifests"))
    );
    assert!(
        after.contains_key("log/1/2026-02-17.bin")
            && after.contains_key("journal/2026-02-17/00.ejf")
    );
    assert!(retention::has_gone(&dirs, FIRST).unwrap());
    assert!(verify_document(&dirs, FIRST).unwrap().is_signed);
    assert_eq!(day_lock::hold(&dirs, FIRST).unwrap_err().code, Code::ManMissing);
    let late = clean(old, &[]);
    assert!(late.gone.is_empty() && late.kept.is_empty());
}

#[test]
fn a_kill_at_each_step_of_removal_is_finished_by_the_next_pass() {
    let none = |_: Day| false;
    for (nth, point) in
        [1, 3].into_iter().flat_map(|nth| JanitorPoint::ALL[6..].iter().map(move |p| (nth, *p)))
    {
        let dir = tempfile::tempdir().unwrap();
        let (_, dirs) = closed_day(dir.path());
        pack_day(&dirs, FIRST, &JanitorHooks::none()).unwrap();
        let met = Cell::new(0);
        let crash = |at: JanitorPoint| {
            met.set(met.get() + u32::from(at == point));
            at == point && met.get() == nth
        };
        let hooks = JanitorHooks::staged(&crash);
        let stopped = retention::clean(&dirs, &policy(20_531), &none, &[], false, &hooks);
        assert_eq!(stopped.is_err(), met.get() >= nth, "{point:?} {nth}");
        if stopped.is_err() {
            // What is left goes even when somebody would pin it now: it is no whole day any more.
            let hooks = JanitorHooks::none();
            let done = retention::clean(&dirs, &policy(20_531), &none, &[], false, &hooks).unwrap();
            assert_eq!(done.gone.len(), 1, "{point:?} {nth}");
        }
        assert!(retention::has_gone(&dirs, FIRST).unwrap(), "{point:?}");
        assert!(!dirs.journal.join("2026-02-16").exists());
    }
}

#[test]
fn a_snapshot_that_closes_an_old_day_goes_with_the_day_that_it_opens() {
    let dir = tempfile::tempdir().unwrap();
    let (config, dirs) = closed_day(dir.path());
    // The second day and the first ticks of the third: two more snapshots than are always kept.
    let all = stream(MIDNIGHT - 300, 400, |tick| tick % 97 == 3);
    let mut link = penstock_types::frame::verify_link(&all.last().unwrap().1, None).unwrap();
    let options = options(dir.path(), &config);
    let (mut session, _) = start(&options).unwrap();
    for tick in [MIDNIGHT + DAY + 5, MIDNIGHT + DAY + 1_300, MIDNIGHT + DAY + 2_500] {
        let mut next = stream(tick, 1, |_| false).remove(0);
        link = penstock_types::frame::deliver(&mut next.1, Some(&link)).unwrap();
        feed(&mut session, &[next]).unwrap();
    }
    session.stop().unwrap();
    write_missing(&dirs, &config, &facts(SECOND), None).unwrap();
    pack_day(&dirs, SECOND, &JanitorHooks::none()).unwrap();
    let close = FIRST.last_tick();
    assert!(dirs.snapshot(close).exists());
    let (none, hooks) = (|_: Day| false, JanitorHooks::none());
    let early = retention::clean(&dirs, &policy(20_507), &none, &[], false, &hooks).unwrap();
    assert!(early.moved.is_empty());
    let done = retention::clean(&dirs, &policy(20_508), &none, &[], false, &hooks).unwrap();
    assert_eq!((done.moved, done.gone), (vec![close], vec![]));
    assert!(!dirs.snapshot(close).exists());
    assert!(stored::packed(&dirs.open_snapshot(SECOND)).exists());
    // Days verify and the second one is still derived from where it opens.
    verify_day(&dirs, FIRST).unwrap();
    verify_day(&dirs, SECOND).unwrap();
    let start = ReplayStart::Snapshot(close);
    let b = level_b(&dirs, &config, start, Some(SECOND.last_tick()), None).unwrap();
    assert_eq!((b.verdict, &b.first_mismatch, b.ticks), (Verdict::Identical, &None, DAY));
    let done = retention::clean(&dirs, &policy(20_531), &none, &[], false, &hooks).unwrap();
    assert_eq!(done.gone.iter().map(|gone| gone.day).collect::<Vec<_>>(), [FIRST]);
    // Without its beginning the rest is still judged: from the records at hand, not as if it were a genesis.
    let a = level_a(&dirs, &config, None).unwrap();
    assert_eq!((a.verdict, &a.first_mismatch), (Verdict::Identical, &None));
    let fault = level_b(&dirs, &config, ReplayStart::Genesis, None, None).unwrap_err();
    assert_eq!(fault.code, Code::SnapMissing);
    let b = level_b(&dirs, &config, start, None, None).unwrap();
    assert_eq!((b.verdict, &b.first_mismatch), (Verdict::Identical, &None));
}

/// A pass over thirty days and one later, as the service makes it.
fn pass(dirs: &EngineDirs) -> Pass<'_> {
    Pass {
        dirs,
        policy: policy(20_531),
        compresses: true,
        is_rehearsal: false,
        on_held: OnHeld::ComesAgain,
        hooks: JanitorHooks::none(),
    }
}

/// What a pass said, with the place at which it asked for days with orders; the bytes are the files'.
fn said(pass: &Pass<'_>, traded: Option<&[Day]>) -> (Result<Ended, Code>, Vec<String>) {
    let said = RefCell::new(Vec::new());
    let days = || {
        said.borrow_mut().push("orders".to_owned());
        traded.map(|days| days.iter().copied().collect::<BTreeSet<Day>>())
    };
    let mut say = |step: Step| {
        said.borrow_mut().push(match step {
            Step::Packing(day) => format!("packing {day}"),
            Step::Packed(day, done) => {
                assert!(done.files >= 6 && done.bytes_after < done.bytes_before, "{done:?}");
                format!("packed {day}")
            }
            Step::Moved(tick) => format!("moved {tick}"),
            Step::Kept(day, why) => format!("kept {day} {why:?}"),
            Step::Gone(gone) => {
                assert!(gone.bytes > 1_000, "{gone:?}");
                format!("gone {} {}", gone.day, gone.is_traded)
            }
        });
    };
    let ended = janitor::run(pass, days, &mut say).map_err(|fault| fault.code);
    (ended, said.into_inner())
}

#[test]
fn a_pass_compresses_first_asks_for_orders_then_and_removes_what_it_has_not_compressed() {
    let dir = tempfile::tempdir().unwrap();
    let (_, dirs) = closed_day(dir.path());
    let before = tree(dir.path());
    // A day that is not over yet is nobody's business, and neither is a raw one when nothing is compressed.
    let early = Pass { policy: policy(FIRST.0), ..pass(&dirs) };
    assert_eq!(said(&early, Some(&[])), (Ok(Ended::Whole), vec!["orders".to_owned()]));
    let young = Pass { policy: policy(20_530), compresses: false, ..pass(&dirs) };
    assert_eq!(said(&young, Some(&[])), (Ok(Ended::Whole), vec!["orders".to_owned()]));
    // A rehearsal says the same steps as the pass and changes nothing.
    let rehearsal = |compresses| Pass { is_rehearsal: true, compresses, ..pass(&dirs) };
    let want = ["packing 2026-02-16", "orders", "kept 2026-02-16 JustPacked"].map(str::to_owned);
    assert_eq!(said(&rehearsal(true), Some(&[])), (Ok(Ended::Whole), want.to_vec()));
    let want = ["orders", "gone 2026-02-16 true"].map(str::to_owned);
    let long_ago = Pass { policy: policy(20_591), ..rehearsal(false) };
    assert_eq!(said(&long_ago, Some(&[FIRST])), (Ok(Ended::Whole), want.to_vec()));
    assert_eq!(tree(dir.path()), before);
    // The pass itself, three times: compressed, kept for its order, gone.
    let want = ["packing 2026-02-16", "packed 2026-02-16", "orders", "kept 2026-02-16 JustPacked"];
    assert_eq!(said(&pass(&dirs), Some(&[])), (Ok(Ended::Whole), want.map(str::to_owned).to_vec()));
    let want = ["orders", "kept 2026-02-16 Traded"].map(str::to_owned);
    assert_eq!(said(&pass(&dirs), Some(&[FIRST])), (Ok(Ended::Whole), want.to_vec()));
    let want = ["orders", "gone 2026-02-16 false"].map(str::to_owned);
    assert_eq!(said(&pass(&dirs), Some(&[])), (Ok(Ended::Whole), want.to_vec()));
    assert!(retention::has_gone(&dirs, FIRST).unwrap());
}

#[test]
fn a_pass_removes_nothing_without_the_word_on_orders_and_comes_again_for_a_day_that_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let (_, dirs) = closed_day(dir.path());
    // Somebody reads the raw day: the service comes again, the operator hears of it and nothing else is done.
    let held = day_lock::hold(&dirs, FIRST).unwrap();
    let (ended, steps) = said(&pass(&dirs), Some(&[]));
    let is_held =
        |ended: &Ended| matches!(ended, Ended::Held(fault) if fault.code == Code::EnvLock);
    assert!(ended.as_ref().is_ok_and(|ended| is_held(ended) && !ended.is_whole()), "{ended:?}");
    assert_eq!(steps, ["packing 2026-02-16", "orders", "kept 2026-02-16 Read"]);
    let fails = Pass { on_held: OnHeld::Fails, ..pass(&dirs) };
    let want = vec!["packing 2026-02-16".to_owned()];
    assert_eq!(said(&fails, Some(&[])), (Err(Code::EnvLock), want));
    drop(held);
    // A crash that is staged is met by the pass, too.
    let crash = |at: JanitorPoint| at == JanitorPoint::BeforePack;
    let crashing = Pass { hooks: JanitorHooks::staged(&crash), ..pass(&dirs) };
    assert_eq!(said(&crashing, Some(&[])).0, Err(Code::Storage));
    assert_eq!(raw_days(&dirs).unwrap(), [FIRST]);
    // Without the database's word the day is compressed, and stays as old as it may be.
    let (ended, steps) = said(&pass(&dirs), None);
    assert!(ended == Ok(Ended::OrdersUnknown) && !Ended::OrdersUnknown.is_whole(), "{ended:?}");
    assert_eq!(steps, ["packing 2026-02-16", "packed 2026-02-16", "orders"]);
    assert_eq!(said(&pass(&dirs), None), (Ok(Ended::OrdersUnknown), vec!["orders".to_owned()]));
    assert!(!retention::has_gone(&dirs, FIRST).unwrap());
    // A day that does not verify ends it, with its code.
    let path = stored::packed(&dirs.log_file(1, FIRST, 0));
    penstock_engine_io::files::set_mode(&path, 0o640).unwrap();
    let mut bad = std::fs::read(&path).unwrap();
    *bad.last_mut().unwrap() ^= 1;
    std::fs::write(&path, bad).unwrap();
    assert_eq!(said(&pass(&dirs), Some(&[])), (Err(Code::ManHash), vec!["orders".to_owned()]));
}
