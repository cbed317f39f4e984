//! Plans of every venue, and a recording of the simulated one that is read again.

use super::*;
use crate::arguments::Output;
use crate::check_recording::{self, EXIT_WHOLE};
use penstock_sim::server::{MarketSource, Options, start};
use plan::Ping;

fn wanted<'a>(symbols: &'a [String], channels: &'a [Channel]) -> Wanted<'a> {
    Wanted { symbols, channels, depth: 10, token: "secret-token" }
}

fn at(url: &str) -> Addresses {
    Addresses::of(url, None)
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn each_venue_is_asked_in_its_own_words() {
    let symbols = names(&["BTC/USD"]);
    let plan = connections(
        Venue::KrakenSpot,
        &at("ws://h/v2"),
        &wanted(&symbols, &[Channel::Trade, Channel::Book, Channel::Book]),
    )
    .unwrap();
    assert_eq!(plan.len(), 1);
    assert_eq!(
        plan[0].requests,
        [
            r#"{"method":"subscribe","params":{"channel":"book","symbol":["BTC/USD"],"depth":10},"req_id":1}"#,
            r#"{"method":"subscribe","params":{"channel":"trade","symbol":["BTC/USD"],"snapshot":false},"req_id":2}"#,
        ]
    );
    let symbols = names(&["PF_XBTUSD"]);
    let plan = connections(
        Venue::KrakenFutures,
        &at("ws://h/ws/v1"),
        &wanted(&symbols, &[Channel::Ticker]),
    )
    .unwrap();
    assert_eq!(plan[0].requests.len(), 2);
    assert!(matches!(plan[0].ping, Ping::Protocol { interval_ms: 20_000 }));
    let symbols = names(&["BTCUSDT", "ETHUSDT"]);
    let channels = [Channel::Book, Channel::Trade, Channel::Mark];
    let plan =
        connections(Venue::BinanceUm, &at("ws://h/public/"), &wanted(&symbols, &channels)).unwrap();
    let asked: Vec<(&str, &str)> =
        plan.iter().map(|c| (c.url.as_str(), c.requests[0].as_str())).collect();
    assert_eq!(
        asked,
        [
            (
                "ws://h/public/stream",
                r#"{"method":"SUBSCRIBE","params":["btcusdt@depth@100ms","ethusdt@depth@100ms"],"id":1}"#
            ),
            (
                "ws://h/market/stream",
                r#"{"method":"SUBSCRIBE","params":["btcusdt@aggTrade","ethusdt@aggTrade","btcusdt@markPrice@1s","ethusdt@markPrice@1s"],"id":1}"#
            ),
        ]
    );
}

#[test]
fn what_a_venue_does_not_offer_is_refused_before_anything_is_opened() {
    let symbols = names(&["BTC/USD"]);
    let mark = [Channel::Mark];
    let refused =
        connections(Venue::KrakenSpot, &at("ws://h"), &wanted(&symbols, &mark)).unwrap_err();
    assert!(refused.to_string().contains("book, trade, ticker, instrument, level3"), "{refused}");
    let deep = Wanted { depth: 11, ..wanted(&symbols, &[Channel::Book]) };
    let refused = connections(Venue::KrakenSpot, &at("ws://h"), &deep).unwrap_err();
    assert_eq!(refused, PlanError::Depth { depth: 11 });
    let symbols = names(&["BTC\"USD"]);
    let refused =
        connections(Venue::BinanceUm, &at("ws://h/public"), &wanted(&symbols, &[Channel::Book]));
    assert!(matches!(refused, Err(PlanError::Symbol { .. })));
}

#[test]
fn refusals_of_every_venue_are_heard() {
    for (venue, text, want) in [
        (
            Venue::KrakenSpot,
            r#"{"error":"Currency pair not supported X/Y","method":"subscribe","success":false}"#,
            Some("Currency pair not supported X/Y"),
        ),
        (Venue::KrakenSpot, r#"{"channel":"heartbeat"}"#, None),
        (
            Venue::KrakenFutures,
            r#"{"event":"error","message":"Invalid product id"}"#,
            Some("Invalid product id"),
        ),
        (Venue::KrakenFutures, r#"{"event":"info","version":1}"#, None),
        (Venue::BinanceUm, r#"{"error":{"code":2},"id":1}"#, Some(r#"{"code":2}"#)),
        (Venue::BinanceUm, r#"{"result":null,"id":1}"#, None),
    ] {
        assert_eq!(plan::refusal(venue, text).as_deref(), want, "{text}");
    }
}

fn args(file: PathBuf, symbols: Vec<String>, frames: u64) -> Args {
    Args {
        file,
        venue: Venue::KrakenSpot,
        symbols,
        channels: vec![Channel::Book, Channel::Trade, Channel::Ticker, Channel::Instrument],
        depth: 10,
        seconds: 60,
        frames: Some(frames),
        url: None,
        market_url: None,
        l3_url: None,
        rest_url: None,
    }
}

/// The report on a recording in which nothing is wrong.
fn whole(path: &std::path::Path) -> serde_json::Value {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = check_recording::run(path, Output::Json, &mut out, &mut err).unwrap();
    let out = String::from_utf8(out).unwrap();
    assert_eq!((code, String::from_utf8(err).unwrap().as_str()), (EXIT_WHOLE, ""), "{out}");
    serde_json::from_str(&out).unwrap()
}

/// The simulated venue shares no code with the recorder: what it counted as sent is what the check finds.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_venue_sent_is_what_the_recording_holds() {
    let options = Options { market: MarketSource::Pulses, symbols: 3, ..Options::default() };
    let venue = start(options).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sim.rec.gz");
    let symbols = names(&["BTC/USD", "ETH/USD"]);
    let args = args(path.clone(), symbols, 400);
    let summary = record(&args, &at(&venue.addresses.ws_public), None, CancellationToken::new())
        .await
        .unwrap();
    assert!(summary.received >= 400, "{summary:?}");
    assert_eq!((summary.sent, summary.refusals.len()), (4, 0), "{summary:?}");

    let report = whole(&path);
    assert_eq!(report["frames"], summary.received + summary.sent);
    assert_eq!(report["decoded"], report["frames"]);
    assert_eq!(report["checksums_ok"], venue.venue.stats.book_messages_sent());
    assert_eq!((&report["gaps"], &report["duplicates"]), (&0.into(), &0.into()));

    // A second recording never overwrites the first.
    let again =
        record(&args, &at(&venue.addresses.ws_public), None, CancellationToken::new()).await;
    assert!(matches!(again, Err(RecordError::Writer(WriterError::Create { .. }))));
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_symbol_is_told_and_a_venue_that_is_not_there_is_an_error() {
    let options = Options { market: MarketSource::Pulses, symbols: 2, ..Options::default() };
    let venue = start(options).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let url = at(&venue.addresses.ws_public);
    let mut args = args(directory.path().join("one.rec"), names(&["BTC/USD", "XBT/USD"]), 60);
    args.channels = vec![Channel::Book];
    let summary = record(&args, &url, None, CancellationToken::new()).await.unwrap();
    assert_eq!(summary.refusals, ["Currency pair not supported XBT/USD"]);
    venue.stop().await;
    args.file = directory.path().join("two.rec");
    let lost = record(&args, &url, None, CancellationToken::new()).await.unwrap_err();
    assert!(matches!(lost, RecordError::Session { lines: 0, .. }), "{lost}");
}

/// Both derivative venues of the simulator: what is recorded is whole and follows its own numbers.
#[tokio::test(flavor = "multi_thread")]
async fn recordings_of_the_derivative_venues_are_whole() {
    let options =
        Options { market: MarketSource::Calm, symbols: 2, speed: 5.0, ..Options::default() };
    let venue = start(options).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let a = &venue.addresses;
    let futures = Addresses::of(&a.futures_ws, None);
    let binance = Addresses::of(&a.binance_ws_public, Some(&a.binance_ws_market));
    for (of, addresses, symbol, channels, protocol) in [
        (
            Venue::KrakenFutures,
            futures,
            "PF_XBTUSD",
            vec![Channel::Book, Channel::Trade, Channel::Ticker],
            "kraken_futures",
        ),
        (
            Venue::BinanceUm,
            binance,
            "BTCUSDT",
            vec![Channel::Book, Channel::Trade, Channel::Ticker, Channel::Mark],
            "binance_um",
        ),
    ] {
        let path = directory.path().join(format!("{}.rec.gz", of.name()));
        let args = Args { venue: of, channels, ..args(path.clone(), names(&[symbol]), 200) };
        let summary = record(&args, &addresses, None, CancellationToken::new()).await.unwrap();
        assert!(summary.refusals.is_empty() && summary.received >= 200, "{of:?}: {summary:?}");
        let report = whole(&path);
        assert_eq!(report["protocol"], protocol);
        assert_eq!(report["frames"], summary.received + summary.sent);
        assert_eq!(report["decoded"], report["frames"], "{report}");
        assert_eq!(report["duplicates"], 0, "{report}");
        assert_eq!(report["symbols"], serde_json::json!([symbol]), "{report}");
    }
    venue.stop().await;
}

#[test]
fn order_by_order_books_have_a_socket_of_their_own_and_half_of_the_budget() {
    let all: Vec<String> = (0..45).map(|n| format!("S{n}/USD")).collect();
    let channels = [Channel::Trade, Channel::Level3];
    let addresses = at("ws://h/v2").with_level3(Some("ws://l3/v2".to_owned()));
    for (depth, at_once, requests) in [(10, 20, 3), (100, 4, 12), (1_000, 1, 45)] {
        let wanted = Wanted { depth, ..wanted(&all, &channels) };
        let plan = connections(Venue::KrakenSpot, &addresses, &wanted).unwrap();
        assert_eq!((plan.len(), plan[0].url.as_str()), (2, "ws://l3/v2"));
        assert_eq!((plan[0].requests.len(), plan[0].pace_ms), (requests, 1_000), "{depth}");
        assert_eq!(plan[0].requests[0].matches("/USD").count(), at_once);
        assert!(plan[0].requests[0].contains("secret-token"));
        assert_eq!((plan[1].url.as_str(), plan[1].pace_ms), ("ws://h/v2", 200));
        assert!(plan[1].requests.iter().all(|request| !request.contains("secret-token")));
    }
    let refused = |addresses: &Addresses, wanted: &Wanted<'_>| {
        connections(Venue::KrakenSpot, addresses, wanted).unwrap_err()
    };
    let deep = Wanted { depth: 25, ..wanted(&all, &channels) };
    assert_eq!(refused(&addresses, &deep), PlanError::Level3Depth { depth: 25 });
    assert_eq!(refused(&at("ws://h/v2"), &wanted(&all, &channels)), PlanError::Level3Address);
    let many: Vec<String> = (0..201).map(|n| format!("S{n}/USD")).collect();
    let too_many = refused(&addresses, &wanted(&many, &channels));
    assert_eq!(too_many, PlanError::Level3Symbols { symbols: 201 });
    for venue in [Venue::KrakenFutures, Venue::BinanceUm] {
        let refused = connections(venue, &addresses, &wanted(&all, &[Channel::Level3]));
        assert!(matches!(refused, Err(PlanError::Channel { .. })), "{venue:?}");
    }
}

/// A configuration of the tool from these variables alone.
fn config(variables: &[(&str, &str)]) -> penstock_config::Config {
    let named = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
    let environment = variables.iter().map(named).collect();
    let sources = penstock_config::Sources {
        process: Process::Tool,
        file: None,
        environment,
        secret_files: std::collections::BTreeMap::new(),
    };
    penstock_config::resolve(&sources).unwrap()
}

const KEY: &str = "PENSTOCK_INGEST_API_KEY";
const SECRET: &str = "PENSTOCK_INGEST_API_SECRET";

/// Order-by-order books of the simulated venue, with a token that the key of the configuration bought: what
/// the venue counted as sent is what the check verifies, beside trades, and no token is in the file.
#[tokio::test(flavor = "multi_thread")]
async fn order_by_order_books_are_recorded_with_a_token_of_their_own() {
    let options =
        Options { market: MarketSource::Calm, symbols: 2, speed: 5.0, ..Options::default() };
    let venue = start(options).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let a = &venue.addresses;
    let config = config(&[(KEY, &a.data_key), (SECRET, &a.data_secret)]);
    let path = directory.path().join("l3.rec.gz");
    let mut args = args(path.clone(), names(&["BTC/USD", "ETH/USD"]), 600);
    args.channels = vec![Channel::Level3, Channel::Trade];
    let addresses = at(&a.ws_public).with_level3(Some(a.l3.clone()));
    let token = access::token(&config, Some(&a.rest)).await.unwrap();
    let cancel = CancellationToken::new();
    let summary = record(&args, &addresses, Some(&token), cancel).await.unwrap();
    assert!(summary.refusals.is_empty() && summary.received >= 600, "{summary:?}");

    let report = whole(&path);
    assert_eq!(report["frames"], summary.received + summary.sent);
    assert_eq!(report["decoded"], report["frames"], "{report}");
    assert_eq!((&report["checksums_bad"], &report["gaps"]), (&0.into(), &0.into()));
    assert_eq!(
        report["checksums_ok"],
        venue.venue.stats.json()["level3_messages_sent"],
        "{report}"
    );
    assert_eq!(report["symbols"], serde_json::json!(["BTC/USD", "ETH/USD"]));
    let mut text = String::new();
    let file = std::fs::File::open(&path).unwrap();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(file), &mut text).unwrap();
    assert!(text.contains(r#""channel":"level3""#) && text.contains(r#""token":"redacted""#));
    assert!(!text.contains(token.expose()), "the token is in the file");
    venue.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_the_refusal_names_what_to_set() {
    let options = Options { market: MarketSource::Calm, symbols: 2, ..Options::default() };
    let venue = start(options).await.unwrap();
    for (variables, words, code) in [
        (vec![], [KEY, SECRET], exit::CONFIG),
        (vec![(KEY, "k"), (SECRET, "%")], [SECRET, "as the venue gave it"], exit::CONFIG),
        (vec![(KEY, "k"), (SECRET, "c2VjcmV0")], ["EAPI:Invalid key", KEY], exit::UNAVAILABLE),
    ] {
        let asked = access::token(&config(&variables), Some(&venue.addresses.rest)).await;
        let refused = asked.err().unwrap();
        let shown = refused.to_string();
        assert!(words.iter().all(|word| shown.contains(word)), "{shown}");
        assert_eq!(refused.exit(), code, "{shown}");
    }
    venue.stop().await;
}

#[tokio::test]
async fn what_the_plan_refuses_is_refused_before_a_token_is_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let mut args = args(directory.path().join("l3.rec"), names(&["BTC/USD"]), 10);
    (args.channels, args.depth) = (vec![Channel::Level3], 25);
    let addresses = at("ws://h/v2").with_level3(Some("ws://l3/v2".to_owned()));
    let refused = token(&args, &addresses, None).await.err().unwrap();
    assert!(matches!(refused, AccessError::Plan(PlanError::Level3Depth { depth: 25 })));
    args.channels = vec![Channel::Book];
    assert!(token(&args, &addresses, None).await.unwrap().is_none(), "nobody asked for orders");
}
