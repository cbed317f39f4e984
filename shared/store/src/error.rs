//! Errors of the storage layer. Environment only: a broken invariant is an assertion elsewhere.
//!
//! Database errors are reduced to their SQLSTATE, constraint and table, because the server's text
//! also carries line numbers of its own source.

use crate::role::ClusterRole;

/// What can go wrong between a service and its clusters.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The URL cannot be used as it stands.
    #[error(
        "{key}: {problem}; next: write it as postgres:///DATABASE?host=/socket/dir&port=N&user=NAME or postgres://USER@HOST:PORT/DATABASE"
    )]
    Url {
        /// The configuration key.
        key: &'static str,
        /// What is wrong with the value; never the value itself, which may carry a password.
        problem: String,
    },
    /// A statement failed.
    #[error("{action} on the {cluster} cluster: {}", describe(source))]
    Sql {
        /// What was being done.
        action: &'static str,
        /// The cluster.
        cluster: ClusterRole,
        /// The driver's error.
        source: sqlx::Error,
    },
    /// A commit was sent and its answer never came: the transaction may stand or not, and must be
    /// read back by key before anything is decided.
    #[error(
        "{action} on the {cluster} cluster: outcome of the commit unknown; next: read back by key"
    )]
    CommitUnknown {
        /// What was being done.
        action: &'static str,
        /// The cluster.
        cluster: ClusterRole,
        /// The driver's error.
        source: sqlx::Error,
    },
    /// The cluster did not become ready in time.
    #[error(
        "{cluster} cluster not reachable after {waited_secs} s: {last}; next: look at the cluster's log, `penstock doctor`"
    )]
    NotReady {
        /// The cluster.
        cluster: ClusterRole,
        /// How long was waited.
        waited_secs: u64,
        /// The last error.
        last: String,
    },
}

impl StoreError {
    /// Wraps a driver error with what was being done.
    #[must_use]
    pub fn sql(action: &'static str, cluster: ClusterRole, source: sqlx::Error) -> Self {
        Self::Sql { action, cluster, source }
    }

    /// Wraps an error of `commit`: an error that did not come from the server leaves the outcome
    /// unknown, one that did means that nothing was written.
    #[must_use]
    pub fn commit(action: &'static str, cluster: ClusterRole, source: sqlx::Error) -> Self {
        match source {
            sqlx::Error::Database(_) => Self::Sql { action, cluster, source },
            _ => Self::CommitUnknown { action, cluster, source },
        }
    }

    /// The SQLSTATE, if the server answered with one.
    #[must_use]
    pub fn sqlstate(&self) -> Option<String> {
        match self {
            Self::Sql { source, .. } | Self::CommitUnknown { source, .. } => sqlstate(source),
            Self::Url { .. } | Self::NotReady { .. } => None,
        }
    }

    /// Whether the connection was lost before anything was committed on it: what may take place twice can be
    /// repeated on another one.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        match self {
            Self::Sql { source, .. } => crate::again::is_lost(source),
            Self::Url { .. } | Self::NotReady { .. } | Self::CommitUnknown { .. } => false,
        }
    }

    /// Whether the same action can succeed later without anybody changing anything: connection
    /// losses, time-outs and server restarts.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::NotReady { .. } | Self::CommitUnknown { .. } => true,
            Self::Url { .. } => false,
            Self::Sql { source, .. } => is_transient(source),
        }
    }
}

/// The SQLSTATE of a driver error, if the server answered with one.
#[must_use]
pub fn sqlstate(error: &sqlx::Error) -> Option<String> {
    match error {
        sqlx::Error::Database(db) => db.code().map(|c| c.into_owned()),
        _ => None,
    }
}

/// Whether a driver error may vanish by itself: no connection, a time-out (55P03, 57014), a server
/// that is starting, stopping or full (57P01-57P03, 53xxx), a serialization failure (40xxx).
#[must_use]
pub fn is_transient(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::Protocol(_)
        | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(db) => db.code().is_some_and(|code| {
            let code = code.as_ref();
            code.starts_with("08")
                || code.starts_with("53")
                || code.starts_with("57P")
                || code.starts_with("40")
                || code == "55P03"
                || code == "57014"
                || code == "25P03"
        }),
        _ => false,
    }
}

/// One line about a driver error: code, constraint and table of a database error, the text of any
/// other.
#[must_use]
pub fn describe(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(db) => {
            let mut text = match db.code() {
                Some(code) => format!("SQLSTATE {code}: {}", db.message()),
                None => db.message().to_owned(),
            };
            if let Some(constraint) = db.constraint() {
                text.push_str(&format!(" (constraint {constraint})"));
            }
            if let Some(table) = db.table() {
                text.push_str(&format!(" (table {table})"));
            }
            text
        }
        other => other.to_string(),
    }
}
