//! Feed events into the core: decoding, books, connections.
//!
//! Input: what a connector tells, in order. Output: calls of the market core and commands back to the
//! connector. A frame that does not decode is counted and told, never fatal; numbers are read from their
//! own text.

use super::books::{Applied, BookSet};
use super::clock::RecordingClock;
use super::deriv_input::DerivInput;
use super::lost_books::LostBooks;
use super::run::TrackedPair;
use penstock_market::{BookUpdate, LostBook, MarketCore, Outputs, Scales, TickerIn, TradeIn};
use penstock_telemetry::marker;
use penstock_types::{Decimal, Symbol, UtcMicros, vocab::Side};
use penstock_venue_feeds::{FeedCommand, FeedEvent, Topic};
use penstock_venues::kraken::book::Precision;
use penstock_venues::kraken::public::{BookRow, TickerRow, TradeRow};
use penstock_venues::kraken::vocabulary::{OrderType, Side as WireSide};
use penstock_venues::kraken::{ChannelKind, Frame, Num, decode};
use rustc_hash::FxHashMap;
use std::collections::BTreeSet;
use tokio::sync::mpsc;

/// Undecodable frames that are told one by one; later ones are only counted.
const BROKEN_TOLD_MAX: u64 = 100;

/// What a socket of Kraken spot carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GroupKind {
    /// Ticker, trades and L2 books: quotes stand on it.
    Public,
    /// Order-by-order books: nothing but their own rows stands on it.
    Level3,
}

/// One socket and the symbols that it carries.
#[derive(Debug)]
pub(crate) struct Group {
    /// What it carries.
    pub kind: GroupKind,
    /// Name in rows and gaps.
    pub stream: String,
    /// Symbols.
    pub symbols: BTreeSet<Symbol>,
    /// Commands to the connector.
    pub commands: mpsc::Sender<FeedCommand>,
    /// Number of the open connection.
    pub conn_id: Option<i16>,
    /// Everything is subscribed and every book live since the connection opened.
    pub is_whole: bool,
    /// Subscriptions that the venue refuses.
    pub refused: BTreeSet<Symbol>,
}

/// Counts for markers and heartbeats.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct FeedCounts {
    /// Frames that did not decode.
    pub broken: u64,
    /// Connections after the first of each group.
    pub reconnects: u64,
}

/// The core with everything that reads frames.
#[derive(Debug)]
pub(crate) struct Market {
    pub core: MarketCore,
    pub books: BookSet,
    pub out: Outputs,
    pub groups: Vec<Group>,
    pub counts: FeedCounts,
    pub clock: RecordingClock,
    pub derivs: DerivInput,
    /// How often books of levels are lost.
    pub lost_books: LostBooks,
    pub(super) symbols: FxHashMap<String, Symbol>,
    last_conn: i16,
    connected: Vec<bool>,
    newest_at: UtcMicros,
}

impl Market {
    pub(crate) fn new(core: MarketCore, clock: RecordingClock, groups: Vec<Group>) -> Self {
        Self {
            core,
            books: BookSet::default(),
            out: Outputs::default(),
            connected: vec![false; groups.len()],
            groups,
            counts: FeedCounts::default(),
            newest_at: clock.now(),
            clock,
            derivs: DerivInput::default(),
            lost_books: LostBooks::default(),
            symbols: FxHashMap::default(),
            last_conn: 0,
        }
    }

    /// Makes a symbol known to the reader of frames.
    pub(crate) fn know(&mut self, symbol: &Symbol) {
        self.symbols.insert(symbol.as_str().to_owned(), symbol.clone());
    }

    /// Takes another socket over.
    pub(crate) fn add_group(&mut self, group: Group) {
        self.groups.push(group);
        self.connected.push(false);
    }

    /// Pairs have other digits: a new number from the next tick on, and no quote until the book has been
    /// asked for anew.
    pub(crate) fn change_precisions(
        &mut self,
        changes: &[(Symbol, Precision)],
        at: UtcMicros,
    ) -> Result<(), penstock_market::CoreError> {
        for (symbol, precision) in changes {
            let Some(group) = self.group_of(GroupKind::Public, symbol) else { continue };
            let depth = self.books.depth(symbol);
            if depth.is_some() {
                self.core.book_lost(symbol, LostBook::Resync, at, &mut self.out);
            }
            let scales = Scales { price: precision.price.into(), qty: precision.qty.into() };
            self.core.track(symbol, scales, depth.is_some(), at, &mut self.out)?;
            if let Some(depth) = depth {
                self.books.maintain(symbol, depth, *precision);
                self.resync(group, symbol, false);
            }
            self.change_level3_precision(symbol, *precision, at);
            tracing::info!(
                symbol = symbol.as_str(),
                price = precision.price,
                qty = precision.qty,
                "the venue changed the precision"
            );
        }
        Ok(())
    }

    /// The group of a kind that carries a symbol.
    pub(super) fn group_of(&self, kind: GroupKind, symbol: &Symbol) -> Option<usize> {
        self.groups.iter().position(|g| g.kind == kind && g.symbols.contains(symbol))
    }

    /// Tracks pairs, or takes their new precision over.
    pub(crate) fn track(
        &mut self,
        pairs: &[TrackedPair],
        at: UtcMicros,
    ) -> Result<(), penstock_market::CoreError> {
        for pair in pairs {
            self.know(&pair.symbol);
            let scales =
                Scales { price: pair.precision.price.into(), qty: pair.precision.qty.into() };
            let has_book = pair.book_depth.is_some();
            self.core.track(&pair.symbol, scales, has_book, at, &mut self.out)?;
            if let Some(depth) = pair.book_depth {
                self.books.maintain(&pair.symbol, depth, pair.precision);
            }
            let Some(group) = self.groups.get_mut(pair.group) else {
                tracing::error!(symbol = pair.symbol.as_str(), "its socket is not open");
                continue;
            };
            group.symbols.insert(pair.symbol.clone());
            if let Some(conn_id) = group.conn_id {
                self.books.opened(conn_id, std::iter::once(&pair.symbol));
            }
        }
        Ok(())
    }

    /// Never backwards, and always within the tick that is sealed next: a row belongs to the tick that its
    /// time names, also when what arrived before it still waits.
    pub(crate) fn lift(&mut self, at: UtcMicros) -> UtcMicros {
        let next = self.core.next_tick();
        let last = UtcMicros(next.end().0 - 1);
        self.newest_at = self.newest_at.max(at).max(next.start()).min(last);
        self.newest_at
    }

    /// Time of the recording at which an event arrived.
    pub(crate) const fn time_of<N>(&self, event: &FeedEvent<N>) -> UtcMicros {
        self.clock.at(event.at())
    }

    /// Takes one event of a group's connector. Ticks that ended before it are sealed first.
    pub(crate) fn event(
        &mut self,
        group: usize,
        event: &FeedEvent,
    ) -> Result<(), penstock_market::CoreError> {
        let at = self.time_of(event);
        self.core.advance(at, &mut self.books, &mut self.out)?;
        let at = self.lift(at);
        match event {
            FeedEvent::Connected { .. } => self.connected(group, at),
            FeedEvent::Frame { text, .. } => self.frame(group, at, text),
            FeedEvent::Alive { .. } => self.heard(group, at),
            FeedEvent::Notice { notice, .. } => self.notice(group, at, notice),
            FeedEvent::Disconnected { reason, .. } => {
                self.disconnected(group, at, &format!("{reason:?}"));
            }
            FeedEvent::ConnectFailed { error, retry_in_ms, .. } => {
                tracing::warn!(stream = %self.groups[group].stream, retry_in_ms, "connect: {error}");
            }
        }
        Ok(())
    }

    /// The number of another connection, of whatever venue.
    pub(super) fn next_conn(&mut self) -> i16 {
        self.last_conn = self.last_conn.checked_add(1).unwrap_or(1);
        self.last_conn
    }

    fn connected(&mut self, group: usize, at: UtcMicros) {
        let conn_id = self.next_conn();
        self.counts.reconnects += u64::from(self.connected[group]);
        self.connected[group] = true;
        let held = &mut self.groups[group];
        (held.conn_id, held.is_whole) = (Some(conn_id), false);
        held.refused.clear();
        self.core.conn_opened(conn_id, &held.stream, at, &mut self.out);
        match held.kind {
            GroupKind::Public => self.books.opened(conn_id, held.symbols.iter()),
            GroupKind::Level3 => self.books.level3.opened(conn_id, held.symbols.iter()),
        }
    }

    fn disconnected(&mut self, group: usize, at: UtcMicros, reason: &str) {
        if let Some(conn_id) = self.groups[group].conn_id.take() {
            self.books.closed(conn_id);
            self.core.conn_lost(conn_id, reason, at, &mut self.out);
        }
    }

    fn heard(&mut self, group: usize, at: UtcMicros) {
        if let Some(conn_id) = self.groups[group].conn_id {
            self.core.heard(conn_id, at, &mut self.out);
        }
    }

    fn frame(&mut self, group: usize, at: UtcMicros, text: &str) {
        self.heard(group, at);
        let Some(conn_id) = self.groups[group].conn_id else {
            return;
        };
        match decode(text) {
            Ok(Frame::Book(message)) => {
                let is_snapshot = message.is_snapshot();
                for row in &message.rows {
                    self.book(group, conn_id, at, row, is_snapshot);
                }
            }
            Ok(Frame::Trade(message)) => {
                for row in &message.rows {
                    self.trade(conn_id, at, row);
                }
            }
            Ok(Frame::Ticker(message)) => {
                let is_snapshot = message.is_snapshot();
                for row in &message.rows {
                    self.ticker(conn_id, at, row, is_snapshot);
                }
            }
            Ok(Frame::Level3(message)) => {
                let is_snapshot = message.is_snapshot();
                for row in &message.rows {
                    self.level3(group, conn_id, at, row, is_snapshot);
                }
            }
            Ok(
                Frame::Heartbeat
                | Frame::Status(_)
                | Frame::Instrument(_)
                | Frame::Ohlc(_)
                | Frame::Executions(_)
                | Frame::Balances(_)
                | Frame::Response(_)
                | Frame::Request { .. }
                | Frame::Unknown { .. },
            ) => {}
            Err(error) => self.broken(&self.groups[group].stream.clone(), &error.to_string()),
        }
    }

    fn broken(&mut self, stream: &str, error: &str) {
        self.counts.broken += 1;
        if self.counts.broken <= BROKEN_TOLD_MAX {
            tracing::warn!(stream, count = self.counts.broken, "frame dropped: {error}");
        }
    }

    fn ticker(&mut self, conn_id: i16, at: UtcMicros, row: &TickerRow<'_>, is_snapshot: bool) {
        let Some(symbol) = self.symbols.get(&*row.symbol) else {
            return;
        };
        let number = |n: Num<'_>| n.decimal().ok();
        let ticker = TickerIn {
            symbol: symbol.clone(),
            conn_id,
            is_snapshot,
            ts_exchange: row.timestamp.map(|t| t.utc()),
            bid: number(row.bid).filter(|d| *d > Decimal::ZERO),
            ask: number(row.ask).filter(|d| *d > Decimal::ZERO),
            last: number(row.last).filter(|d| *d > Decimal::ZERO),
            bid_qty: number(row.bid_qty),
            ask_qty: number(row.ask_qty),
            volume_24h: number(row.volume),
            vwap_24h: number(row.vwap),
            change_pct_24h: number(row.change_pct),
        };
        self.core.ticker(at, ticker, &mut self.out);
    }

    fn trade(&mut self, conn_id: i16, at: UtcMicros, row: &TradeRow<'_>) {
        let Some(symbol) = self.symbols.get(&*row.symbol).cloned() else {
            return;
        };
        let side = row.side.known().map(|side| match side {
            WireSide::Buy => Side::Buy,
            WireSide::Sell => Side::Sell,
        });
        let numbers = (row.price.decimal(), row.qty.decimal(), i64::try_from(row.trade_id));
        let (Some(side), (Ok(price), Ok(qty), Ok(trade_id))) = (side, numbers) else {
            self.broken(symbol.as_str(), "trade with a side, price, quantity or id that is none");
            return;
        };
        let is_limit = row.ord_type.as_ref().and_then(|t| t.known()) == Some(OrderType::Limit);
        let trade = TradeIn {
            symbol,
            conn_id,
            trade_id,
            side,
            ord_type: if is_limit { 'l' } else { 'm' },
            price,
            qty,
            ts_exchange: row.timestamp.utc(),
        };
        let symbol = trade.symbol.clone();
        if self.core.trade(at, trade, &mut self.out) {
            self.books.level3.print(&symbol, row.price, row.qty, at);
        }
    }

    fn book(
        &mut self,
        group: usize,
        conn_id: i16,
        at: UtcMicros,
        row: &BookRow<'_>,
        is_snapshot: bool,
    ) {
        let Some(symbol) = self.symbols.get(&*row.symbol).cloned() else {
            return;
        };
        match self.books.apply(&symbol, row, is_snapshot) {
            Applied::Good { best } => {
                let ts_exchange = row.timestamp.map(|t| t.utc());
                let update = BookUpdate { symbol, conn_id, is_snapshot, ts_exchange, best };
                self.core.book_updated(at, &update, &mut self.out);
                if is_snapshot {
                    self.check_whole(group, at);
                }
            }
            Applied::Lost(why) | Applied::BadImage(why) => self.lost(group, &symbol, why, at),
            Applied::Empty | Applied::Ignored => {}
        }
    }

    /// A book is not the venue's: withdrawn first, then asked for anew.
    fn lost(&mut self, group: usize, symbol: &Symbol, why: LostBook, at: UtcMicros) {
        self.core.book_lost(symbol, why, at, &mut self.out);
        self.lost_books.lost(symbol, at);
        let mismatch = match why {
            LostBook::Checksum { expected, computed } => {
                let symbol = symbol.as_str();
                marker!(
                    L2_CHECKSUM_MISMATCH,
                    symbol = symbol,
                    expected = expected,
                    actual = computed
                );
                true
            }
            LostBook::Resync => false,
        };
        self.resync(group, symbol, mismatch);
    }

    pub(super) fn resync(&self, group: usize, symbol: &Symbol, mismatch: bool) {
        let command = FeedCommand::Resync { symbol: symbol.as_str().to_owned(), mismatch };
        if self.groups[group].commands.try_send(command).is_err() {
            // The connector also notices a book that stays without an image, and repairs it itself.
            tracing::warn!(symbol = symbol.as_str(), "resync request found no place");
        }
    }

    pub(super) fn check_whole(&mut self, group: usize, at: UtcMicros) {
        let held = &self.groups[group];
        let mut wanted = held.symbols.iter().filter(|s| !held.refused.contains(*s));
        let are_live = match held.kind {
            GroupKind::Public => self.books.are_live(&mut wanted),
            GroupKind::Level3 => self.books.level3.are_live(&mut wanted),
        };
        if held.is_whole || !are_live {
            return;
        }
        let stream = held.stream.clone();
        self.groups[group].is_whole = true;
        self.core.stream_whole(&stream, at, &mut self.out);
        if self.groups.iter().all(|g| g.is_whole || g.kind == GroupKind::Level3) {
            self.core.stream_whole("restart", at, &mut self.out);
        }
    }

    fn notice(
        &mut self,
        group: usize,
        at: UtcMicros,
        notice: &penstock_venue_feeds::session::Notice,
    ) {
        use penstock_venue_feeds::session::Notice;
        match notice {
            Notice::Refused { topic, text, last } => {
                let symbol = self.symbols.get(&topic.symbol).cloned();
                let conn_id = self.groups[group].conn_id.unwrap_or(0);
                self.core.subscription_refused(conn_id, symbol.as_ref(), text, at, &mut self.out);
                tracing::warn!(
                    symbol = topic.symbol,
                    channel = topic.channel.wire(),
                    "refused: {text}"
                );
                if *last && matches!(topic.channel, ChannelKind::Book | ChannelKind::Level3) {
                    self.groups[group].refused.extend(symbol);
                    self.check_whole(group, at);
                }
            }
            Notice::Resync(topic) | Notice::Quarantined { topic, .. } => self.resynced(topic, at),
            Notice::UnexpectedAnswer { method, error } => {
                tracing::warn!(method, ?error, "answer to nothing that was asked");
            }
            Notice::Incomplete { acked, pending } => {
                let conn_id = self.groups[group].conn_id;
                let (acked, pending) = (*acked, *pending);
                marker!(
                    L3_SUBSCRIBE_INCOMPLETE,
                    conn_id = conn_id,
                    acked = acked,
                    pending = pending
                );
            }
            Notice::Latency { network_us, clock_offset_us } => {
                tracing::debug!(network_us, clock_offset_us, "ping");
            }
            Notice::Acked(_)
            | Notice::AckLate(_)
            | Notice::ImageLate(_)
            | Notice::Silent { .. }
            | Notice::Heard(_)
            | Notice::SocketLate { .. } => {}
        }
    }

    /// The connector subscribes a book anew by itself: what stands is no longer the venue's.
    fn resynced(&mut self, topic: &Topic, at: UtcMicros) {
        let Some(symbol) = self.symbols.get(&topic.symbol).cloned() else { return };
        if topic.channel == ChannelKind::Level3 {
            return self.level3_resynced(&symbol, at);
        }
        if topic.channel == ChannelKind::Book && self.books.are_live(std::iter::once(&symbol)) {
            self.books.withdraw(&symbol);
            self.core.book_lost(&symbol, LostBook::Resync, at, &mut self.out);
        }
    }

    /// The core stood still: everything that is quoted may be old.
    pub(crate) fn stalled(&mut self, at: UtcMicros) {
        let symbols = self.core.stalled(at, &mut self.out);
        for symbol in symbols {
            self.books.withdraw(&symbol);
            if let Some(group) = self.group_of(GroupKind::Public, &symbol) {
                self.resync(group, &symbol, false);
            }
        }
    }
}
