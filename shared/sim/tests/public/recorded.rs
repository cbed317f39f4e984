//! The real recording through the venue: every frame byte for byte, every checksum right.
//!
//! Needs the recordings (`PENSTOCK_RECORDINGS`, default `../shared/data/recordings` beside the
//! workspace); says so when they are not there.

use std::path::PathBuf;

use crate::common::{Books, Client, Running};
use penstock_sim::recording::{Body, Recording};
use serde_json::json;

const SPOT: &str = "kraken_spot_v2/book10_trade_BTCUSD_ETHUSD_20260707.rec.gz";
const DERIVED: &str = "kraken_spot_v2_derived/book1000_trade_7pairs_20210417.rec.gz";

fn path(name: &str) -> Option<PathBuf> {
    let workspace = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folder = std::env::var_os("PENSTOCK_RECORDINGS")
        .map_or_else(|| workspace.join("../shared/data/recordings"), PathBuf::from);
    let path = folder.join(name);
    if !path.exists() {
        println!("SKIPPED: {name} is not there; set PENSTOCK_RECORDINGS");
        return None;
    }
    Some(path)
}

fn recording(name: &str) -> Option<Recording> {
    path(name).map(|path| Recording::open(&path).expect("a recording"))
}

#[test]
fn the_recordings_offer_what_they_hold() {
    let Some(spot) = recording(SPOT) else { return };
    let names = |one: &Recording| -> Vec<String> {
        one.catalog.listings().iter().map(|l| l.instrument.symbol.clone()).collect()
    };
    assert_eq!((names(&spot), spot.depth), (vec!["BTC/USD".to_owned(), "ETH/USD".to_owned()], 10));
    let digits = |one: &Recording| -> Vec<(u32, u32)> {
        let of = |l: &penstock_sim::instruments::Listing| {
            (l.instrument.price_decimals, l.instrument.qty_decimals)
        };
        one.catalog.listings().iter().map(of).collect()
    };
    assert_eq!(digits(&spot), [(1, 8), (2, 8)]);
    let books = spot.frames.iter().filter(|f| matches!(f.body, Body::Book { .. })).count();
    assert_eq!((books, spot.frames.len()), (2_962, 2_972));
    assert!((21_000_000..22_500_000).contains(&spot.length_us()), "{}", spot.length_us());

    let Some(derived) = recording(DERIVED) else { return };
    assert_eq!((names(&derived).len(), derived.depth), (7, 1_000));
    assert_eq!(derived.frames.len(), 3_051 + 8);
    assert!((29_000_000..32_000_000).contains(&derived.length_us()));
}

async fn replayed_byte_for_byte(name: &str, checksums: u64) {
    let (Some(path), Some(recording)) = (path(name), recording(name)) else { return };
    let expected: Vec<String> = recording.frames.iter().map(|f| f.text.clone()).collect();
    let (depth, symbols): (usize, Vec<String>) = (
        recording.depth,
        recording.catalog.listings().iter().map(|l| l.instrument.symbol.clone()).collect(),
    );
    let running = Running::recorded(path, 40.0).await;
    let mut client = Client::connect(&running.url).await;
    let subscribe = |channel: &str, depth: usize| {
        json!({"method": "subscribe", "params": {
            "channel": channel, "symbol": symbols, "depth": depth, "snapshot": true}})
        .to_string()
    };
    let other = if depth == 10 { 25 } else { 10 };
    client.send(&subscribe("book", other)).await;
    assert_eq!(client.answer().await["error"], "Subscription depth not supported");
    client.send(&subscribe("book", depth)).await;
    client.send(&subscribe("trade", depth)).await;
    let mut books = Books::of(depth);
    let mut got = Vec::new();
    while got.len() < expected.len() {
        let text = client.next().await.expect("a frame");
        let book = text.starts_with(r#"{"channel":"book""#);
        let empty = text == r#"{"channel":"trade","type":"snapshot","data":[]}"#;
        if book {
            assert!(books.apply(&text).1, "{text}");
        }
        if (book || text.starts_with(r#"{"channel":"trade""#)) && !empty {
            got.push(text);
        }
    }
    assert!(got == expected, "frames differ from the recording");
    assert_eq!((books.good, books.bad), (checksums, 0));
    assert_eq!(running.handle.venue.stats.book_messages_sent(), checksums);
    let progress = running.handle.venue.stats.replay().expect("a progress");
    while !progress.ended() {
        tokio::task::yield_now().await;
    }
    assert_eq!(progress.json()["sent"], expected.len());
    // A late subscriber gets the book as it is now, with a checksum of its own.
    client.send(&subscribe("ticker", depth)).await;
    let ticker = client.find(|frame| frame["channel"] == "ticker").await;
    assert!(ticker["data"][0]["bid"].as_f64() < ticker["data"][0]["ask"].as_f64());
    let mut late = Client::connect(&running.url).await;
    late.send(&subscribe("book", depth)).await;
    let mut snapshots = Books::of(depth);
    while snapshots.good < symbols.len() as u64 {
        let text = late.next().await.expect("a frame");
        if text.starts_with(r#"{"channel":"book""#) {
            assert!(snapshots.apply(&text).1, "{text}");
        }
    }
    running.stop().await;
}

#[tokio::test]
async fn the_recording_of_2026_goes_out_byte_for_byte() {
    replayed_byte_for_byte(SPOT, 2_962).await;
}

#[tokio::test]
async fn the_derived_recording_goes_out_byte_for_byte() {
    replayed_byte_for_byte(DERIVED, 3_051).await;
}
