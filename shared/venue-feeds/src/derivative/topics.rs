//! The subscriptions of one derivative connection: phase, first frame, silence.
//!
//! ```text
//! Wanted ─request─▶ Sent ─ack─▶ Live        Refused: the venue does not have it.
//!   ▲                │ late        │ silent
//!   └────────────────┴─────────────┘
//! ```
//!
//! Input: what was sent and came, the time. Output: what is due, late or silent. Data counts from the
//! moment of the request, whatever the phase. It decides nothing about sockets.

use std::collections::BTreeMap;

use penstock_venues::kraken::liveness::SilenceLimit;

use super::notice::{DerivFeed, DerivTopic};

/// Time of an answer to a request, milliseconds.
pub(super) const ACK_WAIT_MS: i64 = 10_000;
/// Delay of a request after one that was not answered, milliseconds; it grows with each.
const RETRY_STEP_MS: i64 = 1_000;
const RETRY_MAX_MS: i64 = 30_000;
/// Silence of a feed that sends every second, milliseconds.
const STEADY_SILENCE_MS: i64 = 10_000;
/// A symbol whose limit is this low is heard at least once per second.
const LIQUID_LIMIT_MS: i64 = 15_000;

/// Where a subscription stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// To be requested.
    Wanted {
        /// Not before.
        due_ms: i64,
    },
    /// Requested.
    Sent {
        /// When.
        at_ms: i64,
    },
    /// Accepted.
    Live {
        /// When.
        since_ms: i64,
    },
    /// The venue does not have it.
    Refused,
}

#[derive(Debug)]
struct TopicState {
    phase: Phase,
    /// A frame came on this connection.
    is_heard: bool,
    /// The first frame is late, and that was told.
    is_late: bool,
    is_silent: bool,
    /// A refusal names no product: those of a refused request are asked for one by one.
    is_alone: bool,
    tries: i64,
    silence: SilenceLimit,
}

impl TopicState {
    fn new() -> Self {
        Self {
            phase: Phase::Wanted { due_ms: 0 },
            is_heard: false,
            is_late: false,
            is_silent: false,
            is_alone: false,
            tries: 0,
            silence: SilenceLimit::new(0),
        }
    }
}

/// All subscriptions, by feed and symbol.
#[derive(Debug)]
pub(super) struct Topics(BTreeMap<DerivFeed, BTreeMap<String, TopicState>>);

impl Topics {
    pub(super) fn new(topics: impl Iterator<Item = DerivTopic>) -> Self {
        let mut all: BTreeMap<DerivFeed, BTreeMap<String, TopicState>> = BTreeMap::new();
        for DerivTopic { feed, symbol } in topics {
            all.entry(feed).or_default().insert(symbol, TopicState::new());
        }
        Self(all)
    }

    fn get_mut(&mut self, feed: DerivFeed, symbol: &str) -> Option<&mut TopicState> {
        self.0.get_mut(&feed)?.get_mut(symbol)
    }

    fn all_mut(&mut self) -> impl Iterator<Item = (DerivFeed, &String, &mut TopicState)> {
        self.0.iter_mut().flat_map(|(feed, states)| {
            states.iter_mut().map(|(symbol, state)| (*feed, symbol, state))
        })
    }

    /// A new socket: everything is to be requested again, except what the venue does not have.
    pub(super) fn reopen(&mut self, now_ms: i64) {
        for (_, _, state) in self.all_mut() {
            (state.is_heard, state.is_late, state.tries) = (false, false, 0);
            state.silence.resume(now_ms);
            if state.phase != Phase::Refused {
                state.phase = Phase::Wanted { due_ms: now_ms };
            }
        }
    }

    /// A frame of the subscription came; true when it was silent before.
    pub(super) fn heard(&mut self, feed: DerivFeed, symbol: &str, now_ms: i64) -> bool {
        let Some(state) = self.get_mut(feed, symbol) else { return false };
        state.silence.update(now_ms);
        state.is_heard = true;
        core::mem::take(&mut state.is_silent)
    }

    /// The venue accepted it; false when it was not asked for.
    pub(super) fn acked(&mut self, feed: DerivFeed, symbol: &str, now_ms: i64) -> bool {
        let Some(state) = self.get_mut(feed, symbol) else { return false };
        if !matches!(state.phase, Phase::Sent { .. } | Phase::Wanted { .. }) {
            return false;
        }
        (state.phase, state.tries) = (Phase::Live { since_ms: now_ms }, 0);
        true
    }

    pub(super) fn refused(&mut self, feed: DerivFeed, symbol: &str) {
        if let Some(state) = self.get_mut(feed, symbol) {
            state.phase = Phase::Refused;
        }
    }

    /// Asks for each of them anew, one by one.
    pub(super) fn split(&mut self, topics: &[DerivTopic], now_ms: i64) {
        for topic in topics {
            if let Some(state) = self.get_mut(topic.feed, &topic.symbol)
                && matches!(state.phase, Phase::Sent { .. })
            {
                state.is_alone = true;
                state.phase = Phase::Wanted { due_ms: now_ms };
            }
        }
    }

    /// Requests that were not answered in time; they are due again, later each time.
    pub(super) fn overdue(&mut self, now_ms: i64) -> Vec<DerivTopic> {
        let mut late = Vec::new();
        for (feed, symbol, state) in self.all_mut() {
            if let Phase::Sent { at_ms } = state.phase
                && now_ms - at_ms >= ACK_WAIT_MS
            {
                state.tries += 1;
                let delay_ms = (state.tries * RETRY_STEP_MS).min(RETRY_MAX_MS);
                state.phase = Phase::Wanted { due_ms: now_ms + delay_ms };
                late.push(DerivTopic { feed, symbol: symbol.clone() });
            }
        }
        late
    }

    /// Accepted ones whose first frame is late; each is told once per connection.
    pub(super) fn first_late(&mut self, now_ms: i64) -> Vec<(DerivTopic, i64)> {
        let mut late = Vec::new();
        for (feed, symbol, state) in self.all_mut() {
            if let (Phase::Live { since_ms }, Some(limit_ms)) = (state.phase, first_frame_ms(feed))
                && !state.is_heard
                && !state.is_late
                && now_ms - since_ms >= limit_ms
            {
                state.is_late = true;
                late.push((DerivTopic { feed, symbol: symbol.clone() }, now_ms - since_ms));
            }
        }
        late
    }

    /// Those that have become silent; each is told once until it is heard again, and asked for anew.
    pub(super) fn newly_silent(&mut self, now_ms: i64) -> Vec<(DerivTopic, i64)> {
        let mut found = Vec::new();
        for (feed, symbol, state) in self.all_mut() {
            let is_live = matches!(state.phase, Phase::Live { .. }) && state.is_heard;
            if !is_live || state.is_silent {
                continue;
            }
            let silent_ms = state.silence.silent_ms(now_ms);
            let is_silent = match feed {
                DerivFeed::MarkPrice | DerivFeed::Ticker => silent_ms > STEADY_SILENCE_MS,
                DerivFeed::Trade | DerivFeed::BookTicker | DerivFeed::AggTrade => {
                    state.silence.is_silent(now_ms)
                }
                // Forced orders are rare; the heartbeat is judged with the socket.
                DerivFeed::ForceOrder | DerivFeed::Heartbeat => false,
            };
            if is_silent {
                state.is_silent = true;
                state.phase = Phase::Wanted { due_ms: now_ms };
                found.push((DerivTopic { feed, symbol: symbol.clone() }, silent_ms));
            }
        }
        found
    }

    /// The next request: topics of one feed, or of all when `is_mixed`; marks them as sent.
    pub(super) fn due_batch(
        &mut self,
        now_ms: i64,
        topics_max: usize,
        is_mixed: bool,
    ) -> Vec<DerivTopic> {
        let mut batch: Vec<DerivTopic> = Vec::new();
        for (feed, symbol, state) in self.all_mut() {
            let is_due = matches!(state.phase, Phase::Wanted { due_ms } if now_ms >= due_ms);
            let is_other = !is_mixed && batch.first().is_some_and(|first| first.feed != feed);
            if !is_due || is_other || (state.is_alone && !batch.is_empty()) {
                continue;
            }
            state.phase = Phase::Sent { at_ms: now_ms };
            batch.push(DerivTopic { feed, symbol: symbol.clone() });
            if state.is_alone || batch.len() == topics_max {
                break;
            }
        }
        batch
    }

    /// Everything is accepted or refused, not all refused, and what has to deliver at once has delivered
    /// or was told as late.
    pub(super) fn is_whole(&self) -> bool {
        let states = || self.0.iter().flat_map(|(f, states)| states.values().map(move |s| (*f, s)));
        let is_settled = |feed: DerivFeed, state: &TopicState| match state.phase {
            Phase::Refused => true,
            Phase::Live { .. } => {
                let is_prompt = first_frame_ms(feed).is_some_and(|ms| ms <= STEADY_SILENCE_MS);
                state.is_heard || state.is_late || !is_prompt
            }
            // Asked for anew after a silence: it was whole before.
            Phase::Wanted { .. } | Phase::Sent { .. } => false,
        };
        states().all(|(feed, state)| is_settled(feed, state))
            && states().any(|(feed, s)| feed != DerivFeed::Heartbeat && s.phase != Phase::Refused)
    }

    /// A symbol of the feed is heard at least once per second.
    pub(super) fn has_liquid(&mut self, feed: DerivFeed, now_ms: i64) -> bool {
        let Some(states) = self.0.get_mut(&feed) else { return false };
        states.values_mut().any(|state| state.silence.limit_ms(now_ms) <= LIQUID_LIMIT_MS)
    }

    /// A phase, for tests.
    #[cfg(test)]
    pub(super) fn phase(&self, feed: DerivFeed, symbol: &str) -> Option<Phase> {
        self.0.get(&feed)?.get(symbol).map(|state| state.phase)
    }
}

/// Longest wait for the first frame after the acknowledgement, milliseconds; none where silence means
/// nothing.
const fn first_frame_ms(feed: DerivFeed) -> Option<i64> {
    match feed {
        // Each begins with an image, or sends every second.
        DerivFeed::Heartbeat | DerivFeed::Ticker | DerivFeed::Trade => Some(10_000),
        DerivFeed::BookTicker | DerivFeed::MarkPrice => Some(10_000),
        DerivFeed::AggTrade => Some(120_000),
        DerivFeed::ForceOrder => None,
    }
}
