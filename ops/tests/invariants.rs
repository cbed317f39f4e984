//! The promises of the documents against the test runner: each named test is one that the runner knows, in the crate
//! and the file that its name says.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Where a run puts the runner's list of all tests, as `cargo nextest list --message-format json` prints it.
const LIST: &str = "TEST_LIST_FILE";

/// The runner's profile of CI, where the list is handed over.
const CI: &str = "ci";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A named test.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Named {
    /// The short name of its crate.
    krate: String,
    /// Module or test program, where the name has it.
    file: Option<String>,
    /// Function.
    test: String,
}

impl Named {
    fn parse(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.split("::").collect();
        let (krate, file, test) = match parts.as_slice() {
            [krate, test] => (krate, None, test),
            [krate, file, test] => (krate, Some((*file).to_owned()), test),
            _ => return None,
        };
        Some(Self { krate: (*krate).to_owned(), file, test: (*test).to_owned() })
    }

    fn packages(&self) -> &'static [&'static str] {
        match self.krate.as_str() {
            "ty" => &["penstock-types"],
            "tr" => &["penstock-trading", "penstock-contracts"],
            "cf" => &["penstock-config"],
            "sd" => &["penstock-store-decision"],
            "x" => &["penstock-execution"],
            "o" => &["penstock-ops"],
            other => panic!("{other} is no short name of a crate"),
        }
    }
}

/// Numbers, and the tests of a row: those that prove it now, those that come later.
struct Row {
    numbers: BTreeSet<u32>,
    now: Vec<Named>,
    later: Vec<Named>,
}

/// `007, 074` and `012–014` as numbers.
fn numbers(cell: &str) -> Option<BTreeSet<u32>> {
    let mut found = BTreeSet::new();
    for part in cell.split(", ") {
        let (first, last) = part.split_once('–').unwrap_or((part, part));
        found.extend(first.parse::<u32>().ok()?..=last.parse::<u32>().ok()?);
    }
    Some(found)
}

fn rows() -> Vec<Row> {
    let text = std::fs::read_to_string(root().join("docs/invariants.md")).expect("it is there");
    let mut found = Vec::new();
    for line in text.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let Some(numbers) = numbers(cells[0]) else {
            assert_eq!(cells[0], "No.", "a row without a number: {line}");
            continue;
        };
        assert_eq!(cells.len(), 4, "{line}");
        assert!(!cells[1].is_empty(), "a promise has words: {line}");
        let names: Vec<Named> = cells[2]
            .split('`')
            .skip(1)
            .step_by(2)
            .map(|text| Named::parse(text).unwrap_or_else(|| panic!("{text} is no test's name")))
            .collect();
        assert!(!names.is_empty(), "a promise without a test: {line}");
        let (now, later) = if cells[2].starts_with("not yet: ") {
            (Vec::new(), names)
        } else {
            (names, Vec::new())
        };
        found.push(Row { numbers, now, later });
    }
    found
}

/// The runner's list: what this run was handed, else what the runner says now.
fn list() -> Value {
    let text = match std::env::var_os(LIST) {
        Some(path) => std::fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("{LIST} = {}: {error}", path.display())),
        None => {
            let profile = std::env::var("NEXTEST_PROFILE").unwrap_or_default();
            assert_ne!(
                profile, CI,
                "{LIST} is not set; next: scripts/test, which writes the list and hands it over"
            );
            let output = Command::new(env!("CARGO"))
                .args(["nextest", "list", "--workspace", "--message-format", "json"])
                .current_dir(root())
                .output()
                .expect("cargo runs");
            assert!(
                output.status.success(),
                "cargo nextest list: {}; next: scripts/test, which installs the runner",
                String::from_utf8_lossy(&output.stderr)
            );
            String::from_utf8(output.stdout).expect("the runner writes UTF-8")
        }
    };
    serde_json::from_str(&text).expect("the runner's list is JSON")
}

/// A test that the runner knows: package, module or program that it stands in, function.
type Known = (String, String, String);

/// Every test that runs, and how often it is known under that name.
fn known(list: &Value) -> BTreeMap<Known, usize> {
    let suites = list["rust-suites"].as_object().expect("the list has suites");
    assert!(suites.len() > 20, "the list is of the whole workspace: {} suites", suites.len());
    let mut found = BTreeMap::new();
    for suite in suites.values() {
        let text = |name: &str| suite[name].as_str().unwrap_or_default().to_owned();
        for (path, case) in suite["testcases"].as_object().into_iter().flatten() {
            assert_eq!(case["ignored"], false, "{path} is ignored");
            let mut parts: Vec<&str> = path.split("::").collect();
            let test = parts.pop().unwrap_or_default().to_owned();
            // The module of a file's own tests is that of the file.
            let mut modules = parts.into_iter().rev().skip_while(|part| *part == "tests");
            let program = text("binary-name");
            let file = modules.next().map_or(program, str::to_owned);
            *found.entry((text("package-name"), file, test)).or_insert(0) += 1;
        }
    }
    found
}

fn count(known: &BTreeMap<Known, usize>, named: &Named) -> usize {
    known
        .iter()
        .filter(|((package, file, test), _)| {
            named.packages().contains(&package.as_str())
                && named.file.as_ref().is_none_or(|name| name == file)
                && *test == named.test
        })
        .map(|(_, count)| count)
        .sum()
}

/// Every promise of this range has its proof, and every proof is one test that the runner knows.
#[test]
fn every_promise_is_proven_by_a_test_that_the_runner_knows() {
    let rows = rows();
    let promised: BTreeSet<u32> = rows.iter().flat_map(|row| row.numbers.clone()).collect();
    // Numbers that stand for nothing: nobody was promised anything under them.
    let unused = [9, 39, 48];
    let range = (1..=48).chain(66..=68).chain(80..=84).chain([90]).chain(94..=99).chain([102]);
    let missing: Vec<u32> =
        range.filter(|n| !promised.contains(n) && !unused.contains(n)).collect();
    assert_eq!(missing, [] as [u32; 0], "promises without a row");

    let known = known(&list());
    let mut problems = Vec::new();
    let mut seen = BTreeSet::new();
    for row in &rows {
        for named in &row.now {
            let found = count(&known, named);
            if found != 1 {
                problems.push(format!("{named:?}: the runner knows {found}, not 1"));
            }
            assert!(seen.insert(named.clone()), "{named:?} stands twice");
        }
        for named in &row.later {
            if count(&known, named) > 0 {
                problems.push(format!("{named:?} is there and is said to come later"));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    println!("{} tests prove {} numbers", seen.len(), promised.len());
}

#[test]
fn a_test_in_another_crate_or_file_is_not_the_named_one() {
    let case = serde_json::json!({"ignored": false, "kind": "test"});
    let mut suites = serde_json::Map::new();
    for n in 0..21 {
        suites.insert(format!("filler{n}"), serde_json::json!({"testcases": {}}));
    }
    suites.insert(
        "a".to_owned(),
        serde_json::json!({"package-name": "penstock-execution",
        "binary-name": "audit", "testcases": {"queue_pressure": case, "inner::deep": case}}),
    );
    suites.insert(
        "b".to_owned(),
        serde_json::json!({"package-name": "penstock-execution",
        "binary-name": "penstock_execution",
        "testcases": {"desk::tests::modes::table": case, "audit::redaction::tests::taint": case}}),
    );
    let known = known(&serde_json::json!({ "rust-suites": suites }));
    let found = |text: &str| count(&known, &Named::parse(text).expect("a name"));
    assert_eq!(found("x::audit::queue_pressure"), 1);
    assert_eq!(found("x::inner::deep"), 1);
    assert_eq!(found("x::modes::table"), 1);
    assert_eq!(found("x::redaction::taint"), 1);
    assert_eq!(found("x::taint"), 1, "a name without a file");
    for other in ["x::modes::queue_pressure", "o::audit::queue_pressure", "x::audit::deep"] {
        assert_eq!(found(other), 0, "{other}");
    }
}
