//! The protocol side of one private connection, without input or output.
//!
//! Input: frames, the time. Output: requests to send, events for the reader, answers to requests.
//!
//! Per channel: `Asked ─ack, image─▶ Whole ─number skipped, image wanted─▶ Asked` (unsubscribe, subscribe,
//! image).
//! Invariants: numbers of a channel rise by one from its image on; a skipped one is reported before
//! the frame that showed it; every subscription is answered within ten seconds or the connection goes;
//! every order request ends in exactly one of answer, time-out, loss of the connection. It folds no
//! reports.

use std::collections::{BTreeMap, VecDeque};

use penstock_types::UtcMicros;
use penstock_venues::kraken::private::ExecutionRow;
use penstock_venues::kraken::request::{self, Subscription};
use penstock_venues::kraken::response::Response;
use penstock_venues::kraken::vocabulary::OrderStatus;
use penstock_venues::kraken::{ChannelKind, Frame, decode};
use penstock_venues::venue_clock::{ClockSample, VenueClock};

use super::messages::{DisconnectReason, PrivateEvent, StreamHealth};
use penstock_venue_net::Stamp;

/// Time of an answer to a subscription, milliseconds.
const SUBSCRIBE_WAIT_MS: i64 = 10_000;
/// Time from the opening of a connection to its first ping, milliseconds: the start waits for the venue's clock.
const FIRST_PING_MS: i64 = 1_000;
/// Distance of pings, milliseconds.
const PING_INTERVAL_MS: i64 = 30_000;
/// Requests that may wait for an answer on one connection.
const PENDING_MAX: usize = 1_024;

/// Orders whose pair is kept; counters of others are not taken from their reports.
const PAIRS_LEN_LIMIT: usize = 1_024;

/// What the task is to do.
#[derive(Debug, PartialEq)]
pub(super) enum Action {
    /// Write this text.
    Send(String),
    /// Tell the reader.
    Tell(PrivateEvent),
    /// The engine counter's ceiling, as the venue reported it.
    MaxRateCount(f64),
    /// The engine counter of a pair, as the venue reported it.
    RateCount {
        /// The pair.
        symbol: String,
        /// Its counter after the event that was reported.
        value: f64,
    },
    /// Close the socket.
    Close(DisconnectReason),
}

/// A request that waits for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pending {
    sent_ms: i64,
}

/// State of one channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Channel {
    /// Subscribed, no image yet.
    Asked {
        /// When.
        at: Stamp,
        /// Whether the venue accepted.
        acked: bool,
    },
    /// Image received; the next number.
    Whole {
        /// Next number; `None` as long as the venue sends none.
        next: Option<u64>,
        /// Whether the venue accepted.
        acked: bool,
        /// When it was subscribed.
        at_ms: i64,
    },
}

/// State of one connection.
#[derive(Debug)]
pub(super) struct Session {
    epoch: u64,
    token: String,
    executions: Channel,
    balances: Channel,
    pending: BTreeMap<u64, Pending>,
    /// Pairs of live orders, by the venue's id.
    pairs: BTreeMap<String, String>,
    actions: VecDeque<Action>,
    last_frame: Stamp,
    last_ping_ms: i64,
    /// The ping that is not answered yet.
    ping: Option<(u64, UtcMicros)>,
    venue_clock: VenueClock,
    silent_limit_ms: i64,
    ack_timeout_ms: i64,
    next_own_id: u64,
    closing: bool,
}

/// Request ids of the session itself start here; those of orders stay below.
pub(super) const OWN_REQ_ID_MIN: u64 = 1 << 48;

impl Session {
    /// The socket is open: subscribes both channels.
    pub(super) fn open(
        epoch: u64,
        token: String,
        silent_limit_ms: i64,
        ack_timeout_ms: i64,
        at: Stamp,
    ) -> Self {
        let asked = Channel::Asked { at, acked: false };
        let mut session = Self {
            epoch,
            token,
            executions: asked,
            balances: asked,
            pending: BTreeMap::new(),
            pairs: BTreeMap::new(),
            actions: VecDeque::new(),
            last_frame: at,
            last_ping_ms: at.mono_ms() - PING_INTERVAL_MS + FIRST_PING_MS,
            ping: None,
            venue_clock: VenueClock::default(),
            silent_limit_ms,
            ack_timeout_ms,
            next_own_id: OWN_REQ_ID_MIN,
            closing: false,
        };
        session.subscribe(ChannelKind::Executions);
        session.subscribe(ChannelKind::Balances);
        session
    }

    /// How whole the stream is.
    pub(super) fn health(&self) -> StreamHealth {
        StreamHealth {
            epoch: self.epoch,
            connected: true,
            executions_whole: matches!(self.executions, Channel::Whole { acked: true, .. }),
            balances_whole: matches!(self.balances, Channel::Whole { acked: true, .. }),
            last_frame_mono_ns: self.last_frame.mono_ns,
            clock_offset_us: self.venue_clock.offset_us(),
        }
    }

    const fn own_id(&mut self) -> u64 {
        self.next_own_id += 1;
        self.next_own_id
    }

    fn subscribe(&mut self, channel: ChannelKind) {
        let req_id = self.own_id();
        let text = request::subscribe(&subscription(channel, &self.token), req_id);
        self.actions.push_back(Action::Send(text));
    }

    fn channel(&mut self, kind: ChannelKind) -> Option<&mut Channel> {
        match kind {
            ChannelKind::Executions => Some(&mut self.executions),
            ChannelKind::Balances => Some(&mut self.balances),
            _ => None,
        }
    }

    /// A request was written; its answer is awaited. `false` when too many wait already.
    pub(super) fn sent(&mut self, req_id: u64, at: Stamp) -> bool {
        if self.pending.len() >= PENDING_MAX {
            return false;
        }
        self.pending.insert(req_id, Pending { sent_ms: at.mono_ms() });
        true
    }

    /// A frame came. Returns the answer to an order request, if it is one.
    pub(super) fn frame<'t>(&mut self, text: &'t str, at: Stamp) -> Option<(u64, Response<'t>)> {
        self.last_frame = at;
        match decode(text) {
            Ok(Frame::Heartbeat) => None,
            Ok(Frame::Executions(message)) => {
                let (snapshot, sequence) = (message.is_snapshot(), message.sequence);
                message.rows.iter().for_each(|row| self.counted(row));
                self.data(ChannelKind::Executions, snapshot, sequence, text, at);
                None
            }
            Ok(Frame::Balances(message)) => {
                let (snapshot, sequence) = (message.is_snapshot(), message.sequence);
                self.data(ChannelKind::Balances, snapshot, sequence, text, at);
                None
            }
            Ok(Frame::Status(message)) => {
                for row in &message.rows {
                    let status = row.system.known();
                    self.tell(PrivateEvent::System { at, status });
                }
                None
            }
            Ok(Frame::Response(response)) => self.response(response, text, at),
            Ok(_) => {
                self.unreadable("a channel that was not asked for".to_owned(), text, at);
                None
            }
            Err(error) => {
                self.unreadable(error.to_string(), text, at);
                None
            }
        }
    }

    /// Keeps the pair of an order, which later reports leave out, and takes its counter from each.
    fn counted(&mut self, row: &ExecutionRow<'_>) {
        let id = row.order_id.as_str();
        let symbol = match &row.symbol {
            Some(symbol) => symbol.to_string(),
            None => match self.pairs.get(id) {
                Some(symbol) => symbol.clone(),
                None => return,
            },
        };
        if let Some(Ok(value)) = row.ratecount.as_ref().map(|count| count.decimal()) {
            let value = penstock_types::decimal::to_feature(value);
            self.actions.push_back(Action::RateCount { symbol: symbol.clone(), value });
        }
        let is_over = matches!(
            row.order_status.known(),
            Some(OrderStatus::Filled | OrderStatus::Canceled | OrderStatus::Expired)
        );
        if is_over {
            self.pairs.remove(id);
        } else if self.pairs.len() < PAIRS_LEN_LIMIT {
            self.pairs.insert(id.to_owned(), symbol);
        }
    }

    fn unreadable(&mut self, reason: String, text: &str, at: Stamp) {
        let text = request::redacted(text);
        self.tell(PrivateEvent::Unreadable { at, reason, text });
    }

    fn tell(&mut self, event: PrivateEvent) {
        self.actions.push_back(Action::Tell(event));
    }

    fn data(
        &mut self,
        kind: ChannelKind,
        is_snapshot: bool,
        sequence: Option<u64>,
        text: &str,
        at: Stamp,
    ) {
        let epoch = self.epoch;
        let (mut gap, mut asked) = (None, None);
        if let Some(channel) = self.channel(kind) {
            match *channel {
                // Changes before the image belong to an earlier subscription; they are passed on.
                Channel::Asked { at: asked_at, acked } if is_snapshot => {
                    let next = sequence.map(|n| n + 1);
                    *channel = Channel::Whole { next, acked, at_ms: asked_at.mono_ms() };
                    asked = Some(asked_at);
                }
                Channel::Asked { .. } => {}
                Channel::Whole { next, acked, at_ms } => {
                    if let (Some(expected), Some(got)) = (next, sequence)
                        && expected != got
                    {
                        gap = Some((expected, got));
                        *channel = Channel::Asked { at, acked: false };
                    } else {
                        let next = sequence.map(|n| n + 1).or(next);
                        *channel = Channel::Whole { next, acked, at_ms };
                    }
                }
            }
        }
        if let Some((expected, got)) = gap {
            self.tell(PrivateEvent::Gap { epoch, at, channel: kind, expected, got });
            self.subscribe_anew(kind);
        }
        let (channel, text) = (kind, text.to_owned());
        self.tell(PrivateEvent::Frame { epoch, at, channel, sequence, is_snapshot, asked, text });
    }

    fn subscribe_anew(&mut self, kind: ChannelKind) {
        let req_id = self.own_id();
        let text = request::unsubscribe(&subscription(kind, &self.token), req_id);
        self.actions.push_back(Action::Send(text));
        self.subscribe(kind);
    }

    /// New images of both channels; of one whose image is under way already none is asked for.
    pub(super) fn ask_images(&mut self, at: Stamp) {
        for kind in [ChannelKind::Executions, ChannelKind::Balances] {
            let whole =
                self.channel(kind).filter(|c| matches!(c, Channel::Whole { acked: true, .. }));
            if let Some(channel) = whole {
                *channel = Channel::Asked { at, acked: false };
                self.subscribe_anew(kind);
            }
        }
    }

    fn response<'t>(
        &mut self,
        response: Response<'t>,
        text: &str,
        at: Stamp,
    ) -> Option<(u64, Response<'t>)> {
        match response.method.as_str() {
            "pong" => {
                self.pong(&response, at);
                None
            }
            "unsubscribe" => None,
            "subscribe" => {
                self.subscribed(&response);
                None
            }
            _ => match response.req_id {
                Some(req_id) if self.pending.remove(&req_id).is_some() => Some((req_id, response)),
                _ => {
                    let text = request::redacted(text);
                    self.tell(PrivateEvent::LateAnswer { at, text });
                    None
                }
            },
        }
    }

    /// What the answer to the last ping says about the venue's clock.
    fn pong(&mut self, response: &Response<'_>, at: Stamp) {
        let Some((req_id, sent)) = self.ping else { return };
        let (Some(time_in), Some(time_out)) = (response.time_in, response.time_out) else { return };
        if response.req_id != Some(req_id) {
            return;
        }
        self.ping = None;
        let venue = UtcMicros(i64::midpoint(time_in.micros(), time_out.micros()));
        let sample = ClockSample::of(sent, venue, at.wall);
        // Half of the way may lie on either side: only what is beyond it is certain. A slow answer on a busy machine
        // would else be a clock that is off.
        let doubt_us = sample.round_trip_us / 2;
        let certain_us = sample.offset_us.saturating_abs().saturating_sub(doubt_us).max(0);
        let offset_us = certain_us * sample.offset_us.signum();
        // A change that somebody has to be told is the business of whoever reads the offset.
        let _ = self.venue_clock.take(ClockSample { offset_us, ..sample });
    }

    fn subscribed(&mut self, response: &Response<'_>) {
        let result = response.subscription().ok().flatten();
        let named = result.as_ref().and_then(|r| ChannelKind::from_wire(&r.channel));
        if !response.accepted() {
            // Without a channel in the answer either subscription may be meant; both go.
            let channel = named.unwrap_or(ChannelKind::Executions);
            let text = response.error.as_ref().map_or("", |text| text.as_str()).to_owned();
            self.close(DisconnectReason::NotSubscribed { channel, text });
            return;
        }
        let Some(kind) = named else { return };
        if let Some(max) = result.and_then(|r| r.maxratecount)
            && let Ok(max) = max.decimal()
        {
            let max = penstock_types::decimal::to_feature(max);
            self.actions.push_back(Action::MaxRateCount(max));
        }
        let epoch = self.epoch;
        if let Some(channel) = self.channel(kind) {
            match channel {
                Channel::Asked { acked, .. } | Channel::Whole { acked, .. } => *acked = true,
            }
            self.tell(PrivateEvent::Subscribed { epoch, channel: kind });
        }
    }

    fn close(&mut self, reason: DisconnectReason) {
        if !self.closing {
            self.closing = true;
            self.actions.push_back(Action::Close(reason));
        }
    }

    /// Requests whose answer did not come in time; they are given up.
    pub(super) fn timed_out(&mut self, at: Stamp) -> Vec<u64> {
        let limit_ms = at.mono_ms() - self.ack_timeout_ms;
        let late: Vec<u64> = self
            .pending
            .iter()
            .filter(|(_, pending)| pending.sent_ms <= limit_ms)
            .map(|(req_id, _)| *req_id)
            .collect();
        for req_id in &late {
            self.pending.remove(req_id);
        }
        late
    }

    /// What is due; to be called often.
    pub(super) fn poll(&mut self, at: Stamp) -> Vec<Action> {
        let now_ms = at.mono_ms();
        if !self.closing {
            let silent_ms = now_ms - self.last_frame.mono_ms();
            if silent_ms >= self.silent_limit_ms {
                self.close(DisconnectReason::Silent { silent_ms });
            }
            for kind in [ChannelKind::Executions, ChannelKind::Balances] {
                let late = match self.channel(kind) {
                    Some(Channel::Asked { at, .. }) => now_ms - at.mono_ms() >= SUBSCRIBE_WAIT_MS,
                    Some(Channel::Whole { at_ms, acked: false, .. }) => {
                        now_ms - *at_ms >= SUBSCRIBE_WAIT_MS
                    }
                    Some(Channel::Whole { acked: true, .. }) | None => false,
                };
                if late {
                    let text = "no answer or no image within 10 s".to_owned();
                    self.close(DisconnectReason::NotSubscribed { channel: kind, text });
                }
            }
            if now_ms - self.last_ping_ms >= PING_INTERVAL_MS {
                self.last_ping_ms = now_ms;
                let req_id = self.own_id();
                self.ping = Some((req_id, at.wall));
                self.actions.push_back(Action::Send(request::ping(req_id)));
            }
        }
        self.actions.drain(..).collect()
    }
}

fn subscription(channel: ChannelKind, token: &str) -> Subscription<'_> {
    match channel {
        ChannelKind::Executions => Subscription::Executions { token },
        _ => Subscription::Balances { token },
    }
}

#[cfg(test)]
mod tests;
