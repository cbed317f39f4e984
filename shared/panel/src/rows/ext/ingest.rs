//! What is bound of ingest, and the signs of life of both services.
//!
//! Input: the newest publication, `ingest_epochs`, `service_heartbeats`. Output: the fields. Invariants: only rows of
//! the session's domain; ages are never below 0.

use penstock_contracts::dashboard::{Heartbeat, IngestInfo, List, StreamAge};
use penstock_types::vocab::EpochStatus;
use serde::Deserialize;
use serde_json::Value;
use sqlx::PgConnection;

use super::super::error::ReadError;
use super::super::form::age_ms;
use super::super::sight::Sight;

pub(super) async fn bound(
    conn: &mut PgConnection,
    sight: &Sight<'_>,
    domain: &str,
) -> Result<IngestInfo, ReadError> {
    const WHAT: &str = "the newest judged epoch";
    let epoch = sqlx::query!(
        r#"select e.epoch_id as "id!", e.status as "status!", e.completed_at as "completed_at!",
               e.snapshot_id
           from ingest_epochs e join ingest_lineage l on l.lineage_id = e.lineage_id
           where l.domain = $1 and e.completed_at is not null
           order by e.epoch_id desc limit 1"#,
        domain
    )
    .fetch_optional(conn)
    .await
    .map_err(ReadError::sql(WHAT))?;
    let now_ms = sight.live.now_ms;
    let publication = sight.publication.as_ref();
    let last = sight.evaluation.as_ref();
    let status = epoch.as_ref().map(|e| EpochStatus::parse(&e.status).map(EpochStatus::as_str));
    let snapshot = last.and_then(|e| e.snapshot_id);
    Ok(IngestInfo {
        run_id: publication.map_or(0, |p| p.run_id),
        epoch_id: epoch.as_ref().map_or(0, |e| e.id),
        epoch_status: status.transpose().map_err(ReadError::row(WHAT))?.unwrap_or_default().into(),
        epoch_age_ms: epoch.as_ref().map_or(0, |e| age_ms(e.completed_at, now_ms)),
        snapshot_id: snapshot.or_else(|| epoch.as_ref()?.snapshot_id).unwrap_or(0),
        generation_id: last.and_then(|e| e.generation_id).unwrap_or(0),
        visible_generation_id: publication.map_or(0, |p| p.generation_id),
        generation_age_ms: publication
            .map_or(0, |p| age_ms(p.published_at, now_ms).saturating_add(p.as_of_lag_ms.into())),
        lineage_id: publication.map(|p| p.lineage_id.to_string()).unwrap_or_default(),
    })
}

/// Signs of life.
pub(super) struct Beats {
    pub services: List<Heartbeat, 8>,
    pub streams: List<StreamAge, 64>,
}

pub(super) async fn heartbeats(
    conn: &mut PgConnection,
    sight: &Sight<'_>,
    domain: &str,
) -> Result<Beats, ReadError> {
    const WHAT: &str = "heartbeats";
    let rows = sqlx::query!(
        r#"select distinct on (service) service as "service!", ts as "ts!",
               status -> 'streams' as streams
           from service_heartbeats where domain = $1
           order by service, ts desc limit 8"#,
        domain
    )
    .fetch_all(conn)
    .await
    .map_err(ReadError::sql(WHAT))?;
    let mut streams = Vec::new();
    for row in rows.iter().filter(|row| row.service == "ingest") {
        streams = stream_ages(row.streams.as_ref()).map_err(ReadError::row(WHAT))?;
    }
    let now_ms = sight.live.now_ms;
    let services = rows
        .into_iter()
        .map(|r| Heartbeat { service: r.service, age_ms: age_ms(r.ts, now_ms) })
        .collect();
    Ok(Beats { services, streams: streams.into_iter().collect() })
}

/// Ages of streams as a heartbeat states them; one that states none has none.
fn stream_ages(streams: Option<&Value>) -> Result<Vec<StreamAge>, serde_json::Error> {
    streams.map_or_else(|| Ok(Vec::new()), Vec::deserialize)
}
