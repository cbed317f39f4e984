//! A trail over days and sessions, as a process writes it and as a crash leaves it.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

#[expect(dead_code, reason = "the rows of a database are for another test")]
mod common;

use common::*;
use penstock_audit::trail::{Cause, OpenError};
use penstock_audit::{Hash, PREV_SESSION, Trail, What, verify_dir};
use penstock_types::{SessionId, Uuid};
use std::os::unix::fs::PermissionsExt;

#[test]
fn numbers_and_hashes_chain_within_a_session_and_sessions_to_each_other() {
    let dir = tempfile::tempdir().unwrap();
    example(dir.path());
    let mut before: Option<penstock_audit::Line> = None;
    for (_, bytes) in files(dir.path()).iter().filter(|(name, _)| name.ends_with(".jsonl")) {
        for line in split(bytes).iter().map(|line| parse(line)) {
            match before.filter(|before| before.session_id == line.session_id) {
                Some(before) => {
                    assert_eq!((line.seq, line.prev_hash), (before.seq + 1, before.hash));
                }
                None => assert_eq!((line.seq, line.prev_hash), (1, Hash::ZERO)),
            }
            before = Some(line);
        }
    }
    let opened = Trail::open(dir.path(), session(4)).unwrap();
    assert_eq!(Some(opened.trail.previous_hash()), before.map(|line| line.hash));
    assert!(opened.findings.is_empty());
    assert_eq!((opened.cut, opened.sealed), (None, None));
}

#[test]
fn files_are_for_their_owner_and_group() {
    let dir = tempfile::tempdir().unwrap();
    let inner = dir.path().join("a/b");
    example(&inner);
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&inner), 0o750);
    for entry in std::fs::read_dir(&inner).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path) & 0o137, 0, "{}", path.display());
        let is_data = path.file_name().unwrap() != "audit.lock";
        assert!(!is_data || mode(&path) == 0o640, "{}", path.display());
    }
}

#[test]
fn a_line_that_a_crash_cut_off_is_kept_aside_at_every_length() {
    let dir = tempfile::tempdir().unwrap();
    let mut trail = Trail::open(dir.path(), session(1)).unwrap().trail;
    let first = started(&trail, NOON);
    trail.append(&[first, marker(1, NOON)]).unwrap();
    drop(trail);
    let name = day(NOON).file();
    let whole = std::fs::read(dir.path().join(&name)).unwrap();
    let first = split(&whole)[0].len();
    for len in (1..whole.len()).step_by(61).chain([first, whole.len() - 1]) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(&name), &whole[..len]).unwrap();
        let mut opened = Trail::open(dir.path(), session(2)).unwrap();
        assert!(opened.findings.is_empty(), "{len}: {:?}", opened.findings);
        let kept_len = if len < first { 0 } else { first };
        let cut = opened.cut.map(|cut| (std::fs::read(&cut.kept).unwrap(), cut.bytes));
        let tail = &whole[kept_len..len];
        let expected = (!tail.is_empty())
            .then(|| ([tail, b"\n"].concat(), u64::try_from(tail.len()).unwrap()));
        assert_eq!(cut, expected, "{len}");
        let first = started(&opened.trail, NOON);
        opened.trail.append(&[first]).unwrap();
        opened.trail.sync().unwrap();
        let report = verify_dir(dir.path()).unwrap();
        assert!(report.is_sound(), "{len}: {:?}", report.findings);
    }
}

#[test]
fn a_second_writer_is_refused_until_the_first_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let first = Trail::open(dir.path(), session(1)).unwrap();
    assert!(matches!(Trail::open(dir.path(), session(2)), Err(OpenError::Locked(_))));
    drop(first);
    assert!(Trail::open(dir.path(), session(2)).is_ok());
    let other = SessionId(Uuid::from_u128(1));
    assert!(matches!(Trail::open(dir.path(), other), Err(OpenError::Session(_))));
}

#[test]
fn a_session_begins_and_ends_once() {
    let dir = tempfile::tempdir().unwrap();
    example(dir.path());
    let ts_ms = NOON + 2 * DAY_MS;
    let mut trail = Trail::open(dir.path(), session(4)).unwrap().trail;
    let refused = trail.append(&[marker(1, ts_ms)]).unwrap_err();
    assert!(matches!(refused.cause, Cause::NotStarted(_)));
    let mut wrong = started(&trail, ts_ms).fields().clone();
    wrong.data.insert(PREV_SESSION.to_owned(), Hash::ZERO.to_string().into());
    let refused = trail.append(&[event(wrong)]).unwrap_err();
    assert!(matches!(refused.cause, Cause::Previous { .. }));
    let first = started(&trail, ts_ms);
    let batch = [first.clone(), marker(1, ts_ms), first, marker(2, ts_ms)];
    let refused = trail.append(&batch).unwrap_err();
    assert!(matches!(refused.cause, Cause::StartedAgain));
    assert_eq!((refused.taken, refused.done.lines.len(), trail.last_seq()), (2, 2, 2));
    let refused = trail.append(&[ended(ts_ms), marker(3, ts_ms)]).unwrap_err();
    assert!(matches!(refused.cause, Cause::Ended(_)));
    assert_eq!((refused.taken, trail.last_seq()), (1, 3));
    trail.sync().unwrap();
    assert!(verify_dir(dir.path()).unwrap().is_sound());
}

#[test]
fn a_late_event_stays_in_the_open_file() {
    let dir = tempfile::tempdir().unwrap();
    let mut trail = Trail::open(dir.path(), session(1)).unwrap().trail;
    let first = started(&trail, NOON);
    put(&mut trail, first, NOON);
    put(&mut trail, marker(1, NOON + DAY_MS), NOON + DAY_MS);
    put(&mut trail, marker(2, NOON), NOON + DAY_MS);
    trail.sync().unwrap();
    let report = verify_dir(dir.path()).unwrap();
    assert!(report.is_sound(), "{:?}", report.findings);
    assert_eq!(split(&files(dir.path())[&day(NOON + DAY_MS).file()]).len(), 3);
}

/// Between the seal of a day and the line that says so a process may end; the next one says it.
#[test]
fn a_seal_that_nobody_came_to_say_is_said_by_the_next_session() {
    let dir = tempfile::tempdir().unwrap();
    let mut trail = Trail::open(dir.path(), session(1)).unwrap().trail;
    let first = started(&trail, NOON);
    trail.append(&[first]).unwrap();
    let done = trail.append(&[marker(1, NOON + DAY_MS)]).unwrap();
    drop(trail);
    let mut opened = Trail::open(dir.path(), session(2)).unwrap();
    assert_eq!(opened.sealed.as_ref(), done.sealed.first());
    let ts_ms = NOON + DAY_MS;
    let first = started(&opened.trail, ts_ms);
    opened.trail.append(&[first, said(&opened.sealed.unwrap(), ts_ms)]).unwrap();
    put(&mut opened.trail, marker(2, ts_ms + DAY_MS), ts_ms + DAY_MS);
    opened.trail.sync().unwrap();
    let report = verify_dir(dir.path()).unwrap();
    assert!(report.is_sound(), "{:?}", report.findings);
}

/// A seal without a later file is a day that is continued when its time has not come.
#[test]
fn a_day_that_is_continued_loses_its_seal() {
    let dir = tempfile::tempdir().unwrap();
    example(dir.path());
    let last = NOON + 2 * DAY_MS;
    std::fs::remove_file(dir.path().join(day(last).file())).unwrap();
    let before = files(dir.path());
    let mut opened = Trail::open(dir.path(), session(4)).unwrap();
    assert!(opened.findings.is_empty(), "{:?}", opened.findings);
    assert_eq!(files(dir.path()), before);
    let first = started(&opened.trail, NOON + DAY_MS);
    opened.trail.append(&[first]).unwrap();
    assert!(!files(dir.path()).contains_key(&day(NOON + DAY_MS).seal()));
    put(&mut opened.trail, marker(1, last), last);
    opened.trail.sync().unwrap();
    let report = verify_dir(dir.path()).unwrap();
    assert!(report.is_sound(), "{:?}", report.findings);
}

#[test]
fn a_broken_trail_is_found_at_the_start_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    example(dir.path());
    let path = dir.path().join(day(NOON + DAY_MS).file());
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let mut opened = Trail::open(dir.path(), session(4)).unwrap();
    assert_eq!(opened.findings.len(), 1);
    assert!(matches!(opened.findings[0].what, What::Line(_)), "{}", opened.findings[0]);
    let ts_ms = NOON + 2 * DAY_MS;
    let first = started(&opened.trail, ts_ms);
    opened.trail.append(&[first]).unwrap();
    opened.trail.sync().unwrap();
    assert_eq!(verify_dir(dir.path()).unwrap().findings.len(), 1);
    // Only the two newest files are looked at.
    let old = dir.path().join(day(NOON).file());
    let mut bytes = std::fs::read(&old).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&old, bytes).unwrap();
    drop(opened);
    assert_eq!(Trail::open(dir.path(), session(5)).unwrap().findings.len(), 1);
    assert_eq!(verify_dir(dir.path()).unwrap().findings.len(), 2);
}
