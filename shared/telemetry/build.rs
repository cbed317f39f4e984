//! Purpose: hand commit, branch, dirtiness and profile to the crate as compile-time variables.
//! Inputs: git, when it is there; `BUILD_GIT_COMMIT` for builds outside a checkout (containers).
//! Outputs: `PENSTOCK_BUILD_*`. Works without git: everything is then `unknown`.

use std::path::Path;
use std::process::Command;

/// What a source change can touch, relative to the workspace root. A release build looks at all of it
/// again, so that `dirty` is true for the tree that was built.
const WATCHED: [&str; 9] = [
    ".git/HEAD",
    ".git/logs/HEAD",
    "Cargo.toml",
    "Cargo.lock",
    "ingest",
    "execution",
    "ops",
    "shared",
    "migrations",
];

fn main() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let profile = std::env::var("PROFILE").unwrap_or_else(|_| "debug".to_owned());
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=BUILD_GIT_COMMIT");
    let given = std::env::var("BUILD_GIT_COMMIT").ok().filter(|text| !text.trim().is_empty());
    let (commit, branch, dirty) = if let Some(commit) = given {
        (Some(commit.trim().to_owned()), None, Some(false))
    } else if profile == "release" {
        watch(root);
        let dirty = git(root, &["status", "--porcelain"]).map(|text| !text.is_empty());
        (
            git(root, &["rev-parse", "HEAD"]),
            git(root, &["rev-parse", "--abbrev-ref", "HEAD"]),
            dirty,
        )
    } else {
        (None, None, None)
    };
    set("COMMIT", commit.as_deref().unwrap_or("unknown"));
    set("BRANCH", branch.as_deref().unwrap_or("unknown"));
    set("DIRTY", if dirty.unwrap_or(true) { "true" } else { "false" });
    set("PROFILE", if profile == "release" { "release" } else { "debug" });
}

fn set(name: &str, value: &str) {
    println!("cargo:rustc-env=PENSTOCK_BUILD_{name}={value}");
}

fn watch(root: &str) {
    for path in WATCHED {
        // A path that does not exist would make cargo run this script at every build.
        if Path::new(root).join(path).exists() {
            println!("cargo:rerun-if-changed={root}/{path}");
        }
    }
}

fn git(root: &str, args: &[&str]) -> Option<String> {
    let output = Command::new("git").arg("-C").arg(root).args(args).output().ok()?;
    if !output.status.success() {
        return None;
    }
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}
