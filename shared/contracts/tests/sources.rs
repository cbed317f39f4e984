//! No binary fraction in the sources of the contracts: what is hashed must be the same on every machine.

use std::path::{Path, PathBuf};

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
}

/// Lines of code, comments left out, that name a type of binary fractions or a way to one.
fn offending(text: &str) -> Vec<usize> {
    let words = ["f32", "f64", "as_f", "to_f", "from_f", "from_feature", "to_feature"];
    let code = |line: &str| !line.trim_start().starts_with("//");
    let bad = |line: &str| words.iter().any(|word| line.contains(word));
    text.lines()
        .enumerate()
        .filter(|(_, line)| code(line) && bad(line))
        .map(|(at, _)| at + 1)
        .collect()
}

#[test]
fn no_source_of_a_contract_knows_binary_fractions() {
    let mut found = Vec::new();
    sources(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    assert!(found.len() > 15, "{found:?}");
    for path in found {
        let text = std::fs::read_to_string(&path).expect("a source");
        assert_eq!(offending(&text), [], "{}", path.display());
    }
}

#[test]
fn a_binary_fraction_would_be_found() {
    assert_eq!(offending("pub struct A {\n    pub a: f64,\n}\n"), [2]);
    assert_eq!(offending("// not f64\nlet a: i64 = 1;\n"), []);
}
