//! A day in one file: two exports are equal bytes, and it verifies where nothing else is.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

#[expect(dead_code, reason = "each test file uses its own part of this module")]
mod common;
#[path = "common/second.rs"]
mod second;

use common::*;
use penstock_engine::EngineConfig;
use penstock_engine_io::JanitorHooks;
use penstock_engine_io::bundle::{check_bundle, export_day, verify_bundle};
use penstock_engine_io::compress::pack_day;
use penstock_engine_io::keys::{self, Signer};
use penstock_engine_io::manifest::{Facts, close_day};
use penstock_engine_io::replay::Verdict;
use penstock_engine_io::{Code, Day, EngineDirs, Fault};
use second::second_verifier;
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

fn signer(root: &Path, dirs: &EngineDirs) -> Signer {
    let private = root.join("private/signing.pem");
    if !private.exists() {
        keys::init(dirs, &private, &[7; 32], "2026-02-16").unwrap();
    }
    Signer::load(&private, dirs).unwrap()
}

/// The last ticks of a day, closed and signed.
fn short_day(root: &Path, ticks: u64) -> (EngineConfig, EngineDirs) {
    let config = config(1_200);
    whole_run(root, &config, &stream(MIDNIGHT - ticks, ticks + 50, |tick| tick % 97 == 3));
    let dirs = EngineDirs::under(root);
    close_day(&dirs, &config, FIRST, &facts(FIRST), Some(&signer(root, &dirs))).unwrap();
    (config, dirs)
}

/// Two days: the end of one, and the whole of the next, most of which is missing frames.
fn two_days(root: &Path, ticks: u64) -> (EngineConfig, EngineDirs) {
    let (config, dirs) = short_day(root, ticks);
    let all = stream(MIDNIGHT - ticks, ticks + 50, |tick| tick % 97 == 3);
    let mut next = stream(MIDNIGHT + DAY + 5, 1, |_| false).remove(0);
    let link = penstock_types::frame::verify_link(&all.last().unwrap().1, None).unwrap();
    penstock_types::frame::deliver(&mut next.1, Some(&link)).unwrap();
    let (mut session, _) = start(&options(root, &config)).unwrap();
    feed(&mut session, &[next]).unwrap();
    session.stop().unwrap();
    close_day(&dirs, &config, SECOND, &facts(SECOND), Some(&signer(root, &dirs))).unwrap();
    (config, dirs)
}

fn verify(bundle: &Path) -> Result<penstock_engine_io::bundle::Verified, Fault> {
    let scratch = tempfile::tempdir().unwrap();
    verify_bundle(bundle, scratch.path())
}

#[test]
fn two_exports_are_equal_bytes_and_verify_alone_raw_or_compressed() {
    let dir = tempfile::tempdir().unwrap();
    let (_, dirs) = short_day(dir.path(), 300);
    let place = tempfile::tempdir().unwrap();
    let [a, b, packed] = ["a.tar", "b.tar", "c.tar"].map(|name| place.path().join(name));
    let open = export_day(&dirs, SECOND, &a).unwrap_err();
    assert_eq!(open.code, Code::ManMissing, "a day that is not closed");
    let before = tree(dir.path());
    let index = export_day(&dirs, FIRST, &a).unwrap();
    export_day(&dirs, FIRST, &b).unwrap();
    assert!(std::fs::read(&a).unwrap() == std::fs::read(&b).unwrap());
    assert_eq!(export_day(&dirs, FIRST, &a).unwrap_err().code, Code::Storage, "never over a file");
    assert!(tree(dir.path()) == before, "an export changes nothing");
    assert!(index.files.iter().all(|file| !file.name.contains("private")));
    let bytes = std::fs::read(&a).unwrap();
    let root = dir.path().to_str().unwrap().as_bytes();
    assert!(!bytes.windows(root.len()).any(|part| part == root), "no path of the machine");
    pack_day(&dirs, FIRST, &JanitorHooks::none()).unwrap();
    export_day(&dirs, FIRST, &packed).unwrap();
    drop(dir);
    let [a, packed] =
        [a, packed].map(|path| (verify(&path).unwrap(), second_verifier(&["--bundle"], &path)));
    assert_eq!((a.0.verdict, a.0.level_a.ticks, a.0.level_b.ticks), (Verdict::Identical, 300, 300));
    assert!(a.0.day.is_signed && a.0 == packed.0 && a.1 == packed.1);
    let (status, report) = a.1;
    assert_eq!((status, &report["ticks"]), (0, &300.into()), "{report}");
    assert_eq!(report["day_root"], a.0.day.manifest.day_root.as_str());
}

#[test]
fn a_day_with_one_before_it_carries_that_ones_end_with_its_proof() {
    let dir = tempfile::tempdir().unwrap();
    let (_, dirs) = two_days(dir.path(), 4_250);
    let bundle = dir.path().join("b.tar");
    let index = export_day(&dirs, SECOND, &bundle).unwrap();
    let names: Vec<&str> = index.files.iter().map(|file| file.name.as_str()).collect();
    for name in
        ["lead/1.bin", "lead/3.json", "manifests/2026-02-16.json", "manifests/2026-02-17.json"]
    {
        assert!(names.contains(&name), "{name}: {names:?}");
    }
    let lead = index.files.iter().find(|file| file.name == "lead/1.bin").unwrap();
    assert_eq!(lead.bytes, 64 + 4_250 * 64, "whole chunks: the first one begins at record 0");
    let verified = verify(&bundle).unwrap();
    assert_eq!(verified.verdict, Verdict::Identical, "{:?}", verified.level_a.first_mismatch);
    assert_eq!((verified.level_a.ticks, verified.level_b.ticks), (DAY, DAY));
    assert_eq!(verified.level_b.start, format!("snapshot {}", FIRST.last_tick()));
}

#[test]
fn the_end_of_a_long_day_is_enough_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let (_, dirs) = two_days(dir.path(), 5_700);
    let bundle = dir.path().join("b.tar");
    let index = export_day(&dirs, SECOND, &bundle).unwrap();
    let lead = index.files.iter().find(|file| file.name == "lead/1.bin").unwrap();
    assert_eq!(lead.bytes, 64 + 3_700 * 64, "chunks of a thousand, and the shorter last one");
    let verified = verify(&bundle).unwrap();
    assert_eq!(verified.verdict, Verdict::Identical, "{:?}", verified.level_a.first_mismatch);
    assert!(verified.level_a.start.starts_with("records"));
    let (status, report) = second_verifier(&["--bundle"], &bundle);
    assert_eq!((status, &report["ticks"]), (0, &DAY.into()), "{report}");
    // A lead of another log does not prove itself, even when the index is made to fit.
    let scratch = tempfile::tempdir().unwrap();
    let forged = forge(&bundle, scratch.path(), "lead/2.bin", |bytes| bytes[70] ^= 1);
    assert_eq!(verify(&forged).unwrap_err().code, Code::ManRoot);
    let (status, report) = second_verifier(&["--bundle"], &forged);
    assert_eq!((status, &report["code"]), (18, &"E_MAN_ROOT".into()));
}

/// The same bundle with one file changed and an index that says so.
fn forge(
    bundle: &Path,
    place: &Path,
    name: &str,
    change: impl Fn(&mut Vec<u8>),
) -> std::path::PathBuf {
    use penstock_engine_io::tar::{TarReader, TarWriter};
    let mut tar = TarReader::open(bundle).unwrap();
    let mut files = Vec::new();
    while let Some((file, len)) = tar.next_file().unwrap() {
        let mut bytes = Vec::new();
        tar.content(len, |part| {
            bytes.extend_from_slice(part);
            Ok(())
        })
        .unwrap();
        if file == name {
            change(&mut bytes);
        }
        files.push((file, bytes));
    }
    let mut index: serde_json::Value = serde_json::from_slice(&files[0].1).unwrap();
    for (entry, (_, bytes)) in index["files"].as_array_mut().unwrap().iter_mut().zip(&files[1..]) {
        let hash = penstock_types::frame::sha256(bytes);
        entry["sha256"] = hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into();
        entry["bytes"] = bytes.len().into();
    }
    files[0].1 = penstock_types::canonical::to_bytes(&index).unwrap();
    let to = place.join("forged.tar");
    let mut out = TarWriter::create(&to).unwrap();
    for (file, bytes) in &files {
        out.bytes(file, bytes).unwrap();
    }
    out.end().unwrap();
    to
}

#[test]
fn a_forged_file_is_named_although_the_index_fits() {
    let dir = tempfile::tempdir().unwrap();
    let (config, dirs) = short_day(dir.path(), 300);
    let bundle = dir.path().join("b.tar");
    export_day(&dirs, FIRST, &bundle).unwrap();
    let config_name = format!(
        "configs/{}.json",
        config.sha256().iter().map(|b| format!("{b:02x}")).collect::<String>()
    );
    let signer = signer(dir.path(), &dirs);
    let key = format!("manifests/keys/{}.json", signer.key_id());
    let pem = format!("manifests/keys/{}.pem", signer.key_id());
    let close = format!("snapshots/engine-{:020}.snap", FIRST.last_tick());
    for (name, at, code, exit) in [
        ("log/1/2026-02-16.bin", 64 + 64 * 33 + 21, Code::LogCorrupt, 13),
        ("log/1/2026-02-16.bin", 40, Code::LogHeader, 13),
        ("journal/2026-02-16/23.ejf", 500, Code::ManHash, 18),
        ("journal/2026-02-16/23.eqf", 500, Code::ManHash, 18),
        ("alerts/2026-02-16.jsonl", 77, Code::ManHash, 18),
        ("transitions/2026-02-16.jsonl", 77, Code::ManHash, 18),
        (close.as_str(), 700, Code::SnapChecksum, 12),
        (config_name.as_str(), 20, Code::ManHash, 18),
        (key.as_str(), 60, Code::ManKey, 18),
        (pem.as_str(), 60, Code::ManKey, 18),
    ] {
        let place = tempfile::tempdir().unwrap();
        let forged = forge(&bundle, place.path(), name, |bytes| bytes[at] ^= 1);
        let fault = verify(&forged).unwrap_err();
        let is_frame = code == Code::ManHash && fault.code == Code::FrameCrc;
        assert!(fault.code == code || is_frame, "{name}: {fault}");
        let (status, report) = second_verifier(&["--bundle"], &forged);
        assert!(status == exit || status == 18, "{name}: {report}");
    }
}

#[test]
fn every_flipped_byte_and_every_cut_of_a_bundle_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let (_, dirs) = short_day(dir.path(), 30);
    pack_day(&dirs, FIRST, &JanitorHooks::none()).unwrap();
    let bundle = dir.path().join("b.tar");
    export_day(&dirs, FIRST, &bundle).unwrap();
    let whole = std::fs::read(&bundle).unwrap();
    let check = |bytes: &[u8]| check_bundle(&bundle, bytes);
    check(&whole).unwrap();
    verify(&bundle).unwrap();
    // What an index can say of itself is compared with the manifest, behind the bytes.
    let said = ["date", "engine_version", "schema_version"].map(|key| {
        let at = whole.windows(key.len()).position(|part| part == key.as_bytes()).unwrap();
        at..at + key.len() + 16
    });
    for at in 0..whole.len() {
        let mut bad = whole.clone();
        bad[at] ^= 1;
        match check(&bad) {
            Err(fault) => assert_eq!(fault.code, Code::ManHash, "byte {at}: {fault}"),
            Ok(_) => {
                assert!(said.iter().any(|range| range.contains(&at)), "byte {at}");
                let other = dir.path().join("other.tar");
                std::fs::write(&other, &bad).unwrap();
                let fault = verify(&other).unwrap_err();
                assert_eq!(fault.code.exit(), 18, "byte {at}: {fault}");
            }
        }
    }
    for len in (0..whole.len()).step_by(97) {
        assert_eq!(check(&whole[..len]).unwrap_err().code, Code::ManHash, "{len} bytes");
    }
}
