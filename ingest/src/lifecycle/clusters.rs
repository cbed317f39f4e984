//! Both clusters: opened, judged, their schema brought up.
//!
//! The decision cluster must answer before anything begins. The ingest cluster may be away: then the
//! service records into its spool, and [`IngestOpener`] goes on asking without limit. Nobody gets a
//! pool of the ingest cluster before identity and schema are known to be the right ones, so nothing is
//! written to a wrong one, however late it answers.

use crate::exit::Exit;
use crate::settings::Settings;
use penstock_store::identity::{self, ClusterIdentity, Separation};
use penstock_store::migrate::{self, MigrationSet, SchemaError, SetReport};
use penstock_store::pools::{self, PoolSettings};
use penstock_store::{ClusterRole, StoreError};
use penstock_telemetry::marker;
use sqlx::PgPool;
use std::time::Duration;
use tokio::sync::watch;

/// Longest wait for the decision cluster at the start, and for both under `--check`, before the process
/// gives the word to its supervisor.
const CLUSTER_WAIT: Duration = Duration::from_secs(600);
/// Wait for the ingest cluster at the start, so that two clusters that are started together with the
/// service give an ordinary start; afterwards the service begins without it.
const INGEST_WAIT: Duration = Duration::from_secs(5);

/// Both clusters, checked.
#[derive(Debug, Clone)]
pub(crate) struct Clusters {
    pub decision: PgPool,
    ingest: watch::Receiver<Option<PgPool>>,
}

impl Clusters {
    /// The ingest cluster, once it has answered, was judged and has the rows of this run.
    pub(crate) fn ingest(&self) -> Option<PgPool> {
        self.ingest.borrow().clone()
    }

    /// Waits for the ingest cluster; `None` when the service ends before it answers.
    pub(crate) async fn ingest_opened(&mut self) -> Option<PgPool> {
        self.ingest.wait_for(Option::is_some).await.ok()?.clone()
    }
}

/// Opens the ingest cluster, at the start or whenever it answers.
#[derive(Debug)]
pub(crate) struct IngestOpener {
    url: String,
    pool_settings: PoolSettings,
    may_be_single: bool,
    may_migrate: bool,
    decision: ClusterIdentity,
    opened: watch::Sender<Option<PgPool>>,
}

/// Opens the decision cluster and judges it. `may_migrate` is false for `--check`.
pub(crate) async fn open_decision(
    settings: &Settings,
    may_migrate: bool,
) -> Result<(Clusters, IngestOpener), Exit> {
    let pool_settings = PoolSettings::service("run-ingest", settings.pool_max);
    let (role, url) = (ClusterRole::Decision, &settings.decision_url);
    let decision = pools::open(url, role, &pool_settings, CLUSTER_WAIT)
        .await
        .map_err(|e| store_exit("the decision cluster", &e))?;
    let identity = read_identity(&decision, role, url).await?;
    bring_schema_up(url, role, &pool_settings, may_migrate).await?;
    let (opened, ingest) = watch::channel(None);
    let opener = IngestOpener {
        url: settings.ingest_url.clone(),
        pool_settings,
        may_be_single: settings.allow_single_cluster,
        may_migrate,
        decision: identity,
        opened,
    };
    Ok((Clusters { decision, ingest }, opener))
}

impl IngestOpener {
    /// One attempt of a few seconds; `None` when the cluster does not answer.
    ///
    /// # Errors
    /// [`Exit::Refused`] for a cluster that answers and is not the right one.
    pub(crate) async fn attempt(&self) -> Result<Option<PgPool>, Exit> {
        self.attempt_for(INGEST_WAIT).await
    }

    /// The same for `--check`, which needs the cluster.
    ///
    /// # Errors
    /// [`Exit::Unavailable`] when it does not answer, [`Exit::Refused`] as above.
    pub(crate) async fn require(&self) -> Result<PgPool, Exit> {
        let what = "the ingest cluster";
        let error = || format!("no answer within {CLUSTER_WAIT:?}");
        self.attempt_for(CLUSTER_WAIT)
            .await?
            .ok_or_else(|| Exit::Unavailable { what, error: error() })
    }

    async fn attempt_for(&self, wait: Duration) -> Result<Option<PgPool>, Exit> {
        match self.open(wait).await {
            Ok(pool) => Ok(Some(pool)),
            Err(Exit::Unavailable { error, .. }) => {
                tracing::debug!("the ingest cluster: {error}");
                Ok(None)
            }
            Err(exit) => Err(exit),
        }
    }

    async fn open(&self, wait: Duration) -> Result<PgPool, Exit> {
        let role = ClusterRole::Ingest;
        let pool = pools::open(&self.url, role, &self.pool_settings, wait)
            .await
            .map_err(|e| store_exit("the ingest cluster", &e))?;
        let found = read_identity(&pool, role, &self.url).await?;
        match identity::judge_pair(&found, &self.decision, self.may_be_single) {
            Ok(separation) => {
                marker!(DB_PHYSICAL_SEPARATION, active = separation == Separation::Physical);
            }
            Err(error) => {
                marker!(
                    DB_DUAL_ROLE_AMBIGUOUS_IDENTICAL_LIVE_IDENTITY,
                    system_identifier = found.system_identifier.to_string(),
                );
                return Err(Exit::Refused(error.to_string()));
            }
        }
        bring_schema_up(&self.url, role, &self.pool_settings, self.may_migrate).await?;
        Ok(pool)
    }

    /// Hands the cluster to everybody: the rows of the run stand on it.
    pub(crate) fn announce(&self, pool: PgPool) {
        self.opened.send_replace(Some(pool));
    }
}

fn store_exit(what: &'static str, error: &StoreError) -> Exit {
    if error.is_transient() {
        return Exit::Unavailable { what, error: error.to_string() };
    }
    Exit::Refused(format!("{what}: {error}"))
}

async fn read_identity(
    pool: &PgPool,
    role: ClusterRole,
    url: &str,
) -> Result<ClusterIdentity, Exit> {
    let found = identity::read(pool, role).await.map_err(|e| store_exit("a cluster", &e))?;
    let database = database_of(url);
    if let Err(error) = identity::judge_one(&found, &database) {
        marker!(DB_ROLE_URL_MISMATCH, expected = database, found = found.database);
        return Err(Exit::Refused(error.to_string()));
    }
    tell_identity(&found);
    Ok(found)
}

fn tell_identity(found: &ClusterIdentity) {
    marker!(
        DB_ROLE_VALIDATED,
        role = found.role.as_str(),
        current_database = found.database,
        inet_server_addr = found.server_addr,
        inet_server_port = found.server_port,
        system_identifier = found.system_identifier.to_string(),
    );
}

/// The database that a URL names; the last part of its path.
fn database_of(url: &str) -> String {
    let without_query = url.split('?').next().unwrap_or(url);
    without_query.rsplit('/').next().unwrap_or_default().to_owned()
}

async fn bring_schema_up(
    url: &str,
    role: ClusterRole,
    settings: &PoolSettings,
    may_migrate: bool,
) -> Result<(), Exit> {
    let mut conn = pools::connect_single(url, role, settings)
        .await
        .map_err(|e| store_exit("a cluster", &e))?;
    let cluster = role.as_str();
    if may_migrate {
        marker!(DB_MIGRATIONS_STARTED, cluster = cluster, from = 0, to = highest(role), count = 0);
    }
    let outcome = if may_migrate {
        migrate::migrate(&mut conn, role).await
    } else {
        migrate::check(&mut conn, role).await
    };
    let reports = outcome.map_err(|error| schema_exit(cluster, &error))?;
    for report in &reports {
        tell_schema(cluster, report);
    }
    Ok(())
}

fn highest(role: ClusterRole) -> i32 {
    MigrationSet::of(role).into_iter().map(MigrationSet::highest).max().unwrap_or(0)
}

fn tell_schema(cluster: &str, report: &SetReport) {
    if report.newer {
        marker!(
            DB_SCHEMA_NEWER,
            cluster = cluster,
            schema = report.version,
            binary = report.set.highest(),
        );
    } else if report.applied.is_empty() {
        let version = report.version;
        marker!(
            DB_MIGRATIONS_UP_TO_DATE,
            cluster = cluster,
            from = version,
            to = version,
            count = 0
        );
    } else {
        let count = i32::try_from(report.applied.len()).unwrap_or(i32::MAX);
        let to = report.version;
        marker!(
            DB_MIGRATIONS_APPLIED,
            cluster = cluster,
            from = to - count,
            to = to,
            count = count
        );
    }
}

fn schema_exit(cluster: &'static str, error: &SchemaError) -> Exit {
    if error.is_transient() {
        return Exit::Unavailable { what: "a cluster", error: error.to_string() };
    }
    marker!(DB_MIGRATIONS_FAILED, cluster = cluster, error = error.to_string());
    Exit::Refused(error.to_string())
}
