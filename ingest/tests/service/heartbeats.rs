//! The other service's sign of life, as ingest judges it.

use crate::support::world;
use penstock_sim::server::MarketSource;
use penstock_store::ClusterRole;
use penstock_store::testing::SUPERUSER_LOGIN;

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
