//! The engine with what surrounds every step: gaps, the chain of frames, places in the logs, hand-off.
//!
//! Input: frames whose chain holds. Output: what each tick leaves, handed to a [`Sink`]. Invariants: live,
//! recovery and replay run this code and differ in their sinks alone; missing ticks are executed as empty ones;
//! a snapshot is exported between ticks.

use crate::error::Fault;
use crate::journal::Chain;
use crate::layout::{DAY_TICKS, Day};
use penstock_engine::record::RECORD_LEN;
use penstock_engine::snapshot::{LogPosition, SnapshotContext};
use penstock_engine::{Engine, FrameView, TickOutput, expand_gap};
use penstock_types::frame::{FrameEvent, FrameHeader};
use std::collections::BTreeMap;

/// Ticks between two checkpoints.
pub const CHECKPOINT_TICKS: u64 = 240;

/// What a tick leaves in files.
#[derive(Debug)]
pub(crate) struct TickFiles<'a> {
    pub tick: u64,
    /// Records, ascending by token.
    pub records: &'a [[u8; RECORD_LEN]],
    /// Lines of the stream of alerts.
    pub alerts: &'a str,
    /// Lines of the stream of transitions.
    pub transitions: &'a str,
}

/// Where a tick's output goes.
pub(crate) trait Sink {
    /// Takes a tick.
    fn tick(&mut self, tick: &TickFiles<'_>) -> Result<(), Fault>;
    /// A snapshot of this tick is wanted.
    fn wants_snapshot(&self, tick: u64) -> bool;
    /// Takes the copy of a snapshot, which whoever writes or compares it seals.
    fn snapshot(&mut self, tick: u64, bytes: &[u8], logs: &[LogPosition]) -> Result<(), Fault>;
    /// The day's last tick has been taken.
    fn close_day(&mut self) -> Result<(), Fault>;
}

/// Chains after a tick, for whoever looks for a divergence by halving.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    /// Tick.
    pub tick: u64,
    /// State chain.
    pub state_chain: [u8; 32],
    /// SHA-256 of the last frame.
    pub frame_chain: [u8; 32],
}

pub(crate) struct Core<S> {
    pub engine: Engine,
    pub chain: Chain,
    pub logs: Vec<LogPosition>,
    pub sink: S,
    pub checkpoints: Vec<Checkpoint>,
    /// Tick of the newest snapshot that was handed on.
    pub snapshot_tick: u64,
    out: TickOutput,
    symbols: BTreeMap<u16, String>,
    gap_max: u64,
    alerts: String,
    transitions: String,
    bytes: Vec<u8>,
}

impl<S: Sink> Core<S> {
    pub(crate) fn new(engine: Engine, chain: Chain, logs: Vec<LogPosition>, sink: S) -> Self {
        let config = engine.config();
        let symbols = config.tokens.iter().map(|token| (token.id, token.symbol.clone())).collect();
        let gap_max = config.gap_fill_max_ticks.unsigned_abs();
        let snapshot_tick = engine.last_tick().unwrap_or(0);
        let out = engine.output();
        Self {
            out,
            engine,
            chain,
            logs,
            sink,
            checkpoints: Vec::new(),
            snapshot_tick,
            symbols,
            gap_max,
            alerts: String::new(),
            transitions: String::new(),
            bytes: Vec::new(),
        }
    }

    /// Executes the frame with the missing ticks before it; `chain` is the chain with it.
    pub(crate) fn execute(
        &mut self,
        header: &FrameHeader,
        events: &[FrameEvent],
        chain: Chain,
    ) -> Result<(), Fault> {
        let view = FrameView::new(header, events)?;
        if let Some(last) = self.engine.last_tick() {
            for gap in expand_gap(last, view.tick_id, self.gap_max)? {
                self.tick(&gap)?;
            }
        }
        self.chain = chain;
        self.tick(&view)
    }

    /// Executes the missing ticks up to and with `until`.
    pub(crate) fn fill_to(&mut self, until: u64) -> Result<(), Fault> {
        let last = self.engine.last_tick().unwrap_or(until);
        if last < until {
            for gap in expand_gap(last, until + 1, self.gap_max)? {
                self.tick(&gap)?;
            }
        }
        Ok(())
    }

    /// Goes on with another engine, whose logs begin at `position`: what depends on the configuration is taken
    /// from its own.
    pub(crate) fn go_on_with(&mut self, engine: Engine, position: LogPosition) {
        let config = engine.config();
        self.symbols = config.tokens.iter().map(|token| (token.id, token.symbol.clone())).collect();
        self.gap_max = config.gap_fill_max_ticks.unsigned_abs();
        self.logs = vec![position; config.tokens.len()];
        self.out = engine.output();
        self.engine = engine;
    }

    /// The same as a cold start does it: nothing links the engine to what was.
    pub(crate) fn begin_again(
        &mut self,
        engine: Engine,
        position: LogPosition,
    ) -> Result<(), Fault> {
        self.go_on_with(engine, position);
        self.chain = Chain::default();
        if self.sink.wants_snapshot(self.engine.last_tick().unwrap_or(0)) {
            self.snapshot()?;
        }
        Ok(())
    }

    fn tick(&mut self, view: &FrameView<'_>) -> Result<(), Fault> {
        let tick = view.tick_id;
        self.engine.step(view, &mut self.out)?;
        // Logs that were just opened have no record of the day before.
        if tick.is_multiple_of(DAY_TICKS) && self.logs.iter().any(|log| log.offset > 64) {
            self.logs.fill(LogPosition::default());
        }
        for (log, record) in self.logs.iter_mut().zip(&self.out.records) {
            let [.., a, b, c, d] = *record;
            log.offset += 64;
            log.record_crc = u32::from_le_bytes([a, b, c, d]);
        }
        self.write_lines();
        let files = TickFiles {
            tick,
            records: &self.out.records,
            alerts: &self.alerts,
            transitions: &self.transitions,
        };
        self.sink.tick(&files)?;
        if self.sink.wants_snapshot(tick) {
            self.snapshot()?;
        }
        if tick == Day::of(tick).last_tick() {
            self.sink.close_day()?;
        }
        if tick.is_multiple_of(CHECKPOINT_TICKS) {
            let state_chain = self.out.chain;
            self.checkpoints.push(Checkpoint { tick, state_chain, frame_chain: self.chain.sha256 });
        }
        Ok(())
    }

    fn write_lines(&mut self) {
        self.alerts.clear();
        self.transitions.clear();
        for alert in &self.out.alerts {
            let symbol = match &alert.body {
                penstock_engine::alert::AlertBody::Token { record, .. } => {
                    self.symbols.get(&record.token_id).map_or("", String::as_str)
                }
                penstock_engine::alert::AlertBody::Cluster { .. } => "",
            };
            self.alerts.push_str(&alert.payload_with_id(symbol));
            self.alerts.push('\n');
        }
        for transition in &self.out.transitions {
            self.transitions.push_str(&transition.line(self.engine.config()));
            self.transitions.push('\n');
        }
    }

    fn copy_out(&mut self) {
        let context = SnapshotContext {
            frame_seq: self.chain.frame_seq,
            frame_sha256: self.chain.sha256,
            run_id: self.chain.run_id,
            fencing_token: self.chain.fencing_token,
            logs: self.logs.clone(),
        };
        self.engine.copy_out(&context, &mut self.bytes);
    }

    /// Hands a copy of the state after the last tick on.
    pub(crate) fn snapshot(&mut self) -> Result<(), Fault> {
        self.copy_out();
        self.snapshot_tick = self.engine.last_tick().unwrap_or(0);
        self.sink.snapshot(self.snapshot_tick, &self.bytes, &self.logs)
    }
}
