//! Kraken Futures and Binance against what others captured: every message, every body, and a whole
//! session whose stream and REST images belong together.

mod common;

use std::collections::BTreeMap;

use common::{recordings, unzipped};
use penstock_venues::binance::{self, Event};
use penstock_venues::kraken_futures;
use penstock_venues::recording::path_of;
use penstock_venues::wire::Unknowns;

fn unknowns(value: &impl Unknowns) -> Vec<String> {
    let mut found = Vec::new();
    value.visit_unknowns(&mut |unknown| found.push(format!("{unknown:?}")));
    found
}

/// Kind and raw text of every captured message.
fn messages() -> Option<Vec<(String, String)>> {
    let root = recordings()?;
    let text = unzipped(&root.join("messages/messages.jsonl.gz"));
    #[derive(serde::Deserialize)]
    struct Row {
        kind: String,
        raw: String,
    }
    let rows = text.lines().map(|line| {
        let row: Row = serde_json::from_str(line).expect("a row of the listing");
        (row.kind, row.raw)
    });
    Some(rows.collect())
}

#[test]
fn captured_futures_frames_decode() {
    let Some(messages) = messages() else { return };
    let mut decoded = BTreeMap::<&str, usize>::new();
    for (kind, raw) in &messages {
        let is_socket = kind.starts_with("kraken_futures:ws")
            || ["trade", "trade_snapshot", "book", "book_snapshot", "ticker"]
                .iter()
                .any(|feed| *kind == format!("kraken_futures:{feed}"));
        if !is_socket {
            continue;
        }
        let frame = kraken_futures::decode(raw).unwrap_or_else(|e| panic!("{kind}: {e}\n{raw}"));
        // Private feeds have no decoder here.
        if matches!(frame, kraken_futures::Frame::Unknown { .. }) {
            *decoded.entry("unknown").or_default() += 1;
            continue;
        }
        let private = raw.contains("signed_challenge");
        assert!(private || unknowns(&frame).is_empty(), "{kind}: {:?}", unknowns(&frame));
        *decoded.entry("known").or_default() += 1;
    }
    println!("{decoded:?}");
    assert!(decoded["known"] >= 15, "{decoded:?}");
}

#[test]
fn captured_futures_bodies_decode() {
    let Some(messages) = messages() else { return };
    let mut seen = 0;
    for (kind, raw) in &messages {
        let endpoint = match kind.as_str() {
            "kraken_futures:rest:GetOrderBook:rest"
            | "kraken_futures:rest"
            | "kraken_futures:http_futures_orderbook" => "orderbook",
            "kraken_futures:rest:GetSymbolStatus:rest" => "instruments/status",
            "kraken_futures:rest:GetSymbols:rest"
            | "kraken_futures:http_futures_instrument_no_fee_schedule" => "instruments",
            "kraken_futures:rest:GetTickers:rest" | "kraken_futures:http_futures_tickers" => {
                "tickers"
            }
            "kraken_futures:rest:GetTrades:rest" => "history",
            "kraken_futures:http_futures_historical_funding_rates" => "historical-funding-rates",
            _ => continue,
        };
        let path = format!("{}{endpoint}", kraken_futures::rest::PATH_PREFIX);
        let body = kraken_futures::rest::decode(&path, raw)
            .unwrap_or_else(|e| panic!("{kind}: {e}\n{raw}"));
        assert!(unknowns(&body).is_empty(), "{kind}: {:?}", unknowns(&body));
        if let kraken_futures::rest::Body::Tickers(rows) = &body {
            assert!(rows.iter().all(|row| row.relative_funding().is_ok()), "{kind}");
        }
        seen += 1;
    }
    assert!(seen >= 9, "only {seen} bodies looked at");
}

#[test]
fn captured_binance_frames_decode() {
    let Some(messages) = messages() else { return };
    let mut decoded = BTreeMap::<&str, usize>::new();
    for (kind, raw) in &messages {
        let of_this_market = kind.starts_with("binance_usdm:ws:")
            || kind.starts_with("binance_usdm:") && kind.contains("stream")
            // Both markets were captured under this name; only this one has an engine time.
            || kind.starts_with("binance_usdm_or_spot:") && raw.contains("\"T\":") && !raw.contains("\"M\":");
        if !of_this_market {
            continue;
        }
        let frame = binance::decode(raw).unwrap_or_else(|e| panic!("{kind}: {e}\n{raw}"));
        let name = match &frame {
            binance::Frame::Data { events, .. } => match &events[0] {
                Event::AggTrade(_) => "aggTrade",
                Event::Trade(_) => "trade",
                Event::BookTicker(_) => "bookTicker",
                Event::MarkPrice(_) => "markPrice",
                Event::ForceOrder(_) => "forceOrder",
                Event::Depth(_) => "depth",
                Event::Kline(_) => "kline",
                Event::ContractInfo(_) => "contractInfo",
                Event::Unknown { .. } => "unknown",
            },
            _ => "control",
        };
        *decoded.entry(name).or_default() += 1;
        assert!(name == "unknown" || unknowns(&frame).is_empty(), "{kind}: {:?}", unknowns(&frame));
    }
    println!("{decoded:?}");
    for name in
        ["aggTrade", "bookTicker", "markPrice", "forceOrder", "depth", "kline", "contractInfo"]
    {
        assert!(decoded.contains_key(name), "no {name}: {decoded:?}");
    }
}

#[test]
fn captured_binance_bodies_decode() {
    let Some(root) = recordings() else { return };
    let text = unzipped(&root.join("binance_usdm/rest_responses.jsonl.gz"));
    let mut seen = 0;
    #[derive(serde::Deserialize)]
    struct Row<'a> {
        path: String,
        #[serde(borrow)]
        body: &'a serde_json::value::RawValue,
    }
    for line in text.lines() {
        let row: Row<'_> = serde_json::from_str(line).unwrap();
        let body = binance::rest::decode(&row.path, row.body.get())
            .unwrap_or_else(|e| panic!("{}: {e}", row.path));
        assert!(!matches!(body, binance::rest::Body::Unknown), "{}", row.path);
        assert!(unknowns(&body).is_empty(), "{}: {:?}", row.path, unknowns(&body));
        seen += 1;
    }
    assert_eq!(seen, 38);
}

#[test]
fn steps_and_limits_come_from_the_filters() {
    let Some(root) = recordings() else { return };
    let text = unzipped(&root.join("binance_usdm/rest_exchangeInfo_20210417.rec.gz"));
    let frame = text.trim_end().splitn(3, '\t').nth(2).unwrap();
    let row = penstock_venues::recording::rest_row(frame).unwrap();
    let body = binance::rest::decode(path_of(&row.url), row.body.get()).unwrap();
    let binance::rest::Body::ExchangeInfo(info) = body else { panic!("no exchange info") };
    assert_eq!(info.weight_per_minute(), Some(2_400));
    let yfi = info.symbols.iter().find(|s| s.symbol.as_str() == "YFIUSDT").unwrap();
    let steps = (yfi.tick_size().map(|n| n.as_str()), yfi.step_size().map(|n| n.as_str()));
    assert_eq!(steps, (Some("0.1"), Some("0.001")));
}

/// The stream and the REST images were recorded together: merged by receive time, each symbol's book
/// finds its first change, never breaks, and is never crossed.
#[test]
fn the_recorded_session_gives_whole_books() {
    let Some(root) = recordings() else { return };
    let mut lines = Vec::new();
    for file in [
        "binance_usdm/aggTrade_depth_kline_bookTicker_4symbols_20210417.rec.gz",
        "binance_usdm/rest_depth1000_20210417.rec.gz",
    ] {
        let text = unzipped(&root.join(file));
        lines.extend(text.lines().map(str::to_owned));
    }
    lines.sort_by_key(|line| line.split('\t').next().unwrap().parse::<i64>().unwrap());
    let mut books = BTreeMap::<String, binance::book::Book>::new();
    let (mut applied, mut quotes) = (0, 0);
    for line in &lines {
        let frame = line.splitn(3, '\t').nth(2).unwrap();
        if let Ok(row) = penstock_venues::recording::rest_row(frame) {
            let path = path_of(&row.url);
            let binance::rest::Body::Depth(image) =
                binance::rest::decode(path, row.body.get()).unwrap()
            else {
                panic!("no depth: {path}")
            };
            let symbol = penstock_venues::recording::query_value(path, "symbol").unwrap();
            let book = books.entry(symbol.to_owned()).or_default();
            let action = book.image(image.last_update_id, &image.bids, &image.asks).unwrap();
            assert_eq!(action, binance::book::BookAction::Replace, "{symbol}");
            continue;
        }
        let Ok(binance::Frame::Data { events, .. }) = binance::decode(frame) else {
            panic!("no data: {frame}")
        };
        match &events[0] {
            Event::Depth(row) => {
                let book = books.entry(row.symbol.to_string()).or_default();
                let action = book.change(row).unwrap();
                assert_ne!(action, binance::book::BookAction::Refetch, "{}", row.symbol);
                let Some(levels) = book.levels() else { continue };
                assert!(!levels.is_crossed(), "{}", row.symbol);
                applied += 1;
            }
            Event::BookTicker(_) => quotes += 1,
            _ => {}
        }
    }
    assert_eq!(books.len(), 4);
    assert!(books.values().all(|book| book.levels().is_some()));
    println!("{applied} changes applied beside {quotes} quotes");
    assert!(applied > 900, "only {applied} changes were applied");
}
