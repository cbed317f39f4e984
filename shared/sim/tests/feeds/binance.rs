//! Binance USD-M, seen by a client that knows only the documented rules, and compared with recorded
//! frames.

use crate::common::{
    Client, calm, fault, get, recorded_frames, recorded_messages, recorded_rows, shape, venue,
};
use penstock_sim::binance::Limits;
use penstock_sim::generator::Story;
use penstock_sim::server::{Handle, MarketSource, Options};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio_tungstenite::tungstenite::Message;

const RECORDING: &str = "binance_usdm/aggTrade_depth_kline_bookTicker_4symbols_20210417.rec.gz";

async fn combined(base: &str, streams: &str) -> Client {
    Client::connect(&format!("{base}/stream?streams={streams}")).await
}

fn id(value: &Value) -> u64 {
    value.as_u64().expect("a number")
}

#[tokio::test]
async fn depth_diffs_continue_the_rest_image_and_chain() {
    let handle = calm(2, 5.0).await;
    let base = &handle.addresses.binance_ws_public;
    let mut client = combined(base, "btcusdt@depth@100ms/btcusdt@depth").await;
    let mut kept: Vec<Value> = Vec::new();
    while kept.is_empty() {
        let frame = client.next_json().await;
        kept.extend((frame["stream"] == "btcusdt@depth@100ms").then(|| frame["data"].clone()));
    }
    let url = format!("{}/fapi/v1/depth?symbol=BTCUSDT&limit=1000", handle.addresses.binance_rest);
    let (status, headers, image) = get(&url).await;
    assert_eq!(status, 200);
    assert_eq!(headers["x-mbx-used-weight-1m"], "20");
    let last = id(&image["lastUpdateId"]);
    let mut book: BTreeMap<String, String> = BTreeMap::new();
    let mut apply = |side: &str, rows: &Value| {
        for row in rows.as_array().expect("levels") {
            let (price, qty) = (row[0].as_str().expect("text"), row[1].as_str().expect("text"));
            let key = format!("{side} {price}");
            if qty.parse::<f64>().expect("a number") == 0.0 {
                book.remove(&key);
            } else {
                book.insert(key, qty.to_owned());
            }
        }
    };
    apply("b", &image["bids"]);
    apply("a", &image["asks"]);
    let (mut applied, mut previous) = (0, None);
    while applied < 40 {
        let data = match kept.pop() {
            Some(data) => data,
            None => {
                let wanted = |frame: &Value| frame["stream"] == "btcusdt@depth@100ms";
                client.find(wanted).await["data"].clone()
            }
        };
        if id(&data["u"]) < last {
            continue;
        }
        match previous {
            None => assert!(id(&data["U"]) <= last + 41, "{data}"),
            Some(previous) => assert_eq!(id(&data["pu"]), previous),
        }
        assert!(id(&data["U"]) <= id(&data["u"]) && id(&data["pu"]) < id(&data["U"]));
        previous = Some(id(&data["u"]));
        apply("b", &data["b"]);
        apply("a", &data["a"]);
        applied += 1;
    }
    assert!(book.len() > 30 && book.len() < 100, "{}", book.len());
    handle.stop().await;
}

#[tokio::test]
async fn a_stream_on_the_wrong_route_is_acknowledged_and_silent() {
    let handle = calm(1, 5.0).await;
    let market = &handle.addresses.binance_ws_market;
    let mut client = Client::connect(&format!("{market}/ws")).await;
    let names = json!(["btcusdt@bookTicker", "btcusdt@nonsense", "btcusdt@markPrice@1s"]);
    let request = json!({"method": "SUBSCRIBE", "params": names, "id": 7});
    client.send(&request.to_string()).await;
    assert_eq!(client.next_json().await, json!({"result": null, "id": 7}));
    for _ in 0..10 {
        let frame = client.next_json().await;
        assert_eq!(frame["e"], "markPriceUpdate", "only the stream of this route speaks");
    }
    client.send(r#"{"method":"LIST_SUBSCRIPTIONS","id":8}"#).await;
    let listed = client.find(|frame| frame["id"] == 8).await;
    assert_eq!(listed["result"].as_array().map(Vec::len), Some(3));
    let request = json!({"method": "UNSUBSCRIBE", "params": names, "id": 9});
    client.send(&request.to_string()).await;
    client.find(|frame| frame["id"] == 9).await;
    client.send(r#"{"method":"NONSENSE","id":10}"#).await;
    let refused = client.next_json().await;
    assert_eq!((&refused["error"]["code"], &refused["id"]), (&json!(2), &json!(10)));
    client.send("{").await;
    assert_eq!(client.next_json().await["code"], 3);
    handle.stop().await;
}

#[tokio::test]
async fn frames_have_the_fields_of_recorded_ones() {
    let Some(recorded) = recorded_frames(RECORDING) else { return };
    let handle = calm(1, 20.0).await;
    let (public, market) =
        (&handle.addresses.binance_ws_public, &handle.addresses.binance_ws_market);
    let first = |suffix: &str| {
        let ends = |frame: &&Value| frame["stream"].as_str().is_some_and(|s| s.ends_with(suffix));
        shape(recorded.iter().find(ends).expect("recorded"))
    };
    for (base, stream) in [(public, "bookTicker"), (public, "depth@100ms"), (market, "aggTrade")] {
        let mut client = combined(base, &format!("btcusdt@{stream}")).await;
        let full = |frame: &Value| {
            // A diff may have changes on one side only.
            let rows =
                |side: &str| frame["data"][side].as_array().is_none_or(|all| !all.is_empty());
            rows("b") && rows("a")
        };
        let frame = client.find(full).await;
        assert_eq!(shape(&frame), first(&format!("@{stream}")), "{stream}");
        assert_eq!(frame["stream"], format!("btcusdt@{stream}"));
    }
    let marks = recorded_messages("binance_usdm_or_spot:markPrice").expect("beside the others");
    let mut client = combined(market, "btcusdt@markPrice@1s").await;
    let mark = client.next_json().await;
    assert_eq!(shape(&mark), shape(&marks[0]));
    for name in ["p", "i", "r"] {
        let digits = mark["data"][name].as_str().and_then(|text| text.split_once('.'));
        assert_eq!(digits.map(|(_, digits)| digits.len()), Some(8), "{name}");
    }
    assert_eq!(mark["data"]["T"].as_i64().map(|ms| ms % 28_800_000), Some(0));
    let mut client = combined(market, "!markPrice@arr@1s").await;
    assert!(client.next_json().await["data"].is_array());
    handle.stop().await;
}

#[tokio::test]
async fn liquidations_come_as_force_orders_of_the_recorded_form() {
    let Some(recorded) = recorded_messages("binance_usdm:liquidation_stream") else { return };
    let market = MarketSource::Cascade(Story { calm_s: 0.0, walkers: 1 });
    let handle = venue(Options { market, symbols: 1, speed: 60.0, ..Options::default() }).await;
    let mut spot = Client::connect(&handle.addresses.ws_public).await;
    for channel in ["book", "trade"] {
        let params = json!({"channel": channel, "symbol": ["BTC/USD"]});
        spot.send(&json!({"method": "subscribe", "params": params}).to_string()).await;
    }
    let base = &handle.addresses.binance_ws_market;
    let mut client = Client::connect(&format!("{base}/ws/btcusdt@forceOrder")).await;
    let reading = async { while spot.next().await.is_some() {} };
    let order = tokio::select! {
        biased;
        order = client.next_json() => order,
        () = reading => panic!("the spot socket has ended"),
    };
    assert_eq!(shape(&order), shape(&recorded[0]));
    assert_eq!(order["o"]["s"], "BTCUSDT");
    handle.stop().await;
}

#[tokio::test]
async fn aggregate_trades_are_contiguous_on_the_socket_and_over_rest() {
    let handle = calm(1, 20.0).await;
    let market = &handle.addresses.binance_ws_market;
    let mut client = Client::connect(&format!("{market}/ws/btcusdt@aggTrade")).await;
    let (mut next, mut first_trade) = (None, None);
    let mut last = 0;
    for _ in 0..60 {
        let frame = client.next_json().await;
        if let Some(next) = next {
            assert_eq!(id(&frame["a"]), next);
            assert_eq!(Some(id(&frame["f"])), first_trade);
        }
        last = id(&frame["a"]);
        (next, first_trade) = (Some(last + 1), Some(id(&frame["l"]) + 1));
    }
    let url = format!(
        "{}/fapi/v1/aggTrades?symbol=BTCUSDT&fromId={}&limit=10",
        handle.addresses.binance_rest,
        last - 20
    );
    let (_, _, rows) = get(&url).await;
    let ids: Vec<u64> = rows.as_array().expect("rows").iter().map(|row| id(&row["a"])).collect();
    assert_eq!(ids, (last - 20..last - 10).collect::<Vec<_>>());
    let recorded = recorded_messages("binance_usdm:rest:GetAggregatedTradeHistory:array");
    if let Some(recorded) = recorded {
        assert_eq!(shape(&rows), shape(&recorded[0]));
    }
    handle.stop().await;
}

/// The body that the venue answers, and the recorded one of the same path.
async fn both(handle: &Handle, path: &str, query: &str) -> Option<(Value, Value)> {
    let rows = recorded_rows("binance_usdm/rest_responses.jsonl.gz")?;
    let of_path = |row: &Value| row["path"] == path && !row["body"].is_null();
    let matching = rows.into_iter().filter(of_path);
    // Not every path of the venue was recorded.
    let recorded = matching.map(|row| row["body"].clone()).next()?;
    let url = format!("{}{path}?{query}", handle.addresses.binance_rest);
    let (status, _, body) = get(&url).await;
    assert_eq!(status, 200, "{url}: {body}");
    Some((body, recorded))
}

#[tokio::test]
async fn rest_bodies_have_the_fields_of_recorded_ones() {
    let handle = calm(2, 5.0).await;
    let mut compared = 0;
    for (path, query) in [
        ("/fapi/v1/openInterest", "symbol=BTCUSDT"),
        ("/fapi/v1/premiumIndex", "symbol=BTCUSDT"),
        ("/fapi/v1/depth", "symbol=BTCUSDT&limit=50"),
        ("/fapi/v1/ticker/bookTicker", "symbol=BTCUSDT"),
    ] {
        let Some((body, recorded)) = both(&handle, path, query).await else { continue };
        compared += 1;
        let recorded = match recorded {
            Value::Array(rows) if !body.is_array() => rows.into_iter().next().expect("a row"),
            other => other,
        };
        let missing: BTreeSet<String> =
            shape(&recorded).difference(&shape(&body)).cloned().collect();
        assert!(missing.is_empty(), "{path} lacks {missing:?}");
    }
    let Some(info) = recorded_frames("binance_usdm/rest_exchangeInfo_20210417.rec.gz") else {
        return;
    };
    assert!(compared > 0, "recordings are there and none has a path of these");
    let url = format!("{}/fapi/v1/exchangeInfo", handle.addresses.binance_rest);
    let (_, _, body) = get(&url).await;
    let perpetual = &info[0]["body"]["symbols"][0];
    assert_eq!(shape(&body["symbols"][0]), shape(perpetual));
    assert_eq!(shape(&body["rateLimits"]), shape(&info[0]["body"]["rateLimits"]));
    let (_, _, all) = get(&format!("{}/fapi/v1/premiumIndex", handle.addresses.binance_rest)).await;
    assert_eq!(all.as_array().map(Vec::len), Some(2));
    handle.stop().await;
}

#[tokio::test]
async fn refusals_weights_and_bans_are_the_venue_s() {
    let limits = Limits { weight_per_min: 50, ..Limits::default() };
    let options =
        Options { market: MarketSource::Calm, symbols: 1, binance: limits, ..Options::default() };
    let handle = venue(options).await;
    let base = format!("{}/fapi/v1", handle.addresses.binance_rest);
    for (path, code) in [
        ("openInterest", -1102),
        ("openInterest?symbol=NOUSDT", -1121),
        ("depth?symbol=BTCUSDT&limit=7", -4021),
        ("nonsense", -5000),
    ] {
        let (status, _, body) = get(&format!("{base}/{path}")).await;
        assert_eq!((status, &body["code"]), (400, &json!(code)), "{path}");
    }
    let url = format!("{base}/aggTrades?symbol=BTCUSDT");
    let mut seen = Vec::new();
    for _ in 0..14 {
        let (status, headers, _) = get(&url).await;
        let waits = headers.get("retry-after").is_some();
        assert_eq!(waits, status != 200);
        seen.push(status);
    }
    assert!(seen.contains(&429), "{seen:?}");
    // Unless a minute has just begun anew, going on ends in a ban.
    let (status, _, _) = get(&url).await;
    assert!(status == 418 || seen.iter().filter(|one| **one == 200).count() > 2, "{seen:?}");
    handle.stop().await;
}

#[tokio::test]
async fn connections_end_of_age_of_floods_and_of_faults_and_are_pinged() {
    let limits = Limits {
        rotation: Duration::from_secs(3),
        ping_every: Duration::from_millis(500),
        ..Limits::default()
    };
    let options =
        Options { market: MarketSource::Calm, symbols: 1, binance: limits, ..Options::default() };
    let handle = venue(options).await;
    let base = format!("{}/ws", handle.addresses.binance_ws_market);
    let mut client = Client::connect(&base).await;
    let mut pings = 0;
    while let Some(message) = client.message().await {
        pings += i32::from(matches!(message, Message::Ping(_)));
    }
    assert!(pings >= 1, "it was pinged before it was closed");
    let mut client = Client::connect(&base).await;
    for number in 0..30 {
        // The venue may have ended the connection in between, which is what is waited for.
        let text = format!(r#"{{"method":"LIST_SUBSCRIPTIONS","id":{number}}}"#);
        let _ended = futures_util::SinkExt::send(&mut client.socket, Message::text(text)).await;
    }
    let mut answers = 0;
    while client.next().await.is_some() {
        answers += 1;
    }
    assert!(answers <= 11, "{answers}");
    let mut client = Client::connect(&format!("{base}/btcusdt@markPrice@1s")).await;
    client.next().await.expect("a frame");
    fault(&handle, r#"{"kind":"cut","endpoint":"binance_market"}"#).await;
    while client.next().await.is_some() {}
    handle.stop().await;
}
