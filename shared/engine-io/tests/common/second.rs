//! The verifier in another language, asked by tests.
//!
//! Input: its arguments. Output: its status and report. Invariant: a test that asks it has its answer or fails.

use std::path::Path;

/// Exit status and report of the verifier in another language.
///
/// # Panics
/// Without Python: a proof that nobody ran is none. `scripts/test` installs it.
pub(crate) fn second_verifier(arguments: &[&str], path: &Path) -> (i32, serde_json::Value) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/verify_log.py");
    let output =
        std::process::Command::new("python3").arg(script).args(arguments).arg(path).output();
    let output = output.unwrap_or_else(|error| panic!("python3: {error}; next: scripts/test"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let line = text.lines().next().unwrap_or_else(|| panic!("{errors}"));
    (output.status.code().unwrap(), serde_json::from_str(line).unwrap())
}
