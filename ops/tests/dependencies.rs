//! The dependency rules of the house, read from `cargo metadata` on the transitive closure.
//!
//! They are what makes "execution never reads raw data" and "the pure crates reach no clock" facts of
//! the build and not habits of its authors.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

type Graph = BTreeMap<String, BTreeSet<String>>;

/// The host's target triple, so that only packages that are built here are read.
fn host() -> String {
    let output = Command::new("rustc").arg("-vV").output().expect("rustc runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.expect("rustc names its host").to_owned()
}

/// Packages and their normal dependencies by name; dev- and build-dependencies are left out.
fn graph() -> Graph {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--offline",
            "--locked",
            "--filter-platform",
            &host(),
        ])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let meta: serde_json::Value = serde_json::from_slice(&output.stdout).expect("metadata is JSON");
    let names: BTreeMap<&str, &str> = meta["packages"]
        .as_array()
        .expect("packages")
        .iter()
        .map(|p| (p["id"].as_str().expect("id"), p["name"].as_str().expect("name")))
        .collect();
    let mut graph = Graph::new();
    for node in meta["resolve"]["nodes"].as_array().expect("nodes") {
        let name = names[node["id"].as_str().expect("id")];
        let entry = graph.entry(name.to_owned()).or_default();
        for dep in node["deps"].as_array().expect("deps") {
            let normal = dep["dep_kinds"]
                .as_array()
                .expect("kinds")
                .iter()
                .any(|kind| kind["kind"].is_null());
            if normal {
                entry.insert(names[dep["pkg"].as_str().expect("pkg")].to_owned());
            }
        }
    }
    graph
}

fn closure(graph: &Graph, root: &str) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let mut open = vec![root.to_owned()];
    while let Some(name) = open.pop() {
        for dep in graph.get(&name).into_iter().flatten() {
            if seen.insert(dep.clone()) {
                open.push(dep.clone());
            }
        }
    }
    seen
}

fn assert_never(graph: &Graph, from: &str, forbidden: &[&str]) {
    assert!(graph.contains_key(from), "{from} is a package of the workspace");
    let reached = closure(graph, from);
    for name in forbidden {
        assert!(!reached.contains(*name), "{from} reaches {name}");
    }
}

#[test]
fn execution_cannot_reach_raw_data_and_ingest_cannot_reach_orders() {
    let graph = graph();
    assert_never(
        &graph,
        "penstock-execution",
        &["penstock-store-ingest", "penstock-market", "penstock-venue-feeds", "penstock-ingest"],
    );
    assert_never(
        &graph,
        "penstock-ingest",
        &["penstock-trading", "penstock-venue-orders", "penstock-execution", "penstock-engine-io"],
    );
    // The one configuration of both services judges the engine's keys with the engine's own ranges; nothing
    // else on the way to ingest knows the engine, and ingest itself names it nowhere.
    let knows_engine = |name: &&String| graph[*name].contains("penstock-engine");
    let reached = closure(&graph, "penstock-ingest");
    assert_eq!(reached.iter().filter(knows_engine).collect::<Vec<_>>(), ["penstock-config"]);
    assert!(!graph["penstock-ingest"].contains("penstock-engine"));
}

/// Files and the engine alone: whoever verifies a day needs no database and no socket.
#[test]
fn the_engine_on_disk_reaches_no_socket_and_no_database() {
    let graph = graph();
    assert_never(
        &graph,
        "penstock-engine-io",
        &["tokio", "sqlx", "sqlx-core", "rustls", "penstock-market", "penstock-store"],
    );
    let own: Vec<String> = closure(&graph, "penstock-engine-io")
        .into_iter()
        .filter(|name| name.starts_with("penstock-"))
        .collect();
    assert_eq!(own, ["penstock-engine", "penstock-types"]);
}

/// Files and types alone: a trail is verified without a database, and its writer knows no clock of its own.
#[test]
fn the_audit_trail_reaches_no_socket_and_no_database() {
    let graph = graph();
    let forbidden = ["tokio", "sqlx", "sqlx-core", "rustls", "reqwest"];
    assert_never(&graph, "penstock-audit", &forbidden);
    let own: Vec<String> = closure(&graph, "penstock-audit")
        .into_iter()
        .filter(|name| name.starts_with("penstock-"))
        .collect();
    assert_eq!(own, ["penstock-types"]);
}

/// A model is asked without the power to do anything: no database, no order, no feed is within its reach.
#[test]
fn the_ai_gate_reaches_no_database_and_no_order() {
    let graph = graph();
    let forbidden =
        ["sqlx", "sqlx-core", "penstock-venue-orders", "penstock-venue-feeds", "penstock-trading"];
    assert_never(&graph, "penstock-ai-gate", &forbidden);
}

/// Who raises an alert waits for no database: rows are behind a trait that the services fill.
#[test]
fn alerts_reach_no_database_and_no_order() {
    let graph = graph();
    let forbidden =
        ["sqlx", "sqlx-core", "penstock-store", "penstock-trading", "penstock-venue-orders"];
    assert_never(&graph, "penstock-alerts", &forbidden);
}

/// A reader of the panel can change nothing: no order, no venue, no configuration is within reach of its handlers.
#[test]
fn the_panel_reaches_no_venue_no_order_and_no_configuration() {
    let reached = built_from("penstock-panel");
    let own: BTreeSet<&str> =
        reached.iter().filter_map(|name| name.strip_prefix("penstock-")).collect();
    let may = ["contracts", "heap", "panel", "store", "telemetry", "types"];
    assert_eq!(own, may.into_iter().collect());
    for name in ["reqwest", "tokio-tungstenite"] {
        assert!(!reached.contains(name), "the panel reaches {name}");
    }
}

/// Packages that `package` is built from, with the features that it asks for itself. (`cargo metadata`
/// knows only the union of all members' features and would see what others switched on.)
fn built_from(package: &str) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--locked", "-p", package, "-e", "normal,no-proc-macro"])
        .args(["--prefix", "none", "--format", "{p}"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

#[test]
fn pure_crates_reach_no_runtime_no_database_and_no_chance() {
    for pure in [
        "penstock-types",
        "penstock-venues",
        "penstock-market",
        "penstock-engine",
        "penstock-contracts",
        "penstock-trading",
    ] {
        let reached = built_from(pure);
        assert!(reached.contains("rust_decimal"), "{pure}: {reached:?}");
        for name in ["tokio", "sqlx", "sqlx-core", "rand", "rand_core", "getrandom"] {
            assert!(!reached.contains(name), "{pure} reaches {name}");
        }
    }
}

#[test]
fn the_simulated_venue_shares_no_code_with_the_product() {
    let graph = graph();
    let own: Vec<String> = closure(&graph, "penstock-sim")
        .into_iter()
        .filter(|name| name.starts_with("penstock-"))
        .collect();
    assert!(own.is_empty(), "penstock-sim reaches {own:?}");
}

/// The simulation of whole lives knows product and venue; nothing is built from it, and it reaches no shell.
#[test]
fn the_simulation_of_lives_is_for_development_alone() {
    let graph = graph();
    let own: Vec<String> = closure(&graph, "penstock-lifesim")
        .into_iter()
        .filter(|name| name.starts_with("penstock-"))
        .collect();
    assert_eq!(own, ["penstock-contracts", "penstock-sim", "penstock-trading", "penstock-types"]);
    let from = |name: &&String| closure(&graph, name).contains("penstock-lifesim");
    assert_eq!(graph.keys().filter(from).collect::<Vec<_>>(), Vec::<&String>::new());
}

#[test]
fn layers_point_one_way() {
    let graph = graph();
    let layer = |name: &str| match name {
        "penstock-types" => 0,
        "penstock-contracts" => 1,
        "penstock-venues" | "penstock-market" | "penstock-engine" | "penstock-trading" => 2,
        "penstock-ingest" | "penstock-execution" => 4,
        "penstock-ops" => 5,
        _ => 3,
    };
    for (name, deps) in graph.iter().filter(|(name, _)| name.starts_with("penstock-")) {
        for dep in deps.iter().filter(|dep| dep.starts_with("penstock-")) {
            let same_shell = layer(name) == 3 && layer(dep) == 3;
            assert!(layer(dep) < layer(name) || same_shell, "{name} depends on {dep}");
        }
    }
}

/// `types` and `engine` build without `std`: none of their dependencies has the feature switched on for
/// them.
#[test]
fn types_and_engine_stand_without_std() {
    for package in ["penstock-types", "penstock-engine"] {
        let output = Command::new(env!("CARGO"))
            .args(["tree", "--offline", "--locked", "-p", package, "-e", "features,no-dev"])
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
            .output()
            .expect("cargo runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let tree = String::from_utf8_lossy(&output.stdout);
        assert!(tree.contains("rust_decimal"), "the tree lists the dependencies: {tree}");
        // Procedural macros run in the compiler and keep their own `std`.
        let offending: Vec<&str> = tree
            .lines()
            .filter(|line| line.contains("feature \"std\""))
            .filter(|line| !["syn", "quote", "proc-macro2"].iter().any(|name| line.contains(name)))
            .collect();
        assert!(offending.is_empty(), "{package}: features that bring std: {offending:?}");
    }
}
