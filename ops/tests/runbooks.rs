//! Runbooks against the catalog and the product: each critical reason has its section, each warning its line, each
//! command exists, each query runs.
#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use penstock_store::ClusterRole;
use penstock_store::testing::TestPair;
use penstock_types::vocab::{ReasonCode, Severity};

/// What a section says, in this order.
const PARTS: [&str; 4] = ["**Symptom.** ", "**Look at.** ", "**Do.** ", "**Verify.** "];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../runbooks")
}

/// Pages by their file name.
fn pages() -> BTreeMap<String, String> {
    let files = std::fs::read_dir(folder()).expect("the runbooks are there");
    files
        .map(|file| {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read_to_string(&path).unwrap())
        })
        .collect()
}

/// The anchor that a reader of Markdown makes of a heading.
fn anchor(heading: &str) -> String {
    let kept = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | ' ');
    heading
        .to_lowercase()
        .chars()
        .filter(|c| kept(*c))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

/// Headings with what stands under them.
fn sections(text: &str) -> Vec<(&str, &str)> {
    text.split("\n## ").skip(1).map(|s| s.split_once('\n').unwrap_or((s, ""))).collect()
}

/// Anchors of a page: its headings, and those that are named in lines.
fn anchors(text: &str) -> Vec<String> {
    let title = text.lines().next().unwrap_or_default().trim_start_matches("# ");
    let headings = sections(text).into_iter().map(|(heading, _)| heading);
    let named = text.split("<a id=\"").skip(1).filter_map(|rest| rest.split('"').next());
    headings.chain([title]).map(anchor).chain(named.map(str::to_owned)).collect()
}

#[test]
fn every_code_has_the_page_that_its_severity_asks_for() {
    let pages = pages();
    let mut used: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for code in ReasonCode::ALL {
        let Some(place) = code.runbook() else {
            assert_eq!(code.severity(), Severity::Info, "{code}");
            continue;
        };
        let (file, wanted) = place.strip_prefix("runbooks/").unwrap().split_once('#').unwrap();
        let (name, text) = pages.get_key_value(file).unwrap_or_else(|| panic!("{place}: no page"));
        let found = anchors(text).iter().filter(|found| *found == wanted).count();
        assert_eq!(found, 1, "{place}: the anchor is there {found} times");
        let section = sections(text).into_iter().find(|(heading, _)| *heading == code.as_str());
        match (code.severity(), section) {
            (Severity::Crit, Some((_, body))) => assert_section(&place, body),
            (Severity::Warn, None) => {
                let line = format!("| <a id=\"{wanted}\"></a>`{code}` | ");
                let said = text.lines().find_map(|found| found.strip_prefix(&line));
                assert!(
                    said.is_some_and(|said| said.len() > 20),
                    "{place}: a line that says what to do"
                );
            }
            (severity, found) => panic!("{place}: {severity} and section {}", found.is_some()),
        }
        used.entry(name.as_str()).or_default().insert(wanted.to_owned());
    }
    // Nothing else has a section or a line: a reason that only informs, or one that is no reason.
    for (name, text) in pages.iter().filter(|(name, _)| *name != "README.md") {
        let title = anchor(text.lines().next().unwrap().trim_start_matches("# "));
        let known =
            used.get(name.as_str()).unwrap_or_else(|| panic!("{name} belongs to no family"));
        let odd: Vec<String> = anchors(text)
            .into_iter()
            .filter(|found| !known.contains(found) && *found != title && found != "warnings")
            .collect();
        assert_eq!(odd, [] as [String; 0], "{name}");
    }
}

/// The four parts in their order, each with words, and little enough to be read at night.
fn assert_section(place: &str, body: &str) {
    let mut rest = body;
    for part in PARTS {
        let (_, after) =
            rest.split_once(part).unwrap_or_else(|| panic!("{place}: {part} is missing"));
        let words = PARTS.iter().fold(after, |text, next| text.split(next).next().unwrap_or(text));
        assert!(words.trim().len() > 20, "{place}: {part} says nothing");
        rest = after;
    }
    assert!(body.lines().count() <= 16, "{place}: {} lines", body.lines().count());
}

#[test]
fn links_lead_to_pages_and_their_anchors() {
    let pages = pages();
    for (name, text) in &pages {
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let page = if file.is_empty() { name.as_str() } else { file };
            assert!(folder().join(page).exists(), "{name} links to {target}");
            if !anchor.is_empty() {
                let known =
                    pages.get(page).is_some_and(|text| anchors(text).contains(&anchor.to_owned()));
                assert!(known, "{name} links to {target}");
            }
        }
    }
}

/// Commands of a page: code between backticks, and indented blocks, each on one line.
fn commands(text: &str) -> Vec<String> {
    let mut blocks = String::new();
    let mut prose = String::new();
    for line in text.lines() {
        match line.strip_prefix("    ") {
            // A line that goes on is indented further.
            Some(code) if code.starts_with("    ") => blocks.push_str(&format!(" {}", code.trim())),
            Some(code) => blocks.push_str(&format!("\n{code}")),
            None => prose.push_str(&format!("{line} ")),
        }
    }
    let spans = prose.split('`').skip(1).step_by(2).map(str::to_owned);
    spans.chain(blocks.lines().map(str::to_owned)).filter(|c| c.starts_with("penstock ")).collect()
}

#[test]
fn every_command_exists() {
    let mut seen = BTreeSet::new();
    for (name, text) in pages() {
        for command in commands(&text) {
            // What follows the subcommands is theirs: options, texts, places.
            let words: Vec<String> = command
                .split_whitespace()
                .skip(1)
                .take(2)
                .take_while(|word| word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'))
                .take_while(|word| !word.starts_with('-'))
                .map(str::to_owned)
                .collect();
            if words.is_empty() || !seen.insert(words.clone()) {
                continue;
            }
            let output = Command::new(env!("CARGO_BIN_EXE_penstock"))
                .args(&words)
                .arg("--help")
                .output()
                .expect("penstock runs");
            assert!(output.status.success(), "{name}: {command}: {output:?}");
        }
    }
    assert!(seen.len() > 10, "the pages name commands: {seen:?}");
}

#[tokio::test]
async fn every_query_runs_as_an_observer() {
    let pair = TestPair::new().await.unwrap();
    let decision = pair.pool(ClusterRole::Decision, "observer_ro").await.unwrap();
    let ingest = pair.pool(ClusterRole::Ingest, "observer_ro").await.unwrap();
    let mut count = 0;
    for (name, text) in pages() {
        for command in commands(&text) {
            let Some((head, rest)) = command.split_once("-c \"") else { continue };
            let query = rest.split('"').next().unwrap();
            let pool = if head.contains(" ingest ") { &ingest } else { &decision };
            let explained =
                sqlx::query(sqlx::AssertSqlSafe(format!("explain {query}"))).execute(pool).await;
            assert!(explained.is_ok(), "{name}: {query}: {explained:?}");
            count += 1;
        }
    }
    assert!(count > 20, "{count} queries");
    decision.close().await;
    ingest.close().await;
}
