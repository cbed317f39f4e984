//! Private REST from outside: envelope, counter, order calls, history, lag, answers of something
//! before the API.

use crate::client::{Socket, admin, call, still_venue};
use serde_json::Value;

const BUY: [(&str, &str); 6] = [
    ("ordertype", "limit"),
    ("type", "buy"),
    ("pair", "XBTUSD"),
    ("volume", "0.10000000"),
    ("price", "50001.0"),
    ("oflags", "fciq"),
];

fn first(map: &Value) -> (String, Value) {
    let entry = map.as_object().and_then(|map| map.iter().next()).expect("one entry");
    (entry.0.clone(), entry.1.clone())
}

#[tokio::test]
async fn an_order_is_placed_filled_and_shown_with_its_trade_and_ledger_entries() {
    let handle = still_venue().await;
    let (status, added) = call(&handle, "AddOrder", &BUY).await;
    assert_eq!(status, 200);
    assert_eq!(added["error"], serde_json::json!([]));
    let txid = added["result"]["txid"][0].as_str().expect("an id").to_owned();
    assert_eq!(added["result"]["descr"]["order"], "buy 0.10000000 XBTUSD @ limit 50001.0");
    let (_, closed) = call(&handle, "ClosedOrders", &[("trades", "true")]).await;
    let (id, order) = first(&closed["result"]["closed"]);
    assert_eq!(id, txid);
    assert_eq!(order["status"], "closed");
    assert_eq!(order["vol_exec"], "0.10000000");
    let exec_id = order["trades"][0].as_str().expect("a trade").to_owned();
    let (_, history) = call(&handle, "TradesHistory", &[("consolidate_taker", "false")]).await;
    let (id, trade) = first(&history["result"]["trades"]);
    assert_eq!(id, exec_id);
    assert_eq!(trade["pair"], "XXBTZUSD");
    assert_eq!(trade["cost"], "5000.100000000");
    assert_eq!(trade["fee"], "10.00020");
    let (_, ledgers) = call(&handle, "Ledgers", &[("type", "trade")]).await;
    assert_eq!(ledgers["result"]["count"], 2);
    let (_, balance) = call(&handle, "BalanceEx", &[]).await;
    assert_eq!(balance["result"]["XXBT"]["balance"], "0.10000000");
    handle.stop().await;
}

#[tokio::test]
async fn refusals_are_errors_with_status_200_and_unknown_methods_are_named() {
    let handle = still_venue().await;
    let mut small = BUY;
    small[3].1 = "0.00001";
    let (status, refused) = call(&handle, "AddOrder", &small).await;
    assert_eq!((status, &refused["error"][0]), (200, &Value::from("EOrder:Order minimum not met")));
    let mut pair = BUY;
    pair[2].1 = "NOPE";
    let (_, refused) = call(&handle, "AddOrder", &pair).await;
    assert_eq!(refused["error"][0], "EQuery:Unknown asset pair");
    let (_, refused) = call(&handle, "AddExport", &[]).await;
    assert_eq!(refused["error"][0], "EGeneral:Unknown method");
    let (_, refused) = call(&handle, "QueryOrders", &[("txid", "OAAAAA-AAAAA-AAAAAA")]).await;
    assert_eq!(refused["error"][0], "EOrder:Unknown order");
    handle.stop().await;
}

#[tokio::test]
async fn the_counter_refuses_reads_and_leaves_order_calls_alone() {
    let handle = still_venue().await;
    let mut refused = false;
    for _ in 0..8 {
        let (_, answer) = call(&handle, "TradesHistory", &[]).await;
        refused = refused || answer["error"][0] == "EAPI:Rate limit exceeded";
    }
    assert!(refused);
    let (_, added) = call(&handle, "AddOrder", &BUY).await;
    assert_eq!(added["error"], serde_json::json!([]));
    handle.stop().await;
}

#[tokio::test]
async fn an_order_behind_a_502_was_placed_and_a_lagging_read_does_not_show_it_yet() {
    let handle = still_venue().await;
    let fault = r#"{"kind":"http","method":"AddOrder","count":1,"status":502,
        "body":"<html>bad gateway</html>","executed":true}"#;
    assert_eq!(admin(&handle, "/faults", Some(fault)).await.0, 200);
    let (status, body) = call(&handle, "AddOrder", &BUY).await;
    assert_eq!((status, body), (502, Value::from("<html>bad gateway</html>")));
    let lag = r#"{"kind":"rest_lag","ms":3600000}"#;
    assert_eq!(admin(&handle, "/faults", Some(lag)).await.0, 200);
    for method in ["OpenOrders", "ClosedOrders", "TradesHistory"] {
        let (_, answer) = call(&handle, method, &[]).await;
        let result = answer["result"].as_object().expect("a result");
        assert!(result.values().filter_map(Value::as_object).all(serde_json::Map::is_empty));
    }
    assert_eq!(admin(&handle, "/faults", Some(r#"{"kind":"clear"}"#)).await.0, 200);
    let (_, closed) = call(&handle, "ClosedOrders", &[]).await;
    assert_eq!(closed["result"]["count"], 1);
    let (_, ledger) = admin(&handle, "/ledger", None).await;
    let requests = ledger["requests"].as_array().expect("requests");
    let add = requests.iter().find(|request| request["method"] == "AddOrder").expect("logged");
    assert_eq!((&add["answered"], &add["outcome"]), (&Value::from(false), &Value::from("ok")));
    handle.stop().await;
}

#[tokio::test]
async fn an_error_text_may_hide_an_order_that_was_taken() {
    let handle = still_venue().await;
    let fault = r#"{"kind":"error","method":"add_order","text":"EOrder:Something new",
        "count":1,"executed":true}"#;
    assert_eq!(admin(&handle, "/faults", Some(fault)).await.0, 200);
    let mut socket = Socket::connect(&handle).await;
    let order = r#"{"order_type":"limit","side":"buy","symbol":"BTC/USD","order_qty":0.01,
        "limit_price":49000.0,"cl_ord_id":"hidden-1"}"#;
    let answer = socket.ask("add_order", order, 1).await;
    assert_eq!(answer["error"], "EOrder:Something new");
    let (_, open) = call(&handle, "OpenOrders", &[("cl_ord_id", "hidden-1")]).await;
    assert_eq!(first(&open["result"]["open"]).1["cl_ord_id"], "hidden-1");
    let batch = r#"{"symbol":"BTC/USD","orders":[
        {"order_type":"limit","side":"buy","order_qty":0.01,"limit_price":49000.0,"cl_ord_id":"b-1"},
        {"order_type":"limit","side":"buy","order_qty":9.0,"limit_price":49000.0}]}"#;
    let answer = socket.ask("batch_add", batch, 2).await;
    assert_eq!(answer["result"][0]["cl_ord_id"], "b-1");
    assert_eq!(answer["result"][1]["error"], "EOrder:Insufficient funds");
    let names = r#"{"cl_ord_id":["b-1","hidden-1"]}"#;
    assert_eq!(socket.ask("batch_cancel", names, 3).await["result"]["count"], 2);
    handle.stop().await;
}

#[tokio::test]
async fn deposits_reach_the_balance_and_too_large_withdrawals_do_not() {
    let handle = still_venue().await;
    let deposit = r#"{"asset":"USD","amount":"500.25"}"#;
    let (status, entry) = admin(&handle, "/transfer", Some(deposit)).await;
    assert_eq!((status, &entry["type"]), (200, &Value::from("deposit")));
    let (_, balance) = call(&handle, "Balance", &[]).await;
    assert_eq!(balance["result"]["ZUSD"], "10500.2500");
    let withdrawal = r#"{"asset":"USD","amount":"-20000"}"#;
    assert_eq!(admin(&handle, "/transfer", Some(withdrawal)).await.0, 400);
    let withdrawal = r#"{"asset":"USD","amount":"-100.25"}"#;
    assert_eq!(admin(&handle, "/transfer", Some(withdrawal)).await.0, 200);
    for (kind, amount, balance) in
        [("deposit", "500.2500", "10500.2500"), ("withdrawal", "-100.2500", "10400.0000")]
    {
        let (_, found) = call(&handle, "Ledgers", &[("type", kind), ("asset", "ZUSD")]).await;
        let number = |text: &Value| text.as_str().and_then(|text| text.parse::<f64>().ok());
        // The opening balance is a deposit too, so the row is looked up by its amount.
        let rows = found["result"]["ledger"].as_object().cloned().unwrap_or_default();
        let mut rows = rows.into_iter();
        let (id, row) =
            rows.find(|(_, row)| number(&row["amount"]) == amount.parse().ok()).expect("listed");
        assert!(id.starts_with('L'), "{id}");
        assert_eq!((&row["type"], &row["asset"]), (&Value::from(kind), &Value::from("ZUSD")));
        assert_eq!(number(&row["balance"]), balance.parse().ok(), "{row}");
    }
    handle.stop().await;
}
