//! Crashes: at every named point, and at every byte of what was written last. The files end up equal to those of
//! a run that never crashed, or the start is refused with the listed code.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

mod common;

use common::*;
use penstock_engine::EngineConfig;
use penstock_engine_io::replay::{ReplayStart, Verdict, level_b};
use penstock_engine_io::{Code, CrashPoint, Day, EngineDirs, Hooks, NoStore, StartOptions};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Runs until the `nth` pass of a point ends everything, as a kill would; false when it is never passed so often.
fn crash_at(options: &StartOptions, frames: &[Delivered], point: CrashPoint, nth: usize) -> bool {
    let passes = AtomicUsize::new(0);
    let hooks =
        Hooks::staged(move |at| at == point && passes.fetch_add(1, Ordering::SeqCst) + 1 == nth);
    let options = StartOptions { hooks, ..options.clone() };
    // The roll-forward passes the points too.
    let Ok((mut session, started)) = start(&options) else { return true };
    let last = started.last_tick.unwrap_or(0);
    let rest: Vec<_> = frames.iter().filter(|(tick, ..)| *tick > last).cloned().collect();
    let crashed = feed(&mut session, &rest).is_err();
    if crashed {
        // Nothing is flushed: buffers go with the process.
        drop(session);
    } else {
        let _ = session.stop();
    }
    crashed
}

#[test]
fn a_kill_at_every_named_point_changes_no_byte() {
    let plain = tempfile::tempdir().unwrap();
    let config = config(20);
    let frames = stream(MIDNIGHT - 130, 200, |tick| tick % 61 == 5);
    whole_run(plain.path(), &config, &frames);
    for point in CrashPoint::ALL {
        let rare = [CrashPoint::BeforeRotation, CrashPoint::AfterRotation].contains(&point);
        let often: &[usize] = if rare { &[1] } else { &[1, 2, 3, 5, 7] };
        for nth in often {
            let dir = tempfile::tempdir().unwrap();
            let options = options(dir.path(), &config);
            let context = format!("{point:?}, pass {nth}");
            assert!(crash_at(&options, &frames, point, *nth), "{context} is never reached");
            go_on(&options, &frames, &mut Table(&frames))
                .unwrap_or_else(|fault| panic!("{context}: {fault}"));
            assert_same(dir.path(), plain.path(), &context);
            let dirs = EngineDirs::under(dir.path());
            let report = level_b(&dirs, &config, ReplayStart::Genesis, None, None).unwrap();
            assert_eq!((report.verdict, report.first_mismatch), (Verdict::Identical, None));
        }
    }
}

#[test]
fn crash_after_crash_without_a_clean_end_between_changes_no_byte() {
    let (plain, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let config = config(20);
    let frames = stream(MIDNIGHT - 250, 400, |tick| tick % 61 == 5);
    whole_run(plain.path(), &config, &frames);
    let options = options(dir.path(), &config);
    let mut crashes = 0;
    for (at, point) in CrashPoint::ALL.iter().cycle().take(40).enumerate() {
        let nth = 1 + at * 7 % 5;
        crashes += usize::from(crash_at(&options, &frames, *point, nth));
    }
    assert!(crashes >= 10, "{crashes}");
    go_on(&options, &frames, &mut Table(&frames)).unwrap();
    assert_same(dir.path(), plain.path(), "40 crashes");
}

/// A run that was killed behind its last snapshot, and the files that can be torn.
fn killed(dir: &Path, config: &EngineConfig, frames: &[Delivered]) -> StartOptions {
    let options = options(dir, config);
    let (mut session, _) = start(&options).unwrap();
    feed(&mut session, frames).unwrap();
    drop(session);
    options
}

/// Copies a tree.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let place = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &place);
        } else {
            std::fs::copy(&path, &place).unwrap();
        }
    }
}

fn cut(path: &Path, len: usize) {
    let bytes = std::fs::read(path).unwrap();
    std::fs::write(path, &bytes[..len]).unwrap();
}

/// Cuts a file at every byte of its last `part` bytes, starts again and compares with a whole run.
fn cut_everywhere(file: impl Fn(&EngineDirs) -> PathBuf, part: usize, step: usize) {
    let (plain, base) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let frames = stream(MIDNIGHT - 215, 210, |_| false);
    // No snapshot between the first tick and the crash: three pages of every log lie behind it.
    let config = config(1_200);
    whole_run(plain.path(), &config, &frames);
    killed(base.path(), &config, &frames[..200]);
    let len = std::fs::read(file(&EngineDirs::under(base.path()))).unwrap().len();
    for at in (len.saturating_sub(part)..len).step_by(step) {
        let dir = tempfile::tempdir().unwrap();
        copy(base.path(), dir.path());
        let options = options(dir.path(), &config);
        cut(&file(&options.dirs), at);
        let context = format!("cut at byte {at} of {len}");
        go_on(&options, &frames, &mut Table(&frames))
            .unwrap_or_else(|fault| panic!("{context}: {fault}"));
        assert_same(dir.path(), plain.path(), &context);
    }
}

const TICK: u64 = MIDNIGHT - 215;

#[test]
fn a_log_cut_at_every_byte_of_its_last_records_is_derived_again() {
    cut_everywhere(|dirs| dirs.log_file(2, Day::of(TICK), 0), 3 * 64, 3);
}

#[test]
fn frames_cut_at_every_byte_of_the_last_ones_are_fetched_again() {
    cut_everywhere(|dirs| dirs.frames_file(TICK), 2_000, 41);
}

#[test]
fn quote_blocks_cut_at_every_byte_of_the_last_ones_are_fetched_again() {
    cut_everywhere(|dirs| dirs.quotes_file(TICK), 3 * 74, 5);
}

#[test]
fn streams_cut_at_every_byte_of_their_last_lines_are_derived_again() {
    cut_everywhere(|dirs| dirs.transitions_file(Day::of(TICK)), 600, 13);
}

#[test]
fn an_hour_that_was_begun_without_a_frame_hides_none_of_those_before_it() {
    // given a crash in the first frame of an hour: before the second file, before its write, within it
    let plain = tempfile::tempdir().unwrap();
    let frames = stream(MIDNIGHT - 130, 200, |_| false);
    whole_run(plain.path(), &config(20), &frames);
    type Crash = fn(&Path, &Path);
    let crashes: [(&str, Crash); 3] = [
        ("one file", |frames, _| std::fs::write(frames, b"").unwrap()),
        ("both files", |frames, quotes| {
            std::fs::write(frames, b"").unwrap();
            std::fs::write(quotes, b"").unwrap();
        }),
        ("a torn frame", |frames, quotes| {
            std::fs::write(frames, b"EJF1").unwrap();
            std::fs::write(quotes, b"").unwrap();
        }),
    ];
    for (context, crash) in crashes {
        let dir = tempfile::tempdir().unwrap();
        let options = killed(dir.path(), &config(20), &frames[..130]);
        let path = options.dirs.frames_file(MIDNIGHT);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        crash(&path, &options.dirs.quotes_file(MIDNIGHT));
        // when it starts again
        let started = go_on(&options, &frames, &mut Table(&frames)).unwrap();
        // then the frames before are known, and none is fetched a second time
        assert_eq!(started.refetched_frames, 0, "{context}");
        assert_same(dir.path(), plain.path(), context);
    }
}

#[test]
fn a_journal_behind_its_logs_without_the_table_of_frames_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let frames = stream(MIDNIGHT - 215, 130, |_| false);
    let options = killed(dir.path(), &config(40), &frames[..128]);
    let path = options.dirs.frames_file(TICK);
    let len = std::fs::read(&path).unwrap().len();
    // The log's buffers went with the process; cutting the journal deep leaves it behind the log's records.
    cut(&path, len / 3);
    let other = tempfile::tempdir().unwrap();
    copy(dir.path(), other.path());
    let fault = go_on(&options, &frames, &mut NoStore).unwrap_err();
    assert_eq!(fault.code, Code::LogAheadOfJournal);
    // With the table it is complete again.
    let plain = tempfile::tempdir().unwrap();
    whole_run(plain.path(), &config(40), &frames);
    let options = self::options(other.path(), &config(40));
    let started = go_on(&options, &frames, &mut Table(&frames)).unwrap();
    assert!(started.refetched_frames > 40);
    assert_same(other.path(), plain.path(), "completed");
}

#[test]
fn damage_below_the_snapshot_is_refused_with_its_code_and_nothing_is_changed() {
    let base = tempfile::tempdir().unwrap();
    let frames = stream(MIDNIGHT - 215, 130, |_| false);
    killed(base.path(), &config(40), &frames[..110]);
    let log = |dirs: &EngineDirs| dirs.log_file(2, Day::of(TICK), 0);
    type Damage = fn(&mut Vec<u8>);
    let cases: [(Damage, Code); 4] = [
        (|bytes| bytes[64 * 9 + 20] ^= 1, Code::LogCorrupt),
        (|bytes| bytes.truncate(64 * 9), Code::SnapAheadOfLog),
        (|bytes| bytes[40] ^= 1, Code::LogHeader),
        (|bytes| bytes.copy_within(64 * 8..64 * 9, 64 * 9), Code::LogOffset),
    ];
    for (damage, code) in cases {
        let dir = tempfile::tempdir().unwrap();
        copy(base.path(), dir.path());
        let options = options(dir.path(), &config(40));
        let mut bytes = std::fs::read(log(&options.dirs)).unwrap();
        damage(&mut bytes);
        std::fs::write(log(&options.dirs), &bytes).unwrap();
        let before = tree(dir.path());
        let fault = go_on(&options, &frames, &mut Table(&frames)).unwrap_err();
        assert_eq!((fault.code, fault.token), (code, Some(2)), "{fault}");
        assert!(tree(dir.path()) == before, "{code}");
    }
}

#[test]
fn a_record_that_does_not_follow_from_the_journal_is_a_breach_and_both_versions_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let frames = stream(MIDNIGHT - 215, 130, |_| false);
    // The snapshot before the end is taken away: what lies behind the one before it has to come again.
    let options = killed(dir.path(), &config(40), &frames[..110]);
    let newest = penstock_engine_io::snapshots::ticks(&options.dirs).unwrap().pop().unwrap();
    std::fs::remove_file(options.dirs.snapshot(newest)).unwrap();
    let path = options.dirs.log_file(2, Day::of(TICK), 0);
    let mut bytes = std::fs::read(&path).unwrap();
    let at = 64 + 64 * usize::try_from(newest - TICK).unwrap();
    bytes[at + 40] ^= 1;
    let crc = penstock_types::frame::crc32c(&bytes[at..at + 60]);
    bytes[at + 60..at + 64].copy_from_slice(&crc.to_le_bytes());
    std::fs::write(&path, &bytes).unwrap();
    let fault = go_on(&options, &frames, &mut Table(&frames)).unwrap_err();
    assert_eq!((fault.code, fault.tick), (Code::Determinism, Some(newest)));
    let breach = dir.path().join("breach").join(newest.to_string());
    let kept = std::fs::read_to_string(breach.join("actual.hex")).unwrap();
    assert_eq!(kept, hex_of(&bytes[at..at + 64]));
    assert!(std::fs::metadata(breach.join("frame.ejf")).unwrap().len() > 96);
}

fn hex_of(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
