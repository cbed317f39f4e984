//! Purpose: a pair of clusters for one bench: made, migrated, stopped, removed. Inputs: a directory on the
//! disk that is to be measured. Outputs: URLs, pools, a run with its fence. Invariants: the clusters are
//! durable ones (fsync on) with a data root of their own; nothing of an existing installation is touched;
//! an interrupted bench stops its clusters and removes their directory as well.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;

use penstock_clusters::{ClusterKind, DataRoot, Host, SUPERUSER};
use penstock_store::ClusterRole;
use penstock_store::fence::{Fence, FenceRequest, FencedService};
use penstock_store::migrate::{MigrationSet, migrate};
use penstock_store::pools::{self, PoolSettings};
use penstock_store::twins::{LineageRow, RunRow};
use penstock_telemetry::build;
use penstock_types::canonical::hash;
use penstock_types::{FencingToken, LineageId, RunId, UtcMicros, Uuid};
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool};
use tokio::signal::unix::{SignalKind, signal};

use crate::stack::{Clusters, StackOptions};

/// Name shown in `pg_stat_activity`.
const NAME: &str = "penstock bench";
/// Longest statement that counts what a bench has left behind, milliseconds.
const COUNT_TIMEOUT_MS: u32 = 600_000;
/// Longest wait for a cluster that has just been started.
const READY_LIMIT: Duration = Duration::from_secs(30);
/// Lease of the fence, milliseconds: what the services have by default.
const LEASE_MS: i64 = 15_000;
/// Longest wait for a fence that nobody else can hold.
const FENCE_LIMIT: Duration = Duration::from_secs(10);

/// The pair of a bench.
#[derive(Debug)]
pub(super) struct Rig {
    options: StackOptions,
    directory: PathBuf,
}

impl Rig {
    /// Starts a pair in a new directory below `parent` (none: the system's temporary directory), runs
    /// `work` on it, stops the pair and removes the directory, however the work ends.
    ///
    /// # Errors
    /// What the clusters or the work said; an interrupt.
    pub(super) async fn with<T, F, Work>(
        host: Host,
        parent: Option<&Path>,
        work: F,
    ) -> anyhow::Result<T>
    where
        F: FnOnce(Rig) -> Work,
        Work: Future<Output = anyhow::Result<T>>,
    {
        let parent = parent.map_or_else(std::env::temp_dir, Path::to_owned);
        let directory = parent.join(format!("penstock-bench-{}", std::process::id()));
        let options = StackOptions {
            host,
            root: DataRoot::at(&directory),
            config_file: None,
            environment: Vec::new(),
            ingest_key: None,
            programs: PathBuf::new(),
            tcp: false,
            ingest_url: None,
            decision_url: None,
        };
        let mut terminated = signal(SignalKind::terminate())?;
        let clusters = match Clusters::start(&options).await {
            Ok(clusters) => clusters,
            Err(error) => {
                // Whatever the start said is the answer; a directory that stays says nothing more.
                let _ = std::fs::remove_dir_all(&directory);
                return Err(error.into());
            }
        };
        let rig = Self { options, directory: directory.clone() };
        // The work first: what it has finished counts, whatever else happened in the same moment.
        let done = tokio::select! {
            biased;
            done = work(rig) => done,
            _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted; nothing is left behind")),
            _ = terminated.recv() => Err(anyhow::anyhow!("ended from outside; nothing is left behind")),
        };
        clusters.stop().await?;
        std::fs::remove_dir_all(&directory)
            .map_err(|error| anyhow::anyhow!("remove {}: {error}", directory.display()))?;
        done
    }

    /// Directory of the pair.
    #[must_use]
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Makes a migrated database on each cluster. Different names see nothing of one another.
    ///
    /// # Errors
    /// A cluster that does not take it.
    pub(super) async fn databases(&self, name: &str) -> anyhow::Result<Databases> {
        let state = self.directory.join(format!("state-{name}"));
        std::fs::create_dir_all(&state)?;
        let made =
            Databases { options: self.options.clone(), name: format!("bench_{name}"), state };
        for role in [ClusterRole::Ingest, ClusterRole::Decision] {
            let settings = PoolSettings::service(NAME, 1);
            let admin = url(&self.options, role, SUPERUSER, "postgres")?;
            let mut admin = pools::connect_single(&admin, role, &settings).await?;
            // Copied from the cluster's own database, which has roles and a schema, but no tables.
            let text = format!("create database {} template {}", made.name, kind(role).as_str());
            sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut admin).await?;
            admin.close().await?;
            let mut own = made.superuser(role).await?;
            migrate(&mut own, role).await?;
            own.close().await?;
        }
        Ok(made)
    }
}

const fn kind(role: ClusterRole) -> ClusterKind {
    match role {
        ClusterRole::Ingest => ClusterKind::Ingest,
        ClusterRole::Decision => ClusterKind::Decision,
    }
}

fn url(
    options: &StackOptions,
    role: ClusterRole,
    login: &str,
    database: &str,
) -> anyhow::Result<String> {
    let spec = options.cluster(kind(role))?;
    let spec = spec.ok_or_else(|| anyhow::anyhow!("the pair of a bench is managed"))?;
    Ok(spec.url_of(login, database))
}

/// A migrated database on each cluster.
#[derive(Debug)]
pub(super) struct Databases {
    options: StackOptions,
    name: String,
    state: PathBuf,
}

impl Databases {
    /// URL of one of them for a login role.
    ///
    /// # Errors
    /// As the cluster's.
    pub(super) fn url(&self, role: ClusterRole, login: &str) -> anyhow::Result<String> {
        url(&self.options, role, login, &self.name)
    }

    /// A pool with the settings of a service.
    ///
    /// # Errors
    /// A cluster that does not answer.
    pub(super) async fn pool(
        &self,
        role: ClusterRole,
        login: &str,
        connections_max: u32,
    ) -> anyhow::Result<PgPool> {
        let settings = PoolSettings::service(NAME, connections_max);
        Ok(pools::open(&self.url(role, login)?, role, &settings, READY_LIMIT).await?)
    }

    /// A pool whose statements may take minutes, for counting what a bench has left behind.
    ///
    /// # Errors
    /// A cluster that does not answer.
    pub(super) async fn patient_pool(
        &self,
        role: ClusterRole,
        login: &str,
        connections_max: u32,
    ) -> anyhow::Result<PgPool> {
        let settings = PoolSettings {
            statement_timeout_ms: COUNT_TIMEOUT_MS,
            ..PoolSettings::service(NAME, connections_max)
        };
        Ok(pools::open(&self.url(role, login)?, role, &settings, READY_LIMIT).await?)
    }

    /// A connection without limits, for making tables that are no part of what is measured.
    ///
    /// # Errors
    /// A cluster that does not answer.
    pub(super) async fn superuser(&self, role: ClusterRole) -> anyhow::Result<PgConnection> {
        let settings = PoolSettings::service(NAME, 1);
        let mut conn = pools::connect_single(&self.url(role, SUPERUSER)?, role, &settings).await?;
        sqlx::raw_sql("set statement_timeout = 0").execute(&mut conn).await?;
        Ok(conn)
    }

    /// Directory for lock files.
    #[must_use]
    pub(super) fn state(&self) -> &Path {
        &self.state
    }

    /// Takes the fence of ingest and opens a run on the ingest database, as the service does.
    ///
    /// # Errors
    /// A cluster that does not take it.
    pub(super) async fn open_run(
        &self,
        domain: &str,
        started_at: UtcMicros,
    ) -> anyhow::Result<Run> {
        // Generations and frames each keep a connection; the clock and the lease need one as well.
        let publisher = self.pool(ClusterRole::Decision, "publisher_rw", 4).await?;
        let ingest = self.pool(ClusterRole::Ingest, "ingest_rw", 2).await?;
        let request = FenceRequest {
            service: FencedService::Ingest,
            domain: domain.to_owned(),
            holder_id: Uuid::now_v7(),
            host: NAME.to_owned(),
            pid: std::process::id(),
            ttl_ms: LEASE_MS,
            state_dir: self.state.clone(),
            timeout: FENCE_LIMIT,
        };
        let fence = Fence::acquire(&publisher, request, |_| {}).await?;
        let run = run_row(domain, fence.token(), started_at)?;
        let lineage = LineageRow {
            lineage_id: run.lineage_id,
            domain: domain.to_owned(),
            first_run_id: run.run_id,
            parent_lineage_id: None,
            reason: "process_start".to_owned(),
            fencing_token: fence.token(),
            config_hash: run.config_hash.clone(),
            started_at,
        };
        penstock_store_ingest::runs::open_run(&ingest, &run, &lineage).await?;
        Ok(Run { run, lineage, fence, publisher, ingest })
    }
}

/// An open run with the connections of its publisher.
#[derive(Debug)]
pub(super) struct Run {
    /// Run row.
    pub(super) run: RunRow,
    /// Lineage row.
    pub(super) lineage: LineageRow,
    /// Fence of ingest.
    pub(super) fence: Fence,
    /// Decision cluster as `publisher_rw`.
    pub(super) publisher: PgPool,
    /// Ingest cluster as `ingest_rw`.
    pub(super) ingest: PgPool,
}

fn run_row(domain: &str, token: FencingToken, started_at: UtcMicros) -> anyhow::Result<RunRow> {
    let bindings = serde_json::Value::Array(Vec::new());
    Ok(RunRow {
        run_id: RunId(1),
        domain: domain.to_owned(),
        mode: "ingest".to_owned(),
        lineage_id: LineageId(Uuid::now_v7()),
        predecessor_run_id: None,
        fencing_token: token,
        host: NAME.to_owned(),
        pid: i32::try_from(std::process::id()).unwrap_or(0),
        git_commit: build::GIT_COMMIT.to_owned(),
        git_dirty: build::GIT_DIRTY,
        build_profile: build::PROFILE.to_owned(),
        config_hash: hash(&serde_json::Value::Null)?,
        bindings_hash: hash(&bindings)?,
        bindings: bindings.into(),
        schema_version: MigrationSet::Both.highest(),
        started_at,
    })
}
