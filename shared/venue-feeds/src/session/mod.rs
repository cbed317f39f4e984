//! The protocol side of one public connection, without input or output.
//!
//! Input: frames, the time, commands. Output: requests to send and notices for the reader. It decides
//! what is subscribed when, which answer or image is late, which symbol is silent, and when the whole
//! socket has to go.
//!
//! ```text
//! Wanted ─request─▶ Sent ─ack─▶ Acked ─image (books)─▶ Live
//!   ▲                │ late, refused      │ late          │ silent, resync asked
//!   └── answer or 2 s ◀── Leaving ◀───────┴───────────────┘
//! Refused: the venue does not have the pair.  Quarantined: too many bad checksums, for 5 minutes.
//! ```
//!
//! Invariants: at most one request per 200 ms and 100 symbols per request leave; every wanted symbol is
//! in one of these phases and every phase but Live and Refused has a deadline; data is passed on from
//! the moment of the request, whatever the phase. Order-by-order books are asked for with a token that
//! is younger than ten minutes and within the account's budget. It decodes no numbers and keeps no book.

mod access;
mod answers;
mod messages;
mod topics;

pub use access::SharedSubscribeBudget;
pub use messages::{Action, DisconnectReason, FeedCommand, FeedEvent, Notice, Plan, Topic};

use std::collections::{BTreeMap, VecDeque};

use penstock_types::UtcMicros;
use penstock_venues::kraken::book_sync::{ResyncPlan, SNAPSHOT_WAIT_MS, UNSUBSCRIBE_WAIT_MS};
use penstock_venues::kraken::liveness::{SocketState, socket_state};
use penstock_venues::kraken::request::{self, Subscription};
use penstock_venues::kraken::sniff::sniff;
use penstock_venues::kraken::vocabulary::SystemStatus;
use penstock_venues::kraken::{ChannelKind, Frame, decode};

use crate::protocol::{Opening, Protocol};
use access::Access;
use penstock_venue_net::Stamp;
use topics::{Phase, Topics, is_book};

/// Symbols per request.
const BATCH_SYMBOLS_MAX: usize = 100;
/// Distance of requests, milliseconds: at most five per second.
const REQUEST_INTERVAL_MS: i64 = 200;
/// Time of an answer to a subscription, milliseconds.
const ACK_WAIT_MS: i64 = 10_000;
/// Distance of pings, milliseconds.
const PING_INTERVAL_MS: i64 = 30_000;
/// The same of order-by-order books while nothing is subscribed: the venue sends no heartbeats then, and
/// what it answers is all that tells such a socket from a dead one.
const IDLE_PING_INTERVAL_MS: i64 = 4_000;
/// Distance of the checks of all subscriptions, milliseconds.
const CHECK_INTERVAL_MS: i64 = 500;

/// State of one connection.
#[derive(Debug)]
pub struct Session {
    plan: Plan,
    topics: Topics,
    /// Token and budget; only of order-by-order books.
    access: Option<Access>,
    actions: VecDeque<Action>,
    /// Unsubscribes that wait for the pace.
    outbox: VecDeque<Vec<Topic>>,
    req_id: u64,
    requests: BTreeMap<u64, Vec<Topic>>,
    last_frame_ms: i64,
    last_request_ms: i64,
    last_check_ms: i64,
    last_ping_ms: i64,
    ping: Option<(u64, UtcMicros)>,
    late: bool,
    closing: bool,
    /// [`Notice::Incomplete`] was told on this connection.
    is_incomplete: bool,
    system: Option<SystemStatus>,
}

impl Session {
    /// A session of order-by-order books; `connection` is its number within the account whose budget
    /// it shares.
    pub fn level3(
        symbols: Vec<String>,
        depth: u32,
        connection: usize,
        budget: SharedSubscribeBudget,
    ) -> Self {
        let access = Access::new(connection, budget);
        let plan = Plan { symbols, level3_depth: Some(depth), ..Plan::default() };
        Self { access: Some(access), ..Self::new(plan) }
    }

    /// A session that will subscribe `plan`, which has no order-by-order books.
    pub fn new(plan: Plan) -> Self {
        let topics = Topics::new(&plan);
        Self {
            plan,
            topics,
            access: None,
            actions: VecDeque::new(),
            outbox: VecDeque::new(),
            req_id: 0,
            requests: BTreeMap::new(),
            last_frame_ms: 0,
            last_request_ms: i64::MIN / 2,
            last_check_ms: 0,
            last_ping_ms: 0,
            ping: None,
            late: false,
            closing: false,
            is_incomplete: false,
            system: None,
        }
    }

    /// The venue's last word about its engine.
    pub const fn system(&self) -> Option<SystemStatus> {
        self.system
    }

    /// The socket is open: everything is to be subscribed.
    pub fn opened(&mut self, at: Stamp) {
        let now_ms = at.mono_ms();
        self.actions.clear();
        self.outbox.clear();
        self.requests.clear();
        self.ping = None;
        self.late = false;
        self.closing = false;
        self.is_incomplete = false;
        self.last_frame_ms = now_ms;
        self.last_ping_ms = now_ms;
        self.last_check_ms = now_ms;
        self.topics.reopen(now_ms);
    }

    /// A frame came. Returns whether it is data for the reader.
    pub fn frame(&mut self, text: &str, at: Stamp) -> bool {
        let now_ms = at.mono_ms();
        self.last_frame_ms = now_ms;
        self.late = false;
        if let Some(seen) = sniff(text) {
            return match seen.channel {
                ChannelKind::Heartbeat => false,
                ChannelKind::Status => {
                    self.status(text);
                    true
                }
                channel => {
                    self.heard(channel, seen.symbol.unwrap_or_default(), seen.is_snapshot, now_ms);
                    true
                }
            };
        }
        match decode(text) {
            Ok(Frame::Heartbeat) => false,
            Ok(Frame::Response(response)) => {
                self.answered(&response, at);
                false
            }
            Ok(frame) => {
                self.decoded(&frame, now_ms);
                true
            }
            // The reader counts and reports what does not decode.
            Err(_) => true,
        }
    }

    /// Frames in an unusual order of fields.
    fn decoded(&mut self, frame: &Frame<'_>, now_ms: i64) {
        let (channel, image, symbols): (_, _, Vec<&str>) = match frame {
            Frame::Book(m) => {
                (ChannelKind::Book, m.is_snapshot(), m.rows.iter().map(|r| &*r.symbol).collect())
            }
            Frame::Level3(m) => {
                (ChannelKind::Level3, m.is_snapshot(), m.rows.iter().map(|r| &*r.symbol).collect())
            }
            Frame::Trade(m) => {
                (ChannelKind::Trade, m.is_snapshot(), m.rows.iter().map(|r| &*r.symbol).collect())
            }
            Frame::Ticker(m) => {
                (ChannelKind::Ticker, m.is_snapshot(), m.rows.iter().map(|r| &*r.symbol).collect())
            }
            Frame::Ohlc(m) => {
                (ChannelKind::Ohlc, m.is_snapshot(), m.rows.iter().map(|r| &*r.symbol).collect())
            }
            Frame::Status(m) => {
                self.system = m.rows.last().and_then(|row| row.system.known()).or(self.system);
                return;
            }
            _ => return,
        };
        for symbol in symbols {
            self.heard(channel, symbol, image, now_ms);
        }
    }

    fn status(&mut self, text: &str) {
        if let Ok(Frame::Status(message)) = decode(text) {
            self.system = message.rows.last().and_then(|row| row.system.known()).or(self.system);
        }
    }

    fn heard(&mut self, channel: ChannelKind, symbol: &str, is_image: bool, now_ms: i64) {
        let Some(state) = self.topics.get_mut(channel, symbol) else { return };
        state.silence.update(now_ms);
        if is_image {
            state.image_seen = true;
            state.policy.synced();
        }
        if matches!(state.phase, Phase::Acked { .. }) && state.is_complete(channel) {
            state.phase = Phase::Live;
        }
        if state.silent {
            state.silent = false;
            let topic = Topic { channel, symbol: symbol.to_owned() };
            self.actions.push_back(Action::Notify(Notice::Heard(topic)));
        }
    }

    /// Takes a command of the reader.
    pub fn command(&mut self, command: FeedCommand, now_ms: i64) {
        match command {
            FeedCommand::Resync { symbol, mismatch } => {
                let is_level3 = self.access.is_some();
                let channel = if is_level3 { ChannelKind::Level3 } else { ChannelKind::Book };
                let topic = Topic { channel, symbol };
                let Some(state) = self.topics.get_mut(topic.channel, &topic.symbol) else { return };
                // One that is on its way already is not asked for twice.
                if matches!(state.phase, Phase::Acked { .. } | Phase::Live) {
                    self.replan(&topic, mismatch, false, now_ms);
                }
            }
            FeedCommand::SetSymbols(symbols) => {
                self.plan.symbols = symbols;
                let leaving = self.topics.adopt(&self.plan, now_ms);
                for topics in leaving.chunk_by(|a, b| a.channel == b.channel) {
                    let batches = topics.chunks(BATCH_SYMBOLS_MAX).map(<[Topic]>::to_vec);
                    self.outbox.extend(batches);
                }
            }
            FeedCommand::Reconnect => self.close(DisconnectReason::Asked),
            FeedCommand::Token(token) => {
                if let Some(access) = &mut self.access {
                    access.hold(token, now_ms);
                }
            }
        }
    }

    /// Plans the next try of one subscription.
    fn replan(&mut self, topic: &Topic, mismatch: bool, directly: bool, now_ms: i64) {
        let Some(state) = self.topics.get_mut(topic.channel, &topic.symbol) else { return };
        state.image_seen = false;
        match state.policy.plan(mismatch, now_ms) {
            ResyncPlan::After { delay_ms } => {
                let due_ms = now_ms + delay_ms;
                state.phase = if directly {
                    Phase::Wanted { due_ms }
                } else {
                    Phase::Leaving { due_ms, sent_ms: None }
                };
                self.actions.push_back(Action::Notify(Notice::Resync(topic.clone())));
            }
            ResyncPlan::ReconnectSocket => {
                self.close(DisconnectReason::Unrepaired(topic.clone()));
            }
            ResyncPlan::Quarantine { until_ms } => {
                state.phase = Phase::Quarantined { until_ms };
                let for_ms = until_ms - now_ms;
                let notice = Notice::Quarantined { topic: topic.clone(), for_ms };
                self.actions.push_back(Action::Notify(notice));
                self.outbox.push_back(vec![topic.clone()]);
            }
        }
    }

    fn close(&mut self, reason: DisconnectReason) {
        if !self.closing {
            self.closing = true;
            self.actions.push_back(Action::Close(reason));
        }
    }

    /// What is due; to be called often (every 50 ms).
    pub fn poll(&mut self, at: Stamp) -> impl Iterator<Item = Action> + '_ {
        let now_ms = at.mono_ms();
        if !self.closing {
            self.check_socket(now_ms);
            if now_ms - self.last_check_ms >= CHECK_INTERVAL_MS {
                self.last_check_ms = now_ms;
                self.check_topics(now_ms);
            }
            self.ping(at);
            self.send_due(now_ms);
        }
        self.actions.drain(..)
    }

    fn check_socket(&mut self, now_ms: i64) {
        let silent_ms = now_ms - self.last_frame_ms;
        match socket_state(silent_ms) {
            SocketState::Alive => {}
            SocketState::Late => {
                if !self.late {
                    self.late = true;
                    self.actions.push_back(Action::Notify(Notice::SocketLate { silent_ms }));
                }
            }
            SocketState::Dead => self.close(DisconnectReason::Dead { silent_ms }),
        }
    }

    fn check_topics(&mut self, now_ms: i64) {
        for topic in self.topics.overdue(now_ms) {
            let Some(state) = self.topics.get_mut(topic.channel, &topic.symbol) else { continue };
            match state.phase {
                Phase::Sent { .. } => {
                    self.actions.push_back(Action::Notify(Notice::AckLate(topic.clone())));
                    self.replan(&topic, false, false, now_ms);
                    self.tell_incomplete();
                }
                Phase::Acked { .. } => {
                    self.actions.push_back(Action::Notify(Notice::ImageLate(topic.clone())));
                    self.replan(&topic, false, false, now_ms);
                }
                Phase::Leaving { .. } | Phase::Quarantined { .. } => {
                    state.phase = Phase::Wanted { due_ms: now_ms };
                }
                Phase::Live | Phase::Refused | Phase::Wanted { .. } => {}
            }
        }
        for (topic, silent_ms) in self.topics.newly_silent(now_ms) {
            let notice = Notice::Silent { topic: topic.clone(), silent_ms };
            self.actions.push_back(Action::Notify(notice));
            if is_book(topic.channel) {
                self.replan(&topic, false, false, now_ms);
            }
        }
    }

    /// Tells once per connection that not every order-by-order book was accepted.
    fn tell_incomplete(&mut self) {
        if self.access.is_none() || self.is_incomplete {
            return;
        }
        self.is_incomplete = true;
        let (acked, pending) = self.topics.accepted();
        self.actions.push_back(Action::Notify(Notice::Incomplete { acked, pending }));
    }

    fn ping(&mut self, at: Stamp) {
        let since_ms = at.mono_ms() - self.last_ping_ms;
        // Only these may have to wait with an open socket before they may ask for anything.
        let may_wait = self.access.is_some() && since_ms >= IDLE_PING_INTERVAL_MS;
        if since_ms < PING_INTERVAL_MS && !(may_wait && self.topics.accepted().0 == 0) {
            return;
        }
        self.last_ping_ms = at.mono_ms();
        let req_id = self.next_req_id();
        self.ping = Some((req_id, at.wall));
        self.actions.push_back(Action::Send(request::ping(req_id)));
    }

    fn send_due(&mut self, now_ms: i64) {
        if now_ms - self.last_request_ms < REQUEST_INTERVAL_MS {
            return;
        }
        if self.outbox.is_empty()
            && let Some(topic) = self.topics.due_to_leave(now_ms)
        {
            self.outbox.push_back(vec![topic]);
        }
        if let Some(topics) = self.outbox.front() {
            let channel = topics.first().map_or(ChannelKind::Status, |topic| topic.channel);
            let symbols: Vec<&str> = topics.iter().map(|topic| topic.symbol.as_str()).collect();
            // Without a token it waits like a subscription.
            if let Some(asked) = self.subscription(channel, &symbols) {
                let req_id = self.req_id + 1;
                let text = request::unsubscribe(&asked, req_id);
                let topics = self.outbox.pop_front().unwrap_or_default();
                self.send(text, req_id, topics, now_ms);
                return;
            }
        }
        let symbols_max = self.admitted(now_ms);
        let Some((channel, symbols)) = self.topics.due_batch(now_ms, symbols_max) else { return };
        let names: Vec<&str> = symbols.iter().map(String::as_str).collect();
        let Some(asked) = self.subscription(channel, &names) else { return };
        let req_id = self.req_id + 1;
        let text = request::subscribe(&asked, req_id);
        let topics = symbols.into_iter().map(|symbol| Topic { channel, symbol }).collect();
        self.send(text, req_id, topics, now_ms);
    }

    /// How many subscriptions may be asked for now; asks for a token when one is missing.
    fn admitted(&mut self, now_ms: i64) -> usize {
        let Some(access) = &mut self.access else { return BATCH_SYMBOLS_MAX };
        let due = self.topics.due_len(now_ms).min(BATCH_SYMBOLS_MAX);
        let is_usable = access.is_usable(now_ms);
        if (due > 0 || !self.outbox.is_empty()) && !is_usable && access.ask() {
            self.actions.push_back(Action::FetchToken);
        }
        let depth = self.plan.level3_depth.unwrap_or_default();
        if is_usable { access.admit(depth, due, now_ms) } else { 0 }
    }

    fn subscription<'a>(
        &'a self,
        channel: ChannelKind,
        symbols: &'a [&'a str],
    ) -> Option<Subscription<'a>> {
        let token = self.access.as_ref().and_then(Access::token);
        topics::subscription(&self.plan, channel, symbols, token)
    }

    /// Sends a request and remembers what it is about.
    fn send(&mut self, text: String, req_id: u64, topics: Vec<Topic>, now_ms: i64) {
        self.req_id = req_id;
        self.last_request_ms = now_ms;
        self.actions.push_back(Action::Send(text));
        self.requests.insert(req_id, topics);
        // Answers later than this are late anyway; the map stays small.
        const REQUESTS_MAX: usize = 1_024;
        while self.requests.len() > REQUESTS_MAX {
            self.requests.pop_first();
        }
    }

    const fn next_req_id(&mut self) -> u64 {
        self.req_id += 1;
        self.req_id
    }
}

impl Protocol for Session {
    type Notice = Notice;
    type Command = FeedCommand;

    fn opened(&mut self, at: Stamp) {
        Self::opened(self, at);
    }

    fn frame(&mut self, text: &str, at: Stamp) -> bool {
        Self::frame(self, text, at)
    }

    fn command(&mut self, command: FeedCommand, now_ms: i64) {
        Self::command(self, command, now_ms);
    }

    fn poll(&mut self, at: Stamp) -> Vec<Action> {
        Self::poll(self, at).collect()
    }

    fn is_in_maintenance(&self) -> bool {
        self.system == Some(SystemStatus::Maintenance)
    }

    fn opening(&mut self, now_ms: i64) -> Opening {
        let Some(access) = &mut self.access else { return Opening::Now };
        // Nothing to ask for: the socket would only be one more that the venue closes.
        if self.plan.symbols.is_empty() {
            return Opening::AfterCommand;
        }
        if access.is_usable(now_ms) {
            Opening::Now
        } else if access.ask() {
            Opening::AfterToken
        } else {
            Opening::AfterCommand
        }
    }

    fn closed(&mut self, now_ms: i64) {
        if let Some(access) = &mut self.access {
            access.closed(now_ms);
        }
    }
}

#[cfg(test)]
mod level3_tests;
#[cfg(test)]
mod tests;
