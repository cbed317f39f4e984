//! Events of the derivative venues into the core: connections, notices, polls.
//!
//! Input: what sockets and polls tell, in the core's one order. Output: calls of the market core, markers.
//! Each connection, also each of two overlapping ones, has a number of its own. A venue is blind from the
//! start until all of its sockets are whole. A frame that does not decode is counted and told, never fatal.

use super::deriv_frames::{self, Target};
use super::event_metrics;
use super::feed_input::Market;
use penstock_market::CoreError;
use penstock_telemetry::marker;
use penstock_types::vocab::Venue;
use penstock_types::{Symbol, UtcMicros};
use penstock_venue_feeds::derivative::{DerivNotice, DerivTopic, LinkEvent};
use penstock_venue_feeds::poll::{PollEvent, StretchCause, TradesAsk};
use penstock_venue_feeds::{DisconnectReason, FeedEvent};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use tokio::sync::mpsc;

/// Broken frames that are told one by one; later ones are only counted.
const BROKEN_TOLD_MAX: u64 = 100;
/// Name of the gap that a start leaves.
const STREAM_START: &str = "start";
/// Name of what polls ask for.
const STREAM_REST: &str = "rest";

/// What arrives from a derivative venue.
#[derive(Debug)]
pub(crate) enum DerivEvent {
    /// A socket tells something.
    Socket { socket: usize, event: LinkEvent },
    /// A poll tells something.
    Poll { venue: Venue, event: PollEvent },
}

/// An instrument that a token binds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BoundInstrument {
    pub venue: Venue,
    pub symbol: Symbol,
    /// Seconds that its funding rate is for.
    pub funding_secs: i32,
    /// Its open interest is part of a token's.
    pub is_oi: bool,
}

/// All bound instruments, by venue and name.
#[derive(Debug, Default)]
pub(crate) struct Instruments([FxHashMap<String, BoundInstrument>; 3]);

impl Instruments {
    pub(crate) fn new(instruments: &[BoundInstrument]) -> Self {
        let mut own = Self::default();
        for instrument in instruments {
            let name = instrument.symbol.as_str().to_owned();
            own.0[instrument.venue as usize].insert(name, instrument.clone());
        }
        own
    }

    /// Bound instruments of a venue.
    pub(super) fn count(&self, venue: Venue) -> usize {
        self.0[venue as usize].len()
    }

    /// Data names products in capitals; some bodies do not.
    pub(super) fn find(&self, venue: Venue, name: &str) -> Option<&BoundInstrument> {
        let own = &self.0[venue as usize];
        own.get(name).or_else(|| own.get(&name.to_ascii_uppercase()))
    }
}

/// A socket as the core knows it.
#[derive(Debug)]
pub(crate) struct DerivSocket {
    venue: Venue,
    stream: String,
    /// Numbers of its open connections, by link.
    conns: BTreeMap<u64, i16>,
    is_whole: bool,
    was_lost: bool,
}

impl DerivSocket {
    pub(crate) const fn new(venue: Venue, stream: String) -> Self {
        Self { venue, stream, conns: BTreeMap::new(), is_whole: false, was_lost: false }
    }
}

/// Counts for heartbeats.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DerivCounts {
    /// Frames.
    pub frames: u64,
    /// Bodies of polls.
    pub bodies: u64,
    /// Frames and bodies that could not be used.
    pub broken: u64,
    /// Connections after a loss.
    pub reconnects: u64,
    /// Sockets that took over in time.
    pub rotations: u64,
    /// Polls that failed.
    pub polls_failed: u64,
}

/// What the core keeps of the derivative venues.
#[derive(Debug, Default)]
pub(crate) struct DerivInput {
    pub instruments: Instruments,
    pub sockets: Vec<DerivSocket>,
    /// Venues with bound instruments; those without sockets are left out and stay blind.
    pub venues: Vec<Venue>,
    /// Where trades that are missing are asked for, by venue.
    pub trades: BTreeMap<Venue, mpsc::Sender<TradesAsk>>,
    pub counts: DerivCounts,
}

impl DerivInput {
    /// All sockets of the venue are whole, and there are some.
    fn is_whole(&self, venue: Venue) -> bool {
        let mut own = self.sockets.iter().filter(|s| s.venue == venue).peekable();
        own.peek().is_some() && own.all(|socket| socket.is_whole)
    }
}

impl Market {
    /// Takes the venues over; each is blind from `from` on until its sockets are whole.
    pub(crate) fn begin_derivatives(&mut self, derivs: DerivInput, from: UtcMicros, at: UtcMicros) {
        for venue in &derivs.venues {
            self.core.deriv_blind(*venue, STREAM_START, from, at, &mut self.out);
        }
        self.derivs = derivs;
    }

    /// Time of the recording at which an event arrived; polls without a body have none of their own.
    pub(crate) fn deriv_time(&self, event: &DerivEvent) -> UtcMicros {
        match event {
            DerivEvent::Socket { event, .. } => self.time_of(&event.event),
            DerivEvent::Poll {
                event: PollEvent::Body { at, .. } | PollEvent::Trades { at, .. },
                ..
            } => self.clock.at(*at),
            DerivEvent::Poll { .. } => self.clock.now(),
        }
    }

    /// Takes one event. Ticks that ended before it are sealed first.
    pub(crate) fn deriv_event(&mut self, event: &DerivEvent) -> Result<(), CoreError> {
        let at = self.deriv_time(event);
        self.core.advance(at, &mut self.books, &mut self.out)?;
        let at = self.lift(at);
        match event {
            DerivEvent::Socket { socket, event } => self.socket_event(*socket, event, at),
            DerivEvent::Poll { venue, event } => self.poll_event(*venue, event, at),
        }
        Ok(())
    }

    fn socket_event(&mut self, socket: usize, event: &LinkEvent, at: UtcMicros) {
        let link = event.link;
        let Some(held) = self.derivs.sockets.get(socket) else { return };
        let (venue, conn) = (held.venue, held.conns.get(&link).copied());
        match (&event.event, conn) {
            (FeedEvent::Connected { .. }, _) => self.deriv_connected(socket, link, at),
            (FeedEvent::Frame { text, .. }, Some(conn_id)) => {
                self.derivs.counts.frames += 1;
                self.core.deriv_heard(conn_id, at);
                let (core, out) = (&mut self.core, &mut self.out);
                let mut target = Target { core, out, at, conn_id };
                let instruments = &self.derivs.instruments;
                let read = match venue {
                    Venue::KrakenFutures => deriv_frames::futures(instruments, text, &mut target),
                    Venue::BinanceUm => deriv_frames::binance(instruments, text, &mut target),
                    Venue::KrakenSpot => Ok(()),
                };
                self.deriv_read(venue, read);
            }
            (FeedEvent::Alive { .. }, Some(conn_id)) => self.core.deriv_heard(conn_id, at),
            (FeedEvent::Notice { notice, .. }, Some(conn_id)) => {
                self.deriv_notice(socket, conn_id, notice, at);
            }
            (FeedEvent::Disconnected { reason, .. }, Some(conn_id)) => {
                self.deriv_disconnected(socket, link, conn_id, reason, at);
            }
            (FeedEvent::ConnectFailed { error, retry_in_ms, .. }, _) => {
                let stream = &self.derivs.sockets[socket].stream;
                tracing::warn!(venue = venue.as_str(), stream, retry_in_ms, "connect: {error}");
            }
            // Nothing is known of a connection that is over.
            (
                FeedEvent::Frame { .. }
                | FeedEvent::Alive { .. }
                | FeedEvent::Notice { .. }
                | FeedEvent::Disconnected { .. },
                None,
            ) => {}
        }
    }

    fn deriv_connected(&mut self, socket: usize, link: u64, at: UtcMicros) {
        let conn_id = self.next_conn();
        let held = &mut self.derivs.sockets[socket];
        held.conns.insert(link, conn_id);
        self.derivs.counts.reconnects += u64::from(core::mem::take(&mut held.was_lost));
        let (venue, stream) = (held.venue, held.stream.clone());
        self.core.deriv_opened(venue, conn_id, &stream, at, &mut self.out);
    }

    fn deriv_disconnected(
        &mut self,
        socket: usize,
        link: u64,
        conn_id: i16,
        reason: &DisconnectReason,
        at: UtcMicros,
    ) {
        let held = &mut self.derivs.sockets[socket];
        held.conns.remove(&link);
        let is_taken_over = *reason == DisconnectReason::Rotated;
        (held.is_whole, held.was_lost) = (held.is_whole && is_taken_over, !is_taken_over);
        self.derivs.counts.rotations += u64::from(is_taken_over);
        let reason = format!("{reason:?}");
        self.core.deriv_closed(conn_id, &reason, is_taken_over, at, &mut self.out);
    }

    fn deriv_notice(&mut self, socket: usize, conn_id: i16, notice: &DerivNotice, at: UtcMicros) {
        let held = &self.derivs.sockets[socket];
        let (venue, stream) = (held.venue, held.stream.as_str());
        match notice {
            DerivNotice::Whole => self.deriv_socket_whole(socket, at),
            DerivNotice::Refused { topic, text } => {
                tracing::warn!(venue = venue.as_str(), %topic, "subscription refused: {text}");
                let (feed, symbol) = self.topic(venue, topic);
                let out = &mut self.out;
                self.core.deriv_refused(conn_id, (feed, symbol.as_ref()), text, at, out);
            }
            DerivNotice::FirstFrameLate { topic, waited_ms: silent_ms }
            | DerivNotice::Silent { topic, silent_ms } => {
                tracing::warn!(venue = venue.as_str(), %topic, silent_ms, "nothing is heard");
                self.deriv_silence(venue, conn_id, topic, Some(*silent_ms), at);
            }
            DerivNotice::Heard(topic) => self.deriv_silence(venue, conn_id, topic, None, at),
            DerivNotice::AckLate(topic) => {
                tracing::warn!(venue = venue.as_str(), stream, %topic, "no answer in time");
            }
            DerivNotice::SocketLate { silent_ms } => {
                tracing::warn!(venue = venue.as_str(), stream, silent_ms, "the socket is silent");
            }
            DerivNotice::Unexpected(text) => {
                tracing::warn!(venue = venue.as_str(), stream, "answer to nothing: {text}");
            }
            DerivNotice::Acked(_) => {}
        }
    }

    fn topic(&self, venue: Venue, topic: &DerivTopic) -> (&'static str, Option<Symbol>) {
        let bound = self.derivs.instruments.find(venue, &topic.symbol);
        (topic.feed.as_str(), bound.map(|bound| bound.symbol.clone()))
    }

    fn deriv_silence(
        &mut self,
        venue: Venue,
        conn_id: i16,
        topic: &DerivTopic,
        silent_ms: Option<i64>,
        at: UtcMicros,
    ) {
        let (feed, symbol) = self.topic(venue, topic);
        let out = &mut self.out;
        self.core.deriv_silence(conn_id, (feed, symbol.as_ref()), silent_ms, at, out);
    }

    fn deriv_socket_whole(&mut self, socket: usize, at: UtcMicros) {
        let held = &mut self.derivs.sockets[socket];
        held.is_whole = true;
        let (venue, stream) = (held.venue, held.stream.clone());
        self.core.deriv_whole(venue, &stream, at, &mut self.out);
        if self.derivs.is_whole(venue) {
            self.core.deriv_whole(venue, STREAM_START, at, &mut self.out);
        }
    }

    fn poll_event(&mut self, venue: Venue, event: &PollEvent, at: UtcMicros) {
        match event {
            PollEvent::Body { path, text, .. } => {
                self.derivs.counts.bodies += 1;
                let conn_id = penstock_types::raw::CONN_BACKFILL;
                let (core, out) = (&mut self.core, &mut self.out);
                let mut target = Target { core, out, at, conn_id };
                let (instruments, body) = (&self.derivs.instruments, (*path, text.as_str()));
                let read = match venue {
                    Venue::KrakenFutures => {
                        deriv_frames::futures_body(instruments, body, &mut target)
                    }
                    Venue::BinanceUm => deriv_frames::binance_body(instruments, body, &mut target),
                    Venue::KrakenSpot => Ok(()),
                };
                self.deriv_read(venue, read);
            }
            PollEvent::Interval(change) => {
                let (symbols, interval_s) = (change.symbols, change.interval_s);
                event_metrics::say_interval(interval_s);
                let level = match change.cause {
                    StretchCause::Restored => penstock_telemetry::Level::Info,
                    StretchCause::Budget | StretchCause::UsedWeight | StretchCause::RateLimited => {
                        penstock_telemetry::Level::Warn
                    }
                };
                let cause = change.cause.as_str();
                marker!(
                    at level, OI_POLL_STRETCHED,
                    symbols = symbols, interval_s = interval_s, cause = cause,
                );
                if change.cause == StretchCause::RateLimited {
                    let error = format!("asked to stop for {interval_s} s");
                    self.core.rate_limited(venue, STREAM_REST, &error, at, &mut self.out);
                }
            }
            PollEvent::Trades { ask, text, .. } => self.trades_page(venue, ask, text, at),
            // Clocks are watched where the poll hands its events on.
            PollEvent::Clock(_) => {}
            PollEvent::TradesEnded(TradesAsk { symbol, first_id, .. }) => {
                if let Some(bound) = self.derivs.instruments.find(venue, symbol) {
                    let (symbol, out) = (&bound.symbol, &mut self.out);
                    self.core.deriv_backfill_ended(venue, symbol, *first_id, at, out);
                }
            }
            PollEvent::Failed { path, error } => {
                self.derivs.counts.polls_failed += 1;
                tracing::warn!(venue = venue.as_str(), path, "poll: {error}");
            }
        }
    }

    /// Takes a page of trades that were asked for after a gap.
    fn trades_page(&mut self, venue: Venue, ask: &TradesAsk, text: &str, at: UtcMicros) {
        let conn_id = penstock_types::raw::CONN_BACKFILL;
        let (core, out) = (&mut self.core, &mut self.out);
        let mut target = Target { core, out, at, conn_id };
        let (instruments, symbol) = (&self.derivs.instruments, ask.symbol.as_str());
        let read = match venue {
            Venue::KrakenFutures => {
                let page = (symbol, ask.first_id, text);
                deriv_frames::futures_trades(instruments, page, &mut target)
            }
            Venue::BinanceUm => {
                deriv_frames::binance_trades(instruments, (symbol, text), &mut target)
            }
            Venue::KrakenSpot => Ok(()),
        };
        self.deriv_read(venue, read);
    }

    /// Asks for missing trades; what finds no place stays missing, and the gap is closed at once.
    pub(super) fn ask_for_deriv_trades(
        &mut self,
        venue: Venue,
        symbol: &Symbol,
        (first_id, last_id): (i64, i64),
        until: UtcMicros,
    ) {
        let ask = TradesAsk { symbol: symbol.as_str().to_owned(), first_id, last_id, until };
        let is_asked = self.derivs.trades.get(&venue).is_some_and(|to| to.try_send(ask).is_ok());
        if !is_asked {
            let at = self.clock.now();
            let at = self.lift(at);
            self.core.deriv_backfill_ended(venue, symbol, first_id, at, &mut self.out);
        }
    }

    fn deriv_read(&mut self, venue: Venue, read: Result<(), String>) {
        if let Err(error) = read {
            self.derivs.counts.broken += 1;
            let count = self.derivs.counts.broken;
            if count <= BROKEN_TOLD_MAX {
                tracing::warn!(venue = venue.as_str(), count, "message dropped: {error}");
            }
        }
    }
}
