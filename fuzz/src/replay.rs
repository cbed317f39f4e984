//! The committed inputs of a target, replayed without a fuzzer; the tests of a crate take this file by its path.
//!
//! Input: the name of a corpus and its target. Output: a panic that names the input whose promise is broken. A corpus
//! that lost its inputs is no pass.

/// Hands every input of a corpus to its target.
pub(crate) fn replay(name: &str, target: fn(&[u8])) {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(name);
    let mut inputs = 0;
    for entry in std::fs::read_dir(&dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display())) {
        let path = entry.unwrap_or_else(|e| panic!("{}: {e}", dir.display())).path();
        println!("{}", path.display());
        let input = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        target(&input);
        inputs += 1;
    }
    assert!(inputs >= 3, "{name} has {inputs} inputs");
}
