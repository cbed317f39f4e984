//! The level 3 socket, seen by a client that knows only the documented rules.

use crate::common::{Client, call, calm, fault, recorded_messages, shape, token, venue};
use penstock_sim::exchange::{Price, Qty, Side};
use penstock_sim::level3::checksum;
use penstock_sim::server::{Handle, MarketSource, Options};
use rust_decimal::Decimal;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::collections::BTreeMap;

#[derive(serde::Deserialize)]
struct Row<'a> {
    event: Option<String>,
    order_id: String,
    #[serde(borrow)]
    limit_price: &'a RawValue,
    #[serde(borrow)]
    order_qty: &'a RawValue,
    timestamp: String,
}

#[derive(serde::Deserialize)]
struct Data<'a> {
    symbol: String,
    checksum: u32,
    #[serde(borrow)]
    bids: Vec<Row<'a>>,
    #[serde(borrow)]
    asks: Vec<Row<'a>>,
}

#[derive(serde::Deserialize)]
struct Frame<'a> {
    #[serde(rename = "type")]
    kind: String,
    #[serde(borrow)]
    data: Vec<Data<'a>>,
}

/// Orders of a level: id → (time, quantity in units).
type Level = BTreeMap<String, (String, i64)>;
/// Price units → orders.
type Levels = BTreeMap<i64, Level>;

/// Price and total of levels, best first.
type Totals = Vec<(i64, i64)>;

/// Books of single orders kept by the documented rules.
struct Books {
    depth: usize,
    books: BTreeMap<String, (Levels, Levels)>,
    good: usize,
    events: usize,
}

fn units(text: &str) -> i64 {
    text.replace('.', "").parse().expect("a decimal")
}

impl Books {
    fn of(depth: usize) -> Books {
        Books { depth, books: BTreeMap::new(), good: 0, events: 0 }
    }

    fn apply(&mut self, text: &str) {
        let frame: Frame<'_> = serde_json::from_str(text).expect("a level 3 frame");
        for data in &frame.data {
            let book = self.books.entry(data.symbol.clone()).or_default();
            if frame.kind == "snapshot" {
                *book = <(Levels, Levels)>::default();
            }
            self.events += data.bids.len() + data.asks.len();
            side(&mut book.0, &data.bids);
            side(&mut book.1, &data.asks);
            while book.0.len() > self.depth {
                book.0.pop_first();
            }
            while book.1.len() > self.depth {
                book.1.pop_last();
            }
            let queue = |(price, level): (&i64, &Level)| {
                let mut orders: Vec<&(String, i64)> = level.values().collect();
                orders.sort();
                (*price, orders.into_iter().map(|(_, qty)| *qty).collect())
            };
            let asks: Vec<(i64, Vec<i64>)> = book.1.iter().map(queue).collect();
            let bids: Vec<(i64, Vec<i64>)> = book.0.iter().rev().map(queue).collect();
            assert_eq!(checksum(&asks, &bids), data.checksum, "{text}");
            self.good += 1;
        }
    }

    /// Totals per level, best first.
    fn totals(&self, symbol: &str) -> (Totals, Totals) {
        let (bids, asks) = &self.books[symbol];
        let total = |(price, level): (&i64, &Level)| (*price, level.values().map(|o| o.1).sum());
        (bids.iter().rev().map(total).collect(), asks.iter().map(total).collect())
    }
}

fn side(levels: &mut Levels, rows: &[Row<'_>]) {
    for row in rows {
        let (price, qty) = (units(row.limit_price.get()), units(row.order_qty.get()));
        let level = levels.entry(price).or_default();
        match row.event.as_deref() {
            None | Some("add") => {
                level.insert(row.order_id.clone(), (row.timestamp.clone(), qty));
            }
            Some("modify") => {
                let known = level.get_mut(&row.order_id).expect("a known order");
                *known = (row.timestamp.clone(), qty);
            }
            Some("delete") => {
                level.remove(&row.order_id).expect("a known order");
            }
            Some(other) => panic!("event {other}"),
        }
        if level.is_empty() {
            levels.remove(&price);
        }
    }
}

async fn subscribe(client: &mut Client, token: &str, symbols: &[&str], depth: usize) {
    let request = json!({"method": "subscribe", "req_id": 9, "params": {
        "channel": "level3", "symbol": symbols, "depth": depth, "token": token}});
    client.send(&request.to_string()).await;
}

fn is_level3(text: &str) -> bool {
    text.starts_with(r#"{"channel":"level3""#)
}

#[tokio::test]
async fn every_checksum_matches_at_every_depth() {
    let handle = calm(3, 10.0).await;
    let token = token(&handle).await;
    for depth in [10, 100, 1_000] {
        let mut client = Client::connect(&handle.addresses.l3).await;
        assert_eq!(client.next_json().await["channel"], "status");
        subscribe(&mut client, &token, &["BTC/USD", "ETH/USD"], depth).await;
        let mut books = Books::of(depth);
        while books.good < 300 {
            let text = client.next().await.expect("a frame");
            if is_level3(&text) {
                books.apply(&text);
            }
        }
        let (bids, asks) = books.totals("BTC/USD");
        assert!(bids.len() >= depth.min(80) && asks.len() >= depth.min(80), "{depth}");
    }
    handle.stop().await;
}

/// A market that stands still but for these orders.
async fn still() -> Handle {
    let options = Options { market: MarketSource::Still, symbols: 2, ..Options::default() };
    let handle = venue(options).await;
    handle.venue.with(|exchange, now_us| {
        let btc = exchange.symbol_no("BTC/USD").expect("listed");
        for level in 0..30 {
            for size in 1..4 {
                let qty = Qty(10_000_000 * size + level);
                let (bid, ask) = (Price(500_000 - level * 7), Price(500_010 + level * 7));
                exchange.flow_limit(btc, Side::Buy, bid, qty, now_us);
                exchange.flow_limit(btc, Side::Sell, ask, qty, now_us);
            }
        }
        exchange.flow_market(btc, Side::Buy, Qty(1_000), now_us);
    });
    handle
}

#[tokio::test]
async fn sums_of_orders_are_the_levels_of_the_book() {
    let handle = still().await;
    let token = token(&handle).await;
    let mut client = Client::connect(&handle.addresses.l3).await;
    subscribe(&mut client, &token, &["BTC/USD"], 10).await;
    let mut books = Books::of(10);
    let mut dice = 12_345_u64;
    for round in 0..120_i64 {
        handle.venue.with(|exchange, now_us| {
            let btc = exchange.symbol_no("BTC/USD").expect("listed");
            for _ in 0..4 {
                dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let draw = i64::try_from(dice >> 33).expect("31 bits");
                let qty = Qty(1_000_000 + draw % 90_000_000);
                let away = draw % 70;
                match draw % 5 {
                    0 => {
                        exchange.flow_market(btc, Side::Buy, qty, now_us);
                    }
                    1 => {
                        exchange.flow_market(btc, Side::Sell, qty, now_us);
                    }
                    2 | 3 => {
                        exchange.flow_limit(btc, Side::Buy, Price(500_000 - away), qty, now_us);
                    }
                    _ => {
                        exchange.flow_limit(btc, Side::Sell, Price(500_010 + away), qty, now_us);
                    }
                }
            }
        });
        // Whoever waits for the market's last word knows it by the exchange itself.
        let wanted = handle.venue.with(|exchange, _| {
            let btc = exchange.symbol_no("BTC/USD").expect("listed");
            let side = |side| -> Vec<(i64, i64)> {
                exchange.depth(btc, side, 10).into_iter().map(|(p, q)| (p.0, q.0)).collect()
            };
            (side(Side::Buy), side(Side::Sell))
        });
        while !books.books.contains_key("BTC/USD") || books.totals("BTC/USD") != wanted {
            let text = client.next().await.expect("a frame");
            if is_level3(&text) {
                books.apply(&text);
            }
        }
        assert!(round < 120);
    }
    assert!(books.events > 400, "{}", books.events);
    handle.stop().await;
}

#[tokio::test]
async fn an_order_of_the_account_is_seen_with_its_id_and_loses_its_place_when_it_grows() {
    let handle = still().await;
    let token = token(&handle).await;
    let mut client = Client::connect(&handle.addresses.l3).await;
    subscribe(&mut client, &token, &["BTC/USD"], 10).await;
    client.find(|frame| frame["type"] == "snapshot").await;
    let terms = [
        ("pair", "XBTUSD"),
        ("type", "buy"),
        ("ordertype", "limit"),
        ("price", "50000.0"),
        ("volume", "0.01"),
    ];
    let placed = call(&handle, "AddOrder", &terms).await;
    let id = placed["result"]["txid"][0].as_str().expect("an id").to_owned();
    let of_order = |frame: &Value, kind: &str| {
        let rows = frame["data"][0]["bids"].as_array().cloned().unwrap_or_default();
        rows.into_iter().find(|row| row["order_id"] == id.as_str() && row["event"] == kind)
    };
    let added = client.find(|frame| of_order(frame, "add").is_some()).await;
    let added = of_order(&added, "add").expect("found");
    let amend = [("txid", id.as_str()), ("order_qty", "0.005")];
    assert_eq!(call(&handle, "AmendOrder", &amend).await["error"], json!([]));
    let less = client.find(|frame| of_order(frame, "modify").is_some()).await;
    let less = of_order(&less, "modify").expect("found");
    assert_eq!(less["timestamp"], added["timestamp"], "less quantity keeps the place");
    let amend = [("txid", id.as_str()), ("order_qty", "0.02")];
    assert_eq!(call(&handle, "AmendOrder", &amend).await["error"], json!([]));
    let more = client.find(|frame| of_order(frame, "modify").is_some()).await;
    let more = of_order(&more, "modify").expect("found");
    assert!(more["timestamp"].as_str() > added["timestamp"].as_str());
    let cancelled = call(&handle, "CancelOrder", &[("txid", id.as_str())]).await;
    assert_eq!(cancelled["result"]["count"], 1);
    client.find(|frame| of_order(frame, "delete").is_some()).await;
    handle.stop().await;
}

#[tokio::test]
async fn refusals_name_token_depth_symbol_and_limits() {
    let options = Options { market: MarketSource::Still, symbols: 210, ..Options::default() };
    let handle = venue(options.clone()).await;
    let good = token(&handle).await;
    let mut client = Client::connect(&handle.addresses.l3).await;
    let error = |frame: Value| frame["error"].as_str().unwrap_or_default().to_owned();
    let answer = |frame: &Value| frame.get("time_in").is_some();
    subscribe(&mut client, "invented", &["BTC/USD"], 10).await;
    assert_eq!(error(client.find(answer).await), "ESession:Invalid session");
    subscribe(&mut client, &good, &["BTC/USD"], 25).await;
    assert_eq!(error(client.find(answer).await), "Subscription depth not supported");
    subscribe(&mut client, &good, &["XBT/USD"], 10).await;
    assert_eq!(error(client.find(answer).await), "Currency pair not supported XBT/USD");
    subscribe(&mut client, &good, &["BTC/USD", "ETH/USD", "SOL/USD"], 1_000).await;
    let answers = [client.find(answer).await, client.find(answer).await, client.find(answer).await];
    assert_eq!([&answers[0]["success"], &answers[1]["success"]], [true, true]);
    assert!(answers[2]["error"].as_str().is_some_and(|text| text.contains("rate limit")));
    subscribe(&mut client, &good, &["BTC/USD"], 10).await;
    assert_eq!(error(client.find(answer).await), "Already subscribed");
    handle.stop().await;

    let handle = venue(Options { l3_points_per_s: 10_000, ..options }).await;
    let good = token(&handle).await;
    let mut client = Client::connect(&handle.addresses.l3).await;
    let symbols: Vec<String> = handle.venue.with(|exchange, _| {
        exchange.markets().iter().map(|one| one.instrument.symbol.clone()).collect()
    });
    let symbols: Vec<&str> = symbols.iter().map(String::as_str).collect();
    subscribe(&mut client, &good, &symbols, 10).await;
    let mut granted = 0;
    let refused = loop {
        let frame = client.find(answer).await;
        if frame["success"] == true {
            granted += 1;
        } else {
            break error(frame);
        }
    };
    assert_eq!(granted, 200);
    assert!(refused.contains("200 symbols per connection"), "{refused}");
    handle.stop().await;
}

#[tokio::test]
async fn a_bad_checksum_and_a_dropped_frame_are_committed_on_request() {
    let handle = calm(1, 5.0).await;
    let token = token(&handle).await;
    let mut client = Client::connect(&handle.addresses.l3).await;
    subscribe(&mut client, &token, &["BTC/USD"], 10).await;
    client.find(|frame| frame["type"] == "snapshot").await;
    let bad = r#"{"kind":"bad_checksum","symbol":"BTC/USD","channel":"level3"}"#;
    fault(&handle, bad).await;
    let sent = || handle.venue.stats.json()["bad_checksums_sent"].as_u64();
    while sent() != Some(1) {
        client.next().await.expect("a frame");
    }
    fault(&handle, r#"{"kind":"cut","endpoint":"l3"}"#).await;
    while client.next().await.is_some() {}
    handle.stop().await;
}

#[tokio::test]
async fn frames_look_like_recorded_ones_and_are_logged() {
    let Some(snapshots) = recorded_messages("kraken_v2:level3.snapshot") else { return };
    let updates = recorded_messages("kraken_v2:level3.update").expect("beside the snapshots");
    let handle = calm(1, 5.0).await;
    let token = token(&handle).await;
    let mut client = Client::connect(&handle.addresses.l3).await;
    subscribe(&mut client, &token, &["BTC/USD"], 10).await;
    let snapshot = client.find(|frame| frame["type"] == "snapshot").await;
    // Current servers stamp snapshots too.
    let mut wanted = shape(&snapshots[0]);
    wanted.insert(".data[].timestamp:text".to_owned());
    assert_eq!(shape(&snapshot), wanted);
    let both = |frame: &Value| {
        let rows = |side: &str| frame["data"][0][side].as_array().map_or(0, Vec::len);
        frame["channel"] == "level3" && rows("bids") > 0
    };
    let update = client.find(both).await;
    let of_bids = |shape: std::collections::BTreeSet<String>| {
        shape.into_iter().filter(|name| !name.contains("asks[]")).collect::<Vec<_>>()
    };
    assert_eq!(of_bids(shape(&update)), of_bids(shape(&updates[0])));
    let time = update["data"][0]["bids"][0]["timestamp"].as_str().expect("a time");
    assert_eq!(time.len(), "2024-05-19T18:59:46.541105556Z".len());
    let log = handle.venue.sends.page(0, 10, Some("level3"), Some("BTC/USD"));
    let top = &log["sends"][1]["top"];
    assert!(top[0].as_i64() < top[2].as_i64(), "{log}");
    let price = |side: &str| {
        let text = snapshot["data"][0][side][0]["limit_price"].to_string();
        text.parse::<Decimal>().expect("a price")
    };
    assert!(price("bids") < price("asks"));
    handle.stop().await;
}
