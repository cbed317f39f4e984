//! The core's thread: frames out of the queue, through the session, a view onto the board.
//!
//! Input: frames in order, the wish to stop. Output: files by way of the session, views, checkpoints, markers.
//! Invariants: one frame at a time; a fault ends the thread and leaves the files as they are; a stop is taken
//! between two frames and writes the last snapshot. Nothing here awaits.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use penstock_engine_io::{Checkpoint, Day, Fault, Session, Started};
use penstock_telemetry::marker;
use penstock_trading::mode::{CauseCode, Level};
use penstock_types::TickId;
use penstock_types::engine_view::{EngineHealth, EngineView};
use penstock_types::frame::FrameFlags;
use sqlx::PgPool;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use super::board::EngineBoard;
use super::checkpoints::Known;
use super::stats::Stats;
use super::store::PgFrames;
use super::{place, start};
use crate::engine::EngineRun;
use crate::mode::ModeHandle;

/// Longest tick and lag of a healthy core: a tick and ten seconds.
const CRITICAL_LAG_TICKS: i64 = 40;
/// Lag from which on it is said.
const WARNING_LAG_TICKS: i64 = 4;
/// A tick.
const TICK: Duration = Duration::from_millis(250);
/// Four fifths of it.
const SLOW: Duration = Duration::from_millis(200);

/// A frame on its way to the core.
#[derive(Debug)]
pub(super) struct FrameIn {
    pub(super) flags: FrameFlags,
    pub(super) frame: Vec<u8>,
    pub(super) quotes: Vec<u8>,
    /// Age at its read, and when that was.
    pub(super) age_ms: i64,
    pub(super) read_at: Instant,
}

/// What the core's queue carries.
#[derive(Debug)]
pub(super) enum Input {
    /// The next frame.
    Frame(Box<FrameIn>),
    /// The end.
    Stop,
}

/// Where the engine stands after its start.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// Tick that was executed last, and the chain after it.
    pub(super) began: Option<Known>,
    /// Last tick of logs of an engine that begins anew over them.
    pub(super) logged_tick: Option<u64>,
}

/// What the thread is given.
pub(super) struct CoreParts {
    pub(super) run: EngineRun,
    pub(super) board: EngineBoard,
    pub(super) mode: ModeHandle,
    pub(super) pool: PgPool,
    pub(super) runtime: Handle,
    pub(super) inputs: Receiver<Input>,
    pub(super) checkpoints: mpsc::Sender<Checkpoint>,
}

/// The whole life of the thread. `started` hears how the start went.
pub(super) fn run_core(parts: CoreParts, started: oneshot::Sender<Result<Place, Fault>>) {
    let CoreParts { run, board, mode, pool, runtime, inputs, checkpoints } = parts;
    let logged_tick = place::newest_logged(&run.options.dirs, &run.options.config);
    let began = Instant::now();
    let mut store = PgFrames::new(pool, runtime);
    let opened = Session::start(&run.options, &mut store);
    let (session, found) = match opened {
        Ok(opened) => opened,
        Err(fault) => {
            // The service has stopped listening only when it ends itself.
            let _ = started.send(Err(fault));
            return;
        }
    };
    start::say_started(&found, began.elapsed());
    let last_tick = found.last_tick;
    let engine = session.engine();
    let began =
        engine.zip(last_tick).map(|(engine, tick)| Known { tick, state_chain: engine.chain() });
    let _ = started.send(Ok(Place { began, logged_tick }));
    let core = Core {
        gap_tick: gap_of(&run, &found),
        journal_group: run.journal_group,
        stats: Stats::new(&session),
        session,
        board,
        mode,
        checkpoints,
        feeds: None,
        synced_at: Instant::now(),
    };
    if last_tick.is_some() {
        core.publish(i64::MAX / 2, Instant::now(), EngineHealth::Warning);
    }
    core.run(&inputs);
}

/// The gap that still counts: the one that the logs end with.
fn gap_of(run: &EngineRun, found: &Started) -> Option<TickId> {
    found.last_tick?;
    let gap = place::newest_gap(&run.options.dirs, &run.options.config)?;
    i64::try_from(gap).ok().map(TickId)
}

struct Core {
    session: Session,
    board: EngineBoard,
    mode: ModeHandle,
    checkpoints: mpsc::Sender<Checkpoint>,
    stats: Stats,
    gap_tick: Option<TickId>,
    feeds: Option<FrameFlags>,
    journal_group: Duration,
    synced_at: Instant,
}

impl Core {
    fn run(mut self, inputs: &Receiver<Input>) {
        loop {
            let wait = self.journal_group.saturating_sub(self.synced_at.elapsed());
            let done = match inputs.recv_timeout(wait) {
                Ok(Input::Frame(frame)) => self.take(&frame),
                Ok(Input::Stop) | Err(RecvTimeoutError::Disconnected) => return self.stop(),
                Err(RecvTimeoutError::Timeout) => Ok(()),
            };
            let done = done.and_then(|()| self.sync());
            let done = match self.board.breached() {
                Some(fault) => done.and(Err(fault)),
                None => done,
            };
            if let Err(fault) = done {
                return fail(&self.board, &self.mode, &fault);
            }
        }
    }

    /// Puts the journal on disk when it is time.
    fn sync(&mut self) -> Result<(), Fault> {
        if self.synced_at.elapsed() < self.journal_group {
            return Ok(());
        }
        self.synced_at = Instant::now();
        self.session.sync_journal()
    }

    fn last_tick(&self) -> Option<u64> {
        self.session.engine().and_then(penstock_engine::Engine::last_tick)
    }

    fn take(&mut self, frame: &FrameIn) -> Result<(), Fault> {
        let before = self.last_tick();
        let began = Instant::now();
        let taken = self.session.take(&frame.frame, &frame.quotes)?;
        let took = began.elapsed();
        if taken.is_known {
            return Ok(());
        }
        let executed = before.map_or(1, |before| taken.tick.saturating_sub(before)).max(1);
        if executed > 1 {
            self.gap_tick = i64::try_from(taken.tick - 1).ok().map(TickId);
            marker!(
                ENGINE_GAP_FILL,
                from_tick = before.map(|before| before + 1),
                to_tick = taken.tick - 1,
                ticks = executed - 1
            );
        }
        self.say_feeds(frame.flags, taken.tick);
        for checkpoint in taken.checkpoints {
            if self.checkpoints.try_send(checkpoint).is_err() {
                // Its row is missing then; logs and snapshots carry the same chain.
                tracing::warn!("checkpoint of tick {} has no row", checkpoint.tick);
            }
        }
        let each = took / u32::try_from(executed).unwrap_or(u32::MAX);
        let lag = self.board.newest_sealed().saturating_sub(TickId::from_unsigned(taken.tick).0);
        let health = health(each, lag);
        let waited = i64::try_from(frame.read_at.elapsed().as_millis()).unwrap_or(i64::MAX);
        self.publish(frame.age_ms.saturating_add(waited), Instant::now(), health);
        self.board.note_tick_us(Day::of(taken.tick).0, each);
        if before.is_some_and(|before| Day::of(before) != Day::of(taken.tick)) {
            marker!(ENGINE_ROTATED, day = Day::of(taken.tick).to_string());
        }
        self.stats.note(&self.board, taken.tick, each, lag);
        if each > TICK {
            self.stats.overrun(taken.tick, each);
        }
        Ok(())
    }

    /// Venues whose data are not whole, said when it changes.
    fn say_feeds(&mut self, flags: FrameFlags, tick: u64) {
        let venues: Vec<&str> = [
            ("kraken_spot", FrameFlags::DEGRADED_KRAKEN_SPOT),
            ("kraken_futures", FrameFlags::DEGRADED_KRAKEN_FUTURES),
            ("binance_um", FrameFlags::DEGRADED_BINANCE_UM),
        ]
        .into_iter()
        .filter_map(|(name, flag)| flags.contains(flag).then_some(name))
        .collect();
        let degraded = [
            FrameFlags::DEGRADED_KRAKEN_SPOT,
            FrameFlags::DEGRADED_KRAKEN_FUTURES,
            FrameFlags::DEGRADED_BINANCE_UM,
        ]
        .into_iter()
        .fold(0, |all, flag| all | (flags.0 & flag.0));
        if self.feeds != Some(FrameFlags(degraded)) {
            if degraded != 0 {
                marker!(ENGINE_FEED_DEGRADED, tick = tick, venues = venues);
            }
            self.feeds = Some(FrameFlags(degraded));
        }
        if flags.contains(FrameFlags::RESYNC) {
            marker!(ENGINE_FEED_RESYNC, tick = tick);
        }
    }

    fn publish(&self, frame_age_ms: i64, at: Instant, health: EngineHealth) {
        let Some(engine) = self.session.engine() else { return };
        let Some(tick) = engine.last_tick() else { return };
        let last_tick = TickId::from_unsigned(tick);
        let lag = self.board.newest_sealed().saturating_sub(last_tick.0).max(0);
        let mut tokens = Vec::with_capacity(engine.config().tokens.len());
        engine.view(&mut tokens);
        let view = EngineView {
            last_tick,
            lag_ticks: lag.unsigned_abs(),
            state_chain: engine.chain(),
            health,
            gap_tick: self.gap_tick,
            tokens,
        };
        self.board.publish(view, frame_age_ms, at);
    }

    fn stop(self) {
        let began = Instant::now();
        let stopped = self.session.stop();
        let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        match stopped {
            Ok(last_tick) => {
                marker!(
                    ENGINE_SHUTDOWN,
                    last_tick = last_tick,
                    duration_ms = ms,
                    outcome = "snapshot"
                );
            }
            Err(fault) => {
                start::say_fatal(&fault);
                marker!(ENGINE_SHUTDOWN, duration_ms = ms, outcome = fault.code.name());
            }
        }
    }
}

const fn health(each: Duration, lag: i64) -> EngineHealth {
    if each.as_millis() > TICK.as_millis() || lag > CRITICAL_LAG_TICKS {
        EngineHealth::Critical
    } else if each.as_millis() > SLOW.as_millis() || lag > WARNING_LAG_TICKS {
        EngineHealth::Warning
    } else {
        EngineHealth::Ok
    }
}

/// The core has stopped: entries end, exits go on.
pub(super) fn fail(board: &EngineBoard, mode: &ModeHandle, fault: &Fault) {
    start::say_fatal(fault);
    board.failed(fault);
    let value = Some(fault.code.name().to_owned());
    mode.raise(CauseCode::EngineFailed, Level::Degrade, value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_follows_the_tick_and_the_lag() {
        let ms = Duration::from_millis;
        assert_eq!(health(ms(200), 4), EngineHealth::Ok);
        assert_eq!(health(ms(201), 0), EngineHealth::Warning);
        assert_eq!(health(ms(1), 5), EngineHealth::Warning);
        assert_eq!(health(ms(251), 0), EngineHealth::Critical);
        assert_eq!(health(ms(1), 41), EngineHealth::Critical);
    }
}
