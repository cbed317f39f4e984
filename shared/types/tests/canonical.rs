//! Canonical JSON: known bytes and hashes of another implementation, and no binary fraction on the way to one.

use std::path::{Path, PathBuf};

use penstock_types::canonical::{CanonicalError, hash, hash_bytes, to_bytes};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Input, canonical text and hash as another implementation wrote them (Python's `json`, keys by UTF-16 code units),
/// with the order of keys and the string of RFC 8785 among them.
const VECTORS: &str = include_str!("vectors/canonical.ndjson");

/// Every vector has the bytes and the hash that the other implementation gave it, whatever the input looked like.
#[test]
fn vectors() {
    let mut seen = 0;
    for line in VECTORS.lines() {
        let vector: Value = serde_json::from_str(line).expect("a vector is JSON");
        let text = |name: &str| vector[name].as_str().expect("a text");
        let input: Value = serde_json::from_str(text("input")).expect("an input is JSON");
        let bytes = to_bytes(&input).expect("a vector has a canonical form");
        assert_eq!(String::from_utf8(bytes.clone()).expect("UTF-8"), text("canonical"));
        assert_eq!(hash(&input).expect("a hash"), text("sha256"), "{line}");
        assert_eq!(hash_bytes(&bytes), text("sha256"));
        let again: Value = serde_json::from_slice(&bytes).expect("canonical bytes are JSON");
        assert_eq!(to_bytes(&again).expect("a canonical form"), bytes, "a second time: the same");
        seen += 1;
    }
    assert_eq!(seen, 17);
}

/// Types with a binary fraction that are written to a file of their own and never hashed: a checkpoint of the
/// aggregator, and the venue's rate counters.
const UNHASHED: [&str; 2] = ["shared/market/src/", "shared/venue-orders/src/"];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            if !path.ends_with("tests") {
                sources(&path, found);
            }
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
}

fn names_float(line: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let code = line.split("//").next().unwrap_or_default();
    code.split(|c| !word(c)).any(|w| w == "f64" || w == "f32")
}

/// Numbers of the lines that are a binary fraction within a type that derives `Serialize` or is a `contract!`.
fn floats_in_serialised(text: &str) -> Vec<usize> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    let mut is_serialised = false;
    let mut at = 0;
    while at < lines.len() {
        let line = lines[at].trim_start();
        if line.starts_with("#[derive(") {
            // A long list has a line for some of its words.
            let ends = lines[at..].iter().position(|l| l.contains(")]")).unwrap_or(0);
            let words = lines[at..=at + ends].concat().replace("Deserialize", "");
            is_serialised |= words.contains("Serialize");
        }
        is_serialised |= line.starts_with("contract! {");
        let begins = ["struct ", "enum "]
            .iter()
            .any(|word| line.starts_with(word) || line.starts_with("pub") && line.contains(word));
        if begins || line.starts_with("contract! {") {
            let indent = lines[at].len() - line.len();
            let ends = |l: &str| l.len() - l.trim_start().len() == indent && l.trim() == "}";
            let one_line = line.ends_with(';') || line.ends_with('}');
            let body =
                if one_line { 0 } else { lines[at..].iter().position(|l| ends(l)).unwrap_or(0) };
            if is_serialised {
                let bad = (at..=at + body).filter(|i| names_float(lines[*i]));
                found.extend(bad.map(|i| i + 1));
            }
            is_serialised = false;
            at += body;
        }
        at += 1;
    }
    found
}

/// No type that is serialised has a field of a binary fraction, but for two that no hash is taken of; and a fraction
/// that got into a value all the same is refused, wherever it stands and however whole it is.
#[test]
fn no_float_types() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut files = Vec::new();
    for folder in ["shared", "execution", "ingest", "ops"] {
        sources(&root.join(folder), &mut files);
    }
    assert!(files.len() > 300, "the sources are read: {}", files.len());
    let (mut held, mut aside) = (0, 0);
    for path in files {
        let text = std::fs::read_to_string(&path).expect("a source");
        let name = path.strip_prefix(&root).expect("below the root").display().to_string();
        let found = floats_in_serialised(&text);
        if UNHASHED.iter().any(|folder| name.starts_with(folder)) {
            aside += found.len();
            let hashes =
                ["canonical::hash", "canonical::to_bytes"].iter().any(|w| text.contains(w));
            assert!(!hashes, "{name} hashes; its fractions must go first");
            continue;
        }
        held += usize::from(text.contains("Serialize"));
        assert_eq!(found, [] as [usize; 0], "{name} serialises a binary fraction");
    }
    assert!(held > 20 && aside > 0, "{held} files with serialised types, {aside} fractions aside");
}

#[test]
fn a_binary_fraction_in_a_serialised_type_would_be_found() {
    let bad = "#[derive(Debug, Serialize)]\n#[serde(x)]\npub struct A {\n    /// f64\n    pub a: Option<f64>,\n}\n";
    assert_eq!(floats_in_serialised(bad), [5]);
    assert_eq!(floats_in_serialised(&bad.replace("Serialize", "Deserialize")), [] as [usize; 0]);
    let contract = "contract! {\n    /// A.\n    pub B {\n        b: f32,\n    }\n}\n";
    assert_eq!(floats_in_serialised(contract), [4]);
    assert_eq!(floats_in_serialised("#[derive(Serialize)]\nstruct C(f64);\n"), [2]);
}

proptest! {
    #[test]
    fn a_binary_fraction_has_no_canonical_form(
        value in prop_oneof![any::<f64>(), (-1000_i32..1000).prop_map(f64::from)],
        depth in 0_usize..6,
    ) {
        prop_assume!(value.is_finite());
        let narrow = value as f32;
        // What does not fit into the narrow type is no number any more.
        for number in [json!(value), json!(narrow)].into_iter().filter(Value::is_number) {
            let nested = (0..depth).fold(number, |inner, at| {
                if at % 2 == 0 { json!({ "x": inner }) } else { json!([null, inner]) }
            });
            let refused = matches!(to_bytes(&nested), Err(CanonicalError::Number { .. }));
            prop_assert!(refused, "{}", nested);
        }
    }
}
