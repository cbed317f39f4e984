//! Kraken Futures, seen by a client that knows only the documented rules, and compared with
//! recorded frames.

use crate::common::{Client, calm, fault, get, recorded_frames, recorded_messages, shape, venue};
use penstock_sim::derivatives::{self, Market};
use penstock_sim::exchange::{Exchange, ExchangeConfig};
use penstock_sim::generator::{Clock, Generator, Scenario, Segment, Story};
use penstock_sim::instruments::Catalog;
use penstock_sim::server::{MarketSource, Options};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const RECORDING: &str = "kraken_futures/book_trade_tickerlite_10products_20210722.rec.gz";

async fn subscribe(client: &mut Client, feed: &str, products: &[&str]) {
    let request = json!({"event": "subscribe", "feed": feed, "product_ids": products});
    client.send(&request.to_string()).await;
}

fn is_feed(frame: &Value, feed: &str) -> bool {
    frame["feed"] == feed && frame.get("event").is_none()
}

#[tokio::test]
async fn book_deltas_continue_the_snapshot_and_rebuild_the_book() {
    let handle = calm(2, 5.0).await;
    let mut client = Client::connect(&handle.addresses.futures_ws).await;
    assert_eq!(client.next_json().await, json!({"event": "info", "version": 1}));
    subscribe(&mut client, "book", &["pf_xbtusd", "PI_XBTUSD"]).await;
    let acked = client.next_json().await;
    let expected = json!({"event": "subscribed", "feed": "book", "product_ids": ["PF_XBTUSD"]});
    assert_eq!(acked, expected);
    let mut books: BTreeMap<String, (u64, BTreeMap<String, Value>)> = BTreeMap::new();
    let mut deltas = 0;
    while deltas < 400 {
        let frame = client.next_json().await;
        if frame.get("event").is_some() {
            continue;
        }
        let product = frame["product_id"].as_str().unwrap_or_default().to_owned();
        if is_feed(&frame, "book_snapshot") {
            let seq = frame["seq"].as_u64().expect("a number");
            let mut levels = BTreeMap::new();
            for (side, rows) in [("buy", &frame["bids"]), ("sell", &frame["asks"])] {
                for row in rows.as_array().expect("levels") {
                    levels.insert(format!("{side} {}", row["price"]), row["qty"].clone());
                }
            }
            books.insert(product, (seq, levels));
        } else if is_feed(&frame, "book") {
            let (seq, levels) = books.get_mut(&product).expect("a snapshot comes first");
            *seq += 1;
            assert_eq!(frame["seq"].as_u64(), Some(*seq), "{frame}");
            let side = frame["side"].as_str().expect("a side");
            let key = format!("{side} {}", frame["price"]);
            if frame["qty"] == json!(0.0) {
                assert!(levels.remove(&key).is_some(), "only known levels are removed");
            } else {
                levels.insert(key, frame["qty"].clone());
            }
            deltas += 1;
        }
    }
    assert_eq!(books.len(), 2);
    handle.stop().await;
}

#[tokio::test]
async fn frames_have_the_fields_of_recorded_ones() {
    let Some(recorded) = recorded_frames(RECORDING) else { return };
    let handle = calm(1, 20.0).await;
    let mut client = Client::connect(&handle.addresses.futures_ws).await;
    client.next().await.expect("info");
    // A snapshot of trades needs trades.
    let has_traded = || async {
        let url = format!("{}/history?symbol=PF_XBTUSD", handle.addresses.futures_rest);
        get(&url).await.2["history"].as_array().is_some_and(|rows| !rows.is_empty())
    };
    while !has_traded().await {
        tokio::task::yield_now().await;
    }
    for feed in ["book", "trade", "ticker_lite", "ticker"] {
        subscribe(&mut client, feed, &["PF_XBTUSD"]).await;
    }
    let mut seen: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let wanted = ["book_snapshot", "book", "trade_snapshot", "trade", "ticker_lite", "ticker"];
    while !wanted.iter().all(|feed| seen.contains_key(*feed)) {
        let frame = client.next_json().await;
        if let Some(feed) = frame["feed"].as_str().filter(|_| frame.get("event").is_none()) {
            seen.entry(feed.to_owned()).or_insert_with(|| shape(&frame));
        }
    }
    let first = |feed: &str| recorded.iter().find(|frame| is_feed(frame, feed)).map(shape);
    for feed in ["book_snapshot", "book", "trade_snapshot", "trade"] {
        assert_eq!(Some(&seen[feed]), first(feed).as_ref(), "{feed}");
    }
    // Since the recording the short ticker has gained one field.
    let mut lite = first("ticker_lite").expect("recorded");
    lite.insert(".volumeQuote:number".to_owned());
    assert_eq!(seen["ticker_lite"], lite);
    let tickers = recorded_messages("kraken_futures:ws:Ticker:ticker").expect("beside the others");
    assert_eq!(seen["ticker"], shape(&tickers[0]));
    handle.stop().await;
}

#[tokio::test]
async fn refusals_do_not_close_the_socket_and_heartbeats_come_when_asked_for() {
    let handle = calm(1, 1.0).await;
    let mut client = Client::connect(&handle.addresses.futures_ws).await;
    client.next().await.expect("info");
    for (request, message) in [
        ("{", "Json Error"),
        (r#"{"event":"subscribe","feed":"nonsense","product_ids":["PF_XBTUSD"]}"#, "Invalid feed"),
        (r#"{"event":"subscribe","feed":"book","product_ids":["PF_NOUSD"]}"#, "Invalid product id"),
        (r#"{"event":"subscribe","feed":"book"}"#, "Invalid product id"),
    ] {
        client.send(request).await;
        assert_eq!(client.next_json().await, json!({"event": "error", "message": message}));
    }
    subscribe(&mut client, "ticker", &["PF_XBTUSD"]).await;
    client.find(|frame| is_feed(frame, "ticker") && frame.get("event").is_none()).await;
    subscribe(&mut client, "ticker", &["PF_XBTUSD"]).await;
    client.find(|frame| frame["event"] == "alert").await;
    let request = json!({"event": "unsubscribe", "feed": "ticker", "product_ids": ["PF_XBTUSD"]});
    client.send(&request.to_string()).await;
    client.find(|frame| frame["event"] == "unsubscribed").await;
    client.send(r#"{"event":"subscribe","feed":"heartbeat"}"#).await;
    let beat = client.find(|f| is_feed(f, "heartbeat") && f.get("event").is_none()).await;
    assert!(beat["time"].as_i64() > Some(1_700_000_000_000));
    let error = r#"{"kind":"error","method":"futures/subscribe","text":"Too busy","count":1}"#;
    fault(&handle, error).await;
    subscribe(&mut client, "ticker", &["PF_XBTUSD"]).await;
    client.find(|frame| frame["message"] == "Too busy").await;
    handle.stop().await;
}

#[tokio::test]
async fn faults_meet_the_frames_of_one_product() {
    let handle = calm(2, 5.0).await;
    let mut client = Client::connect(&handle.addresses.futures_ws).await;
    let frames = |action: &str| {
        format!(
            r#"{{"kind":"frames","channel":"futures/book","symbol":"PF_XBTUSD","action":"{action}","count":1}}"#
        )
    };
    fault(&handle, &frames("drop")).await;
    fault(&handle, &frames("duplicate")).await;
    subscribe(&mut client, "book", &["PF_XBTUSD", "PF_ETHUSD"]).await;
    let mut numbers: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    while numbers.values().filter(|all| all.len() > 30).count() < 2 {
        let frame = client.next_json().await;
        let seq = frame["seq"].as_u64();
        if let Some(seq) = seq.filter(|_| frame["feed"] != "trade") {
            let product = frame["product_id"].as_str().unwrap_or_default().to_owned();
            numbers.entry(product).or_default().push(seq);
        }
    }
    let steps = |product: &str| -> Vec<u64> {
        numbers[product].windows(2).take(3).map(|pair| pair[1] - pair[0]).collect()
    };
    assert_eq!(steps("PF_XBTUSD"), [2, 0, 1], "one is missing, the next comes twice");
    assert_eq!(steps("PF_ETHUSD"), [1, 1, 1]);
    fault(&handle, r#"{"kind":"cut","endpoint":"futures_ws"}"#).await;
    while client.next().await.is_some() {}
    handle.stop().await;
}

#[tokio::test]
async fn rest_rows_have_the_fields_of_recorded_ones() {
    let Some(recorded) = recorded_messages("kraken_futures:http_futures_tickers") else { return };
    let handle = calm(2, 20.0).await;
    let base = handle.addresses.futures_rest.clone();
    let history = loop {
        let (_, _, body) = get(&format!("{base}/history?symbol=PF_XBTUSD")).await;
        if body["history"].as_array().is_some_and(|rows| rows.len() > 2) {
            break body;
        }
    };
    let trades = recorded_messages("kraken_futures:rest:GetTrades:rest").expect("beside");
    assert_eq!(shape(&history["history"]), shape(&trades[0]["history"]));
    let (status, _, tickers) = get(&format!("{base}/tickers")).await;
    assert_eq!((status, &tickers["result"]), (200, &json!("success")));
    let find = |body: &Value, symbol: &str| {
        let rows = body["tickers"].as_array().cloned().unwrap_or_default();
        rows.into_iter().find(|row| row["symbol"] == symbol).expect("listed")
    };
    assert_eq!(shape(&find(&tickers, "PI_XBTUSD")), shape(&find(&recorded[0], "PI_XBTUSD")));
    let index = find(&tickers, "in_xbtusd");
    let names: Vec<&String> = index.as_object().expect("an object").keys().collect();
    assert_eq!(names, ["last", "lastTime", "symbol"]);
    let (_, _, one) = get(&format!("{base}/tickers/PF_ETHUSD")).await;
    assert_eq!(one["ticker"]["symbol"], "PF_ETHUSD");
    let (_, _, instruments) = get(&format!("{base}/instruments")).await;
    assert_eq!(instruments["instruments"].as_array().map(Vec::len), Some(4));
    let (_, _, book) = get(&format!("{base}/orderbook?symbol=pf_xbtusd")).await;
    let books = recorded_messages("kraken_futures:http_futures_orderbook").expect("beside");
    assert_eq!(shape(&book), shape(&books[0]));
    let (_, _, rates) = get(&format!("{base}/historical-funding-rates?symbol=PF_XBTUSD")).await;
    let recorded = recorded_messages("kraken_futures:http_futures_historical_funding_rates");
    assert_eq!(shape(&rates["rates"]), shape(&recorded.expect("beside")[0]["rates"]));
    let (_, _, missing) = get(&format!("{base}/orderbook?symbol=PF_NO")).await;
    assert_eq!(
        (&missing["result"], &missing["error"]),
        (&json!("error"), &json!("invalidArgument"))
    );
    let broken =
        r#"{"kind":"http","method":"futures/tickers","status":502,"body":"<html>","count":1}"#;
    fault(&handle, broken).await;
    let (status, _, body) = get(&format!("{base}/tickers")).await;
    assert_eq!((status, body), (502, json!("<html>")));
    handle.stop().await;
}

#[tokio::test]
async fn a_recording_brings_no_contracts() {
    let workspace = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folder = std::env::var_os("PENSTOCK_RECORDINGS")
        .map_or_else(|| workspace.join("../shared/data/recordings"), std::path::PathBuf::from);
    let path = folder.join("kraken_spot_v2/book10_trade_BTCUSD_ETHUSD_20260707.rec.gz");
    if !path.exists() {
        println!("SKIPPED: {} is not there; set PENSTOCK_RECORDINGS", path.display());
        return;
    }
    let market = MarketSource::Recorded(path);
    let handle = venue(Options { market, ..Options::default() }).await;
    let (_, _, body) = get(&format!("{}/instruments", handle.addresses.futures_rest)).await;
    assert_eq!(body["instruments"], json!([]));
    handle.stop().await;
}

/// Mark over the middle, funding, spread in basis points, open interest, liquidation prints so far.
type Second = (f64, f64, f64, i64, i64);

/// Runs the script in virtual time; per segment of the first symbol what its contract showed.
fn walk() -> BTreeMap<String, Vec<Second>> {
    let catalog = Catalog::generated(2).expect("a catalog");
    let mut exchange = Exchange::new(ExchangeConfig {
        instruments: catalog.instruments(),
        seed: 1,
        cash_usd: Decimal::ZERO,
        volume_30d_usd: Decimal::ZERO,
        recorded: false,
        start_us: 0,
    })
    .expect("an exchange");
    let clock = Clock { start_us: 0, speed: 1.0 };
    let story = Story { calm_s: 60.0, walkers: 1 };
    let mut generator = Generator::new(&catalog, 3, Scenario::Cascade(story), clock);
    generator.start_scenario(0);
    let mut market = Market::new(derivatives::binance(&catalog), 3, 2, 40, clock);
    let mut seen: BTreeMap<String, Vec<Second>> = BTreeMap::new();
    for second in 1..=640_i64 {
        let until = second * 1_000_000;
        while market.next_due_us() <= until {
            generator.run_until(market.next_due_us(), &mut exchange);
            market.run_next(&exchange, &generator);
        }
        exchange.take_events();
        let one = &market.contracts()[0];
        let ((bid, _), (ask, _)) = one.book.top().expect("both sides");
        let spread_bps = (ask - bid) as f64 / bid as f64 * 1e4;
        let mid = one.mid().expect("both sides");
        let segment = story.at(0, until - 1).0;
        let liquidations = one.prints.iter().filter(|print| print.liquidation).count();
        seen.entry(format!("{segment:?}")).or_default().push((
            one.mark / mid - 1.0,
            one.funding_8h,
            spread_bps,
            one.open_interest,
            i64::try_from(liquidations).expect("few"),
        ));
    }
    let named = [Segment::Pump, Segment::Stacking, Segment::Tension, Segment::Cascade];
    assert!(named.iter().all(|segment| seen.contains_key(&format!("{segment:?}"))));
    seen
}

#[test]
fn the_script_moves_open_interest_funding_mark_and_liquidations_together() {
    let seen = walk();
    let median = |segment: &str, pick: fn(&Second) -> f64| {
        let mut all: Vec<f64> = seen[segment].iter().map(pick).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    let change = |segment: &str| {
        let rows = &seen[segment];
        let minutes = rows.len() as f64 / 60.0;
        (rows[rows.len() - 1].3 as f64 / rows[0].3 as f64 - 1.0) / minutes
    };
    assert!((0.007..0.011).contains(&change("Pump")), "{}", change("Pump"));
    assert!((0.007..0.011).contains(&change("Stacking")), "{}", change("Stacking"));
    assert!((-0.03..-0.015).contains(&change("Cascade")), "{}", change("Cascade"));
    let last = |segment: &str| seen[segment][seen[segment].len() - 1];
    assert!(last("Pump").1 < 0.0002 && last("Stacking").1 > 0.0013);
    assert!((0.003..0.0036).contains(&median("Tension", |row| row.0)));
    assert!(median("Calm", |row| row.0.abs()) < 0.0002);
    let spread = |segment: &str| median(segment, |row| row.2);
    assert!(spread("Stacking") < 0.8 * spread("Calm"), "{}", spread("Stacking"));
    assert!(spread("Cascade") > 3.0 * spread("Calm"), "{}", spread("Cascade"));
    assert!(last("Cascade").4 > last("Stacking").4 + 5, "{}", last("Cascade").4);
}

#[test]
fn one_seed_gives_one_derivatives_market() {
    assert_eq!(walk(), walk());
}

#[tokio::test]
async fn a_clock_set_wrong_shows_on_every_venue_and_comes_back() {
    let handle = calm(1, 1.0).await;
    let mut client = Client::connect(&handle.addresses.futures_ws).await;
    subscribe(&mut client, "ticker", &["PF_XBTUSD"]).await;
    let ahead = |ms: i64| ms - handle.venue.steady_us() / 1_000;
    for skew_ms in [-3_600_000_i64, 900_000, 0] {
        fault(&handle, &format!(r#"{{"kind":"clock_skew","ms":{skew_ms}}}"#)).await;
        client
            .find(|frame| {
                let ms = frame["time"].as_i64().unwrap_or(i64::MIN / 2);
                (ahead(ms) - skew_ms).abs() < 120_000
            })
            .await;
        let url = format!("{}/fapi/v1/time", handle.addresses.binance_rest);
        let (_, _, body) = get(&url).await;
        let ms = body["serverTime"].as_i64().expect("a time");
        assert!((ahead(ms) - skew_ms).abs() < 120_000, "{body}");
        let url = format!("{}/0/public/Time", handle.addresses.rest);
        let (_, _, body) = get(&url).await;
        let ms = body["result"]["unixtime"].as_i64().expect("a time") * 1_000;
        assert!((ahead(ms) - skew_ms).abs() < 120_000, "{body}");
    }
    handle.stop().await;
}
