//! The start up to the first socket: clusters, schema, fence, run.
//!
//! Order: pools → identity → migrations → fence → newest frame → run row and partitions. Nothing is
//! written before the two clusters are known to be the right ones, and no run begins without the fence.

use crate::exit::Exit;
use crate::settings::Settings;
use penstock_store::fence::{Fence, FenceError, FenceEvent, FenceRequest, FencedService};
use penstock_store::identity::{self, ClusterIdentity, Separation};
use penstock_store::migrate::{self, MigrationSet, SchemaError, SetReport};
use penstock_store::pools::{self, PoolSettings};
use penstock_store::twins::{LineageRow, RunRow};
use penstock_store::{ClusterRole, StoreError};
use penstock_store_decision::frames::{NewestFrame, newest_frame_settled};
use penstock_store_decision::publication::next_run_id;
use penstock_telemetry::{build, marker};
use penstock_types::{LineageId, RunId, UtcMicros, Uuid};
use sqlx::PgPool;
use std::time::Duration;

/// Longest wait for a cluster at the start before the process gives the word to its supervisor.
const CLUSTER_WAIT: Duration = Duration::from_secs(600);
/// A clock further behind the newest frame than this is refused.
const CLOCK_BEHIND_TICKS_MAX: i64 = 240;

/// Both clusters, checked.
#[derive(Debug, Clone)]
pub(crate) struct Clusters {
    pub ingest: PgPool,
    pub decision: PgPool,
}

/// What the start leaves behind.
#[derive(Debug)]
pub(crate) struct Started {
    pub clusters: Clusters,
    pub fence: Fence,
    pub run: RunRow,
    pub lineage: LineageRow,
    pub newest_frame: Option<NewestFrame>,
    pub instance_id: Uuid,
}

/// Opens both pools, judges identity and schema. `may_migrate` is false for `--check`.
pub(crate) async fn open_clusters(
    settings: &Settings,
    may_migrate: bool,
) -> Result<Clusters, Exit> {
    let pool_settings = PoolSettings::service("run-ingest", settings.pool_max);
    let open = |url: &str, role| {
        let (url, pool_settings) = (url.to_owned(), pool_settings.clone());
        async move { pools::open(&url, role, &pool_settings, CLUSTER_WAIT).await }
    };
    let decision = open(&settings.decision_url, ClusterRole::Decision)
        .await
        .map_err(|e| store_exit("the decision cluster", &e))?;
    let ingest = open(&settings.ingest_url, ClusterRole::Ingest)
        .await
        .map_err(|e| store_exit("the ingest cluster", &e))?;
    let clusters = Clusters { ingest, decision };
    check_identity(settings, &clusters).await?;
    for (url, role) in [
        (&settings.ingest_url, ClusterRole::Ingest),
        (&settings.decision_url, ClusterRole::Decision),
    ] {
        bring_schema_up(url, role, &pool_settings, may_migrate).await?;
    }
    Ok(clusters)
}

fn store_exit(what: &'static str, error: &StoreError) -> Exit {
    if error.is_transient() {
        return Exit::Unavailable { what, error: error.to_string() };
    }
    Exit::Refused(format!("{what}: {error}"))
}

async fn check_identity(settings: &Settings, clusters: &Clusters) -> Result<(), Exit> {
    let mut seen = Vec::with_capacity(2);
    for (pool, url, role) in [
        (&clusters.ingest, &settings.ingest_url, ClusterRole::Ingest),
        (&clusters.decision, &settings.decision_url, ClusterRole::Decision),
    ] {
        let found = identity::read(pool, role).await.map_err(|e| store_exit("a cluster", &e))?;
        let database = database_of(url);
        if let Err(error) = identity::judge_one(&found, &database) {
            marker!(DB_ROLE_URL_MISMATCH, expected = database, found = found.database);
            return Err(Exit::Refused(error.to_string()));
        }
        tell_identity(&found);
        seen.push(found);
    }
    match identity::judge_pair(&seen[0], &seen[1], settings.allow_single_cluster) {
        Ok(separation) => {
            marker!(DB_PHYSICAL_SEPARATION, active = separation == Separation::Physical);
            Ok(())
        }
        Err(error) => {
            marker!(
                DB_DUAL_ROLE_AMBIGUOUS_IDENTICAL_LIVE_IDENTITY,
                system_identifier = seen[0].system_identifier.to_string(),
            );
            Err(Exit::Refused(error.to_string()))
        }
    }
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

/// Takes the fence and opens a run.
pub(crate) async fn start(settings: &Settings, now: UtcMicros) -> Result<Started, Exit> {
    std::fs::create_dir_all(&settings.state_dir).map_err(|e| {
        let dir = settings.state_dir.display();
        Exit::Refused(format!("STATE_DIRECTORY {dir}: {e}; next: name a directory of this host"))
    })?;
    let clusters = open_clusters(settings, true).await?;
    let instance_id = Uuid::new_v4();
    let fence = take_fence(settings, &clusters.decision, instance_id).await?;
    let token = fence.token();
    let newest_frame = newest_frame_settled(&clusters.decision, &settings.domain, token)
        .await
        .map_err(fence_exit)?;
    check_clock(newest_frame.as_ref(), now)?;
    let unavailable = |what| move |e: StoreError| Exit::Unavailable { what, error: e.to_string() };
    let run_id =
        next_run_id(&clusters.decision).await.map_err(unavailable("the decision cluster"))?;
    let lineage_id = LineageId(Uuid::now_v7());
    let run = run_row(settings, run_id, lineage_id, &fence, now);
    let lineage = lineage_row(settings, run_id, lineage_id, token, now, "process_start", None);
    penstock_store_ingest::runs::open_run(&clusters.ingest, &run, &lineage)
        .await
        .map_err(|e| Exit::Unavailable { what: "the ingest cluster", error: e.to_string() })?;
    for table in penstock_store::partitions::RAW_TABLES {
        marker!(PARTITION_CREATED, table = table, run_id = run_id);
    }
    Ok(Started { clusters, fence, run, lineage, newest_frame, instance_id })
}

fn check_clock(newest: Option<&NewestFrame>, now: UtcMicros) -> Result<(), Exit> {
    let Some(newest) = newest else { return Ok(()) };
    let (own_tick, newest_tick) = (now.tick(), newest.tick_id);
    if newest_tick.0 - own_tick.0 <= CLOCK_BEHIND_TICKS_MAX {
        return Ok(());
    }
    marker!(TICK_CLOCK_BEHIND, own_tick = own_tick, newest_tick = newest_tick);
    Err(Exit::Fenced(format!(
        "TICK_CLOCK_BEHIND: this host's clock is at tick {own_tick}, the newest frame is tick {newest_tick}; next: set the clock, or wait"
    )))
}

async fn take_fence(settings: &Settings, pool: &PgPool, holder_id: Uuid) -> Result<Fence, Exit> {
    let request = FenceRequest {
        service: FencedService::Ingest,
        domain: settings.domain.clone(),
        holder_id,
        host: host_name(),
        pid: std::process::id(),
        ttl_ms: settings.fence_ttl_ms,
        state_dir: settings.state_dir.clone(),
        timeout: settings.fence_timeout,
    };
    let told = move |event: FenceEvent| match event {
        FenceEvent::BusyLock => marker!(FENCE_BUSY, service_fence = "ingest", reason = "lock"),
        FenceEvent::BusyLease => marker!(FENCE_BUSY, service_fence = "ingest", reason = "lease"),
        FenceEvent::Acquired { via, token } => {
            marker!(
                FENCE_ACQUIRED,
                service_fence = "ingest",
                fencing_token = token,
                holder_id = holder_id.to_string(),
                via = via.as_str(),
            );
        }
    };
    Fence::acquire(pool, request, told).await.map_err(fence_exit)
}

/// What a fence error means for the process.
pub(crate) fn fence_exit(error: FenceError) -> Exit {
    match error {
        FenceError::Busy { .. } | FenceError::Lost { .. } => Exit::Fenced(error.to_string()),
        FenceError::Lock(_) => Exit::Refused(error.to_string()),
        FenceError::Store(e) => {
            Exit::Unavailable { what: "the decision cluster", error: e.to_string() }
        }
    }
}

fn run_row(
    settings: &Settings,
    run_id: RunId,
    lineage_id: LineageId,
    fence: &Fence,
    started_at: UtcMicros,
) -> RunRow {
    RunRow {
        run_id,
        domain: settings.domain.clone(),
        mode: "ingest".to_owned(),
        lineage_id,
        predecessor_run_id: None,
        fencing_token: fence.token(),
        host: host_name(),
        pid: i32::try_from(std::process::id()).unwrap_or(i32::MAX),
        git_commit: build::GIT_COMMIT.to_owned(),
        git_dirty: build::GIT_DIRTY,
        build_profile: build::PROFILE.to_owned(),
        config_hash: settings.config_hash.clone(),
        bindings_hash: settings.bindings_hash.clone(),
        bindings: settings.bindings.clone(),
        schema_version: MigrationSet::Both.highest(),
        started_at,
    }
}

/// A lineage as a row.
pub(crate) fn lineage_row(
    settings: &Settings,
    first_run_id: RunId,
    lineage_id: LineageId,
    fencing_token: penstock_types::FencingToken,
    started_at: UtcMicros,
    reason: &str,
    parent_lineage_id: Option<LineageId>,
) -> LineageRow {
    LineageRow {
        lineage_id,
        domain: settings.domain.clone(),
        first_run_id,
        parent_lineage_id,
        reason: reason.to_owned(),
        fencing_token,
        config_hash: settings.universe.config_hash(),
        started_at,
    }
}

/// Name of this host.
pub(crate) fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "localhost".to_owned(), |name| name.trim().to_owned())
}

/// Writes the rules of pairs on both clusters, best effort: an unchanged row is not written, and the
/// next build of the universe repeats it.
pub(crate) async fn write_instruments(
    clusters: &Clusters,
    token: penstock_types::FencingToken,
    rows: &[penstock_store::twins::InstrumentTwin],
) {
    match clusters.decision.acquire().await {
        Ok(mut conn) => {
            let written = penstock_store_decision::upsert_instruments(&mut conn, token, rows).await;
            if let Err(error) = written {
                tracing::warn!("instruments on the decision cluster: {error}");
            }
        }
        Err(error) => tracing::warn!("instruments on the decision cluster: {error}"),
    }
    match clusters.ingest.acquire().await {
        Ok(mut conn) => {
            let written = penstock_store_ingest::upsert_instruments(&mut conn, token, rows).await;
            if let Err(error) = written {
                tracing::warn!("instruments on the ingest cluster: {error}");
            }
        }
        Err(error) => tracing::warn!("instruments on the ingest cluster: {error}"),
    }
}
