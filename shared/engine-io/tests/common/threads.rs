//! A report of level A is the same whatever number of threads reads the logs.
//!
//! Input: a run of three tokens over midnight; differences, damage and cuts planted in several logs. Output: reports
//! and faults. Invariants: the lowest tick, then the lowest token is what is named; what lies behind it is not.

use crate::common::*;
use penstock_engine_io::replay::{Lead, ReplayStart, Report, level_a, level_a_on, level_b};
use penstock_engine_io::{Code, Day, EngineDirs, Fault};
use std::path::Path;

const FIRST: u64 = MIDNIGHT - 400;

/// What is planted in the record of a tick and token.
#[derive(Clone, Copy)]
enum Plant {
    /// Another state, whose CRC is right.
    State(u64, u16),
    /// A flipped bit.
    Flip(u64, u16),
    /// The file ends ahead of it.
    Cut(u64, u16),
}

fn plant(dirs: &EngineDirs, plant: Plant) {
    let (Plant::State(tick, token) | Plant::Flip(tick, token) | Plant::Cut(tick, token)) = plant;
    let path = dirs.log_file(token, Day::of(tick), 0);
    let mut bytes = std::fs::read(&path).unwrap();
    let first = if tick < MIDNIGHT { FIRST } else { MIDNIGHT };
    let at = usize::try_from(64 + 64 * (tick - first)).unwrap();
    match plant {
        Plant::State(..) => {
            bytes[at + 12] = if bytes[at + 12] == 2 { 3 } else { 2 };
            let crc = penstock_types::frame::crc32c(&bytes[at..at + 60]);
            bytes[at + 60..at + 64].copy_from_slice(&crc.to_le_bytes());
        }
        Plant::Flip(..) => bytes[at + 40] ^= 1,
        Plant::Cut(..) => bytes.truncate(at),
    }
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, bytes).unwrap();
}

/// The report, which all numbers of threads agree on.
fn judged(root: &Path, day: Option<Day>) -> Result<Report, Fault> {
    let (dirs, config) = (EngineDirs::under(root), config(1_200));
    let one = level_a_on(&dirs, &config, day, Lead::Whole, 1);
    for readers in [2, 3, 8] {
        let more = level_a_on(&dirs, &config, day, Lead::Whole, readers);
        assert_eq!(format!("{more:?}"), format!("{one:?}"), "{readers} threads");
    }
    assert_eq!(format!("{:?}", level_a(&dirs, &config, day)), format!("{one:?}"), "the default");
    one
}

fn copy(from: &Path, to: &Path) {
    for (name, bytes) in tree(from) {
        let path = to.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

#[test]
fn the_first_difference_is_the_same_on_any_number_of_threads() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(1_200);
    whole_run(
        dir.path(),
        &config,
        &stream(FIRST, 900, |tick| (100..140).contains(&(tick % 1_500))),
    );
    let whole = judged(dir.path(), None).unwrap();
    assert_eq!((whole.first_mismatch.as_ref(), whole.ticks), (None, 900));
    // Each log once, each record once more for the chain, the alerts once.
    let files = tree(dir.path());
    let len = |name: &str| -> usize {
        let of_name = files.iter().filter(|(found, _)| found.starts_with(name));
        of_name.map(|(_, bytes)| bytes.len()).sum()
    };
    let alerts: usize = len("alerts/");
    let logs: usize = (1..=3).map(|token| len(&format!("log/{token}/"))).sum();
    assert!(logs > 3 * 64 * 900 && alerts > 0, "{:?}", files.keys());
    let hashed = u64::try_from(logs + alerts).unwrap() + 900 * (32 + 3 * 64);
    assert_eq!(whole.bytes_hashed, hashed);
    let by_day = judged(dir.path(), Some(Day::of(MIDNIGHT))).unwrap();
    assert_eq!((by_day.first_mismatch.as_ref(), by_day.ticks), (None, 500));

    // In every place within and at the ends of the blocks that a thread hands over, and in both files.
    for tick in [FIRST + 1, FIRST + 63, FIRST + 64, MIDNIGHT - 1, MIDNIGHT, MIDNIGHT + 300] {
        let planted = tempfile::tempdir().unwrap();
        copy(dir.path(), planted.path());
        let dirs = EngineDirs::under(planted.path());
        for at in [
            Plant::State(tick, 3),
            Plant::State(tick, 2),
            Plant::State(tick + 1, 1),
            Plant::Flip(tick + 2, 1),
            Plant::Cut(tick + 3, 3),
        ] {
            plant(&dirs, at);
        }
        let found = judged(planted.path(), None).unwrap().first_mismatch.unwrap();
        assert_eq!((found.tick, found.token), (tick, Some(2)), "{found:?}");
        let b = level_b(&dirs, &config, ReplayStart::Genesis, None, None).unwrap();
        let b = b.first_mismatch.unwrap();
        assert_eq!((b.tick, b.token, b.field), (tick, Some(2), found.field));
    }
}

/// What is planted, and the damage that has to be named; a difference of the first token without one.
type Case<'a> = (&'a [Plant], Option<(Code, u16)>);

#[test]
fn damage_is_named_before_a_difference_of_the_same_tick_and_not_after_it() {
    let dir = tempfile::tempdir().unwrap();
    whole_run(dir.path(), &config(1_200), &stream(FIRST, 600, |_| false));
    let tick = MIDNIGHT - 200;
    let cases: [Case<'_>; 4] = [
        (&[Plant::State(tick, 1), Plant::Flip(tick, 3)], Some((Code::LogCorrupt, 3))),
        (&[Plant::State(tick, 1), Plant::Flip(tick + 1, 3)], None),
        (&[Plant::Flip(tick + 1, 1), Plant::Flip(tick, 2)], Some((Code::LogCorrupt, 2))),
        (&[Plant::Flip(tick, 3), Plant::Flip(tick, 1)], Some((Code::LogCorrupt, 1))),
    ];
    for (plants, fault) in cases {
        let planted = tempfile::tempdir().unwrap();
        copy(dir.path(), planted.path());
        plants.iter().for_each(|at| plant(&EngineDirs::under(planted.path()), *at));
        match (judged(planted.path(), None), fault) {
            (Err(found), Some((code, token))) => {
                assert_eq!((found.code, found.token), (code, Some(token)));
            }
            (Ok(report), None) => {
                let found = report.first_mismatch.unwrap();
                assert_eq!((found.tick, found.token), (tick, Some(1)));
            }
            (found, due) => panic!("{found:?} in place of {due:?}"),
        }
    }
}
