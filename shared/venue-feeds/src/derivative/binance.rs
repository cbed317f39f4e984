//! The protocol side of one Binance USD-M connection on one of its routes, without input or output.
//!
//! Input: frames, the time. Output: requests and notices. The venue acknowledges everything, also names
//! that do not exist and names of the other route, so that only frames prove a subscription. Proof of the
//! socket's life is what its route sends steadily: marks on one, best prices on the other. Pings come
//! from the venue and are answered by the socket library.

use core::convert::Infallible;
use std::collections::BTreeMap;

use penstock_venue_net::Stamp;
use penstock_venues::binance::stream::Route;
use penstock_venues::binance::{Event, Frame, decode};

use super::notice::{DerivFeed, DerivNotice, DerivTopic};
use super::topics::Topics;
use crate::protocol::Protocol;
use crate::session::{Action, DisconnectReason};

/// Symbols of one socket: with up to three streams each they stay within 200 streams.
pub const SYMBOLS_PER_SOCKET_MAX: usize = 66;
/// Streams per request; keeps requests short.
const BATCH_MAX: usize = 50;
/// Distance of requests, milliseconds: at most five per second, half of what the venue allows.
const REQUEST_INTERVAL_MS: i64 = 200;
/// Distance of the checks of all subscriptions, milliseconds.
const CHECK_INTERVAL_MS: i64 = 500;
/// Silence of what proves the socket's life after which it is suspect, and dead, milliseconds.
const LATE_MS: i64 = 5_000;
const DEAD_MS: i64 = 10_000;
/// The same for best prices while no symbol is liquid.
const QUIET_DEAD_MS: i64 = 60_000;
/// Requests whose answer may still come.
const REQUESTS_MAX: usize = 64;

/// State of one connection.
#[derive(Debug)]
pub struct BinanceSession {
    route: Route,
    pub(super) topics: Topics,
    by_stream: BTreeMap<String, DerivTopic>,
    requests: BTreeMap<u64, Vec<DerivTopic>>,
    request_id: u64,
    actions: Vec<Action<DerivNotice>>,
    proof_ms: i64,
    is_proven: bool,
    last_request_ms: i64,
    last_check_ms: i64,
    is_late: bool,
    is_closing: bool,
    is_whole: bool,
}

impl BinanceSession {
    /// A session for what `route` carries of these symbols, named as data names them (`BTCUSDT`).
    pub fn new(route: Route, symbols: &[String]) -> Self {
        let feeds: &[DerivFeed] = match route {
            Route::Public => &[DerivFeed::BookTicker],
            Route::Market => &[DerivFeed::AggTrade, DerivFeed::MarkPrice, DerivFeed::ForceOrder],
        };
        let topics: Vec<DerivTopic> = feeds
            .iter()
            .flat_map(|feed| symbols.iter().map(|s| DerivTopic { feed: *feed, symbol: s.clone() }))
            .collect();
        Self {
            route,
            by_stream: topics.iter().map(|topic| (stream(topic), topic.clone())).collect(),
            topics: Topics::new(topics.into_iter()),
            requests: BTreeMap::new(),
            request_id: 0,
            actions: Vec::new(),
            proof_ms: 0,
            is_proven: false,
            last_request_ms: i64::MIN / 2,
            last_check_ms: 0,
            is_late: false,
            is_closing: false,
            is_whole: false,
        }
    }

    fn notify(&mut self, notice: DerivNotice) {
        self.actions.push(Action::Notify(notice));
    }

    fn heard(&mut self, name: &str, now_ms: i64) {
        let Some(DerivTopic { feed, symbol }) = self.by_stream.get(name) else { return };
        if *feed == proof(self.route) {
            (self.proof_ms, self.is_proven, self.is_late) = (now_ms, true, false);
        }
        if self.topics.heard(*feed, symbol, now_ms) {
            let topic = DerivTopic { feed: *feed, symbol: symbol.clone() };
            self.notify(DerivNotice::Heard(topic));
        }
    }

    /// Streams of a raw socket have no name; the event tells it.
    fn heard_event(&mut self, event: &Event<'_>, now_ms: i64) {
        let (feed, symbol) = match event {
            Event::AggTrade(row) => (DerivFeed::AggTrade, &row.symbol),
            Event::BookTicker(row) => (DerivFeed::BookTicker, &row.symbol),
            Event::MarkPrice(row) => (DerivFeed::MarkPrice, &row.symbol),
            Event::ForceOrder(row) => (DerivFeed::ForceOrder, &row.order.symbol),
            Event::Trade(_)
            | Event::Depth(_)
            | Event::Kline(_)
            | Event::ContractInfo(_)
            | Event::Unknown { .. } => return,
        };
        let name = stream(&DerivTopic { feed, symbol: symbol.to_string() });
        self.heard(&name, now_ms);
    }

    fn accepted(&mut self, id: &str, now_ms: i64) {
        for topic in self.asked(id) {
            if self.topics.acked(topic.feed, &topic.symbol, now_ms) {
                self.notify(DerivNotice::Acked(topic));
            }
        }
    }

    fn refused(&mut self, id: &str, text: &str, now_ms: i64) {
        let asked = self.asked(id);
        match asked.as_slice() {
            [] => self.notify(DerivNotice::Unexpected(text.to_owned())),
            [one] => {
                self.topics.refused(one.feed, &one.symbol);
                let (topic, text) = (one.clone(), text.to_owned());
                self.notify(DerivNotice::Refused { topic, text });
            }
            several => self.topics.split(several, now_ms),
        }
    }

    fn asked(&mut self, id: &str) -> Vec<DerivTopic> {
        id.parse().ok().and_then(|id: u64| self.requests.remove(&id)).unwrap_or_default()
    }

    fn check_socket(&mut self, now_ms: i64) {
        let silent_ms = now_ms - self.proof_ms;
        let is_steady = match self.route {
            Route::Market => true,
            // Until the first frame the deadline of first frames holds.
            Route::Public => {
                !self.is_proven || self.topics.has_liquid(DerivFeed::BookTicker, now_ms)
            }
        };
        let dead_ms = if is_steady { DEAD_MS } else { QUIET_DEAD_MS };
        if silent_ms >= dead_ms {
            self.is_closing = true;
            self.actions.push(Action::Close(DisconnectReason::Dead { silent_ms }));
        } else if is_steady && silent_ms >= LATE_MS && !core::mem::replace(&mut self.is_late, true)
        {
            self.notify(DerivNotice::SocketLate { silent_ms });
        }
    }

    fn check_topics(&mut self, now_ms: i64) {
        for topic in self.topics.overdue(now_ms) {
            self.notify(DerivNotice::AckLate(topic));
        }
        for (topic, waited_ms) in self.topics.first_late(now_ms) {
            self.notify(DerivNotice::FirstFrameLate { topic, waited_ms });
        }
        for (topic, silent_ms) in self.topics.newly_silent(now_ms) {
            self.notify(DerivNotice::Silent { topic, silent_ms });
        }
        if !self.is_whole && self.topics.is_whole() {
            self.is_whole = true;
            self.notify(DerivNotice::Whole);
        }
    }

    fn send_due(&mut self, now_ms: i64) {
        if now_ms - self.last_request_ms < REQUEST_INTERVAL_MS {
            return;
        }
        let batch = self.topics.due_batch(now_ms, BATCH_MAX, true);
        if batch.is_empty() {
            return;
        }
        self.last_request_ms = now_ms;
        self.request_id += 1;
        let params: Vec<String> = batch.iter().map(stream).collect();
        let request = serde_json::json!({
            "method": "SUBSCRIBE", "params": params, "id": self.request_id,
        });
        self.actions.push(Action::Send(request.to_string()));
        self.requests.insert(self.request_id, batch);
        while self.requests.len() > REQUESTS_MAX {
            self.requests.pop_first();
        }
    }
}

/// What proves that a route delivers.
const fn proof(route: Route) -> DerivFeed {
    match route {
        Route::Public => DerivFeed::BookTicker,
        Route::Market => DerivFeed::MarkPrice,
    }
}

/// Name of the stream: symbols are in lower case there.
fn stream(topic: &DerivTopic) -> String {
    format!("{}@{}", topic.symbol.to_lowercase(), topic.feed.as_str())
}

/// Name of the stream of a frame that begins with it.
fn quick_stream(text: &str) -> Option<&str> {
    let (name, _) = text.strip_prefix("{\"stream\":\"")?.split_once('"')?;
    (!name.contains('\\')).then_some(name)
}

impl Protocol for BinanceSession {
    type Notice = DerivNotice;
    type Command = Infallible;

    fn opened(&mut self, at: Stamp) {
        let now_ms = at.mono_ms();
        self.requests.clear();
        self.actions.clear();
        (self.proof_ms, self.is_proven, self.last_check_ms) = (now_ms, false, now_ms);
        (self.is_late, self.is_closing, self.is_whole) = (false, false, false);
        self.topics.reopen(now_ms);
    }

    fn frame(&mut self, text: &str, at: Stamp) -> bool {
        let now_ms = at.mono_ms();
        if let Some(name) = quick_stream(text) {
            self.heard(name, now_ms);
            return true;
        }
        match decode(text) {
            Ok(Frame::Data { stream: Some(name), .. }) => {
                self.heard(&name, now_ms);
                true
            }
            Ok(Frame::Data { stream: None, events }) => {
                events.iter().for_each(|event| self.heard_event(event, now_ms));
                true
            }
            Ok(Frame::Accepted { id, .. }) => {
                self.accepted(id.map_or("", |id| id.get()), now_ms);
                false
            }
            Ok(Frame::Refused { id, error }) => {
                self.refused(id.map_or("", |id| id.get()), error.get(), now_ms);
                false
            }
            Ok(Frame::Request { .. }) => false,
            // The reader counts what it does not know or cannot decode.
            Ok(Frame::Unknown) | Err(_) => true,
        }
    }

    fn command(&mut self, command: Infallible, _now_ms: i64) {
        match command {}
    }

    fn poll(&mut self, at: Stamp) -> Vec<Action<DerivNotice>> {
        let now_ms = at.mono_ms();
        if !self.is_closing {
            self.check_socket(now_ms);
        }
        if !self.is_closing {
            if now_ms - self.last_check_ms >= CHECK_INTERVAL_MS {
                self.last_check_ms = now_ms;
                self.check_topics(now_ms);
            }
            self.send_due(now_ms);
        }
        core::mem::take(&mut self.actions)
    }
}
