//! Lines with the right hash in places where the writer would not have put them.
//!
//! Input: a sound trail and somebody who can compute hashes. Output: the one finding that names the place. Invariants:
//! each check of a walk has a case that nothing else finds.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

#[expect(dead_code, reason = "the rows of a database are for another test")]
mod common;

use common::*;
use penstock_audit::{Event, Finding, Hash, Line, PREV_SESSION, Trail, What, verify_dir};
use std::path::Path;

/// A trail of one session and one day.
fn short(dir: &Path) -> Vec<Line> {
    let mut trail = Trail::open(dir, session(1)).unwrap().trail;
    let first = started(&trail, NOON);
    let events = [first, marker(1, NOON), marker(2, NOON), marker(3, NOON)];
    trail.append(&events).unwrap().lines
}

/// The one finding of a trail of these lines.
fn finding(lines: &[Line]) -> Finding {
    let dir = tempfile::tempdir().unwrap();
    let bytes: Vec<u8> = lines.iter().flat_map(Line::bytes).collect();
    std::fs::write(dir.path().join(day(NOON).file()), bytes).unwrap();
    let mut findings = verify_dir(dir.path()).unwrap().findings;
    assert_eq!(findings.len(), 1, "{findings:?}");
    findings.remove(0)
}

fn line(event: Event, n: u128, seq: i64, prev: Hash) -> Line {
    Line::write(event, session(n), seq, prev).0
}

#[test]
fn another_line_in_the_place_of_one_does_not_fit_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let mut lines = short(dir.path());
    lines[1] = line(marker(9, NOON), 1, 2, lines[0].hash);
    let found = finding(&lines);
    assert!(matches!(found.what, What::Link { .. }), "{found}");
    assert_eq!((found.line, found.place), (Some(3), Some((session(1), 3))));
}

#[test]
fn a_number_that_is_left_out_is_named_even_where_the_hashes_fit() {
    let dir = tempfile::tempdir().unwrap();
    let mut lines = short(dir.path());
    lines[3] = line(marker(9, NOON), 1, 5, lines[2].hash);
    let found = finding(&lines);
    assert!(matches!(found.what, What::Seq { before: 3, found: 5 }), "{found}");
    assert_eq!(found.line, Some(4));
}

#[test]
fn a_session_is_not_taken_up_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut lines = short(dir.path());
    let started = |after: &Line| {
        let mut draft = lines[0].event.fields().clone();
        draft.data.insert(PREV_SESSION.to_owned(), after.hash.to_string().into());
        event(draft)
    };
    let second = line(started(&lines[3]), 2, 1, Hash::ZERO);
    let again = line(started(&second), 1, 1, Hash::ZERO);
    lines.extend([second, again]);
    let found = finding(&lines);
    assert!(matches!(found.what, What::SessionAgain), "{found}");
    assert_eq!((found.line, found.place), (Some(6), Some((session(1), 1))));
}

#[test]
fn a_session_that_begins_twice_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut lines = short(dir.path());
    lines[3] = line(lines[0].event.clone(), 1, 4, lines[2].hash);
    let found = finding(&lines);
    assert!(matches!(found.what, What::Start), "{found}");
    assert_eq!(found.line, Some(4));
}

#[test]
fn a_line_of_a_later_day_and_a_first_line_of_another_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut lines = short(dir.path());
    let name = dir.path().join(day(NOON).file());
    lines.push(line(marker(9, NOON + DAY_MS), 1, 5, lines[3].hash));
    let found = finding(&lines);
    assert!(matches!(found.what, What::Day { .. }), "{found}");
    assert_eq!(found.line, Some(5));
    std::fs::rename(name, dir.path().join(day(NOON + DAY_MS).file())).unwrap();
    let report = verify_dir(dir.path()).unwrap();
    assert!(matches!(report.findings[0].what, What::Day { .. }), "{:?}", report.findings);
    assert_eq!((report.findings.len(), report.findings[0].line), (1, Some(1)));
}

#[test]
fn a_sealed_day_that_no_line_names_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut trail = Trail::open(dir.path(), session(1)).unwrap().trail;
    let first = started(&trail, NOON);
    let events = [first, marker(1, NOON + DAY_MS), marker(2, NOON + 2 * DAY_MS)];
    assert_eq!(trail.append(&events).unwrap().sealed.len(), 2);
    let report = verify_dir(dir.path()).unwrap();
    assert_eq!(report.findings.len(), 1, "{:?}", report.findings);
    assert!(matches!(report.findings[0].what, What::SealUnsaid), "{:?}", report.findings);
    assert_eq!(report.findings[0].file, day(NOON).file());
}

#[test]
fn a_day_that_was_sealed_otherwise_is_named_by_the_line_that_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let mut trail = Trail::open(dir.path(), session(1)).unwrap().trail;
    let first = started(&trail, NOON);
    trail.append(&[first]).unwrap();
    let mut sealed = trail.append(&[marker(1, NOON + DAY_MS)]).unwrap().sealed.remove(0);
    sealed.lines += 1;
    trail.append(&[said(&sealed, NOON + DAY_MS)]).unwrap();
    let report = verify_dir(dir.path()).unwrap();
    assert_eq!(report.findings.len(), 1, "{:?}", report.findings);
    assert!(matches!(report.findings[0].what, What::SealedOtherwise { .. }));
    assert_eq!(report.findings[0].place, Some((session(1), 3)));
}
