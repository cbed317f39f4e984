//! Deriving frames again: recorded rows through the same sealer, ticks sealed where the recording did.
//!
//! A row belongs to the tick that its receive time names, and every tick that ended before is sealed
//! first. One kind of row tells its tick otherwise: the sample of a book whose best did not change carries
//! the time of the book's last update, which may be older; it was taken in the first tick that ended a
//! sample interval after the sample before. Registrations come from the rows that add a symbol. Nothing
//! but rows, the run's first checkpoint and the bindings is read.

use crate::aggregator::STREAM_UNIVERSE;
use crate::canonical::InstrumentBinding;
use crate::sample::Scales;
use crate::sealer::{NumbersExhausted, RunSymbol, Sampled, Sealed, Sealer, SealerState};
use penstock_types::raw::{L2Row, RawBody, RawRow, StatusRow};
use penstock_types::time::TICKS_PER_DAY;
use penstock_types::vocab::{StatusKind, Venue};
use penstock_types::{Decimal, RunId, Seq, Symbol, TickId, UtcMicros};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

/// What the row that adds a symbol says about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// An L2 book of it is maintained.
    pub book: bool,
    /// Digits of prices.
    pub price_decimals: u32,
    /// Digits of quantities.
    pub qty_decimals: u32,
}

/// Why frames cannot be derived from rows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameReplayError {
    /// The row that adds a symbol does not say its digits.
    #[error(
        "seq {seq}: the row that adds {symbol} does not tell its digits; the run was recorded by a version that did not note them, and its frames cannot be derived"
    )]
    Registration {
        /// Number of the row.
        seq: Seq,
        /// Symbol.
        symbol: Symbol,
    },
    /// A receive time that no recording has.
    #[error(
        "seq {seq}: its receive time lies {ticks} ticks behind the row before, more than a day; `penstock verify generation` tells whether it was edited"
    )]
    Jump {
        /// Number of the row.
        seq: Seq,
        /// Distance.
        ticks: i64,
    },
    /// More symbols than numbers.
    #[error(transparent)]
    Numbers(#[from] NumbersExhausted),
}

/// A tick that was derived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DerivedTick {
    /// Tick.
    pub tick_id: TickId,
    /// What it is sealed with.
    pub sealed: Sealed,
}

#[derive(Debug, Clone)]
struct LastSample {
    best: [Decimal; 4],
    end: UtcMicros,
    conn_id: i16,
}

/// Seals the ticks of a run from its rows.
#[derive(Debug, Clone)]
pub struct FrameReplay {
    sealer: Sealer,
    next: Option<TickId>,
    first_sealed: TickId,
    sample_ms: i64,
    samples: FxHashMap<Symbol, LastSample>,
    run_symbols: Vec<RunSymbol>,
}

impl FrameReplay {
    /// Of a run that its process began with: it seals from the window of its first row on, but no tick at or
    /// before the newest that processes before it sealed (`sealed_before`).
    #[must_use]
    pub fn new(
        run_id: RunId,
        bindings: Vec<InstrumentBinding>,
        l2_sample_interval_ms: i64,
        sealed_before: Option<TickId>,
    ) -> Self {
        Self {
            sealer: Sealer::new(run_id, bindings),
            next: None,
            first_sealed: sealed_before.map_or(TickId(i64::MIN), |newest| newest.next()),
            sample_ms: l2_sample_interval_ms,
            samples: FxHashMap::default(),
            run_symbols: Vec::new(),
        }
    }

    /// Of a run that follows by rollover, from the sealer of its first checkpoint and its first tick.
    #[must_use]
    pub fn resume(
        run_id: RunId,
        bindings: Vec<InstrumentBinding>,
        l2_sample_interval_ms: i64,
        state: SealerState,
        first_tick: TickId,
    ) -> Self {
        let samples = state.samples().map(|sampled| {
            let Sampled { symbol, best, end, conn_id } = sampled;
            (symbol, LastSample { best, end, conn_id })
        });
        let samples = samples.collect();
        let sealer = Sealer::resume(run_id, bindings, state);
        let run_symbols = sealer.run_symbols().cloned().collect();
        Self {
            sealer,
            next: Some(first_tick),
            first_sealed: first_tick,
            sample_ms: l2_sample_interval_ms,
            samples,
            run_symbols,
        }
    }

    /// Takes a row; `sealed` gets each tick that ended before it.
    ///
    /// # Errors
    /// [`FrameReplayError`].
    pub fn apply(
        &mut self,
        row: &RawRow,
        mut sealed: impl FnMut(DerivedTick),
    ) -> Result<(), FrameReplayError> {
        let tick = self.tick_of(row);
        let first = *self.next.get_or_insert(tick);
        let ticks = tick.0.saturating_sub(first.0);
        if ticks > TICKS_PER_DAY {
            return Err(FrameReplayError::Jump { seq: row.seq, ticks });
        }
        for tick_id in (first.0..tick.0).map(TickId) {
            self.end(tick_id, &mut sealed);
        }
        self.next = Some(first.max(tick));
        self.register(row)?;
        self.sealer.apply(row);
        self.note(row, first.max(tick));
        Ok(())
    }

    /// Seals up to and with a tick, behind the last row.
    pub fn seal_until(&mut self, last: TickId, mut sealed: impl FnMut(DerivedTick)) {
        let Some(first) = self.next else { return };
        for tick_id in (first.0..=last.0).map(TickId) {
            self.end(tick_id, &mut sealed);
        }
        self.next = Some(first.max(last.next()));
    }

    fn end(&mut self, tick_id: TickId, sealed: &mut impl FnMut(DerivedTick)) {
        if tick_id < self.first_sealed {
            self.sealer.pass(tick_id);
        } else {
            sealed(DerivedTick { tick_id, sealed: self.sealer.seal(tick_id) });
        }
    }

    /// The tick that is sealed next, once there was a row.
    #[must_use]
    pub const fn next_tick(&self) -> Option<TickId> {
        self.next
    }

    /// Numbers of the run, in the order in which they were given.
    #[must_use]
    pub fn run_symbols(&self) -> &[RunSymbol] {
        &self.run_symbols
    }

    fn tick_of(&self, row: &RawRow) -> TickId {
        let arrived = row.ts_local.tick();
        let RawBody::L2(body) = &row.body else { return arrived };
        let unchanged = |last: &&LastSample| last.best == best(body);
        match self.samples.get(&body.symbol).filter(unchanged) {
            Some(last) => {
                // The first tick whose end is not before the time at which the next sample is due.
                let due = last.end.plus_millis(self.sample_ms);
                arrived.max(UtcMicros(due.0 - 1).tick())
            }
            None => arrived,
        }
    }

    /// Keeps what tells the ticks of later samples; a lost book is sampled at its next image.
    fn note(&mut self, row: &RawRow, tick: TickId) {
        match &row.body {
            RawBody::L2(body) => {
                let last = LastSample { best: best(body), end: tick.end(), conn_id: body.conn_id };
                self.samples.insert(body.symbol.clone(), last);
            }
            RawBody::Status(status) => self.note_status(status),
            RawBody::Ticker(_)
            | RawBody::Trade(_)
            | RawBody::L3(_)
            | RawBody::DerivTicker(_)
            | RawBody::Liquidation(_) => {}
        }
    }

    fn note_status(&mut self, row: &StatusRow) {
        if row.venue != Some(Venue::KrakenSpot) || row.is_level3() {
            return;
        }
        match row.kind {
            StatusKind::ChecksumFail | StatusKind::Resync => {
                if let Some(symbol) = &row.symbol {
                    self.samples.remove(symbol);
                }
            }
            StatusKind::Disconnect => match &row.symbol {
                Some(symbol) => {
                    self.samples.remove(symbol);
                }
                None => self.samples.retain(|_, last| Some(last.conn_id) != row.conn_id),
            },
            StatusKind::Connect
            | StatusKind::Gap
            | StatusKind::Recovered
            | StatusKind::SubscribeReject
            | StatusKind::RawDrop
            | StatusKind::RateLimited
            | StatusKind::Silent
            | StatusKind::Heard => {}
        }
    }

    fn register(&mut self, row: &RawRow) -> Result<(), FrameReplayError> {
        let RawBody::Status(status) = &row.body else { return Ok(()) };
        let (Some(symbol), true) = (&status.symbol, status.stream == STREAM_UNIVERSE) else {
            return Ok(());
        };
        match status.kind {
            StatusKind::Connect => {
                let unknown =
                    |_| FrameReplayError::Registration { seq: row.seq, symbol: symbol.clone() };
                let said: Registration = serde_json::from_str(&status.detail).map_err(unknown)?;
                let scales = Scales { price: said.price_decimals, qty: said.qty_decimals };
                let (run_symbol, is_new) = self.sealer.register(symbol, scales, said.book)?;
                if is_new {
                    // In other units the same best is another one: the next sample comes at once.
                    self.samples.remove(symbol);
                    self.run_symbols.push(run_symbol);
                }
            }
            StatusKind::Disconnect => self.sealer.drop_symbol(symbol),
            StatusKind::Gap
            | StatusKind::Recovered
            | StatusKind::Resync
            | StatusKind::ChecksumFail
            | StatusKind::SubscribeReject
            | StatusKind::RawDrop
            | StatusKind::RateLimited
            | StatusKind::Silent
            | StatusKind::Heard => {}
        }
        Ok(())
    }
}

const fn best(row: &L2Row) -> [Decimal; 4] {
    [row.bid, row.ask, row.bid_qty, row.ask_qty]
}

#[cfg(test)]
mod tests;
