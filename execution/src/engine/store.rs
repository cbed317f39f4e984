//! The table of frames, as the start of the engine asks it for what a loss of power took from its journal.
//!
//! Input: the number of a frame. Output: the frame behind it with its block, or none when it is gone.
//! Invariants: numbers ascend with ticks, so a frame is found by halving; nothing is written.

use penstock_engine_io::{Code, Delivered, Fault, FrameStore};
use penstock_store::StoreError;
use penstock_store_decision::frames_read::{frame_behind, newest_tick, number_from};
use penstock_types::TickId;
use sqlx::PgPool;
use tokio::runtime::Handle;

/// Days that frames are kept, and one more, in ticks.
const KEPT_TICKS: i64 = 4 * 345_600;
/// Ticks that are looked through one by one.
const NEAR_TICKS: i64 = 256;

/// Asks the table from a thread that is none of the runtime's.
pub(super) struct PgFrames {
    pool: PgPool,
    runtime: Handle,
    /// Tick of the frame that was given last.
    at: Option<TickId>,
}

impl PgFrames {
    pub(super) const fn new(pool: PgPool, runtime: Handle) -> Self {
        Self { pool, runtime, at: None }
    }

    async fn find(&self, number: i64) -> Result<Option<(TickId, Delivered)>, StoreError> {
        let from = match self.at {
            Some(at) => at,
            None => {
                let Some(newest) = newest_tick(&self.pool).await? else { return Ok(None) };
                let (mut low, mut high) = (newest.0 - KEPT_TICKS, newest.0);
                while high - low > NEAR_TICKS {
                    let middle = low + (high - low) / 2;
                    let found = number_from(&self.pool, TickId(middle)).await?;
                    if found.is_some_and(|found| found <= number) {
                        low = middle;
                    } else {
                        high = middle;
                    }
                }
                TickId(low - 1)
            }
        };
        let found = frame_behind(&self.pool, from, number).await?;
        // Another number than the next one: the frame that is asked for is gone.
        Ok(found
            .filter(|found| found.frame_seq == number + 1)
            .map(|found| (found.tick_id, (found.frame, found.quotes))))
    }
}

impl FrameStore for PgFrames {
    fn after(&mut self, frame_seq: u64) -> Result<Option<Delivered>, Fault> {
        let number = i64::try_from(frame_seq).unwrap_or(i64::MAX);
        let found = self.runtime.block_on(self.find(number)).map_err(|error| {
            Fault::new(Code::Storage, format!("the table of frames does not answer: {error}"))
        })?;
        Ok(found.map(|(tick, delivered)| {
            self.at = Some(tick);
            delivered
        }))
    }
}
