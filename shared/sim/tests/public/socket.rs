//! The public socket over real connections, seen by a client that knows only the documented rules.
//!
//! Each test runs a venue of its own on a free port; waiting is bounded by the client's ten seconds
//! per frame.

use crate::common::{Books, Client, Running};
use penstock_sim::admin::{FaultRequest, FrameFault};
use penstock_sim::server::MarketSource;
use serde_json::json;

fn is_channel(frame: &serde_json::Value, channel: &str) -> bool {
    frame["channel"] == channel
}

#[tokio::test]
async fn status_comes_first_and_heartbeats_go_on_between_other_frames() {
    let running = Running::generated(4, 1, MarketSource::Calm, 1.0).await;
    let mut client = Client::connect(&running.url).await;
    let status = client.next_json().await;
    assert_eq!((&status["channel"], &status["type"]), (&json!("status"), &json!("update")));
    assert_eq!(status["data"][0]["system"], "online");
    assert!(status["data"][0]["connection_id"].as_u64() > Some(1 << 53));
    client.send(r#"{"method":"ping","req_id":5}"#).await;
    let pong = client.next_json().await;
    assert_eq!((&pong["method"], &pong["req_id"]), (&json!("pong"), &json!(5)));
    let request = r#"{"method":"subscribe","params":{"channel":"book","symbol":["BTC/USD","ETH/USD"]},"req_id":6}"#;
    client.send(request).await;
    let (mut acks, mut heartbeats, mut books) = (0, 0, 0);
    while heartbeats < 3 {
        let frame = client.next_json().await;
        acks += i32::from(frame["method"] == "subscribe" && frame["success"] == true);
        heartbeats += i32::from(is_channel(&frame, "heartbeat"));
        books += i32::from(is_channel(&frame, "book"));
    }
    assert_eq!(acks, 2, "one answer per symbol");
    assert!(books > 10);
    running.stop().await;
}

#[tokio::test]
async fn every_checksum_matches_at_every_depth_and_every_book_message_is_counted() {
    let running = Running::generated(3, 2, MarketSource::Pulses, 20.0).await;
    let mut clients = Vec::new();
    for depth in [10, 25, 100, 500, 1_000] {
        let mut client = Client::connect(&running.url).await;
        let request = json!({"method": "subscribe", "req_id": depth, "params": {
            "channel": "book", "depth": depth, "symbol": ["BTC/USD", "ETH/USD", "SOL/USD"]}});
        client.send(&request.to_string()).await;
        clients.push((client, Books::of(depth)));
    }
    for (client, books) in &mut clients {
        while books.good + books.bad < 400 {
            let text = client.next().await.expect("a frame");
            if text.starts_with(r#"{"channel":"book""#) {
                let (symbol, matched) = books.apply(&text);
                assert!(matched, "depth {} {symbol}: {text}", books.depth);
            }
        }
        let (bids, asks) = books.len("BTC/USD");
        assert_eq!((bids, asks), (books.depth.min(bids), books.depth.min(asks)));
        assert!(bids >= books.depth.min(100), "depth {}: {bids}", books.depth);
    }
    let seen: u64 = clients.iter().map(|(_, books)| books.good).sum();
    assert!(running.handle.venue.stats.book_messages_sent() >= seen);
    running.stop().await;
}

#[tokio::test]
async fn the_count_of_book_messages_is_what_a_client_received() {
    let running = Running::generated(2, 3, MarketSource::Calm, 5.0).await;
    let mut client = Client::connect(&running.url).await;
    let params = r#"{"channel":"book","depth":25,"symbol":["BTC/USD","ETH/USD"]}"#;
    client.send(&format!(r#"{{"method":"subscribe","params":{params}}}"#)).await;
    let mut books = Books::of(25);
    while books.good < 200 {
        let text = client.next().await.expect("a frame");
        if text.starts_with(r#"{"channel":"book""#) {
            assert!(books.apply(&text).1);
        }
    }
    client.send(&format!(r#"{{"method":"unsubscribe","params":{params}}}"#)).await;
    let mut answers = 0;
    while answers < 2 {
        let text = client.next().await.expect("a frame");
        if text.starts_with(r#"{"channel":"book""#) {
            assert!(books.apply(&text).1);
        }
        answers += i32::from(text.contains(r#""method":"unsubscribe""#));
    }
    assert_eq!(running.handle.venue.stats.book_messages_sent(), books.good);
    running.stop().await;
}

#[tokio::test]
async fn one_bad_checksum_is_sent_once_and_a_new_subscription_heals_it() {
    let running = Running::generated(2, 4, MarketSource::Calm, 5.0).await;
    let mut client = Client::connect(&running.url).await;
    let params = r#"{"channel":"book","depth":10,"symbol":["BTC/USD"]}"#;
    client.send(&format!(r#"{{"method":"subscribe","params":{params}}}"#)).await;
    let fault =
        FaultRequest::BadChecksum { symbol: "BTC/USD".to_owned(), channel: "book".to_owned() };
    let (mut books, mut asked) = (Books::of(10), false);
    while books.bad == 0 {
        let text = client.next().await.expect("a frame");
        if text.starts_with(r#"{"channel":"book""#) {
            books.apply(&text);
            if books.good == 20 && !asked {
                asked = true;
                running.handle.venue.faults.add(&fault, 0);
            }
        }
    }
    client.send(&format!(r#"{{"method":"unsubscribe","params":{params}}}"#)).await;
    client.find(|frame| frame["method"] == "unsubscribe").await;
    client.send(&format!(r#"{{"method":"subscribe","params":{params}}}"#)).await;
    let mut healed = Books::of(10);
    while healed.good < 20 {
        let text = client.next().await.expect("a frame");
        if text.starts_with(r#"{"channel":"book""#) {
            assert!(healed.apply(&text).1, "{text}");
        }
    }
    assert_eq!(running.handle.venue.stats.json()["bad_checksums_sent"], 1);
    running.stop().await;
}

#[tokio::test]
async fn refusals_leave_the_socket_open() {
    let running = Running::generated(2, 5, MarketSource::Calm, 1.0).await;
    let mut client = Client::connect(&running.url).await;
    let subscribe =
        |params: &str| format!(r#"{{"method":"subscribe","params":{params},"req_id":9}}"#);
    for (params, error) in [
        (r#"{"channel":"book","symbol":["XBT/USD"]}"#, "Currency pair not supported XBT/USD"),
        (
            r#"{"channel":"book","symbol":["BTC/USD"],"depth":50}"#,
            "Subscription depth not supported",
        ),
        (r#"{"channel":"book"}"#, "EGeneral:Invalid arguments"),
        (r#"{"channel":"balances","token":"x"}"#, "Unsupported event"),
    ] {
        client.send(&subscribe(params)).await;
        let answer = client.answer().await;
        assert_eq!((&answer["success"], &answer["req_id"]), (&json!(false), &json!(9)));
        assert_eq!(answer["error"], error);
    }
    client.send(&subscribe(r#"{"channel":"trade","symbol":["NO/USD","BTC/USD"]}"#)).await;
    let refused = client.answer().await;
    assert_eq!(refused["error"], "Currency pair not supported NO/USD");
    let granted = client.answer().await;
    assert_eq!(
        (&granted["success"], &granted["result"]["symbol"]),
        (&json!(true), &json!("BTC/USD"))
    );
    client.send(&subscribe(r#"{"channel":"trade","symbol":["BTC/USD"]}"#)).await;
    assert_eq!(client.answer().await["error"], "Already subscribed");
    running.stop().await;
}

#[tokio::test]
async fn trades_are_contiguous_and_tickers_follow_their_trigger() {
    let running = Running::generated(1, 6, MarketSource::Calm, 10.0).await;
    let mut client = Client::connect(&running.url).await;
    for params in [
        r#"{"channel":"instrument"}"#,
        r#"{"channel":"trade","symbol":["BTC/USD"],"snapshot":true}"#,
        r#"{"channel":"ticker","symbol":["BTC/USD"],"event_trigger":"bbo"}"#,
        r#"{"channel":"ohlc","symbol":["BTC/USD"],"interval":1}"#,
    ] {
        client.send(&format!(r#"{{"method":"subscribe","params":{params}}}"#)).await;
    }
    let pairs = client.find(|frame| is_channel(frame, "instrument")).await;
    assert_eq!(pairs["data"]["pairs"][0]["symbol"], "BTC/USD");
    assert_eq!(pairs["data"]["pairs"][0]["price_precision"], 1);
    let snapshot = client.find(|frame| is_channel(frame, "trade")).await;
    assert_eq!(snapshot["type"], "snapshot");
    let last = |frame: &serde_json::Value| {
        let rows = frame["data"].as_array().cloned().unwrap_or_default();
        rows.iter().filter_map(|row| row["trade_id"].as_u64()).collect::<Vec<_>>()
    };
    let mut newest = last(&snapshot).last().copied();
    let (mut trades, mut tickers, mut candles) = (0, 0, 0);
    while trades < 20 || tickers < 5 || candles < 5 {
        let frame = client.next_json().await;
        if is_channel(&frame, "trade") {
            for id in last(&frame) {
                assert!(newest.is_none_or(|newest| id == newest + 1), "{newest:?} then {id}");
                newest = Some(id);
                trades += 1;
            }
        }
        tickers += i32::from(is_channel(&frame, "ticker") && frame["type"] == "update");
        candles += i32::from(is_channel(&frame, "ohlc") && frame["type"] == "update");
    }
    running.stop().await;
}

#[tokio::test]
async fn silence_and_cut_do_what_they_say() {
    let running = Running::generated(1, 7, MarketSource::Calm, 5.0).await;
    let mut client = Client::connect(&running.url).await;
    let params = r#"{"channel":"book","depth":10,"symbol":["BTC/USD"]}"#;
    client.send(&format!(r#"{{"method":"subscribe","params":{params}}}"#)).await;
    client.find(|frame| is_channel(frame, "book")).await;
    let silence =
        FaultRequest::Silence { channel: "book".to_owned(), symbol: None, for_ms: 600_000 };
    let venue = &running.handle.venue;
    venue.faults.add(&silence, venue.now_us());
    // What was on its way may still come; two heartbeats without a book between are a silence.
    let (mut heartbeats, mut books) = (0, 0);
    while heartbeats < 2 {
        let frame = client.next_json().await;
        if is_channel(&frame, "heartbeat") {
            heartbeats += 1;
        } else if is_channel(&frame, "book") {
            (heartbeats, books) = (0, books + 1);
        }
        assert!(books < 100, "the book went on");
    }
    let cut = FaultRequest::Cut { endpoint: penstock_sim::admin::Endpoint::Public, for_ms: 0 };
    venue.faults.add(&cut, venue.now_us());
    while client.next().await.is_some() {}
    running.stop().await;
}

#[tokio::test]
async fn another_path_is_refused() {
    let running = Running::generated(1, 8, MarketSource::Calm, 1.0).await;
    let url = running.url.replace("/v2", "/v1");
    assert!(tokio_tungstenite::connect_async(url).await.is_err());
    running.stop().await;
}

#[tokio::test]
async fn dropped_doubled_and_reordered_trades_show_in_their_numbers() {
    let running = Running::generated(1, 9, MarketSource::Calm, 20.0).await;
    let mut client = Client::connect(&running.url).await;
    let params = r#"{"channel":"trade","symbol":["BTC/USD"]}"#;
    client.send(&format!(r#"{{"method":"subscribe","params":{params}}}"#)).await;
    let venue = &running.handle.venue;
    for (action, seen) in
        [(FrameFault::Drop, "gap"), (FrameFault::Duplicate, "again"), (FrameFault::Reorder, "back")]
    {
        let fault = FaultRequest::Frames {
            channel: "trade".to_owned(),
            symbol: "BTC/USD".to_owned(),
            action,
            count: 1,
        };
        let mut newest: Option<(u64, u64)> = None;
        let mut asked = false;
        loop {
            let frame = client.find(|frame| is_channel(frame, "trade")).await;
            let rows = frame["data"].as_array().cloned().unwrap_or_default();
            let id = |row: Option<&serde_json::Value>| row.and_then(|row| row["trade_id"].as_u64());
            let (first, last) = (id(rows.first()).unwrap_or(0), id(rows.last()).unwrap_or(0));
            let what = match newest {
                Some((_, before)) if first == before + 1 => "next",
                Some((before, _)) if first == before => "again",
                Some((_, before)) if first > before => "gap",
                Some(_) => "back",
                None => "next",
            };
            newest = Some((first, last));
            if what == seen {
                break;
            }
            // A frame that comes out of order shows as a gap before it comes back.
            assert!(what == "next" || (seen == "back" && what == "gap"), "{action:?}: {what}");
            if !asked {
                asked = true;
                venue.faults.add(&fault, 0);
            }
        }
        // What follows a frame out of order is out of order once more.
        client.find(|frame| is_channel(frame, "trade")).await;
    }
    running.stop().await;
}
