//! A changed byte of the engine's files is named, whichever it is: a small part of `scripts/damage` in every run.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

#[expect(dead_code, reason = "each test file uses its own part of this module")]
mod common;
#[path = "common/damage/mod.rs"]
#[expect(dead_code, reason = "the command line uses the rest of this module")]
mod damage;

use damage::flips::{Change, copy, offsets};
use damage::kinds::Kind;
use damage::report::Line;
use damage::synthetic::{FIRST, Synthetic};
use damage::{Plan, bundle, run};
use penstock_engine_io::Code;
use std::collections::BTreeSet;
use std::path::Path;

const PLAN: Plan = Plan { per_file: 24, every_len_max: 256, whole: 2, streams: 4, seed: 5 };

#[test]
fn changed_bytes_of_every_kind_of_file_are_named_and_nothing_else_on_disk_changes() {
    let place = tempfile::tempdir().unwrap();
    let made = Synthetic::run(place.path());
    let seen = |name: &str, only: &[Kind]| {
        let root = place.path().join(name);
        copy(&made.root, &root).unwrap();
        let report = run(&root, &PLAN, only).unwrap();
        assert!(report.is_clean(), "{report}");
        report.lines.keys().copied().collect::<BTreeSet<_>>()
    };
    let mut kinds = seen("run", &Kind::IN_FOLDER);
    made.sign().unwrap();
    kinds.append(&mut seen("signed", &[Kind::Manifest, Kind::Key]));
    made.pack(FIRST).unwrap();
    kinds.append(&mut seen("packed", &[Kind::Packed]));
    assert_eq!(kinds, BTreeSet::from(Kind::IN_FOLDER));
    let file = place.path().join("day.tar");
    made.export(FIRST, &file).unwrap();
    let line = bundle(&file, &place.path().join("bundle"), &PLAN).unwrap();
    assert!(line.missed.is_empty() && line.flips == 24, "{line}");
}

#[test]
fn a_byte_that_nobody_names_or_that_has_another_familys_code_is_told() {
    let (path, change) = (Path::new("log/1/2026-02-16.bin"), Change::of(7, 1, 1, "log"));
    let mut line = Line::default();
    let fault = |code| penstock_engine_io::Fault::new(code, "damage");
    line.take(Kind::Log, path, change, Err(fault(Code::LogCorrupt)));
    assert!(line.missed.is_empty());
    line.take(Kind::Log, path, change, Ok(()));
    line.take(Kind::Log, path, change, Err(fault(Code::ManHash)));
    let missed: Vec<Option<Code>> = line.missed.iter().map(|missed| missed.code).collect();
    assert_eq!((line.flips, line.named), (3, 1));
    assert_eq!(missed, [None, Some(Code::ManHash)]);
    assert!(line.to_string().contains("log/1/2026-02-16.bin byte 7"), "{line}");
}

#[test]
fn a_seed_chooses_the_same_places_and_never_the_byte_that_is_there() {
    let places = offsets(10_000, 500, 3, "a");
    assert_eq!(places, offsets(10_000, 500, 3, "a"));
    assert_ne!(places, offsets(10_000, 500, 3, "b"));
    assert_ne!(places, offsets(10_000, 500, 4, "a"));
    assert_eq!(places.iter().collect::<BTreeSet<_>>().len(), 500);
    assert_eq!(offsets(3, 500, 3, "a"), [0, 1, 2]);
    for at in 0..10_000 {
        let change = Change::of(at, 0x5a, 3, "a");
        assert_ne!(change.was, change.now);
    }
}
