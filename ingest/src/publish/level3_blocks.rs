//! Blocks for level 3 resyncs onto the decision cluster, where decisions look.
//!
//! Input: the blocks that stand, as the core tells them with each cut. Output: one row per block, removed
//! when its time is over. What the cluster did not take is tried again with the next cut; a row that
//! outlives this process ends by its own time, and one that an earlier process wrote and the core took over
//! is not written again.

use crate::tasks::Hub;
use penstock_market::Level3Block;
use penstock_store::StoreError;
use penstock_store_decision::instruments::clear_safety_cause;
use penstock_store_decision::level3::{
    CAUSE, StandingBlock, clear_ended_level3_blocks, set_level3_block, standing_level3_blocks,
};
use penstock_types::{Symbol, UtcMicros};
use std::collections::BTreeMap;

/// The writing task.
pub(crate) struct Level3Blocks {
    pub hub: Hub,
}

/// What stands on the cluster, as far as this process has written it.
#[derive(Debug, Default)]
struct Written {
    blocks: BTreeMap<Symbol, UtcMicros>,
    /// What earlier processes left and has ended is to be removed.
    is_cleaning_due: bool,
}

impl Level3Blocks {
    /// Writes until it is cancelled.
    pub(crate) async fn run(mut self) {
        let cancel = self.hub.cancel.clone();
        // The service ends while it waits: rows end by their own time.
        let _ = cancel.run_until_cancelled(self.follow()).await;
    }

    async fn follow(&mut self) {
        let mut written = Written { is_cleaning_due: true, ..Written::default() };
        // Before its first cut the core has told nothing: no blocks then would read as blocks that ended.
        while self.hub.health.changed().await.is_ok() {
            let blocks = self.hub.health.borrow_and_update().level3.blocks.clone();
            if let Err(error) = self.settle(&blocks, &mut written).await {
                tracing::debug!("level 3 blocks: {error}");
            }
        }
    }

    async fn settle(
        &self,
        blocks: &[Level3Block],
        written: &mut Written,
    ) -> Result<(), StoreError> {
        let decision = &self.hub.clusters.decision;
        if written.is_cleaning_due {
            // Blocks that the core took over from an earlier process stand already.
            let taken_over = |row: &StandingBlock| {
                blocks.iter().any(|b| (&b.symbol, b.until) == (&row.symbol, row.until))
            };
            let standing = standing_level3_blocks(decision).await?.into_iter();
            let standing = standing.filter(taken_over).map(|row| (row.symbol, row.until));
            written.blocks.extend(standing);
        }
        for block in new_blocks(blocks, &written.blocks) {
            let resyncs = i32::try_from(block.resyncs).unwrap_or(i32::MAX);
            let run_id = self.hub.context.run().run_id;
            set_level3_block(decision, &block.symbol, resyncs, block.until, run_id).await?;
            written.blocks.insert(block.symbol.clone(), block.until);
        }
        let stands = |symbol: &Symbol| blocks.iter().any(|b| b.symbol == *symbol);
        let ended: Vec<Symbol> = written.blocks.keys().filter(|s| !stands(s)).cloned().collect();
        for symbol in ended {
            clear_safety_cause(decision, symbol.as_str(), CAUSE).await?;
            written.blocks.remove(&symbol);
        }
        if written.is_cleaning_due {
            clear_ended_level3_blocks(decision).await?;
            written.is_cleaning_due = false;
        }
        Ok(())
    }
}

/// Blocks that are not written, or stand with another end.
fn new_blocks<'a>(
    blocks: &'a [Level3Block],
    written: &BTreeMap<Symbol, UtcMicros>,
) -> Vec<&'a Level3Block> {
    blocks.iter().filter(|block| written.get(&block.symbol) != Some(&block.until)).collect()
}
