//! Heartbeats of both services: each writes its own row, by the decision cluster's clock.

use penstock_store::StoreError;
use penstock_store::again;
use penstock_store::fence::FencedService;
use penstock_store::twins::db_time;
use penstock_types::{UtcMicros, Uuid};
use sqlx::PgPool;

use crate::CLUSTER;

/// Most alerts of a heartbeat; the table refuses more.
pub const ALERTS_MAX: usize = 64;

/// A heartbeat.
#[derive(Debug, Clone)]
pub struct Heartbeat<'a> {
    /// Service.
    pub service: FencedService,
    /// Holder id of its fence.
    pub instance_id: Uuid,
    /// Domain.
    pub domain: &'a str,
    /// Host.
    pub host: &'a str,
    /// Process.
    pub pid: i32,
    /// Start of the process.
    pub started_at: UtcMicros,
    /// Figures of the service, an object.
    pub status: &'a serde_json::Value,
    /// Its alerts, an array of at most [`ALERTS_MAX`].
    pub alerts: &'a serde_json::Value,
}

/// Writes the row.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn beat(pool: &PgPool, row: &Heartbeat<'_>) -> Result<(), StoreError> {
    // The same values again are the same row.
    let write = || {
        sqlx::query!(
        "insert into service_heartbeats (service, instance_id, domain, host, pid, started_at, ts,
             status, alerts)
         values ($1, $2, $3, $4, $5, $6, clock_timestamp(), $7, $8)
         on conflict (service, instance_id) do update set
             ts = excluded.ts, status = excluded.status, alerts = excluded.alerts",
        row.service.as_str(),
        row.instance_id,
        row.domain,
        row.host,
        row.pid,
        db_time(row.started_at),
        row.status,
        row.alerts,
    )
        .execute(pool)
    };
    again::once_more(pool, write)
        .await
        .map(|_| ())
        .map_err(|e| StoreError::sql("write the heartbeat", CLUSTER, e))
}

/// Removes the own row at a clean stop.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn remove(
    pool: &PgPool,
    service: FencedService,
    instance_id: Uuid,
) -> Result<(), StoreError> {
    sqlx::query!(
        "delete from service_heartbeats where service = $1 and instance_id = $2",
        service.as_str(),
        instance_id,
    )
    .execute(pool)
    .await
    .map(|_| ())
    .map_err(|e| StoreError::sql("remove the heartbeat", CLUSTER, e))
}

/// Removes rows of earlier instances that are older than a day.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn remove_stale(
    pool: &PgPool,
    service: FencedService,
    domain: &str,
) -> Result<u64, StoreError> {
    sqlx::query!(
        "delete from service_heartbeats
         where service = $1 and domain = $2 and ts < clock_timestamp() - interval '24 hours'",
        service.as_str(),
        domain,
    )
    .execute(pool)
    .await
    .map(|done| done.rows_affected())
    .map_err(|e| StoreError::sql("remove stale heartbeats", CLUSTER, e))
}

/// A heartbeat as a reader sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct SeenHeartbeat {
    /// Instance.
    pub instance_id: Uuid,
    /// Age by the decision cluster's clock.
    pub age_ms: i64,
    /// Figures.
    pub status: serde_json::Value,
    /// Alerts.
    pub alerts: serde_json::Value,
}

/// The newest heartbeat of a service.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn newest(
    pool: &PgPool,
    service: FencedService,
    domain: &str,
) -> Result<Option<SeenHeartbeat>, StoreError> {
    let row = sqlx::query!(
        r#"select instance_id, status, alerts,
               (extract(epoch from clock_timestamp() - ts) * 1000)::bigint as "age_ms!"
           from service_heartbeats where service = $1 and domain = $2 order by ts desc limit 1"#,
        service.as_str(),
        domain,
    )
    .fetch_optional(pool)
    .await
    .map_err(|e| StoreError::sql("read the heartbeat", CLUSTER, e))?;
    Ok(row.map(|r| SeenHeartbeat {
        instance_id: r.instance_id,
        age_ms: r.age_ms,
        status: r.status,
        alerts: r.alerts,
    }))
}

/// The holder of a service's fence and its heartbeat, by the decision cluster's clock, in one look.
#[derive(Debug, Clone, PartialEq)]
pub struct HolderBeat {
    /// Host of the holder.
    pub host: String,
    /// Process of the holder.
    pub pid: i32,
    /// Its lease has not ended.
    pub is_leased: bool,
    /// Age of its heartbeat and its alerts; none when it has no heartbeat.
    pub beat: Option<(i64, serde_json::Value)>,
}

/// Reads the holder of a fence with its heartbeat; none when the fence was never taken.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn of_holder(
    pool: &PgPool,
    service: FencedService,
    domain: &str,
) -> Result<Option<HolderBeat>, StoreError> {
    let row = sqlx::query!(
        r#"select f.holder_host, f.holder_pid,
               (f.lease_expires_at >= clock_timestamp()) as "is_leased!",
               (extract(epoch from clock_timestamp() - h.ts) * 1000)::bigint as age_ms,
               h.alerts as "alerts?"
           from service_fences f
           left join service_heartbeats h
               on h.service = f.service and h.instance_id = f.holder_id
           where f.service = $1 and f.domain = $2"#,
        service.as_str(),
        domain,
    )
    .fetch_optional(pool)
    .await
    .map_err(|e| StoreError::sql("read the holder's heartbeat", CLUSTER, e))?;
    Ok(row.map(|r| HolderBeat {
        host: r.holder_host,
        pid: r.holder_pid,
        is_leased: r.is_leased,
        beat: r.age_ms.zip(r.alerts),
    }))
}
