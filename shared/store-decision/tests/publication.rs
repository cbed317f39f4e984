//! Publishing on a real cluster: torn reads, stale fences, two ingests, frames after a takeover and
//! after an unknown commit.
#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

use std::time::{Duration, Instant};

use penstock_store::ClusterRole;
use penstock_store::fence::{
    AcquiredVia, Fence, FenceError, FenceEvent, FenceRequest, FencedService,
};
use penstock_store::samples::{
    SAMPLE_TIME, sample_lineage, sample_run, sample_state, sample_symbol,
};
use penstock_store::state_copy::encode_state;
use penstock_store::testing::TestPair;
use penstock_store::twins::{LineageRow, RunRow, RunSymbolRow};
use penstock_store_decision::TwinError;
use penstock_store_decision::cycle_input::{begin, pointer, states};
use penstock_store_decision::frames::{
    FramePrerequisites, FramePublisher, FrameRow, newest_frame_settled,
};
use penstock_store_decision::publication::{
    GenerationInput, GenerationPublisher, PublishError, Published,
};
use penstock_types::frame::{
    FrameFlags, FrameHeader, QuoteBlock, encode_frame, encode_quotes, sha256,
};
use penstock_types::raw::CandleRow;
use penstock_types::state_row::{StateRow, content_hash};
use penstock_types::{Decimal, FencingToken, GenerationId, RunId, TickId, UtcMicros, Uuid};
use sqlx::PgPool;

const RUN: RunId = RunId(1);

struct Rig {
    pair: TestPair,
    pool: PgPool,
    run: RunRow,
    lineage: LineageRow,
    token: FencingToken,
    state_dir: tempfile::TempDir,
}

fn request(state_dir: &std::path::Path, timeout: Duration) -> FenceRequest {
    FenceRequest {
        service: FencedService::Ingest,
        domain: "test".to_owned(),
        holder_id: Uuid::from_u128(7),
        host: "host".to_owned(),
        pid: 42,
        ttl_ms: 15_000,
        state_dir: state_dir.to_owned(),
        timeout,
    }
}

impl Rig {
    async fn new() -> (Self, Fence) {
        let pair = TestPair::new().await.unwrap();
        let pool = pair.pool(ClusterRole::Decision, "publisher_rw").await.unwrap();
        let state_dir = tempfile::tempdir().unwrap();
        let wanted = request(state_dir.path(), Duration::from_secs(10));
        let fence = Fence::acquire(&pool, wanted, |_| {}).await.unwrap();
        let run = sample_run(RUN, fence.token());
        let lineage = sample_lineage(&run);
        let token = fence.token();
        (Self { pair, pool, run, lineage, token, state_dir }, fence)
    }

    async fn publish(
        &self,
        publisher: &mut GenerationPublisher,
        n: i64,
        rows: usize,
    ) -> Result<Published, PublishError> {
        self.publish_with(publisher, n, rows, &[], false).await
    }

    async fn publish_with(
        &self,
        publisher: &mut GenerationPublisher,
        n: i64,
        rows: usize,
        candles: &[CandleRow],
        trim_candles: bool,
    ) -> Result<Published, PublishError> {
        let generation_id = GenerationId(self.token.0 * 1_000_000_000 + n);
        let state = sample_state(self.run.run_id, generation_id, rows);
        publisher
            .publish(&GenerationInput {
                run: &self.run,
                lineage: &self.lineage,
                run_symbols: &[],
                token: self.token,
                generation_id,
                as_of: SAMPLE_TIME.plus_millis(n * 1_000),
                cut_at: Instant::now(),
                last_msg_age_ms: 5,
                encoded: &encode_state(&state),
                row_count: i32::try_from(rows).unwrap(),
                content_hash: content_hash(&state),
                refresh_duration_ms: 1,
                gap_open: false,
                candles,
                trim_candles,
            })
            .await
    }
}

/// Generations of the pointer and of the rows read after it.
fn is_torn(pointer: GenerationId, row_count: i32, rows: &[StateRow]) -> bool {
    rows.len() != usize::try_from(row_count).unwrap()
        || rows.iter().any(|row| row.generation_id != pointer)
}

/// The hook stands between pointer and rows: one publication commits there, in every round.
#[tokio::test]
async fn torn_read_is_seen_under_read_committed_and_never_under_repeatable_read() {
    let (rig, _fence) = Rig::new().await;
    let reader = rig.pair.pool(ClusterRole::Decision, "exec_rw").await.unwrap();
    let mut publisher = GenerationPublisher::new(rig.pool.clone());
    let mut n = 1;
    rig.publish(&mut publisher, n, 5).await.unwrap();

    for _ in 0..50 {
        let mut tx = reader.begin().await.unwrap();
        let seen = pointer(&mut tx, "test").await.unwrap().publication.unwrap();
        n += 1;
        rig.publish(&mut publisher, n, 5).await.unwrap();
        let rows = states(&mut tx, seen.run_id).await.unwrap();
        assert!(is_torn(seen.generation_id, seen.row_count, &rows), "read committed, round {n}");
    }
    for _ in 0..1_000 {
        let mut tx = begin(&reader).await.unwrap();
        let seen = pointer(&mut tx, "test").await.unwrap().publication.unwrap();
        n += 1;
        rig.publish(&mut publisher, n, 5).await.unwrap();
        let rows = states(&mut tx, seen.run_id).await.unwrap();
        assert!(!is_torn(seen.generation_id, seen.row_count, &rows), "repeatable read, round {n}");
    }
}

#[tokio::test]
async fn published_state_reads_back_equal_with_its_hash_and_candles() {
    let (rig, _fence) = Rig::new().await;
    let reader = rig.pair.pool(ClusterRole::Decision, "exec_rw").await.unwrap();
    let mut publisher = GenerationPublisher::new(rig.pool.clone());
    let candle = |minute: i64| CandleRow {
        symbol: sample_symbol(1),
        minute: UtcMicros(SAMPLE_TIME.0 + minute * 60_000_000),
        open: Decimal::ONE,
        high: Decimal::TWO,
        low: Decimal::ONE,
        close: Decimal::TWO,
        base_vol: Decimal::TEN,
        quote_vol: Decimal::TEN,
        buy_base_vol: Decimal::ONE,
        trades: 3,
        complete: true,
    };
    let [first, second] = [candle(0), candle(1)];
    rig.publish_with(&mut publisher, 1, 40, &[first, second.clone()], false).await.unwrap();
    rig.publish_with(&mut publisher, 2, 30, &[second], false).await.unwrap();

    let mut tx = begin(&reader).await.unwrap();
    let seen = pointer(&mut tx, "test").await.unwrap().publication.unwrap();
    let rows = states(&mut tx, seen.run_id).await.unwrap();

    let expected = sample_state(RUN, seen.generation_id, 30);
    assert_eq!(rows, expected);
    assert_eq!(hex::encode(content_hash(&rows)), seen.content_hash);
    tx.commit().await.unwrap();
    let count = "select count(*) from candles_1m";
    let candles: i64 = sqlx::query_scalar(count).fetch_one(&reader).await.unwrap();
    assert_eq!(candles, 2, "a candle that is sent again stands once");
    rig.publish_with(&mut publisher, 3, 30, &[], true).await.unwrap();
    let candles: i64 = sqlx::query_scalar(count).fetch_one(&reader).await.unwrap();
    assert_eq!(candles, 0, "the sample minutes are older than 48 h");
}

#[tokio::test]
async fn generation_that_is_not_newer_is_refused_and_changes_nothing() {
    let (rig, _fence) = Rig::new().await;
    let mut publisher = GenerationPublisher::new(rig.pool.clone());
    rig.publish(&mut publisher, 5, 8).await.unwrap();

    let same = rig.publish(&mut publisher, 5, 8).await;
    let older = rig.publish(&mut publisher, 4, 8).await;

    assert!(matches!(same, Err(PublishError::StaleGeneration { .. })), "{same:?}");
    assert!(matches!(older, Err(PublishError::StaleGeneration { .. })), "{older:?}");
    let generations: Vec<i64> =
        sqlx::query_scalar("select distinct generation_id from run_symbol_state")
            .fetch_all(&rig.pool)
            .await
            .unwrap();
    assert_eq!(generations, [rig.token.0 * 1_000_000_000 + 5]);
}

#[tokio::test]
async fn stale_fence_publishes_nothing() {
    let (mut rig, fence) = Rig::new().await;
    let mut publisher = GenerationPublisher::new(rig.pool.clone());
    rig.publish(&mut publisher, 1, 5).await.unwrap();
    // The holder's lease ends and another host takes over.
    sqlx::query("update service_fences set lease_expires_at = clock_timestamp() - interval '1 s'")
        .execute(&rig.pool)
        .await
        .unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let mut events = Vec::new();
    let wanted = request(elsewhere.path(), Duration::from_secs(10));
    let successor = Fence::acquire(&rig.pool, wanted, |e| events.push(e)).await.unwrap();

    let refused = rig.publish(&mut publisher, 2, 5).await;
    let mut fence = fence;
    let renewal = fence.renew(&rig.pool).await;

    assert_eq!(
        events,
        [FenceEvent::Acquired { via: AcquiredVia::Lease, token: FencingToken(rig.token.0 + 1) }]
    );
    assert!(matches!(refused, Err(PublishError::Fence(FenceError::Lost { .. }))), "{refused:?}");
    assert!(matches!(renewal, Err(FenceError::Lost { .. })), "{renewal:?}");
    rig.run = sample_run(RunId(2), successor.token());
    rig.lineage = sample_lineage(&rig.run);
    rig.token = successor.token();
    rig.publish(&mut GenerationPublisher::new(rig.pool.clone()), 1, 5).await.unwrap();
    let runs: Vec<i64> = sqlx::query_scalar("select distinct run_id from run_symbol_state")
        .fetch_all(&rig.pool)
        .await
        .unwrap();
    assert_eq!(runs, [2], "rows of the other run are gone");
}

#[tokio::test]
async fn of_two_ingests_the_second_gets_neither_lock_nor_fence() {
    let (rig, fence) = Rig::new().await;
    let mut events = Vec::new();
    let wanted = request(rig.state_dir.path(), Duration::from_millis(10));

    let second = Fence::acquire(&rig.pool, wanted, |e| events.push(e)).await;

    assert!(matches!(second, Err(FenceError::Busy { .. })), "{second:?}");
    assert_eq!(events, [FenceEvent::BusyLock, FenceEvent::BusyLease]);
    assert!(second.unwrap_err().to_string().contains("process 42 on host"));
    drop(fence);
    // The holder's process has ended without giving the lease up: its lock proves it.
    let wanted = request(rig.state_dir.path(), Duration::from_secs(10));
    let mut events = Vec::new();
    let successor = Fence::acquire(&rig.pool, wanted, |e| events.push(e)).await.unwrap();
    let token = FencingToken(rig.token.0 + 1);
    assert_eq!(events, [FenceEvent::Acquired { via: AcquiredVia::Lock, token }]);
    let released = successor.release(&rig.pool).await;
    assert!(released.is_ok());
    let alive: bool =
        sqlx::query_scalar("select lease_expires_at > clock_timestamp() from service_fences")
            .fetch_one(&rig.pool)
            .await
            .unwrap();
    assert!(!alive);
}

#[tokio::test]
async fn run_that_stands_with_other_fields_is_fatal() {
    let (mut rig, _fence) = Rig::new().await;
    rig.publish(&mut GenerationPublisher::new(rig.pool.clone()), 1, 5).await.unwrap();
    rig.run.domain = "test".to_owned();
    rig.run.started_at = SAMPLE_TIME.plus_millis(1);

    let refused = rig.publish(&mut GenerationPublisher::new(rig.pool.clone()), 2, 5).await;

    assert!(
        matches!(&refused, Err(PublishError::Twin(TwinError::Mismatch(m))) if m.field == "started_at"),
        "{refused:?}"
    );
}

fn frame(tick: i64, token: FencingToken) -> FrameRow {
    let header = FrameHeader {
        flags: FrameFlags::EMPTY,
        tick_id: TickId(tick),
        frame_seq: tick,
        run_id: RUN,
        fencing_token: token,
        n_events: 0,
        gap_ticks: 0,
        previous: [0; 32],
        sealed_at: SAMPLE_TIME,
    };
    let frame = encode_frame(&header, &[]).unwrap();
    let block = QuoteBlock { tick_id: TickId(tick), full: false, entries: Vec::new() };
    FrameRow {
        tick_id: TickId(tick),
        frame_seq: tick,
        run_id: RUN,
        fencing_token: token,
        epoch_id: None,
        flags: i32::from(FrameFlags::EMPTY.0),
        n_events: 0,
        frame_sha256: sha256(&frame),
        frame,
        quotes: encode_quotes(&block).unwrap(),
        seal_lag_ms: 3,
    }
}

/// F1: what a predecessor left undelivered follows under the successor's fence, in tick order; what
/// stands is not delivered twice.
#[tokio::test]
async fn f1_frames_of_a_predecessor_follow_after_a_takeover() {
    let (rig, fence) = Rig::new().await;
    let old = fence.token();
    let mut publisher = FramePublisher::new(rig.pool.clone(), "test".to_owned());
    let symbols = [RunSymbolRow {
        run_id: RUN,
        symbol_no: 1,
        symbol: sample_symbol(0),
        price_decimals: 1,
        qty_decimals: 8,
    }];
    let before = FramePrerequisites { run: Some((&rig.run, &rig.lineage)), run_symbols: &symbols };
    publisher.publish(old, before, &[frame(1_000, old)]).await.unwrap();
    drop(fence);
    let wanted = request(rig.state_dir.path(), Duration::from_secs(10));
    let successor = Fence::acquire(&rig.pool, wanted, |_| {}).await.unwrap();

    let late = publisher.publish(old, FramePrerequisites::default(), &[frame(1_001, old)]).await;
    let newest = newest_frame_settled(&rig.pool, "test", successor.token()).await.unwrap().unwrap();
    let mut publisher = FramePublisher::new(rig.pool.clone(), "test".to_owned());
    let inherited = [frame(1_001, old), frame(1_002, old)];
    publisher.publish(successor.token(), before, &inherited).await.unwrap();
    publisher.publish(successor.token(), before, &[frame(1_003, successor.token())]).await.unwrap();

    assert!(matches!(late, Err(PublishError::Fence(FenceError::Lost { .. }))), "{late:?}");
    assert_eq!((newest.tick_id, newest.fencing_token), (TickId(1_000), old));
    assert_eq!(newest.frame_sha256, frame(1_000, old).frame_sha256);
    let rows: Vec<(i64, i64)> =
        sqlx::query_as("select tick_id, fencing_token from engine_tick_frames order by tick_id")
            .fetch_all(&rig.pool)
            .await
            .unwrap();
    let (o, s) = (old.0, successor.token().0);
    assert_eq!(rows, [(1_000, o), (1_001, o), (1_002, o), (1_003, s)]);
}

/// F9: a commit without an answer did take place; settling it waits for the transaction and says so,
/// and repeating the frame is refused instead of standing twice.
#[tokio::test]
async fn f9_unknown_commit_is_settled_by_the_newest_frame() {
    let (rig, fence) = Rig::new().await;
    let token = fence.token();
    let mut publisher = FramePublisher::new(rig.pool.clone(), "test".to_owned());
    publisher.ensure_day(TickId(2_000)).await.unwrap();
    // The transaction of a connection whose answer will never arrive.
    let mut lost = rig.pool.begin().await.unwrap();
    sqlx::query("select 1 from service_fences where service = 'ingest' for share")
        .execute(&mut *lost)
        .await
        .unwrap();
    let row = frame(2_000, token);
    sqlx::query(
        "insert into engine_tick_frames (tick_id, frame_seq, run_id, fencing_token, flags, n_events,
             frame, frame_sha256, quotes, seal_lag_ms)
         values (2000, 2000, 1, $1, 64, 0, $2, $3, $4, 0)",
    )
    .bind(token.0)
    .bind(&row.frame)
    .bind(&row.frame_sha256[..])
    .bind(&row.quotes)
    .execute(&mut *lost)
    .await
    .unwrap();
    let pool = rig.pool.clone();
    let settling = tokio::spawn(async move { newest_frame_settled(&pool, "test", token).await });
    wait_for_lock_waiter(&rig.pool).await;
    assert!(!settling.is_finished(), "settling waits for the unfinished transaction");
    lost.commit().await.unwrap();

    let newest = settling.await.unwrap().unwrap().unwrap();
    let again = publisher.publish(token, FramePrerequisites::default(), &[row]).await;
    publisher.publish(token, FramePrerequisites::default(), &[frame(2_001, token)]).await.unwrap();

    assert_eq!(newest.tick_id, TickId(2_000));
    assert!(matches!(again, Err(PublishError::Store(_))), "{again:?}");
}

/// Polls until some session of this database waits for a lock.
async fn wait_for_lock_waiter(pool: &PgPool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let waiting: i64 = sqlx::query_scalar(
            "select count(*) from pg_locks where not granted
             and pid in (select pid from pg_stat_activity where datname = current_database())",
        )
        .fetch_one(pool)
        .await
        .unwrap();
        if waiting > 0 {
            return;
        }
        assert!(Instant::now() < deadline, "nobody waits for a lock");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn cancelled_publication_leaves_the_pool_answering_in_step() {
    let (rig, _fence) = Rig::new().await;
    let mut publisher = GenerationPublisher::new(rig.pool.clone());
    for n in 1..40 {
        let limit = Duration::from_micros(u64::try_from(n).unwrap() * 150);
        let outcome = tokio::time::timeout(limit, rig.publish(&mut publisher, n, 60)).await;
        if let Ok(published) = outcome {
            published.unwrap();
        }
        for k in 0..3_i32 {
            let answer: i32 =
                sqlx::query_scalar("select $1::int").bind(k).fetch_one(&rig.pool).await.unwrap();
            assert_eq!(answer, k, "a connection answers out of step after try {n}");
        }
    }
    rig.publish(&mut publisher, 100, 60).await.unwrap();
}
