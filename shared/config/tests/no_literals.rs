//! Every operational number has one place: a key of the configuration, or a constant with a name and a reason.

use std::path::{Path, PathBuf};

use penstock_config::key::{FieldType, Status};
use penstock_config::table;

/// A source without its tests.
struct Source {
    path: String,
    text: String,
}

fn gather(root: &Path, folder: &Path, found: &mut Vec<Source>) {
    for entry in std::fs::read_dir(folder).expect("a folder of sources") {
        let path: PathBuf = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() {
            if name != "tests" {
                gather(root, &path, found);
            }
        } else if name.ends_with(".rs")
            && !["tests.rs", "testing.rs", "fixtures.rs"].contains(&name)
        {
            let text = std::fs::read_to_string(&path).expect("a source");
            // What is compiled for tests only stands at the end of a file.
            let text = text.split("\n#[cfg(test)]\n").next().unwrap_or_default().to_owned();
            let path = path.strip_prefix(root).expect("below the root").display().to_string();
            found.push(Source { path, text });
        }
    }
}

/// Sources of the product, without the simulated venues and without this crate.
fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut found = Vec::new();
    for folder in ["execution/src", "ingest/src", "ops/src"] {
        gather(&root, &root.join(folder), &mut found);
    }
    for entry in std::fs::read_dir(root.join("shared")).expect("the shared crates") {
        let folder = entry.expect("an entry").path();
        if !folder.ends_with("config") && !folder.ends_with("sim") && folder.join("src").is_dir() {
            gather(&root, &folder.join("src"), &mut found);
        }
    }
    assert!(found.len() > 400, "the sources are read: {}", found.len());
    found
}

fn code(line: &str) -> &str {
    line.split("//").next().unwrap_or_default()
}

/// A time that is written where it is used: 1-based lines. The smallest step, 1, is no setting.
fn bare_times(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = code(line);
        let is_named = ["const ", "pub const ", "pub(crate) const ", "pub(super) const "]
            .iter()
            .any(|word| line.trim_start().starts_with(word));
        if is_named {
            continue;
        }
        for call in ["from_millis(", "from_secs(", "from_micros(", "plus_millis(", "plus_secs("] {
            for argument in line.split(call).skip(1) {
                let number: String = argument
                    .chars()
                    .take_while(|c| c.is_ascii_digit() || *c == '_' || *c == '-')
                    .collect();
                let ends = argument[number.len()..].starts_with(')');
                let value = number.replace('_', "").parse::<i64>();
                if ends && value.is_ok_and(|value| value.abs() > 1) {
                    found.push((at + 1, line.trim().to_owned()));
                }
            }
        }
    }
    found
}

/// Names of the constants of a source.
fn constants(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let (before, rest) = code(line).split_once("const ")?;
        let begins = matches!(before.trim(), "" | "pub" | "pub(crate)" | "pub(super)");
        let (name, _) = rest.split_once(':')?;
        begins.then_some(name.trim())
    })
}

/// The word stands in the text, not as a part of a longer one.
fn has_word(text: &str, word: &str) -> bool {
    let part = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
    text.match_indices(word).any(|(at, _)| {
        let after = text[at + word.len()..].chars().next();
        !part(text[..at].chars().next_back()) && !part(after)
    })
}

/// In the services no time is written where it is used; no constant of the product has the name of a key, and so a
/// value of its own; every number that can be configured is read by the product, or is known to have no effect yet.
#[test]
fn no_literals_lint() {
    let sources = sources();
    let mut problems = Vec::new();
    let services = |path: &str| path.starts_with("execution/") || path.starts_with("ingest/");
    for source in sources.iter().filter(|source| services(&source.path)) {
        for (line, text) in bare_times(&source.text) {
            problems.push(format!("{}:{line}: {text}; next: name it", source.path));
        }
    }
    let mut numbers = 0;
    for key in table::keys() {
        let is_number = matches!(key.field, FieldType::Int | FieldType::Decimal);
        // The engine resolves its own table as a whole, by name.
        if !is_number || key.name.contains('.') {
            continue;
        }
        numbers += 1;
        let name = key.env();
        for source in &sources {
            if constants(&source.text).any(|constant| constant == name) {
                problems.push(format!("{}: {name} is a key and a constant", source.path));
            }
        }
        let reader = sources.iter().find(|source| {
            let mut lines = source.text.lines().map(code);
            lines.any(|line| line.contains(key.name) && has_word(line, key.name))
        });
        match (key.shape.status, reader) {
            (Status::WithoutEffect, _) | (_, Some(_)) => {}
            (Status::Active | Status::OnlyOff(_) | Status::WithoutWord(_), None) => {
                problems.push(format!("{}: nobody reads it; next: read it or say so", key.name));
            }
        }
    }
    assert!(numbers > 150, "the table is read: {numbers}");
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn a_time_that_is_written_where_it_is_used_would_be_found() {
    let text = "const A: Duration = Duration::from_secs(5);\nsleep(Duration::from_millis(1_500)).await;\n\
                // from_secs(9)\nlet b = now.plus_millis(-20) < c.plus_millis(d);\nt.plus_millis(1);\n";
    assert_eq!(bare_times(text).iter().map(|(line, _)| *line).collect::<Vec<_>>(), [2, 4]);
    assert_eq!(constants(text).collect::<Vec<_>>(), ["A"]);
    assert!(has_word("a.key_ms,", "key_ms"));
    assert!(!has_word("a.key_ms_max,", "key_ms"));
}
