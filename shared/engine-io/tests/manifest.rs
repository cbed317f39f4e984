//! Closed days: their manifests chain, sign and name every byte; a verifier that shares no code agrees.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

#[expect(dead_code, reason = "each test file uses its own part of this module")]
mod common;
#[path = "common/second.rs"]
mod second;

use common::*;
use penstock_engine::EngineConfig;
use penstock_engine_io::keys::{self, Signer};
use penstock_engine_io::manifest::{Facts, close_day, missing_days, verify_day, write_missing};
use penstock_engine_io::replay::{Verdict, level_a};
use penstock_engine_io::{Code, Day, EngineDirs};
use second::second_verifier;
use std::path::Path;

const FIRST: Day = Day(20_500);
const SECOND: Day = Day(20_501);

fn facts(day: Day, after_ms: u64) -> Facts {
    Facts {
        engine_sha256: "ab".repeat(32),
        bindings_hash: Some("cd".repeat(32)),
        max_tick_us: Some(900),
        written_at_ms: (day.last_tick() + 1) * 250 + after_ms,
    }
}

/// The last minutes of a day and the first of the next, with a key.
fn two_days(root: &Path) -> (EngineConfig, EngineDirs, Signer) {
    let config = config(1_200);
    let frames = stream(MIDNIGHT - 700, 1_000, |tick| tick % 97 == 3);
    whole_run(root, &config, &frames);
    let dirs = EngineDirs::under(root);
    let private = root.join("private/signing.pem");
    keys::init(&dirs, &private, &[7; 32], "2026-02-16").unwrap();
    let signer = Signer::load(&private, &dirs).unwrap();
    (config, dirs, signer)
}

#[test]
fn a_closed_day_is_named_whole_and_signed() {
    let dir = tempfile::tempdir().unwrap();
    let (config, dirs, signer) = two_days(dir.path());
    assert_eq!(missing_days(&dirs).unwrap(), [FIRST]);
    let open = close_day(&dirs, &config, SECOND, &facts(SECOND, 0), None).unwrap_err();
    assert_eq!(open.code, Code::ManMissing, "the second day is not over");
    let manifest = close_day(&dirs, &config, FIRST, &facts(FIRST, 9_000), Some(&signer)).unwrap();
    assert!(!manifest.late && manifest.prev_manifest_sha256.is_none());
    assert_eq!(manifest.tokens.len(), 3);
    assert_eq!(manifest.tokens[0].records, 700);
    assert_eq!(manifest.gap_fill_ticks, 8);
    assert_eq!(manifest.uptime_ppm, 692 * 1_000_000 / DAY);
    assert_eq!(manifest.state_chain_open, hex_of(&config.sha256()));
    assert_eq!(manifest.journal.files.len(), 2);
    assert_eq!(missing_days(&dirs).unwrap(), []);
    let again = close_day(&dirs, &config, FIRST, &facts(FIRST, 99_000), None).unwrap();
    assert_eq!(again, manifest, "a manifest is written once");
    let before = tree(dir.path());
    let verified = verify_day(&dirs, FIRST).unwrap();
    assert!(verified.is_signed && !verified.is_unlinked);
    let a = level_a(&dirs, &config, Some(FIRST)).unwrap();
    assert_eq!((a.verdict, &a.first_mismatch), (Verdict::Identical, &None));
    assert_eq!(a.state_chain.as_deref(), Some(manifest.state_chain_close.as_str()));
    let (status, report) =
        second_verifier(&["--day", &FIRST.to_string(), "--engine-dir"], dir.path());
    assert_eq!(status, 0, "{report}");
    assert_eq!(report["day_root"], manifest.day_root.as_str());
    assert_eq!((&report["signed"], &report["ticks"]), (&true.into(), &700.into()));
    assert!(tree(dir.path()) == before, "verifying changes nothing");
}

#[test]
fn a_wrong_transition_that_is_hashed_and_signed_is_still_named_by_both_verifiers() {
    let dir = tempfile::tempdir().unwrap();
    let (config, dirs, signer) = two_days(dir.path());
    let path = dirs.log_file(2, FIRST, 0);
    let mut bytes = std::fs::read(&path).unwrap();
    let at = 64 + 64 * 400;
    bytes[at + 12] = if bytes[at + 12] == 2 { 3 } else { 2 };
    let crc = penstock_types::frame::crc32c(&bytes[at..at + 60]);
    bytes[at + 60..at + 64].copy_from_slice(&crc.to_le_bytes());
    std::fs::write(&path, &bytes).unwrap();
    close_day(&dirs, &config, FIRST, &facts(FIRST, 0), Some(&signer)).unwrap();
    verify_day(&dirs, FIRST).unwrap();
    let tick = MIDNIGHT - 300;
    let found = level_a(&dirs, &config, Some(FIRST)).unwrap().first_mismatch.unwrap();
    assert_eq!((found.tick, found.token, found.field.as_str()), (tick, Some(2), "fsm_state"));
    let (status, report) =
        second_verifier(&["--day", &FIRST.to_string(), "--engine-dir"], dir.path());
    let found = &report["first_mismatch"];
    assert_eq!(status, 15, "{report}");
    assert_eq!((&found["tick"], &found["token"]), (&tick.into(), &2.into()));
    assert_eq!(found["field"], "fsm_state");
}

#[test]
fn every_file_of_a_day_that_changes_is_named_with_its_code_by_both_verifiers() {
    let dir = tempfile::tempdir().unwrap();
    let (config, dirs, signer) = two_days(dir.path());
    close_day(&dirs, &config, FIRST, &facts(FIRST, 0), Some(&signer)).unwrap();
    let key = dirs.keys().join(format!("{}.json", signer.key_id()));
    let cases = [
        (dirs.log_file(1, FIRST, 0), 64 + 64 * 33 + 21, Code::LogCorrupt, 13),
        (dirs.log_file(1, FIRST, 0), 40, Code::LogHeader, 13),
        (dirs.frames_file(MIDNIGHT - 1), 500, Code::ManHash, 18),
        (dirs.quotes_file(MIDNIGHT - 1), 500, Code::ManHash, 18),
        (dirs.alerts_file(FIRST), 77, Code::ManHash, 18),
        (dirs.transitions_file(FIRST), 77, Code::ManHash, 18),
        (dirs.manifest(FIRST), 300, Code::ManSignature, 18),
        (key, 60, Code::ManKey, 18),
    ];
    for (path, at, code, exit) in cases {
        let bytes = std::fs::read(&path).unwrap();
        let mut bad = bytes.clone();
        // A digit for a digit, so that a document stays one.
        bad[at] ^= 1;
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        std::fs::set_permissions(&path, mode).unwrap();
        std::fs::write(&path, &bad).unwrap();
        let fault = verify_day(&dirs, FIRST).unwrap_err();
        let is_document = code == Code::ManSignature && fault.code == Code::ManHash;
        let is_frame = code == Code::ManHash && fault.code == Code::FrameCrc;
        assert!(fault.code == code || is_document || is_frame, "{}: {fault}", path.display());
        let (status, report) =
            second_verifier(&["--day", &FIRST.to_string(), "--engine-dir"], dir.path());
        assert!(status == exit || status == 18, "{}: {report}", path.display());
        std::fs::write(&path, &bytes).unwrap();
    }
    verify_day(&dirs, FIRST).unwrap();
}

#[test]
fn a_stop_over_midnight_closes_both_days_late_and_chained() {
    let dir = tempfile::tempdir().unwrap();
    let (config, dirs, signer) = two_days(dir.path());
    // The engine stood still for the rest of the second day: the missing ticks run first.
    let all = stream(MIDNIGHT - 700, 1_000, |tick| tick % 97 == 3);
    let (_, last, _) = all.last().unwrap();
    let mut next = stream(MIDNIGHT + DAY + 5, 1, |_| false).remove(0);
    let link = penstock_types::frame::verify_link(last, None).unwrap();
    penstock_types::frame::deliver(&mut next.1, Some(&link)).unwrap();
    let options = options(dir.path(), &config);
    let (mut session, _) = start(&options).unwrap();
    feed(&mut session, &[next]).unwrap();
    session.stop().unwrap();
    let late = facts(SECOND, 3_600_000);
    let written = write_missing(&dirs, &config, &late, Some(&signer)).unwrap();
    assert_eq!(written, [FIRST, SECOND]);
    let first = verify_day(&dirs, FIRST).unwrap().manifest;
    let second = verify_day(&dirs, SECOND).unwrap().manifest;
    assert!(first.late && second.late && first.max_tick_us.is_none());
    let hash = penstock_types::frame::sha256(&std::fs::read(dirs.manifest(FIRST)).unwrap());
    assert_eq!(second.prev_manifest_sha256, Some(hex_of(&hash)));
    assert_eq!(second.state_chain_open, first.state_chain_close);
    assert_eq!((second.tokens[2].records, second.journal.files.len()), (DAY, 2));
    let a = level_a(&dirs, &config, Some(SECOND)).unwrap();
    assert_eq!((a.verdict, a.first_mismatch, a.ticks), (Verdict::Identical, None, DAY));
    let (status, report) =
        second_verifier(&["--day", &SECOND.to_string(), "--engine-dir"], dir.path());
    assert_eq!((status, &report["ticks"]), (0, &DAY.into()), "{report}");
    // A key that rotates with its predecessor gone is reported, not hidden.
    let private = dir.path().join("private/signing.pem");
    keys::rotate(&dirs, &private, &[8; 32], "2026-02-18", true).unwrap();
    std::fs::remove_file(dirs.manifest(SECOND)).unwrap();
    let signer = Signer::load(&private, &dirs).unwrap();
    close_day(&dirs, &config, SECOND, &late, Some(&signer)).unwrap();
    assert!(verify_day(&dirs, SECOND).unwrap().is_unlinked);
    assert!(!verify_day(&dirs, FIRST).unwrap().is_unlinked);
    // Without the first day's manifest the second begins the chain for whoever has nothing else.
    std::fs::rename(dirs.manifest(FIRST), dir.path().join("away")).unwrap();
    verify_day(&dirs, SECOND).unwrap();
    std::fs::rename(dir.path().join("away"), dirs.manifest(FIRST)).unwrap();
    let mut other = std::fs::read(dirs.manifest(FIRST)).unwrap();
    let at = other.windows(5).position(|w| w == b"false" || w == b"\"late").unwrap();
    other.insert(at, b' ');
    std::fs::remove_file(dirs.manifest(FIRST)).unwrap();
    std::fs::write(dirs.manifest(FIRST), &other).unwrap();
    assert_eq!(verify_day(&dirs, SECOND).unwrap_err().code, Code::ManChain);
    assert_eq!(verify_day(&dirs, FIRST).unwrap_err().code, Code::ManHash);
}

fn hex_of(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
