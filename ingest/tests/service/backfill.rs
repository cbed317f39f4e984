//! Trades that the stream swallows come back by REST, outside of state and windows.

use crate::judge::Judge;
use crate::support::{World, count, reaches, world};
use penstock_ingest::verify::verify_generations;
use penstock_sim::admin::FaultRequest;
use penstock_sim::server::MarketSource;
use penstock_types::RunId;

fn fault(world: &World, text: &str) {
    let fault: FaultRequest = serde_json::from_str(text).unwrap();
    world.venue.venue.faults.add(&fault, world.venue.venue.now_us());
}

const SWALLOW: &str =
    r#"{"kind":"frames","channel":"trade","symbol":"BTC/USD","action":"drop","count":3}"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn swallowed_trades_come_back_and_the_gap_says_how_many() {
    let world = world(MarketSource::Pulses, 6).await;
    let judge = Judge::of(&world.venue);
    let service = world.service();
    let traded = "select count(*) from trade_samples where symbol = 'BTC/USD'";
    reaches(&world.ingest, traded, 5).await;
    fault(&world, SWALLOW);
    let whole = "select count(*) from ingest_stream_events where kind = 'recovered'
        and stream = 'trade' and symbol = 'BTC/USD' and (detail ->> 'missing')::bigint = 0
        and (detail ->> 'backfilled')::bigint > 0";
    reaches(&world.ingest, whole, 1).await;
    let fetched = "select count(*) from trade_samples where conn_id = 0";
    reaches(&world.ingest, fetched, 1).await;
    let later = count(&world.ingest, traded).await + 5;
    reaches(&world.ingest, traded, later).await;
    service.stopped().await.unwrap();
    reaches(&world.ingest, "select count(*) from raw_load_cursor where complete", 1).await;

    let found = judge.compare(&world.ingest).await;
    println!("{} prints compared, {} fetched", found.compared, count(&world.ingest, fetched).await);
    assert!(found.missing.is_empty() && found.foreign.is_empty(), "{found:?}");
    let told = "select coalesce(sum((detail ->> 'backfilled')::bigint), 0)::bigint
        from ingest_stream_events where kind = 'recovered' and stream = 'trade'";
    assert_eq!(count(&world.ingest, told).await, count(&world.ingest, fetched).await);
    let gaps = "select count(*) from ingest_stream_events where kind = 'gap' and stream = 'trade'";
    assert!(count(&world.ingest, gaps).await >= 1, "the gap row stays");
    let report = verify_generations(&world.ingest, RunId(1)).await.unwrap();
    assert!(report.is_equal() && report.equal > 1, "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_venue_that_does_not_answer_leaves_the_trades_missing_and_the_recording_whole() {
    let world = world(MarketSource::Pulses, 6).await;
    let service = world.service();
    let traded = "select count(*) from trade_samples where symbol = 'BTC/USD'";
    reaches(&world.ingest, traded, 5).await;
    fault(
        &world,
        r#"{"kind":"error","method":"Trades","text":"EGeneral:Internal error","count":100}"#,
    );
    fault(&world, SWALLOW);
    let missing = "select count(*) from ingest_stream_events where kind = 'recovered'
        and stream = 'trade' and symbol = 'BTC/USD' and (detail ->> 'missing')::bigint > 0
        and (detail ->> 'backfilled')::bigint = 0";
    reaches(&world.ingest, missing, 1).await;
    service.stopped().await.unwrap();
    let holes = "select count(*) from raw_seq_holes where not explained";
    assert_eq!(count(&world.ingest, holes).await, 0);
}
