//! The derivative venues: what they send becomes rows and frame events, once; losses become gaps.
//!
//! The judge is the venue's send log: an id that was sent between the first and the last recorded one is
//! recorded, once.

use crate::support::{PATIENCE, World, count, reaches, reaches_text, world_of};
use penstock_sim::admin::FaultRequest;
use penstock_sim::server::MarketSource;
use penstock_types::frame::{FrameFlags, decode_frame};
use sqlx::Row;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Flag of the first frame after a blindness.
const RESYNC: u16 = FrameFlags::RESYNC.0;

const TOKENS: &str = r#"
[[engine.token]]
id = 1
symbol = "BTC"
profile = "DERIV"
instruments = [
  { venue = "binance_um", symbol = "BTCUSDT", roles = ["price_ref", "deriv_primary", "flow", "oi_set"] },
  { venue = "kraken_futures", symbol = "PF_XBTUSD", roles = ["flow", "oi_set"] },
  { venue = "kraken", symbol = "BTC/USD", roles = ["spot_primary"] },
]
[[engine.token]]
id = 2
symbol = "ETH"
profile = "DERIV"
instruments = [
  { venue = "kraken_futures", symbol = "PF_ETHUSD", roles = ["price_ref", "deriv_primary", "flow", "oi_set"] },
  { venue = "binance_um", symbol = "ETHUSDT", roles = ["flow", "oi_set"] },
]
"#;

/// A world whose tokens bind derivatives; its market runs four times as fast.
pub(crate) async fn bound_world() -> World {
    let mut world = world_of(MarketSource::Pulses, 4, 4.0).await;
    world.file = TOKENS.to_owned();
    let to = &world.venue.addresses;
    for (key, url) in [
        ("KRAKEN_FUTURES_WS_URL", &to.futures_ws),
        ("KRAKEN_FUTURES_REST_URL", &to.futures_rest),
        ("BINANCE_UM_WS_PUBLIC_URL", &to.binance_ws_public),
        ("BINANCE_UM_WS_MARKET_URL", &to.binance_ws_market),
        ("BINANCE_UM_REST_URL", &to.binance_rest),
    ] {
        world.extra.insert(key.to_owned(), url.clone());
    }
    world
}

/// Sources of the events of all frames, by venue.
async fn sources(world: &World) -> BTreeMap<u8, BTreeSet<u8>> {
    let frames = sqlx::query("select frame from engine_tick_frames where n_events > 0")
        .fetch_all(&world.decision)
        .await
        .unwrap();
    let mut found: BTreeMap<u8, BTreeSet<u8>> = BTreeMap::new();
    for row in frames {
        let (_, events) = decode_frame(&row.get::<Vec<u8>, _>("frame")).unwrap();
        for event in events {
            found.entry(event.venue).or_default().insert(event.source);
        }
    }
    found
}

/// Waits until frames hold every kind of event of both derivative venues.
async fn every_source(world: &World) {
    let all: BTreeSet<u8> = (0..=5).collect();
    let deadline = Instant::now() + PATIENCE;
    let mut beat = tokio::time::interval(Duration::from_millis(250));
    loop {
        beat.tick().await;
        let found = sources(world).await;
        if found.get(&1) == Some(&all) && found.get(&2) == Some(&all) {
            return;
        }
        assert!(Instant::now() < deadline, "{found:?}");
    }
}

/// Ids that the venue sent on a channel, and those that are recorded.
pub(crate) async fn ids(world: &World, channel: &str, symbol: &str) -> (BTreeSet<i64>, Vec<i64>) {
    let page = world.venue.venue.sends.page(0, 50_000, Some(channel), Some(symbol));
    let sends = page["sends"].as_array().unwrap();
    let sent = sends.iter().flat_map(|send| {
        let id = |key: &str| send[key].as_i64().unwrap();
        id("first")..=id("last")
    });
    let recorded = sqlx::query_scalar("select trade_id from trade_samples where symbol = $1")
        .bind(symbol)
        .fetch_all(&world.ingest)
        .await
        .unwrap();
    (sent.collect(), recorded)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_derivative_venues_send_becomes_rows_and_every_kind_of_event_once() {
    let world = bound_world().await;
    let service = world.service();
    let liquidated = "select count(*) from (select distinct venue from liquidation_samples) v";
    reaches(&world.ingest, liquidated, 2).await;
    // Whole again: the newest frame is neither degraded on one of the two venues nor on the other.
    let whole = "select count(*) from engine_tick_frames where (flags & 24) = 0";
    world.decision_reaches(whole, 20).await;
    every_source(&world).await;
    service.stopped().await.unwrap();
    reaches(&world.ingest, "select count(*) from raw_load_cursor where complete", 1).await;

    for (channel, symbol) in [
        ("futures/trade", "PF_XBTUSD"),
        ("futures/trade", "PF_ETHUSD"),
        ("binance/aggTrade", "BTCUSDT"),
        ("binance/aggTrade", "ETHUSDT"),
    ] {
        let (sent, recorded) = ids(&world, channel, symbol).await;
        let set: BTreeSet<i64> = recorded.iter().copied().collect();
        assert_eq!(set.len(), recorded.len(), "{symbol}: each once");
        let (first, last) = (*set.first().unwrap(), *set.last().unwrap());
        let missing: Vec<i64> =
            sent.range(first..=last).filter(|id| !set.contains(id)).copied().collect();
        assert_eq!(missing, Vec::<i64>::new(), "{symbol}");
        assert!(set.len() > 20, "{symbol}: {}", set.len());
        println!("{symbol}: {} trades sent and recorded, ids {first} to {last}", set.len());
    }

    let ingest = &world.ingest;
    let blind = "select count(*) from ingest_stream_events where venue in (1, 2) and kind = 'gap'
        and stream = 'start'";
    assert_eq!(count(ingest, blind).await, 2, "the start of each venue");
    let missed = "select count(*) from ingest_stream_events where venue in (1, 2) and (
        (kind = 'gap' and symbol is not null) or kind in ('silent', 'subscribe_reject')
        or (kind = 'disconnect' and detail->>'reason' <> 'Stopped'))";
    assert_eq!(count(ingest, missed).await, 0, "nothing was missed before the stop");
    let ended = "select count(*) from ingest_stream_events where venue in (1, 2)
        and kind = 'recovered' and stream = 'start'";
    assert_eq!(count(ingest, ended).await, 2);
    let polled = "select count(*) from (select distinct venue, open_interest is not null,
        funding_rate is not null from deriv_ticker_samples where conn_id = 0) p";
    assert_eq!(count(ingest, polled).await, 3, "Futures both, Binance each by itself");
    let quotes =
        "select count(*) from (select venue, symbol, floor(extract(epoch from ts_local) * 4)
        from ticker_samples where venue <> 0 group by 1, 2, 3 having count(*) > 1) twice";
    assert_eq!(count(ingest, quotes).await, 0, "one quote per symbol and tick");
    let holes = "select count(*) from raw_seq_holes where not explained";
    assert_eq!(count(ingest, holes).await, 0);
    let pairs = "select count(*) from liquidation_samples l join trade_samples t
        on t.run_id = l.run_id and t.venue = l.venue and t.symbol = l.symbol
        and t.trade_id = l.trade_id and t.kind = 'l' and t.seq = l.seq - 1 where l.venue = 1";
    let alone = "select count(*) from liquidation_samples where venue = 1";
    assert_eq!(count(ingest, pairs).await, count(ingest, alone).await);
}

/// Ids that the venue sent, that are not recorded and that no gap of the symbol counts.
async fn unexplained(world: &World, venue: i16, channel: &str, symbol: &str) -> i64 {
    let (sent, recorded) = ids(world, channel, symbol).await;
    let set: BTreeSet<i64> = recorded.iter().copied().collect();
    assert_eq!(set.len(), recorded.len(), "{symbol}: each once");
    let (first, last) = (*set.first().unwrap(), *set.last().unwrap());
    let lost = sent.range(first..=last).filter(|id| !set.contains(id)).count();
    // A cut also swallows what the venue never sent to anybody: the gap counts every number.
    let all = usize::try_from(last - first + 1).unwrap() - set.len();
    assert!(lost <= all);
    let counted: i64 = sqlx::query_scalar(
        "select coalesce(sum((detail->>'missing')::bigint), 0)::bigint from ingest_stream_events
         where kind = 'recovered' and stream = 'trade' and venue = $1 and symbol = $2",
    )
    .bind(venue)
    .bind(symbol)
    .fetch_one(&world.ingest)
    .await
    .unwrap();
    i64::try_from(all).unwrap() - counted
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn losses_of_derivative_venues_are_gaps_and_flags_until_the_first_values_are_back() {
    let world = bound_world().await;
    let service = world.service();
    let fault = |text: &str| {
        let fault: FaultRequest = serde_json::from_str(text).unwrap();
        world.venue.venue.faults.add(&fault, world.venue.venue.now_us());
    };
    let whole = "select count(*) from engine_tick_frames where (flags & 24) = 0";
    world.decision_reaches(whole, 10).await;
    for text in [
        r#"{"kind":"frames","channel":"futures/trade","symbol":"PF_XBTUSD","action":"drop","count":2}"#,
        r#"{"kind":"frames","channel":"binance/aggTrade","symbol":"BTCUSDT","action":"drop","count":1}"#,
        r#"{"kind":"frames","channel":"binance/aggTrade","symbol":"ETHUSDT","action":"duplicate","count":3}"#,
    ] {
        fault(text);
    }
    let jumps = "select count(*) from (select distinct venue from ingest_stream_events
        where venue in (1, 2) and kind = 'recovered' and stream = 'trade') v";
    reaches(&world.ingest, jumps, 2).await;
    let cut = count(&world.decision, "select max(tick_id) from engine_tick_frames").await;
    for endpoint in ["futures_ws", "binance_market"] {
        fault(&format!(r#"{{"kind":"cut","endpoint":"{endpoint}"}}"#));
    }
    let back = "select count(*) from ingest_stream_events g join ingest_stream_events r
        on r.run_id = g.run_id and r.venue = g.venue and r.conn_id = g.conn_id
        and r.kind = 'recovered' and r.stream = g.stream and r.gap_from = g.gap_from
        where g.kind = 'gap' and g.venue in (1, 2) and g.stream in ('futures-0', 'market-0')";
    reaches(&world.ingest, back, 2).await;
    for flag in [8, 16] {
        let degraded = format!(
            "select count(*) from engine_tick_frames where tick_id > {cut} and (flags & {flag}) <> 0"
        );
        reaches_text(&world.decision, &degraded, 1).await;
    }
    let clean = format!(
        "select count(*) from engine_tick_frames f where f.tick_id > (
         select max(tick_id) from engine_tick_frames where tick_id > {cut} and (flags & 24) <> 0)"
    );
    reaches_text(&world.decision, &clean, 4).await;
    let resync = format!(
        "select count(*) from engine_tick_frames where tick_id > {cut} and (flags & {RESYNC}) <> 0"
    );
    reaches_text(&world.decision, &resync, 1).await;
    let traded = "select count(*) from trade_samples where venue in (1, 2)";
    let more = count(&world.ingest, traded).await + 20;
    reaches(&world.ingest, traded, more).await;
    let closed = "select (count(*) filter (where kind = 'gap')
        = count(*) filter (where kind = 'recovered'))::int::bigint from ingest_stream_events
        where venue in (1, 2) and stream = 'trade'";
    reaches(&world.ingest, closed, 1).await;
    service.stopped().await.unwrap();
    reaches(&world.ingest, "select count(*) from raw_load_cursor where complete", 1).await;
    for (venue, channel, symbol) in [
        (1, "futures/trade", "PF_XBTUSD"),
        (1, "futures/trade", "PF_ETHUSD"),
        (2, "binance/aggTrade", "BTCUSDT"),
        (2, "binance/aggTrade", "ETHUSDT"),
    ] {
        assert_eq!(unexplained(&world, venue, channel, symbol).await, 0, "{symbol}");
    }
    let missing = "select coalesce(sum((detail->>'missing')::bigint), 0)::bigint
        from ingest_stream_events where kind = 'recovered' and stream = 'trade' and venue in (1, 2)";
    assert_eq!(count(&world.ingest, missing).await, 0, "both venues are asked");
    let fetched = "select count(*) from trade_samples where conn_id = 0 and venue in (1, 2)";
    let told = "select coalesce(sum((detail->>'backfilled')::bigint), 0)::bigint
        from ingest_stream_events where kind = 'recovered' and stream = 'trade' and venue in (1, 2)";
    let of_each = "select count(distinct venue) from trade_samples where conn_id = 0";
    let fetched = count(&world.ingest, fetched).await;
    assert_eq!(count(&world.ingest, of_each).await, 2);
    assert_eq!(count(&world.ingest, told).await, fetched);
    println!("{fetched} trades came back");
    let polled = "select count(*) from deriv_ticker_samples d join ingest_stream_events c
        on c.run_id = d.run_id and c.venue = d.venue and c.kind = 'connect' and c.stream = 'futures-0'
        where d.conn_id = 0 and d.ts_local between c.ts and c.ts + interval '2 seconds'";
    assert!(count(&world.ingest, polled).await >= 2, "asked at once after each connect");
    let holes = "select count(*) from raw_seq_holes where not explained";
    assert_eq!(count(&world.ingest, holes).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_bindings_no_derivative_socket_is_opened() {
    let mut world = bound_world().await;
    world.file = String::new();
    let service = world.service();
    world.decision_reaches("select count(*) from engine_tick_frames", 12).await;
    service.stopped().await.unwrap();
    let connects = world.venue.venue.stats.json()["connects"].clone();
    for endpoint in ["futures_ws", "binance_public", "binance_market"] {
        assert_eq!(connects[endpoint].as_u64().unwrap_or(0), 0, "{connects}");
    }
}
