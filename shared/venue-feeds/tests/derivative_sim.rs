//! Derivative sockets and polls against the simulated venues, which share no code with them.
#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use penstock_sim::admin::FaultRequest;
use penstock_sim::server::{Handle, MarketSource, Options, start};
use penstock_types::UtcMicros;
use penstock_venue_feeds::derivative::{
    BinanceSession, DerivNotice, FuturesSession, LinkEvent, LinksConfig, spawn_links,
};
use penstock_venue_feeds::poll::{
    OiRule, PollConfig, PollEvent, PollInbox, PollRule, PollVenue, TradesAsk, spawn_poll,
};
use penstock_venue_feeds::{
    DisconnectReason, FeedEvent, SharedConnectBudget, SocketPolicy, SystemClock,
};
use penstock_venues::binance::stream::Route;
use penstock_venues::kraken::reconnect::{ConnectBudget, PUBLIC};
use penstock_venues::{binance, kraken_futures};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// Longest wait for something that should happen.
const DEADLINE: Duration = Duration::from_secs(60);
const POLICY: SocketPolicy = SocketPolicy { rule: PUBLIC, spacing_ms: 0 };

async fn venue() -> Handle {
    let options =
        Options { market: MarketSource::Calm, symbols: 4, speed: 4.0, ..Options::default() };
    start(options).await.unwrap()
}

fn fault(handle: &Handle, text: &str) {
    let fault: FaultRequest = serde_json::from_str(text).unwrap();
    handle.venue.faults.add(&fault, handle.venue.now_us());
}

fn budget() -> SharedConnectBudget {
    Arc::new(Mutex::new(ConnectBudget::default()))
}

fn names(symbols: &[&str]) -> Vec<String> {
    symbols.iter().map(|s| (*s).to_owned()).collect()
}

async fn next<T>(events: &mut mpsc::Receiver<T>) -> T {
    tokio::time::timeout(DEADLINE, events.recv()).await.unwrap().expect("a running task")
}

/// Numbers of the trades of a Binance frame, by symbol.
fn aggregates(text: &str) -> Vec<(String, u64)> {
    let Ok(binance::Frame::Data { events, .. }) = binance::decode(text) else { return Vec::new() };
    let trade = |event: &binance::Event<'_>| match event {
        binance::Event::AggTrade(row) => Some((row.symbol.to_string(), row.agg_id)),
        _ => None,
    };
    events.iter().filter_map(trade).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rotations_lose_no_trade_and_the_new_socket_speaks_after_the_old_one() {
    let handle = venue().await;
    let (to, mut events) = mpsc::channel(1_024);
    let cancel = CancellationToken::new();
    let url = format!("{}/stream", handle.addresses.binance_ws_market);
    let config = LinksConfig { url, policy: POLICY, rotate: Some(Duration::from_secs(3)) };
    let symbols = ["BTCUSDT", "ETHUSDT"];
    let make = move || BinanceSession::new(Route::Market, &names(&symbols));
    let shared = (Arc::new(SystemClock::new()) as _, budget());
    spawn_links(config, make, shared, to, cancel.clone()).unwrap();

    let mut seen: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let (mut link, mut reasons) = (1, Vec::new());
    while reasons.len() < 4 {
        let LinkEvent { link: number, event } = next(&mut events).await;
        assert!(number == link || (number == link + 1 && reasons.len() as u64 == link));
        link = number;
        match event {
            FeedEvent::Frame { text, .. } => {
                for (symbol, id) in aggregates(&text) {
                    seen.entry(symbol).or_default().push(id);
                }
            }
            FeedEvent::Disconnected { reason, .. } => reasons.push(reason),
            FeedEvent::ConnectFailed { error, .. } => panic!("{error}"),
            FeedEvent::Connected { .. } | FeedEvent::Alive { .. } | FeedEvent::Notice { .. } => {}
        }
    }
    cancel.cancel();
    assert!(reasons.iter().all(|r| *r == DisconnectReason::Rotated), "{reasons:?}");
    for symbol in symbols {
        let all = &seen[symbol];
        let mut fresh: Vec<u64> = Vec::new();
        for id in all {
            // What the reader does: a number at or below the mark is a double.
            if fresh.last().is_none_or(|mark| id > mark) {
                fresh.push(*id);
            }
        }
        let (first, last) = (fresh[0], fresh[fresh.len() - 1]);
        let whole: Vec<u64> = (first..=last).collect();
        assert_eq!(fresh, whole, "{symbol}");
        assert!(fresh.len() > 10, "{symbol}: {}", fresh.len());
        let page = handle.venue.sends.page(0, 50_000, Some("binance/aggTrade"), Some(symbol));
        let sent: BTreeSet<u64> = page["sends"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|s| s["first"].as_u64().unwrap()..=s["last"].as_u64().unwrap())
            .filter(|id| (first..=last).contains(id))
            .collect();
        assert_eq!(sent.len(), whole.len(), "{symbol}: what was sent");
        println!("{symbol}: {} trades over 4 rotations, {} received", whole.len(), all.len());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_socket_comes_back_whole_and_numbers_tell_what_was_lost() {
    let handle = venue().await;
    let (to, mut events) = mpsc::channel(1_024);
    let cancel = CancellationToken::new();
    let config =
        LinksConfig { url: handle.addresses.futures_ws.clone(), policy: POLICY, rotate: None };
    let make = || FuturesSession::new(&names(&["PF_XBTUSD", "PF_ETHUSD", "PF_NONEUSD"]));
    let shared = (Arc::new(SystemClock::new()) as _, budget());
    spawn_links(config, make, shared, to, cancel.clone()).unwrap();

    let (mut whole, mut refused, mut lost) = (0, BTreeSet::new(), 0);
    let mut ids: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let is_enough = |ids: &BTreeMap<String, Vec<u64>>| {
        ["PF_XBTUSD", "PF_ETHUSD"].iter().all(|p| ids.get(*p).is_some_and(|ids| ids.len() > 3))
    };
    while whole < 2 || !is_enough(&ids) {
        match next(&mut events).await.event {
            FeedEvent::Notice { notice: DerivNotice::Whole, .. } => {
                whole += 1;
                if whole == 1 {
                    fault(&handle, r#"{"kind":"cut","endpoint":"futures_ws"}"#);
                }
            }
            FeedEvent::Notice { notice: DerivNotice::Refused { topic, .. }, .. } => {
                refused.insert(topic.symbol);
            }
            FeedEvent::Disconnected { .. } => lost += 1,
            FeedEvent::Frame { text, .. } => {
                if let Ok(kraken_futures::Frame::Trade(row)) = kraken_futures::decode(&text) {
                    let id = row.seq.sequence().unwrap();
                    ids.entry(row.product_id.to_string()).or_default().push(id);
                }
            }
            FeedEvent::Connected { .. }
            | FeedEvent::Alive { .. }
            | FeedEvent::Notice { .. }
            | FeedEvent::ConnectFailed { .. } => {}
        }
    }
    cancel.cancel();
    assert_eq!((lost, whole), (1, 2));
    assert_eq!(refused, BTreeSet::from(["PF_NONEUSD".to_owned()]));
    for (product, ids) in &ids {
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]), "{product}: {ids:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn polls_bring_bodies_of_both_venues_and_stop_when_the_venue_says_so() {
    let handle = venue().await;
    let open_interest = OiRule { interval_s: 1, requests_per_s: 10, weight_max: 2_400 };
    let rule = PollRule {
        funding_s: 60,
        open_interest: Some(open_interest),
        periods_s: Some(3_600),
        clock_s: None,
    };
    let config = PollConfig {
        venue: PollVenue::BinanceUm,
        base_url: handle.addresses.binance_rest.clone(),
        symbols: vec![("BTCUSDT".to_owned(), true), ("ETHUSDT".to_owned(), true)],
        rule,
    };
    let (connects, connects_seen) = watch::channel(0);
    let (to, mut events) = mpsc::channel(64);
    let cancel = CancellationToken::new();
    let clock = Arc::new(SystemClock::new());
    let (trades, trades_in) = mpsc::channel(8);
    let inbox = PollInbox { connects: connects_seen, trades: trades_in };
    spawn_poll(config, clock, inbox, to, cancel.clone()).unwrap();
    let mut bodies: BTreeMap<&str, usize> = BTreeMap::new();
    let mut symbols = BTreeSet::new();
    while bodies.get("/fapi/v1/openInterest").copied().unwrap_or(0) < 4
        || bodies.get("/fapi/v1/premiumIndex").copied().unwrap_or(0) < 2
    {
        connects.send_modify(|count| *count += 1);
        match next(&mut events).await {
            PollEvent::Body { path, text, .. } => {
                *bodies.entry(path).or_default() += 1;
                match binance::rest::decode(path, &text).unwrap() {
                    binance::rest::Body::OpenInterest(row) => {
                        symbols.insert(row.symbol.to_string());
                    }
                    binance::rest::Body::PremiumIndex(rows) => assert!(rows.len() >= 2),
                    binance::rest::Body::FundingInfo(_) => {}
                    other => panic!("{path}: {other:?}"),
                }
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(symbols, BTreeSet::from(["BTCUSDT".to_owned(), "ETHUSDT".to_owned()]));
    let ask =
        TradesAsk { symbol: "BTCUSDT".to_owned(), first_id: 2, last_id: 4, until: UtcMicros(0) };
    trades.send(ask.clone()).await.unwrap();
    let mut ids = Vec::new();
    loop {
        match next(&mut events).await {
            PollEvent::Trades { ask: of, text, .. } => {
                assert_eq!(of, ask);
                let body = binance::rest::decode("/fapi/v1/aggTrades", &text).unwrap();
                let binance::rest::Body::AggTrades(rows) = body else { panic!("{text}") };
                ids.extend(rows.iter().map(|row| row.agg_id));
            }
            PollEvent::TradesEnded(ended) => {
                assert_eq!(ended, ask);
                break;
            }
            PollEvent::Body { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(ids, [2, 3, 4]);
    fault(
        &handle,
        r#"{"kind":"http","method":"binance/openInterest","count":1,"status":429,"body":""}"#,
    );
    loop {
        if let PollEvent::Interval(change) = next(&mut events).await {
            assert_eq!((change.cause.as_str(), change.symbols), ("rate_limited", 2));
            break;
        }
    }
    cancel.cancel();
}
