//! The checklist item by item, and the locks.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;

use penstock_config::{Config, Process, Sources, resolve};
use penstock_trading::mode::{CauseCode, Level, ModeTiming, Signal, Thresholds};
use penstock_types::vocab::SysMode;

use crate::attach::venue;
use crate::boot::checklist::{Finding, Findings, Item, Verdict, judge, names};
use crate::boot::{missing_locks, probe_directory};
use crate::mode::{ModeHandle, Source};
use crate::settings::{RunMode, Settings};

fn settings(more: &str) -> Settings {
    Settings::new(resolved(more), RunMode::Attach).unwrap()
}

fn resolved(more: &str) -> Config {
    let sources = Sources {
        process: Process::Execution,
        file: Some(("test.toml".to_owned(), more.to_owned())),
        environment: BTreeMap::from([(
            "DECISION_DATABASE_URL".to_owned(),
            "postgresql://exec_rw@127.0.0.1:1/decision".to_owned(),
        )]),
        secret_files: BTreeMap::new(),
    };
    resolve(&sources).unwrap()
}

#[test]
fn checklist_each_item() {
    let all: Findings = Item::ALL.iter().map(|item| (*item, Finding::Holds)).collect();
    assert_eq!(judge(&all), Verdict::Passed);
    assert_eq!(
        judge(&Findings::new()),
        Verdict::Waiting(Item::ALL.to_vec()),
        "nothing was looked at"
    );
    for item in Item::ALL {
        let with = |finding| {
            let mut findings = all.clone();
            findings.insert(*item, finding);
            judge(&findings)
        };
        assert_eq!(with(Finding::NotYet), Verdict::Waiting(vec![*item]));
        assert_eq!(with(Finding::Fails), Verdict::Failed(vec![*item]));
    }
    let mut two = all;
    two.insert(Item::Disk, Finding::Fails);
    two.insert(Item::Frames, Finding::NotYet);
    assert_eq!(judge(&two), Verdict::Failed(vec![Item::Disk]), "a failure waits for nothing");
    assert_eq!(names(&[Item::Jsonl, Item::Disk]), "jsonl, disk");
}

#[test]
fn a_failed_item_pauses_by_name_and_one_that_is_not_there_yet_only_waits() {
    let timing = ModeTiming { stable_window_ms: 0, pause_auto_recover_feed: true };
    let (mode, _changes) = ModeHandle::new(timing, Thresholds::default());
    let waits = Some("frames".to_owned());
    mode.set_from(Source::Boot, CauseCode::EnterDegrade, Level::Degrade, true, waits);
    mode.judge();
    assert_eq!(mode.current(), SysMode::Degrade, "no entry before everything was looked at");
    let source = Source::Signal(Signal::ChecklistItems);
    let failed = Some("disk".to_owned());
    mode.set_from(source, CauseCode::ChecklistFailed, Level::Pause, true, failed);
    assert_eq!(mode.current(), SysMode::Pause);
    assert_eq!(mode.view().reasons.first(), Some(&CauseCode::ChecklistFailed));
}

#[test]
fn each_lock_blocks() {
    let directory = tempfile::tempdir().unwrap();
    let ok = directory.path().join("LIVE.ok");
    let file = |enable: bool, require: bool| {
        let (ok, state) = (ok.display(), directory.path().display());
        settings(&format!(
            "execution_enable = {enable}\nlive_require_ok_file = {require}\n\
             live_ok_file_path = \"{ok}\"\nstate_directory = \"{state}\"\n"
        ))
    };
    // The switch: without it nothing else is asked for, and decide sends nothing.
    let off = file(false, true);
    assert!(!off.decide.execution_enable);
    assert_eq!(missing_locks(&off), [] as [&str; 0]);
    // The file, when it is asked for.
    assert_eq!(missing_locks(&file(true, true)), ["live_ok_file_path"]);
    assert_eq!(missing_locks(&file(true, false)), [] as [&str; 0]);
    std::fs::write(&ok, "").unwrap();
    assert_eq!(missing_locks(&file(true, true)), [] as [&str; 0]);
    // The key: without it the start is refused before any connection.
    let refused = venue::credentials(&file(true, false)).unwrap_err();
    assert!(refused.to_string().contains("KRAKEN_API_KEY"), "{refused}");
    assert_eq!(refused.code(), crate::exit::CONFIGURATION);
}

/// An entry that must lose by its own numbers is for the simulated venue alone: whatever the mode of the run, a venue
/// that is not on this machine refuses the start, by either of its addresses.
#[test]
fn negative_edge_proof_needs_loopback_venue() {
    let with = |allow: bool, rest: &str, private: &str, mode: RunMode| {
        let more = format!(
            "route_proof_allow_negative_edge = {allow}\nkraken_rest_url = \"{rest}\"\n\
             kraken_ws_auth_url = \"{private}\"\n"
        );
        Settings::new(resolved(&more), mode)
    };
    let (rest, private) = ("https://api.kraken.com", "wss://ws-auth.kraken.com/v2");
    let (sim_rest, sim_private) = ("http://127.0.0.1:9/", "ws://[::1]:9/v2");
    for mode in [RunMode::Attach, RunMode::Once, RunMode::Proof] {
        for (rest, private) in [(rest, private), (sim_rest, private), (rest, sim_private)] {
            assert!(with(false, rest, private, mode).is_ok(), "a run without it is none of this");
            let refused = with(true, rest, private, mode).unwrap_err().to_string();
            assert!(refused.contains("route_proof_allow_negative_edge"), "{refused}");
            assert!(refused.contains("next: "), "{refused}");
        }
        let allowed = with(true, sim_rest, sim_private, mode).unwrap();
        let waives = allowed.decide.proof.as_ref().is_some_and(|proof| proof.allow_negative_edge);
        assert_eq!(waives, mode == RunMode::Proof, "once mode only");
    }
}

#[test]
fn a_directory_is_probed_and_nothing_is_left_in_it() {
    let directory = tempfile::tempdir().unwrap();
    let inner = directory.path().join("a/b");
    probe_directory(&inner).unwrap();
    assert_eq!(std::fs::read_dir(&inner).unwrap().count(), 0);
    // A file where the directory should be: no permission of a superuser helps against it.
    std::fs::write(directory.path().join("file"), "").unwrap();
    assert!(probe_directory(&directory.path().join("file")).is_err());
    let mode = std::fs::metadata(&inner).unwrap().permissions().mode();
    assert_ne!(mode & 0o200, 0, "the directory stays writable");
}
