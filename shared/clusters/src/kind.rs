//! Purpose: the two clusters and what differs between them. Inputs: none. Outputs: names, ports, login
//! roles. Invariants: execution has no login on the ingest cluster.

/// Which of the two clusters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClusterKind {
    /// Raw rows, their partitions, the twins of runs and epochs.
    Ingest,
    /// Published state, frames, orders, ledger.
    Decision,
}

impl ClusterKind {
    /// Both, in the order in which they are started.
    pub const ALL: [Self; 2] = [Self::Ingest, Self::Decision];

    /// The name of the cluster, which is also that of its database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Decision => "decision",
        }
    }

    /// The port, which on a socket only names the socket file. Not 5432, so that a distribution's own
    /// cluster is never met.
    #[must_use]
    pub const fn port(self) -> u16 {
        match self {
            Self::Ingest => 25_432,
            Self::Decision => 25_433,
        }
    }

    /// The environment variable that makes this cluster external.
    #[must_use]
    pub const fn url_variable(self) -> &'static str {
        match self {
            Self::Ingest => "INGEST_DATABASE_URL",
            Self::Decision => "DECISION_DATABASE_URL",
        }
    }

    /// The roles that may log in.
    #[must_use]
    pub const fn login_roles(self) -> &'static [&'static str] {
        match self {
            Self::Ingest => &["observer_ro", "ingest_rw", "ops_rw"],
            Self::Decision => &["observer_ro", "publisher_rw", "exec_rw", "ops_rw"],
        }
    }
}

impl std::fmt::Display for ClusterKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// The superuser of a managed cluster.
pub const SUPERUSER: &str = "penstock";
