//! The sealer: recorded rows in, the flags, the events and the quote block of each tick out.
//!
//! A symbol's quote is its newest L2 sample, or its ticker row while it has no book. It stands withdrawn
//! when the book is lost, when its connection is silent or late, and while the venue is degraded. A block
//! carries what changed since the last published entry; the first block of a process or run and every
//! 240th tick carry every tracked symbol. Nothing but rows and registrations is read, so the blocks of a
//! run follow from its raw rows.

use crate::canonical::{EventCounts, EventQueue, InstrumentBinding};
use crate::sample::Scales;
use penstock_types::decimal::{round_to, to_scaled};
use penstock_types::frame::{FULL_EVERY_TICKS, FrameEvent, FrameFlags, QuoteBlock, QuoteEntry};
use penstock_types::raw::{L2Row, RawBody, RawRow, StatusRow, TickerRow};
use penstock_types::vocab::{StatusKind, Venue};
use penstock_types::{Decimal, RunId, Seq, Symbol, TickId, UtcMicros};
use rustc_hash::FxHashMap;
use std::collections::BTreeSet;

mod state;
mod venue;
pub(crate) use state::Sampled;
pub use state::SealerState;
use venue::VenueHealth;

/// In the order of their numbers.
const VENUES: [Venue; 3] = [Venue::KrakenSpot, Venue::KrakenFutures, Venue::BinanceUm];

/// A number of a run, what it names and in which scale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunSymbol {
    /// Run.
    pub run_id: RunId,
    /// Number, from 1.
    pub symbol_no: u16,
    /// Symbol.
    pub symbol: Symbol,
    /// Digits of prices.
    pub price_decimals: i16,
    /// Digits of quantities.
    pub qty_decimals: i16,
}

/// No number is left for another symbol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("run {run_id} has used all 65535 symbol numbers; next: let it roll over")]
pub struct NumbersExhausted {
    /// Run.
    pub run_id: RunId,
}

#[derive(Debug, Clone)]
struct Quoted {
    run_symbol: RunSymbol,
    is_tracked: bool,
    has_l2: bool,
    is_lost: bool,
    conn_id: i16,
    /// A book sample came since the last tick.
    is_sampled: bool,
    /// End of the tick of the newest one.
    sampled_end: UtcMicros,
    newest: QuoteEntry,
    published: QuoteEntry,
}

/// What a tick is sealed with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Flags; those of the delivery are not among them.
    pub flags: FrameFlags,
    /// Events of all bound tokens, in their order.
    pub events: Vec<FrameEvent>,
    /// Quotes that changed, or all of them.
    pub quotes: QuoteBlock,
}

/// Seals ticks from rows.
#[derive(Debug, Clone)]
pub struct Sealer {
    run_id: RunId,
    next_no: u16,
    quoted: Vec<Quoted>,
    index: FxHashMap<Symbol, usize>,
    quiet: BTreeSet<i16>,
    venues: [VenueHealth; 3],
    events: EventQueue,
    conn_cause: Seq,
    is_first: bool,
    is_full_due: bool,
}

impl Sealer {
    /// A sealer without symbols for tokens that bind these instruments; its first tick begins a session.
    #[must_use]
    pub fn new(run_id: RunId, bindings: Vec<InstrumentBinding>) -> Self {
        let events = EventQueue::new(bindings);
        let venues = VENUES.map(|venue| VenueHealth::new(venue, events.bindings()));
        Self {
            run_id,
            next_no: 1,
            quoted: Vec::new(),
            index: FxHashMap::default(),
            quiet: BTreeSet::new(),
            venues,
            events,
            conn_cause: Seq(0),
            is_first: true,
            is_full_due: true,
        }
    }

    /// Gives a symbol its number; the same scale keeps the number, another one gets a new one. A symbol
    /// with a book (`has_book`) is never quoted from its ticker, also not before its first sample.
    ///
    /// # Errors
    /// [`NumbersExhausted`] after 65 535 numbers in one run.
    pub fn register(
        &mut self,
        symbol: &Symbol,
        scales: Scales,
        has_book: bool,
    ) -> Result<(RunSymbol, bool), NumbersExhausted> {
        let decimals = |d: u32| i16::try_from(d).unwrap_or(i16::MAX);
        let (price_decimals, qty_decimals) = (decimals(scales.price), decimals(scales.qty));
        if let Some(&i) = self.index.get(symbol) {
            let held = &mut self.quoted[i];
            let same = (held.run_symbol.price_decimals, held.run_symbol.qty_decimals)
                == (price_decimals, qty_decimals);
            held.is_tracked = same;
            held.has_l2 |= has_book;
            if same {
                return Ok((held.run_symbol.clone(), false));
            }
        }
        if self.next_no == 0 {
            return Err(NumbersExhausted { run_id: self.run_id });
        }
        let (run_id, symbol_no) = (self.run_id, self.next_no);
        self.next_no = self.next_no.wrapping_add(1);
        let symbol = symbol.clone();
        let run_symbol = RunSymbol { run_id, symbol_no, symbol, price_decimals, qty_decimals };
        self.index.insert(run_symbol.symbol.clone(), self.quoted.len());
        let none = QuoteEntry::withdrawn(symbol_no, 0, Seq(0));
        self.quoted.push(Quoted {
            run_symbol: run_symbol.clone(),
            is_tracked: true,
            has_l2: has_book,
            is_lost: false,
            conn_id: 0,
            is_sampled: false,
            sampled_end: UtcMicros(0),
            newest: none,
            published: none,
        });
        Ok((run_symbol, true))
    }

    /// Takes a symbol out; its quote is withdrawn with the next tick.
    pub fn drop_symbol(&mut self, symbol: &Symbol) {
        if let Some(&i) = self.index.get(symbol) {
            self.quoted[i].is_tracked = false;
        }
    }

    /// Folds one row in.
    pub fn apply(&mut self, row: &RawRow) {
        let venues = &mut self.venues;
        self.events.apply(row, |venue, key, source| venues[venue as usize].heard(key, source));
        match &row.body {
            RawBody::L2(body) => self.on_l2(row.seq, body),
            RawBody::Ticker(body) if body.venue == Venue::KrakenSpot => {
                self.on_ticker(row.seq, body)
            }
            // Order-by-order books quote nothing: their losses withdraw nothing.
            RawBody::Status(body) if body.is_level3() => {}
            RawBody::Status(body) => {
                self.on_venue_status(row.ts_local, body);
                self.on_status(row.seq, body);
            }
            RawBody::Ticker(_)
            | RawBody::Trade(_)
            | RawBody::L3(_)
            | RawBody::DerivTicker(_)
            | RawBody::Liquidation(_) => {}
        }
    }

    fn on_l2(&mut self, seq: Seq, row: &L2Row) {
        let Some(&i) = self.index.get(&row.symbol) else {
            return;
        };
        let quoted = &mut self.quoted[i];
        (quoted.has_l2, quoted.is_lost) = (true, !row.checksum_ok);
        (quoted.conn_id, quoted.is_sampled) = (row.conn_id, true);
        let ts = row.ts_exchange.map_or(0, |t| t.0);
        let sides = [row.bid, row.ask, row.bid_qty, row.ask_qty];
        quoted.newest = entry(&quoted.run_symbol, sides, ts, seq);
    }

    fn on_ticker(&mut self, seq: Seq, row: &TickerRow) {
        let Some(&i) = self.index.get(&row.symbol) else {
            return;
        };
        let quoted = &mut self.quoted[i];
        if quoted.has_l2 {
            return;
        }
        quoted.conn_id = row.conn_id;
        let side = |d: Option<Decimal>| d.unwrap_or(Decimal::ZERO);
        let sides = [side(row.bid), side(row.ask), side(row.bid_qty), side(row.ask_qty)];
        quoted.newest = entry(&quoted.run_symbol, sides, row.ts_exchange.map_or(0, |t| t.0), seq);
    }

    fn on_venue_status(&mut self, at: UtcMicros, row: &StatusRow) {
        let (Some(venue), None) = (row.venue, &row.symbol) else { return };
        let health = &mut self.venues[venue as usize];
        match row.kind {
            StatusKind::Gap => health.lost(row.conn_id),
            StatusKind::Recovered => health.returned(row.conn_id, at),
            StatusKind::Connect
            | StatusKind::Disconnect
            | StatusKind::Resync
            | StatusKind::ChecksumFail
            | StatusKind::SubscribeReject
            | StatusKind::RawDrop
            | StatusKind::RateLimited
            | StatusKind::Silent
            | StatusKind::Heard => {}
        }
    }

    fn on_status(&mut self, seq: Seq, row: &StatusRow) {
        if row.venue != Some(Venue::KrakenSpot) {
            return;
        }
        match row.kind {
            StatusKind::ChecksumFail | StatusKind::Resync => {
                if let Some(&i) = row.symbol.as_ref().and_then(|s| self.index.get(s)) {
                    let quoted = &mut self.quoted[i];
                    quoted.is_lost = true;
                    quoted.newest = lost(&quoted.newest, seq);
                }
            }
            StatusKind::Disconnect => {
                let on_conn = |q: &&mut Quoted| Some(q.conn_id) == row.conn_id;
                for quoted in self.quoted.iter_mut().filter(on_conn) {
                    quoted.is_lost = true;
                    quoted.newest = lost(&quoted.newest, seq);
                }
                self.conn_cause = seq;
                self.quiet.retain(|c| Some(*c) != row.conn_id);
            }
            StatusKind::Gap if row.symbol.is_none() => self.conn_cause = seq,
            StatusKind::Silent => {
                self.quiet.extend(row.conn_id);
                self.conn_cause = seq;
            }
            StatusKind::Heard => self.quiet.retain(|c| Some(*c) != row.conn_id),
            StatusKind::Gap
            | StatusKind::Recovered
            | StatusKind::Connect
            | StatusKind::SubscribeReject
            | StatusKind::RawDrop
            | StatusKind::RateLimited => {}
        }
    }

    /// Starts another run: what is tracked gets new numbers from 1 in the order of the old ones; quotes
    /// and withdrawals go on under them, and no session starts. Returns the new numbers. A quote that was
    /// made before has no row in this run and carries number 0.
    pub fn begin_run(&mut self, run_id: RunId) -> Vec<RunSymbol> {
        self.run_id = run_id;
        self.quoted.retain(|quoted| quoted.is_tracked);
        self.conn_cause = Seq(0);
        self.is_full_due = true;
        let mut symbol_no = 0;
        for quoted in &mut self.quoted {
            // There are not more of them than had a number in the run before.
            symbol_no += 1;
            (quoted.run_symbol.run_id, quoted.run_symbol.symbol_no) = (run_id, symbol_no);
            quoted.newest = QuoteEntry { symbol_no, seq: Seq(0), ..quoted.newest };
            quoted.published = QuoteEntry::withdrawn(symbol_no, 0, Seq(0));
        }
        self.next_no = symbol_no.wrapping_add(1);
        let quoted = self.quoted.iter().enumerate();
        self.index = quoted.map(|(i, q)| (q.run_symbol.symbol.clone(), i)).collect();
        self.quoted.iter().map(|quoted| quoted.run_symbol.clone()).collect()
    }

    /// Events that were taken and refused since the process started.
    #[must_use]
    pub const fn event_counts(&self) -> &EventCounts {
        self.events.counts()
    }

    /// Numbers that stand, ascending.
    pub(crate) fn run_symbols(&self) -> impl Iterator<Item = &RunSymbol> {
        self.quoted.iter().map(|quoted| &quoted.run_symbol)
    }

    /// Ends a window whose tick others have sealed: its events go nowhere, and the session starts later.
    /// Returns what the venues' health would have flagged.
    pub fn pass(&mut self, tick_id: TickId) -> FrameFlags {
        self.events.drain();
        for quoted in &mut self.quoted {
            if core::mem::take(&mut quoted.is_sampled) {
                quoted.sampled_end = tick_id.end();
            }
        }
        self.health_flags(tick_id)
    }

    fn health_flags(&mut self, tick_id: TickId) -> FrameFlags {
        let mut flags = FrameFlags::default();
        for (venue, health) in VENUES.into_iter().zip(&mut self.venues) {
            let (is_degraded, is_resync) = health.at_seal(tick_id.end());
            if is_degraded {
                flags = flags.with(degraded(venue));
            }
            if is_resync {
                flags = flags.with(FrameFlags::RESYNC);
            }
        }
        flags
    }

    /// Seals a tick.
    pub fn seal(&mut self, tick_id: TickId) -> Sealed {
        let mut flags = self.health_flags(tick_id);
        if core::mem::take(&mut self.is_first) {
            flags = flags.with(FrameFlags::SESSION_START);
        }
        let is_degraded = flags.contains(FrameFlags::DEGRADED_KRAKEN_SPOT);
        let full = core::mem::take(&mut self.is_full_due) || tick_id.0 % FULL_EVERY_TICKS == 0;
        let mut entries = Vec::new();
        let (quiet, cause) = (&self.quiet, self.conn_cause);
        for quoted in &mut self.quoted {
            if core::mem::take(&mut quoted.is_sampled) {
                quoted.sampled_end = tick_id.end();
            }
            let is_quiet = is_degraded || quiet.contains(&quoted.conn_id);
            let now = if is_quiet || quoted.is_lost || !quoted.is_tracked {
                lost(&quoted.newest, quoted.newest.seq.max(cause))
            } else {
                quoted.newest
            };
            if (full && quoted.is_tracked) || !is_same_quote(&now, &quoted.published) {
                quoted.published = now;
                entries.push(now);
            }
        }
        let quotes = QuoteBlock { tick_id, full, entries };
        Sealed { flags, events: self.events.drain(), quotes }
    }

    /// The connection's quotes stand withdrawn for silence, delay or stall.
    #[must_use]
    pub fn is_quiet(&self, conn_id: i16) -> bool {
        self.quiet.contains(&conn_id)
    }
}

const fn degraded(venue: Venue) -> FrameFlags {
    match venue {
        Venue::KrakenSpot => FrameFlags::DEGRADED_KRAKEN_SPOT,
        Venue::KrakenFutures => FrameFlags::DEGRADED_KRAKEN_FUTURES,
        Venue::BinanceUm => FrameFlags::DEGRADED_BINANCE_UM,
    }
}

fn lost(entry: &QuoteEntry, seq: Seq) -> QuoteEntry {
    QuoteEntry::withdrawn(entry.symbol_no, entry.exchange_ts, seq)
}

fn is_same_quote(a: &QuoteEntry, b: &QuoteEntry) -> bool {
    (a.bid, a.ask, a.bid_qty, a.ask_qty) == (b.bid, b.ask, b.bid_qty, b.ask_qty)
}

/// The entry in the instrument's integers; a number that does not fit withdraws the quote.
fn entry(run_symbol: &RunSymbol, sides: [Decimal; 4], exchange_ts: i64, seq: Seq) -> QuoteEntry {
    let price = u32::try_from(run_symbol.price_decimals).unwrap_or(0);
    let qty = u32::try_from(run_symbol.qty_decimals).unwrap_or(0);
    let scaled = |value: Decimal, digits: u32| to_scaled(round_to(value, digits), digits);
    let symbol_no = run_symbol.symbol_no;
    match (
        scaled(sides[0], price),
        scaled(sides[1], price),
        scaled(sides[2], qty),
        scaled(sides[3], qty),
    ) {
        (Some(bid), Some(ask), Some(bid_qty), Some(ask_qty)) => {
            QuoteEntry { symbol_no, bid, ask, bid_qty, ask_qty, exchange_ts, seq }
        }
        _ => QuoteEntry::withdrawn(symbol_no, exchange_ts, seq),
    }
}

#[cfg(test)]
mod tests;
