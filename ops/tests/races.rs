//! The races that a model of publication, spool and takeover found, each with the test that plays it against
//! real clusters, and the one that walks through its model.
//!
//! A row names what must be there; a test by such a name that is not in the list fails too, so the list is
//! whole in both directions.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A race: its tests against real clusters, and in the pure model.
struct Race {
    id: &'static str,
    /// Files with the test against clusters or processes.
    real: &'static [&'static str],
    /// Files with the test on the product's own decisions alone, without a cluster.
    model: &'static [&'static str],
}

const RACES: [Race; 12] = [
    // Frames of a predecessor after a lease takeover.
    Race {
        id: "f1",
        real: &["ingest/tests/service/races.rs", "shared/store-decision/tests/publication.rs"],
        model: &["shared/market/tests/frame_races.rs"],
    },
    // Candle and generation rows behind the cursor.
    Race {
        id: "f2",
        real: &["shared/store-ingest/tests/loading/races.rs"],
        model: &["shared/store-ingest/tests/cursor_races/main.rs"],
    },
    // What takes `raw_complete`: quarantine, a bad place in the spool, the close. The rule is a statement of the
    // cluster, so that there is no model of it without one.
    Race { id: "f3", real: &["shared/store-ingest/tests/loading/races.rs"], model: &[] },
    // A kill inside a shedding burst.
    Race {
        id: "f4",
        real: &["shared/store-ingest/tests/loading/shedding.rs"],
        model: &["shared/store/src/spool/shed.rs"],
    },
    // Spool bypass and device error.
    Race {
        id: "f5",
        real: &["shared/store-ingest/tests/loading/races.rs"],
        model: &["shared/store/tests/spool.rs"],
    },
    // A frozen network, old prices heard as new.
    Race {
        id: "f6",
        real: &["ingest/tests/service/frozen.rs"],
        model: &["shared/market/src/core/tests.rs"],
    },
    // A hanging I-transaction.
    Race {
        id: "f7",
        real: &["shared/store-ingest/tests/generations.rs"],
        model: &["shared/store-ingest/tests/cursor_races/main.rs"],
    },
    // A paused ingest after another host closed its run.
    Race {
        id: "f8",
        real: &[
            "shared/store-ingest/tests/generations.rs",
            "shared/store-ingest/tests/loading/races.rs",
        ],
        model: &["shared/store-ingest/tests/cursor_races/main.rs"],
    },
    // An unknown commit plus dropped frames.
    Race {
        id: "f9",
        real: &[
            "ingest/tests/service/unknown_commit.rs",
            "shared/store-decision/tests/publication.rs",
        ],
        model: &["shared/market/tests/frame_races.rs"],
    },
    // A successor with its clock behind.
    Race {
        id: "f10",
        real: &["ingest/tests/service/races.rs"],
        model: &["ingest/src/lifecycle/first_tick.rs"],
    },
    // A spool directory of its own token beside a stopped process.
    Race {
        id: "f11",
        real: &["ingest/tests/service/races.rs"],
        model: &["shared/store/tests/spool.rs"],
    },
    // An entry on a fenced-out state.
    Race {
        id: "f12",
        real: &["execution/tests/cycle.rs"],
        model: &["shared/trading/tests/fence_races.rs"],
    },
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Races that a file has a test of: functions behind a test's attribute whose names begin with their ids.
fn races_in(text: &str) -> BTreeSet<String> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let tests =
        lines.windows(2).filter(|pair| pair[0].starts_with("#[") && pair[0].contains("test"));
    tests
        .filter_map(|pair| {
            let name = pair[1].strip_prefix("async ").unwrap_or(pair[1]).strip_prefix("fn f")?;
            let (number, _) = name.split_once('_')?;
            number.parse::<u8>().ok().map(|number| format!("f{number}"))
        })
        .collect()
}

#[test]
fn every_race_has_its_test_and_every_such_test_is_listed() {
    let listed: BTreeSet<(String, String)> = RACES
        .iter()
        .flat_map(|race| race.real.iter().chain(race.model).map(|file| (race.id, *file)))
        .map(|(id, file)| (id.to_owned(), file.to_owned()))
        .collect();
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "*.rs"])
        .current_dir(root())
        .output()
        .expect("git runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found: BTreeSet<(String, String)> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .flat_map(|file| {
            // A file that another hand has just removed has no tests.
            let text = std::fs::read_to_string(root().join(file)).unwrap_or_default();
            races_in(&text).into_iter().map(|id| (id, file.to_owned())).collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(found, listed);
    assert!(RACES.iter().all(|race| !race.real.is_empty()), "each is played once for real");
}
