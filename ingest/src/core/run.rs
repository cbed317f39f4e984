//! The market core's own thread: one order for everything that arrives.
//!
//! Inputs: feed events of every socket in one bounded queue, commands of the tasks, the clock. Outputs:
//! rows into the sink, sealed ticks into the frame queue, cuts into the slot of the publisher. It never
//! waits for a cluster: the sink and the slot take at once, and a frame queue that is full is a broken
//! invariant of its owner, who drains it into a spool. Events come before the timer, so that a tick is
//! sealed only when everything that arrived before its end has been taken.

use super::deriv_input::{DerivCounts, DerivEvent};
use super::event_metrics;
use super::feed_input::{Group, GroupKind, Market};
use super::level3_input::Level3Pair;
use super::lost_books::BookQuarantine;
use super::rollover::Rollover;
use super::sink::RawSink;
use crate::lifecycle::alerts::{Alerts, Reason};
use crate::publish::cuts::{CutJob, CutSlot};
use crate::universe::backfill::BackfillRequest;
use penstock_market::checkpoint::Checkpoint;
use penstock_market::{CoreError, Level3Health, RunSymbol, SealedTick, TradeIn};
use penstock_store::raw_rows::GenerationRow;
use penstock_store::spool::frame_records::RunRecord;
use penstock_store::spool::{DropRange, StreamCode};
use penstock_telemetry::marker;
use penstock_types::raw::RawBody;
use penstock_types::vocab::Venue;
use penstock_types::{EpochId, LineageId, Seq, Symbol, UtcMicros};
use penstock_venue_feeds::{FeedCommand, FeedEvent};
use penstock_venues::kraken::book::Precision;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot, watch};

/// Feed events that may wait for the core.
pub(crate) const EVENTS_LEN_LIMIT: usize = 16_384;
/// Commands that may wait for the core.
pub(crate) const COMMANDS_LEN_LIMIT: usize = 4_096;
/// Sealed ticks and symbol numbers that may wait for the frames task: an hour of ticks.
pub(crate) const FRAMES_LEN_LIMIT: usize = 16_384;
/// Longest sleep of the core; a longer pause than [`STALL`] was a stall.
const WAKE_EVERY: Duration = Duration::from_millis(25);
const STALL: Duration = Duration::from_secs(1);
/// Events taken between two looks at the clock.
const EVENTS_PER_TURN: usize = 512;

/// A pair that is to be tracked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TrackedPair {
    pub symbol: Symbol,
    pub precision: Precision,
    /// Depth of its book, none without one.
    pub book_depth: Option<u32>,
    /// Socket that carries it.
    pub group: usize,
}

/// What arrives from the venues, in one order.
#[derive(Debug)]
pub(crate) enum Input {
    /// A group of Kraken spot tells something.
    Spot(usize, FeedEvent),
    /// A derivative venue tells something.
    Deriv(DerivEvent),
}

/// What tasks ask of the core.
#[derive(Debug)]
pub(crate) enum CoreCommand {
    /// Track these pairs too, or with another precision.
    Track(Vec<TrackedPair>),
    /// Track these no longer.
    Untrack(Vec<Symbol>),
    /// Maintain order-by-order books of these pairs too, or with another depth or precision.
    TrackLevel3(Vec<Level3Pair>),
    /// End the order-by-order books of these.
    UntrackLevel3(Vec<Symbol>),
    /// Another socket, before the first pair that it carries.
    AddGroup(Box<Group>),
    /// Go over to another run at the next cut.
    Rollover(Box<Rollover>),
    /// These pairs have other digits now.
    Precision(Vec<(Symbol, Precision)>),
    /// Trades that were fetched after a gap.
    Backfill(Vec<TradeIn>),
    /// Nothing more is fetched for the gap that began with a number.
    BackfillEnded { symbol: Symbol, first_id: i64 },
    /// The epoch whose window is open.
    OpenEpoch(Option<EpochId>),
    /// The ingest cluster did not take this generation itself.
    SpoolGeneration(Box<GenerationRow>),
    /// Continue under another lineage.
    Lineage(LineageId),
    /// A copy of the fold, with the last number folded in, in the memory of `spare`.
    Checkpoint {
        spare: Option<Box<Checkpoint>>,
        answer: oneshot::Sender<(Box<Checkpoint>, UtcMicros)>,
    },
    /// Take what has arrived, make a last cut and a last frame, end.
    Stop(oneshot::Sender<Seq>),
}

/// What a frames task takes, in this order.
#[derive(Debug)]
pub(crate) enum FrameItem {
    /// Another run; its numbers and frames follow.
    Run(Box<RunRecord>),
    /// A number that the next frames use.
    Symbol(RunSymbol),
    /// A sealed tick with the instant of its end.
    Sealed(Box<SealedTick>, Instant),
}

/// What the core tells about itself, refreshed with each cut.
#[derive(Debug, Clone, Default)]
pub(crate) struct CoreHealth {
    pub checksums_ok: u64,
    pub checksums_bad: u64,
    pub reconnects: u64,
    pub broken_frames: u64,
    pub is_gap_open: bool,
    pub is_whole: bool,
    pub last_message_age_ms: i64,
    /// Rows of ticker, trades, L2 and L3.
    pub rows: [u64; 4],
    /// How order-by-order books are.
    pub level3: Level3Health,
    /// Symbols whose book of levels was lost too often.
    pub book_quarantines: Vec<BookQuarantine>,
    /// Newest row of L3 that was shed.
    pub l3_shed_at: Option<UtcMicros>,
    pub newest_tick: i64,
    pub stream_gap: Option<UtcMicros>,
    pub derivs: DerivCounts,
    pub deriv_rows: u64,
}

/// Ends of the queues that the core holds.
pub(crate) struct CorePorts<S> {
    pub events: mpsc::Receiver<Input>,
    pub commands: mpsc::Receiver<CoreCommand>,
    pub frames: mpsc::Sender<FrameItem>,
    pub cuts: Arc<CutSlot>,
    pub health: watch::Sender<CoreHealth>,
    pub sink: S,
    /// Gaps of trade numbers that are to be fetched.
    pub backfill: mpsc::Sender<BackfillRequest>,
    pub alerts: Alerts,
}

/// The thread's state.
pub(crate) struct CoreThread<S> {
    pub(super) market: Market,
    pub(super) ports: CorePorts<S>,
    /// A run that waits for the next cut.
    pub(super) rollover: Option<Rollover>,
    rows: [u64; 4],
    l3_shed_at: Option<UtcMicros>,
    pub(super) stream_gap: Option<UtcMicros>,
    deriv_rows: u64,
    last_turn: Instant,
}

impl<S: RawSink + 'static> CoreThread<S> {
    pub(crate) fn new(market: Market, ports: CorePorts<S>) -> Self {
        Self {
            market,
            ports,
            rollover: None,
            rows: [0; 4],
            l3_shed_at: None,
            deriv_rows: 0,
            stream_gap: None,
            last_turn: Instant::now(),
        }
    }

    /// Starts the thread; it ends after `Stop` or with a broken invariant.
    pub(crate) fn start(self) -> std::io::Result<std::thread::JoinHandle<Result<(), CoreError>>> {
        std::thread::Builder::new().name("market-core".to_owned()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .build()
                .expect("a runtime with only a timer needs no resource that can be missing");
            runtime.block_on(self.run())
        })
    }

    async fn run(mut self) -> Result<(), CoreError> {
        let mut events = Vec::with_capacity(EVENTS_PER_TURN);
        loop {
            let command = tokio::select! {
                // Biased: commands are rare and change what the data behind them means; then data; the
                // timer last, because a tick may be sealed only after what arrived before its end.
                biased;
                Some(command) = self.ports.commands.recv() => Some(command),
                n = self.ports.events.recv_many(&mut events, EVENTS_PER_TURN) => {
                    if n == 0 {
                        // Every connector is gone: the stop is on its way.
                        tokio::time::sleep(WAKE_EVERY).await;
                    }
                    None
                }
                () = tokio::time::sleep(WAKE_EVERY) => None,
            };
            self.watch_stall();
            let now = self.market.clock.now();
            self.take(&mut events)?;
            if let Some(CoreCommand::Stop(done)) = command {
                return self.stop(&mut events, done);
            }
            if let Some(command) = command {
                self.command(command)?;
            }
            if events.is_empty() && self.ports.events.is_empty() {
                self.roll_at_cut(now)?;
                let Market { core, books, out, .. } = &mut self.market;
                core.advance(now, books, out)?;
            }
            self.deliver()?;
        }
    }

    fn watch_stall(&mut self) {
        let paused = self.last_turn.elapsed();
        self.last_turn = Instant::now();
        if paused > STALL {
            let at = self.market.clock.now();
            let at = self.market.lift(at);
            tracing::warn!(paused_ms = paused.as_millis(), "the market core stood still");
            self.market.stalled(at);
        }
    }

    fn take(&mut self, events: &mut Vec<Input>) -> Result<(), CoreError> {
        for input in events.drain(..) {
            match input {
                Input::Spot(group, event) => {
                    self.roll_at_cut(self.market.time_of(&event))?;
                    self.market.event(group, &event)?;
                }
                Input::Deriv(event) => {
                    self.roll_at_cut(self.market.deriv_time(&event))?;
                    self.market.deriv_event(&event)?;
                }
            }
        }
        Ok(())
    }

    fn command(&mut self, command: CoreCommand) -> Result<(), CoreError> {
        let at = self.market.clock.now();
        let at = self.market.lift(at);
        match command {
            CoreCommand::Track(pairs) => self.track(&pairs, at)?,
            CoreCommand::Untrack(symbols) => self.untrack(&symbols, at),
            CoreCommand::TrackLevel3(pairs) => {
                self.market.track_level3(&pairs, at);
                self.subscribe();
            }
            CoreCommand::UntrackLevel3(symbols) => {
                self.market.untrack_level3(&symbols, at);
                self.subscribe();
            }
            CoreCommand::Rollover(next) => self.rollover = Some(*next),
            CoreCommand::AddGroup(group) => self.market.add_group(*group),
            CoreCommand::Precision(changes) => self.market.change_precisions(&changes, at)?,
            CoreCommand::Backfill(trades) => {
                let Market { core, out, .. } = &mut self.market;
                for trade in &trades {
                    core.backfill(at, trade, out);
                }
            }
            CoreCommand::BackfillEnded { symbol, first_id } => {
                let Market { core, out, .. } = &mut self.market;
                core.backfill_ended(&symbol, first_id, at, out);
            }
            CoreCommand::OpenEpoch(epoch_id) => self.market.core.set_open_epoch(epoch_id),
            CoreCommand::SpoolGeneration(row) => {
                // What a stall has just numbered goes first: numbers never go back within a segment.
                self.deliver()?;
                self.ports.sink.generation(self.market.core.last_seq(), &row);
            }
            CoreCommand::Lineage(lineage_id) => self.market.core.set_lineage(lineage_id),
            CoreCommand::Checkpoint { spare, answer } => {
                let copy = self.market.core.checkpoint(spare);
                // Who asked may have given up; a checkpoint is made again later.
                let _ = answer.send((copy, at));
            }
            CoreCommand::Stop(_) => {}
        }
        Ok(())
    }

    fn track(&mut self, pairs: &[TrackedPair], at: UtcMicros) -> Result<(), CoreError> {
        self.market.track(pairs, at)?;
        self.subscribe();
        Ok(())
    }

    fn untrack(&mut self, symbols: &[Symbol], at: UtcMicros) {
        self.market.untrack_level3(symbols, at);
        for symbol in symbols {
            let market = &mut self.market;
            market.core.untrack(symbol, at, &mut market.out);
            market.books.drop_book(symbol);
            for group in &mut market.groups {
                group.symbols.remove(symbol);
            }
        }
        self.subscribe();
    }

    fn subscribe(&self) {
        for group in &self.market.groups {
            let symbols = group.symbols.iter().map(|s| s.as_str().to_owned()).collect();
            if group.commands.try_send(FeedCommand::SetSymbols(symbols)).is_err() {
                tracing::warn!(stream = %group.stream, "subscription change found no place");
            }
        }
    }

    /// Carries out what the core decided, until nothing is left: what is told may number rows of its own.
    pub(super) fn deliver(&mut self) -> Result<(), CoreError> {
        while !self.market.out.is_empty() {
            self.deliver_once();
        }
        Ok(())
    }

    fn deliver_once(&mut self) {
        let run_id = self.market.core.recording().run_id;
        let now = self.market.clock.now();
        let drops = self.ports.sink.drops(now);
        self.record_drops(&drops);
        let last_seq = self.market.core.last_seq();
        let clock = &self.market.clock;
        for row in &self.market.out.rows {
            match counted(&row.body) {
                Some(stream) => self.rows[stream] += 1,
                None => self.deriv_rows += u64::from(is_derivative(&row.body)),
            }
            self.ports.sink.row(run_id, row);
        }
        for symbol in self.market.out.run_symbols.drain(..) {
            send_frame_item(&self.ports.frames, FrameItem::Symbol(symbol));
        }
        for sealed in self.market.out.sealed.drain(..) {
            let end = clock.instant(sealed.tick_id.end());
            send_frame_item(&self.ports.frames, FrameItem::Sealed(Box::new(sealed), end));
        }
        let cuts = core::mem::take(&mut self.market.out.cuts);
        let notes = core::mem::take(&mut self.market.out.notes);
        self.market.out.clear();
        notes.into_iter().for_each(|note| self.tell(note));
        for cut in cuts {
            cut.candles.iter().for_each(|c| self.ports.sink.candle(run_id, last_seq, c));
            self.ports.sink.sync();
            self.tell_health(cut.as_of, cut.last_msg_age_ms);
            let cut_at = self.market.clock.instant(cut.as_of);
            let gaps = self.market.core.aggregator().gaps().clone();
            let complete = self.ports.sink.is_complete();
            if let Some(older) = self.ports.cuts.put(CutJob::new(cut, gaps, cut_at, complete)) {
                self.ports.sink.generation(last_seq, &older.generation_row());
            }
        }
    }

    /// Numbers the gap rows of what was shed.
    pub(super) fn record_drops(&mut self, drops: &[DropRange]) {
        for range in drops {
            let at = self.market.clock.now();
            let at = self.market.lift(at);
            let (stream, blind) = (range.stream.as_str(), (range.from, range.to));
            let (first_seq, last_seq) = (range.first_seq, range.last_seq);
            if range.stream == StreamCode::L3 {
                self.l3_shed_at = self.l3_shed_at.max(Some(range.to));
            }
            let Market { core, out, .. } = &mut self.market;
            core.rows_shed(stream, blind, (first_seq, last_seq), at, out);
            marker!(
                INGEST_RAW_DROPPED,
                stream = stream,
                rows = last_seq.0 - first_seq.0 + 1,
                first_seq = first_seq,
                last_seq = last_seq,
                gap_from = range.from.rfc3339(),
                gap_to = range.to.rfc3339(),
            );
            let rows = last_seq.0 - first_seq.0 + 1;
            let metrics = serde_json::json!({ "rows": rows });
            let summary = format!("{rows} numbers of stream {stream} were shed");
            self.ports.alerts.occurred(Reason::RawDataLoss, &summary, metrics);
        }
    }

    fn tell_health(&self, as_of: UtcMicros, last_message_age_ms: i64) {
        let market = &self.market;
        event_metrics::say(market.core.event_counts());
        let (checksums_ok, checksums_bad) = market.books.checksums();
        let health = CoreHealth {
            checksums_ok,
            checksums_bad,
            reconnects: market.counts.reconnects,
            broken_frames: market.counts.broken,
            is_gap_open: market.core.is_gap_open(),
            is_whole: market
                .groups
                .iter()
                .filter(|g| g.kind == GroupKind::Public)
                .all(|g| g.is_whole || g.symbols.is_empty()),
            level3: market.core.level3_health(),
            book_quarantines: market.lost_books.quarantines(),
            l3_shed_at: self.l3_shed_at,
            last_message_age_ms,
            rows: self.rows,
            newest_tick: as_of.tick().0 - 1,
            stream_gap: self.stream_gap,
            derivs: market.derivs.counts,
            deriv_rows: self.deriv_rows,
        };
        self.ports.health.send_replace(health);
    }

    /// Takes what has arrived, seals up to now, makes the last cut, hands everything out.
    fn stop(
        mut self,
        events: &mut Vec<Input>,
        done: oneshot::Sender<Seq>,
    ) -> Result<(), CoreError> {
        while let Ok(event) = self.ports.events.try_recv() {
            events.push(event);
        }
        self.take(events)?;
        while let Ok(command) = self.ports.commands.try_recv() {
            self.command(command)?;
        }
        let now = self.market.clock.now();
        let Market { core, books, out, .. } = &mut self.market;
        core.advance(now, books, out)?;
        core.cut_now(out)?;
        let drops = self.ports.sink.last_drops();
        self.record_drops(&drops);
        self.deliver()?;
        self.ports.cuts.close();
        // The stop itself waits for this; a service that has given up no longer needs it.
        let _ = done.send(self.market.core.last_seq());
        Ok(())
    }
}

/// Streams of Kraken spot whose rows are counted by themselves.
fn counted(body: &RawBody) -> Option<usize> {
    match body {
        RawBody::Ticker(row) => (row.venue == Venue::KrakenSpot).then_some(0),
        RawBody::Trade(row) => (row.venue == Venue::KrakenSpot).then_some(1),
        RawBody::L2(_) => Some(2),
        RawBody::L3(_) => Some(3),
        RawBody::DerivTicker(_) | RawBody::Liquidation(_) | RawBody::Status(_) => None,
    }
}

/// Market data of a derivative venue.
fn is_derivative(body: &RawBody) -> bool {
    match body {
        RawBody::Ticker(row) => row.venue != Venue::KrakenSpot,
        RawBody::Trade(row) => row.venue != Venue::KrakenSpot,
        RawBody::DerivTicker(_) | RawBody::Liquidation(_) => true,
        RawBody::L2(_) | RawBody::L3(_) | RawBody::Status(_) => false,
    }
}

/// An hour of ticks fits; a frames task that does not even move them into its spool is broken.
pub(super) fn send_frame_item(frames: &mpsc::Sender<FrameItem>, item: FrameItem) {
    match frames.try_send(item) {
        Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => {}
        Err(mpsc::error::TrySendError::Full(_)) => {
            panic!(
                "the frame queue holds {FRAMES_LEN_LIMIT} items: the frames task does not take them"
            )
        }
    }
}

#[cfg(test)]
mod tests;
