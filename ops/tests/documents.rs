//! Documents against the repository: no claim without a command, no command or link that leads nowhere.

use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Texts between single backticks.
fn commands(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// A member's package bears the name of its folder.
fn packages() -> Vec<String> {
    let manifest = read("Cargo.toml");
    let members = manifest.split_once("members = [").and_then(|(_, rest)| rest.split_once(']'));
    let folders = members.expect("the workspace lists its members").0.split('"').skip(1).step_by(2);
    folders.map(|f| format!("penstock-{}", f.rsplit('/').next().unwrap_or(f))).collect()
}

/// Whether a package has a file or a folder of tests of this name.
fn has_tests(package: &str, name: &str) -> bool {
    let folder = package.trim_start_matches("penstock-");
    let homes = [root().join(folder), root().join("shared").join(folder)];
    homes.iter().map(|home| home.join("tests")).any(|tests| {
        tests.join(format!("{name}.rs")).exists() || tests.join(name).join("main.rs").exists()
    })
}

fn leads_somewhere(command: &str, packages: &[String]) -> bool {
    let words: Vec<&str> = command.split_whitespace().collect();
    match words.as_slice() {
        ["cargo", "nextest", "run", rest @ ..] => {
            let named: Vec<&str> =
                rest.windows(2).filter(|pair| pair[0] == "-p").map(|pair| pair[1]).collect();
            let known = named.iter().all(|name| packages.iter().any(|p| p == name));
            let asked = rest.windows(2).find(|pair| pair[0] == "--test").map(|pair| pair[1]);
            let chosen = command.split_once("binary(").and_then(|(_, b)| b.split_once(')'));
            let binary = asked.or(chosen.map(|(name, _)| name));
            let there = binary.is_none_or(|name| named.iter().any(|p| has_tests(p, name)));
            !named.is_empty() && known && there
        }
        ["penstock", subcommand, ..] => {
            let known = Command::new(env!("CARGO_BIN_EXE_penstock"))
                .args([subcommand, "--help"])
                .output()
                .expect("penstock runs");
            known.status.success()
        }
        [script, ..] if script.starts_with("scripts/") => root().join(script).exists(),
        _other => false,
    }
}

#[test]
fn every_row_of_the_status_table_has_a_command_that_exists() {
    let packages = packages();
    let text = read("docs/status.md");
    let rows: Vec<Vec<&str>> = text
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| Part"))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    assert!(rows.len() > 10, "the table is read: {rows:?}");
    let mut parts = std::collections::BTreeSet::new();
    for row in rows {
        let part = row[0].split(':').next().unwrap_or_default();
        assert!(parts.insert(part), "two rows for {part}");
        assert_eq!(row.len(), 5, "{row:?}");
        if row[2] != "yes" {
            assert_eq!(row[3], "–", "what does not run claims nothing: {row:?}");
            continue;
        }
        let found = commands(row[3]);
        assert!(!found.is_empty(), "a claim without a command: {row:?}");
        for command in found {
            assert!(leads_somewhere(command, &packages), "{command} leads nowhere");
        }
        for path in commands(row[1]) {
            let folder = path.split('*').next().unwrap_or(path);
            assert!(root().join(folder).exists(), "{path} is not there");
        }
    }
}

#[test]
fn links_between_documents_lead_to_files() {
    for page in ["README.md", "ARCHITECTURE.md", "docs/README.md", "docs/venue-sim.md"] {
        let text = read(page);
        let folder = root().join(page).parent().expect("a page has a folder").to_owned();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')) {
            let path = target.0.split('#').next().unwrap_or_default();
            if path.is_empty() || path.contains("://") {
                continue;
            }
            assert!(folder.join(path).exists(), "{page} links to {path}");
        }
    }
}
