//! From sockets to both clusters: generations, frames, epochs, raw rows, and what is left after a stop.

use crate::support::{count, owner_of, reaches, world};
use penstock_ingest::verify::verify_generations;
use penstock_sim::server::MarketSource;
use penstock_types::RunId;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_market_becomes_generations_frames_epochs_and_raw_rows_without_a_hole() {
    let world = world(MarketSource::Pulses, 8).await;
    let service = world.service();
    world.decision_reaches("select count(*) from ingest_epochs where status = 'valid'", 2).await;
    world.decision_reaches("select count(*) from engine_tick_frames", 40).await;
    let rows = "select count(*) from run_symbol_state s join state_publication p
        on p.run_id = s.run_id and p.generation_id = s.generation_id where s.book_ok";
    world.decision_reaches(rows, 8).await;
    service.stopped().await.unwrap();

    let decision = &world.decision;
    let gaps =
        "select count(*) from (select tick_id - lag(tick_id) over (order by tick_id) as step,
        frame_seq - lag(frame_seq) over (order by tick_id) as number from engine_tick_frames) s
        where step <> 1 or number <> 1";
    assert_eq!(count(decision, gaps).await, 0, "ticks and numbers are contiguous");
    let ended = "select count(*) from observation_runs where end_reason = 'shutdown'";
    assert_eq!(count(decision, ended).await, 1);

    let ingest = &world.ingest;
    assert_eq!(reaches(ingest, "select count(*) from raw_load_cursor where complete", 1).await, 1);
    let holes = "select count(*) from raw_seq_holes where not explained";
    assert_eq!(count(ingest, holes).await, 0);
    for table in ["ticker_samples", "trade_samples", "l2_snap_metrics"] {
        let query: &'static str = match table {
            "ticker_samples" => "select count(*) from ticker_samples",
            "trade_samples" => "select count(*) from trade_samples",
            _ => "select count(*) from l2_snap_metrics",
        };
        assert!(count(ingest, query).await > 20, "{table}");
    }
    let equal = "select count(*) from state_generations where raw_complete";
    assert!(count(ingest, equal).await >= 10);
    let run_id: i64 = count(ingest, "select max(run_id) from observation_runs").await;
    let report = verify_generations(ingest, RunId(run_id)).await.unwrap();
    assert_eq!(report.different, [], "{report:?}");
    assert!(report.equal >= 10, "{report:?}");
    let spoil = "update l2_snap_metrics set bid_qty = bid_qty + 0.000000000001
        where seq = (select max(seq) from l2_snap_metrics
            where seq <= (select max(wm_seq) from state_generations))";
    sqlx::query(spoil).execute(&owner_of(&world).await).await.unwrap();
    let report = verify_generations(ingest, RunId(run_id)).await.unwrap();
    assert!(!report.is_equal(), "one changed digit is seen: {report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lineage_ends_when_the_next_begins_and_the_last_one_at_the_stop() {
    let world = world(MarketSource::Pulses, 6).await;
    let service = world.service();
    world.decision_reaches("select count(*) from engine_tick_frames", 4).await;
    let ask = "insert into control_requests (kind, args, requested_by)
        values ('new_lineage', '{}', 'test')";
    sqlx::query(ask).execute(&world.decision).await.unwrap();
    let ended = "select count(*) from ingest_lineage where end_reason = 'operator'";
    world.decision_reaches(ended, 1).await;
    reaches(&world.ingest, ended, 1).await;
    // The new lineage stands on both clusters with its first epoch.
    let of_new = "select count(*) from ingest_epochs e join ingest_lineage l using (lineage_id)
        where l.reason = 'operator'";
    world.decision_reaches(of_new, 1).await;
    reaches(&world.ingest, of_new, 1).await;
    service.stopped().await.unwrap();
    let last = "select count(*) from ingest_lineage where end_reason = 'shutdown'";
    assert_eq!(count(&world.decision, last).await, 1);
    assert_eq!(count(&world.ingest, last).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_epochs_that_are_not_valid_are_an_alert_of_the_heartbeat() {
    // Two symbols are no universe: no epoch is valid.
    let world = world(MarketSource::Pulses, 2).await;
    let service = world.service();
    let alerted = "select count(*) from service_heartbeats h, jsonb_array_elements(h.alerts) a
        where a ->> 'reason_code' = 'EPOCH_NOT_VALID' and a ->> 'severity' = 'WARN'
            and (a ->> 'run_id')::bigint = 1 and (a ->> 'first_ts_ms')::bigint > 0";
    world.decision_reaches(alerted, 1).await;
    service.stopped().await.unwrap();
}
