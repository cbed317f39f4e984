//! Plans of every venue, and a recording of the simulated one that is read again.

use super::*;
use crate::arguments::Output;
use crate::check_recording::{self, EXIT_WHOLE};
use penstock_sim::server::{MarketSource, Options, start};
use plan::Ping;

fn wanted<'a>(symbols: &'a [String], channels: &'a [Channel]) -> Wanted<'a> {
    Wanted { symbols, channels, depth: 10 }
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
    assert!(refused.to_string().contains("book, trade, ticker, instrument"), "{refused}");
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
    }
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
    let summary =
        record(&args, &at(&venue.addresses.ws_public), CancellationToken::new()).await.unwrap();
    assert!(summary.received >= 400, "{summary:?}");
    assert_eq!((summary.sent, summary.refusals.len()), (4, 0), "{summary:?}");

    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = check_recording::run(&path, Output::Json, &mut out, &mut err).unwrap();
    let out = String::from_utf8(out).unwrap();
    assert_eq!((code, String::from_utf8(err).unwrap().as_str()), (EXIT_WHOLE, ""), "{out}");
    let report: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(report["frames"], summary.received + summary.sent);
    assert_eq!(report["decoded"], report["frames"]);
    assert_eq!(report["checksums_ok"], venue.venue.stats.book_messages_sent());
    assert_eq!((&report["gaps"], &report["duplicates"]), (&0.into(), &0.into()));

    // A second recording never overwrites the first.
    let again = record(&args, &at(&venue.addresses.ws_public), CancellationToken::new()).await;
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
    let summary = record(&args, &url, CancellationToken::new()).await.unwrap();
    assert_eq!(summary.refusals, ["Currency pair not supported XBT/USD"]);
    venue.stop().await;
    args.file = directory.path().join("two.rec");
    let lost = record(&args, &url, CancellationToken::new()).await.unwrap_err();
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
        let summary = record(&args, &addresses, CancellationToken::new()).await.unwrap();
        assert!(summary.refusals.is_empty() && summary.received >= 200, "{of:?}: {summary:?}");
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let code = check_recording::run(&path, Output::Json, &mut out, &mut err).unwrap();
        let (out, err) = (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap());
        assert_eq!((code, err.as_str()), (EXIT_WHOLE, ""), "{out}");
        let report: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(report["protocol"], protocol);
        assert_eq!(report["frames"], summary.received + summary.sent);
        assert_eq!(report["decoded"], report["frames"], "{out}");
        assert_eq!(report["duplicates"], 0, "{out}");
        assert_eq!(report["symbols"], serde_json::json!([symbol]), "{out}");
    }
    venue.stop().await;
}

/// The order-by-order socket of the simulated venue, over session and check: every checksum agrees.
/// Its token stays out of the text, as it must of any recording.
#[tokio::test(flavor = "multi_thread")]
async fn order_by_order_frames_of_the_simulated_venue_keep_their_checksums() {
    use penstock_venues::kraken::request::{Subscription, redacted, subscribe};
    use penstock_venues::recording::{check, push_line};
    let options =
        Options { market: MarketSource::Calm, symbols: 2, speed: 5.0, ..Options::default() };
    let venue = start(options).await.unwrap();
    let token = venue.venue.issue_token();
    let asked = Subscription::Level3 { symbols: &["BTC/USD", "ETH/USD"], depth: 10, token: &token };
    let (frames, mut inbox) = mpsc::channel(QUEUE_LEN_LIMIT);
    let cancel = CancellationToken::new();
    let session = tokio::spawn(session::run(
        venue.addresses.l3.clone(),
        vec![subscribe(&asked, 1)],
        Ping::Venue,
        Arc::new(SystemClock::new()),
        frames,
        cancel.clone(),
    ));
    let mut text = Vec::new();
    let mut received = 0;
    while let Some(frame) = inbox.recv().await {
        push_line(&mut text, Some(frame.at_us), frame.direction, &redacted(&frame.text)).unwrap();
        received += u64::from(frame.is_received());
        if received == 300 {
            cancel.cancel();
        }
    }
    session.await.unwrap().unwrap();
    let report = check(&text, None).unwrap();
    assert_eq!((report.errors, report.unknown, report.checksums_bad), (0, 0, 0), "{report:?}");
    assert!(report.checksums_ok > 200, "{report:?}");
    assert_eq!(report.symbols, ["BTC/USD", "ETH/USD"]);
    assert!(!String::from_utf8(text).unwrap().contains(&token));
    venue.stop().await;
}
