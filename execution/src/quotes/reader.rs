//! The reader of frames: starts at a full block 70 s back, follows in tick order.
//!
//! Purpose: keep the board current. Inputs: wake-ups, a poll every 100 ms, the decision cluster. Outputs:
//! tables, whose age the watchdog judges. Invariants: frames are applied in tick order and each once; a broken chain
//! or block withdraws every quote and is said aloud; reading errors never end the task.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use penstock_store_decision::ReadError;
use penstock_store_decision::frames_read::{self, ReadFrame, SymbolScale};
use penstock_types::frame::{Link, QuoteBlock, decode_quotes, verify_link};
use penstock_types::{RunId, TickId};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::table::{QuoteBoard, QuoteTable};
use crate::wake::Wakes;

/// Poll beside the notifications.
const POLL_EVERY: Duration = Duration::from_millis(100);
/// Frames of one read; a minute of them.
const FRAMES_PER_READ: usize = 256;
/// Ticks that are read back at the start: the 70 s of the windows over quotes.
const READ_BACK_TICKS: i64 = 280;

struct Reader {
    pool: PgPool,
    board: QuoteBoard,
    table: QuoteTable,
    after: Option<TickId>,
    last: Option<Link>,
    scales: BTreeMap<u16, SymbolScale>,
    scales_of: Option<RunId>,
    failing: bool,
}

/// Reads frames until stopped.
pub async fn run_reader(
    pool: PgPool,
    board: QuoteBoard,
    wakes: Arc<Wakes>,
    stop: CancellationToken,
) {
    let mut reader = Reader {
        pool,
        board,
        table: QuoteTable::empty(Instant::now()),
        after: None,
        last: None,
        scales: BTreeMap::new(),
        scales_of: None,
        failing: false,
    };
    loop {
        // The end first; then the hint, which is sooner than the poll.
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = wakes.frames.notified() => {}
            () = tokio::time::sleep(POLL_EVERY) => {}
        }
        match reader.catch_up().await {
            Ok(()) => reader.failing = false,
            Err(error) if !reader.failing => {
                reader.failing = true;
                tracing::warn!("frames cannot be read, quotes age: {error}");
            }
            Err(_) => {}
        }
    }
}

impl Reader {
    async fn catch_up(&mut self) -> Result<(), ReadError> {
        let reading_back = self.after.is_none();
        loop {
            let after = match self.after {
                Some(tick) => tick,
                None => match first_tick(&frames_read::full_ticks(&self.pool).await?) {
                    Some(tick) => TickId(tick.0 - 1),
                    None => return Ok(()),
                },
            };
            let limit = i64::try_from(FRAMES_PER_READ).unwrap_or(i64::MAX);
            let frames = frames_read::frames_after(&self.pool, after, limit).await?;
            if frames.is_empty() {
                return Ok(());
            }
            for frame in &frames {
                self.take(frame).await?;
                self.board.sample(&self.table);
            }
            let more = frames.len() == FRAMES_PER_READ;
            // What is read back at the start fills the windows; it was never a quote to trade on.
            if !(more && reading_back) {
                self.table.used();
                self.board.store(self.table.clone());
            }
            if !more {
                return Ok(());
            }
        }
    }

    async fn take(&mut self, frame: &ReadFrame) -> Result<(), ReadError> {
        let link = verify_link(&frame.frame, self.last.as_ref());
        let block = match (&link, read_block(frame)) {
            (Ok(_), block) => block,
            (Err(error), _) => {
                let tick = frame.tick_id;
                tracing::error!("E_JRN_CHAIN at tick {tick}: {error}; all quotes withdrawn");
                None
            }
        };
        let unknown = block.as_ref().is_some_and(|b| {
            self.scales_of != Some(frame.run_id)
                || b.entries.iter().any(|e| !self.scales.contains_key(&e.symbol_no))
        });
        if unknown {
            let rows = frames_read::run_symbols(&self.pool, frame.run_id).await?;
            self.scales = rows.into_iter().map(|s| (s.symbol_no, s)).collect();
            self.scales_of = Some(frame.run_id);
        }
        self.table.apply(frame, block.as_ref(), &self.scales, Instant::now());
        self.after = Some(frame.tick_id);
        // Behind a broken link the next frame stands for itself.
        self.last = link.ok();
        Ok(())
    }
}

/// The full block to begin with: far enough back that the windows over quotes are whole at once, else the oldest.
fn first_tick(newest_first: &[TickId]) -> Option<TickId> {
    let newest = newest_first.first()?;
    let far = newest_first.iter().find(|tick| newest.0 - tick.0 >= READ_BACK_TICKS);
    far.or(newest_first.last()).copied()
}

/// The block of a frame; none when it cannot be trusted.
fn read_block(frame: &ReadFrame) -> Option<QuoteBlock> {
    match decode_quotes(&frame.quotes) {
        Ok(block) if block.tick_id == frame.tick_id => Some(block),
        Ok(block) => {
            let (tick, other) = (frame.tick_id, block.tick_id);
            tracing::error!("E_FRAME_CRC at tick {tick}: the block is of tick {other}; withdrawn");
            None
        }
        Err(error) => {
            let tick = frame.tick_id;
            tracing::error!("E_FRAME_CRC at tick {tick}: {error}; all quotes withdrawn");
            None
        }
    }
}
