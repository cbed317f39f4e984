//! Order-by-order sockets against the simulated venue: tokens, the budget of subscriptions, repairs.
//! The venue shares no code with them and refuses what exceeds its limits.
#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use penstock_sim::admin::FaultRequest;
use penstock_sim::server::{Handle, MarketSource, Options, start};
use penstock_venue_feeds::{
    Clock, DataKey, FeedCommand, FeedEvent, FeedHandle, Level3Config, Notice, Stamp, SystemClock,
    TokenError, TokenStatus, Tokens, fetch_token, spawn_level3, spawn_tokens,
};
use penstock_venues::kraken::book::{Precision, Verdict};
use penstock_venues::kraken::level3_book::Level3Book;
use penstock_venues::kraken::level3_plan::{POINTS_PER_SECOND_STANDARD, SubscribeBudget};
use penstock_venues::kraken::reconnect::ConnectBudget;
use penstock_venues::kraken::signing::PrivateKey;
use penstock_venues::kraken::{Frame, decode};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Longest wait for something that should happen.
const DEADLINE: Duration = Duration::from_secs(60);

async fn venue(symbols: usize) -> Handle {
    let options = Options { market: MarketSource::Pulses, symbols, ..Options::default() };
    start(options).await.unwrap()
}

fn pairs(venue: &Handle) -> BTreeMap<String, Precision> {
    venue.venue.with(|exchange, _| {
        let of = |m: &penstock_sim::exchange::Market| {
            let pair = &m.instrument;
            let price = u8::try_from(pair.price_decimals).unwrap();
            let qty = u8::try_from(pair.qty_decimals).unwrap();
            (pair.symbol.clone(), Precision { price, qty })
        };
        exchange.markets().iter().map(of).collect()
    })
}

/// An account with its sockets.
struct Account {
    tokens: Tokens,
    sockets: Vec<(FeedHandle, mpsc::Receiver<FeedEvent>)>,
    cancel: CancellationToken,
}

fn account(venue: &Handle, key: &str, symbols: &[&[String]]) -> Account {
    let (clock, cancel) = (Arc::new(SystemClock::new()), CancellationToken::new());
    let at = &venue.addresses;
    let secret = PrivateKey::from_base64(&at.data_secret).unwrap();
    let key = DataKey { key: key.to_owned(), secret };
    let tokens = spawn_tokens(&at.rest, key, None, clock.clone(), cancel.clone()).unwrap();
    let subscriptions = Arc::new(Mutex::new(SubscribeBudget::new(POINTS_PER_SECOND_STANDARD)));
    let budget = Arc::new(Mutex::new(ConnectBudget::default()));
    let socket = |(connection, symbols): (usize, &&[String])| {
        let config = Level3Config {
            url: at.l3.clone(),
            symbols: symbols.to_vec(),
            depth: 10,
            connection,
            subscriptions: Arc::clone(&subscriptions),
        };
        let (sender, events) = mpsc::channel(8_192);
        let shared = (clock.clone() as Arc<_>, Arc::clone(&budget));
        let feed = spawn_level3(config, &tokens, shared, sender, cancel.clone()).unwrap();
        (feed, events)
    };
    let sockets = symbols.iter().enumerate().map(socket).collect();
    Account { tokens, sockets, cancel }
}

impl Account {
    async fn stop(self) {
        self.cancel.cancel();
        for (feed, events) in self.sockets {
            drop(events);
            feed.task.await.unwrap();
        }
        self.tokens.task.await.unwrap();
    }
}

/// Books by the product's own rules.
#[derive(Default)]
struct Reader {
    precision: BTreeMap<String, Precision>,
    books: BTreeMap<String, Level3Book>,
    verified: BTreeMap<String, u32>,
    bad: Vec<String>,
    images: u32,
}

impl Reader {
    fn frame(&mut self, text: &str) {
        let Ok(Frame::Level3(message)) = decode(text) else { return };
        for row in &message.rows {
            let symbol = row.symbol.to_string();
            let precision = self.precision[&symbol];
            let book =
                self.books.entry(symbol.clone()).or_insert_with(|| Level3Book::new(10, precision));
            let verdict = if message.is_snapshot() {
                self.images += 1;
                book.apply_snapshot(row)
            } else {
                book.apply_update(row, |_| {})
            };
            if verdict == Ok(Verdict::Verified) {
                *self.verified.entry(symbol).or_default() += 1;
            } else {
                self.bad.push(symbol);
            }
        }
    }
}

/// Tokens that the venue was asked for.
fn tokens_given(venue: &Handle) -> u64 {
    venue.venue.stats.json()["rest"]["GetWebSocketsToken"].as_u64().unwrap()
}

async fn next(events: &mut mpsc::Receiver<FeedEvent>) -> FeedEvent {
    let next = tokio::time::timeout(DEADLINE, events.recv()).await;
    next.expect("an event in time").expect("a running task")
}

#[tokio::test]
async fn every_book_of_two_connections_verifies_and_no_limit_is_exceeded() {
    let venue = venue(60).await;
    let pairs = pairs(&venue);
    let names: Vec<String> = pairs.keys().cloned().collect();
    // 60 symbols cost 300 points of 200 a second: what the venue refuses would be told.
    let mut account = account(&venue, &venue.addresses.data_key, &[&names[..50], &names[50..]]);
    let mut reader = Reader { precision: pairs, ..Reader::default() };
    let mut acked = BTreeSet::new();
    for (_, events) in &mut account.sockets {
        let mine = acked.len();
        let wanted = if mine == 0 { 50 } else { 60 };
        while acked.len() < wanted || reader.verified.len() < wanted {
            match next(events).await {
                FeedEvent::Frame { text, .. } => reader.frame(&text),
                FeedEvent::Notice { notice: Notice::Acked(topic), .. } => {
                    acked.insert(topic.symbol);
                }
                FeedEvent::Notice { notice: Notice::Latency { .. }, .. }
                | FeedEvent::Alive { .. }
                | FeedEvent::Connected { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(reader.bad, Vec::<String>::new());
    assert_eq!(*account.tokens.status.borrow(), TokenStatus::Given);
    assert_eq!(tokens_given(&venue), 1, "both shared one token");
    account.stop().await;
    venue.stop().await;
}

#[tokio::test]
async fn a_bad_checksum_costs_one_resync_and_a_cut_connection_a_fresh_token() {
    let venue = venue(2).await;
    let pairs = pairs(&venue);
    let names: Vec<String> = pairs.keys().cloned().collect();
    let mut account = account(&venue, &venue.addresses.data_key, &[&names]);
    let mut reader = Reader { precision: pairs, ..Reader::default() };
    let fault = |text: String| {
        let fault: FaultRequest = serde_json::from_str(&text).unwrap();
        venue.venue.faults.add(&fault, venue.venue.now_us());
    };
    let (feed, events) = &mut account.sockets[0];
    while reader.verified.values().filter(|n| **n >= 5).count() < 2 {
        if let FeedEvent::Frame { text, .. } = next(events).await {
            reader.frame(&text);
        }
    }
    assert!(reader.bad.is_empty());

    fault(format!(r#"{{"kind":"bad_checksum","channel":"level3","symbol":"{}"}}"#, names[0]));
    while reader.bad.is_empty() {
        if let FeedEvent::Frame { text, .. } = next(events).await {
            reader.frame(&text);
        }
    }
    let command = FeedCommand::Resync { symbol: names[0].clone(), mismatch: true };
    feed.commands.send(command).await.unwrap();
    let images = reader.images;
    while reader.images == images {
        if let FeedEvent::Frame { text, .. } = next(events).await {
            reader.frame(&text);
        }
    }
    reader.bad.clear();
    let verified = reader.verified[&names[0]];
    while reader.verified[&names[0]] < verified + 5 {
        if let FeedEvent::Frame { text, .. } = next(events).await {
            reader.frame(&text);
        }
    }
    assert!(reader.bad.is_empty(), "the new image is the venue's");
    assert_eq!(tokens_given(&venue), 1, "it is young enough");

    fault(r#"{"kind":"cut","endpoint":"l3"}"#.to_owned());
    loop {
        match next(events).await {
            FeedEvent::Connected { epoch: 2, .. } => break,
            FeedEvent::Frame { text, .. } => reader.frame(&text),
            _ => {}
        }
    }
    let images = reader.images;
    while reader.images < images + 2 {
        if let FeedEvent::Frame { text, .. } = next(events).await {
            reader.frame(&text);
        }
    }
    assert_eq!(tokens_given(&venue), 2);
    account.stop().await;
    venue.stop().await;
}

#[tokio::test]
async fn a_refused_key_opens_no_socket_and_is_told() {
    let venue = venue(1).await;
    let names: Vec<String> = pairs(&venue).into_keys().collect();
    let mut account = account(&venue, "nobody's key", &[&names]);
    let refused = |status: &TokenStatus| matches!(status, TokenStatus::Refused(_));
    let told = tokio::time::timeout(DEADLINE, account.tokens.status.wait_for(refused)).await;
    assert_eq!(
        *told.expect("in time").expect("a running task"),
        TokenStatus::Refused("EAPI:Invalid key".to_owned())
    );
    assert!(account.sockets[0].1.try_recv().is_err(), "nothing was opened");
    account.stop().await;
    venue.stop().await;
}

/// A clock that went back by an hour.
struct Behind(SystemClock);

impl Clock for Behind {
    fn now(&self) -> Stamp {
        let Stamp { wall, mono_ns } = self.0.now();
        Stamp { wall: wall.plus_millis(-3_600_000), mono_ns }
    }
}

/// The venue keeps the highest nonce of a key and refuses what does not rise.
#[tokio::test]
async fn a_nonce_that_was_kept_rises_over_a_restart_whose_clock_went_back() {
    let venue = venue(1).await;
    let at = &venue.addresses;
    let directory = std::env::temp_dir().join(format!("data-nonce-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let file = Some(directory.join("data-nonce"));
    let key = || {
        let secret = PrivateKey::from_base64(&at.data_secret).unwrap();
        DataKey { key: at.data_key.clone(), secret }
    };
    let now: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let behind: Arc<dyn Clock> = Arc::new(Behind(SystemClock::new()));
    fetch_token(&at.rest, key(), file.clone(), now).await.unwrap();
    let forgotten = fetch_token(&at.rest, key(), None, behind.clone()).await;
    let Err(TokenError::Refused(text)) = forgotten else { panic!("a nonce that fell was taken") };
    assert_eq!(text, "EAPI:Invalid nonce");
    for _ in 0..2 {
        fetch_token(&at.rest, key(), file.clone(), behind.clone()).await.unwrap();
    }
    std::fs::remove_dir_all(&directory).unwrap();
}
