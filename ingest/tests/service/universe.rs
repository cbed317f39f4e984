//! Pairs that come, change their digits and their status while the service runs.

use crate::support::{World, count, reaches, still_world, world};
use penstock_sim::exchange::{PairStatus, Price, Qty, Side};
use penstock_sim::server::MarketSource;
use penstock_types::frame::decode_quotes;

fn set_status(world: &World, symbol: &str, status: PairStatus) {
    world.venue.venue.with(|exchange, now| {
        let no = exchange.symbol_no(symbol).unwrap();
        exchange.set_pair_status(no, status, now);
    });
}

/// Names of the venue's pairs.
fn symbols(world: &World) -> Vec<String> {
    world.venue.venue.with(|exchange, _| {
        exchange.markets().iter().map(|m| m.instrument.symbol.clone()).collect()
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pairs_that_come_online_get_a_second_socket_without_a_restart() {
    let world = world(MarketSource::Pulses, 8).await;
    let names = symbols(&world);
    for name in &names[4..] {
        set_status(&world, name, PairStatus::Maintenance);
    }
    let mut settings = world.settings();
    settings.symbols_per_socket = 5;
    let service = crate::support::service_of(settings);
    let tracked = "select count(*) from run_symbol_state where book_ok";
    world.decision_reaches(tracked, 4).await;
    assert_eq!(count(&world.decision, tracked).await, 4, "what is not online is not tracked");
    for name in &names[4..] {
        set_status(&world, name, PairStatus::Online);
    }
    world.decision_reaches(tracked, 8).await;
    let sockets = "select count(distinct stream) from ingest_stream_events
        where kind = 'connect' and stream like 'spot-%'";
    reaches(&world.ingest, sockets, 2).await;
    let recorded = "select count(distinct symbol) from trade_samples";
    reaches(&world.ingest, recorded, 8).await;
    service.stopped().await.unwrap();

    let lost = "select count(*) from ingest_stream_events
        where kind = 'disconnect' and stream like 'spot-%' and detail ->> 'reason' <> 'Asked'";
    assert!(count(&world.ingest, lost).await <= 2, "no socket was opened anew");
    let runs = "select count(*) from observation_runs";
    assert_eq!(count(&world.decision, runs).await, 1);
    let holes = "select count(*) from raw_seq_holes where not explained";
    assert_eq!(count(&world.ingest, holes).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pair_that_goes_offline_admits_no_entry_at_once_and_leaves_the_execution_set() {
    let world = world(MarketSource::Pulses, 8).await;
    let service = world.service();
    world.decision_reaches("select count(*) from ingest_epochs where status = 'valid'", 1).await;
    let names = symbols(&world);
    set_status(&world, &names[2], PairStatus::CancelOnly);
    let caused = "select count(*) from symbol_safety_state
        where cause = 'instrument_not_online' and mode = 'exit_only'";
    world.decision_reaches(caused, 1).await;
    let told = "select count(*) from instruments where status = 'cancel_only'";
    world.decision_reaches(told, 1).await;
    let without = "select count(*) from execution_universe_snapshots
        where cardinality(execution_symbols) = 7";
    world.decision_reaches(without, 1).await;
    set_status(&world, &names[2], PairStatus::Online);
    let told = "select count(*) from instruments where status = 'cancel_only'";
    let back = "select count(*) from execution_universe_snapshots s
        where cardinality(execution_symbols) = 8
            and snapshot_id > (select max(snapshot_id) from execution_universe_snapshots
                where cardinality(execution_symbols) = 7)";
    world.decision_reaches(back, 1).await;
    assert_eq!(count(&world.decision, told).await, 0);
    assert_eq!(count(&world.decision, caused).await, 0);
    service.stopped().await.unwrap();
}

/// Rests one order on each side of the first pair, in its present scale.
fn quote(world: &World, mid: i64) -> [penstock_sim::exchange::OrderNo; 2] {
    world.venue.venue.with(|exchange, now| {
        let no = exchange.symbol_no("BTC/USD").unwrap();
        let tick = exchange.market(no).instrument.tick.0;
        let mut rest = |side, price| {
            let placed = exchange.flow_limit(no, side, Price(price), Qty(100_000_000), now);
            placed.resting.expect("it rests")
        };
        [rest(Side::Buy, (mid - 1) * tick), rest(Side::Sell, (mid + 1) * tick)]
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_precision_gets_another_number_and_the_quote_stands_in_the_new_digits() {
    let world = still_world(1).await;
    let resting = quote(&world, 600_000);
    let service = world.service();
    world.decision_reaches("select count(*) from run_symbol_state where book_ok", 1).await;

    world.venue.venue.with(|exchange, now| {
        let no = exchange.symbol_no("BTC/USD").unwrap();
        for order in resting {
            exchange.flow_cancel(no, order, now);
        }
        exchange.change_instrument(no, now, |instrument| instrument.price_decimals += 1);
    });
    quote(&world, 6_100_000);
    let numbers = "select count(*) from run_symbols where symbol = 'BTC/USD'";
    world.decision_reaches(numbers, 2).await;
    let digits = "select max(price_precision)::bigint - (select min(price_decimals)
        from run_symbols where symbol = 'BTC/USD') from instruments where symbol = 'BTC/USD'";
    world.decision_reaches(digits, 1).await;
    let sampled = "select count(*) from l2_snap_metrics s where s.seq > (
        select max(seq) from ingest_stream_events where kind = 'resync')";
    reaches(&world.ingest, sampled, 2).await;
    let last: i64 = count(&world.decision, "select max(tick_id) from engine_tick_frames").await;
    let later = format!("select count(*) from engine_tick_frames where tick_id > {last}");
    crate::support::reaches_text(&world.decision, &later, 8).await;
    service.stopped().await.unwrap();

    let blocks: Vec<Vec<u8>> =
        sqlx::query_scalar("select quotes from engine_tick_frames order by tick_id")
            .fetch_all(&world.decision)
            .await
            .unwrap();
    let mut newest = std::collections::BTreeMap::new();
    for entry in blocks.iter().flat_map(|b| decode_quotes(b).unwrap().entries) {
        newest.entry(entry.symbol_no).or_insert_with(Vec::new).push(entry);
    }
    let (old, new) = (&newest[&1], &newest[&2]);
    assert!(old.iter().any(|e| !e.is_withdrawn()), "the first number was quoted");
    assert!(old.last().unwrap().is_withdrawn(), "and is withdrawn");
    let quoted = new.iter().rev().find(|e| !e.is_withdrawn()).expect("the second number is quoted");
    assert_eq!(quoted.ask - quoted.bid, 2 * tick(&world), "in the new digits");
}

fn tick(world: &World) -> i64 {
    world.venue.venue.with(|exchange, _| {
        let no = exchange.symbol_no("BTC/USD").unwrap();
        exchange.market(no).instrument.tick.0
    })
}
