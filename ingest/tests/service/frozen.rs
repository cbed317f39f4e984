//! F6: a frozen network that delivers, later and in order, what was true before: old prices are heard as new.

use crate::proxy::SlowNetwork;
use crate::support::{World, count, reaches, world};
use penstock_sim::server::MarketSource;
use penstock_types::UtcMicros;
use penstock_types::frame::decode_quotes;
use std::time::Duration;

/// How far behind the network is; more than a connection may be silent.
const BEHIND: Duration = Duration::from_secs(3);

/// The book socket has been silent for too long.
const SILENT: &str = "select count(*) from ingest_stream_events where kind = 'silent'";
/// It is heard again, in time.
const HEARD: &str = "select count(*) from ingest_stream_events where kind = 'heard'";

/// Time of the first row of a kind.
async fn first(world: &World, kind: &str) -> UtcMicros {
    let at: chrono::DateTime<chrono::Utc> =
        sqlx::query_scalar("select min(ts) from ingest_stream_events where kind = $1")
            .bind(kind)
            .fetch_one(&world.ingest)
            .await
            .unwrap();
    at.into()
}

/// Ticks with the number of quotes that they set and that they take back.
async fn quotes(world: &World) -> Vec<(i64, usize, usize)> {
    let blocks: Vec<(i64, Vec<u8>)> =
        sqlx::query_as("select tick_id, quotes from engine_tick_frames order by tick_id")
            .fetch_all(&world.decision)
            .await
            .unwrap();
    let counted = blocks.iter().map(|(tick, block)| {
        let entries = decode_quotes(block).unwrap().entries;
        let back = entries.iter().filter(|entry| entry.is_withdrawn()).count();
        (*tick, entries.len() - back, back)
    });
    counted.collect()
}

/// While the network is behind no quote stands, however much is heard; when it has caught up they are back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f6_frozen_network_old_prices_heard_as_new() {
    // given: quotes of every pair over a network that may freeze
    let mut world = world(MarketSource::Pulses, 6).await;
    let network = SlowNetwork::before(&world.venue.addresses.ws_public).await;
    world.extra.insert("KRAKEN_WS_PUBLIC_URL".to_owned(), network.url.clone());
    let service = world.service();
    let live = "select count(*) from run_symbol_state where book_ok";
    world.decision_reaches(live, 6).await;
    let frames = "select count(*) from engine_tick_frames";
    let before = count(&world.decision, frames).await;
    world.decision_reaches(frames, before + 8).await;

    // when: it freezes, thaws without catching up, and catches up
    network.delay_by(BEHIND);
    reaches(&world.ingest, SILENT, 1).await;
    let thawed = count(&world.decision, frames).await;
    world.decision_reaches(frames, thawed + 12).await;
    let heard = "select count(*) from ticker_samples s where s.ts_local > (
        select min(ts) from ingest_stream_events where kind = 'silent')";
    reaches(&world.ingest, heard, 5).await;
    network.delay_by(Duration::ZERO);
    reaches(&world.ingest, HEARD, 1).await;
    let caught_up = count(&world.decision, frames).await;
    world.decision_reaches(frames, caught_up + 8).await;
    service.stopped().await.unwrap();

    // then: silence withdrew them, and what came late did not bring them back
    let silent = first(&world, "silent").await;
    let timely = first(&world, "heard").await;
    assert!(silent < timely);
    let quotes = quotes(&world).await;
    let within = |from: UtcMicros, to: UtcMicros| {
        let (from, to) = (from.tick().0 + 1, to.tick().0);
        quotes.iter().filter(move |(tick, _, _)| (from..to).contains(tick))
    };
    assert!(within(silent, timely).count() >= 10, "{silent:?} to {timely:?}");
    let set: Vec<_> = within(silent, timely).filter(|(_, set, _)| *set > 0).collect();
    assert!(set.is_empty(), "no old price is a quote: {set:?}");
    let at_silence = quotes.iter().find(|(tick, _, _)| *tick == silent.tick().0);
    assert!(at_silence.is_some_and(|(_, set, back)| (*set, *back) == (0, 6)), "{at_silence:?}");
    let after: usize =
        quotes.iter().filter(|(tick, _, _)| *tick >= timely.tick().0).map(|(_, set, _)| *set).sum();
    assert!(after >= 6, "they come back with the first that is in time");
}
