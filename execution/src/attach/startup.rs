//! The start: pool, identity, migrations, restart loop, fence, session row, partitions.
//!
//! Purpose: everything that must hold before the venue is asked anything. Inputs: settings. Outputs: the
//! pool, the fence and the shared context. Invariants: the order below is the order of the markers.

use std::sync::Arc;
use std::time::Duration;

use penstock_store::ClusterRole;
use penstock_store::StoreError;
use penstock_store::fence::{AcquiredVia, Fence, FenceEvent, FenceRequest, FencedService};
use penstock_store::identity::{self, IdentityError};
use penstock_store::migrate::{self, SetReport};
use penstock_store::partitions::{DailyTable, create_daily_partition};
use penstock_store::pools::{self, PoolSettings};
use penstock_store_decision::{publication, sessions};
use penstock_telemetry::{Level as LogLevel, build, marker};
use penstock_trading::mode::{CauseCode, Level};
use penstock_types::{SessionId, UtcMicros, Uuid};
use secrecy::ExposeSecret;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::alerts::alerts_of;
use crate::audit::{AuditWriter, begin};
use crate::context::Context;
use crate::engine::EngineBoard;
use crate::exit::StartError;
use crate::lease::Lease;
use crate::mode::{Changes, ModeHandle, Source};
use crate::quotes::QuoteBoard;
use crate::settings::Settings;

/// How long the start waits for the decision cluster.
const CLUSTER_WAIT: Duration = Duration::from_secs(60);

/// A session that holds the fence.
#[derive(Debug)]
pub struct Session {
    /// Shared by all tasks.
    pub context: Context,
    /// The fence; renewed by its task.
    pub fence: Fence,
    /// Changes of the mode that wait for the database.
    pub changes: Changes,
    /// The writer of the audit trail; its end is the session's.
    pub audit: AuditWriter,
}

/// Opens the decision pool and judges who the cluster is.
///
/// # Errors
/// [`StartError`].
pub async fn decision_pool(settings: &Settings) -> Result<PgPool, StartError> {
    let clusters = &settings.config.areas.clusters;
    let Some(url) = clusters.decision_database_url.as_ref() else {
        return Err(StartError::Refused(
            "DECISION_DATABASE_URL is not set; next: set it, or use `penstock up`".to_owned(),
        ));
    };
    let options = PoolSettings::service("run-execution-live", settings.config.db_pool_max());
    let pool =
        pools::open(url.expose_secret(), ClusterRole::Decision, &options, CLUSTER_WAIT).await?;
    let who = identity::read(&pool, ClusterRole::Decision).await?;
    let database = pools::connect_options(url.expose_secret(), ClusterRole::Decision)?
        .get_database()
        .unwrap_or_default()
        .to_owned();
    if let Err(error) = identity::judge_one(&who, &database) {
        if matches!(error, IdentityError::UrlMismatch { .. }) {
            marker!(DB_ROLE_URL_MISMATCH, expected = database, found = who.database);
        }
        return Err(error.into());
    }
    marker!(
        DB_ROLE_VALIDATED,
        role = "decision",
        current_database = who.database,
        inet_server_addr = who.server_addr,
        inet_server_port = who.server_port,
        system_identifier = who.system_identifier.to_string()
    );
    marker!(
        EXECUTION_RUNTIME_DB_BOUND,
        database = who.database,
        system_identifier = who.system_identifier.to_string()
    );
    marker!(DB_PHYSICAL_SEPARATION, active = !clusters.allow_single_cluster);
    Ok(pool)
}

/// Connections of the engine: frames that are read, rows that are written, the janitor.
const ENGINE_CONNECTIONS: u32 = 3;

/// Opens the engine's own connections to the decision cluster, which [`decision_pool`] has judged: on a busy machine
/// its rows took the desk's connections, and a desk without one gives up.
///
/// # Errors
/// [`StartError`].
pub async fn engine_pool(settings: &Settings) -> Result<PgPool, StartError> {
    let url = settings.config.areas.clusters.decision_database_url.as_ref();
    let url = url.map_or("", |url| url.expose_secret());
    let options = PoolSettings::service("run-execution-live engine", ENGINE_CONNECTIONS);
    Ok(pools::open(url, ClusterRole::Decision, &options, CLUSTER_WAIT).await?)
}

async fn migrate(settings: &Settings) -> Result<i64, StartError> {
    let clusters = &settings.config.areas.clusters;
    let url = clusters.decision_database_url.as_ref().map_or("", |u| u.expose_secret());
    let options = PoolSettings::service("run-execution-live migrate", 1);
    let mut conn = pools::connect_single(url, ClusterRole::Decision, &options).await?;
    marker!(DB_MIGRATIONS_STARTED, cluster = "decision");
    let reports = match migrate::migrate(&mut conn, ClusterRole::Decision).await {
        Ok(reports) => reports,
        Err(error) => {
            marker!(DB_MIGRATIONS_FAILED, cluster = "decision", error = error.to_string());
            return Err(error.into());
        }
    };
    for report in &reports {
        let SetReport { set, applied, version, newer } = report;
        let (set, count) = (set.to_string(), applied.len());
        if *newer {
            marker!(DB_SCHEMA_NEWER, cluster = "decision", schema = version, binary = set);
        } else if count > 0 {
            let from = applied.first().map_or(0, |v| v - 1);
            marker!(
                DB_MIGRATIONS_APPLIED,
                cluster = "decision",
                set = set,
                from = from,
                to = version,
                count = count
            );
        } else {
            marker!(
                DB_MIGRATIONS_UP_TO_DATE,
                cluster = "decision",
                set = set,
                from = version,
                to = version,
                count = 0
            );
        }
    }
    Ok(i64::from(reports.iter().map(|report| report.version).max().unwrap_or_default()))
}

/// Takes the fence and writes the session.
///
/// # Errors
/// [`StartError`].
pub async fn start(settings: Settings, pool: PgPool) -> Result<Session, StartError> {
    let schema_version = migrate(&settings).await?;
    let holder_id = Uuid::now_v7();
    let host = hostname();
    let state_dir = settings.config.areas.clusters.state_directory.clone();
    make_state_dir(&state_dir)?;
    let fences = &settings.config.areas.fences;
    let request = FenceRequest {
        service: FencedService::Execution,
        domain: settings.domain().to_owned(),
        holder_id,
        host: host.clone(),
        pid: std::process::id(),
        ttl_ms: i64::try_from(fences.fence_ttl_ms).unwrap_or(i64::MAX),
        state_dir,
        timeout: Duration::from_secs(fences.fence_acquire_timeout_secs),
    };
    let mut busy_said = false;
    let mut fence =
        Fence::acquire(&pool, request, |event| said(&event, holder_id, &mut busy_said)).await?;
    let lease = lease_of(&settings);
    let asked = lease.ask();
    fence.renew(&pool).await?;
    lease.renewed(asked);
    let session_id = SessionId(Uuid::now_v7());
    let started_at = UtcMicros::from(chrono::Utc::now());
    let pid = i32::try_from(std::process::id()).unwrap_or(0);
    sessions::start(
        &pool,
        &sessions::SessionStart {
            session_id,
            domain: settings.domain(),
            mode: settings.run_mode.as_str(),
            fencing_token: fence.token(),
            host: &host,
            pid,
            git_commit: build::GIT_COMMIT,
            git_dirty: build::GIT_DIRTY,
            config_hash: &settings.config_hash,
            started_at,
        },
    )
    .await?;
    sessions::keep_config(&pool, &settings.config_hash, &settings.stored_config).await?;
    ensure_partitions(&pool).await?;
    let (mode, changes) = first_mode(&settings);
    let alerts = alerts_of(&settings.config, &mode);
    let audit = begin(&settings, session_id, &mode, schema_version)?;
    let context = Context {
        audit: audit.handle(),
        pool,
        alerts,
        session_id,
        token: fence.token(),
        holder_id,
        host: Arc::from(host.as_str()),
        pid,
        started_at,
        mode,
        lease: Arc::new(lease),
        figures: Arc::default(),
        quotes: QuoteBoard::new(),
        engine: EngineBoard::of(settings.engine.as_ref()),
        stop: CancellationToken::new(),
        end: CancellationToken::new(),
        settings: Arc::new(settings),
    };
    engine_start(&context);
    Ok(Session { context, fence, changes, audit })
}

/// A lease that counts from the first renewal: how long the taking took is not known, when that one was asked for is.
fn lease_of(settings: &Settings) -> Lease {
    let areas = &settings.config.areas;
    let ms = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    Lease::new(ms(areas.fences.fence_ttl_ms), settings.desk().preauth_ms_max)
}

fn make_state_dir(dir: &std::path::Path) -> Result<(), StartError> {
    std::fs::create_dir_all(dir).map_err(|e| {
        let dir = dir.display();
        StartError::Refused(format!(
            "STATE_DIRECTORY {dir} cannot be made: {e}; next: make it writable"
        ))
    })
}

/// The mode of a start.
fn first_mode(settings: &Settings) -> (ModeHandle, Changes) {
    let (mode, changes) = ModeHandle::new(settings.mode, settings.thresholds);
    // Until the first evaluation has bound an epoch, nothing says that the data may be traded on.
    mode.set_from(Source::Cycle, CauseCode::EpochNotValid, Level::Degrade, true, None);
    (mode, changes)
}

fn engine_start(context: &Context) {
    let settings = &context.settings;
    let simulated = penstock_config::is_loopback(&settings.config.areas.venues.kraken_rest_url);
    marker!(
        EXECUTION_ENGINE_START,
        session_id = context.session_id,
        mode = settings.run_mode.as_str(),
        environment = if simulated { "simulated" } else { "live" },
        validation_phase = settings.config.areas.evaluation.live_validation_runtime_minutes > 0,
        git_branch = build::GIT_BRANCH,
        git_dirty = build::GIT_DIRTY,
        build_profile = build::PROFILE,
        config_hash = settings.config_hash
    );
}

fn said(event: &FenceEvent, holder_id: Uuid, busy_said: &mut bool) {
    match event {
        FenceEvent::Acquired { via, token } => {
            let via: &AcquiredVia = via;
            marker!(
                FENCE_ACQUIRED,
                service_fence = "execution",
                fencing_token = token,
                holder_id = holder_id,
                via = via.as_str()
            );
        }
        FenceEvent::BusyLock | FenceEvent::BusyLease => {
            let reason = if matches!(event, FenceEvent::BusyLock) { "lock" } else { "lease" };
            let level = if *busy_said { LogLevel::Debug } else { LogLevel::Warn };
            *busy_said = true;
            marker!(at level, FENCE_BUSY, service_fence = "execution", holder_id = holder_id, reason = reason);
        }
    }
}

/// Today's and tomorrow's partitions of what execution appends to.
///
/// # Errors
/// [`StoreError`].
pub async fn ensure_partitions(pool: &PgPool) -> Result<(), StoreError> {
    let now = publication::decision_clock(pool).await?;
    let today = now.to_chrono().unwrap_or_default().date_naive();
    let mut conn = pool
        .acquire()
        .await
        .map_err(|e| StoreError::sql("open a connection", ClusterRole::Decision, e))?;
    for table in [
        DailyTable::EvaluationCandidates,
        DailyTable::CycleInputs,
        DailyTable::RawPrivateExecutions,
        DailyTable::AuditEvents,
    ] {
        for day in [Some(today), today.succ_opt()].into_iter().flatten() {
            create_daily_partition(&mut conn, table, day).await?;
        }
    }
    Ok(())
}

fn hostname() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "unknown".to_owned(), |name| name.trim().to_owned())
}
