//! The market core: one thread's worth of order. Decoded messages with their receive times go in; rows
//! with their numbers, sealed ticks, cuts and notes come out.
//!
//! Invariants: `seq` is +1 per row and run; aggregator and sealer see exactly the rows that come out, in
//! that order; every tick is sealed once, in order, and before any message that arrived after its end;
//! a cut belongs to the end of a tick. It reads no clock, keeps no socket and never waits.
//! Duplicates of trades are removed here, before a number is given.

mod backfill;
mod connections;
mod delays;
mod deriv_backfill;
mod deriv_connections;
mod derivatives;
mod id_gaps;
mod level3;
mod level3_guard;
mod numbering;
mod outputs;
mod tracked;

pub use connections::{LostBook, Withdrawal};
pub use derivatives::{DerivQuoteIn, DerivStateIn, DerivTradeIn, DerivTradeKind, ForcedOrderIn};
pub use level3::Level3Health;
pub use level3_guard::Level3Block;
pub use numbering::TradeUid;
pub use outputs::{Note, Outputs, SealedTick};
pub use penstock_types::level3::{Level3Sample, TakerQuotes};
pub use tracked::{BookUpdate, Books, TickerIn, TradeIn};

use crate::aggregator::{Aggregator, STREAM_UNIVERSE};
use crate::canonical::{EventCounts, InstrumentBinding};
use crate::checkpoint::Checkpoint;
use crate::config::CoreConfig;
use crate::frame_replay::Registration;
use crate::sample::Scales;
use crate::sealer::{NumbersExhausted, Sealed, Sealer};
use connections::Connections;
use deriv_connections::DerivConnections;
use derivatives::Derivatives;
use level3::Level3;
use penstock_types::frame::{FrameHeader, encode_frame, encode_quotes};
use penstock_types::ids::{IdError, fenced_number};
use penstock_types::raw::{RawBody, RawRow, StatusRow};
use penstock_types::vocab::{StatusKind, Venue};
use penstock_types::{
    EpochId, FencingToken, GenerationId, LineageId, RunId, Seq, Symbol, TickId, UtcMicros,
};
use rustc_hash::FxHashMap;
use tracked::Tracked;

/// Under which names the core records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recording {
    /// Run.
    pub run_id: RunId,
    /// Lineage.
    pub lineage_id: LineageId,
    /// Fence.
    pub fencing_token: FencingToken,
}

/// A broken invariant of the core; the process stops.
#[derive(Debug, thiserror::Error)]
pub enum CoreError {
    /// No generation number is left under this fence.
    #[error(transparent)]
    Id(#[from] IdError),
    /// No symbol number is left in this run.
    #[error(transparent)]
    Numbers(#[from] NumbersExhausted),
    /// A frame or quote block could not be encoded.
    #[error("tick {tick} could not be sealed: {source}")]
    Seal {
        /// Tick.
        tick: TickId,
        /// What was wrong.
        source: penstock_types::frame::FrameError,
    },
}

/// The single-threaded order of ingest.
#[derive(Debug)]
pub struct MarketCore {
    config: CoreConfig,
    recording: Recording,
    seq: i64,
    generations: i64,
    next_tick: TickId,
    /// Windows before it are recorded and not sealed.
    first_sealed: TickId,
    epoch_open: Option<EpochId>,
    aggregator: Aggregator,
    sealer: Sealer,
    connections: Connections,
    derivatives: Derivatives,
    deriv_connections: DerivConnections,
    level3: Level3,
    tracked: Vec<Tracked>,
    index: FxHashMap<Symbol, usize>,
    last_market_at: Option<UtcMicros>,
}

impl MarketCore {
    /// A core whose first sealed tick is `first_tick`, with an empty or a carried-over aggregator.
    #[must_use]
    pub fn new(
        config: CoreConfig,
        recording: Recording,
        aggregator: Aggregator,
        first_tick: TickId,
    ) -> Self {
        Self {
            connections: Connections::new(config.quote_silence_ms),
            level3: Level3::new(
                config.fold.l3_sample_interval_ms,
                config.l3_resync_max,
                config.l3_hard_block_secs,
            ),
            config,
            recording,
            seq: 0,
            generations: 0,
            next_tick: first_tick,
            first_sealed: first_tick,
            epoch_open: None,
            aggregator,
            sealer: Sealer::new(recording.run_id, Vec::new()),
            derivatives: Derivatives::default(),
            deriv_connections: DerivConnections::default(),
            tracked: Vec::new(),
            index: FxHashMap::default(),
            last_market_at: None,
        }
    }

    /// The same core for a clock that has not reached the first tick yet: the windows from `own` on are
    /// recorded with their times; their events are in no frame and no version is cut. To be called before
    /// the first row.
    #[must_use]
    pub fn recording_from(mut self, own: TickId) -> Self {
        self.next_tick = self.next_tick.min(own);
        self
    }

    /// The same core with the instruments that tokens bind; to be called before the first row.
    #[must_use]
    pub fn with_bindings(mut self, bindings: Vec<InstrumentBinding>) -> Self {
        self.sealer = Sealer::new(self.recording.run_id, bindings);
        self
    }

    /// Events of bound instruments that were taken and refused since the process started.
    #[must_use]
    pub const fn event_counts(&self) -> &EventCounts {
        self.sealer.event_counts()
    }

    /// Numbers a row, folds it in and hands it out.
    fn number(&mut self, ts_local: UtcMicros, body: RawBody, out: &mut Outputs) -> Seq {
        self.seq += 1;
        // Made where it stays: a row is hundreds of bytes.
        out.rows.push(RawRow { seq: Seq(self.seq), ts_local, body });
        if let Some(row) = out.rows.last() {
            self.aggregator.apply(row);
            self.sealer.apply(row);
        }
        Seq(self.seq)
    }

    fn status(&self, kind: StatusKind, stream: &str) -> StatusRow {
        StatusRow {
            lineage_id: self.recording.lineage_id,
            venue: Some(Venue::KrakenSpot),
            stream: stream.to_owned(),
            conn_id: None,
            kind,
            symbol: None,
            gap_from: None,
            gap_to: None,
            first_seq: None,
            last_seq: None,
            detail: "{}".to_owned(),
        }
    }

    /// Begins to track a symbol, or takes other digits over; `has_book` when an L2 book of it is maintained.
    ///
    /// # Errors
    /// [`CoreError::Numbers`] when the run has no symbol number left.
    pub fn track(
        &mut self,
        symbol: &Symbol,
        scales: Scales,
        has_book: bool,
        at: UtcMicros,
        out: &mut Outputs,
    ) -> Result<(), CoreError> {
        let (run_symbol, is_new) = self.sealer.register(symbol, scales, has_book)?;
        if is_new {
            out.run_symbols.push(run_symbol);
        }
        if let Some(&i) = self.index.get(symbol) {
            let had_book = core::mem::replace(&mut self.tracked[i].has_book, has_book);
            if !is_new && had_book == has_book {
                return Ok(());
            }
        } else {
            self.index.insert(symbol.clone(), self.tracked.len());
            self.tracked.push(Tracked::new(symbol.clone(), has_book));
        }
        let mut row = self.status(StatusKind::Connect, STREAM_UNIVERSE);
        row.symbol = Some(symbol.clone());
        // Number and scale of the symbol's quotes follow from this row, so frames derive from rows alone.
        row.detail = serde_json::json!(Registration {
            book: has_book,
            price_decimals: scales.price,
            qty_decimals: scales.qty,
        })
        .to_string();
        self.number(at, RawBody::Status(row), out);
        Ok(())
    }

    /// Ends to track a symbol; its row leaves the next version, its quote the next tick.
    pub fn untrack(&mut self, symbol: &Symbol, at: UtcMicros, out: &mut Outputs) {
        let Some(i) = self.index.get(symbol).copied() else {
            return;
        };
        self.close_gaps(i, UtcMicros(i64::MAX), at, out);
        self.tracked.remove(i);
        self.index = self.tracked.iter().enumerate().map(|(i, t)| (t.symbol.clone(), i)).collect();
        self.sealer.drop_symbol(symbol);
        let mut row = self.status(StatusKind::Disconnect, STREAM_UNIVERSE);
        row.symbol = Some(symbol.clone());
        self.number(at, RawBody::Status(row), out);
    }

    /// Seals every tick that ended at or before `now`; a cut follows where one is due. Must be called
    /// before a message that arrived at `now` is taken.
    ///
    /// # Errors
    /// [`CoreError`] is a broken invariant.
    pub fn advance(
        &mut self,
        now: UtcMicros,
        books: &mut impl Books,
        out: &mut Outputs,
    ) -> Result<(), CoreError> {
        while self.next_tick.end() <= now {
            self.end_tick(books, out)?;
        }
        Ok(())
    }

    /// The same up to the first cut that is due; true when one was made. Ticks behind it wait.
    ///
    /// # Errors
    /// [`CoreError`] is a broken invariant.
    pub fn advance_to_cut(
        &mut self,
        now: UtcMicros,
        books: &mut impl Books,
        out: &mut Outputs,
    ) -> Result<bool, CoreError> {
        while self.next_tick.end() <= now {
            if self.end_tick(books, out)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Goes over to another run behind a cut: numbers begin anew, windows, marks and quotes go on.
    /// Returns the state with which the run begins, its first checkpoint, in the memory of `spare`.
    ///
    /// # Panics
    /// When rows of the run before have not been handed out.
    pub fn begin_run(
        &mut self,
        run_id: RunId,
        spare: Option<Box<Checkpoint>>,
        out: &mut Outputs,
    ) -> Box<Checkpoint> {
        assert!(out.rows.is_empty(), "rows of the run before are handed out first");
        self.recording.run_id = run_id;
        self.seq = 0;
        self.aggregator.begin_run(run_id, false);
        out.run_symbols.extend(self.sealer.begin_run(run_id));
        let mut checkpoint = self.checkpoint(spare);
        checkpoint.sealer = Some(self.sealer.state());
        checkpoint
    }

    /// The fold as a checkpoint within a run, in the memory of `spare`, a checkpoint that is no longer needed.
    #[must_use]
    pub fn checkpoint(&self, spare: Option<Box<Checkpoint>>) -> Box<Checkpoint> {
        let l2_sample_interval_ms = self.config.l2_sample_interval_ms;
        match spare {
            Some(mut spare) => {
                spare.fold.copy_from(&self.aggregator);
                (spare.sealer, spare.l2_sample_interval_ms) = (None, l2_sample_interval_ms);
                spare
            }
            None => {
                let fold = self.aggregator.clone();
                Box::new(Checkpoint { fold, sealer: None, l2_sample_interval_ms })
            }
        }
    }

    /// Ends the next window: sealed, unless others have sealed its tick; true when a cut followed.
    fn end_tick(&mut self, books: &mut impl Books, out: &mut Outputs) -> Result<bool, CoreError> {
        let (tick, end) = (self.next_tick, self.next_tick.end());
        self.flush_tickers(out);
        self.flush_deriv_quotes(out);
        self.sample_books(end, books, out);
        self.sample_level3(end, books, out);
        self.judge_level3(end, out);
        self.watch_connections(end, out);
        self.expire_backfills(end, out);
        self.expire_deriv_backfills(end, out);
        self.next_tick = tick.next();
        if tick < self.first_sealed {
            let flags = self.sealer.pass(tick);
            self.note_deriv_flags(flags, out);
            return Ok(false);
        }
        self.seal(tick, end, out)?;
        let is_cut_due = end.millis() % self.config.refresh_interval_ms == 0;
        if is_cut_due {
            self.cut(end, out)?;
        }
        Ok(is_cut_due)
    }

    fn seal(&mut self, tick: TickId, end: UtcMicros, out: &mut Outputs) -> Result<(), CoreError> {
        let Sealed { flags, events, quotes: block } = self.sealer.seal(tick);
        self.note_deriv_flags(flags, out);
        let header = FrameHeader {
            flags,
            tick_id: tick,
            frame_seq: 0,
            run_id: self.recording.run_id,
            fencing_token: self.recording.fencing_token,
            n_events: 0,
            gap_ticks: 0,
            previous: [0; 32],
            sealed_at: end,
        };
        let seal_error = |source| CoreError::Seal { tick, source };
        let frame = encode_frame(&header, &events).map_err(seal_error)?;
        let quotes = encode_quotes(&block).map_err(seal_error)?;
        out.sealed.push(SealedTick {
            tick_id: tick,
            run_id: self.recording.run_id,
            fencing_token: self.recording.fencing_token,
            epoch_id: self.epoch_open,
            n_quotes: block.entries.len(),
            frame,
            quotes,
        });
        Ok(())
    }

    fn cut(&mut self, as_of: UtcMicros, out: &mut Outputs) -> Result<(), CoreError> {
        self.generations += 1;
        let number = fenced_number(self.recording.fencing_token, self.generations)?;
        let lineage = self.recording.lineage_id;
        let cut = self.aggregator.cut(GenerationId(number), as_of, lineage);
        out.cuts.push(cut);
        Ok(())
    }

    /// Makes a cut at the end of the last sealed tick, for the end of a run; never before the tick that others
    /// have sealed last.
    ///
    /// # Errors
    /// [`CoreError::Id`] when no generation number is left.
    pub fn cut_now(&mut self, out: &mut Outputs) -> Result<(), CoreError> {
        self.cut(self.next_tick.max(self.first_sealed).start(), out)
    }

    /// The epoch whose window is open; frames carry it from the next tick on.
    pub const fn set_open_epoch(&mut self, epoch_id: Option<EpochId>) {
        self.epoch_open = epoch_id;
    }

    /// Continues under another lineage.
    pub const fn set_lineage(&mut self, lineage_id: LineageId) {
        self.recording.lineage_id = lineage_id;
    }

    /// Names under which the core records.
    #[must_use]
    pub const fn recording(&self) -> Recording {
        self.recording
    }

    /// The fold, for checkpoints and judgements.
    #[must_use]
    pub const fn aggregator(&self) -> &Aggregator {
        &self.aggregator
    }

    /// The next tick to end.
    #[must_use]
    pub const fn next_tick(&self) -> TickId {
        self.next_tick
    }

    /// Newest number given.
    #[must_use]
    pub const fn last_seq(&self) -> Seq {
        Seq(self.seq)
    }
}

#[cfg(test)]
mod deriv_tests;
#[cfg(test)]
mod tests;
