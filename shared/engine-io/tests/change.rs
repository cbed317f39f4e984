//! A configuration that the operator accepts: the state goes over, the files say from which tick on, and both
//! levels of replay change at the same tick.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

mod common;
#[path = "common/second.rs"]
mod second;

use common::*;
use penstock_engine::EngineConfig;
use penstock_engine_io::keys::{self, Signer};
use penstock_engine_io::manifest::{Facts, Manifest, close_day, verify_day};
use penstock_engine_io::replay::{ReplayStart, Verdict, level_a, level_b};
use penstock_engine_io::{
    Code, CrashPoint, Day, EngineDirs, Hooks, NoStore, Session, StartOptions, origin, snapshots,
};
use second::second_verifier;
use std::path::Path;

const FIRST: Day = Day(20_500);
/// Ticks before midnight with which the engine begins, and at which it is changed.
const BEGIN: u64 = 400;
const CHANGE: u64 = 150;

/// What an operator changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Threshold,
    TokenAdded,
    TokenRemoved,
}

const ALL: [What; 3] = [What::Threshold, What::TokenAdded, What::TokenRemoved];

/// Before and after. The market of a test has events of three tokens, so a token that is added or removed stays
/// bound in the frames: its instruments are those of a token that is there throughout.
fn configs(what: What) -> (EngineConfig, EngineConfig) {
    let all = config(40);
    let mut other = all.clone();
    match what {
        What::Threshold => {
            for token in &mut other.tokens {
                token.fsm.p1 += 60_000;
            }
            other.cluster.c1 += 2;
            other.base.vol_min += 5;
            (all, other)
        }
        What::TokenAdded | What::TokenRemoved => {
            let mut fourth = other.tokens[2].clone();
            fourth.id = 4;
            fourth.symbol = "LATE".to_owned();
            fourth.cluster = 3;
            other.tokens.push(fourth);
            if what == What::TokenAdded { (all, other) } else { (other, all) }
        }
    }
}

fn frames() -> Vec<Delivered> {
    stream(MIDNIGHT - BEGIN, BEGIN + 60, |tick| tick % 97 == 3 || tick == MIDNIGHT - CHANGE)
}

fn split(frames: &[Delivered]) -> (&[Delivered], &[Delivered]) {
    frames.split_at(frames.iter().position(|(tick, ..)| *tick >= MIDNIGHT - CHANGE).unwrap())
}

fn accepting(root: &Path, config: &EngineConfig) -> StartOptions {
    StartOptions { accept_config: Some(config.sha256()), ..options(root, config) }
}

fn hex_of(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A run under one configuration, then under the other one, over midnight.
fn changed_run(root: &Path, what: What) -> (EngineConfig, EngineConfig) {
    let (had, now) = configs(what);
    let frames = frames();
    let (before, behind) = split(&frames);
    whole_run(root, &had, before);
    let (mut session, started) = start(&accepting(root, &now)).unwrap();
    assert_eq!(started.changed_at, Some(MIDNIGHT - CHANGE), "{what:?}");
    feed(&mut session, behind).unwrap();
    session.stop().unwrap();
    (had, now)
}

fn close(root: &Path, config: &EngineConfig) -> Manifest {
    let (dirs, private) = (EngineDirs::under(root), root.join("private/signing.pem"));
    keys::init(&dirs, &private, &[7; 32], "2026-02-16").unwrap();
    let facts = Facts {
        engine_sha256: "ab".repeat(32),
        bindings_hash: Some("cd".repeat(32)),
        max_tick_us: None,
        written_at_ms: (FIRST.last_tick() + 1) * 250,
    };
    let signer = Signer::load(&private, &dirs).unwrap();
    close_day(&dirs, config, FIRST, &facts, Some(&signer)).unwrap()
}

#[test]
fn both_levels_change_with_the_configuration_at_its_tick() {
    for what in ALL {
        let dir = tempfile::tempdir().unwrap();
        let (had, now) = changed_run(dir.path(), what);
        let dirs = EngineDirs::under(dir.path());
        assert_eq!(origin::config_of(&dirs).unwrap(), now);
        let out = tempfile::tempdir().unwrap();
        let again = EngineDirs::under(out.path());
        let b = level_b(&dirs, &now, ReplayStart::Genesis, None, Some(&again)).unwrap();
        assert_eq!((b.verdict, &b.first_mismatch), (Verdict::Identical, &None), "{what:?}");
        assert_eq!(b.ticks, BEGIN + 60);
        let whole = tree(dir.path());
        for (name, bytes) in tree(out.path()) {
            assert!(whole.get(&name) == Some(&bytes), "{what:?}: {name} of the second run");
        }
        let a = level_a(&dirs, &now, None).unwrap();
        assert_eq!((a.verdict, &a.first_mismatch), (Verdict::Identical, &None), "{what:?}");
        assert_eq!((&a.state_chain, &a.alerts_hash), (&b.state_chain, &b.alerts_hash));
        for tick in snapshots::ticks(&dirs).unwrap() {
            let b = level_b(&dirs, &now, ReplayStart::Snapshot(tick), None, None).unwrap();
            assert_eq!((b.verdict, &b.first_mismatch), (Verdict::Identical, &None), "{tick}");
            assert_eq!(b.state_chain, a.state_chain);
        }
        // The change is what makes the difference: under the one before, the files do not follow.
        let one = tempfile::tempdir().unwrap();
        whole_run(one.path(), &had, &frames());
        let (mixed, plain) = (tree(dir.path()), tree(one.path()));
        assert!(mixed["log/1/2026-02-17.bin"] != plain["log/1/2026-02-17.bin"], "{what:?}");
        let at = mixed["log/1/2026-02-16.bin"].len();
        assert_eq!(mixed["log/1/2026-02-16.bin"][64..], plain["log/1/2026-02-16.bin"][64..at]);
    }
}

#[test]
fn the_manifest_says_from_which_tick_on_and_the_bundle_proves_it() {
    for what in ALL {
        let dir = tempfile::tempdir().unwrap();
        let (had, now) = changed_run(dir.path(), what);
        let dirs = EngineDirs::under(dir.path());
        let manifest = close(dir.path(), &now);
        let said: Vec<(u64, &str)> =
            manifest.configs.iter().map(|one| (one.from_tick, one.sha256.as_str())).collect();
        let (first, second) = (hex_of(&had.sha256()), hex_of(&now.sha256()));
        let due = [(MIDNIGHT - BEGIN, first.as_str()), (MIDNIGHT - CHANGE, second.as_str())];
        assert_eq!(said, due, "{what:?}");
        assert_eq!(manifest.configs[0].bindings_hash, None);
        let of = |token: u16| -> Vec<(u16, u64)> {
            let own = manifest.tokens.iter().filter(|entry| entry.token_id == token);
            own.map(|entry| (entry.segment, entry.records)).collect()
        };
        assert_eq!(of(1), [(0, BEGIN - CHANGE), (1, CHANGE)]);
        let fourth = match what {
            What::Threshold => vec![],
            What::TokenAdded => vec![(1, CHANGE)],
            What::TokenRemoved => vec![(0, BEGIN - CHANGE)],
        };
        assert_eq!(of(4), fourth, "{what:?}");
        verify_day(&dirs, FIRST).unwrap();
        let day = level_a(&dirs, &now, Some(FIRST)).unwrap();
        assert_eq!((day.verdict, day.ticks), (Verdict::Identical, BEGIN));
        let next = level_a(&dirs, &now, Some(Day(FIRST.0 + 1))).unwrap();
        assert_eq!((next.verdict, next.ticks), (Verdict::Identical, 60));
        let (status, report) = second_verifier(&["--engine-dir"], dir.path());
        assert_eq!((status, &report["ticks"]), (0, &BEGIN.into()), "{what:?}: {report}");
        let bundle = dir.path().join("day.tar");
        penstock_engine_io::bundle::export_day(&dirs, FIRST, &bundle).unwrap();
        let place = tempfile::tempdir().unwrap();
        let verified = penstock_engine_io::bundle::verify_bundle(&bundle, place.path()).unwrap();
        assert_eq!(verified.verdict, Verdict::Identical, "{what:?}");
        let (status, report) = second_verifier(&["--bundle"], &bundle);
        assert_eq!((status, &report["ticks"]), (0, &BEGIN.into()), "{what:?}: {report}");
    }
}

#[test]
fn nothing_changes_without_the_operators_word() {
    let dir = tempfile::tempdir().unwrap();
    let (had, now) = configs(What::Threshold);
    let frames = frames();
    whole_run(dir.path(), &had, split(&frames).0);
    let fault = start(&options(dir.path(), &now)).err().unwrap();
    assert_eq!(fault.code, Code::SnapConfig);
    let (first, second) = (hex_of(&had.sha256()), hex_of(&now.sha256()));
    let sides = |fault: &penstock_engine_io::Fault| {
        (fault.expected.as_deref().map(str::to_owned), fault.actual.as_deref().map(str::to_owned))
    };
    assert_eq!(sides(&fault), (Some(first.clone()), Some(second.clone())));
    // The wrong word is none, also where nothing would change.
    for (config, named) in [(&now, had.sha256()), (&had, now.sha256())] {
        let wrong = StartOptions { accept_config: Some(named), ..options(dir.path(), config) };
        let fault = start(&wrong).err().unwrap();
        assert_eq!(fault.code, Code::SnapConfig);
        assert_eq!(sides(&fault), (Some(hex_of(&named)), Some(hex_of(&config.sha256()))));
    }
    assert!(!dir.path().join("log/1/2026-02-16.s01.bin").exists());
    let (session, started) = start(&accepting(dir.path(), &had)).unwrap();
    assert_eq!(started.changed_at, None, "its own configuration changes nothing");
    session.stop().unwrap();
}

#[test]
fn a_crash_behind_the_word_goes_on_without_it_and_changes_no_byte() {
    let want = tempfile::tempdir().unwrap();
    changed_run(want.path(), What::TokenAdded);
    let (had, now) = configs(What::TokenAdded);
    let frames = frames();
    let (before, behind) = split(&frames);
    for executed in [0, 1, 20, 130, behind.len()] {
        let dir = tempfile::tempdir().unwrap();
        whole_run(dir.path(), &had, before);
        {
            let (mut session, _) = start(&accepting(dir.path(), &now)).unwrap();
            feed(&mut session, &behind[..executed]).unwrap();
            // A session that is dropped writes nothing more, as a killed one.
        }
        let (session, started) = start(&options(dir.path(), &now)).unwrap();
        let is_young = executed < 40;
        assert_eq!(started.changed_at, is_young.then_some(MIDNIGHT - CHANGE), "{executed}");
        drop(session);
        go_on(&options(dir.path(), &now), &frames, &mut Table(&frames)).unwrap();
        assert_same(dir.path(), want.path(), &format!("{executed} frames"));
    }
}

#[test]
fn the_configuration_before_executes_what_it_had_taken_first() {
    let want = tempfile::tempdir().unwrap();
    changed_run(want.path(), What::TokenRemoved);
    let (had, now) = configs(What::TokenRemoved);
    let frames = frames();
    let (before, behind) = split(&frames);
    let dir = tempfile::tempdir().unwrap();
    // Killed between two snapshots: frames of the journal are not in any log.
    let crash = StartOptions {
        hooks: Hooks::staged(|point| point == CrashPoint::BeforeSnapshotWrite),
        ..options(dir.path(), &had)
    };
    let (first, rest) = before.split_at(100);
    whole_run(dir.path(), &had, first);
    {
        let (mut session, _) = start(&crash).unwrap();
        let _ = feed(&mut session, &rest[..20]);
    }
    let journal: Vec<Delivered> = frames.clone();
    let (session, _) = Session::start(&options(dir.path(), &had), &mut Table(&journal)).unwrap();
    let last = session.engine().unwrap().last_tick().unwrap();
    drop(session);
    go_on(&options(dir.path(), &had), before, &mut NoStore).unwrap();
    assert!(last < MIDNIGHT - CHANGE);
    let (mut session, started) = start(&accepting(dir.path(), &now)).unwrap();
    assert_eq!(started.changed_at, Some(MIDNIGHT - CHANGE));
    feed(&mut session, behind).unwrap();
    session.stop().unwrap();
    assert_same(dir.path(), want.path(), "a crash before the change");
}

#[test]
fn one_change_after_the_other_before_anything_is_executed_leaves_the_last_one_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (had, between) = configs(What::TokenAdded);
    let now = configs(What::Threshold).1;
    let frames = frames();
    let (before, behind) = split(&frames);
    whole_run(dir.path(), &had, before);
    let (session, _) = start(&accepting(dir.path(), &between)).unwrap();
    drop(session);
    let (session, _) = start(&accepting(dir.path(), &now)).unwrap();
    drop(session);
    let (session, _) = start(&accepting(dir.path(), &had)).unwrap();
    drop(session);
    let (mut session, started) = start(&accepting(dir.path(), &now)).unwrap();
    assert_eq!(started.changed_at, Some(MIDNIGHT - CHANGE));
    // Thirty frames under it and no snapshot, then a third one.
    feed(&mut session, &behind[..30]).unwrap();
    drop(session);
    let fault = start(&options(dir.path(), &between)).err().unwrap();
    assert_eq!(fault.code, Code::SnapConfig);
    let (mut session, started) = start(&accepting(dir.path(), &between)).unwrap();
    assert_eq!(started.changed_at, Some(behind[30].0));
    feed(&mut session, &behind[30..]).unwrap();
    session.stop().unwrap();
    let dirs = EngineDirs::under(dir.path());
    let a = level_a(&dirs, &between, None).unwrap();
    let b = level_b(&dirs, &between, ReplayStart::Genesis, None, None).unwrap();
    assert_eq!((a.verdict, &a.first_mismatch), (Verdict::Identical, &None));
    assert_eq!((b.verdict, &b.first_mismatch), (Verdict::Identical, &None));
    let manifest = close(dir.path(), &between);
    assert_eq!(manifest.configs.len(), 3);
    verify_day(&dirs, FIRST).unwrap();
}
