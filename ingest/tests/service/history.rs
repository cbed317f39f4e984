//! Trades of Kraken Futures that the stream swallows come back by REST, outside of state and frames, and only
//! when REST numbers them as the stream does. The judge is the venue's send log.

use crate::derivatives::{bound_world, ids};
use crate::support::{World, count, reaches};
use penstock_ingest::verify::verify_generations;
use penstock_sim::admin::FaultRequest;
use penstock_types::RunId;
use penstock_types::frame::decode_frame;
use sqlx::Row;
use std::collections::BTreeSet;

const SWALLOW: &str =
    r#"{"kind":"frames","channel":"futures/trade","symbol":"PF_XBTUSD","action":"drop","count":4}"#;

fn fault(world: &World, text: &str) {
    let fault: FaultRequest = serde_json::from_str(text).unwrap();
    world.venue.venue.faults.add(&fault, world.venue.venue.now_us());
}

/// Trades of Futures in frames: what the engine saw.
async fn framed(world: &World) -> i64 {
    let frames = sqlx::query("select frame from engine_tick_frames where n_events > 0")
        .fetch_all(&world.decision)
        .await
        .unwrap();
    let events =
        frames.iter().flat_map(|row| decode_frame(&row.get::<Vec<u8>, _>("frame")).unwrap().1);
    i64::try_from(events.filter(|event| (event.venue, event.source) == (1, 0)).count()).unwrap()
}

const TRADED: &str = "select count(*) from trade_samples where venue = 1 and symbol = 'PF_XBTUSD'";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn swallowed_trades_of_futures_come_back_once_and_reach_neither_state_nor_frames() {
    let world = bound_world().await;
    let service = world.service();
    reaches(&world.ingest, TRADED, 5).await;
    for gap in 1..=2 {
        fault(&world, SWALLOW);
        let filled = "select count(*) from ingest_stream_events where kind = 'recovered'
            and stream = 'trade' and venue = 1 and symbol = 'PF_XBTUSD'
            and (detail ->> 'missing')::bigint = 0 and (detail ->> 'backfilled')::bigint > 0";
        reaches(&world.ingest, filled, gap).await;
    }
    let more = count(&world.ingest, TRADED).await + 5;
    reaches(&world.ingest, TRADED, more).await;
    service.stopped().await.unwrap();
    reaches(&world.ingest, "select count(*) from raw_load_cursor where complete", 1).await;

    let (sent, recorded) = ids(&world, "futures/trade", "PF_XBTUSD").await;
    let set: BTreeSet<i64> = recorded.iter().copied().collect();
    assert_eq!(set.len(), recorded.len(), "each once");
    let (first, last) = (*set.first().unwrap(), *set.last().unwrap());
    let width = usize::try_from(last - first + 1).unwrap();
    assert_eq!(set.len(), width, "none is missing");
    let swallowed: Vec<&i64> = set.iter().filter(|id| !sent.contains(id)).collect();
    let fetched = "select count(*) from trade_samples where venue = 1 and conn_id = 0";
    let fetched = count(&world.ingest, fetched).await;
    assert_eq!(
        usize::try_from(fetched).unwrap(),
        swallowed.len(),
        "what was never sent: {swallowed:?}"
    );
    assert!(fetched >= 8, "{fetched}");
    println!("{width} trades recorded, {fetched} of them never sent and fetched");

    let forced = "select count(*) from liquidation_samples l join trade_samples t
        on t.run_id = l.run_id and t.venue = l.venue and t.symbol = l.symbol and t.trade_id = l.trade_id
        where t.conn_id = 0";
    assert_eq!(count(&world.ingest, forced).await, 0, "a fetched liquidation is a trade alone");
    let streamed =
        "select count(*) from trade_samples where venue = 1 and conn_id <> 0 and kind <> 'o'";
    let streamed = count(&world.ingest, streamed).await;
    let framed = framed(&world).await;
    assert!(framed > 0 && framed <= streamed, "{framed} events of {streamed} trades of the stream");
    let report = verify_generations(&world.ingest, RunId(1)).await.unwrap();
    assert!(report.is_equal() && report.equal > 1, "{report:?}");
    let holes = "select count(*) from raw_seq_holes where not explained";
    assert_eq!(count(&world.ingest, holes).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trades_that_rest_numbers_otherwise_stay_missing_until_it_numbers_them_alike() {
    let world = bound_world().await;
    let service = world.service();
    reaches(&world.ingest, TRADED, 5).await;
    fault(&world, r#"{"kind":"history_shift","by":3}"#);
    fault(&world, SWALLOW);
    let missing = "select count(*) from ingest_stream_events where kind = 'recovered'
        and stream = 'trade' and venue = 1 and (detail ->> 'backfilled')::bigint = 0
        and (detail ->> 'missing')::bigint > 0";
    reaches(&world.ingest, missing, 1).await;
    let fetched = "select count(*) from trade_samples where venue = 1 and conn_id = 0";
    assert_eq!(count(&world.ingest, fetched).await, 0, "no number that is not the stream's");
    fault(&world, r#"{"kind":"history_shift","by":0}"#);
    fault(&world, SWALLOW);
    reaches(&world.ingest, fetched, 1).await;
    service.stopped().await.unwrap();
    let (_, recorded) = ids(&world, "futures/trade", "PF_XBTUSD").await;
    let set: BTreeSet<i64> = recorded.iter().copied().collect();
    assert_eq!(set.len(), recorded.len(), "each once");
}
