//! Purpose: what can go wrong with a private cluster. Outputs: one error type. Invariants: each message
//! names the thing, what was found, and the next step.

use std::path::{Path, PathBuf};

/// Why a cluster could not be found, made, started, reached or stopped.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// No usable server binaries.
    #[error("find a PostgreSQL server of version {wanted}: {looked}\nnext: {advice}")]
    NoServer {
        /// `15 or newer`, or the version of an existing data directory.
        wanted: String,
        /// What was looked at and why it did not do.
        looked: String,
        /// The install command for this system.
        advice: String,
    },
    /// Root has no ordinary user to run the server as.
    #[error(
        "find a user to run PostgreSQL as (it refuses to run as root): none of {tried} exists; next: install the distribution's postgresql package, or set PENSTOCK_PG_USER to an existing user"
    )]
    NoUser {
        /// Names tried.
        tried: String,
    },
    /// A directory that the server's user cannot pass through.
    #[error(
        "reach {path} as user {user}: {ancestor} is not traversable for it; next: set PENSTOCK_DATA to a directory that every user may pass through (for example below /var/lib), or chmod o+x {ancestor}"
    )]
    NotTraversable {
        /// The wanted path.
        path: PathBuf,
        /// The closed directory.
        ancestor: PathBuf,
        /// Who has to pass.
        user: String,
    },
    /// Another supervisor works on this data root.
    #[error(
        "lock {path}: another penstock works on this data root; next: stop it with `penstock down`, or choose another PENSTOCK_DATA"
    )]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// The fallback socket directory belongs to somebody else.
    #[error(
        "use {path} for sockets: it belongs to user id {owner}; next: remove it, or set TMPDIR to a directory of your own"
    )]
    ForeignDirectory {
        /// The directory.
        path: PathBuf,
        /// Its owner.
        owner: u32,
    },
    /// A file operation failed.
    #[error("{action} {path}: {source}")]
    Io {
        /// What was attempted, as a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A program of PostgreSQL failed.
    #[error("{program} for cluster {cluster}: {detail}")]
    Program {
        /// `initdb`, `postgres`, `pg_ctl`.
        program: &'static str,
        /// Which cluster.
        cluster: String,
        /// Exit status and the last lines that it wrote.
        detail: String,
    },
    /// The server runs and cannot be used.
    #[error("set up cluster {cluster}: {source}")]
    Sql {
        /// Which cluster.
        cluster: String,
        /// The cause.
        source: sqlx::Error,
    },
    /// The scratch clusters of the tests cannot be used.
    #[error("prepare a test database: {0}")]
    Test(String),
}

impl ClusterError {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    pub(crate) fn sql(cluster: impl std::fmt::Display) -> impl FnOnce(sqlx::Error) -> Self {
        let cluster = cluster.to_string();
        move |source| Self::Sql { cluster, source }
    }
}
