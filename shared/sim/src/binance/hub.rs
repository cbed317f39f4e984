//! Who is connected to the Binance socket, what they listen to, and what they get.
//!
//! Inputs: connections, their requests, the contracts. Output: texts in the queues of the
//! connections. Invariants: a stream speaks only on the route that carries it; every diff of a book
//! names the one before it. It never waits and never takes the exchange's lock.

use super::aggregate::{AggTrade, Diff, Liquidations, Trades};
use super::frames;
use super::streams::{Speed, Stream, Target};
use crate::derivatives::{Contract, Market, Pending};
use crate::server::Venue;
use crate::socket::{Content, Line, Lines, Outgoing, Shuffle};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const ACK: &str = "binance/ack";
/// Method name in faults: the next requests are answered with an error, or not at all.
const SUBSCRIBE: &str = "binance/subscribe";
/// Streams per connection.
const STREAMS_LIMIT: usize = 1_024;
/// The stream of all best prices is throttled to this.
const ALL_TICKERS_US: i64 = 5_000_000;
/// Where frames of all contracts together are counted.
const ALL: &str = "*";

#[derive(Debug)]
struct Session {
    target: Target,
    /// Names as they were asked for, the silent ones included.
    names: BTreeSet<String>,
}

/// What is joined per contract.
#[derive(Debug, Default)]
struct Joined {
    trades: Trades,
    liquidations: Liquidations,
    diffs: BTreeMap<Speed, Diff>,
    top: [i64; 4],
    all_ticker_us: i64,
    seconds: i64,
}

/// A frame before it is wrapped: stream name and data.
#[derive(Clone, Debug)]
struct Frame {
    stream: Stream,
    name: Arc<str>,
    data: Arc<str>,
    content: Content,
}

/// The hub, with the contracts.
#[derive(Debug)]
pub(crate) struct Hub {
    pub(crate) market: Market,
    symbols: Vec<Arc<str>>,
    joined: Vec<Joined>,
    /// Contracts with trades or liquidations that wait for their time.
    waiting: BTreeSet<usize>,
    audiences: BTreeMap<Stream, BTreeSet<u64>>,
    all_marks_us: BTreeMap<i64, i64>,
    lines: Lines<Session>,
    shuffle: Shuffle<Frame>,
    /// What the venue's clock shows, for stamps.
    now_us: i64,
    /// True time, for what is due.
    steady_us: i64,
}

impl Hub {
    pub(super) fn new(market: Market) -> Hub {
        let symbol = |one: &Contract| Arc::from(one.spec.symbol.as_str());
        let symbols: Vec<Arc<str>> = market.contracts().iter().map(symbol).collect();
        Hub {
            joined: symbols.iter().map(|_| Joined::default()).collect(),
            symbols,
            market,
            waiting: BTreeSet::new(),
            audiences: BTreeMap::new(),
            all_marks_us: BTreeMap::new(),
            lines: Lines::default(),
            shuffle: Shuffle::default(),
            now_us: 0,
            steady_us: 0,
        }
    }

    /// Adds a connection with the streams of its path.
    pub(super) fn connect(&mut self, connection: u64, target: &str, line: Line, venue: &Venue) {
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        self.market.want();
        // What has happened belongs before a diff that begins now.
        self.flush(venue);
        // The handshake has looked at the path already.
        let Some(target) = Target::parse(path, query) else { return };
        let names = target.streams.clone();
        let session = Session { target, names: BTreeSet::new() };
        self.lines.add(connection, line, session);
        for name in names {
            self.listen(connection, &name, venue.steady_us());
        }
        self.note(connection, venue);
    }

    pub(super) fn disconnect(&mut self, connection: u64) {
        let Some(session) = self.lines.remove(connection) else { return };
        for name in session.names {
            self.leave(connection, &name);
        }
    }

    /// Answers one text frame; the number of live subscriptions afterwards.
    pub(super) fn request(&mut self, connection: u64, text: &str, venue: &Venue) -> usize {
        let request: Value = match serde_json::from_str(text) {
            Ok(request) => request,
            Err(error) => {
                let refusal = json!({"code": 3, "msg": format!("Invalid JSON: {error}")});
                self.answer(connection, &refusal);
                return self.count(connection);
            }
        };
        self.flush(venue);
        let id = request.get("id").cloned().unwrap_or(Value::Null);
        let method = request.get("method").and_then(Value::as_str).unwrap_or_default();
        if let Some((text, executed)) = venue.faults.take_error(SUBSCRIBE) {
            self.answer(connection, &json!({"error": {"code": -1, "msg": text}, "id": id}));
            if !executed {
                return self.count(connection);
            }
        }
        let result = self.carry_out(connection, method, &request, venue.steady_us());
        if !venue.faults.take_lost_ack(SUBSCRIBE) {
            let answer = match result {
                Ok(result) => json!({"result": result, "id": id}),
                Err(msg) => json!({"error": {"code": 2, "msg": msg}, "id": id}),
            };
            self.answer(connection, &answer);
        }
        self.note(connection, venue);
        self.count(connection)
    }

    fn carry_out(
        &mut self,
        connection: u64,
        method: &str,
        request: &Value,
        steady_us: i64,
    ) -> Result<Value, String> {
        let names = || -> Result<Vec<String>, String> {
            let list = request.get("params").and_then(Value::as_array);
            let list = list.ok_or("Invalid request: params must be a list of streams")?;
            let text = |name: &Value| name.as_str().map(str::to_owned);
            let names: Option<Vec<String>> = list.iter().map(text).collect();
            names.ok_or_else(|| "Invalid request: a stream is not a text".to_owned())
        };
        match method {
            "SUBSCRIBE" => {
                let names = names()?;
                if self.count(connection) + names.len() > STREAMS_LIMIT {
                    return Err(format!("Too many streams: the limit is {STREAMS_LIMIT}"));
                }
                for name in names {
                    self.listen(connection, &name, steady_us);
                }
                Ok(Value::Null)
            }
            "UNSUBSCRIBE" => {
                for name in names()? {
                    self.leave(connection, &name);
                    if let Some(session) = self.lines.get_mut(connection) {
                        session.names.remove(&name);
                    }
                }
                Ok(Value::Null)
            }
            "LIST_SUBSCRIPTIONS" => {
                let names = self.lines.get(connection).map(|session| &session.names);
                Ok(names.map_or_else(|| json!([]), |names| json!(names)))
            }
            _ => Err("Invalid request: unknown method".to_owned()),
        }
    }

    /// Nothing refuses a name: what is unknown or carried by another route stays silent.
    fn listen(&mut self, connection: u64, name: &str, steady_us: i64) {
        let stream = Stream::parse(name, |symbol| self.exact(symbol));
        let Some(session) = self.lines.get_mut(connection) else { return };
        session.names.insert(name.to_owned());
        let Some(stream) = stream.filter(|stream| stream.route() == session.target.route) else {
            return;
        };
        self.audiences.entry(stream).or_default().insert(connection);
        if let Stream::Depth(index, speed) = stream
            && let Some(joined) = self.joined.get_mut(index)
        {
            let last = self.market.contracts()[index].update_id;
            joined.diffs.entry(speed).or_insert_with(|| Diff::new(speed, last, steady_us));
        }
    }

    fn exact(&self, symbol: &str) -> Option<usize> {
        self.symbols.iter().position(|known| &**known == symbol)
    }

    fn leave(&mut self, connection: u64, name: &str) {
        let Some(stream) = Stream::parse(name, |symbol| self.exact(symbol)) else { return };
        let Some(audience) = self.audiences.get_mut(&stream) else { return };
        audience.remove(&connection);
        if audience.is_empty() {
            self.audiences.remove(&stream);
            if let Stream::Depth(index, speed) = stream
                && let Some(joined) = self.joined.get_mut(index)
            {
                joined.diffs.remove(&speed);
            }
        }
    }

    fn count(&self, connection: u64) -> usize {
        self.lines.get(connection).map_or(0, |session| session.names.len())
    }

    fn note(&self, connection: u64, venue: &Venue) {
        let names = self.lines.get(connection).map(|session| session.names.iter().cloned());
        venue.stats.subscriptions(connection, names.into_iter().flatten().collect());
    }

    fn answer(&self, connection: u64, answer: &Value) {
        self.lines.send(connection, Outgoing::plain(ACK, answer.to_string()));
    }

    /// Aggregate trades of a contract that are finished, oldest first.
    pub(super) fn agg_trades(&self, index: usize) -> impl DoubleEndedIterator<Item = &AggTrade> {
        self.joined.get(index).into_iter().flat_map(|joined| joined.trades.kept.iter())
    }

    /// Sends what has happened to the contracts since the last call, and what waited for its time.
    pub(super) fn flush(&mut self, venue: &Venue) {
        self.now_us = venue.now_us();
        self.steady_us = venue.steady_us();
        for index in self.market.take_changed() {
            let Some(contract) = self.market.contract_mut(index) else { continue };
            for pending in contract.take_pending() {
                self.one(index, &pending, venue);
            }
        }
        for index in self.waiting.clone() {
            self.flush_joined(index, venue);
        }
        self.flush_diffs(venue);
        for period_s in [1, 3] {
            self.flush_all_marks(period_s, venue);
        }
    }

    fn one(&mut self, index: usize, pending: &Pending, venue: &Venue) {
        match pending {
            Pending::Level { id, ts_us, side, ticks, lots, top } => {
                let joined = &mut self.joined[index];
                for diff in joined.diffs.values_mut() {
                    diff.add(*id, *ts_us, *side, *ticks, *lots);
                }
                if std::mem::replace(&mut joined.top, *top) != *top {
                    self.book_ticker(index, *id, *ts_us, *top, venue);
                }
            }
            Pending::Print(print) => {
                let ended = self.joined[index].trades.add(print, self.steady_us);
                self.waiting.insert(index);
                if let Some(trade) = ended {
                    self.agg_trade(index, &trade, venue);
                }
                if self.audiences.contains_key(&Stream::Trade(index)) {
                    let data = frames::trade(&self.market.contracts()[index], print);
                    let content = Content::of(print.id, print.ts_us);
                    self.send(Stream::Trade(index), data, content, venue);
                }
            }
            Pending::Liquidation(liquidation) => {
                self.joined[index].liquidations.add(liquidation);
                self.waiting.insert(index);
            }
            Pending::Second { ts_us } => {
                let joined = &mut self.joined[index];
                joined.seconds += 1;
                let third = joined.seconds % 3 == 0;
                for (period_s, due) in [(1, true), (3, third)] {
                    let stream = Stream::MarkPrice(index, period_s);
                    if due && self.audiences.contains_key(&stream) {
                        let data = frames::mark_price(&self.market.contracts()[index], *ts_us);
                        self.send(stream, data, Content::default(), venue);
                    }
                }
            }
        }
    }

    fn book_ticker(&mut self, index: usize, id: u64, ts_us: i64, top: [i64; 4], venue: &Venue) {
        let content = Content { top: Some(top), ..Content::of(id, ts_us) };
        let data = |hub: &Hub| frames::book_ticker(&hub.market.contracts()[index], id, ts_us, top);
        if self.audiences.contains_key(&Stream::BookTicker(index)) {
            let data = data(self);
            self.send(Stream::BookTicker(index), data, content, venue);
        }
        let due = self.steady_us - self.joined[index].all_ticker_us >= ALL_TICKERS_US;
        if due && self.audiences.contains_key(&Stream::AllBookTickers) {
            self.joined[index].all_ticker_us = self.steady_us;
            let data = data(self);
            self.send(Stream::AllBookTickers, data, content, venue);
        }
    }

    fn agg_trade(&mut self, index: usize, trade: &AggTrade, venue: &Venue) {
        if self.audiences.contains_key(&Stream::AggTrade(index)) {
            let data = frames::agg_trade(&self.market.contracts()[index], trade, self.now_us);
            self.send(Stream::AggTrade(index), data, Content::of(trade.id, trade.ts_us), venue);
        }
    }

    fn flush_joined(&mut self, index: usize, venue: &Venue) {
        let (now_us, steady_us) = (self.now_us, self.steady_us);
        if let Some(trade) = self.joined[index].trades.due(steady_us) {
            self.agg_trade(index, &trade, venue);
        }
        if let Some(one) = self.joined[index].liquidations.due(steady_us) {
            let data = frames::force_order(&self.market.contracts()[index], &one, now_us);
            for stream in [Stream::ForceOrder(index), Stream::AllForceOrders] {
                if self.audiences.contains_key(&stream) {
                    self.send(stream, data.clone(), Content::default(), venue);
                }
            }
        }
        if self.joined[index].trades.idle() && self.joined[index].liquidations.idle() {
            self.waiting.remove(&index);
        }
    }

    fn flush_diffs(&mut self, venue: &Venue) {
        for index in 0..self.joined.len() {
            for speed in Speed::ALL {
                let Some(diff) = self.joined[index].diffs.get_mut(&speed) else { continue };
                let Some(finished) = diff.due(self.steady_us) else { continue };
                let one = &self.market.contracts()[index];
                let data = frames::depth(one, &finished, self.now_us);
                let top = one.book.top().map(|(bid, ask)| [bid.0, bid.1, ask.0, ask.1]);
                let events = u32::try_from(finished.changes.len()).unwrap_or(u32::MAX);
                let (first, last, ts_us) = (finished.first, finished.last, one.ts_us);
                let content = Content { first, last, ts_us, top, events };
                self.send(Stream::Depth(index, speed), data, content, venue);
            }
        }
    }

    fn flush_all_marks(&mut self, period_s: i64, venue: &Venue) {
        let stream = Stream::AllMarkPrices(period_s);
        if !self.audiences.contains_key(&stream) {
            return;
        }
        let due_us = self.all_marks_us.entry(period_s).or_default();
        if self.steady_us < *due_us {
            return;
        }
        *due_us = self.steady_us + period_s * 1_000_000;
        let now_us = self.now_us;
        let mark = |one: &Contract| frames::mark_price(one, now_us);
        let rows: Vec<String> = self.market.contracts().iter().map(mark).collect();
        self.send(stream, format!("[{}]", rows.join(",")), Content::default(), venue);
    }

    fn send(&mut self, stream: Stream, data: String, content: Content, venue: &Venue) {
        if !self.audiences.contains_key(&stream) {
            return;
        }
        let symbol = match stream {
            Stream::AggTrade(index)
            | Stream::Trade(index)
            | Stream::BookTicker(index)
            | Stream::MarkPrice(index, _)
            | Stream::ForceOrder(index)
            | Stream::Depth(index, _) => Arc::clone(&self.symbols[index]),
            Stream::AllBookTickers | Stream::AllMarkPrices(_) | Stream::AllForceOrders => {
                Arc::from(ALL)
            }
        };
        let channel = stream.channel();
        if venue.faults.silent(channel, Some(&symbol), self.steady_us) {
            return;
        }
        let frame = Frame { stream, name: Arc::clone(&symbol), data: Arc::from(data), content };
        let (lines, audiences) = (&self.lines, &self.audiences);
        self.shuffle.pass(&venue.faults, channel, &symbol, frame, |frame| {
            deliver(lines, audiences, &frame);
        });
    }
}

/// Wraps a frame as each listener wants it.
fn deliver(lines: &Lines<Session>, audiences: &BTreeMap<Stream, BTreeSet<u64>>, frame: &Frame) {
    let Some(audience) = audiences.get(&frame.stream) else { return };
    let symbol = Some(Arc::clone(&frame.name));
    let (channel, content) = (frame.stream.channel(), frame.content);
    for connection in audience {
        let Some(session) = lines.get(*connection) else { continue };
        let text = if session.target.combined {
            let name = frame.stream.name(&frame.name);
            frames::combined(&name, &frame.data)
        } else {
            frame.data.to_string()
        };
        let symbol = symbol.clone();
        lines.send(*connection, Outgoing { text: text.into(), channel, symbol, content });
    }
}
