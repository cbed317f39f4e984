//! What the venue can be made to do to a client, from outside: requests that never arrive or arrive late,
//! orders that no list shows, orders by another hand, trades taken back, too much traded.

use crate::client::{Socket, admin, btc, call, still_venue};
use penstock_sim::account::EngineTier;
use penstock_sim::server::{Handle, MarketSource, Options, start};
use rust_decimal::Decimal;
use serde_json::Value;

const REST_BUY: [(&str, &str); 5] = [
    ("ordertype", "limit"),
    ("type", "buy"),
    ("pair", "XBTUSD"),
    ("volume", "0.10000000"),
    ("price", "50001.0"),
];

fn resting(id: &str) -> String {
    format!(
        r#"{{"order_type":"limit","side":"buy","symbol":"BTC/USD","order_qty":0.01,"limit_price":49000.0,"cl_ord_id":"{id}"}}"#
    )
}

async fn fault(handle: &Handle, json: &str) {
    let (status, answer) = admin(handle, "/faults", Some(json)).await;
    assert_eq!(status, 200, "{answer}");
}

async fn ledger(handle: &Handle) -> Value {
    admin(handle, "/ledger", None).await.1
}

/// Client ids and outcomes of the requests of a method, in the order in which they were carried out.
async fn requests(handle: &Handle, method: &str) -> Vec<(String, String)> {
    let ledger = ledger(handle).await;
    let all = ledger["requests"].as_array().expect("requests");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    all.iter()
        .filter(|request| request["method"] == method)
        .map(|request| (text(&request["cl_ord_id"][0]), text(&request["outcome"])))
        .collect()
}

fn pair(id: &str, outcome: &str) -> (String, String) {
    (id.to_owned(), outcome.to_owned())
}

#[tokio::test]
async fn a_dropped_request_reaches_no_engine_and_the_next_one_does() {
    let handle = still_venue().await;
    let mut socket = Socket::connect(&handle).await;
    fault(&handle, r#"{"kind":"request","method":"add_order","action":"drop"}"#).await;
    socket.send("add_order", &resting("lost"), 1).await;
    let answer = socket.ask("add_order", &resting("kept"), 2).await;
    assert_eq!(answer["success"], true);
    let seen = requests(&handle, "add_order").await;
    assert_eq!(seen, [pair("lost", "dropped"), pair("kept", "ok")]);
    let orders = ledger(&handle).await["orders"].clone();
    assert_eq!(orders.as_array().map(Vec::len), Some(1), "{orders}");
    handle.stop().await;
}

#[tokio::test]
async fn a_delayed_request_is_overtaken_and_outlives_its_connection() {
    let handle = still_venue().await;
    let mut socket = Socket::connect(&handle).await;
    let late = r#"{"kind":"request","method":"add_order","action":"delay","delay_ms":300}"#;
    fault(&handle, late).await;
    socket.send("add_order", &resting("late"), 1).await;
    assert_eq!(socket.ask("add_order", &resting("first"), 2).await["success"], true);
    drop(socket);
    while requests(&handle, "add_order").await.len() < 2 {
        tokio::task::yield_now().await;
    }
    let seen = requests(&handle, "add_order").await;
    assert_eq!(seen, [pair("first", "ok"), pair("late", "ok")]);
    handle.stop().await;
}

#[tokio::test]
async fn a_reordered_request_goes_after_the_next_one() {
    let handle = still_venue().await;
    let mut socket = Socket::connect(&handle).await;
    let swapped =
        r#"{"kind":"request","method":"cancel_order","action":"reorder","delay_ms":600000}"#;
    fault(&handle, swapped).await;
    socket.send("cancel_order", r#"{"cl_ord_id":["swapped"]}"#, 1).await;
    socket.send("add_order", &resting("swapped"), 2).await;
    assert_eq!(socket.answer(2).await["success"], true);
    // It came before the order and found it all the same.
    assert_eq!(socket.answer(1).await["success"], true);
    handle.stop().await;
}

#[tokio::test]
async fn a_dropped_rest_call_is_never_answered_and_a_delayed_one_late() {
    let handle = still_venue().await;
    fault(&handle, r#"{"kind":"request","method":"Balance","action":"drop"}"#).await;
    fault(&handle, r#"{"kind":"request","method":"Balance","action":"delay","delay_ms":20}"#).await;
    let lost =
        tokio::time::timeout(std::time::Duration::from_millis(200), call(&handle, "Balance", &[]));
    assert!(lost.await.is_err(), "nobody answers");
    let (status, answer) = call(&handle, "Balance", &[]).await;
    assert_eq!((status, &answer["error"]), (200, &serde_json::json!([])));
    let seen = requests(&handle, "Balance").await;
    assert_eq!(seen, [pair("", "dropped"), pair("", "ok")]);
    handle.stop().await;
}

#[tokio::test]
async fn an_order_that_vanished_is_in_no_list_and_lives_until_it_returns() {
    let handle = still_venue().await;
    let mut socket = Socket::connect(&handle).await;
    let answer = socket.ask("add_order", &resting("ghost"), 1).await;
    let txid = answer["result"]["order_id"].as_str().expect("an id").to_owned();
    let unknown = r#"{"kind":"vanish","order_id":"OAAAAA-AAAAA-AAAAAA","for_ms":1}"#;
    assert_eq!(admin(&handle, "/faults", Some(unknown)).await.0, 400);
    fault(&handle, r#"{"kind":"vanish","for_ms":3600000}"#).await;
    let listed = admin(&handle, "/faults", None).await.1;
    assert_eq!(listed["faults"][0]["fault"]["order_id"], txid.as_str(), "the oldest open one");
    let open = call(&handle, "OpenOrders", &[]).await.1["result"]["open"].clone();
    assert_eq!(open.as_object().map(serde_json::Map::len), Some(0));
    let (_, query) = call(&handle, "QueryOrders", &[("txid", &txid)]).await;
    assert_eq!(query["error"][0], "EOrder:Unknown order");
    let image = |frames: Vec<Value>| frames.last().expect("an image")["data"].clone();
    socket.send("subscribe", r#"{"channel":"executions","snap_orders":true}"#, 2).await;
    let frames = socket.until("executions", |frame| frame["type"] == "snapshot").await;
    assert_eq!(image(frames).as_array().map(Vec::len), Some(0));
    fault(&handle, r#"{"kind":"clear"}"#).await;
    let open = call(&handle, "OpenOrders", &[]).await.1["result"]["open"].clone();
    assert_eq!(open.as_object().map(serde_json::Map::len), Some(1));
    socket.send("subscribe", r#"{"channel":"executions","snap_orders":true}"#, 3).await;
    let frames = socket.until("executions", |frame| frame["type"] == "snapshot").await;
    assert_eq!(image(frames)[0]["cl_ord_id"], "ghost");
    handle.stop().await;
}

#[tokio::test]
async fn orders_by_hand_are_on_the_stream_and_in_no_request() {
    let handle = still_venue().await;
    let mut socket = Socket::connect(&handle).await;
    socket.send("subscribe", r#"{"channel":"executions","snap_orders":true}"#, 1).await;
    let body = r#"{"symbol":"BTC/USD","side":"buy","order_type":"limit","qty":"0.01","limit_price":"49000.0"}"#;
    let (status, placed) = admin(&handle, "/orders", Some(body)).await;
    assert_eq!(status, 200, "{placed}");
    let txid = placed["order_id"].as_str().expect("an id").to_owned();
    let own = |frame: &Value| frame["data"][0]["order_id"] == txid.as_str();
    socket.until("executions", |frame| own(frame) && frame["data"][0]["exec_type"] == "new").await;
    let (status, _) = crate::client::delete(&handle, &format!("/orders/{txid}")).await;
    assert_eq!(status, 200);
    socket
        .until("executions", |frame| own(frame) && frame["data"][0]["exec_type"] == "canceled")
        .await;
    let (status, refused) = crate::client::delete(&handle, &format!("/orders/{txid}")).await;
    assert_eq!((status, &refused["error"]), (400, &Value::from("EOrder:Unknown order")));
    let small = body.replace("0.01", "0.000001");
    let (_, refused) = admin(&handle, "/orders", Some(&small)).await;
    assert_eq!(refused["error"], "EOrder:Order minimum not met");
    let all = ledger(&handle).await["requests"].clone();
    let methods: Vec<&Value> =
        all.as_array().expect("requests").iter().map(|one| &one["method"]).collect();
    assert_eq!(methods, ["GetWebSocketsToken", "subscribe"]);
    handle.stop().await;
}

#[tokio::test]
async fn a_trade_taken_back_leaves_the_history_and_gives_every_digit_back() {
    let handle = still_venue().await;
    let before = ledger(&handle).await["balances"]["USD"]["balance"].clone();
    call(&handle, "AddOrder", &REST_BUY).await;
    let exec_id = ledger(&handle).await["trades"][0]["exec_id"].as_str().expect("one").to_owned();
    let body = format!(r#"{{"exec_id":"{exec_id}"}}"#);
    let (status, answer) = admin(&handle, "/bust", Some(&body)).await;
    assert_eq!(status, 200, "{answer}");
    let (_, history) = call(&handle, "TradesHistory", &[]).await;
    assert_eq!(history["result"]["count"], 0);
    let after = ledger(&handle).await;
    let exact = |value: &Value| value.as_str().and_then(|text| text.parse::<Decimal>().ok());
    assert_eq!(exact(&after["balances"]["USD"]["balance"]), exact(&before));
    assert_eq!(exact(&after["balances"]["BTC"]["balance"]), Some(Decimal::ZERO));
    assert_eq!(after["busts"][0]["exec_id"], exec_id.as_str());
    let (_, found) = call(&handle, "Ledgers", &[("type", "adjustment")]).await;
    assert_eq!(found["result"]["count"], 2);
    let (status, refused) = admin(&handle, "/bust", Some(&body)).await;
    assert_eq!(status, 400, "{refused}");
    handle.stop().await;
}

#[tokio::test]
async fn an_overfill_trades_more_than_was_ordered_and_once_only() {
    let handle = still_venue().await;
    fault(&handle, r#"{"kind":"overfill","count":1,"bps":1000}"#).await;
    let mut small = REST_BUY;
    small[3].1 = "0.05000000";
    call(&handle, "AddOrder", &small).await;
    call(&handle, "AddOrder", &small).await;
    let ledger = ledger(&handle).await;
    let orders = ledger["orders"].as_array().expect("orders");
    let of = |name: &str| -> Vec<&str> {
        orders.iter().filter_map(|order| order[name].as_str()).collect()
    };
    assert_eq!(of("cum_qty"), ["0.05500000", "0.05000000"]);
    assert_eq!(of("status"), ["filled", "filled"]);
    assert_eq!(ledger["balances"]["BTC"]["balance"], "0.10500000");
    handle.stop().await;
}

#[tokio::test]
async fn counters_show_the_tier_and_what_was_charged() {
    let options = Options {
        market: MarketSource::Still,
        symbols: 1,
        tier: EngineTier::STARTER,
        ..Options::default()
    };
    let handle = start(options).await.expect("starts on loopback");
    let mut socket = Socket::connect(&handle).await;
    for _ in 0..3 {
        call(&handle, "TradesHistory", &[]).await;
    }
    let (_, refused) = call(&handle, "TradesHistory", &[]).await;
    assert_eq!(refused["error"][0], "EAPI:Rate limit exceeded", "13 + 4 is above 15");
    let symbol = btc(&handle);
    handle.venue.with(|exchange, now_us| {
        let price = penstock_sim::exchange::Price(500_000);
        let qty = penstock_sim::exchange::Qty(100_000_000);
        exchange.flow_limit(symbol, penstock_sim::exchange::Side::Buy, price, qty, now_us);
    });
    let answer = socket.ask("add_order", &resting("counted"), 1).await;
    assert_eq!(answer["success"], true, "{answer}");
    let (_, counters) = admin(&handle, "/counters", None).await;
    assert_eq!(counters["tier"], "starter");
    assert_eq!(
        (&counters["engine"]["limit"], &counters["rest"]["limit"]),
        (&60.into(), &15.into())
    );
    let number = |value: &Value| value.as_str().and_then(|text| text.parse::<f64>().ok());
    let pair = &counters["engine"]["pairs"]["BTC/USD"];
    assert_eq!(pair["open_orders"], 1);
    assert!(number(&pair["count"]).is_some_and(|count| count > 0.0 && count <= 1.0), "{pair}");
    let rest = number(&counters["rest"]["count"]);
    assert!(rest.is_some_and(|count| count > 0.0 && count <= 19.0), "{rest:?}");
    handle.stop().await;
}

#[tokio::test]
async fn a_key_may_withdraw_when_the_fault_says_so() {
    let handle = still_venue().await;
    let may = |info: &Value| {
        let list = info["result"]["permissions"].as_array().cloned().unwrap_or_default();
        assert!(list.contains(&"modify-trades".into()), "{info}");
        list.contains(&"withdraw-funds".into())
    };
    assert!(!may(&call(&handle, "GetApiKeyInfo", &[]).await.1));
    fault(&handle, r#"{"kind":"key_permission","withdraw":true}"#).await;
    assert!(may(&call(&handle, "GetApiKeyInfo", &[]).await.1));
    handle.stop().await;
}

#[tokio::test]
async fn a_generated_market_moves_when_it_is_told_to_and_a_still_one_says_no() {
    let still = still_venue().await;
    let body = r#"{"symbol":"*","move_bps":-1000,"over_ms":0}"#;
    assert_eq!(admin(&still, "/market", Some(body)).await.0, 400);
    still.stop().await;
    let options = Options { market: MarketSource::Calm, symbols: 1, ..Options::default() };
    let handle = start(options).await.expect("starts on loopback");
    let symbol = btc(&handle);
    let bid = || {
        let top = handle.venue.with(|exchange, _| exchange.market(symbol).top());
        top.bid.map(|(price, _)| price.0).expect("a bid")
    };
    let before = bid();
    assert_eq!(admin(&handle, "/market", Some(r#"{"symbol":"NO/USD","move_bps":1}"#)).await.0, 400);
    assert_eq!(admin(&handle, "/market", Some(body)).await.0, 200);
    // The quotes follow in some looks; a market that does not move never gets there.
    while bid() > before * 905 / 1_000 {
        tokio::task::yield_now().await;
    }
    assert!(bid() > before * 890 / 1_000, "{before} to {}", bid());
    handle.stop().await;
}
