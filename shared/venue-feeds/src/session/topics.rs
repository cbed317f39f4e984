//! The subscriptions of one connection and their phases.
//!
//! Input: the plan, the time. Output: which are due, overdue or silent. It is the bookkeeping of the
//! session and decides nothing about repairs.

use std::collections::BTreeMap;

use penstock_venues::kraken::ChannelKind;
use penstock_venues::kraken::book_sync::ResyncPolicy;
use penstock_venues::kraken::liveness::SilenceLimit;
use penstock_venues::kraken::request::Subscription;

use crate::token::SessionToken;

use super::{ACK_WAIT_MS, Plan, SNAPSHOT_WAIT_MS, Topic, UNSUBSCRIBE_WAIT_MS};

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
    /// Accepted; a book's image is still to come.
    Acked {
        /// When.
        at_ms: i64,
    },
    /// Complete.
    Live,
    /// To be unsubscribed, or unsubscribed and waiting for the answer.
    Leaving {
        /// Not before.
        due_ms: i64,
        /// When the request left.
        sent_ms: Option<i64>,
    },
    /// The venue does not have it.
    Refused,
    /// Left alone.
    Quarantined {
        /// Until.
        until_ms: i64,
    },
}

/// State of one subscription.
#[derive(Debug)]
pub(super) struct TopicState {
    pub(super) phase: Phase,
    pub(super) image_seen: bool,
    pub(super) silent: bool,
    pub(super) silence: SilenceLimit,
    pub(super) policy: ResyncPolicy,
}

impl TopicState {
    fn new(now_ms: i64) -> Self {
        Self {
            phase: Phase::Wanted { due_ms: now_ms },
            image_seen: false,
            silent: false,
            silence: SilenceLimit::new(now_ms),
            policy: ResyncPolicy::default(),
        }
    }

    /// Whether nothing more has to come before it is live.
    pub(super) fn is_complete(&self, channel: ChannelKind) -> bool {
        !is_book(channel) || self.image_seen
    }

    fn is_overdue(&self, now_ms: i64) -> bool {
        match self.phase {
            Phase::Sent { at_ms } => now_ms - at_ms >= ACK_WAIT_MS,
            Phase::Acked { at_ms } => now_ms - at_ms >= SNAPSHOT_WAIT_MS,
            Phase::Leaving { sent_ms: Some(at_ms), .. } => now_ms - at_ms >= UNSUBSCRIBE_WAIT_MS,
            Phase::Quarantined { until_ms } => now_ms >= until_ms,
            Phase::Wanted { .. }
            | Phase::Live
            | Phase::Refused
            | Phase::Leaving { sent_ms: None, .. } => false,
        }
    }
}

/// Only books start with an image that must not be missing, and are asked for anew when they fall
/// silent.
pub(super) const fn is_book(channel: ChannelKind) -> bool {
    matches!(channel, ChannelKind::Book | ChannelKind::Level3)
}

/// All subscriptions, by channel and symbol.
#[derive(Debug, Default)]
pub(super) struct Topics(BTreeMap<ChannelKind, BTreeMap<String, TopicState>>);

impl Topics {
    pub(super) fn new(plan: &Plan) -> Self {
        let mut topics = Self::default();
        topics.adopt(plan, 0);
        topics
    }

    /// Adds what the plan has and removes what it no longer has; returns what to unsubscribe.
    pub(super) fn adopt(&mut self, plan: &Plan, now_ms: i64) -> Vec<Topic> {
        let channels = channels(plan);
        let mut leaving = Vec::new();
        for (channel, states) in &mut self.0 {
            states.retain(|symbol, _| {
                let keep = symbol.is_empty() || plan.symbols.contains(symbol);
                if !keep {
                    leaving.push(Topic { channel: *channel, symbol: symbol.clone() });
                }
                keep
            });
        }
        for (channel, has_symbols) in channels {
            let states = self.0.entry(channel).or_default();
            let one = [String::new()];
            let symbols = if has_symbols { plan.symbols.as_slice() } else { &one };
            for symbol in symbols {
                states.entry(symbol.clone()).or_insert_with(|| TopicState::new(now_ms));
            }
        }
        leaving
    }

    pub(super) fn get_mut(
        &mut self,
        channel: ChannelKind,
        symbol: &str,
    ) -> Option<&mut TopicState> {
        self.0.get_mut(&channel)?.get_mut(symbol)
    }

    /// A new socket: everything is to be requested again, except what the venue does not have and
    /// what is still quarantined.
    pub(super) fn reopen(&mut self, now_ms: i64) {
        for state in self.0.values_mut().flat_map(BTreeMap::values_mut) {
            state.image_seen = false;
            state.policy.reconnected();
            state.silence.resume(now_ms);
            let stays = match state.phase {
                Phase::Refused => true,
                Phase::Quarantined { until_ms } => now_ms < until_ms,
                Phase::Wanted { .. }
                | Phase::Sent { .. }
                | Phase::Acked { .. }
                | Phase::Live
                | Phase::Leaving { .. } => false,
            };
            if !stays {
                state.phase = Phase::Wanted { due_ms: now_ms };
            }
        }
    }

    pub(super) fn overdue(&self, now_ms: i64) -> Vec<Topic> {
        self.select(|_, state| state.is_overdue(now_ms))
    }

    /// Subscriptions that have become silent; each is reported once until it is heard again.
    pub(super) fn newly_silent(&mut self, now_ms: i64) -> Vec<(Topic, i64)> {
        let mut found = Vec::new();
        for (channel, states) in &mut self.0 {
            // Assets and pairs change rarely; their silence means nothing.
            if *channel == ChannelKind::Instrument {
                continue;
            }
            for (symbol, state) in states {
                let live = matches!(state.phase, Phase::Live);
                if live && !state.silent && state.silence.is_silent(now_ms) {
                    state.silent = true;
                    let topic = Topic { channel: *channel, symbol: symbol.clone() };
                    found.push((topic, state.silence.silent_ms(now_ms)));
                }
            }
        }
        found
    }

    /// The next subscription whose unsubscribe is due; marks it as sent.
    pub(super) fn due_to_leave(&mut self, now_ms: i64) -> Option<Topic> {
        let due = |state: &TopicState| matches!(state.phase, Phase::Leaving { due_ms, sent_ms: None } if now_ms >= due_ms);
        let topic = self.select(|_, state| due(state)).into_iter().next()?;
        let state = self.get_mut(topic.channel, &topic.symbol)?;
        state.phase = Phase::Leaving { due_ms: now_ms, sent_ms: Some(now_ms) };
        Some(topic)
    }

    /// Number of subscriptions that are due.
    pub(super) fn due_len(&self, now_ms: i64) -> usize {
        let due = |state: &&TopicState| matches!(state.phase, Phase::Wanted { due_ms } if now_ms >= due_ms);
        self.states().filter(due).count()
    }

    /// Numbers of subscriptions that the venue has accepted, and of those that it has still to accept.
    pub(super) fn accepted(&self) -> (usize, usize) {
        let mut counts = (0, 0);
        for state in self.states() {
            match state.phase {
                Phase::Acked { .. } | Phase::Live => counts.0 += 1,
                Phase::Refused => {}
                Phase::Wanted { .. }
                | Phase::Sent { .. }
                | Phase::Leaving { .. }
                | Phase::Quarantined { .. } => counts.1 += 1,
            }
        }
        counts
    }

    fn states(&self) -> impl Iterator<Item = &TopicState> {
        self.0.values().flat_map(BTreeMap::values)
    }

    /// The next batch of one channel that is due; marks it as sent.
    pub(super) fn due_batch(
        &mut self,
        now_ms: i64,
        symbols_max: usize,
    ) -> Option<(ChannelKind, Vec<String>)> {
        for (channel, states) in &mut self.0 {
            let mut symbols = Vec::new();
            for (symbol, state) in states {
                let due = matches!(state.phase, Phase::Wanted { due_ms } if now_ms >= due_ms);
                if due && symbols.len() < symbols_max {
                    state.phase = Phase::Sent { at_ms: now_ms };
                    state.silence.resume(now_ms);
                    symbols.push(symbol.clone());
                }
            }
            if !symbols.is_empty() {
                return Some((*channel, symbols));
            }
        }
        None
    }

    fn select(&self, wanted: impl Fn(ChannelKind, &TopicState) -> bool) -> Vec<Topic> {
        let mut found = Vec::new();
        for (channel, states) in &self.0 {
            for (symbol, state) in states {
                if wanted(*channel, state) {
                    found.push(Topic { channel: *channel, symbol: symbol.clone() });
                }
            }
        }
        found
    }
}

/// Channels of a plan, and whether they have symbols.
fn channels(plan: &Plan) -> Vec<(ChannelKind, bool)> {
    let mut channels = Vec::new();
    if plan.instrument {
        channels.push((ChannelKind::Instrument, false));
    }
    if plan.ticker.is_some() {
        channels.push((ChannelKind::Ticker, true));
    }
    if plan.trade {
        channels.push((ChannelKind::Trade, true));
    }
    if plan.book_depth.is_some() {
        channels.push((ChannelKind::Book, true));
    }
    if plan.ohlc_interval.is_some() {
        channels.push((ChannelKind::Ohlc, true));
    }
    if plan.level3_depth.is_some() {
        channels.push((ChannelKind::Level3, true));
    }
    channels
}

/// The request's subscription; `None` for a channel that the plan does not have, and for order-by-order
/// books without a token.
pub(super) fn subscription<'a>(
    plan: &Plan,
    channel: ChannelKind,
    symbols: &'a [&'a str],
    token: Option<&'a SessionToken>,
) -> Option<Subscription<'a>> {
    Some(match channel {
        ChannelKind::Instrument => Subscription::Instrument,
        ChannelKind::Ticker => Subscription::Ticker { symbols, trigger: plan.ticker? },
        ChannelKind::Trade => Subscription::Trade { symbols, snapshot: false },
        ChannelKind::Book => Subscription::Book { symbols, depth: plan.book_depth? },
        ChannelKind::Ohlc => Subscription::Ohlc { symbols, interval: plan.ohlc_interval? },
        ChannelKind::Level3 => {
            Subscription::Level3 { symbols, depth: plan.level3_depth?, token: token?.expose() }
        }
        ChannelKind::Status
        | ChannelKind::Heartbeat
        | ChannelKind::Executions
        | ChannelKind::Balances => return None,
    })
}
