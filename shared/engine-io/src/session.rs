//! An engine with its files: started, fed, stopped.
//!
//! Input: options, then delivered frames with their quote blocks in order. Output: files, checkpoints, a view of
//! the engine. Invariants: a frame is in the journal before it is executed; the engine is where the journal
//! ends after every start; a fault is final and leaves the files as they are; the end writes a snapshot, or
//! nothing when the core has failed. Bindings, sinks and the clock belong to the caller.

mod change;
mod roll;
mod start;

pub use start::{Delivered, FrameStore, NoStore, StartOptions, Started, lock};

use crate::core::{Checkpoint, Core};
use crate::error::{Code, Fault};
use crate::hooks::{CrashPoint, Hooks};
use crate::journal::{Chain, JournalWriter};
use crate::layout::EngineDirs;
use crate::lifecycle::{Event, Lifecycle, Mode, Step};
use crate::writer::Writer;
use penstock_engine::{Engine, EngineConfig};
use penstock_types::TickId;
use penstock_types::frame::{QuoteBlock, decode_frame, decode_quotes, encode_quotes};
use std::fs::File;

/// What taking a frame did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Taken {
    /// Last tick that was executed.
    pub tick: u64,
    /// The frame had been executed before and was left alone.
    pub is_known: bool,
    /// The quote block was whole; otherwise every quote is withdrawn.
    pub has_quotes: bool,
    /// Checkpoints that were passed.
    pub checkpoints: Vec<Checkpoint>,
}

/// The state of a running engine.
enum State {
    /// No frame has ever been taken: the first one says at which tick the engine begins.
    Waiting(Box<Genesis>),
    Running(Box<Core<Writer>>),
    /// After a fault; the last state is for reading.
    Stopped(Option<Box<Engine>>, Fault),
}

/// An engine before its first tick.
struct Genesis {
    engine: Engine,
    first_segment: u16,
}

/// An engine with its files.
pub struct Session {
    life: Lifecycle,
    config: EngineConfig,
    dirs: EngineDirs,
    hooks: Hooks,
    journal: JournalWriter,
    state: State,
    /// Held until the end; the process's end releases it too.
    _lock: File,
}

impl Session {
    /// The engine, for reading between two frames; `None` before the first frame.
    #[must_use]
    pub fn engine(&self) -> Option<&Engine> {
        match &self.state {
            State::Waiting(_) => None,
            State::Running(core) => Some(&core.engine),
            State::Stopped(engine, _) => engine.as_deref(),
        }
    }

    /// Mode.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.life.mode()
    }

    /// Where the start, run or end stands.
    #[must_use]
    pub const fn step(&self) -> Step {
        self.life.step()
    }

    /// The last frame that was taken.
    #[must_use]
    pub fn chain(&self) -> Chain {
        match &self.state {
            State::Running(core) => core.chain,
            State::Waiting(_) | State::Stopped(..) => Chain::default(),
        }
    }

    /// Takes the next delivered frame: chain, journal, engine, hand-off.
    ///
    /// # Errors
    /// The fault that stopped the engine; it is the answer to every later frame too.
    pub fn take(&mut self, frame: &[u8], quotes: &[u8]) -> Result<Taken, Fault> {
        if let State::Stopped(_, fault) = &self.state {
            return Err(fault.clone());
        }
        if self.life.step() != Step::Running {
            let what = format!("an engine in mode {} takes no live frame", self.life.mode().name());
            return Err(Fault::new(Code::Invariant, what));
        }
        let taken = self.take_frame(frame, quotes);
        if let Err(fault) = &taken {
            self.fail(fault);
        }
        taken
    }

    fn fail(&mut self, fault: &Fault) {
        // A fault can be met in every step but the last, and it is not met there.
        let _ = self.life.take(Event::Fault);
        let engine = match &self.state {
            State::Running(core) => Some(Box::new(core.engine.clone())),
            State::Waiting(_) | State::Stopped(..) => None,
        };
        self.state = State::Stopped(engine, fault.clone());
    }

    fn take_frame(&mut self, frame: &[u8], quotes: &[u8]) -> Result<Taken, Fault> {
        let (header, events) = decode_frame(frame)?;
        let tick = header.tick_id.0.unsigned_abs();
        if let State::Running(core) = &self.state
            && core.engine.last_tick().is_some_and(|last| tick <= last)
            && header.frame_seq.unsigned_abs() <= core.chain.frame_seq
        {
            let last = core.engine.last_tick().unwrap_or(0);
            return Ok(Taken { tick: last, is_known: true, ..Taken::default() });
        }
        let block = decode_quotes(quotes).ok().filter(|block| block.tick_id == header.tick_id);
        let withdrawn = match &block {
            Some(_) => None,
            None => Some(withdrawn(header.tick_id)?),
        };
        let chain = self.chain().with(&header, frame)?;
        self.begin(tick)?;
        self.hooks.pass(CrashPoint::BeforeJournalWrite)?;
        self.journal.append(tick, frame, withdrawn.as_deref().unwrap_or(quotes))?;
        self.hooks.pass(CrashPoint::AfterJournalWrite)?;
        let State::Running(core) = &mut self.state else {
            return Err(Fault::new(Code::Invariant, "an engine that has begun does not run"));
        };
        if self.journal.is_new {
            core.sink.journal = self.journal.handles()?;
        }
        core.execute(&header, &events, chain)?;
        let checkpoints = std::mem::take(&mut core.checkpoints);
        Ok(Taken { tick, is_known: false, has_quotes: block.is_some(), checkpoints })
    }

    /// The first frame of all says where the engine begins: its state there is on disk before anything happens.
    fn begin(&mut self, first_tick: u64) -> Result<(), Fault> {
        let State::Waiting(genesis) = &mut self.state else { return Ok(()) };
        let mut engine = genesis.engine.clone();
        engine.start_at(first_tick)?;
        let mut core =
            start::core_of_genesis(engine, genesis.first_segment, &self.dirs, &self.hooks)?;
        core.snapshot()?;
        core.sink.wait()?;
        core.sink.when_full = start::when_full(self.life.mode());
        self.state = State::Running(Box::new(core));
        Ok(())
    }

    /// Puts the journal on disk; the caller does it at least every `journal.group_ms`.
    ///
    /// # Errors
    /// [`Code::Storage`], which stops the engine.
    pub fn sync_journal(&mut self) -> Result<(), Fault> {
        let synced = self.journal.sync();
        if let Err(fault) = &synced {
            self.fail(fault);
        }
        synced
    }

    /// Waits until everything that was handed on is written, though not synced.
    ///
    /// # Errors
    /// What stopped the writer.
    pub fn wait(&mut self) -> Result<(), Fault> {
        let waited = match &mut self.state {
            State::Running(core) => core.sink.wait(),
            State::Waiting(_) | State::Stopped(..) => Ok(()),
        };
        if let Err(fault) = &waited {
            self.fail(fault);
        }
        waited
    }

    /// Ends the engine between two ticks: last snapshot, everything on disk, lock released.
    ///
    /// # Errors
    /// The fault that had stopped it, or that the end met.
    pub fn stop(mut self) -> Result<Option<u64>, Fault> {
        self.life.take(Event::Stop).or_else(|fault| match self.life.step() {
            Step::Failed | Step::Stopping | Step::Ended => Ok(self.life.step()),
            Step::Config
            | Step::Environment
            | Step::Snapshot
            | Step::Logs
            | Step::Restored
            | Step::RolledForward
            | Step::Bound
            | Step::Running => Err(fault),
        })?;
        match self.state {
            State::Stopped(_, fault) => Err(fault),
            State::Waiting(_) => Ok(None),
            State::Running(mut core) => {
                core.sink.when_full = crate::writer::WhenFull::Wait;
                let last = core.engine.last_tick();
                if last != Some(core.snapshot_tick) {
                    core.snapshot()?;
                }
                let Core { sink, .. } = *core;
                sink.end()?;
                self.journal.close()?;
                self.life.take(Event::Done)?;
                Ok(last)
            }
        }
    }

    /// The configuration.
    #[must_use]
    pub const fn config(&self) -> &EngineConfig {
        &self.config
    }
}

/// A block that withdraws every quote: it is full and has none.
fn withdrawn(tick_id: TickId) -> Result<Vec<u8>, Fault> {
    Ok(encode_quotes(&QuoteBlock { tick_id, full: true, entries: Vec::new() })?)
}
