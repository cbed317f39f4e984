//! Order-by-order books of a whole service: rows for every symbol of the layer over several sockets, a
//! repair, and what a missing or refused key costs.

use crate::support::{World, count, reaches, world};
use penstock_sim::admin::FaultRequest;
use penstock_sim::server::MarketSource;

/// Names of the venue's pairs.
const SYMBOLS: usize = 6;

/// A world whose ingest has a key for these books.
async fn keyed_world() -> World {
    let mut world = world(MarketSource::Pulses, SYMBOLS).await;
    let at = world.venue.addresses.clone();
    for (name, value) in [
        ("KRAKEN_WS_L3_URL", at.l3.as_str()),
        ("KRAKEN_API_KEY", at.data_key.as_str()),
        ("KRAKEN_API_SECRET", at.data_secret.as_str()),
        ("L3_ENABLE", "true"),
        ("L3_SAMPLE_INTERVAL_MS", "1000"),
    ] {
        world.extra.insert(name.to_owned(), value.to_owned());
    }
    world
}

const SAMPLED: &str = "select count(distinct symbol) from l3_queue_metrics";
const VALID: &str = "select count(*) from ingest_epochs where status = 'valid'";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_symbol_of_the_layer_is_sampled_and_a_bad_checksum_costs_one_resync() {
    let mut world = keyed_world().await;
    world.extra.insert("L3_SYMBOLS_PER_CONN".to_owned(), "4".to_owned());
    let service = world.service();
    reaches(&world.ingest, SAMPLED, 6).await;
    let sockets = "select count(distinct stream) from ingest_stream_events
        where kind = 'connect' and stream like 'level3-%'";
    assert_eq!(count(&world.ingest, sockets).await, 2, "four symbols of a socket at most");
    let failed = "select count(*) from ingest_stream_events
        where kind = 'checksum_fail' and stream like 'level3%'";
    assert_eq!(count(&world.ingest, failed).await, 0);

    bad_checksum(&world);
    reaches(&world.ingest, failed, 1).await;
    let again = "select count(*) from l3_queue_metrics where symbol = 'BTC/USD' and seq > (
        select max(seq) from ingest_stream_events
            where kind = 'checksum_fail' and stream like 'level3%')";
    reaches(&world.ingest, again, 2).await;
    assert_eq!(count(&world.ingest, failed).await, 1, "one mismatch, one row");

    let judged = "select count(*) from ingest_epochs where l3_mode = 'ok' and criteria_l3_ok";
    world.decision_reaches(judged, 1).await;
    let layer = "select count(*) from execution_universe_snapshots
        where cardinality(l3_symbols) = 6";
    world.decision_reaches(layer, 1).await;
    let fed = "select count(*) from run_symbol_state where l3_count > 0 and l3_quality > 0";
    world.decision_reaches(fed, 6).await;
    let refused = "select count(*) from ingest_stream_events
        where kind = 'subscribe_reject' and stream like 'level3%'";
    assert_eq!(count(&world.ingest, refused).await, 0, "no limit of the venue was exceeded");
    service.stopped().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_layer_has_a_cap_and_its_pairs_are_the_best_of_the_books() {
    let mut world = keyed_world().await;
    world.extra.insert("UNIVERSE_L3_LIMIT_OVERRIDE".to_owned(), "2".to_owned());
    let service = world.service();
    reaches(&world.ingest, SAMPLED, 2).await;
    let layer = "select count(*) from execution_universe_snapshots
        where cardinality(l3_symbols) = 2 and l3_symbols <@ tracked_symbols";
    world.decision_reaches(layer, 1).await;
    service.stopped().await.unwrap();
    assert_eq!(count(&world.ingest, SAMPLED).await, 2);
}

fn bad_checksum(world: &World) {
    let text = r#"{"kind":"bad_checksum","symbol":"BTC/USD","channel":"level3"}"#;
    let fault: FaultRequest = serde_json::from_str(text).unwrap();
    world.venue.venue.faults.add(&fault, world.venue.venue.now_us());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_is_a_gap_until_the_first_images_and_lost_books_stay_counted() {
    let mut world = keyed_world().await;
    world.extra.insert("L3_RESYNC_MAX".to_owned(), "2".to_owned());
    let failed = "select count(*) from ingest_stream_events
        where kind = 'checksum_fail' and stream = 'level3'";
    let loaded = "select count(*) from raw_load_cursor where complete";
    let blocked = "select count(*) from symbol_safety_state
        where symbol = 'BTC/USD' and cause = 'l3_resync_limit' and l3_resync_count = 2";
    let since = "select (extract(epoch from since) * 1000000)::bigint from symbol_safety_state
        where symbol = 'BTC/USD' and cause = 'l3_resync_limit'";

    // One loss before the restart and one behind it are two.
    let service = world.service();
    reaches(&world.ingest, SAMPLED, 6).await;
    bad_checksum(&world);
    reaches(&world.ingest, failed, 1).await;
    service.stopped().await.unwrap();
    reaches(&world.ingest, loaded, 1).await;
    assert_eq!(count(&world.decision, blocked).await, 0);

    let service = world.service();
    let back = "select count(distinct symbol) from l3_queue_metrics where run_id = 2";
    reaches(&world.ingest, back, 6).await;
    bad_checksum(&world);
    world.decision_reaches(blocked, 1).await;
    let set_at = count(&world.decision, since).await;
    service.stopped().await.unwrap();
    reaches(&world.ingest, loaded, 2).await;
    let gap = "select count(*) from ingest_stream_events g join ingest_stream_events r
            on r.run_id = g.run_id and r.stream = g.stream and r.gap_from = g.gap_from
                and r.kind = 'recovered' and r.seq > g.seq
        where g.run_id = 2 and g.kind = 'gap' and g.conn_id is null and g.stream like 'level3-%'";
    assert_eq!(count(&world.ingest, gap).await, 1);

    // The block outlives the process that set it, and the next one does not set it anew.
    let service = world.service();
    let epoch = "select count(*) from ingest_epochs where run_id = 3 and l3_mode = 'ok'
        and hard_blocked_excluded_count = 1";
    world.decision_reaches(epoch, 1).await;
    service.stopped().await.unwrap();
    assert_eq!(count(&world.decision, since).await, set_at);
}

/// An alert of the service whose summary contains a text.
fn alerted(text: &str) -> String {
    format!(
        "select count(*) from service_heartbeats h, jsonb_array_elements(h.alerts) a
            where a ->> 'reason_code' = 'INGEST_FEED_GAP' and a ->> 'summary' like '%{text}%'"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_key_costs_these_books_and_nothing_else() {
    let mut world = keyed_world().await;
    world.extra.insert("KRAKEN_API_KEY".to_owned(), "nobody's".to_owned());
    let service = world.service();
    let told = alerted("the venue refuses the key: EAPI:Invalid key");
    crate::support::reaches_text(&world.decision, &told, 1).await;
    world.decision_reaches(VALID, 2).await;
    let without = "select count(*) from ingest_epochs where l3_mode = 'absent'";
    world.decision_reaches(without, 1).await;
    let whole = "select count(*) from run_symbol_state where book_ok and l3_count = 0";
    world.decision_reaches(whole, 6).await;
    service.stopped().await.unwrap();
    assert_eq!(count(&world.ingest, SAMPLED).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recorder_without_a_key_runs_without_these_books_and_says_so() {
    let world = world(MarketSource::Pulses, SYMBOLS).await;
    let service = world.service();
    let told = alerted("no key of the venue is set");
    crate::support::reaches_text(&world.decision, &told, 1).await;
    world.decision_reaches(VALID, 1).await;
    service.stopped().await.unwrap();
    let off = "select count(*) from ingest_epochs where l3_mode in ('ok', 'partial')";
    assert_eq!(count(&world.decision, off).await, 0);
}
