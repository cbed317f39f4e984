//! Days that are over: read back, compressed, removed.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

#[expect(dead_code, reason = "the rows of a database are for another test")]
mod common;

use common::*;
use penstock_audit::backlog::Backlog;
use penstock_audit::rotation::{compress, expired, remove};
use penstock_audit::{Line, What, verify_dir};
use std::path::Path;

fn rest(mut backlog: Backlog) -> Vec<Line> {
    let mut lines = Vec::new();
    while let Some(line) = backlog.next_line().unwrap() {
        lines.push(line);
    }
    lines
}

fn all(dir: &Path) -> Vec<Line> {
    rest(Backlog::open(dir, None, None).unwrap())
}

#[test]
fn what_follows_a_line_is_read_back_from_every_place() {
    let dir = tempfile::tempdir().unwrap();
    example(dir.path());
    let lines = all(dir.path());
    assert_eq!(lines.len(), 18);
    for (at, line) in lines.iter().enumerate() {
        let after = Some((line.session_id, line.seq));
        let from = Some(line.event.day());
        assert_eq!(rest(Backlog::open(dir.path(), from, after).unwrap()), lines[at + 1..]);
    }
    // A row whose line no file has: everything is given, rather than nothing.
    let unknown = Some((session(9), 1));
    assert_eq!(rest(Backlog::open(dir.path(), None, unknown).unwrap()), lines);
}

#[test]
fn a_line_that_cannot_be_read_is_left_out_and_named() {
    let dir = tempfile::tempdir().unwrap();
    example(dir.path());
    let lines = all(dir.path());
    let path = dir.path().join(day(NOON).file());
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let mut backlog = Backlog::open(dir.path(), None, None).unwrap();
    let mut found = Vec::new();
    while let Some(line) = backlog.next_line().unwrap() {
        found.push(line);
    }
    assert_eq!(found, lines[1..]);
    assert_eq!((backlog.skipped().len(), backlog.skipped()[0].line), (1, Some(1)));
}

#[test]
fn closed_days_are_compressed_and_read_as_before() {
    let dir = tempfile::tempdir().unwrap();
    example(dir.path());
    let lines = all(dir.path());
    let done = compress(dir.path(), day(NOON + 2 * DAY_MS)).unwrap();
    assert_eq!(done.compressed, [day(NOON)]);
    let done = compress(dir.path(), day(NOON + 9 * DAY_MS)).unwrap();
    assert_eq!(done.compressed, [day(NOON + DAY_MS)], "the newest day stays as it is");
    assert!(done.findings.is_empty());
    let files = files(dir.path());
    assert!(!files.contains_key(&day(NOON).file()));
    assert!(files.contains_key(&day(NOON).compressed_file()));
    assert_eq!(all(dir.path()), lines);
    let report = verify_dir(dir.path()).unwrap();
    assert!(report.is_sound(), "{:?}", report.findings);
    assert_eq!(report.lines, 18);
    // A byte of a compressed file counts as one of the plain one.
    let name = day(NOON).compressed_file();
    for at in (0..files[&name].len()).step_by(7) {
        let mut bytes = files[&name].clone();
        bytes[at] ^= 16;
        std::fs::write(dir.path().join(&name), bytes).unwrap();
        let report = verify_dir(dir.path()).unwrap();
        // Some bits of the frame's head mean nothing; then what was read is what was sealed.
        assert!(report.is_sound() || report.findings[0].file == name, "{:?}", report.findings);
        assert!(!report.is_sound() || at < 16, "byte {at}");
    }
}

#[test]
fn a_day_that_differs_from_its_seal_is_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    example(dir.path());
    let path = dir.path().join(day(NOON).file());
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let done = compress(dir.path(), day(NOON + 9 * DAY_MS)).unwrap();
    assert_eq!(done.compressed, [day(NOON + DAY_MS)]);
    assert!(matches!(done.findings[0].what, What::SealDiffers { .. }));
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
    assert!(!files(dir.path()).contains_key(&day(NOON).compressed_file()));
}

#[test]
fn only_closed_days_that_are_old_enough_go() {
    let dir = tempfile::tempdir().unwrap();
    example(dir.path());
    let today = day(NOON + 31 * DAY_MS);
    assert_eq!(expired(dir.path(), today, 30).unwrap(), [day(NOON)]);
    assert!(remove(dir.path(), day(NOON)).unwrap());
    assert!(!remove(dir.path(), day(NOON)).unwrap());
    assert!(!remove(dir.path(), day(NOON + 2 * DAY_MS)).unwrap(), "the newest day stays");
    let report = verify_dir(dir.path()).unwrap();
    assert!(report.is_sound(), "{:?}", report.findings);
    assert_eq!(report.files, 2);
}
