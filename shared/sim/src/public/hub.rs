//! Who is connected to the public socket, what they listen to, and what they get.
//!
//! Inputs: connections, their requests, the exchange's public events, recorded frames. Output:
//! texts in the queues of the connections. Invariants: the first text of a connection is `status`;
//! an answer comes before the snapshot that it grants; a connection whose queue is full is cut,
//! never waited for; numbers of symbols are those of the exchange. It does no input or output and
//! never waits.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::watch;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::ack::{self, Times};
use super::feed::{Audience, Feed, Frame, Sending};
use super::frames;
use super::mirror::Mirror;
use super::request::{Channel, Envelope, Request, Subscription, parse};
use super::tape::Tape;
use super::{DEPTH_REFUSED, Offer};
use crate::exchange::{Exchange, PublicEvent, SymbolNo, SystemStatus};
use crate::instruments::Catalog;
use crate::recording::{Body, RecordedFrame};
use crate::server::{Stats, Venue};
use crate::socket::{Line, Outgoing, Shuffle};

#[derive(Debug)]
struct Session {
    line: Line,
    live: BTreeSet<(Channel, Option<usize>)>,
}

/// Method name in faults: the next subscriptions are refused, or carried out and never answered.
const SUBSCRIBE: &str = "public/subscribe";

/// The hub.
#[derive(Debug)]
pub struct Hub {
    catalog: Arc<Catalog>,
    offer: Offer,
    feeds: Vec<Feed>,
    instrument_audience: Audience,
    sessions: BTreeMap<u64, Session>,
    status: SystemStatus,
    seq: u64,
    complete: watch::Sender<bool>,
    shuffle: Shuffle<Frame>,
    /// Answers are not sent: a fault wants the one that is being made to be lost.
    mute: bool,
}

impl Hub {
    /// A hub that starts from the exchange as it is.
    pub fn new(catalog: Arc<Catalog>, offer: Offer, exchange: &Exchange, now_us: i64) -> Self {
        let feed = |(index, market): (usize, &crate::exchange::Market)| {
            let listing = catalog.listings().get(index);
            let one = market.instrument.clone();
            let start = listing.and_then(|listing| {
                let open = one.price_of(listing.start_price.round_dp(one.price_decimals))?;
                let volume = listing.day_volume_quote.checked_div(listing.start_price)?;
                Some((open, one.qty_of(volume.round_dp(one.qty_decimals))?.0))
            });
            let (open, volume) = start.unwrap_or((one.tick, 0));
            Feed::new(one, Mirror::of(&market.book), Tape::new(open, volume), now_us)
        };
        Self {
            feeds: exchange.markets().iter().enumerate().map(feed).collect(),
            catalog,
            offer,
            instrument_audience: Audience::new(),
            sessions: BTreeMap::new(),
            status: exchange.status(),
            seq: exchange.seq(),
            complete: watch::Sender::new(false),
            shuffle: Shuffle::default(),
            mute: false,
        }
    }

    /// Becomes true when book and trade of every symbol of the offer have been subscribed, and
    /// stays so: the clock of the scenario and of a recording starts then.
    pub fn complete(&self) -> watch::Receiver<bool> {
        self.complete.subscribe()
    }

    /// Adds a connection and greets it.
    pub(crate) fn connect(&mut self, connection: u64, line: Line) {
        self.sessions.insert(connection, Session { line, live: BTreeSet::new() });
        let text = frames::greeting(self.status, connection);
        self.send(connection, "status", text);
    }

    /// Forgets a connection and its subscriptions.
    pub fn disconnect(&mut self, connection: u64) {
        let Some(session) = self.sessions.remove(&connection) else { return };
        for (channel, index) in session.live {
            match index {
                Some(index) => self.feeds[index].unsubscribe(channel, connection),
                None => {
                    self.instrument_audience.remove(&connection);
                }
            }
        }
    }

    /// Answers one text frame; the number of live subscriptions afterwards.
    pub fn request(&mut self, connection: u64, text: &str, times: Times, venue: &Venue) -> usize {
        let envelope = parse(text);
        if matches!(envelope.request, Request::Subscribe(_)) {
            if let Some((error, executed)) = venue.faults.take_error(SUBSCRIBE) {
                let text = ack::refused("subscribe", envelope.req_id, &error, None, times);
                self.send(connection, "ack", text);
                if !executed {
                    return self.sessions.get(&connection).map_or(0, |one| one.live.len());
                }
            }
            self.mute = venue.faults.take_lost_ack(SUBSCRIBE);
        }
        match &envelope.request {
            Request::Ping => self.send(connection, "ack", ack::pong(envelope.req_id, times)),
            Request::Refused(error) => {
                let (method, req_id) = (&envelope.method, envelope.req_id);
                let text = ack::refused(method, req_id, error, None, times);
                self.send(connection, "ack", text);
            }
            Request::Subscribe(asked) => self.subscribe(connection, &envelope, asked, times),
            Request::Unsubscribe(asked) => self.unsubscribe(connection, &envelope, asked, times),
        }
        self.mute = false;
        let Some(session) = self.sessions.get(&connection) else { return 0 };
        if !matches!(envelope.request, Request::Ping) {
            let name = |(channel, index): &(Channel, Option<usize>)| {
                let symbol = index.map_or("", |index| &self.feeds[index].symbol);
                format!("{} {symbol}", channel.name())
            };
            venue.stats.subscriptions(connection, session.live.iter().map(name).collect());
        }
        session.live.len()
    }

    fn subscribe(&mut self, connection: u64, of: &Envelope, asked: &Subscription, times: Times) {
        let (req_id, channel) = (of.req_id, asked.channel);
        if let (Channel::Book(depth), Some(only)) = (channel, self.offer.depth)
            && depth != only
        {
            let text = ack::refused("subscribe", req_id, DEPTH_REFUSED, None, times);
            self.send(connection, "ack", text);
            return;
        }
        if channel == Channel::Instrument {
            self.subscribe_instruments(connection, of, asked, times);
            return;
        }
        for symbol in &asked.symbols {
            let refusal = match self.catalog.by_symbol(symbol) {
                None => Err(format!("Currency pair not supported {symbol}")),
                Some(index) if self.listens(connection, channel, index) => {
                    Err("Already subscribed".to_owned())
                }
                Some(index) => Ok(index),
            };
            match refusal {
                Err(error) => {
                    let text = ack::refused("subscribe", req_id, &error, Some(symbol), times);
                    self.send(connection, "ack", text);
                }
                Ok(index) => {
                    let snapshot = self.feeds[index].subscribe(channel, connection);
                    self.add_live(connection, channel, Some(index));
                    let granted = ack::granted(
                        "subscribe",
                        req_id,
                        channel,
                        asked.snapshot,
                        Some(symbol),
                        times,
                    );
                    self.send(connection, "ack", granted);
                    if let Some((text, content)) = snapshot.filter(|_| asked.snapshot) {
                        let symbol = Some(Arc::clone(&self.feeds[index].symbol));
                        let text = Utf8Bytes::from(text);
                        let channel = channel.name();
                        self.send_one(connection, Outgoing { text, channel, symbol, content });
                    }
                }
            }
        }
        self.note_complete();
    }

    fn subscribe_instruments(
        &mut self,
        connection: u64,
        of: &Envelope,
        asked: &Subscription,
        times: Times,
    ) {
        let channel = Channel::Instrument;
        if !self.instrument_audience.insert(connection) {
            let text = ack::refused("subscribe", of.req_id, "Already subscribed", None, times);
            self.send(connection, "ack", text);
            return;
        }
        self.add_live(connection, channel, None);
        let granted = ack::granted("subscribe", of.req_id, channel, asked.snapshot, None, times);
        self.send(connection, "ack", granted);
        if asked.snapshot {
            let pairs = self.feeds.iter().map(|feed| &feed.instrument);
            let text = frames::instruments(&self.catalog, "snapshot", pairs);
            self.send(connection, "instrument", text);
        }
    }

    fn unsubscribe(&mut self, connection: u64, of: &Envelope, asked: &Subscription, times: Times) {
        let channel = asked.channel;
        let mut targets: Vec<(Option<&str>, Option<usize>)> = Vec::new();
        if channel == Channel::Instrument {
            targets.push((None, None));
        }
        for symbol in &asked.symbols {
            targets.push((Some(symbol), self.catalog.by_symbol(symbol)));
        }
        for (symbol, index) in targets {
            let known = symbol.is_none() || index.is_some();
            let live = self.sessions.get_mut(&connection).map(|session| &mut session.live);
            let removed = known && live.is_some_and(|live| live.remove(&(channel, index)));
            match (removed, index) {
                (true, Some(index)) => self.feeds[index].unsubscribe(channel, connection),
                (true, None) => {
                    self.instrument_audience.remove(&connection);
                }
                (false, _) => {}
            }
            let text = if removed {
                ack::granted("unsubscribe", of.req_id, channel, asked.snapshot, symbol, times)
            } else {
                ack::refused("unsubscribe", of.req_id, "Subscription not found", symbol, times)
            };
            self.send(connection, "ack", text);
        }
    }

    /// One depth, one trigger per symbol and connection; several intervals of candles.
    fn listens(&self, connection: u64, channel: Channel, index: usize) -> bool {
        let Some(session) = self.sessions.get(&connection) else { return false };
        session.live.iter().any(|&(live, of)| {
            of == Some(index)
                && match (live, channel) {
                    (Channel::Ohlc(one), Channel::Ohlc(other)) => one == other,
                    (one, other) => one.name() == other.name(),
                }
        })
    }

    fn add_live(&mut self, connection: u64, channel: Channel, index: Option<usize>) {
        if let Some(session) = self.sessions.get_mut(&connection) {
            session.live.insert((channel, index));
        }
    }

    fn note_complete(&self) {
        let wanted = self.feeds.iter().take(self.offer.complete_symbols);
        if wanted.clone().all(|feed| feed.book_heard() && feed.heard(Channel::Trade)) {
            self.complete.send_if_modified(|complete| !std::mem::replace(complete, true));
        }
    }

    /// Takes over one batch of the exchange's events; [`Self::flush`] sends what follows from it.
    pub fn apply(&mut self, batch: &[PublicEvent], venue: &Venue) {
        for event in batch {
            match event {
                PublicEvent::Market(update) if update.seq <= self.seq => {}
                PublicEvent::Market(update) => {
                    self.seq = update.seq;
                    // A recorded market shows the recording, whatever our own orders do to it.
                    if self.offer.depth.is_none() {
                        self.feeds[update.symbol.0].apply(update);
                    }
                }
                PublicEvent::Status(status) => {
                    self.status = *status;
                    let text = frames::status(*status, None);
                    let everybody: Audience = self.sessions.keys().copied().collect();
                    self.send_all(&everybody, &Outgoing::plain("status", text));
                }
                PublicEvent::Instrument(symbol) => self.instrument_changed(*symbol, venue),
            }
        }
    }

    fn instrument_changed(&mut self, symbol: SymbolNo, venue: &Venue) {
        let one = venue.with(|exchange, _| exchange.market(symbol).instrument.clone());
        let text = frames::instruments(&self.catalog, "update", [&one]);
        self.feeds[symbol.0].instrument = one;
        let audience = self.instrument_audience.clone();
        self.send_all(&audience, &Outgoing::plain("instrument", text));
    }

    /// Sends everything that has been taken over since the last call.
    pub fn flush(&mut self, venue: &Venue) {
        let sending = Sending { faults: &venue.faults, now_us: venue.steady_us() };
        let mut frames = Vec::new();
        for index in 0..self.feeds.len() {
            self.feeds[index].flush(&sending, &mut frames);
            self.deliver(index, &mut frames, venue);
        }
    }

    /// Sends one recorded frame.
    pub fn recorded(&mut self, frame: &RecordedFrame, venue: &Venue) {
        let sending = Sending { faults: &venue.faults, now_us: venue.steady_us() };
        let mut frames = Vec::new();
        let feed = &mut self.feeds[frame.symbol.0];
        match &frame.body {
            Body::Book { levels, snapshot } => {
                let depth = self.offer.depth.unwrap_or(usize::MAX);
                feed.recorded_book(levels, *snapshot, depth, &frame.text, &sending, &mut frames);
            }
            Body::Trades(prints) => {
                feed.recorded_trades(prints, &frame.text, &sending, &mut frames);
            }
        }
        self.deliver(frame.symbol.0, &mut frames, venue);
    }

    /// Sends frames of one symbol, with the faults that were asked for.
    fn deliver(&mut self, index: usize, frames: &mut Vec<Frame>, venue: &Venue) {
        let symbol = Arc::clone(&self.feeds[index].symbol);
        let mut shuffle = std::mem::take(&mut self.shuffle);
        for frame in frames.drain(..) {
            shuffle.pass(&venue.faults, frame.channel, &symbol, frame, |frame| {
                self.send_frame(&symbol, &frame, &venue.stats);
            });
        }
        self.shuffle = shuffle;
    }

    fn send_frame(&self, symbol: &Arc<str>, frame: &Frame, stats: &Stats) {
        if frame.spoilt {
            stats.bad_checksum();
        }
        let outgoing = Outgoing {
            text: Utf8Bytes::from(frame.text.clone()),
            channel: frame.channel,
            symbol: Some(Arc::clone(symbol)),
            content: frame.content,
        };
        self.send_all(&frame.audience, &outgoing);
    }

    /// The feed of a symbol, for REST.
    pub(crate) fn feed(&self, symbol: SymbolNo) -> Option<FeedView<'_>> {
        let feed = self.feeds.get(symbol.0)?;
        Some(FeedView {
            mirror: feed.mirror(),
            tape: &feed.tape,
            last: feed.last(),
            ts_us: feed.ts_us(),
        })
    }

    fn send(&self, connection: u64, channel: &'static str, text: String) {
        if self.mute && channel == "ack" {
            return;
        }
        self.send_one(connection, Outgoing::plain(channel, text));
    }

    fn send_one(&self, connection: u64, outgoing: Outgoing) {
        if let Some(session) = self.sessions.get(&connection) {
            session.line.send(outgoing);
        }
    }

    fn send_all(&self, audience: &Audience, outgoing: &Outgoing) {
        for session in audience.iter().filter_map(|connection| self.sessions.get(connection)) {
            session.line.send(outgoing.clone());
        }
    }
}

/// What REST reads of one symbol.
pub(crate) struct FeedView<'a> {
    /// The book.
    pub(crate) mirror: &'a Mirror,
    /// The tape.
    pub(crate) tape: &'a Tape,
    /// Last price.
    pub(crate) last: crate::exchange::Price,
    /// Time of the newest change, microseconds since the Unix epoch.
    pub(crate) ts_us: i64,
}
