//! The start up to the first socket: clusters, fence, run.
//!
//! Order: clusters → fence → newest frame → run row and partitions. No run begins without the fence. An
//! ingest cluster that is away at the start delays nothing: the run begins in the spool, and its rows
//! there follow when the cluster answers.

use super::clusters::{Clusters, IngestOpener, open_decision};
use super::first_tick::{ClockBehind, first_tick};
use crate::exit::Exit;
use crate::settings::Settings;
use penstock_store::StoreError;
use penstock_store::fence::{Fence, FenceError, FenceEvent, FenceRequest, FencedService};
use penstock_store::migrate::MigrationSet;
use penstock_store::twins::{LineageRow, RunRow};
use penstock_store_decision::frames::{NewestFrame, newest_frame_settled};
use penstock_store_decision::publication::{
    PublishedGeneration, next_run_id, published_generation,
};
use penstock_store_ingest::TwinError;
use penstock_telemetry::{build, marker};
use penstock_types::{LineageId, RunId, UtcMicros, Uuid};
use sqlx::PgPool;
use std::sync::Arc;

/// What the start leaves behind.
#[derive(Debug)]
pub(crate) struct Started {
    pub clusters: Clusters,
    pub opener: IngestOpener,
    pub fence: Fence,
    pub run: RunRow,
    pub lineage: LineageRow,
    pub newest_frame: Option<NewestFrame>,
    /// What the pointer named when the fence was taken.
    pub published: Option<PublishedGeneration>,
    pub instance_id: Uuid,
}

/// Takes the fence and opens a run.
pub(crate) async fn start(settings: &Settings, now: UtcMicros) -> Result<Started, Exit> {
    std::fs::create_dir_all(&settings.state_dir).map_err(|e| {
        let dir = settings.state_dir.display();
        Exit::Refused(format!("STATE_DIRECTORY {dir}: {e}; next: name a directory of this host"))
    })?;
    let (clusters, opener) = open_decision(settings, true).await?;
    let ingest = opener.attempt().await?;
    let instance_id = Uuid::new_v4();
    let fence = take_fence(settings, &clusters.decision, instance_id).await?;
    let token = fence.token();
    let newest_frame = newest_frame_settled(&clusters.decision, &settings.domain, token)
        .await
        .map_err(fence_exit)?;
    // Frames that an earlier process left are looked at when they are known; before that nothing is begun.
    let published = newest_frame.map(|newest| newest.tick_id);
    first_tick(now.tick(), published, None).map_err(clock_behind)?;
    let unavailable = |what| move |e: StoreError| Exit::Unavailable { what, error: e.to_string() };
    let last_published = published_generation(&clusters.decision, &settings.domain)
        .await
        .map_err(unavailable("the decision cluster"))?;
    let run_id =
        next_run_id(&clusters.decision).await.map_err(unavailable("the decision cluster"))?;
    let lineage_id = LineageId(Uuid::now_v7());
    let run = run_row(settings, run_id, lineage_id, &fence, now);
    let lineage = lineage_row(settings, run_id, lineage_id, token, now, "process_start", None);
    if let Some(pool) = ingest
        && open_run(&pool, &run, &lineage).await?
    {
        opener.announce(pool);
    } else {
        tracing::warn!("the ingest cluster is away: the run begins in the spool");
    }
    Ok(Started {
        clusters,
        opener,
        fence,
        run,
        lineage,
        newest_frame,
        published: last_published,
        instance_id,
    })
}

/// Makes the rows and partitions of a run on the ingest cluster; false when that does not answer.
///
/// # Errors
/// [`Exit::Invariant`] when another run stands under the number.
pub(crate) async fn open_run(
    pool: &PgPool,
    run: &RunRow,
    lineage: &LineageRow,
) -> Result<bool, Exit> {
    match penstock_store_ingest::runs::open_run(pool, run, lineage).await {
        Ok(()) => {
            for table in penstock_store::partitions::RAW_TABLES {
                marker!(PARTITION_CREATED, table = table, run_id = run.run_id);
            }
            Ok(true)
        }
        Err(TwinError::Store(error)) if error.is_transient() => {
            tracing::warn!("open run {} on the ingest cluster: {error}", run.run_id);
            Ok(false)
        }
        Err(TwinError::Store(error)) => {
            Err(Exit::Unavailable { what: "the ingest cluster", error: error.to_string() })
        }
        Err(error @ TwinError::Mismatch(_)) => Err(Exit::Invariant(error.to_string())),
    }
}

/// The exit of a host whose clock is too far behind.
pub(crate) fn clock_behind(ClockBehind { own, newest }: ClockBehind) -> Exit {
    marker!(TICK_CLOCK_BEHIND, own_tick = own, newest_tick = newest);
    Exit::Fenced(format!(
        "TICK_CLOCK_BEHIND: this host's clock is at tick {own}, the newest frame is tick {newest}; next: set the clock, or wait"
    ))
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
        bindings: Arc::clone(&settings.bindings),
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
    let Some(ingest) = clusters.ingest() else { return };
    match ingest.acquire().await {
        Ok(mut conn) => {
            let written = penstock_store_ingest::upsert_instruments(&mut conn, token, rows).await;
            if let Err(error) = written {
                tracing::warn!("instruments on the ingest cluster: {error}");
            }
        }
        Err(error) => tracing::warn!("instruments on the ingest cluster: {error}"),
    }
}
