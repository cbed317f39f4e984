//! Every generation of a run derived without the trades that were fetched afterwards.
//!
//! Inputs: the ingest cluster and a run. Output: how many hashes are the recorded ones. The rows are left out
//! before the fold sees them, so that it need not be trusted to pass them over.

use anyhow::Context;
use penstock_market::{Aggregator, FoldConfig, checkpoint};
use penstock_store_ingest::checkpoints::checkpoint_at;
use penstock_store_ingest::generations::{RecordedGeneration, generations_of_run};
use penstock_store_ingest::raw_read::RawReader;
use penstock_types::raw::{CONN_BACKFILL, RawBody, RawRow};
use penstock_types::{RunId, Seq};
use sqlx::PgPool;
use std::collections::VecDeque;

/// Hashes over a run.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Without {
    /// Rows that were left out.
    pub left_out: u64,
    /// Generations with the recorded hash.
    pub equal: u64,
    /// Generations with another one.
    pub different: u64,
}

/// Derives a run.
///
/// # Errors
/// The cluster cannot be read, or the first checkpoint does not decode.
pub(super) async fn without_fetched(pool: &PgPool, run_id: RunId) -> anyhow::Result<Without> {
    let mut cuts: VecDeque<RecordedGeneration> = generations_of_run(pool, run_id).await?.into();
    let mut found = Without::default();
    let mut fold = match checkpoint_at(pool, run_id, Seq(0)).await? {
        Some(first) => {
            let payload = zstd::decode_all(first.payload_zstd.as_slice())?;
            let read = checkpoint::decode(first.format_version, &payload, &first.payload_hash);
            read.with_context(|| format!("first checkpoint of run {run_id}"))?.fold
        }
        None => Aggregator::new(run_id, FoldConfig::default()),
    };
    let last = cuts.back().map_or(Seq(0), |cut| cut.wm_seq);
    let mut reader = RawReader::new(pool.clone(), run_id, fold.last_seq(), last);
    while let Some(window) = reader.next_window().await? {
        for row in window {
            while let Some(cut) = cuts.pop_front_if(|cut| cut.wm_seq < row.seq) {
                found.cut(&mut fold, &cut);
            }
            if is_fetched(&row) {
                found.left_out += 1;
            } else {
                fold.apply(&row);
            }
        }
    }
    while let Some(cut) = cuts.pop_front() {
        found.cut(&mut fold, &cut);
    }
    Ok(found)
}

fn is_fetched(row: &RawRow) -> bool {
    matches!(&row.body, RawBody::Trade(trade) if trade.conn_id == CONN_BACKFILL)
}

impl Without {
    fn cut(&mut self, fold: &mut Aggregator, recorded: &RecordedGeneration) {
        let made = fold.cut(recorded.generation_id, recorded.as_of, recorded.lineage_id);
        if !recorded.raw_complete {
            return;
        }
        if made.content_hash.as_slice() == recorded.content_hash.as_slice() {
            self.equal += 1;
        } else {
            self.different += 1;
        }
    }
}
