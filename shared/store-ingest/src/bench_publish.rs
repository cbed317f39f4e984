//! Measures the publication of a generation: I-transaction and D-transaction of a whole state, one
//! after the other, on two migrated clusters. Built only with the feature `bench`.
//!
//! It writes under a domain of its own and must run on scratch clusters: its rows stay.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use penstock_store::fence::{FENCE_TTL_MS, Fence, FenceError, FenceRequest, FencedService};
use penstock_store::raw_rows::GenerationRow;
use penstock_store::samples::{SAMPLE_TIME, sample_lineage, sample_run, sample_state};
use penstock_store::state_copy::encode_state;
use penstock_store::twins::{LineageRow, RunRow};
use penstock_store_decision::publication::{
    GenerationInput, GenerationPublisher, PublishError, next_run_id,
};
use penstock_types::state_row::{COLUMNS, content_hash};
use penstock_types::{FencingToken, GenerationId, Seq, Uuid};
use sqlx::PgPool;

use crate::TwinError;
use crate::generations::{GenerationRecorder, RefreshError};
use crate::runs::open_run;

/// Domain of the bench.
const DOMAIN: &str = "bench";

/// What is measured.
#[derive(Debug, Clone)]
pub struct PublishBench {
    /// Rows of the state; 640 is the figure of the speed targets.
    pub rows: usize,
    /// Publications.
    pub rounds: usize,
    /// Pause between two publications; zero = back to back.
    pub pace: Duration,
    /// Directory for the fence's lock file.
    pub state_dir: PathBuf,
}

/// A distribution in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Percentiles {
    /// Median.
    pub p50_us: u64,
    /// 95th percentile.
    pub p95_us: u64,
    /// 99th percentile.
    pub p99_us: u64,
    /// Greatest.
    pub max_us: u64,
}

/// What was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct PublishFigures {
    /// Rows of the state.
    pub rows: usize,
    /// Columns.
    pub columns: usize,
    /// Publications.
    pub rounds: usize,
    /// Bytes of one encoded state.
    pub encoded_bytes: usize,
    /// Encoding of the rows.
    pub encode: Percentiles,
    /// I-transaction with commit.
    pub i_tx: Percentiles,
    /// D-transaction with commit.
    pub d_tx: Percentiles,
    /// Both.
    pub both: Percentiles,
}

/// Why the bench could not run.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// No fence.
    #[error(transparent)]
    Fence(#[from] FenceError),
    /// The run could not be opened.
    #[error(transparent)]
    Twin(#[from] TwinError),
    /// The I-transaction failed.
    #[error(transparent)]
    Refresh(#[from] RefreshError),
    /// The D-transaction failed.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// No run id.
    #[error(transparent)]
    Store(#[from] penstock_store::StoreError),
    /// Nothing to measure.
    #[error("rounds and rows must be at least 1")]
    Empty,
}

/// Runs the bench on pools of `ingest_rw` and `publisher_rw`.
///
/// # Errors
/// [`BenchError`].
pub async fn bench_publish(
    ingest: &PgPool,
    decision: &PgPool,
    options: &PublishBench,
) -> Result<PublishFigures, BenchError> {
    if options.rows == 0 || options.rounds == 0 {
        return Err(BenchError::Empty);
    }
    let request = FenceRequest {
        service: FencedService::Ingest,
        domain: DOMAIN.to_owned(),
        holder_id: Uuid::from_u128(u128::from(std::process::id())),
        host: "bench".to_owned(),
        pid: std::process::id(),
        ttl_ms: FENCE_TTL_MS,
        state_dir: options.state_dir.clone(),
        timeout: Duration::from_secs(20),
    };
    let fence = Fence::acquire(decision, request, |_| {}).await?;
    let mut run = sample_run(next_run_id(decision).await?, fence.token());
    run.domain = DOMAIN.to_owned();
    let lineage = sample_lineage(&run);
    open_run(ingest, &run, &lineage).await?;
    let mut recorder =
        GenerationRecorder::new(ingest.clone()).with_deadline(Duration::from_secs(20));
    let mut publisher = GenerationPublisher::new(decision.clone());
    let mut samples = Samples::default();
    // The first two rounds connect, stage and prepare; they are not measured.
    for n in 0..options.rounds + 2 {
        let round = Round { run: &run, lineage: &lineage, token: fence.token(), n };
        let one = round.measure(&mut recorder, &mut publisher, options.rows).await?;
        if n >= 2 {
            samples.push(one);
        }
        tokio::time::sleep(options.pace).await;
    }
    fence.release(decision).await?;
    Ok(samples.figures(options))
}

struct Round<'a> {
    run: &'a RunRow,
    lineage: &'a LineageRow,
    token: FencingToken,
    n: usize,
}

#[derive(Debug, Clone, Copy)]
struct OneRound {
    encoded_bytes: usize,
    encode: Duration,
    i_tx: Duration,
    d_tx: Duration,
}

impl Round<'_> {
    async fn measure(
        &self,
        recorder: &mut GenerationRecorder,
        publisher: &mut GenerationPublisher,
        rows: usize,
    ) -> Result<OneRound, BenchError> {
        let n = i64::try_from(self.n).unwrap_or(i64::MAX) + 1;
        let generation_id = GenerationId(self.token.0 * 1_000_000_000 + n);
        let state = sample_state(self.run.run_id, generation_id, rows);
        let hash = content_hash(&state);
        let row_count = i32::try_from(rows).unwrap_or(i32::MAX);
        let started = Instant::now();
        let encoded = encode_state(&state);
        let encode = started.elapsed();
        let row = GenerationRow {
            generation_id,
            run_id: self.run.run_id,
            lineage_id: self.lineage.lineage_id,
            as_of: SAMPLE_TIME,
            row_count,
            changed_rows: row_count,
            delta_ticker_rows: 0,
            delta_trade_rows: 0,
            delta_l2_rows: 0,
            delta_l3_rows: 0,
            wm_seq: Seq(n),
            raw_complete: true,
            content_hash: hash,
            refresh_duration_ms: 0,
        };
        let i_tx = recorder.record(&row, &[], &encoded).await?;
        let started = Instant::now();
        publisher
            .publish(&GenerationInput {
                run: self.run,
                lineage: self.lineage,
                run_symbols: &[],
                token: self.token,
                generation_id,
                as_of: SAMPLE_TIME,
                cut_at: started,
                last_msg_age_ms: 0,
                encoded: &encoded,
                row_count,
                content_hash: hash,
                refresh_duration_ms: 0,
                gap_open: false,
                candles: &[],
                trim_candles: false,
            })
            .await?;
        let d_tx = started.elapsed();
        Ok(OneRound { encoded_bytes: encoded.len(), encode, i_tx, d_tx })
    }
}

#[derive(Debug, Default)]
struct Samples {
    encoded_bytes: usize,
    encode: Vec<u64>,
    i_tx: Vec<u64>,
    d_tx: Vec<u64>,
    both: Vec<u64>,
}

impl Samples {
    fn push(&mut self, one: OneRound) {
        let us = |d: Duration| u64::try_from(d.as_micros()).unwrap_or(u64::MAX);
        self.encoded_bytes = one.encoded_bytes;
        self.encode.push(us(one.encode));
        self.i_tx.push(us(one.i_tx));
        self.d_tx.push(us(one.d_tx));
        self.both.push(us(one.i_tx + one.d_tx));
    }

    fn figures(self, options: &PublishBench) -> PublishFigures {
        PublishFigures {
            rows: options.rows,
            columns: COLUMNS.len(),
            rounds: options.rounds,
            encoded_bytes: self.encoded_bytes,
            encode: percentiles(self.encode),
            i_tx: percentiles(self.i_tx),
            d_tx: percentiles(self.d_tx),
            both: percentiles(self.both),
        }
    }
}

/// Nearest-rank percentiles.
fn percentiles(mut values: Vec<u64>) -> Percentiles {
    values.sort_unstable();
    let rank = |pct: usize| {
        let index = (values.len() * pct).div_ceil(100).max(1) - 1;
        values.get(index).copied().unwrap_or(0)
    };
    Percentiles { p50_us: rank(50), p95_us: rank(95), p99_us: rank(99), max_us: rank(100) }
}

#[cfg(test)]
mod tests {
    use super::percentiles;

    #[test]
    fn percentiles_are_nearest_ranks() {
        let figures = percentiles((1..=200).rev().collect());

        assert_eq!((figures.p50_us, figures.p95_us), (100, 190));
        assert_eq!((figures.p99_us, figures.max_us), (198, 200));
    }
}
