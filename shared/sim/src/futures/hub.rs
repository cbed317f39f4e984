//! Who is connected to the futures socket, what they listen to, and what they get.
//!
//! Inputs: connections, their requests, the contracts. Output: texts in the queues of the
//! connections. Invariants: the first text of a connection is `info`; an answer comes before the
//! snapshot that it grants; a subscriber of a book gets every change after its snapshot with `seq`
//! one above the one before. It never waits and never takes the exchange's lock.

use super::frames;
use crate::derivatives::{Contract, Market, Pending};
use crate::server::Venue;
use crate::socket::{Content, Line, Lines, Outgoing, Shuffle};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Channel names in counters and faults.
pub(super) const HEARTBEAT: &str = "futures/heartbeat";
const TICKER: &str = "futures/ticker";
const TICKER_LITE: &str = "futures/ticker_lite";
const TRADE: &str = "futures/trade";
const BOOK: &str = "futures/book";
const ACK: &str = "futures/ack";
/// Method name in faults: the next subscriptions are answered with an error text, or not at all.
const SUBSCRIBE: &str = "futures/subscribe";

/// Longest list of products in one request.
const LIST_LIMIT: usize = 2_000;

/// A feed about products.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Feed {
    Ticker,
    TickerLite,
    Trade,
    Book,
}

impl Feed {
    fn parse(name: &str) -> Option<Feed> {
        match name {
            "ticker" => Some(Feed::Ticker),
            "ticker_lite" => Some(Feed::TickerLite),
            "trade" => Some(Feed::Trade),
            "book" => Some(Feed::Book),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Feed::Ticker => "ticker",
            Feed::TickerLite => "ticker_lite",
            Feed::Trade => "trade",
            Feed::Book => "book",
        }
    }

    fn channel(self) -> &'static str {
        match self {
            Feed::Ticker => TICKER,
            Feed::TickerLite => TICKER_LITE,
            Feed::Trade => TRADE,
            Feed::Book => BOOK,
        }
    }
}

#[derive(Debug, Default)]
struct Session {
    live: BTreeSet<(Feed, usize)>,
    heartbeat: bool,
}

/// The hub, with the contracts.
#[derive(Debug)]
pub(crate) struct Hub {
    pub(crate) market: Market,
    symbols: Vec<Arc<str>>,
    audiences: BTreeMap<(Feed, usize), BTreeSet<u64>>,
    /// The short ticker as it was sent last: it goes out when it has changed.
    lite: BTreeMap<usize, String>,
    lines: Lines<Session>,
    shuffle: Shuffle<(Outgoing, BTreeSet<u64>)>,
}

impl Hub {
    pub(super) fn new(market: Market) -> Hub {
        let symbol = |one: &Contract| Arc::from(one.spec.symbol.as_str());
        Hub {
            symbols: market.contracts().iter().map(symbol).collect(),
            market,
            audiences: BTreeMap::new(),
            lite: BTreeMap::new(),
            lines: Lines::default(),
            shuffle: Shuffle::default(),
        }
    }

    pub(super) fn connect(&mut self, connection: u64, line: Line) {
        self.market.want();
        line.send(Outgoing::plain(ACK, frames::INFO));
        self.lines.add(connection, line, Session::default());
    }

    pub(super) fn disconnect(&mut self, connection: u64) {
        let Some(session) = self.lines.remove(connection) else { return };
        for key in session.live {
            self.leave(connection, key);
        }
    }

    pub(super) fn wants_heartbeat(&self, connection: u64) -> bool {
        self.lines.get(connection).is_some_and(|session| session.heartbeat)
    }

    /// Answers one text frame; the number of live subscriptions afterwards.
    pub(super) fn request(&mut self, connection: u64, text: &str, venue: &Venue) -> usize {
        // What has happened belongs before a snapshot that contains it.
        self.flush(venue);
        if let Err(error) = self.carry_out(connection, text, venue) {
            self.answer(connection, frames::message("error", error));
        }
        let Some(session) = self.lines.get(connection) else { return 0 };
        let name = |(feed, index): &(Feed, usize)| {
            format!("{} {}", feed.channel(), self.symbols.get(*index).map_or("", |name| name))
        };
        venue.stats.subscriptions(connection, session.live.iter().map(name).collect());
        session.live.len() + usize::from(session.heartbeat)
    }

    fn carry_out(
        &mut self,
        connection: u64,
        text: &str,
        venue: &Venue,
    ) -> Result<(), &'static str> {
        const JSON: &str = "Json Error";
        let request: Value = serde_json::from_str(text).map_err(|_| JSON)?;
        let word = |name: &str| request.get(name).and_then(Value::as_str);
        let subscribes = match word("event").ok_or(JSON)? {
            "subscribe" => true,
            "unsubscribe" => false,
            _ => return Err("Invalid event"),
        };
        let feed = word("feed").ok_or("Invalid feed")?;
        if subscribes && let Some((text, executed)) = venue.faults.take_error(SUBSCRIBE) {
            self.answer(connection, frames::message("error", &text));
            if !executed {
                return Ok(());
            }
        }
        let lost = subscribes && venue.faults.take_lost_ack(SUBSCRIBE);
        let event = if subscribes { "subscribed" } else { "unsubscribed" };
        if feed == "heartbeat" {
            if let Some(session) = self.lines.get_mut(connection) {
                session.heartbeat = subscribes;
            }
            if !lost {
                self.answer(connection, frames::event_alone(event, feed));
            }
            return Ok(());
        }
        let feed = Feed::parse(feed).ok_or("Invalid feed")?;
        let products = request.get("product_ids").and_then(Value::as_array);
        let products = products.filter(|list| !list.is_empty() && list.len() <= LIST_LIMIT);
        for product in products.ok_or("Invalid product id")? {
            let index = product.as_str().and_then(|name| self.market.by_symbol(name));
            match index {
                Some(index) if subscribes => self.subscribe(connection, feed, index, lost),
                Some(index) => self.unsubscribe(connection, feed, index),
                None => self.answer(connection, frames::message("error", "Invalid product id")),
            }
        }
        Ok(())
    }

    fn subscribe(&mut self, connection: u64, feed: Feed, index: usize, lost: bool) {
        let key = (feed, index);
        let symbol = Arc::clone(&self.symbols[index]);
        let Some(session) = self.lines.get_mut(connection) else { return };
        if session.live.insert(key) {
            self.audiences.entry(key).or_default().insert(connection);
            if !lost {
                self.answer(connection, frames::event("subscribed", feed.name(), &symbol));
            }
        } else {
            let text = "Already subscribed to feed, re-requesting";
            self.answer(connection, frames::message("alert", text));
        }
        let one = &self.market.contracts()[index];
        let snapshot = match feed {
            Feed::Book => Some((frames::book_snapshot(one), book_content(one, one.update_id))),
            Feed::Trade => {
                let content = Content { last: one.last_trade_id, ..Content::default() };
                Some((frames::trade_snapshot(one), content))
            }
            Feed::Ticker => frames::ticker(one).map(|text| (text, Content::default())),
            Feed::TickerLite => frames::ticker_lite(one).map(|text| (text, Content::default())),
        };
        if let Some((text, content)) = snapshot {
            let channel = feed.channel();
            let frame = Outgoing { text: text.into(), channel, symbol: Some(symbol), content };
            self.lines.send(connection, frame);
        }
    }

    fn unsubscribe(&mut self, connection: u64, feed: Feed, index: usize) {
        let Some(session) = self.lines.get_mut(connection) else { return };
        let symbol = Arc::clone(&self.symbols[index]);
        if session.live.remove(&(feed, index)) {
            self.leave(connection, (feed, index));
            self.answer(connection, frames::event("unsubscribed", feed.name(), &symbol));
        } else {
            self.answer(connection, frames::event("unsubscribed_failed", feed.name(), &symbol));
        }
    }

    fn leave(&mut self, connection: u64, key: (Feed, usize)) {
        if let Some(audience) = self.audiences.get_mut(&key) {
            audience.remove(&connection);
            if audience.is_empty() {
                self.audiences.remove(&key);
            }
        }
    }

    /// Sends what has happened to the contracts since the last call.
    pub(super) fn flush(&mut self, venue: &Venue) {
        for index in self.market.take_changed() {
            let Some(contract) = self.market.contract_mut(index) else { continue };
            for pending in contract.take_pending() {
                self.one(index, &pending, venue);
            }
        }
    }

    fn one(&mut self, index: usize, pending: &Pending, venue: &Venue) {
        let one = &self.market.contracts()[index];
        match pending {
            Pending::Level { id, ts_us, side, ticks, lots, top } => {
                if self.audiences.contains_key(&(Feed::Book, index)) {
                    let text = frames::book_delta(one, *id, *ts_us, *side, *ticks, *lots);
                    let content = Content { top: Some(*top), ..Content::of(*id, *ts_us) };
                    self.send(Feed::Book, index, text, content, venue);
                }
            }
            Pending::Print(print) => {
                if self.audiences.contains_key(&(Feed::Trade, index)) {
                    let text = frames::trade(one, print);
                    let content = Content::of(print.id, print.ts_us);
                    self.send(Feed::Trade, index, text, content, venue);
                }
            }
            // Here a liquidation is nothing but its trades.
            Pending::Liquidation(_) => {}
            Pending::Second { .. } => {
                let ticker = frames::ticker(one);
                let lite = frames::ticker_lite(one);
                if let Some(text) = ticker {
                    self.send(Feed::Ticker, index, text, Content::default(), venue);
                }
                if let Some(text) = lite
                    && self.lite.get(&index) != Some(&text)
                {
                    self.lite.insert(index, text.clone());
                    self.send(Feed::TickerLite, index, text, Content::default(), venue);
                }
            }
        }
    }

    fn send(&mut self, feed: Feed, index: usize, text: String, content: Content, venue: &Venue) {
        let Some(audience) = self.audiences.get(&(feed, index)) else { return };
        let (channel, symbol) = (feed.channel(), &self.symbols[index]);
        if venue.faults.silent(channel, Some(symbol), venue.steady_us()) {
            return;
        }
        let text = text.into();
        let frame = Outgoing { text, channel, symbol: Some(Arc::clone(symbol)), content };
        let lines = &self.lines;
        let sent = (frame, audience.clone());
        self.shuffle.pass(&venue.faults, channel, symbol, sent, |(frame, to)| {
            lines.send_all(&to, &frame);
        });
    }

    fn answer(&self, connection: u64, text: String) {
        self.lines.send(connection, Outgoing::plain(ACK, text));
    }
}

fn book_content(one: &Contract, id: u64) -> Content {
    let top = one.book.top().map(|(bid, ask)| [bid.0, bid.1, ask.0, ask.1]);
    Content { events: 0, top, ..Content::of(id, one.ts_us) }
}
