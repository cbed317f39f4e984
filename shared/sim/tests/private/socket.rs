//! The private socket from outside: one order's life as the stream tells it.

use crate::client::{Socket, admin, btc, call, still_venue};
use serde_json::Value;

fn kinds(frames: &[Value]) -> Vec<(String, String)> {
    let rows =
        frames.iter().flat_map(|frame| frame["data"].as_array().cloned().unwrap_or_default());
    rows.map(|row| {
        let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
        (text("exec_type"), text("order_status"))
    })
    .collect()
}

fn pair(kind: &str, status: &str) -> (String, String) {
    (kind.to_owned(), status.to_owned())
}

async fn subscribed(handle: &penstock_sim::server::Handle) -> Socket {
    let mut socket = Socket::connect(handle).await;
    let status = socket.frame().await.expect("a first frame");
    assert_eq!(status["channel"], "status");
    assert_eq!(status["data"][0]["system"], "online");
    let params =
        r#"{"channel":"executions","snap_orders":true,"snap_trades":true,"ratecounter":true}"#;
    let ack = socket.ask("subscribe", params, 1).await;
    assert_eq!(ack["success"], true);
    assert_eq!(ack["result"]["maxratecount"], 125);
    let ack = socket.ask("subscribe", r#"{"channel":"balances"}"#, 2).await;
    assert_eq!(ack["success"], true);
    socket
}

#[tokio::test]
async fn a_market_buy_reports_its_fills_as_partial_and_then_filled_without_names() {
    let handle = still_venue().await;
    let mut socket = subscribed(&handle).await;
    let params = r#"{"order_type":"market","side":"buy","symbol":"BTC/USD","order_qty":0.15,
        "fee_preference":"quote","cl_ord_id":"0199a0b0-0000-8000-8000-00000001abcd"}"#;
    let answer = socket.ask("add_order", params, 3).await;
    assert_eq!(answer["success"], true, "{answer}");
    assert_eq!(answer["result"]["cl_ord_id"], "0199a0b0-0000-8000-8000-00000001abcd");
    let frames =
        socket.until("executions", |frame| frame["data"][0]["exec_type"] == "filled").await;
    let expected = [
        pair("pending_new", "pending_new"),
        pair("new", "new"),
        pair("trade", "partially_filled"),
        pair("filled", "filled"),
    ];
    assert_eq!(kinds(&frames[1..]), expected);
    let sequences: Vec<u64> = frames.iter().filter_map(|f| f["sequence"].as_u64()).collect();
    assert_eq!(sequences, [1, 2, 3, 4, 5]);
    let row = |index: usize| frames[index]["data"][0].clone();
    assert_eq!(row(1)["symbol"], "BTC/USD");
    assert!(row(2)["symbol"].is_null() && row(2)["side"].is_null());
    assert_eq!(row(3)["last_qty"].to_string(), "0.15");
    assert_eq!(row(3)["liquidity_ind"], "t");
    assert!(row(4)["exec_id"].is_null());
    let balances = socket.until("balances", |frame| frame["type"] == "update").await;
    let update = balances.last().expect("an update");
    let rows = update["data"].as_array().expect("rows");
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0]["ref_id"], rows[1]["ref_id"]);
    assert_eq!(rows[0]["ref_id"], row(3)["exec_id"]);
    handle.stop().await;
}

#[tokio::test]
async fn a_stop_protects_fires_on_the_last_trade_and_the_ledger_tells_the_naked_time() {
    let handle = still_venue().await;
    let mut socket = subscribed(&handle).await;
    let buy = r#"{"order_type":"limit","side":"buy","symbol":"BTC/USD","order_qty":0.10000000,
        "limit_price":50001.0,"time_in_force":"ioc","fee_preference":"quote"}"#;
    assert_eq!(socket.ask("add_order", buy, 3).await["success"], true);
    let stop = r#"{"order_type":"stop-loss","side":"sell","symbol":"BTC/USD",
        "order_qty":0.10000000,"triggers":{"reference":"last","price":49990.0},
        "stp_type":"cancel_oldest","fee_preference":"quote","cl_ord_id":"stop-1"}"#;
    let answer = socket.ask("add_order", stop, 4).await;
    assert_eq!(answer["success"], true, "{answer}");
    let symbol = btc(&handle);
    handle.venue.with(|exchange, now_us| {
        let (sell, qty) =
            (penstock_sim::exchange::Side::Sell, penstock_sim::exchange::Qty(1_100_000_000));
        exchange.flow_limit(
            symbol,
            penstock_sim::exchange::Side::Buy,
            penstock_sim::exchange::Price(499_000),
            penstock_sim::exchange::Qty(900_000_000),
            now_us,
        );
        exchange.flow_market(symbol, sell, qty, now_us);
    });
    let stop_id = answer["result"]["order_id"].clone();
    let frames = socket
        .until("executions", |frame| {
            let row = &frame["data"][0];
            row["exec_type"] == "filled" && row["order_id"] == stop_id
        })
        .await;
    let of_stop = frames.iter().filter(|frame| frame["data"][0]["order_id"] == stop_id).cloned();
    let seen = kinds(&of_stop.collect::<Vec<Value>>());
    assert_eq!(
        seen,
        [
            pair("pending_new", "pending_new"),
            pair("new", "new"),
            pair("status", "new"),
            pair("trade", "partially_filled"),
            pair("filled", "filled"),
        ]
    );
    let (_, exposure) = admin(&handle, "/exposure", None).await;
    assert_eq!(exposure["intervals"].as_array().map(Vec::len), Some(1), "{exposure}");
    assert_eq!(exposure["intervals"][0]["phase"], "holding");
    assert!(exposure["intervals"][0]["to_us"].is_i64());
    assert_eq!(exposure["close"], 0);
    let (_, ledger) = admin(&handle, "/ledger", None).await;
    assert_eq!(ledger["balances"]["BTC"]["balance"], "0.00000000");
    assert_eq!(ledger["balances"]["BTC"]["hold"], "0.00000000");
    let adds = ledger["requests"].as_array().expect("requests");
    let adds: Vec<&Value> = adds.iter().filter(|r| r["method"] == "add_order").collect();
    assert_eq!(adds.len(), 2);
    assert_eq!(adds[1]["cl_ord_id"][0], "stop-1");
    let opened = ledger["orders"][1]["opened_us"].as_i64().expect("a time");
    assert!(adds[1]["first_byte_us"].as_i64().expect("a stamp") <= opened);
    handle.stop().await;
}

#[tokio::test]
async fn amend_cancel_and_cancel_all_answer_and_report() {
    let handle = still_venue().await;
    let mut socket = subscribed(&handle).await;
    let rest = r#"{"order_type":"limit","side":"buy","symbol":"BTC/USD","order_qty":0.01,
        "limit_price":49000.0,"post_only":true,"cl_ord_id":"entry-1"}"#;
    assert_eq!(socket.ask("add_order", rest, 3).await["success"], true);
    let double = socket.ask("add_order", rest, 4).await;
    assert_eq!(double["success"], false);
    assert!(double["error"].as_str().is_some_and(|text| text.contains("cl_ord_id")));
    let amend = r#"{"cl_ord_id":"entry-1","limit_price":49100.0}"#;
    let answer = socket.ask("amend_order", amend, 5).await;
    assert!(answer["result"]["amend_id"].is_string(), "{answer}");
    let answer = socket.ask("cancel_order", r#"{"cl_ord_id":["entry-1"]}"#, 6).await;
    assert_eq!(answer["result"]["cl_ord_id"], "entry-1");
    let frames =
        socket.until("executions", |frame| frame["data"][0]["exec_type"] == "canceled").await;
    let last = &frames[frames.len() - 1]["data"][0];
    assert_eq!(last["reason"], "User requested");
    assert!(last["ratecount"].is_number());
    assert_eq!(frames[frames.len() - 2]["data"][0]["limit_price"].to_string(), "49100.0");
    let unknown = socket.ask("cancel_order", r#"{"cl_ord_id":["entry-1"]}"#, 7).await;
    assert_eq!(unknown["error"], "EOrder:Unknown order");
    assert_eq!(socket.ask("cancel_all", "{}", 8).await["result"]["count"], 0);
    handle.stop().await;
}

#[tokio::test]
async fn faults_drop_a_report_lose_an_answer_and_cut_the_socket() {
    let handle = still_venue().await;
    let mut socket = subscribed(&handle).await;
    let fault = r#"{"kind":"executions","action":"drop","count":1}"#;
    assert_eq!(admin(&handle, "/faults", Some(fault)).await.0, 200);
    let fault = r#"{"kind":"lost_ack","method":"add_order","count":1}"#;
    assert_eq!(admin(&handle, "/faults", Some(fault)).await.0, 200);
    let rest = r#"{"order_type":"limit","side":"buy","symbol":"BTC/USD","order_qty":0.01,
        "limit_price":49000.0,"cl_ord_id":"lost-1"}"#;
    socket.send("add_order", rest, 3).await;
    assert!(socket.ask("ping", "{}", 4).await["time_in"].is_string());
    let frames = socket.until("executions", |frame| frame["type"] == "update").await;
    let update = frames.last().expect("the second report");
    assert_eq!(update["data"][0]["exec_type"], "new");
    assert_eq!(update["sequence"], 3, "the dropped report has used up its number");
    let (_, open) = call(&handle, "OpenOrders", &[("cl_ord_id", "lost-1")]).await;
    assert_eq!(open["result"]["open"].as_object().map(serde_json::Map::len), Some(1));
    assert_eq!(
        admin(&handle, "/faults", Some(r#"{"kind":"cut","endpoint":"private"}"#)).await.0,
        200
    );
    while socket.frame().await.is_some() {}
    let (status, refused) = admin(&handle, "/faults", Some(r#"{"kind":"flood"}"#)).await;
    assert_eq!(status, 400);
    assert!(refused["error"].as_str().is_some_and(|text| text.contains("flood")));
    handle.stop().await;
}

#[tokio::test]
async fn a_session_without_a_valid_token_and_a_wrong_type_are_refused() {
    let handle = still_venue().await;
    let mut socket = subscribed(&handle).await;
    let integer = r#"{"order_type":"market","side":"buy","symbol":"BTC/USD","order_qty":1}"#;
    let answer = socket.ask("add_order", integer, 3).await;
    assert_eq!(answer["error"], "Order_qty field must be a number_float");
    let wrong = r#"{"order_type":"market","side":"buy","symbol":"XBT/USD","order_qty":1.0}"#;
    let answer = socket.ask("add_order", wrong, 4).await;
    assert_eq!(answer["error"], "Currency pair not supported XBT/USD");
    let answer = socket.ask("subscribe", r#"{"channel":"executions","token":"x"}"#, 5).await;
    assert_eq!(answer["success"], false);
    handle.stop().await;
}

#[tokio::test]
async fn with_a_slow_gateway_the_fill_comes_before_its_acknowledgement() {
    let handle = still_venue().await;
    let mut socket = subscribed(&handle).await;
    let delay = r#"{"kind":"venue_delay","ms":1500}"#;
    assert_eq!(admin(&handle, "/faults", Some(delay)).await.0, 200);
    let buy = r#"{"order_type":"market","side":"buy","symbol":"BTC/USD","order_qty":0.01}"#;
    socket.send("add_order", buy, 3).await;
    let mut seen = Vec::new();
    while let Some(frame) = socket.frame().await {
        if frame["req_id"] == 3 {
            break;
        }
        seen.push(frame);
    }
    assert!(kinds(&seen).contains(&pair("filled", "filled")));
    handle.stop().await;
}

#[tokio::test]
async fn a_stalled_socket_says_nothing_and_goes_on_where_it_was() {
    let handle = still_venue().await;
    let mut socket = subscribed(&handle).await;
    let stall = r#"{"kind":"stall","endpoint":"private","for_ms":1000}"#;
    assert_eq!(admin(&handle, "/faults", Some(stall)).await.0, 200);
    let order = [
        ("ordertype", "market"),
        ("type", "buy"),
        ("pair", "XBTUSD"),
        ("volume", "0.01"),
        ("cl_ord_id", "meanwhile"),
    ];
    call(&handle, "AddOrder", &order).await;
    let frames =
        socket.until("executions", |frame| frame["data"][0]["exec_type"] == "filled").await;
    let sequences: Vec<u64> = frames.iter().filter_map(|f| f["sequence"].as_u64()).collect();
    assert_eq!(sequences, [1, 2, 3, 4, 5]);
    handle.stop().await;
}
