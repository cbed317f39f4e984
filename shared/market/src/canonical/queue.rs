//! The events between two ticks, per token: numbered, without duplicates, in their one order.

use std::collections::BTreeMap;

use penstock_types::Symbol;
use penstock_types::frame::FrameEvent;
use penstock_types::raw::{RawBody, RawRow};
use penstock_types::vocab::Venue;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::binding::{InstrumentBinding, InstrumentKey};
use super::duplicates::SeenNumbers;
use super::normalise::{Accepted, Reject, Source, normalise};

/// What was taken and refused since the process started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventCounts {
    /// Events taken, by venue and source.
    pub accepted: [[u64; Source::ALL.len()]; Venue::ALL.len()],
    /// Refusals by reason.
    pub rejected: BTreeMap<Reject, u64>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct TokenQueue {
    pub(super) local_seq: u64,
    pub(super) waiting: Vec<FrameEvent>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct SourceState {
    pub(super) seen: SeenNumbers,
    pub(super) newest_ts: i64,
}

/// The queues of all tokens. One instance lives as long as the process: neither a tick nor a new run
/// resets numbers or what was seen.
#[derive(Debug, Clone, Default)]
pub struct EventQueue {
    /// By venue, so that a row is looked up by its own symbol.
    bound: [FxHashMap<Symbol, Vec<InstrumentBinding>>; Venue::ALL.len()],
    pub(super) tokens: BTreeMap<u16, TokenQueue>,
    pub(super) sources: FxHashMap<(InstrumentKey, Source), SourceState>,
    pub(super) timed_tickers: FxHashMap<Symbol, bool>,
    counts: EventCounts,
}

impl EventQueue {
    /// Queues of the tokens that bind these instruments.
    #[must_use]
    pub fn new(bindings: Vec<InstrumentBinding>) -> Self {
        let mut queue = Self::default();
        for binding in bindings {
            queue.tokens.entry(binding.key.token_id).or_default();
            let of_venue = &mut queue.bound[binding.venue as usize];
            of_venue.entry(binding.symbol.clone()).or_default().push(binding);
        }
        queue
    }

    /// What was taken and refused.
    #[must_use]
    pub const fn counts(&self) -> &EventCounts {
        &self.counts
    }

    /// All bound instruments.
    pub fn bindings(&self) -> impl Iterator<Item = &InstrumentBinding> {
        self.bound.iter().flat_map(FxHashMap::values).flatten()
    }

    /// Takes what a row gives to the tokens that bind its instrument; names what was accepted.
    pub fn apply(&mut self, row: &RawRow, mut accepted: impl FnMut(Venue, InstrumentKey, Source)) {
        let Some((venue, symbol)) = place(&row.body) else { return };
        let Some(bindings) = self.bound[venue as usize].get(symbol) else { return };
        if !takes_quote(&mut self.timed_tickers, symbol, &row.body) {
            return;
        }
        for binding in bindings {
            for made in normalise(row, binding) {
                let taken = made.and_then(|made| {
                    let state = self.sources.entry((binding.key, made.source)).or_default();
                    admit(state, &made, binding.venue).map(|()| made)
                });
                match taken {
                    Ok(Accepted { source, mut event, .. }) => {
                        let token = self.tokens.entry(binding.key.token_id).or_default();
                        token.local_seq += 1;
                        event.local_seq = token.local_seq;
                        token.waiting.push(event);
                        self.counts.accepted[binding.venue as usize][source as usize] += 1;
                        accepted(binding.venue, binding.key, source);
                    }
                    Err(reason) => *self.counts.rejected.entry(reason).or_default() += 1,
                }
            }
        }
    }

    /// The batches of a tick, tokens ascending: each ordered and conflated. The queues are empty then.
    pub fn drain(&mut self) -> Vec<FrameEvent> {
        let mut out = Vec::new();
        for token in self.tokens.values_mut() {
            token.waiting.sort_unstable_by_key(order);
            let start = out.len();
            let mut later: SmallVec<[(u16, u8); 12]> = SmallVec::new();
            for event in token.waiting.drain(..).rev() {
                let value = (event.instrument_id, event.source);
                if !is_conflated(event.source) {
                    out.push(event);
                } else if !later.contains(&value) {
                    later.push(value);
                    out.push(event);
                }
            }
            out[start..].reverse();
        }
        out
    }
}

/// The one order of a token's events. The payload takes no part; `local_seq` only parts what the venue
/// does not number.
fn order(event: &FrameEvent) -> (i64, u8, u8, u16, u64, u64) {
    (
        event.exchange_ts,
        event.source,
        event.venue,
        event.instrument_id,
        event.venue_seq,
        event.local_seq,
    )
}

/// Only the last of a tick is read by anything.
const fn is_conflated(source: u8) -> bool {
    source == Source::Book as u8 || source == Source::Mark as u8 || source == Source::Funding as u8
}

fn place(body: &RawBody) -> Option<(Venue, &Symbol)> {
    match body {
        RawBody::Ticker(body) => Some((body.venue, &body.symbol)),
        RawBody::Trade(body) => Some((body.venue, &body.symbol)),
        RawBody::L2(body) => Some((Venue::KrakenSpot, &body.symbol)),
        RawBody::DerivTicker(body) => Some((body.venue, &body.symbol)),
        RawBody::Liquidation(body) => Some((body.venue, &body.symbol)),
        RawBody::L3(_) | RawBody::Status(_) => None,
    }
}

/// Kraken spot quotes come from the ticker; a symbol whose ticker has no time is quoted from its book.
fn takes_quote(timed: &mut FxHashMap<Symbol, bool>, symbol: &Symbol, body: &RawBody) -> bool {
    match body {
        RawBody::Ticker(ticker) if ticker.venue == Venue::KrakenSpot => {
            let is_timed = ticker.ts_exchange.is_some();
            timed.insert(symbol.clone(), is_timed);
            is_timed
        }
        RawBody::L2(_) => timed.get(symbol) == Some(&false),
        RawBody::Ticker(_)
        | RawBody::Trade(_)
        | RawBody::L3(_)
        | RawBody::DerivTicker(_)
        | RawBody::Liquidation(_)
        | RawBody::Status(_) => true,
    }
}

/// Takes an event once, and a polled one only when it is newer than what is known. Where only the poll
/// supplies a value an equal time passes: it confirms the value and keeps it from going stale.
fn admit(state: &mut SourceState, made: &Accepted, venue: Venue) -> Result<(), Reject> {
    let (number, at) = (made.event.venue_seq, made.event.exchange_ts);
    if number != 0 && !state.seen.accept(number) {
        return Err(Reject::Duplicate);
    }
    let confirms =
        venue == Venue::BinanceUm && made.source == Source::OpenInterest && at == state.newest_ts;
    if made.is_polled && at <= state.newest_ts && !confirms {
        return Err(Reject::NotNewer);
    }
    state.newest_ts = state.newest_ts.max(at);
    Ok(())
}
