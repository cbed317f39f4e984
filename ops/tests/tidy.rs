//! The style page as a test: what a reader may rely on in every source file of the repository.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Longest source file in lines.
const FILE_LINES_MAX: usize = 500;

struct Source {
    path: String,
    text: String,
}

impl Source {
    /// Under `tests/`, `benches/`, `fuzz/`, or a file that holds a module's tests.
    fn is_test(&self) -> bool {
        let p = &self.path;
        ["/tests/", "/benches/", "fuzz/"].iter().any(|part| p.contains(part))
            || p.ends_with("tests.rs")
            || p.ends_with("testing.rs")
    }

    fn is_pure(&self) -> bool {
        ["shared/types/src", "shared/venues/src", "shared/market/src", "shared/trading/src"]
            .iter()
            .any(|root| self.path.starts_with(root))
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn tracked(patterns: &[&str]) -> Vec<Source> {
    let output = Command::new("git")
        .arg("ls-files")
        .args(patterns)
        .current_dir(root())
        .output()
        .expect("git runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|path| {
            let text = std::fs::read_to_string(root().join(path)).ok()?;
            Some(Source { path: path.to_owned(), text })
        })
        .collect()
}

/// Lines of `source` that contain one of the words, as `path:line: text`.
fn hits(source: &Source, words: &[String]) -> Vec<String> {
    source
        .text
        .lines()
        .enumerate()
        .filter(|(_, line)| words.iter().any(|word| line.contains(word.as_str())))
        .map(|(i, line)| format!("{}:{}: {}", source.path, i + 1, line.trim()))
        .collect()
}

fn assert_clean(problems: &[String]) {
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// Words are put together here, so that this file does not contain what it looks for.
fn words(parts: &[(&str, &str)]) -> Vec<String> {
    parts.iter().map(|(a, b)| format!("{a}{b}")).collect()
}

#[test]
fn files_have_a_header_and_fit_in_one_head() {
    let mut problems = Vec::new();
    for source in tracked(&["*.rs"]) {
        let lines = source.text.lines().count();
        if lines > FILE_LINES_MAX {
            problems.push(format!("{}: {lines} lines, at most {FILE_LINES_MAX}", source.path));
        }
        if !source.text.starts_with("//!") && !source.path.starts_with("fuzz/") {
            problems.push(format!("{}: starts without a `//!` paragraph", source.path));
        }
    }
    assert_clean(&problems);
}

#[test]
fn banned_words_stay_out() {
    let banned = words(&[
        ("tod", "o!("),
        ("unimplemente", "d!("),
        ("db", "g!("),
        ("#[igno", "re"),
        ("#[allo", "w("),
        ("#![allo", "w("),
        ("unbounded_ch", "annel"),
        ("#[should_pa", "nic"),
    ]);
    let problems: Vec<String> =
        tracked(&["*.rs"]).iter().flat_map(|source| hits(source, &banned)).collect();
    assert_clean(&problems);
}

#[test]
fn pure_crates_read_no_clock() {
    let banned = words(&[
        ("SystemTime::n", "ow"),
        ("Instant::n", "ow"),
        ("Utc::n", "ow"),
        ("std::en", "v"),
        ("std::f", "s"),
    ]);
    let problems: Vec<String> = tracked(&["*.rs"])
        .iter()
        .filter(|source| source.is_pure() && !source.is_test())
        .flat_map(|source| hits(source, &banned))
        .collect();
    assert_clean(&problems);
}

#[test]
fn tests_do_not_sleep() {
    let banned = words(&[("thread::sl", "eep("), ("time::sl", "eep(")]);
    let problems: Vec<String> = tracked(&["*.rs"])
        .iter()
        .filter(|source| source.path.contains("/tests/") || source.path.ends_with("tests.rs"))
        .flat_map(|source| hits(source, &banned))
        .collect();
    assert_clean(&problems);
}

/// The documents stand on their own: no reference to papers that a reader of the repository lacks, no
/// path of the machine on which something was written.
#[test]
fn the_project_stands_on_its_own() {
    let banned = words(&[
        ("spl", "it §"),
        ("pan", "el §"),
        ("engi", "ne §"),
        ("protoco", "ls §"),
        ("reliabili", "ty §"),
        ("dependenci", "es §"),
        ("desi", "gn §"),
        ("desi", "gn.md"),
        ("shared/refer", "ence"),
        ("/wo", "rk/"),
        ("/tmp", "/h/"),
        ("`(decis", "ion)`"),
    ]);
    let sources =
        tracked(&["*.rs", "*.md", "*.sql", "*.toml", "*.sh", "scripts/*", ".ci/*", "*.py"]);
    let problems: Vec<String> = sources.iter().flat_map(|source| hits(source, &banned)).collect();
    assert_clean(&problems);
}
