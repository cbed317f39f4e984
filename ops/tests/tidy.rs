//! The style page as a test: what a reader may rely on in every source file of the repository.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Longest source file in lines.
const FILE_LINES_MAX: usize = 500;

/// Longest function in lines, from its `fn` to its closing brace.
const FUNCTION_LINES_MAX: usize = 70;

/// Functions that are one table each, and so longer: the file and the function.
const TABLES: [(&str, &str); 1] = [
    // Every pair of state and event, illegal ones too.
    ("shared/clusters/src/state.rs", "step"),
];

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
        [
            "shared/types/src",
            "shared/venues/src",
            "shared/market/src",
            "shared/engine/src",
            "shared/contracts/src",
            "shared/trading/src",
        ]
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

/// Name and indentation of the function that a line begins.
fn function(line: &str) -> Option<(&str, usize)> {
    let text = line.trim_start();
    let indent = line.len() - text.len();
    let mut words = text.split_whitespace();
    let name = loop {
        match words.next()? {
            "fn" => break words.next()?,
            "const" | "async" | "pub" => {}
            word if word.starts_with("pub(") => {}
            _ => return None,
        }
    };
    name.split(['(', '<']).next().map(|name| (name, indent))
}

/// The functions of a source with their lines, tests left out. Formatted code closes a body with a
/// brace under the first letter of its head; a head without a body ends with a semicolon.
fn functions(text: &str) -> Vec<(&str, usize)> {
    let lines: Vec<&str> = text.lines().take_while(|line| *line != "mod tests {").collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let Some((name, indent)) = function(line) else { continue };
        let at_edge = |line: &str| line.len() - line.trim_start().len() == indent;
        let length = lines[start..].iter().position(|line| {
            at_edge(line) && (line.trim() == "}" || line.ends_with(';') || line.ends_with('}'))
        });
        found.push((name, length.map_or(usize::MAX, |at| at + 1)));
    }
    found
}

#[test]
fn a_function_fits_on_a_screen() {
    let mut problems = Vec::new();
    for source in tracked(&["*.rs"]).iter().filter(|source| !source.is_test()) {
        for (name, lines) in functions(&source.text) {
            if lines > FUNCTION_LINES_MAX && !TABLES.contains(&(source.path.as_str(), name)) {
                problems.push(format!(
                    "{}: {name} has {lines} lines, at most {FUNCTION_LINES_MAX}",
                    source.path
                ));
            }
        }
    }
    assert_clean(&problems);
}

#[test]
fn the_length_of_a_function_is_measured() {
    let text = "pub fn one() {}\nimpl A {\n    async fn two(\n    ) {\n        x();\n    }\n}\n\
                trait B {\n    fn three(&self);\n}\n";
    assert_eq!(functions(text), [("one", 1), ("two", 4), ("three", 1)]);
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
