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
//! the moment of the request, whatever the phase. It decodes no numbers and keeps no book.

mod messages;
mod topics;

pub use messages::{Action, DisconnectReason, FeedCommand, FeedEvent, Notice, Plan, Topic};

use std::collections::{BTreeMap, VecDeque};

use penstock_types::UtcMicros;
use penstock_venues::kraken::book_sync::{ResyncPlan, SNAPSHOT_WAIT_MS, UNSUBSCRIBE_WAIT_MS};
use penstock_venues::kraken::error_table::{self, ErrorClass};
use penstock_venues::kraken::liveness::{SocketState, socket_state};
use penstock_venues::kraken::request;
use penstock_venues::kraken::response::Response;
use penstock_venues::kraken::sniff::sniff;
use penstock_venues::kraken::vocabulary::SystemStatus;
use penstock_venues::kraken::{ChannelKind, Frame, decode};

use crate::protocol::Protocol;
use penstock_venue_net::Stamp;
use topics::{Phase, Topics};

/// Symbols per request.
const BATCH_SYMBOLS_MAX: usize = 100;
/// Distance of requests, milliseconds: at most five per second.
const REQUEST_INTERVAL_MS: i64 = 200;
/// Time of an answer to a subscription, milliseconds.
const ACK_WAIT_MS: i64 = 10_000;
/// Distance of pings, milliseconds.
const PING_INTERVAL_MS: i64 = 30_000;
/// Distance of the checks of all subscriptions, milliseconds.
const CHECK_INTERVAL_MS: i64 = 500;

/// State of one connection.
#[derive(Debug)]
pub struct Session {
    plan: Plan,
    topics: Topics,
    actions: VecDeque<Action>,
    /// Unsubscribes that wait for the pace.
    outbox: VecDeque<String>,
    req_id: u64,
    requests: BTreeMap<u64, Vec<Topic>>,
    last_frame_ms: i64,
    last_request_ms: i64,
    last_check_ms: i64,
    last_ping_ms: i64,
    ping: Option<(u64, UtcMicros)>,
    late: bool,
    closing: bool,
    system: Option<SystemStatus>,
}

impl Session {
    /// A session that will subscribe `plan`.
    pub fn new(plan: Plan) -> Self {
        let topics = Topics::new(&plan);
        Self {
            plan,
            topics,
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

    fn answered(&mut self, response: &Response<'_>, at: Stamp) {
        match response.method.as_str() {
            "pong" => self.pong(response, at),
            "subscribe" => self.subscribe_answer(response, at.mono_ms()),
            "unsubscribe" => self.unsubscribe_answer(response, at.mono_ms()),
            _ => self.unexpected(response),
        }
    }

    fn pong(&mut self, response: &Response<'_>, at: Stamp) {
        let Some((req_id, sent)) = self.ping else { return };
        let (Some(time_in), Some(time_out)) = (response.time_in, response.time_out) else { return };
        if response.req_id != Some(req_id) {
            return;
        }
        self.ping = None;
        let venue_us = (time_out.micros() - time_in.micros()).max(0);
        let network_us = (at.wall.0 - sent.0 - venue_us).max(0);
        let venue_middle = i64::midpoint(time_in.micros(), time_out.micros());
        let clock_offset_us = venue_middle - i64::midpoint(sent.0, at.wall.0);
        let notice = Notice::Latency { network_us, clock_offset_us };
        self.actions.push_back(Action::Notify(notice));
    }

    fn unexpected(&mut self, response: &Response<'_>) {
        let notice = Notice::UnexpectedAnswer {
            method: response.method.to_string(),
            error: response.error.as_ref().map(|text| text.to_string()),
        };
        self.actions.push_back(Action::Notify(notice));
    }

    /// The topics that an answer is about: by its result, else by its request.
    fn topics_of(&self, response: &Response<'_>) -> Vec<Topic> {
        if let Ok(Some(result)) = response.subscription()
            && let Some(channel) = ChannelKind::from_wire(&result.channel)
        {
            let symbol = result.symbol.map(|s| s.to_string()).unwrap_or_default();
            return vec![Topic { channel, symbol }];
        }
        let asked = response.req_id.and_then(|id| self.requests.get(&id));
        let asked = asked.map(Vec::as_slice).unwrap_or_default();
        // A refusal names its symbol in its text; one that names none is about the whole request.
        if let Some(text) = &response.error {
            let named = |topic: &&Topic| {
                !topic.symbol.is_empty()
                    && text.split_ascii_whitespace().any(|word| word == topic.symbol)
            };
            if let Some(topic) = asked.iter().find(named) {
                return vec![topic.clone()];
            }
        }
        asked.to_vec()
    }

    fn subscribe_answer(&mut self, response: &Response<'_>, now_ms: i64) {
        let topics = self.topics_of(response);
        if topics.is_empty() {
            self.unexpected(response);
        }
        for topic in topics {
            let Some(state) = self.topics.get_mut(topic.channel, &topic.symbol) else { continue };
            if !matches!(state.phase, Phase::Sent { .. }) {
                continue;
            }
            if response.accepted() {
                state.phase = if state.is_complete(topic.channel) {
                    Phase::Live
                } else {
                    Phase::Acked { at_ms: now_ms }
                };
                self.actions.push_back(Action::Notify(Notice::Acked(topic)));
                continue;
            }
            let text = response.error.as_ref().map_or("", |text| text.as_str());
            let last = error_table::judge(text).class == ErrorClass::Config;
            let notice = Notice::Refused { topic: topic.clone(), text: text.to_owned(), last };
            self.actions.push_back(Action::Notify(notice));
            if last {
                state.phase = Phase::Refused;
            } else {
                // Nothing is subscribed, so nothing has to be unsubscribed first.
                self.replan(&topic, false, true, now_ms);
            }
        }
    }

    fn unsubscribe_answer(&mut self, response: &Response<'_>, now_ms: i64) {
        for topic in self.topics_of(response) {
            if let Some(state) = self.topics.get_mut(topic.channel, &topic.symbol)
                && matches!(state.phase, Phase::Leaving { sent_ms: Some(_), .. })
            {
                state.phase = Phase::Wanted { due_ms: now_ms };
            }
        }
    }

    /// Takes a command of the reader.
    pub fn command(&mut self, command: FeedCommand, now_ms: i64) {
        match command {
            FeedCommand::Resync { symbol, mismatch } => {
                let topic = Topic { channel: ChannelKind::Book, symbol };
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
                    topics.chunks(BATCH_SYMBOLS_MAX).for_each(|batch| self.unsubscribe(batch));
                }
            }
            FeedCommand::Reconnect => self.close(DisconnectReason::Asked),
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
                self.unsubscribe(core::slice::from_ref(topic));
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
            let is_book = topic.channel == ChannelKind::Book;
            let notice = Notice::Silent { topic: topic.clone(), silent_ms };
            self.actions.push_back(Action::Notify(notice));
            if is_book {
                self.replan(&topic, false, false, now_ms);
            }
        }
    }

    fn ping(&mut self, at: Stamp) {
        if at.mono_ms() - self.last_ping_ms < PING_INTERVAL_MS {
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
            self.unsubscribe(&[topic]);
        }
        if let Some(text) = self.outbox.pop_front() {
            self.last_request_ms = now_ms;
            self.actions.push_back(Action::Send(text));
            return;
        }
        let Some((channel, symbols)) = self.topics.due_batch(now_ms, BATCH_SYMBOLS_MAX) else {
            return;
        };
        self.last_request_ms = now_ms;
        let req_id = self.next_req_id();
        let names: Vec<&str> = symbols.iter().map(String::as_str).collect();
        let Some(subscription) = topics::subscription(&self.plan, channel, &names) else { return };
        let text = request::subscribe(&subscription, req_id);
        self.actions.push_back(Action::Send(text));
        let topics = symbols.into_iter().map(|symbol| Topic { channel, symbol }).collect();
        self.requests.insert(req_id, topics);
        // Answers later than this are late anyway; the map stays small.
        const REQUESTS_MAX: usize = 1_024;
        while self.requests.len() > REQUESTS_MAX {
            self.requests.pop_first();
        }
    }

    /// Queues an unsubscribe of topics of one channel; it leaves before any new subscription.
    fn unsubscribe(&mut self, topics: &[Topic]) {
        let Some(channel) = topics.first().map(|topic| topic.channel) else { return };
        let req_id = self.next_req_id();
        let symbols: Vec<&str> = topics.iter().map(|topic| topic.symbol.as_str()).collect();
        let Some(subscription) = topics::subscription(&self.plan, channel, &symbols) else {
            return;
        };
        self.outbox.push_back(request::unsubscribe(&subscription, req_id));
        self.requests.insert(req_id, topics.to_vec());
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
}

#[cfg(test)]
mod tests;
