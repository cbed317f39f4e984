//! The committed corpora of the fuzz targets, replayed: no fuzzer and no other compiler is needed.
//!
//! Input: `fuzz/corpus/<target>/`. Every target has a fuzzer, a corpus and a name that agree.

use std::collections::BTreeSet;
use std::path::PathBuf;

#[path = "../../fuzz/src/targets/mod.rs"]
mod targets;

use targets::TARGETS;

fn fuzz() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fuzz")
}

fn names_in(dir: &str) -> BTreeSet<String> {
    let dir = fuzz().join(dir);
    let entries = std::fs::read_dir(&dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
    entries
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with('.'))
        .collect()
}

#[test]
fn every_target_has_a_fuzzer_and_a_corpus() {
    let targets: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let fuzzers: BTreeSet<String> = names_in("fuzz_targets")
        .iter()
        .map(|name| name.trim_end_matches(".rs").to_owned())
        .collect();
    assert_eq!(targets, fuzzers);
    assert_eq!(targets, names_in("corpus"));
    let manifest = std::fs::read_to_string(fuzz().join("Cargo.toml")).expect("the manifest");
    for name in &targets {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name} is not in the manifest");
    }
}

#[test]
fn every_input_of_a_corpus_keeps_what_its_target_promises() {
    for (name, target) in TARGETS {
        let inputs = names_in(&format!("corpus/{name}"));
        assert!(inputs.len() >= 3, "{name} has {} inputs", inputs.len());
        for input in inputs {
            let path = fuzz().join("corpus").join(name).join(&input);
            let bytes = std::fs::read(&path).expect("an input");
            // A failing input is named by the output of the test.
            println!("{name} {input}");
            target(&bytes);
        }
    }
}
