//! Whoever changes, takes away or adds something in a trail is named.
//!
//! Input: a sound trail, one change at a time, with and without the rows of a database, and where it makes a difference
//! with seals that the one who changed it wrote anew. Output: the first finding. Invariants: what files alone cannot
//! show is asserted as such, so that nobody relies on it.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

mod common;

use common::*;
use penstock_audit::database::Told;
use penstock_audit::{Beside, Hash, Line, Report, Unseen, What, verify, verify_dir};
use penstock_types::SessionId;
use penstock_types::canonical::hash_bytes;
use std::collections::BTreeMap;

type Files = BTreeMap<String, Vec<u8>>;

struct Scene {
    files: Files,
    rows: Rows,
}

fn name(days: i64) -> String {
    day(NOON + days * DAY_MS).file()
}

fn seal_name(days: i64) -> String {
    day(NOON + days * DAY_MS).seal()
}

impl Scene {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        example(dir.path());
        let files = files(dir.path());
        let rows = Rows::of(&files);
        Self { files, rows }
    }

    /// The report of changed files, without rows.
    fn alone(&self, change: impl FnOnce(&mut Files)) -> Report {
        let mut files = self.files.clone();
        change(&mut files);
        let dir = tempfile::tempdir().unwrap();
        write_files(dir.path(), &files);
        verify_dir(dir.path()).unwrap()
    }

    /// The report of changed files and changed rows.
    fn beside(&self, change: impl FnOnce(&mut Files), rows: impl FnOnce(&mut Rows)) -> Report {
        let (mut files, mut changed) = (self.files.clone(), self.rows.clone());
        change(&mut files);
        rows(&mut changed);
        let dir = tempfile::tempdir().unwrap();
        write_files(dir.path(), &files);
        verify(dir.path(), Beside { database: Some(&mut changed), from: None, until: None })
            .unwrap()
    }
}

/// Changes the lines of a file.
fn lines(files: &mut Files, days: i64, change: impl FnOnce(&mut Vec<Vec<u8>>)) {
    let bytes = files.get_mut(&name(days)).unwrap();
    let mut lines = split(bytes);
    change(&mut lines);
    *bytes = lines.concat();
}

/// Seals every sealed file anew, as somebody would who knows how.
fn reseal(files: &mut Files) {
    for days in 0..2 {
        let Some(bytes) = files.get(&name(days)) else { continue };
        let text = format!("{}  {}\n", hash_bytes(bytes), name(days));
        files.insert(seal_name(days), text.into_bytes());
    }
}

/// The finding of a file: its line and what.
fn of<'a>(report: &'a Report, file: &str) -> (Option<u64>, &'a What) {
    let finding = report.findings.iter().find(|finding| finding.file == file);
    let finding = finding.unwrap_or_else(|| panic!("{file} is not in {:?}", report.findings));
    (finding.line, &finding.what)
}

fn place(report: &Report) -> Vec<Option<(SessionId, i64)>> {
    report.findings.iter().map(|finding| finding.place).collect()
}

#[test]
fn an_untouched_trail_is_sound_and_says_what_was_not_seen() {
    let scene = Scene::new();
    let report = scene.alone(|_| {});
    assert!(report.is_sound(), "{:?}", report.findings);
    assert_eq!((report.files, report.sessions, report.rows), (3, 3, 0));
    let unseen = [Unseen::Beginning, Unseen::OpenEnd, Unseen::Rewritten, Unseen::Rows];
    assert_eq!(report.unseen, unseen);
    let report = scene.beside(|_| {}, |_| {});
    assert!(report.is_sound(), "{:?}", report.findings);
    assert_eq!((report.lines, report.rows), (scene.rows.rows.len() as u64, report.lines));
    assert_eq!(report.unseen, [Unseen::Beginning]);
}

/// A thousand bytes of all files, each changed to another: the file and the line are named.
#[test]
fn a_changed_byte_is_named_with_its_file_and_line() {
    let scene = Scene::new();
    let total: usize = scene.files.values().map(Vec::len).sum();
    // A generator with a fixed seed: the same thousand places in every run.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % u64::try_from(below).unwrap()).unwrap()
    };
    for _ in 0..1_000 {
        let (mut at, by) = (next(total), u8::try_from(1 + next(255)).unwrap());
        let (file, bytes) = scene
            .files
            .iter()
            .find(|(_, bytes)| match at < bytes.len() {
                true => true,
                false => {
                    at -= bytes.len();
                    false
                }
            })
            .unwrap();
        let line = 1 + bytes[..at].iter().filter(|byte| **byte == b'\n').count();
        let report = scene.alone(|files| files.get_mut(file).unwrap()[at] ^= by);
        let named = match file.strip_suffix(".sha256") {
            Some(sealed) => (sealed.to_owned(), None),
            None => (file.clone(), Some(u64::try_from(line).unwrap())),
        };
        let first = &report.findings[0];
        assert_eq!((first.file.clone(), first.line), named, "{file} byte {at} ^ {by}: {first}");
        assert_eq!(report.findings.len(), 1, "{file} byte {at} ^ {by}: {:?}", report.findings);
    }
}

#[test]
fn a_removed_line_is_named_where_something_follows_it() {
    let scene = Scene::new();
    for days in 0..3 {
        let count = split(&scene.files[&name(days)]).len();
        for at in 0..count {
            let remove = |files: &mut Files| {
                lines(files, days, |lines| drop(lines.remove(at)));
                reseal(files);
            };
            let report = scene.alone(remove);
            let is_end = days == 2 && at + 1 == count;
            assert_eq!(report.is_sound(), is_end, "day {days} line {at}: {:?}", report.findings);
            // Within a file the line that follows is named, behind its end the first of the next.
            if let Some(first) = report.findings.first() {
                let named = match at + 1 == count {
                    true => (name(days + 1), Some(1)),
                    false => (name(days), Some(u64::try_from(at).unwrap() + 1)),
                };
                assert_eq!((first.file.clone(), first.line), named, "{first}");
            }
            // With the rows, the line itself.
            let lost = parse(&split(&scene.files[&name(days)])[at]);
            let report = scene.beside(remove, |_| {});
            let lost = Some((lost.session_id, lost.seq));
            assert!(place(&report).contains(&lost), "{lost:?}: {:?}", report.findings);
        }
    }
}

/// A line with the right hash behind line `after` of a file, in its session.
fn forged(scene: &Scene, days: i64, after: usize) -> Line {
    let before = parse(&split(&scene.files[&name(days)])[after]);
    let ts_ms = before.event.fields().ts_ms;
    Line::write(marker(999, ts_ms), before.session_id, before.seq + 1, before.hash).0
}

#[test]
fn an_added_line_with_the_right_hash_is_named_where_something_follows_it() {
    let scene = Scene::new();
    for days in 0..3 {
        let count = split(&scene.files[&name(days)]).len();
        for after in 0..count {
            let line = forged(&scene, days, after);
            let add = |files: &mut Files| {
                lines(files, days, |lines| lines.insert(after + 1, line.bytes()));
                reseal(files);
            };
            let report = scene.alone(add);
            let is_end = days == 2 && after + 1 == count;
            assert_eq!(report.is_sound(), is_end, "day {days} after {after}");
            let report = scene.beside(add, |_| {});
            assert!(!report.is_sound(), "day {days} after {after}");
            if is_end {
                let (at, what) = of(&report, &name(days));
                assert_eq!(at, Some(u64::try_from(count).unwrap() + 1));
                assert!(matches!(what, What::RowMissing), "{what}");
                assert_eq!(place(&report), [Some((line.session_id, line.seq))]);
            }
        }
    }
}

#[test]
fn a_line_behind_the_end_of_its_session_is_named_by_the_file_alone() {
    let dir = tempfile::tempdir().unwrap();
    let mut trail = penstock_audit::Trail::open(dir.path(), session(1)).unwrap().trail;
    let first = started(&trail, NOON);
    trail.append(&[first, ended(NOON)]).unwrap();
    let scene = Scene { files: files(dir.path()), rows: Rows::default() };
    let line = forged(&scene, 0, 1);
    let report = scene.alone(|files| lines(files, 0, |lines| lines.push(line.bytes())));
    assert!(matches!(of(&report, &name(0)), (Some(3), What::AfterEnd)), "{:?}", report.findings);
}

#[test]
fn swapped_lines_are_named() {
    let scene = Scene::new();
    for days in 0..3 {
        let count = split(&scene.files[&name(days)]).len();
        for at in 0..count - 1 {
            let report = scene.alone(|files| {
                lines(files, days, |lines| lines.swap(at, at + 1));
                reseal(files);
            });
            let (line, _) = of(&report, &name(days));
            // The first line of all follows none: there the second is the one that does not fit.
            let named = if (days, at) == (0, 0) { 2 } else { at + 1 };
            assert_eq!(line, Some(u64::try_from(named).unwrap()), "{:?}", report.findings);
        }
    }
}

#[test]
fn a_removed_day_is_named() {
    let scene = Scene::new();
    // Within the trail by the file that follows, with or without its seal.
    let report = scene.alone(|files| drop(files.remove(&name(1))));
    assert!(matches!(of(&report, &seal_name(1)), (None, What::SealAlone)));
    assert!(matches!(of(&report, &name(2)), (Some(1), What::Start)), "{:?}", report.findings);
    let remove = |days: i64| {
        move |files: &mut Files| {
            files.remove(&name(days)).unwrap();
            files.remove(&seal_name(days));
        }
    };
    let report = scene.alone(remove(1));
    assert!(matches!(of(&report, &name(2)), (Some(1), What::Start)));
    // The first day as retention removes it; who knows that it must be there names it.
    assert!(scene.alone(remove(0)).is_sound());
    assert!(scene.beside(remove(0), |_| {}).is_sound());
    let dir = tempfile::tempdir().unwrap();
    let mut files = scene.files.clone();
    remove(0)(&mut files);
    write_files(dir.path(), &files);
    let mut rows = scene.rows.clone();
    let from = Some(day(NOON));
    let report =
        verify(dir.path(), Beside { database: Some(&mut rows), from, until: None }).unwrap();
    let (line, what) = of(&report, &name(1));
    assert!(matches!(what, What::SealedMissing { .. }), "{line:?} {what}");
    assert!(place(&report).contains(&Some((session(1), 1))), "{:?}", report.findings);
    // The last day is the open end.
    assert!(scene.alone(remove(2)).is_sound());
    assert!(place(&scene.beside(remove(2), |_| {}))[0].is_some());
}

#[test]
fn a_beginning_that_nothing_explains_is_named() {
    let scene = Scene::new();
    let only_last = |files: &mut Files, without: usize| {
        for days in 0..2 {
            files.remove(&name(days));
            files.remove(&seal_name(days));
        }
        lines(files, 2, |lines| drop(lines.drain(..without)));
    };
    assert!(scene.alone(|files| only_last(files, 0)).is_sound());
    for without in [1, 2] {
        let report = scene.alone(|files| only_last(files, without));
        assert!(matches!(of(&report, &name(2)), (Some(1), What::BeginsInside { .. })));
    }
}

#[test]
fn a_removed_or_changed_seal_is_named() {
    let scene = Scene::new();
    let report = scene.alone(|files| drop(files.remove(&seal_name(0))));
    assert!(matches!(of(&report, &name(0)), (None, What::SealMissing)));
    let report = scene.alone(|files| {
        let other = files[&seal_name(1)].clone();
        files.insert(seal_name(0), other);
    });
    assert!(matches!(of(&report, &name(0)), (None, What::SealForm)));
    let report = scene.alone(|files| {
        files.insert(seal_name(0), format!("{}  {}\n", "0".repeat(64), name(0)).into_bytes());
    });
    assert!(matches!(of(&report, &name(0)), (None, What::SealDiffers { .. })));
}

#[test]
fn a_removed_session_is_named_unless_it_is_the_end() {
    let scene = Scene::new();
    for n in 1..=3 {
        let remove = |files: &mut Files| {
            for days in 0..3 {
                lines(files, days, |lines| lines.retain(|l| parse(l).session_id != session(n)));
            }
            files.retain(|_, bytes| !bytes.is_empty());
            if n == 3 {
                files.remove(&seal_name(1));
            }
            reseal(files);
        };
        let report = scene.alone(remove);
        assert_eq!(report.is_sound(), n == 3, "session {n}: {:?}", report.findings);
        let report = scene.beside(remove, |_| {});
        let of_session = |finding: &penstock_audit::Finding| {
            finding.place.is_some_and(|(found, _)| found == session(n))
                && matches!(finding.what, What::SessionAlone(_))
        };
        assert!(report.findings.iter().any(of_session), "session {n}: {:?}", report.findings);
    }
}

#[test]
fn an_end_that_is_written_anew_is_named_by_its_rows_alone() {
    let scene = Scene::new();
    let rewrite = |files: &mut Files| {
        let bytes = files[&name(2)].clone();
        let all: Vec<Line> = split(&bytes).iter().map(|line| parse(line)).collect();
        let mut prev = all[1].hash;
        let mut out = vec![all[0].bytes(), all[1].bytes()];
        for old in &all[2..] {
            let event = marker(7_777, old.event.fields().ts_ms);
            let (line, bytes) = Line::write(event, old.session_id, old.seq, prev);
            prev = line.hash;
            out.push(bytes);
        }
        files.insert(name(2), out.concat());
    };
    assert!(scene.alone(rewrite).is_sound());
    let report = scene.beside(rewrite, |_| {});
    assert!(matches!(of(&report, &name(2)), (Some(3), What::RowHash { .. })));
}

#[test]
fn edited_deleted_and_added_rows_are_named() {
    let scene = Scene::new();
    let keys: Vec<_> = scene.rows.rows.keys().copied().collect();
    for key in keys {
        let named = |change: &dyn Fn(&mut Rows)| {
            let report = scene.beside(|_| {}, |rows| change(rows));
            assert_eq!(place(&report), [Some(key)], "{:?}", report.findings);
            report.findings.into_iter().next().unwrap().what
        };
        let edited = named(&|rows| {
            rows.rows.get_mut(&key).unwrap().1.told = Told::Event(Box::new(marker(5, NOON)))
        });
        assert!(matches!(edited, What::RowDiffers), "{edited}");
        let hashed = named(&|rows| rows.rows.get_mut(&key).unwrap().1.line_hash = Hash([1; 32]));
        assert!(matches!(hashed, What::RowHash { .. }), "{hashed}");
        let deleted = named(&|rows| drop(rows.rows.remove(&key)));
        assert!(matches!(deleted, What::RowMissing), "{deleted}");
    }
    for n in 1..=3 {
        let last = scene.rows.rows.keys().rfind(|key| key.0 == session(n)).copied().unwrap();
        let report = scene.beside(
            |_| {},
            |rows| {
                let (day, mut row) = rows.rows[&last].clone();
                row.seq += 1;
                rows.rows.insert((last.0, last.1 + 1), (day, row));
            },
        );
        assert_eq!(place(&report), [Some((last.0, last.1 + 1))]);
        assert!(matches!(report.findings[0].what, What::RowAlone));
    }
}
