//! The source of frames: follows the table in tick order and feeds the core's queue.
//!
//! Purpose: the hint of a notification, the poll of 100 ms as the truth. Inputs: the table, the bindings of
//! each run. Outputs: frames in the queue, how far the table is, markers of lag. Invariants: each frame is
//! sent once and in order; a full queue is waited for; no frame of a run whose bindings were not compared, or
//! differ, is sent; reading errors never end the task.

use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::{Duration, Instant};

use metrics::gauge;
use penstock_config::bindings::Bindings;
use penstock_store_decision::ReadError;
use penstock_store_decision::frames_read::{self, ReadFrame};
use penstock_telemetry::marker;
use penstock_trading::engine_gate::LAG_TICKS_MAX;
use penstock_types::frame::FrameFlags;
use penstock_types::{RunId, TickId};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::board::EngineBoard;
use super::worker::{FrameIn, Input, Place};
use crate::attach::{BindingsOutcome, compare};
use crate::wake::Wakes;

/// Poll beside the notifications.
const POLL_EVERY: Duration = Duration::from_millis(100);
/// Pause while the queue is full: a fraction of a tick.
pub(super) const FULL_PAUSE: Duration = Duration::from_millis(2);
/// Frames of one read, and places in the core's queue: a minute of ticks.
pub(super) const QUEUE_FRAMES_MAX: usize = 256;

/// What the task is given.
pub(super) struct SourceParts {
    pub(super) pool: PgPool,
    pub(super) wakes: Arc<Wakes>,
    pub(super) board: EngineBoard,
    pub(super) bindings: Bindings,
    pub(super) queue: SyncSender<Input>,
    pub(super) place: Place,
    pub(super) end: CancellationToken,
}

/// Why no more frames are sent.
enum Halt {
    /// The core has gone.
    CoreGone,
    /// A run with other bindings: its frames and all behind them are left alone.
    Bindings(RunId),
}

struct Source {
    parts: SourceParts,
    after: Option<TickId>,
    compared: Option<RunId>,
    halted: Option<RunId>,
    has_caught_up: bool,
    failing: bool,
}

/// Feeds the core until stopped.
pub(super) async fn run_source(parts: SourceParts) {
    let after = parts.place.began.map(|began| TickId::from_unsigned(began.tick));
    let mut source =
        Source { parts, after, compared: None, halted: None, has_caught_up: false, failing: false };
    loop {
        // The end first; then the hint, which is sooner than the poll.
        tokio::select! {
            biased;
            () = source.parts.end.cancelled() => return,
            () = source.parts.wakes.engine.notified() => {}
            () = tokio::time::sleep(POLL_EVERY) => {}
        }
        if source.halted.is_none() {
            match source.catch_up().await {
                Ok(Some(Halt::CoreGone)) => return,
                Ok(Some(Halt::Bindings(run_id))) => {
                    source.halted = Some(run_id);
                    tracing::error!(
                        "the engine takes no frame of run {run_id}: its token bindings differ from \
                         ours; next: start both services with the same tokens, and this one with \
                         --cold-start when the run is to be skipped"
                    );
                }
                Ok(None) => source.failing = false,
                Err(error) if !source.failing => {
                    source.failing = true;
                    tracing::warn!("the engine has no frames to read: {error}");
                }
                Err(_) => {}
            }
        }
        source.judge();
    }
}

impl Source {
    /// Where an engine that has seen nothing begins: at a block that holds every quote, behind what logs of an
    /// earlier one say.
    async fn first(&self) -> Result<Option<TickId>, ReadError> {
        let logged = self.parts.place.logged_tick.map(TickId::from_unsigned);
        let full = frames_read::newest_full_tick(&self.parts.pool).await?;
        let Some(full) = full else { return Ok(None) };
        Ok(Some(logged.map_or(TickId(full.0 - 1), |logged| TickId(logged.0.max(full.0 - 1)))))
    }

    async fn catch_up(&mut self) -> Result<Option<Halt>, ReadError> {
        let pool = self.parts.pool.clone();
        loop {
            let after = match self.after {
                Some(after) => after,
                None => match self.first().await? {
                    Some(after) => after,
                    None => return Ok(None),
                },
            };
            let limit = i64::try_from(QUEUE_FRAMES_MAX).unwrap_or(i64::MAX);
            let frames = frames_read::frames_after(&pool, after, limit).await?;
            let Some(last) = frames.last() else { return Ok(None) };
            self.parts.board.sealed(last.tick_id);
            let is_whole = frames.len() == QUEUE_FRAMES_MAX;
            if is_whole && let Some(newest) = frames_read::newest_tick(&pool).await? {
                self.parts.board.sealed(newest);
            }
            gauge!("engine_queue_depth").set(f64::from(u32::try_from(frames.len()).unwrap_or(0)));
            for frame in frames {
                if !self.may_take(frame.run_id).await? {
                    return Ok(self.refused(frame.run_id));
                }
                let tick = frame.tick_id;
                if !self.send(frame).await {
                    return Ok(Some(Halt::CoreGone));
                }
                self.after = Some(tick);
            }
            if !is_whole {
                return Ok(None);
            }
        }
    }

    /// Compares the bindings of a run before its first frame.
    async fn may_take(&mut self, run_id: RunId) -> Result<bool, ReadError> {
        if self.compared == Some(run_id) {
            return Ok(true);
        }
        match compare(&self.parts.pool, run_id, &self.parts.bindings).await? {
            BindingsOutcome::Equal => {
                self.compared = Some(run_id);
                Ok(true)
            }
            BindingsOutcome::Differ { .. } => {
                self.compared = None;
                self.halted = Some(run_id);
                Ok(false)
            }
            BindingsOutcome::NoRun => Ok(false),
        }
    }

    /// A run without a row is asked for again; one that differs halts the source.
    fn refused(&mut self, run_id: RunId) -> Option<Halt> {
        self.halted.take_if(|halted| *halted == run_id).map(Halt::Bindings)
    }

    /// Waits for a place in the queue; false when the core has gone.
    async fn send(&self, frame: ReadFrame) -> bool {
        let read_at = Instant::now();
        let lag_ms = i64::from(frame.seal_lag_ms);
        let mut input = Input::Frame(Box::new(FrameIn {
            flags: FrameFlags(u16::try_from(frame.flags).unwrap_or(0)),
            age_ms: frame.now.millis_since(frame.published_at).saturating_add(lag_ms),
            frame: frame.frame,
            quotes: frame.quotes,
            read_at,
        }));
        loop {
            input = match self.parts.queue.try_send(input) {
                Ok(()) => return true,
                Err(TrySendError::Disconnected(_)) => return false,
                Err(TrySendError::Full(input)) => input,
            };
            // The end first: a stopping process sends nothing more.
            tokio::select! {
                biased;
                () = self.parts.end.cancelled() => return false,
                () = tokio::time::sleep(FULL_PAUSE) => {}
            }
        }
    }

    /// Says when the core has caught up and when it falls behind.
    fn judge(&mut self) {
        let board = &self.parts.board;
        let Some(last) = board.last_tick() else { return };
        let (newest, lag) = (board.newest_sealed(), board.lag_ticks());
        if self.has_caught_up && lag > LAG_TICKS_MAX {
            self.has_caught_up = false;
            marker!(ENGINE_STALE, engine_tick_id = last, lag_ticks = lag);
        } else if !self.has_caught_up && last.0 >= newest - 1 && lag <= LAG_TICKS_MAX {
            self.has_caught_up = true;
            board.caught_up();
            marker!(ENGINE_CAUGHT_UP, engine_tick_id = last, newest_sealed_tick = newest);
        }
    }
}
