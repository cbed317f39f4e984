//! Purpose: where this binary came from, for markers and run rows. Inputs: what the build script
//! found. Outputs: constants. Invariants: never guessed; what is not known is `unknown`. A debug build
//! does not track the commit (every commit would rebuild half the workspace) unless it is given
//! through `BUILD_GIT_COMMIT`, so proofs that compare commits need a release build.

/// Full commit hash, or `unknown`.
pub const GIT_COMMIT: &str = env!("PENSTOCK_BUILD_COMMIT");
/// Branch name, or `unknown`.
pub const GIT_BRANCH: &str = env!("PENSTOCK_BUILD_BRANCH");
/// Whether the working tree differed from the commit when this was built. An unknown commit counts as
/// dirty, since nobody can tell.
pub const GIT_DIRTY: bool = matches!(env!("PENSTOCK_BUILD_DIRTY").as_bytes(), b"true");
/// `debug` or `release`.
pub const PROFILE: &str = env!("PENSTOCK_BUILD_PROFILE");
/// Version of the package.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

#[cfg(test)]
mod tests {
    #[test]
    fn an_unknown_commit_counts_as_dirty() {
        assert!(!super::GIT_COMMIT.is_empty());
        assert!(super::GIT_COMMIT != "unknown" || super::GIT_DIRTY);
        assert!(matches!(super::PROFILE, "debug" | "release"));
    }
}
