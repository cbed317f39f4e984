//! Migrated scratch databases for tests: a pair per test, copied from a migrated template.
//!
//! Built only with the feature `testing`. Every test gets databases of its own on the clusters that
//! one test run shares; they vanish with the value.

use std::time::Duration;

use penstock_clusters::testing::{TemplateUrls, TestClusters, TestDatabase};
use penstock_clusters::{ClusterKind, SUPERUSER};
use sqlx::PgPool;

use crate::migrate::{MigrationSet, known_versions, migrate};
use crate::pools::{PoolSettings, connect_single, open};
use crate::role::ClusterRole;

/// Two migrated databases, one on each scratch cluster.
#[derive(Debug)]
pub struct TestPair {
    ingest: TestDatabase,
    decision: TestDatabase,
}

/// The superuser of the scratch clusters, for tests that damage a schema on purpose.
pub const SUPERUSER_LOGIN: &str = SUPERUSER;

/// What a test's preparation can fail with; tests unwrap it.
pub type TestError = Box<dyn core::error::Error + Send + Sync>;

impl TestPair {
    /// A new pair.
    ///
    /// # Errors
    /// When PostgreSQL is missing, does not start, or the migrations fail.
    pub async fn new() -> Result<Self, TestError> {
        let clusters = TestClusters::get().await?;
        let (ingest, decision) = tokio::try_join!(
            database(clusters, ClusterRole::Ingest),
            database(clusters, ClusterRole::Decision),
        )?;
        Ok(Self { ingest, decision })
    }

    /// A pair with the same rows, commit times included. Sessions on this pair are ended.
    ///
    /// # Errors
    /// When a cluster refuses the copy.
    pub async fn copy(&self) -> Result<Self, TestError> {
        let (ingest, decision) = tokio::try_join!(self.ingest.copy(), self.decision.copy())?;
        Ok(Self { ingest, decision })
    }

    /// URL of a cluster's database for a login role (`ingest_rw`, `publisher_rw`, `exec_rw`,
    /// `ops_rw`, `observer_ro`).
    #[must_use]
    pub fn url(&self, cluster: ClusterRole, login: &str) -> String {
        match cluster {
            ClusterRole::Ingest => self.ingest.url(login),
            ClusterRole::Decision => self.decision.url(login),
        }
    }

    /// A pool with the settings of a service, at most four connections.
    ///
    /// # Errors
    /// When the cluster does not answer within 10 s.
    pub async fn pool(&self, cluster: ClusterRole, login: &str) -> Result<PgPool, TestError> {
        let settings = PoolSettings::service("penstock-test", 4);
        let wait = Duration::from_secs(10);
        Ok(open(&self.url(cluster, login), cluster, &settings, wait).await?)
    }
}

/// One migrated database.
///
/// # Errors
/// As [`TestPair::new`].
pub async fn database(
    clusters: &TestClusters,
    role: ClusterRole,
) -> Result<TestDatabase, TestError> {
    let kind = match role {
        ClusterRole::Ingest => ClusterKind::Ingest,
        ClusterRole::Decision => ClusterKind::Decision,
    };
    let database = clusters.database(kind, &template_key(role), |urls| prepare(role, urls)).await?;
    Ok(database)
}

async fn prepare(role: ClusterRole, urls: TemplateUrls) -> Result<(), TestError> {
    let settings = PoolSettings::service("penstock-test", 1);
    let mut conn = connect_single(&urls.url(SUPERUSER), role, &settings).await?;
    migrate(&mut conn, role).await?;
    sqlx::Connection::close(conn).await?;
    Ok(())
}

/// Names the template by the checksums of all migrations, so that a changed migration gets a new
/// one.
fn template_key(role: ClusterRole) -> String {
    let mut key = role.to_string();
    for set in MigrationSet::of(role) {
        for known in known_versions(set) {
            key.push_str(&format!(" {set}{}:{}", known.version, known.checksum));
        }
    }
    key
}
