//! Everything public about one symbol: its book, its tape, and who listens.
//!
//! Input: market updates. Output: frames with their audience, in order. Invariants: a subscriber of
//! a book gets every change of its window once and in order; while a channel is silenced the window
//! stands still, so that what comes afterwards continues what was last sent. It owns no sockets.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::checksum::checksum;
use super::frames;
use super::mirror::{DepthView, Mirror};
use super::request::{Channel, Trigger};
use super::tape::Tape;
use crate::admin::Faults;
use crate::exchange::{Instrument, LevelChange, MarketUpdate, Price, Print, Top};
use crate::socket::Content;

/// Numbers of connections.
pub(super) type Audience = BTreeSet<u64>;

/// One frame on its way.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    /// Channel, for counters.
    pub(super) channel: &'static str,
    /// The text.
    pub(super) text: String,
    /// What the send log keeps.
    pub(super) content: Content,
    /// A checksum was spoilt on purpose.
    pub(super) spoilt: bool,
    /// Who gets it.
    pub(super) audience: Audience,
}

#[derive(Debug)]
struct BookFeed {
    view: DepthView,
    audience: Audience,
}

/// One symbol.
#[derive(Debug)]
pub(super) struct Feed {
    pub(super) instrument: Instrument,
    /// The name, shared with counters.
    pub(super) symbol: Arc<str>,
    pub(super) tape: Tape,
    mirror: Mirror,
    top: Top,
    books: BTreeMap<usize, BookFeed>,
    audiences: BTreeMap<Channel, Audience>,
    prints: Vec<Print>,
    ts_us: i64,
    dirty: bool,
}

/// What a feed needs to know when it sends.
pub(super) struct Sending<'a> {
    pub(super) faults: &'a Faults,
    pub(super) now_us: i64,
}

impl Feed {
    pub(super) fn new(instrument: Instrument, mirror: Mirror, tape: Tape, ts_us: i64) -> Self {
        Self {
            symbol: Arc::from(instrument.symbol.as_str()),
            top: mirror.top(),
            instrument,
            tape,
            mirror,
            books: BTreeMap::new(),
            audiences: BTreeMap::new(),
            prints: Vec::new(),
            ts_us,
            dirty: false,
        }
    }

    pub(super) fn mirror(&self) -> &Mirror {
        &self.mirror
    }

    pub(super) fn ts_us(&self) -> i64 {
        self.ts_us
    }

    /// Somebody listens to this channel.
    pub(super) fn heard(&self, channel: Channel) -> bool {
        match channel {
            Channel::Book(depth) => self.books.contains_key(&depth),
            other => self.audiences.contains_key(&other),
        }
    }

    /// Somebody listens to the book at any depth.
    pub(super) fn book_heard(&self) -> bool {
        !self.books.is_empty()
    }

    /// Adds a listener; the snapshot of the channel, when there is one.
    pub(super) fn subscribe(
        &mut self,
        channel: Channel,
        connection: u64,
    ) -> Option<(String, Content)> {
        let one = &self.instrument;
        match channel {
            Channel::Book(depth) => {
                let mirror = &self.mirror;
                let feed = self.books.entry(depth).or_insert_with(|| BookFeed {
                    view: DepthView::new(depth, mirror),
                    audience: Audience::new(),
                });
                feed.audience.insert(connection);
                let empty = feed.view.bids().is_empty() && feed.view.asks().is_empty();
                (!empty).then(|| {
                    let levels = feed.view.bids().len() + feed.view.asks().len();
                    let content = book_content(&feed.view, levels, self.ts_us);
                    (frames::book_snapshot(one, &feed.view, self.ts_us), content)
                })
            }
            other => {
                self.audiences.entry(other).or_default().insert(connection);
                self.snapshot(other)
            }
        }
    }

    fn snapshot(&self, channel: Channel) -> Option<(String, Content)> {
        let one = &self.instrument;
        let text = match channel {
            Channel::Ticker(_) => {
                let both = self.mirror.top().bid.is_some() && self.mirror.top().ask.is_some();
                let top = self.mirror.top();
                both.then(|| frames::ticker(one, "snapshot", &top, &self.tape, self.ts_us))
            }
            Channel::Trade => Some(frames::trades(one, "snapshot", self.tape.newest(50))),
            Channel::Ohlc(interval) => {
                let candles = self.tape.candles(interval, 720);
                Some(frames::ohlc(one, "snapshot", interval, &candles, self.ts_us))
            }
            Channel::Instrument | Channel::Book(_) => None,
        };
        let prints: Vec<Print> = match channel {
            Channel::Trade => self.tape.newest(50).cloned().collect(),
            Channel::Ticker(_) | Channel::Ohlc(_) | Channel::Instrument | Channel::Book(_) => {
                Vec::new()
            }
        };
        // Prints of an image are told again: they are no events.
        text.map(|text| (text, Content { events: 0, ..trade_content(&prints) }))
    }

    /// Removes a listener.
    pub(super) fn unsubscribe(&mut self, channel: Channel, connection: u64) {
        match channel {
            Channel::Book(depth) => {
                if let Some(feed) = self.books.get_mut(&depth) {
                    feed.audience.remove(&connection);
                    if feed.audience.is_empty() {
                        self.books.remove(&depth);
                    }
                }
            }
            other => {
                if let Some(audience) = self.audiences.get_mut(&other) {
                    audience.remove(&connection);
                    if audience.is_empty() {
                        self.audiences.remove(&other);
                    }
                }
            }
        }
    }

    /// Takes over what the exchange did; [`Self::flush`] sends it.
    pub(super) fn apply(&mut self, update: &MarketUpdate) {
        for change in &update.levels {
            self.mirror.set(change);
        }
        self.add_prints(&update.prints);
        self.ts_us = update.ts_us;
        self.dirty = true;
    }

    fn add_prints(&mut self, prints: &[Print]) {
        for print in prints {
            self.tape.add(print);
        }
        self.prints.extend_from_slice(prints);
    }

    /// Frames for everything since the last flush.
    pub(super) fn flush(&mut self, sending: &Sending<'_>, out: &mut Vec<Frame>) {
        if !std::mem::take(&mut self.dirty) {
            return;
        }
        let prints = std::mem::take(&mut self.prints);
        if !prints.is_empty() && self.heard(Channel::Trade) {
            let text = frames::trades(&self.instrument, "update", &prints);
            self.push(Channel::Trade, text, trade_content(&prints), sending, out);
        }
        self.flush_books(sending, out);
        self.flush_tickers(!prints.is_empty(), sending, out);
        if !prints.is_empty() {
            self.flush_candles(sending, out);
        }
    }

    fn flush_books(&mut self, sending: &Sending<'_>, out: &mut Vec<Frame>) {
        if self.books.is_empty() || self.silent("book", sending) {
            return;
        }
        for feed in self.books.values_mut() {
            let changes = feed.view.advance(&self.mirror);
            if changes.is_empty() {
                continue;
            }
            let text = frames::book_update(&self.instrument, &changes, &feed.view, self.ts_us);
            let (text, spoilt) = spoil(text, "book", &self.symbol, sending.faults);
            let levels = changes.bids.len() + changes.asks.len();
            let content = book_content(&feed.view, levels, self.ts_us);
            let audience = feed.audience.clone();
            out.push(Frame { channel: "book", text, content, spoilt, audience });
        }
    }

    fn flush_tickers(&mut self, traded: bool, sending: &Sending<'_>, out: &mut Vec<Frame>) {
        let top = self.mirror.top();
        let moved = top != self.top;
        self.top = top;
        let due = [(Trigger::Trades, traded), (Trigger::Bbo, moved)];
        for (trigger, _) in due.into_iter().filter(|&(_, due)| due) {
            let channel = Channel::Ticker(trigger);
            let both = top.bid.is_some() && top.ask.is_some();
            if both && self.heard(channel) {
                let text = frames::ticker(&self.instrument, "update", &top, &self.tape, self.ts_us);
                self.push(channel, text, Content::default(), sending, out);
            }
        }
    }

    fn flush_candles(&mut self, sending: &Sending<'_>, out: &mut Vec<Frame>) {
        let intervals: Vec<i64> = self
            .audiences
            .keys()
            .filter_map(|channel| match channel {
                Channel::Ohlc(interval) => Some(*interval),
                Channel::Instrument | Channel::Ticker(_) | Channel::Trade | Channel::Book(_) => {
                    None
                }
            })
            .collect();
        for interval in intervals {
            let candles = self.tape.candles(interval, 1);
            let text = frames::ohlc(&self.instrument, "update", interval, &candles, self.ts_us);
            self.push(Channel::Ohlc(interval), text, Content::default(), sending, out);
        }
    }

    fn push(
        &self,
        channel: Channel,
        text: String,
        content: Content,
        sending: &Sending<'_>,
        out: &mut Vec<Frame>,
    ) {
        if self.silent(channel.name(), sending) {
            return;
        }
        let audience = self.audiences.get(&channel).cloned().unwrap_or_default();
        out.push(Frame { channel: channel.name(), text, content, spoilt: false, audience });
    }

    fn silent(&self, channel: &str, sending: &Sending<'_>) -> bool {
        sending.faults.silent(channel, Some(&self.symbol), sending.now_us)
    }

    /// A recorded book frame: its levels for late subscribers and tickers, its text as it is for
    /// the listeners of the one depth.
    pub(super) fn recorded_book(
        &mut self,
        levels: &[LevelChange],
        snapshot: bool,
        depth: usize,
        text: &str,
        sending: &Sending<'_>,
        out: &mut Vec<Frame>,
    ) {
        if snapshot {
            self.mirror.clear();
        }
        for change in levels {
            self.mirror.set(change);
        }
        self.mirror.truncate(depth);
        self.ts_us = sending.now_us;
        if let Some(feed) = self.books.get_mut(&depth) {
            feed.view = DepthView::new(depth, &self.mirror);
            let audience = feed.audience.clone();
            let content = book_content(&feed.view, levels.len(), self.ts_us);
            if !self.silent("book", sending) {
                let (text, spoilt) = spoil(text.to_owned(), "book", &self.symbol, sending.faults);
                out.push(Frame { channel: "book", text, content, spoilt, audience });
            }
        }
        self.flush_tickers(false, sending, out);
    }

    /// A recorded trade frame.
    pub(super) fn recorded_trades(
        &mut self,
        prints: &[Print],
        text: &str,
        sending: &Sending<'_>,
        out: &mut Vec<Frame>,
    ) {
        self.add_prints(prints);
        self.prints.clear();
        self.ts_us = sending.now_us;
        if self.heard(Channel::Trade) {
            let content = trade_content(prints);
            self.push(Channel::Trade, text.to_owned(), content, sending, out);
        }
        self.flush_tickers(!prints.is_empty(), sending, out);
        self.flush_candles(sending, out);
    }

    /// Price of the newest print, else where the day opened.
    pub(super) fn last(&self) -> Price {
        self.tape.last().unwrap_or(self.tape.day().open)
    }
}

fn trade_content(prints: &[Print]) -> Content {
    let id = |print: Option<&Print>| print.map_or(0, |print| print.trade_id);
    let events = u32::try_from(prints.len()).unwrap_or(u32::MAX);
    let ts_us = prints.last().map_or(0, |print| print.ts_us);
    Content { first: id(prints.first()), last: id(prints.last()), ts_us, top: None, events }
}

fn book_content(view: &DepthView, levels: usize, ts_us: i64) -> Content {
    let sum = u64::from(checksum(view.asks(), view.bids()));
    let top = view.bids().first().zip(view.asks().first());
    let top = top.map(|(bid, ask)| [bid.0.0, bid.1.0, ask.0.0, ask.1.0]);
    let events = u32::try_from(levels).unwrap_or(u32::MAX);
    Content { first: sum, last: sum, ts_us, top, events }
}

/// Changes the checksum of a book message when a fault asks for it.
pub(crate) fn spoil(text: String, channel: &str, symbol: &str, faults: &Faults) -> (String, bool) {
    const KEY: &str = r#""checksum":"#;
    let Some(at) = text.find(KEY).map(|at| at + KEY.len()) else { return (text, false) };
    let digits = text[at..].bytes().take_while(u8::is_ascii_digit).count();
    let Ok(sum) = text[at..at + digits].parse::<u32>() else { return (text, false) };
    if !faults.take_bad_checksum(channel, symbol) {
        return (text, false);
    }
    (format!("{}{}{}", &text[..at], sum ^ 1, &text[at + digits..]), true)
}
