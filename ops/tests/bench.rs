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
