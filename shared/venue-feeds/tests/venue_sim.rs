//! The connector, the decoder and the books against the simulated venue, which shares no code with
//! them: every checksum agrees, and a bad one is repaired.
#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use penstock_sim::server::{Handle, MarketSource, Options, start};
use penstock_venue_feeds::{
    FeedCommand, FeedConfig, FeedEvent, FeedHandle, Plan, PublicRest, SystemClock, spawn_feed,
};
use penstock_venues::kraken::book::{Book, Precision, Verdict};
use penstock_venues::kraken::book_sync::{BookAction, BookEvent, BookState, step};
use penstock_venues::kraken::reconnect::ConnectBudget;
use penstock_venues::kraken::rest::public::{
    AssetPairResult, Entries, SystemStatusResult, TickerResult, TradesResult, pair_names,
};
use penstock_venues::kraken::rest::{PublicRequest, Reply};
use penstock_venues::kraken::vocabulary::EventTrigger;
use penstock_venues::kraken::{Frame, Unknowns, decode};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Longest wait for something that should happen.
const DEADLINE: Duration = Duration::from_secs(60);
const DEPTH: u32 = 25;

async fn venue(symbols: usize) -> Handle {
    let options = Options { market: MarketSource::Pulses, symbols, ..Options::default() };
    start(options).await.unwrap()
}

/// What ingest's core does with the frames of one connection, as far as books go.
#[derive(Default)]
struct Reader {
    precision: BTreeMap<String, Precision>,
    books: BTreeMap<String, (BookState, Book)>,
    verified: BTreeMap<String, u32>,
    mismatches: u32,
    tickers: u32,
    prints: u32,
    unknowns: Vec<String>,
}

impl Reader {
    /// Reads a frame; returns the symbols whose book has to be asked for anew.
    fn frame(&mut self, text: &str) -> Vec<String> {
        let frame = decode(text).unwrap();
        frame.visit_unknowns(&mut |unknown| self.unknowns.push(format!("{unknown:?}")));
        let mut resync = Vec::new();
        match &frame {
            Frame::Instrument(message) => {
                for pair in message.rows.pairs.iter().flatten() {
                    let precision =
                        Precision { price: pair.price_precision, qty: pair.qty_precision };
                    self.precision.insert(pair.symbol.to_string(), precision);
                }
            }
            Frame::Ticker(message) => self.tickers += message.rows.len() as u32,
            Frame::Trade(message) => self.prints += message.rows.len() as u32,
            Frame::Book(message) => {
                for row in &message.rows {
                    let precision = self.precision[row.symbol.as_str()];
                    let fresh = || (BookState::Awaiting, Book::new(DEPTH, precision));
                    let (state, book) =
                        self.books.entry(row.symbol.to_string()).or_insert_with(fresh);
                    let good = match (message.is_snapshot(), *state) {
                        (true, _) => book.apply_snapshot(row).unwrap() == Verdict::Verified,
                        (false, BookState::Live) => {
                            book.apply_update(row).unwrap() == Verdict::Verified
                        }
                        (false, _) => true,
                    };
                    let event = match (message.is_snapshot(), good) {
                        (true, true) => BookEvent::SnapshotGood,
                        (true, false) => BookEvent::SnapshotBad,
                        (false, true) => BookEvent::UpdateGood,
                        (false, false) => BookEvent::UpdateBad,
                    };
                    let (next, action) = step(*state, event);
                    *state = next;
                    match action {
                        BookAction::Publish => {
                            *self.verified.entry(row.symbol.to_string()).or_default() += 1;
                        }
                        BookAction::WithdrawAndResubscribe | BookAction::Resubscribe => {
                            self.mismatches += 1;
                            resync.push(row.symbol.to_string());
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
        resync
    }

    fn all_verified(&self, symbols: usize, times: u32) -> bool {
        self.verified.values().filter(|n| **n >= times).count() == symbols
    }
}

fn feed(
    handle: &Handle,
    symbols: Vec<String>,
) -> (FeedHandle, mpsc::Receiver<FeedEvent>, CancellationToken) {
    let plan = Plan {
        symbols,
        ticker: Some(EventTrigger::Bbo),
        trade: true,
        book_depth: Some(DEPTH),
        instrument: true,
        ..Plan::default()
    };
    let (sender, events) = mpsc::channel(4_096);
    let cancel = CancellationToken::new();
    let config = FeedConfig { url: handle.addresses.ws_public.clone(), plan };
    let budget = Arc::new(Mutex::new(ConnectBudget::default()));
    let clock = Arc::new(SystemClock::new());
    let feed = spawn_feed(config, clock, budget, sender, cancel.clone()).unwrap();
    (feed, events, cancel)
}

async fn symbols(handle: &Handle) -> Vec<String> {
    let rest = PublicRest::new(&handle.addresses.rest).unwrap();
    let answer = rest.get(&PublicRequest::AssetPairs).await;
    let Reply::Done { result, .. } = answer.reply::<Entries<'_, AssetPairResult<'_>>>() else {
        panic!("{answer:?}")
    };
    let names = pair_names(&result);
    result.0.iter().filter_map(|(id, _)| names.symbol(id)).map(str::to_owned).collect()
}

async fn next(events: &mut mpsc::Receiver<FeedEvent>) -> FeedEvent {
    let next = tokio::time::timeout(DEADLINE, events.recv()).await;
    next.expect("an event in time").expect("a running task")
}

#[tokio::test]
async fn books_of_the_venue_verify_and_a_bad_checksum_is_repaired() {
    let handle = venue(4).await;
    let symbols = symbols(&handle).await;
    assert_eq!(symbols.len(), 4);
    let (feed, mut events, cancel) = feed(&handle, symbols.clone());
    let mut reader = Reader::default();
    while !reader.all_verified(4, 20) || reader.tickers == 0 || reader.prints == 0 {
        match next(&mut events).await {
            FeedEvent::Frame { text, .. } => assert!(reader.frame(&text).is_empty(), "{text}"),
            FeedEvent::Disconnected { reason, .. } => panic!("{reason:?}"),
            _ => {}
        }
    }
    assert!(reader.unknowns.is_empty(), "{:?}", reader.unknowns);
    assert_eq!(reader.mismatches, 0);
    let body = format!(r#"{{"kind":"bad_checksum","symbol":"{}"}}"#, symbols[0]);
    let url = format!("{}/faults", handle.addresses.admin);
    let client = admin_client();
    assert!(client.post(url).body(body).send().await.unwrap().status().is_success());
    let verified = loop {
        let FeedEvent::Frame { text, .. } = next(&mut events).await else { continue };
        for symbol in reader.frame(&text) {
            let command = FeedCommand::Resync { symbol, mismatch: true };
            feed.commands.send(command).await.unwrap();
        }
        if reader.mismatches == 1 {
            break reader.verified[&symbols[0]];
        }
    };
    // A new image, and changes on top of it.
    while reader.verified[&symbols[0]] < verified + 5 {
        let FeedEvent::Frame { text, .. } = next(&mut events).await else { continue };
        assert!(reader.frame(&text).is_empty(), "{text}");
    }
    assert_eq!(reader.mismatches, 1);
    cancel.cancel();
    feed.task.await.unwrap();
    handle.stop().await;
}

#[tokio::test]
async fn a_cut_connection_comes_back_with_images() {
    let handle = venue(2).await;
    let symbols = symbols(&handle).await;
    let (feed, mut events, cancel) = feed(&handle, symbols);
    let mut reader = Reader::default();
    while !reader.all_verified(2, 3) {
        let FeedEvent::Frame { text, .. } = next(&mut events).await else { continue };
        reader.frame(&text);
    }
    let url = format!("{}/faults", handle.addresses.admin);
    let body = r#"{"kind":"cut","endpoint":"public"}"#;
    assert!(admin_client().post(url).body(body).send().await.unwrap().status().is_success());
    loop {
        match next(&mut events).await {
            FeedEvent::Disconnected { epoch: 1, .. } => break,
            FeedEvent::Frame { text, .. } => drop(reader.frame(&text)),
            _ => {}
        }
    }
    let mut reader = Reader { precision: reader.precision, ..Reader::default() };
    while !reader.all_verified(2, 3) {
        let FeedEvent::Frame { text, epoch, .. } = next(&mut events).await else { continue };
        assert_eq!(epoch, 2);
        reader.frame(&text);
    }
    cancel.cancel();
    feed.task.await.unwrap();
    handle.stop().await;
}

#[tokio::test]
async fn rest_of_the_venue_reads_as_its_types() {
    let handle = venue(2).await;
    let rest = PublicRest::new(&handle.addresses.rest).unwrap();
    let rest = rest.with_interval(Duration::from_millis(10));
    let answer = rest.get(&PublicRequest::SystemStatus).await;
    assert!(matches!(answer.reply::<SystemStatusResult<'_>>(), Reply::Done { .. }), "{answer:?}");
    let answer = rest.get(&PublicRequest::Ticker { pair: None }).await;
    let Reply::Done { result, .. } = answer.reply::<Entries<'_, TickerResult<'_>>>() else {
        panic!("{answer:?}")
    };
    assert_eq!(result.0.len(), 2);
    assert!(result.0.iter().all(|(_, ticker)| ticker.quote_volume_24h().is_some()));
    let trades = PublicRequest::Trades { pair: "XBTUSD", since: None, count: None };
    let answer = rest.get(&trades).await;
    assert!(matches!(answer.reply::<TradesResult<'_>>(), Reply::Done { .. }), "{answer:?}");
    handle.stop().await;
}

/// A client without TLS roots of the host; the admin interface is plain text on loopback.
fn admin_client() -> reqwest::Client {
    // Installed by whichever test comes first; the others find it there.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}
