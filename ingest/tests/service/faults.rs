//! A bad checksum on the way, and a second instance beside a running one.

use crate::support::{count, reaches, world};
use penstock_sim::admin::FaultRequest;
use penstock_sim::server::MarketSource;
use penstock_types::frame::decode_quotes;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_checksum_withdraws_the_quote_and_a_new_image_brings_it_back() {
    let mut world = world(MarketSource::Pulses, 6).await;
    // One is too many already.
    let one = "RISK_QUARANTINE_MAX_RESYNCS_PER_10MIN".to_owned();
    world.extra.insert(one, "1".to_owned());
    let service = world.service();
    let live = "select count(*) from run_symbol_state where book_ok";
    world.decision_reaches(live, 6).await;

    let fault: FaultRequest =
        serde_json::from_str(r#"{"kind":"bad_checksum","symbol":"BTC/USD"}"#).unwrap();
    world.venue.venue.faults.add(&fault, world.venue.venue.now_us());
    let failed = "select count(*) from ingest_stream_events where kind = 'checksum_fail'";
    reaches(&world.ingest, failed, 1).await;
    // The symbol rests, and only it: a quarantine is no withdrawal of its book.
    let rests = "select count(*) from symbol_safety_state where symbol = 'BTC/USD' and
        cause = 'l2_checksum' and mode = 'quiet' and (detail ->> 'quarantine')::boolean
        and expires_at > clock_timestamp() + interval '50 minutes'";
    world.decision_reaches(rests, 1).await;
    let all = "select count(*) from symbol_safety_state";
    assert_eq!(count(&world.decision, all).await, 1);
    world.decision_reaches(live, 6).await;
    let samples = "select count(*) from l2_snap_metrics s where s.symbol = 'BTC/USD' and s.seq >
        (select max(seq) from ingest_stream_events where kind = 'checksum_fail')";
    reaches(&world.ingest, samples, 2).await;

    assert_eq!(count(&world.ingest, failed).await, 1, "one mismatch, one row");
    let blocks: Vec<Vec<u8>> = sqlx::query_scalar(
        "select f.quotes from engine_tick_frames f where f.tick_id > 0 order by f.tick_id",
    )
    .fetch_all(&world.decision)
    .await
    .unwrap();
    let number: i32 =
        sqlx::query_scalar("select symbol_no from run_symbols where symbol = 'BTC/USD'")
            .fetch_one(&world.decision)
            .await
            .unwrap();
    let entries = blocks.iter().flat_map(|b| decode_quotes(b).unwrap().entries);
    let ours: Vec<bool> = entries
        .filter(|e| i32::from(e.symbol_no) == number)
        .map(|e| e.is_withdrawn())
        .skip_while(|withdrawn| *withdrawn)
        .collect();
    let withdrawn = ours.iter().position(|w| *w).expect("the quote was withdrawn");
    assert!(ours[withdrawn..].iter().any(|w| !w), "and came back");
    service.stopped().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_instance_beside_a_running_one_ends_with_75_and_touches_nothing() {
    let mut world = world(MarketSource::Pulses, 6).await;
    let service = world.service();
    world.decision_reaches("select count(*) from engine_tick_frames", 4).await;
    world.extra.insert("FENCE_ACQUIRE_TIMEOUT_SECS".to_owned(), "1".to_owned());
    let second = world.service();
    let ended = tokio::time::timeout(crate::support::PATIENCE, second.task).await.unwrap().unwrap();
    assert_eq!(ended.unwrap_err().code(), 75);
    assert_eq!(count(&world.decision, "select count(*) from observation_runs").await, 1);
    let tokens = "select max(fencing_token) from service_fences where service = 'ingest'";
    assert_eq!(count(&world.decision, tokens).await, 1);
    service.stopped().await.unwrap();
}
