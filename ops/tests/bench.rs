//! The benches run, name their targets and leave nothing. No figure is asserted: a busy machine is no
//! defect.
#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

use assert_cmd::cargo::CommandCargoExt;
use std::process::Command;

/// Runs a bench in a directory of its own and gives its JSON object.
fn bench(arguments: &[&str]) -> serde_json::Value {
    // Near the root: a socket's path must be short, and the server's user must be able to pass.
    let directory = tempfile::Builder::new()
        .prefix("pb")
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .tempdir()
        .unwrap();
    let mut command = Command::cargo_bin("penstock").unwrap();
    command.arg("bench").args(arguments).args(["--output", "json", "--directory"]);
    let done = command.arg(directory.path()).output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{}: {said}", done.status);
    let left: Vec<_> = std::fs::read_dir(directory.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    serde_json::from_slice(&done.stdout).unwrap()
}

/// Value and target of a figure.
fn figure<'r>(report: &'r serde_json::Value, name: &str) -> &'r serde_json::Value {
    let figures = report["figures"].as_array().unwrap();
    let found = figures.iter().find(|figure| figure["name"] == name);
    found.unwrap_or_else(|| panic!("{name} is not in {report}"))
}

#[test]
fn publish_measures_both_databases_and_the_floor_and_leaves_nothing() {
    let report = bench(&["publish", "--symbols", "3", "--rounds", "4", "--raw-rows", "100"]);
    assert_eq!(report["bench"], "publish");
    assert!(report["machine"].as_str().unwrap().contains("cores"), "{report}");
    assert_eq!(figure(&report, "record + publish, p50")["target_max"], 10.0);
    for name in ["floor: commit of one row, p50", "cut of 3 symbols, p50", "record + publish, p99"]
    {
        assert!(figure(&report, name)["value"].as_f64().unwrap() > 0.0, "{name}: {report}");
    }
    figure(&report, "change of p50, 10 to 100 raw rows");
}

#[test]
fn decide_to_intent_commits_an_entry_in_every_round_and_leaves_nothing() {
    let report = bench(&["decide-to-intent", "--symbols", "12", "--rounds", "3"]);
    assert_eq!(report["bench"], "decide-to-intent");
    let whole = "generation visible → intent committed";
    assert_eq!(figure(&report, &format!("{whole}, p50"))["target_max"], 5.0);
    assert_eq!(figure(&report, &format!("{whole}, p99"))["target_max"], 20.0);
    assert_eq!(figure(&report, "its commit alone, p50")["target_max"], 0.3);
    for name in ["transaction of the entry, p50", "floor: commit of one row, p50"] {
        assert!(figure(&report, name)["value"].as_f64().unwrap() > 0.0, "{name}: {report}");
    }
}

#[test]
fn seal_to_view_has_the_view_of_every_tick_by_both_ways_and_leaves_nothing() {
    let report = bench(&["seal-to-view", "--ticks", "6", "--tokens", "3"]);
    assert_eq!(report["bench"], "seal-to-view");
    assert_eq!(report["setting"]["events per token"], "6");
    let cluster = "sealed → EngineView, through the cluster";
    assert_eq!(figure(&report, &format!("{cluster}, p50"))["target_max"], 8.0);
    assert_eq!(figure(&report, &format!("{cluster}, p99"))["target_max"], 20.0);
    let in_process = "sealed → EngineView, in process";
    assert_eq!(figure(&report, &format!("{in_process}, p99"))["target_max"], 2.0);
    for name in [
        &format!("{cluster}, max"),
        &format!("{in_process}, p50"),
        "sealed → row committed, p50",
        "floor: commit of one row, p50",
        "floor: write and sync of a frame, p50",
    ] {
        assert!(figure(&report, name)["value"].as_f64().unwrap() > 0.0, "{name}: {report}");
    }
}

#[test]
fn publish_in_full_loads_and_publishes_beside_it_and_leaves_nothing() {
    let sizes = ["--symbols", "3", "--rounds", "4", "--raw-rows-max", "1000", "--runs-max", "6"];
    let report = bench(&[&["publish", "--full"], sizes.as_slice()].concat());
    for name in [
        "loader into a partition of 100 rows",
        "loader into a partition of 1000 rows",
        "publication, 4 runs of partitions, p50",
        "publication, 6 runs of partitions, p99",
        "the latter beside the loader, p50",
    ] {
        assert!(figure(&report, name)["value"].as_f64().unwrap() > 0.0, "{name}: {report}");
    }
    assert_eq!(figure(&report, "change of p50, few to many partitions")["target_max"], 5.0);
    assert_eq!(figure(&report, "change of p50, beside the loader")["target_max"], 5.0);
}

#[test]
fn retention_publishes_beside_drops_and_leaves_nothing() {
    let report = bench(&["retention", "--symbols", "3", "--rounds", "4", "--run-rows", "100"]);
    for name in ["publication without a drop, p50", "publication beside a drop, p99"] {
        assert!(figure(&report, name)["value"].as_f64().unwrap() > 0.0, "{name}: {report}");
    }
    // Seven tables of the block that warms up and of the one that counts.
    assert!(report["notes"][0].as_str().unwrap().contains("14 partitions"), "{report}");
}

#[test]
fn ingest_records_every_trade_of_its_floods_and_leaves_nothing() {
    let report = bench(&[
        "ingest",
        "--symbols",
        "4",
        "--seconds",
        "1",
        "--memory-seconds",
        "1",
        "--floor-rows",
        "1000",
    ]);
    let rows = figure(&report, "trades: socket → durable rows");
    assert_eq!(rows["target_min"], 150_000.0);
    for name in [
        "trades: socket → durable rows",
        "floor: binary copy of such rows, with keys",
        "share of the floor",
        "mostly book changes: frames taken",
        "spool alone: encoded and synced",
    ] {
        assert!(figure(&report, name)["value"].as_f64().unwrap() > 0.0, "{name}: {report}");
    }
    assert_eq!(figure(&report, "memory per L2 symbol (1 to 4)")["target_max"], 64.0);
    assert_eq!(figure(&report, "trades sent and in no table")["value"], 0.0);
}

#[test]
fn alerts_cost_is_measured_with_and_without_receivers() {
    let report = bench(&["alerts", "--seconds", "1", "--rate", "400"]);
    assert_eq!(report["bench"], "alerts");
    let figures = report["figures"].as_array().expect("figures");
    let named = |text: &str| {
        figures.iter().filter(|f| f["name"].as_str().is_some_and(|n| n.contains(text))).count()
    };
    assert_eq!((named("tick, "), named("raising one"), named("/ without")), (10, 3, 3), "{report}");
    let notes = report["notes"].to_string();
    for name in ["receivers well", "receivers down", "receivers slow"] {
        assert!(notes.contains(name), "{notes}");
    }
}
