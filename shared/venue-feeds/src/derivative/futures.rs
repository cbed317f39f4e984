//! The protocol side of one Kraken Futures connection, without input or output.
//!
//! Input: frames, the time. Output: requests, pings, notices. One request is under way at a time: the
//! venue answers per product, but its errors name neither feed nor product, so that an error is about
//! the request under way. One of several products is then asked for again one by one. The heartbeat
//! proves the socket, never a product.

use core::convert::Infallible;

use penstock_venue_net::Stamp;
use penstock_venues::kraken::liveness::{SocketState, socket_state};
use penstock_venues::kraken_futures::{EventKind, Frame, decode};

use super::notice::{DerivFeed, DerivNotice, DerivTopic};
use super::topics::Topics;
use crate::protocol::Protocol;
use crate::session::{Action, DisconnectReason};

/// Products per request.
const BATCH_MAX: usize = 100;
/// Distance of requests, milliseconds; the venue allows 100 per second.
const REQUEST_INTERVAL_MS: i64 = 50;
/// Distance of pings, milliseconds; the venue closes a client that is silent for 60 s.
pub(super) const PING_INTERVAL_MS: i64 = 20_000;
/// Distance of the checks of all subscriptions, milliseconds.
const CHECK_INTERVAL_MS: i64 = 500;

/// State of one connection.
#[derive(Debug)]
pub struct FuturesSession {
    pub(super) topics: Topics,
    under_way: Vec<DerivTopic>,
    actions: Vec<Action<DerivNotice>>,
    last_frame_ms: i64,
    last_ping_ms: i64,
    last_request_ms: i64,
    last_check_ms: i64,
    is_late: bool,
    is_closing: bool,
    is_whole: bool,
}

impl FuturesSession {
    /// A session for these products, named as data names them (`PF_XBTUSD`).
    pub fn new(products: &[String]) -> Self {
        let of = |feed| {
            let topic = move |symbol: &String| DerivTopic { feed, symbol: symbol.clone() };
            products.iter().map(topic)
        };
        let heartbeat = DerivTopic { feed: DerivFeed::Heartbeat, symbol: String::new() };
        let topics = of(DerivFeed::Ticker).chain(of(DerivFeed::Trade));
        Self {
            topics: Topics::new(topics.chain([heartbeat])),
            under_way: Vec::new(),
            actions: Vec::new(),
            last_frame_ms: 0,
            last_ping_ms: 0,
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

    fn heard(&mut self, feed: DerivFeed, symbol: &str, now_ms: i64) {
        if self.topics.heard(feed, symbol, now_ms) {
            self.notify(DerivNotice::Heard(DerivTopic { feed, symbol: symbol.to_owned() }));
        }
    }

    fn event(&mut self, kind: EventKind, feed: &str, symbols: &[&str], text: &str, now_ms: i64) {
        match kind {
            EventKind::Subscribed => {
                let Some(feed) = DerivFeed::ALL.into_iter().find(|f| f.as_str() == feed) else {
                    return self.notify(DerivNotice::Unexpected(format!("subscribed {feed}")));
                };
                let symbols = if symbols.is_empty() { &[""] } else { symbols };
                for symbol in symbols {
                    self.acked(DerivTopic { feed, symbol: (*symbol).to_owned() }, now_ms);
                }
            }
            EventKind::Error | EventKind::SubscribedFailed => self.refused(text, now_ms),
            // What is subscribed already is told as an alert.
            EventKind::Alert if text.to_ascii_lowercase().contains("already subscribed") => {
                for topic in core::mem::take(&mut self.under_way) {
                    self.acked(topic, now_ms);
                }
            }
            EventKind::Alert | EventKind::UnsubscribedFailed => {
                self.notify(DerivNotice::Unexpected(text.to_owned()));
            }
            EventKind::Info
            | EventKind::Subscribe
            | EventKind::Unsubscribe
            | EventKind::Unsubscribed => {}
        }
    }

    fn acked(&mut self, topic: DerivTopic, now_ms: i64) {
        self.under_way.retain(|asked| *asked != topic);
        if self.topics.acked(topic.feed, &topic.symbol, now_ms) {
            self.notify(DerivNotice::Acked(topic));
        }
    }

    fn refused(&mut self, text: &str, now_ms: i64) {
        let asked = core::mem::take(&mut self.under_way);
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

    fn check_socket(&mut self, now_ms: i64) {
        let silent_ms = now_ms - self.last_frame_ms;
        match socket_state(silent_ms) {
            SocketState::Alive => {}
            SocketState::Late => {
                if !core::mem::replace(&mut self.is_late, true) {
                    self.notify(DerivNotice::SocketLate { silent_ms });
                }
            }
            SocketState::Dead => {
                self.is_closing = true;
                self.actions.push(Action::Close(DisconnectReason::Dead { silent_ms }));
            }
        }
    }

    fn check_topics(&mut self, now_ms: i64) {
        for topic in self.topics.overdue(now_ms) {
            self.under_way.retain(|asked| *asked != topic);
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
        let is_early = now_ms - self.last_request_ms < REQUEST_INTERVAL_MS;
        if is_early || !self.under_way.is_empty() {
            return;
        }
        let batch = self.topics.due_batch(now_ms, BATCH_MAX, false);
        let Some(first) = batch.first() else { return };
        let mut request = serde_json::json!({ "event": "subscribe", "feed": first.feed.as_str() });
        if first.feed != DerivFeed::Heartbeat {
            request["product_ids"] = batch.iter().map(|topic| topic.symbol.as_str()).collect();
        }
        self.actions.push(Action::Send(request.to_string()));
        self.last_request_ms = now_ms;
        self.under_way = batch;
    }
}

impl Protocol for FuturesSession {
    type Notice = DerivNotice;
    type Command = Infallible;

    fn opened(&mut self, at: Stamp) {
        let now_ms = at.mono_ms();
        self.under_way.clear();
        self.actions.clear();
        (self.last_frame_ms, self.last_ping_ms, self.last_check_ms) = (now_ms, now_ms, now_ms);
        (self.is_late, self.is_closing, self.is_whole) = (false, false, false);
        self.topics.reopen(now_ms);
    }

    fn frame(&mut self, text: &str, at: Stamp) -> bool {
        let now_ms = at.mono_ms();
        self.last_frame_ms = now_ms;
        self.is_late = false;
        match decode(text) {
            Ok(Frame::Event { kind, row }) => {
                let products = row.product_ids.unwrap_or_default();
                let products: Vec<&str> = products.iter().map(|id| id.as_str()).collect();
                let (feed, message) = (row.feed.as_deref(), row.message.as_deref());
                let text = message.unwrap_or("no text");
                self.event(kind, feed.unwrap_or_default(), &products, text, now_ms);
                false
            }
            Ok(Frame::Heartbeat(_)) => {
                self.heard(DerivFeed::Heartbeat, "", now_ms);
                false
            }
            Ok(Frame::Ticker(row)) => {
                self.heard(DerivFeed::Ticker, &row.product_id, now_ms);
                true
            }
            Ok(Frame::Trade(row)) => {
                self.heard(DerivFeed::Trade, &row.product_id, now_ms);
                true
            }
            Ok(Frame::TradeSnapshot(row)) => {
                self.heard(DerivFeed::Trade, &row.product_id, now_ms);
                true
            }
            // The reader counts what it does not know or cannot decode.
            Ok(
                Frame::TickerLite(_)
                | Frame::Book(_)
                | Frame::BookSnapshot(_)
                | Frame::Unknown { .. },
            )
            | Err(_) => true,
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
            if now_ms - self.last_ping_ms >= PING_INTERVAL_MS {
                self.last_ping_ms = now_ms;
                self.actions.push(Action::Ping);
            }
            self.send_due(now_ms);
        }
        core::mem::take(&mut self.actions)
    }
}
