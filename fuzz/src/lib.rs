//! The fuzz targets for their fuzzers: by name, over bytes.

mod targets;

/// Runs a target.
///
/// # Panics
/// When the target's promise is broken, or there is no target of that name.
pub fn run(name: &str, bytes: &[u8]) {
    let target = targets::TARGETS.iter().find(|(known, _)| *known == name);
    let (_, target) = target.expect("a fuzzer bears the name of its target");
    target(bytes);
}
