//! The two roles that a cluster can have. A cluster knows its own role by a row that its migrations
//! wrote; a pool states which one it expects.

use core::fmt;

/// Which of the two clusters is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ClusterRole {
    /// Raw rows, generations, checkpoints: written by ingest only.
    Ingest,
    /// Published state, frames, epochs, orders: written by ingest and execution.
    Decision,
}

impl ClusterRole {
    /// The text of the row in `cluster_role`, also used in messages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Decision => "decision",
        }
    }

    /// The configuration key that carries the cluster's URL.
    #[must_use]
    pub const fn url_key(self) -> &'static str {
        match self {
            Self::Ingest => "INGEST_DATABASE_URL",
            Self::Decision => "DECISION_DATABASE_URL",
        }
    }
}

impl fmt::Display for ClusterRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
