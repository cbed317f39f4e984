//! The I-transaction on a real cluster: whole or nothing, bounded by its deadline, refused once the
//! run is closed.
#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

use std::time::Duration;

use penstock_store::ClusterRole;
use penstock_store::raw_rows::GenerationRow;
use penstock_store::samples::{
    SAMPLE_TIME, sample_lineage, sample_lineage_id, sample_run, sample_state,
};
use penstock_store::state_copy::encode_state;
use penstock_store::testing::TestPair;
use penstock_store_ingest::checkpoints::{
    Checkpoint, checkpoint_at, newest_checkpoint, write_checkpoint,
};
use penstock_store_ingest::generations::{GenerationRecorder, RefreshError, Watermark};
use penstock_store_ingest::runs::open_run;
use penstock_types::state_row::content_hash;
use penstock_types::vocab::RawStream;
use penstock_types::{FencingToken, GenerationId, RunId, Seq};
use sqlx::PgPool;

const RUN: RunId = RunId(7);

async fn rig() -> (TestPair, PgPool) {
    let pair = TestPair::new().await.unwrap();
    let pool = pair.pool(ClusterRole::Ingest, "ingest_rw").await.unwrap();
    let run = sample_run(RUN, FencingToken(3));
    open_run(&pool, &run, &sample_lineage(&run)).await.unwrap();
    (pair, pool)
}

fn cut(n: i64, rows: usize) -> (GenerationRow, Vec<u8>) {
    let generation_id = GenerationId(3_000_000_000 + n);
    let state = sample_state(RUN, generation_id, rows);
    let row = GenerationRow {
        generation_id,
        run_id: RUN,
        lineage_id: sample_lineage_id(RUN),
        as_of: SAMPLE_TIME.plus_millis(n * 1_000),
        row_count: i32::try_from(rows).unwrap(),
        changed_rows: 1,
        delta_ticker_rows: 1,
        delta_trade_rows: 1,
        delta_l2_rows: 1,
        delta_l3_rows: 0,
        wm_seq: Seq(n * 10),
        raw_complete: true,
        content_hash: content_hash(&state),
        refresh_duration_ms: 1,
    };
    (row, encode_state(&state))
}

fn watermarks(n: i64) -> [Watermark; 2] {
    [RawStream::Ticker, RawStream::Trade].map(|stream| Watermark {
        stream,
        last_seq: Seq(n * 10),
        last_ts_local: Some(SAMPLE_TIME),
    })
}

/// Long enough for a busy machine; the deadline itself is tested on its own.
fn recorder(pool: &PgPool) -> GenerationRecorder {
    GenerationRecorder::new(pool.clone()).with_deadline(Duration::from_secs(20))
}

#[tokio::test]
async fn state_rows_generation_and_watermarks_commit_together() {
    let (_pair, pool) = rig().await;
    let mut recorder = recorder(&pool);
    for n in 1..=3 {
        let (row, encoded) = cut(n, 10);
        recorder.record(&row, &watermarks(n), &encoded).await.unwrap();
    }
    let (row, encoded) = cut(4, 4);
    recorder.record(&row, &watermarks(4), &encoded).await.unwrap();

    let rows: i64 =
        sqlx::query_scalar("select count(*) from run_symbol_state").fetch_one(&pool).await.unwrap();
    let marks: Vec<(i64, i64)> =
        sqlx::query_as("select last_seq, generation_id from refresh_watermarks order by stream")
            .fetch_all(&pool)
            .await
            .unwrap();
    let generations: i64 = sqlx::query_scalar("select count(*) from state_generations")
        .fetch_one(&pool)
        .await
        .unwrap();

    assert_eq!(rows, 4, "rows of other generations are gone");
    assert_eq!(marks, [(40, 3_000_000_004), (40, 3_000_000_004)]);
    assert_eq!(generations, 4);
}

/// F7: the ingest cluster hangs in the middle of the transaction.
#[tokio::test]
async fn f7_hanging_i_transaction_ends_at_its_deadline_and_leaves_the_pool_clean() {
    let (_pair, pool) = rig().await;
    let (row, encoded) = cut(1, 5);
    let mut recorder =
        GenerationRecorder::new(pool.clone()).with_deadline(Duration::from_millis(80));
    let mut blocker = pool.begin().await.unwrap();
    sqlx::query("select 1 from raw_load_cursor where run_id = 7 for update")
        .execute(&mut *blocker)
        .await
        .unwrap();

    let hung = recorder.record(&row, &watermarks(1), &encoded).await;
    blocker.rollback().await.unwrap();
    let mut recorder = recorder.with_deadline(Duration::from_secs(20));
    let (row, encoded) = cut(2, 5);
    recorder.record(&row, &watermarks(2), &encoded).await.unwrap();
    let mut answers = Vec::new();
    for n in 20..30_i32 {
        let answer: i32 =
            sqlx::query_scalar("select $1::int").bind(n).fetch_one(&pool).await.unwrap();
        answers.push(answer);
    }

    assert!(matches!(hung, Err(RefreshError::Deadline { .. })), "{hung:?}");
    assert_eq!(answers, (20..30).collect::<Vec<_>>(), "no connection answers out of step");
    let rows: i64 =
        sqlx::query_scalar("select count(*) from run_symbol_state").fetch_one(&pool).await.unwrap();
    assert_eq!(rows, 5);
}

/// F8, the other half: no generation for a run that another host has closed.
#[tokio::test]
async fn f8_closed_run_admits_no_generation() {
    let (_pair, pool) = rig().await;
    let (row, encoded) = cut(1, 5);
    sqlx::query("update raw_load_cursor set complete = true").execute(&pool).await.unwrap();

    let refused = recorder(&pool).record(&row, &watermarks(1), &encoded).await;

    assert!(matches!(refused, Err(RefreshError::RunClosed { run_id: RUN })), "{refused:?}");
    let rows: i64 = sqlx::query_scalar("select count(*) from state_generations")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(rows, 0);
}

#[tokio::test]
async fn first_and_last_two_checkpoints_of_a_run_are_kept() {
    let (_pair, pool) = rig().await;
    for wm_seq in [0, 10, 20, 30] {
        let row = Checkpoint {
            run_id: RUN,
            wm_seq: Seq(wm_seq),
            as_of: SAMPLE_TIME,
            format_version: 1,
            payload_zstd: vec![1, 2],
            payload_hash: vec![0; 32],
        };
        write_checkpoint(&pool, &row).await.unwrap();
    }

    let kept: Vec<i64> =
        sqlx::query_scalar("select wm_seq from aggregator_checkpoints order by wm_seq")
            .fetch_all(&pool)
            .await
            .unwrap();
    let newest = newest_checkpoint(&pool, "test").await.unwrap().unwrap();
    let below = checkpoint_at(&pool, RUN, Seq(25)).await.unwrap().unwrap();

    assert_eq!(kept, [0, 20, 30]);
    assert_eq!(newest.wm_seq, Seq(30));
    assert_eq!(below.wm_seq, Seq(20));
}
