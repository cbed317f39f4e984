//! Ingest's sign of life: what it says of the other service and of the venues' clocks.

use crate::derivatives::bound_world;
use crate::support::{World, world};
use penstock_sim::server::MarketSource;
use penstock_store::ClusterRole;
use penstock_store::testing::SUPERUSER_LOGIN;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const ALERTED: &str = "select count(*) from service_heartbeats h, jsonb_array_elements(h.alerts) a
    where h.service = 'ingest' and a ->> 'reason_code' = 'EXECUTION_HEARTBEAT_MISSING'
        and a ->> 'severity' = 'CRIT'";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trading_service_that_holds_its_fence_and_does_not_beat_is_an_alert_until_it_beats() {
    // given: an ingest, and a fence of execution whose holder never beats
    let mut world = world(MarketSource::Pulses, 6).await;
    world.extra.insert("HEARTBEAT_INTERVAL_MS".to_owned(), "1000".to_owned());
    world.extra.insert("ALERT_ACTIVE_WINDOW_MS".to_owned(), "1000".to_owned());
    let owner = world.bases.pool(ClusterRole::Decision, SUPERUSER_LOGIN).await;
    let holds =
        "insert into service_fences (service, domain, fencing_token, holder_id, holder_host,
             holder_pid, acquired_at, renewed_at, lease_expires_at)
         values ('execution', 'kraken_spot', 1, '00000000-0000-0000-0000-000000000001', 'host', 7,
             now(), now(), now() + interval '1 hour')";
    sqlx::query(holds).execute(&owner).await.unwrap();
    let service = world.service();
    world.decision_reaches(ALERTED, 1).await;

    // when: it beats
    let beats =
        "insert into service_heartbeats (service, instance_id, domain, host, pid, started_at,
             ts, status)
         values ('execution', '00000000-0000-0000-0000-000000000001', 'kraken_spot', 'host', 7,
             now(), now() + interval '1 hour', '{}')";
    sqlx::query(beats).execute(&owner).await.unwrap();

    // then
    let calm = "select (count(*) = 0)::int::bigint from service_heartbeats h,
         jsonb_array_elements(h.alerts) a
         where h.service = 'ingest' and a ->> 'reason_code' = 'EXECUTION_HEARTBEAT_MISSING'";
    world.decision_reaches(calm, 1).await;

    // and when: it was killed
    let silent = "update service_heartbeats set ts = now() - interval '1 minute'
         where service = 'execution'";
    sqlx::query(silent).execute(&owner).await.unwrap();
    world.decision_reaches(ALERTED, 1).await;
    service.stopped().await.unwrap();
}

/// Commits a fault by the venue's admin interface.
async fn admin(world: &World, fault: &str) {
    let host = world.venue.addresses.admin.strip_prefix("http://").unwrap();
    let mut stream = tokio::net::TcpStream::connect(host).await.unwrap();
    let len = fault.len();
    let request = format!(
        "POST /faults HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n\
         content-length: {len}\r\nconnection: close\r\n\r\n{fault}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_venue_whose_clock_is_too_far_from_ours_is_an_alert_with_its_offset() {
    // given: venues whose clocks are two seconds ahead
    let mut world = bound_world().await;
    world.extra.insert("HEARTBEAT_INTERVAL_MS".to_owned(), "1000".to_owned());
    admin(&world, r#"{"kind":"clock_skew","ms":2000}"#).await;

    // when
    let service = world.service();

    // then
    let alerted = "select count(*) from service_heartbeats h, jsonb_array_elements(h.alerts) a
        where h.service = 'ingest' and a ->> 'reason_code' = 'CLOCK_DRIFT_WARN'
            and a ->> 'severity' = 'WARN' and a ->> 'summary' like '%BINANCE_UM%'";
    world.decision_reaches(alerted, 1).await;
    let told = "select count(*) from service_heartbeats where service = 'ingest'
        and (status -> 'clock_offset_ms' ->> 'BINANCE_UM')::bigint between 1000 and 3000";
    world.decision_reaches(told, 1).await;
    let asked = world.venue.venue.stats.json()["rest"]["binance/time"].as_u64().unwrap_or(0);
    assert!(asked >= 1, "{asked}");
    service.stopped().await.unwrap();
}
