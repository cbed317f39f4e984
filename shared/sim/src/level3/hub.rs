//! Who is connected to the level 3 socket, what they listen to, and what they get.
//!
//! Inputs: connections, their requests, the exchange's public events. Output: texts in the queues
//! of the connections. Invariants: the first text of a connection is `status`; an answer comes
//! before the snapshot that it grants; a book is followed from the first subscription on, from a
//! copy whose number says which events it contains. It does no input or output and never waits.

use super::SYMBOLS_LIMIT;
use super::frames;
use super::request::{DEPTHS, Envelope, Request, Subscription, parse};
use super::window::{Orders, Window};
use crate::exchange::{Instrument, MarketUpdate, PublicEvent, Side, SymbolNo, SystemStatus};
use crate::instruments::Catalog;
use crate::public::{Times, answers, spoil_checksum, status_text};
use crate::server::Venue;
use crate::socket::{Content, Line, Lines, Outgoing, Shuffle};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// Channel name in counters and faults.
const CHANNEL: &str = "level3";
/// Method name in faults: the next subscriptions are refused, or carried out and never answered.
const SUBSCRIBE: &str = "level3/subscribe";
/// The venue documents the limits but not these texts: they are ours.
const TOO_MANY: &str = "EGeneral:Subscription limit exceeded: 200 symbols per connection";
const TOO_FAST: &str = "EGeneral:Subscription rate limit exceeded";

#[derive(Debug)]
struct Book {
    instrument: Instrument,
    symbol: Arc<str>,
    orders: Orders,
    /// Updates up to this one are contained.
    seq: u64,
    ts_us: i64,
    windows: BTreeMap<usize, (Window, BTreeSet<u64>)>,
}

#[derive(Debug, Default)]
struct Session {
    live: BTreeMap<usize, usize>,
    /// Times (µs) and costs of the subscriptions of the last second.
    paid: VecDeque<(i64, u32)>,
}

/// The hub.
#[derive(Debug)]
pub(super) struct Hub {
    catalog: Arc<Catalog>,
    offered: bool,
    points_per_s: u32,
    status: SystemStatus,
    books: BTreeMap<usize, Book>,
    dirty: BTreeSet<usize>,
    lines: Lines<Session>,
    shuffle: Shuffle<(Outgoing, BTreeSet<u64>)>,
    /// Answers are not sent: a fault wants the one that is being made to be lost.
    mute: bool,
}

impl Hub {
    pub(super) fn new(
        catalog: Arc<Catalog>,
        offered: bool,
        points_per_s: u32,
        status: SystemStatus,
    ) -> Hub {
        Hub {
            catalog,
            offered,
            points_per_s,
            status,
            books: BTreeMap::new(),
            dirty: BTreeSet::new(),
            lines: Lines::default(),
            shuffle: Shuffle::default(),
            mute: false,
        }
    }

    /// Adds a connection and greets it.
    pub(super) fn connect(&mut self, connection: u64, line: Line) {
        line.send(Outgoing::plain("status", status_text(self.status, connection)));
        self.lines.add(connection, line, Session::default());
    }

    /// Forgets a connection and its subscriptions.
    pub(super) fn disconnect(&mut self, connection: u64) {
        let Some(session) = self.lines.remove(connection) else { return };
        for (index, depth) in session.live {
            self.leave(connection, index, depth);
        }
    }

    /// True when a connection has a live subscription.
    pub(super) fn listens(&self, connection: u64) -> bool {
        self.lines.get(connection).is_some_and(|session| !session.live.is_empty())
    }

    /// Answers one text frame; the number of live subscriptions afterwards.
    pub(super) fn request(
        &mut self,
        connection: u64,
        text: &str,
        times: Times,
        venue: &Venue,
    ) -> usize {
        let of = parse(text);
        match &of.request {
            Request::Ping => self.answer(connection, answers::pong(of.req_id, times)),
            Request::Refused(error) => self.refuse(connection, &of, error, None, times),
            Request::Subscribe(asked) => {
                if let Some((error, executed)) = venue.faults.take_error(SUBSCRIBE) {
                    self.refuse(connection, &of, &error, None, times);
                    if !executed {
                        return self.lines.get(connection).map_or(0, |one| one.live.len());
                    }
                }
                self.mute = venue.faults.take_lost_ack(SUBSCRIBE);
                if venue.tokens.accept(&asked.token, venue.steady_us()) {
                    for symbol in &asked.symbols {
                        self.subscribe(connection, &of, asked, symbol, times, venue);
                    }
                } else {
                    self.refuse(connection, &of, "ESession:Invalid session", None, times);
                }
            }
            Request::Unsubscribe(asked) => {
                for symbol in &asked.symbols {
                    self.unsubscribe(connection, &of, asked, symbol, times);
                }
            }
        }
        self.mute = false;
        let Some(session) = self.lines.get(connection) else { return 0 };
        if !matches!(of.request, Request::Ping) {
            let name = |index: &usize| {
                let symbol = self.books.get(index).map_or("", |book| &*book.symbol);
                format!("{CHANNEL} {symbol}")
            };
            venue.stats.subscriptions(connection, session.live.keys().map(name).collect());
        }
        session.live.len()
    }

    fn subscribe(
        &mut self,
        connection: u64,
        of: &Envelope,
        asked: &Subscription,
        symbol: &str,
        times: Times,
        venue: &Venue,
    ) {
        let index = match self.allowed(connection, asked.depth, symbol, venue.steady_us()) {
            Ok(index) => index,
            Err(error) => return self.refuse(connection, of, &error, Some(symbol), times),
        };
        let mut book = match self.books.remove(&index) {
            Some(book) => book,
            None => Book::of(venue, index),
        };
        let (window, audience) = book
            .windows
            .entry(asked.depth)
            .or_insert_with(|| (Window::new(asked.depth, &book.orders), BTreeSet::new()));
        audience.insert(connection);
        self.answer(connection, granted("subscribe", of.req_id, asked, symbol, times));
        if asked.snapshot {
            let text = frames::snapshot(&book.instrument, window, book.ts_us);
            let outgoing = frame(text, &book.symbol, (window, book.ts_us), 0);
            self.lines.send(connection, outgoing);
        }
        self.books.insert(index, book);
        if let Some(session) = self.lines.get_mut(connection) {
            session.live.insert(index, asked.depth);
        }
    }

    /// Number of a symbol that the connection may subscribe now; the subscription is paid for.
    fn allowed(
        &mut self,
        connection: u64,
        depth: usize,
        symbol: &str,
        now_us: i64,
    ) -> Result<usize, String> {
        let index = self.catalog.by_symbol(symbol).filter(|_| self.offered);
        let index = index.ok_or_else(|| format!("Currency pair not supported {symbol}"))?;
        let limit = self.points_per_s;
        let Some(session) = self.lines.get_mut(connection) else { return Ok(index) };
        if session.live.contains_key(&index) {
            return Err("Already subscribed".to_owned());
        }
        if session.live.len() >= SYMBOLS_LIMIT {
            return Err(TOO_MANY.to_owned());
        }
        session.paid.retain(|(us, _)| now_us - us < 1_000_000);
        let cost = DEPTHS.into_iter().find(|(of, _)| *of == depth).map_or(0, |(_, cost)| cost);
        if session.paid.iter().map(|(_, paid)| paid).sum::<u32>() + cost > limit {
            return Err(TOO_FAST.to_owned());
        }
        session.paid.push_back((now_us, cost));
        Ok(index)
    }

    fn unsubscribe(
        &mut self,
        connection: u64,
        of: &Envelope,
        asked: &Subscription,
        symbol: &str,
        times: Times,
    ) {
        let index = self.catalog.by_symbol(symbol);
        let session = self.lines.get_mut(connection);
        let live = index.zip(session).is_some_and(|(index, session)| {
            let same = session.live.get(&index) == Some(&asked.depth);
            same && session.live.remove(&index).is_some()
        });
        match index.filter(|_| live) {
            Some(index) => {
                self.leave(connection, index, asked.depth);
                self.answer(connection, granted("unsubscribe", of.req_id, asked, symbol, times));
            }
            None => self.refuse(connection, of, "Subscription not found", Some(symbol), times),
        }
    }

    fn leave(&mut self, connection: u64, index: usize, depth: usize) {
        let Some(book) = self.books.get_mut(&index) else { return };
        if let Some((_, audience)) = book.windows.get_mut(&depth) {
            audience.remove(&connection);
            if audience.is_empty() {
                book.windows.remove(&depth);
            }
        }
        if book.windows.is_empty() {
            self.books.remove(&index);
        }
    }

    /// Takes over one batch of the exchange's events; [`Self::flush`] sends what follows from it.
    pub(super) fn apply(&mut self, batch: &[PublicEvent]) {
        for event in batch {
            match event {
                PublicEvent::Market(update) => {
                    let index = update.symbol.0;
                    if let Some(book) = self.books.get_mut(&index)
                        && book.apply(update)
                    {
                        self.dirty.insert(index);
                    }
                }
                PublicEvent::Status(status) => {
                    self.status = *status;
                    let everybody: Vec<u64> = self.lines.sessions().map(|(id, _)| id).collect();
                    for connection in everybody {
                        let text = status_text(*status, connection);
                        self.lines.send(connection, Outgoing::plain("status", text));
                    }
                }
                // The channel of instruments is the public socket's.
                PublicEvent::Instrument(_) => {}
            }
        }
    }

    /// Sends everything that has been taken over since the last call.
    pub(super) fn flush(&mut self, venue: &Venue) {
        let now_us = venue.steady_us();
        for index in std::mem::take(&mut self.dirty) {
            let Some(book) = self.books.get_mut(&index) else { continue };
            if venue.faults.silent(CHANNEL, Some(&book.symbol), now_us) {
                // The windows stand still: what comes afterwards continues what was sent last.
                self.dirty.insert(index);
                continue;
            }
            let touched = book.orders.take_touched();
            for (window, audience) in book.windows.values_mut() {
                let changes = window.advance(&book.orders, &touched);
                if changes.len() == 0 {
                    continue;
                }
                let text = frames::update(&book.instrument, &changes, window, book.ts_us);
                let (text, spoilt) = spoil_checksum(text, CHANNEL, &book.symbol, &venue.faults);
                if spoilt {
                    venue.stats.bad_checksum();
                }
                let outgoing = frame(text, &book.symbol, (window, book.ts_us), changes.len());
                let lines = &self.lines;
                let sent = (outgoing, audience.clone());
                self.shuffle.pass(&venue.faults, CHANNEL, &book.symbol, sent, |(frame, to)| {
                    lines.send_all(&to, &frame);
                });
            }
        }
    }

    fn refuse(
        &self,
        connection: u64,
        of: &Envelope,
        error: &str,
        symbol: Option<&str>,
        times: Times,
    ) {
        self.answer(connection, answers::refused(&of.method, of.req_id, error, symbol, times));
    }

    fn answer(&self, connection: u64, text: String) {
        if self.mute {
            return;
        }
        self.lines.send(connection, Outgoing::plain("ack", text));
    }
}

impl Book {
    /// The book as the exchange has it; from now on updates carry orders.
    fn of(venue: &Venue, index: usize) -> Book {
        venue.with(|exchange, now_us| {
            exchange.want_queues();
            let symbol = SymbolNo(index);
            let mut orders = Orders::default();
            for side in [Side::Buy, Side::Sell] {
                for (price, _) in exchange.depth(symbol, side, usize::MAX) {
                    orders.set(side, price, &exchange.queued(symbol, side, price));
                }
            }
            orders.take_touched();
            let instrument = exchange.market(symbol).instrument.clone();
            Book {
                symbol: Arc::from(instrument.symbol.as_str()),
                instrument,
                orders,
                seq: exchange.seq(),
                ts_us: now_us,
                windows: BTreeMap::new(),
            }
        })
    }

    /// Takes over an update unless the copy contains it already; whether it did.
    fn apply(&mut self, update: &MarketUpdate) -> bool {
        if update.seq <= self.seq {
            return false;
        }
        self.seq = update.seq;
        self.ts_us = update.ts_us;
        for (level, queue) in update.levels.iter().zip(&update.queues) {
            self.orders.set(level.side, level.price, queue);
        }
        true
    }
}

fn frame(
    text: String,
    symbol: &Arc<str>,
    (window, ts_us): (&Window, i64),
    events: usize,
) -> Outgoing {
    let content = Content {
        first: 0,
        last: 0,
        ts_us,
        top: window.top(),
        events: u32::try_from(events).unwrap_or(u32::MAX),
    };
    Outgoing { text: text.into(), channel: CHANNEL, symbol: Some(Arc::clone(symbol)), content }
}

fn granted(
    method: &str,
    req_id: Option<u64>,
    asked: &Subscription,
    symbol: &str,
    times: Times,
) -> String {
    let (depth, snapshot) = (asked.depth, asked.snapshot);
    let mut result =
        format!(r#"{{"channel":"level3","depth":{depth},"snapshot":{snapshot},"symbol":"#);
    crate::public::push_json_text(&mut result, symbol);
    result.push('}');
    answers::granted_as(method, req_id, &result, times)
}
