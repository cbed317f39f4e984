//! What earlier processes knew about order-by-order books that are lost too often.
//!
//! Input: both clusters. Output: the blocks that stand and the single losses of the last ten minutes, for
//! the core. It is best effort: a cluster that does not answer costs the memory and never the start; a
//! block stands on the decision cluster by its own time either way. Losses that are still in a spool are
//! not known here.

use crate::lifecycle::clusters::Clusters;
use penstock_market::Level3Block;
use penstock_store_decision::level3::{StandingBlock, standing_level3_blocks};
use penstock_store_ingest::level3_losses::single_level3_losses;
use penstock_types::{Symbol, UtcMicros};

/// Time over which losses count, milliseconds.
const WINDOW_MS: i64 = 600_000;

/// Blocks and losses.
#[derive(Debug, Default)]
pub(crate) struct Level3Past {
    pub blocks: Vec<Level3Block>,
    pub losses: Vec<(Symbol, UtcMicros)>,
}

impl Level3Past {
    /// Reads both.
    pub(crate) async fn read(clusters: &Clusters, now: UtcMicros) -> Self {
        let mut past = Self::default();
        match standing_level3_blocks(&clusters.decision).await {
            Ok(standing) => {
                let block = |StandingBlock { symbol, resyncs, until }| Level3Block {
                    symbol,
                    resyncs,
                    until,
                };
                past.blocks = standing.into_iter().map(block).collect();
            }
            Err(error) => tracing::warn!("blocks of level 3 books: {error}"),
        }
        if let Some(ingest) = clusters.ingest() {
            match single_level3_losses(&ingest, now.plus_millis(-WINDOW_MS)).await {
                Ok(losses) => past.losses = losses,
                Err(error) => tracing::warn!("losses of level 3 books: {error}"),
            }
        }
        past
    }
}
