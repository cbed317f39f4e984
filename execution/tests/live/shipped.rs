//! The shipped binary has no failpoints: what `cargo build` makes asks for no feature that brings them.
//!
//! Test builds switch them on by a dev-dependency, which no build without tests sees.

use std::process::Command;

/// Features that the service is built with, for a set of edges.
fn features(edges: &str) -> String {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--locked", "--workspace", "-e", edges])
        .args(["--invert", "fail"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_shipped_binary_has_no_failpoints() {
    const FEATURE: &str = "fail feature \"failpoints\"";
    let (shipped, tested) = (features("features,no-dev"), features("features"));
    assert!(shipped.contains("penstock-execution"), "{shipped}");
    assert!(tested.contains(FEATURE), "a test build has them: {tested}");
    assert!(!shipped.contains(FEATURE), "{shipped}");
}
