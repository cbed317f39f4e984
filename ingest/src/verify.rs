//! Deriving a run's generations again from its raw rows and comparing them with what was recorded.
//!
//! Input: the ingest cluster and a run. Output: one verdict per generation and the first that differs.
//! The fold starts with the run's first checkpoint, which also holds the numbers that shaped the state;
//! rows and cut times come from the tables, so nothing of the process that recorded them is trusted.
//! A run whose rows are not loaded yet gives `Incomplete`, never `Equal`.

use penstock_market::replay::{RecordedCut, Verdict};
use penstock_market::{Aggregator, FoldConfig, checkpoint};
use penstock_store::StoreError;
use penstock_store_ingest::checkpoints::checkpoint_at;
use penstock_store_ingest::generations::{RecordedGeneration, generations_of_run};
use penstock_store_ingest::raw_read::{RawReader, ReadError};
use penstock_types::raw::RawRow;
use penstock_types::{GenerationId, RunId, Seq};
use sqlx::PgPool;
use std::collections::VecDeque;

/// Why a run could not be derived.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The cluster did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The rows cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The run's first checkpoint cannot be read.
    #[error("first checkpoint of run {run_id}: {reason}")]
    Checkpoint {
        /// Run.
        run_id: RunId,
        /// Why.
        reason: String,
    },
    /// A hash of a generation has not 32 bytes.
    #[error("generation {generation_id} carries a hash that is none")]
    Hash {
        /// Generation.
        generation_id: GenerationId,
    },
}

/// Result over a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Generations whose derived hash equals the recorded one.
    pub equal: u64,
    /// Generations about whose rows nothing can be proven.
    pub incomplete: u64,
    /// Generations whose derived hash is another.
    pub different: Vec<GenerationId>,
}

impl VerifyReport {
    /// Every generation with complete rows is equal.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.different.is_empty()
    }
}

/// Derives every generation of a run.
///
/// # Errors
/// [`VerifyError`].
pub async fn verify_generations(pool: &PgPool, run_id: RunId) -> Result<VerifyReport, VerifyError> {
    let recorded = generations_of_run(pool, run_id).await?;
    let mut cuts = VecDeque::with_capacity(recorded.len());
    for generation in recorded {
        cuts.push_back(recorded_cut(generation)?);
    }
    let mut fold = first_fold(pool, run_id).await?;
    let mut report = VerifyReport::default();
    let last = cuts.back().map_or(Seq(0), |cut| cut.wm_seq);
    let mut reader = RawReader::new(pool.clone(), run_id, Seq(0), last);
    while let Some(window) = reader.next_window().await? {
        for row in window {
            cut_before(&mut fold, &mut cuts, &row, &mut report);
            fold.apply(&row);
        }
    }
    while let Some(cut) = cuts.pop_front() {
        compare(&mut fold, &cut, &mut report);
    }
    Ok(report)
}

/// Makes the cuts whose watermark lies before this row.
fn cut_before(
    fold: &mut Aggregator,
    cuts: &mut VecDeque<RecordedCut>,
    row: &RawRow,
    report: &mut VerifyReport,
) {
    while let Some(cut) = cuts.pop_front_if(|cut| cut.wm_seq < row.seq) {
        compare(fold, &cut, report);
    }
}

fn compare(fold: &mut Aggregator, recorded: &RecordedCut, report: &mut VerifyReport) {
    let derived = penstock_market::replay::derive(fold, recorded);
    match derived.verdict {
        Verdict::Equal => report.equal += 1,
        Verdict::Incomplete => report.incomplete += 1,
        Verdict::Different => report.different.push(recorded.generation_id),
    }
}

fn recorded_cut(generation: RecordedGeneration) -> Result<RecordedCut, VerifyError> {
    let generation_id = generation.generation_id;
    let content_hash =
        generation.content_hash.try_into().map_err(|_| VerifyError::Hash { generation_id })?;
    Ok(RecordedCut {
        generation_id,
        lineage_id: generation.lineage_id,
        as_of: generation.as_of,
        wm_seq: generation.wm_seq,
        raw_complete: generation.raw_complete,
        content_hash,
    })
}

/// The fold with which the run began; without a first checkpoint an empty one with the default numbers.
async fn first_fold(pool: &PgPool, run_id: RunId) -> Result<Aggregator, VerifyError> {
    let Some(found) = checkpoint_at(pool, run_id, Seq(0)).await? else {
        return Ok(Aggregator::new(run_id, FoldConfig::default()));
    };
    let failed = |reason: String| VerifyError::Checkpoint { run_id, reason };
    let payload =
        zstd::decode_all(found.payload_zstd.as_slice()).map_err(|e| failed(e.to_string()))?;
    checkpoint::decode(found.format_version, &payload, &found.payload_hash)
        .map_err(|e| failed(e.to_string()))
}
