//! What the socket tests share: a venue on free ports, and a client that knows only the documented
//! rules.
//!
//! The client reads numbers as text and computes checksums from that text, so it shares nothing
//! with the venue's encoder.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use penstock_sim::server::{Handle, MarketSource, Options, start};
use rust_decimal::Decimal;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// A running venue.
pub(crate) struct Running {
    pub(crate) handle: Handle,
    pub(crate) url: String,
}

impl Running {
    /// A generated market of so many symbols.
    pub(crate) async fn generated(
        symbols: usize,
        seed: u64,
        market: MarketSource,
        speed: f64,
    ) -> Self {
        Self::start(Options { seed, market, symbols, speed, ..Options::default() }).await
    }

    /// A recording.
    pub(crate) async fn recorded(path: PathBuf, speed: f64) -> Self {
        let market = MarketSource::Recorded(path);
        Self::start(Options { market, speed, ..Options::default() }).await
    }

    async fn start(options: Options) -> Self {
        let handle = start(options).await.expect("a venue");
        let url = handle.addresses.ws_public.clone();
        Self { handle, url }
    }

    pub(crate) async fn stop(self) {
        self.handle.stop().await;
    }
}

/// A client.
pub(crate) struct Client {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Client {
    pub(crate) async fn connect(url: &str) -> Self {
        let (socket, _) = connect_async(url).await.expect("a connection");
        Self { socket }
    }

    pub(crate) async fn send(&mut self, text: &str) {
        self.socket.send(Message::text(text)).await.expect("sent");
    }

    /// The next text; fails after ten seconds without one. `None` when the venue ended it.
    pub(crate) async fn next(&mut self) -> Option<String> {
        loop {
            let message = tokio::time::timeout(Duration::from_secs(10), self.socket.next());
            match message.await.expect("a frame in ten seconds") {
                Some(Ok(Message::Text(text))) => return Some(text.to_string()),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(_)) => {}
            }
        }
    }

    pub(crate) async fn next_json(&mut self) -> Value {
        serde_json::from_str(&self.next().await.expect("a text")).expect("json")
    }

    /// The next frame that fulfils the condition.
    pub(crate) async fn find(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let frame = self.next_json().await;
            if wanted(&frame) {
                return frame;
            }
        }
    }

    /// The next answer.
    pub(crate) async fn answer(&mut self) -> Value {
        self.find(|frame| frame.get("time_in").is_some()).await
    }
}

#[derive(serde::Deserialize)]
struct Level<'a> {
    #[serde(borrow)]
    price: &'a RawValue,
    #[serde(borrow)]
    qty: &'a RawValue,
}

#[derive(serde::Deserialize)]
struct Row<'a> {
    symbol: String,
    #[serde(borrow)]
    bids: Vec<Level<'a>>,
    #[serde(borrow)]
    asks: Vec<Level<'a>>,
    checksum: u32,
}

#[derive(serde::Deserialize)]
struct BookFrame<'a> {
    #[serde(rename = "type")]
    kind: String,
    #[serde(borrow)]
    data: Vec<Row<'a>>,
}

type Side = BTreeMap<Decimal, (String, String)>;

/// Books kept by the documented rules: apply in order, cut to the depth, compare the checksum.
#[derive(Default)]
pub(crate) struct Books {
    pub(crate) depth: usize,
    books: BTreeMap<String, (Side, Side)>,
    pub(crate) good: u64,
    pub(crate) bad: u64,
}

impl Books {
    pub(crate) fn of(depth: usize) -> Self {
        Self { depth, ..Self::default() }
    }

    /// Applies a book frame; its symbol and whether the checksum matched.
    pub(crate) fn apply(&mut self, text: &str) -> (String, bool) {
        let frame: BookFrame<'_> = serde_json::from_str(text).expect("a book frame");
        let row = frame.data.into_iter().next().expect("a row");
        let (bids, asks) = self.books.entry(row.symbol.clone()).or_default();
        if frame.kind == "snapshot" {
            bids.clear();
            asks.clear();
        }
        set(bids, &row.bids);
        set(asks, &row.asks);
        while bids.len() > self.depth {
            bids.pop_first();
        }
        while asks.len() > self.depth {
            asks.pop_last();
        }
        let mut digits = String::new();
        let best = asks.values().take(10).chain(bids.values().rev().take(10));
        for (price, qty) in best {
            for number in [price, qty] {
                digits.push_str(number.replace('.', "").trim_start_matches('0'));
            }
        }
        let matched = crc32fast::hash(digits.as_bytes()) == row.checksum;
        if matched {
            self.good += 1;
        } else {
            self.bad += 1;
        }
        (row.symbol, matched)
    }

    /// Levels of both sides of a book.
    pub(crate) fn len(&self, symbol: &str) -> (usize, usize) {
        self.books.get(symbol).map_or((0, 0), |(bids, asks)| (bids.len(), asks.len()))
    }
}

fn set(side: &mut Side, levels: &[Level<'_>]) {
    for level in levels {
        let (price, qty) = (level.price.get(), level.qty.get());
        let key: Decimal = price.parse().expect("a price");
        if qty.parse::<Decimal>().expect("a quantity").is_zero() {
            side.remove(&key);
        } else {
            side.insert(key, (price.to_owned(), qty.to_owned()));
        }
    }
}
