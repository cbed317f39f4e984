//! A short soak of the real programs: two clusters, three simulated venues, both services, one fault. What it
//! measured is not asserted: a busy machine is no defect.
#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// Programs that a soak starts beside `penstock`.
const PROGRAMS: [&str; 3] = ["venue-sim", "run-ingest", "run-execution-live"];

/// Builds the programs when only this package was built before.
fn programs() {
    let beside = Path::new(env!("CARGO_BIN_EXE_penstock")).parent().unwrap();
    if PROGRAMS.iter().all(|name| beside.join(name).exists()) {
        return;
    }
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--workspace", "--bins"])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .status()
        .unwrap();
    assert!(built.success(), "{built}");
}

#[test]
fn a_short_soak_is_judged_by_the_send_log_and_leaves_nothing() {
    programs();
    // Near the root: a socket's path must be short, and the server's user must be able to pass.
    let directory = tempfile::Builder::new()
        .prefix("ps")
        .permissions(std::fs::Permissions::from_mode(0o755))
        .tempdir_in("/tmp")
        .unwrap();
    let (address, port) = penstock_clusters::testing::own_place();
    let done = Command::new(env!("CARGO_BIN_EXE_penstock"))
        .args(["soak", "--minutes", "1", "--symbols", "8", "--fault-every-s", "40"])
        .args(["--seed", "3", "--output", "json"])
        .env("PENSTOCK_DATA", directory.path())
        .env("WEBUI_BIND", address.to_string())
        .env("WEBUI_PORT", port.to_string())
        .env_remove("INGEST_DATABASE_URL")
        .env_remove("DECISION_DATABASE_URL")
        .current_dir(directory.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{}: {said}", done.status);
    let line = String::from_utf8_lossy(&done.stdout);
    let report: serde_json::Value = serde_json::from_str(line.trim()).unwrap();
    assert_eq!(report["passes"], true, "{report}");
    for name in ["kraken_spot", "kraken_futures", "binance_um"] {
        let trades = &report["trades"][name];
        assert!(trades["sent"].as_u64().unwrap() > 0, "{name}: {report}");
    }
    assert!(report["samples"]["l2"].as_u64().unwrap() > 100, "{report}");
    for name in ["J8", "J9", "J10", "J15"] {
        assert_eq!(report["invariants"][name], true, "{name}: {report} {said}");
    }
    for what in ["generations", "frames"] {
        assert!(report["verify"][what]["equal"].as_u64().unwrap() > 0, "{what}: {report}");
    }
    let left: Vec<_> = std::fs::read_dir(directory.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}
