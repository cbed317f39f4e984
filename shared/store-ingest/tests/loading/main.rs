//! The way from the spool into the run's partitions on a real cluster: each record once, whatever
//! happens in between; duplicates, refused rows, closed runs.
#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

use std::sync::Arc;
use std::time::Duration;

use penstock_store::ClusterRole;
use penstock_store::raw_rows::{
    GenerationRow, ROW_VERSION, encode_generation, encode_raw, stream_code,
};
use penstock_store::samples::{
    SAMPLE_TIME, sample_derivative, sample_lineage, sample_lineage_id, sample_raw, sample_run,
};
use penstock_store::spool::loader::{LoadError, LoadStep, Loader, LoaderSettings};
use penstock_store::spool::{
    OpenedSpool, Segments, SpoolSettings, SpoolWriter, StreamCode, open_spool, start_writer,
};
use penstock_store::testing::TestPair;
use penstock_store_ingest::generations::generations_of_run;
use penstock_store_ingest::raw_read::RawReader;
use penstock_store_ingest::runs::{load_cursor, open_run, seq_holes};
use penstock_types::raw::{RawBody, RawRow};
use penstock_types::{FencingToken, GenerationId, RunId, Seq};
use sqlx::PgPool;

const RUN: RunId = RunId(7);
const TOKEN: FencingToken = FencingToken(3);

struct Rig {
    _pair: TestPair,
    pool: PgPool,
    _dir: tempfile::TempDir,
    _opened: OpenedSpool,
    segments: Arc<Segments>,
    writer: Option<SpoolWriter>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Rig {
    async fn new() -> Self {
        let pair = TestPair::new().await.unwrap();
        let pool = pair.pool(ClusterRole::Ingest, "ingest_rw").await.unwrap();
        let run = sample_run(RUN, TOKEN);
        open_run(&pool, &run, &sample_lineage(&run)).await.unwrap();
        open_run(&pool, &run, &sample_lineage(&run)).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let opened = open_spool(dir.path(), TOKEN).unwrap();
        let segments = Arc::clone(&opened.own.segments);
        let settings = SpoolSettings {
            segment_bytes: 64 * 1024,
            free_bytes_min: 0,
            fsync_every: Duration::from_millis(5),
            device_retry: Duration::from_millis(50),
            ..SpoolSettings::raw(TOKEN, 1)
        };
        let (writer, thread) = start_writer(Arc::clone(&segments), settings, RUN, |_| {}).unwrap();
        Self {
            _pair: pair,
            pool,
            _dir: dir,
            _opened: opened,
            segments,
            writer: Some(writer),
            thread: Some(thread),
        }
    }

    fn append(&mut self, row: &RawRow) {
        let mut tuple = Vec::new();
        encode_raw(&mut tuple, RUN, row);
        let stream = stream_code(row.stream());
        let writer = self.writer.as_mut().unwrap();
        writer.append(stream, row.seq, ROW_VERSION, row.ts_local, &tuple);
    }

    fn append_generation(&mut self, n: i64, wm_seq: i64) {
        let row = generation(n, wm_seq);
        let mut tuple = Vec::new();
        encode_generation(&mut tuple, &row);
        let writer = self.writer.as_mut().unwrap();
        writer.append(StreamCode::Generation, Seq(wm_seq), ROW_VERSION, SAMPLE_TIME, &tuple);
    }

    /// Ends the writer: everything is durable.
    fn finish(&mut self) {
        drop(self.writer.take());
        self.thread.take().unwrap().join().unwrap();
    }

    fn loader(&self, own: Option<RunId>, rows_max: usize) -> Loader {
        let settings = LoaderSettings { rows_max, ..LoaderSettings::default() };
        Loader::new(self.pool.clone(), Arc::clone(&self.segments), own, settings)
    }

    async fn count(&self, table: &str) -> i64 {
        let text = format!("select count(*) from {table} where run_id = 7");
        sqlx::query_scalar(sqlx::AssertSqlSafe(text)).fetch_one(&self.pool).await.unwrap()
    }
}

fn generation(n: i64, wm_seq: i64) -> GenerationRow {
    GenerationRow {
        generation_id: GenerationId(3_000_000_000 + n),
        run_id: RUN,
        lineage_id: sample_lineage_id(RUN),
        as_of: SAMPLE_TIME.plus_millis(n * 1_000),
        row_count: 5,
        changed_rows: 5,
        delta_ticker_rows: 1,
        delta_trade_rows: 1,
        delta_l2_rows: 1,
        delta_l3_rows: 0,
        wm_seq: Seq(wm_seq),
        raw_complete: true,
        content_hash: [7; 32],
        refresh_duration_ms: 1,
    }
}

/// Steps until the loader closes the run or has nothing left.
async fn load_all(loader: &mut Loader) -> Vec<LoadStep> {
    let mut steps = Vec::new();
    loop {
        let step = loader.step().await.unwrap();
        let last = matches!(step, LoadStep::Idle | LoadStep::Closed(_) | LoadStep::SetAside { .. });
        steps.push(step);
        if last {
            return steps;
        }
    }
}

#[tokio::test]
async fn every_record_is_loaded_once_and_reads_back_equal() {
    let mut rig = Rig::new().await;
    let of_spot = (1..=1_600).map(|seq| sample_raw(RUN, seq));
    let rows: Vec<RawRow> = of_spot.chain((1_601..=2_000).map(sample_derivative)).collect();
    for row in &rows {
        rig.append(row);
    }
    rig.finish();

    let steps = load_all(&mut rig.loader(None, 300)).await;

    let batches = steps.iter().filter(|s| matches!(s, LoadStep::Loaded(_))).count();
    assert!(batches >= 7, "{batches} batches");
    let Some(LoadStep::Closed(closed)) = steps.last() else { panic!("{steps:?}") };
    assert_eq!((closed.last_seq, closed.gaps), (Seq(2_000), 0));
    assert!(seq_holes(&rig.pool, RUN).await.unwrap().is_empty());
    let cursor = load_cursor(&rig.pool, RUN).await.unwrap().unwrap();
    assert_eq!((cursor.rows_loaded, cursor.complete), (2_000, true));
    let mut reader = RawReader::new(rig.pool.clone(), RUN, Seq(0), Seq(2_000));
    let mut read = Vec::new();
    while let Some(window) = reader.next_window().await.unwrap() {
        read.extend(window);
    }
    assert_eq!(read, rows);
    assert!(rig.segments.runs().is_empty(), "segments of a closed run are unlinked");
}

#[tokio::test]
async fn two_loaders_that_take_turns_load_nothing_twice() {
    let mut rig = Rig::new().await;
    for seq in 1..=400 {
        rig.append(&sample_raw(RUN, seq));
    }
    rig.finish();
    let mut loaders = [rig.loader(Some(RUN), 50), rig.loader(Some(RUN), 70)];
    let mut idle = 0;
    let mut turn = 0;
    // The one whose position is stale stands where an unknown commit leaves a loader.
    while idle < 4 {
        match loaders[turn % 2].step().await.unwrap() {
            LoadStep::Idle => idle += 1,
            LoadStep::Loaded(_) => idle = 0,
            other => panic!("{other:?}"),
        }
        turn += 1;
    }

    let cursor = load_cursor(&rig.pool, RUN).await.unwrap().unwrap();

    assert_eq!((cursor.rows_loaded, cursor.last_seq), (400, Seq(400)));
    assert_eq!(rig.count("trade_samples").await, 100);
}

#[tokio::test]
async fn duplicate_costs_only_itself_and_a_refused_row_is_put_aside() {
    let mut rig = Rig::new().await;
    // A trade that stands already, as if the cursor had missed it.
    let trade = sample_raw(RUN, 5);
    let mut tuple = Vec::new();
    encode_raw(&mut tuple, RUN, &trade);
    sqlx::query(
        "insert into trade_samples (run_id, seq, venue, symbol, trade_id, side, kind, ord_type,
             price, qty, ts_exchange, ts_local, conn_id)
         values (7, 5, 0, 'S005/USD', 5, 'b', 'f', 'l', 1, 1, now(), now(), 1)",
    )
    .execute(&rig.pool)
    .await
    .unwrap();
    for seq in 1..=100 {
        let mut row = sample_raw(RUN, seq);
        if seq == 41 {
            let RawBody::Trade(trade) = &mut row.body else { panic!("41 is a trade") };
            trade.qty = penstock_types::Decimal::ZERO;
        }
        rig.append(&row);
    }
    rig.append_generation(1, 40);
    rig.append_generation(2, 41);
    rig.finish();

    let steps = load_all(&mut rig.loader(Some(RUN), 1_000)).await;

    let LoadStep::Loaded(loaded) = &steps[0] else { panic!("{steps:?}") };
    assert_eq!((loaded.duplicates, loaded.quarantined), (1, 1));
    assert_eq!(rig.count("trade_samples").await, 24);
    let (seq, state): (i64, String) =
        sqlx::query_as("select seq, sqlstate from raw_quarantine where run_id = 7")
            .fetch_one(&rig.pool)
            .await
            .unwrap();
    assert_eq!((seq, state.as_str()), (41, "23514"));
    assert!(seq_holes(&rig.pool, RUN).await.unwrap().is_empty(), "quarantine is no hole");
    let complete: Vec<bool> =
        generations_of_run(&rig.pool, RUN).await.unwrap().iter().map(|g| g.raw_complete).collect();
    assert_eq!(complete, [true, false], "generations at or above the refused row");
}

/// F2: outputs carry the number of the event that caused them, which the cursor has already passed.
#[tokio::test]
async fn f2_candle_and_generation_rows_behind_the_cursor_are_loaded() {
    let mut rig = Rig::new().await;
    for seq in 1..=10 {
        rig.append(&sample_raw(RUN, seq));
    }
    let mut monitor = rig.writer.as_ref().unwrap().monitor();
    assert!(monitor.wait_synced(RUN, Seq(10), Duration::from_secs(20)).await);
    let mut loader = rig.loader(Some(RUN), 1_000);
    let first = load_all(&mut loader).await;
    rig.append_generation(1, 10);
    rig.append_generation(1, 10);
    rig.finish();

    let second = load_all(&mut loader).await;

    assert!(matches!(&first[0], LoadStep::Loaded(b) if b.rows == 10));
    assert!(matches!(&second[0], LoadStep::Loaded(b) if b.rows == 1 && b.last_seq == Seq(10)));
    assert_eq!(rig.count("state_generations").await, 1);
}

/// F3: what the close of a run finds missing takes `raw_complete` from every generation above it.
#[tokio::test]
async fn f3_close_explains_each_hole_and_marks_generations_above_it() {
    let mut rig = Rig::new().await;
    for seq in (1..=50).filter(|seq| !(20..=22).contains(seq)) {
        rig.append(&sample_raw(RUN, seq));
    }
    rig.append_generation(1, 19);
    rig.append_generation(2, 22);
    rig.append_generation(3, 60);
    rig.finish();
    let mut loader = rig.loader(None, 1_000);

    let steps = load_all(&mut loader).await;
    let again = loader.close_run(RUN).await.unwrap();

    let Some(LoadStep::Closed(closed)) = steps.last() else { panic!("{steps:?}") };
    assert_eq!((closed.gaps, closed.incomplete_generations, closed.last_seq), (1, 2, Seq(50)));
    assert!(again.was_closed);
    let holes = seq_holes(&rig.pool, RUN).await.unwrap();
    assert_eq!(holes.len(), 1);
    assert!(holes[0].explained);
    assert_eq!((holes[0].first_missing, holes[0].last_missing), (Seq(20), Seq(22)));
    let (from, to): (chrono::DateTime<chrono::Utc>, chrono::DateTime<chrono::Utc>) =
        sqlx::query_as("select gap_from, gap_to from ingest_stream_events where kind = 'raw_drop'")
            .fetch_one(&rig.pool)
            .await
            .unwrap();
    assert_eq!((to - from).num_milliseconds(), 4, "between the neighbours 19 and 23");
}

/// F8: a paused ingest wakes after another host has closed its run.
#[tokio::test]
async fn f8_own_run_closed_by_another_host_stops_the_loader_and_sets_old_segments_aside() {
    let mut rig = Rig::new().await;
    for seq in 1..=10 {
        rig.append(&sample_raw(RUN, seq));
    }
    rig.finish();
    sqlx::query("update raw_load_cursor set complete = true where run_id = 7")
        .execute(&rig.pool)
        .await
        .unwrap();

    let own = rig.loader(Some(RUN), 1_000).step().await;
    let old = rig.loader(None, 1_000).step().await.unwrap();

    assert!(matches!(own, Err(LoadError::OwnRunClosed { run_id: RUN })), "{own:?}");
    assert!(matches!(old, LoadStep::SetAside { run_id: RUN, segments: 1 }));
    assert_eq!(rig.count("trade_samples").await, 0);
}

/// F5: the spool's disk refuses writes. Records pass it on their way to the cluster, after everything
/// that is synced; when it takes writes again the spool goes on, and each row stands once.
#[tokio::test]
async fn f5_device_error_lets_records_pass_the_spool_and_loads_each_once() {
    let mut rig = Rig::new().await;
    let mut monitor = rig.writer.as_ref().unwrap().monitor();
    let mut seq = 0;
    let mut more = |rig: &mut Rig, until: i64| {
        while seq < until {
            seq += 1;
            rig.append(&sample_raw(RUN, seq));
        }
    };
    more(&mut rig, 100);
    assert!(monitor.wait_synced(RUN, Seq(100), WAIT).await);
    // No file can be made where the second segment belongs: an error of the device at each attempt.
    let in_the_way = rig.segments.path(RUN, 2);
    std::fs::create_dir(&in_the_way).unwrap();
    let mut loader = rig.loader(Some(RUN), 1_000);
    assert!(matches!(&load_all(&mut loader).await[0], LoadStep::Loaded(b) if b.rows == 100));

    // The first segment fills up, the second is refused twice; the cluster gets the rows all the same.
    more(&mut rig, 1_500);
    poll("the device fails", || monitor.failed()).await;
    rig.append_generation(1, 1_500);
    load_until(&mut loader, &rig, 1_500).await;
    poll("memory is free again", || monitor.held_bytes() == 0).await;
    assert!(monitor.synced().seq < 1_500, "the spool does not hold them");

    std::fs::remove_dir(&in_the_way).unwrap();
    more(&mut rig, 1_600);
    assert!(monitor.wait_synced(RUN, Seq(1_600), WAIT).await);
    assert!(!monitor.failed());
    rig.finish();
    let mut loader = rig.loader(None, 1_000);
    let steps = load_all(&mut loader).await;

    let Some(LoadStep::Closed(closed)) = steps.last() else { panic!("{steps:?}") };
    assert_eq!((closed.gaps, closed.last_seq), (0, Seq(1_600)));
    let cursor = load_cursor(&rig.pool, RUN).await.unwrap().unwrap();
    assert_eq!((cursor.rows_loaded, cursor.rows_quarantined), (1_601, 0));
    assert!(seq_holes(&rig.pool, RUN).await.unwrap().is_empty());
    assert_eq!(rig.count("state_generations").await, 1);
}

/// F5: the process ends while its device refuses writes: what is in memory is loaded before the run is
/// closed.
#[tokio::test]
async fn f5_stop_beside_a_failed_device_loads_what_only_memory_holds() {
    let mut rig = Rig::new().await;
    let monitor = rig.writer.as_ref().unwrap().monitor();
    std::fs::create_dir(rig.segments.path(RUN, 1)).unwrap();
    for seq in 1..=40 {
        rig.append(&sample_raw(RUN, seq));
    }
    poll("the device fails", || monitor.failed()).await;
    rig.finish();
    let steps = load_all(&mut rig.loader(None, 1_000)).await;

    let Some(LoadStep::Closed(closed)) = steps.last() else { panic!("{steps:?}") };
    assert_eq!((closed.gaps, closed.last_seq), (0, Seq(40)));
}

/// A rollover: the run before is loaded to its end while it is still the own one, and is closed all the
/// same when the loader learns of the next.
#[tokio::test]
async fn a_run_that_rolls_over_is_closed_although_its_segments_are_gone_already() {
    let mut rig = Rig::new().await;
    let next = RunId(RUN.0 + 1);
    let run = sample_run(next, TOKEN);
    open_run(&rig.pool, &run, &sample_lineage(&run)).await.unwrap();
    for seq in 1..=20 {
        rig.append(&sample_raw(RUN, seq));
    }
    let writer = rig.writer.as_mut().unwrap();
    writer.begin_run(next);
    let mut tuple = Vec::new();
    let row = sample_raw(next, 1);
    encode_raw(&mut tuple, next, &row);
    writer.append(stream_code(row.stream()), row.seq, ROW_VERSION, row.ts_local, &tuple);
    let mut monitor = writer.monitor();
    assert!(monitor.wait_synced(next, Seq(1), WAIT).await);

    let mut loader = rig.loader(Some(RUN), 1_000);
    let before = load_all(&mut loader).await;
    assert!(matches!(&before[0], LoadStep::Loaded(b) if b.run_id == RUN && b.rows == 20));
    assert_eq!(rig.segments.runs(), [next], "what is loaded is unlinked");
    assert!(matches!(loader.step().await.unwrap(), LoadStep::Idle), "it waits for the word");
    loader.set_own_run(Some(next));
    let closed = loader.step().await.unwrap();
    assert!(matches!(closed, LoadStep::Closed(c) if c.run_id == RUN && c.gaps == 0));
    let after = load_all(&mut loader).await;
    assert!(matches!(&after[0], LoadStep::Loaded(b) if b.run_id == next && b.rows == 1));
}

/// Longest wait of these tests.
const WAIT: Duration = Duration::from_secs(20);

/// Looks every few milliseconds until it is so.
async fn poll(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + WAIT;
    let mut beat = tokio::time::interval(Duration::from_millis(5));
    while !is_so() {
        assert!(tokio::time::Instant::now() < deadline, "{what}");
        beat.tick().await;
    }
}

/// Loads until a number is in.
async fn load_until(loader: &mut Loader, rig: &Rig, last_seq: i64) {
    let deadline = tokio::time::Instant::now() + WAIT;
    let mut beat = tokio::time::interval(Duration::from_millis(5));
    while load_cursor(&rig.pool, RUN).await.unwrap().unwrap().last_seq < Seq(last_seq) {
        assert!(tokio::time::Instant::now() < deadline, "loaded up to {last_seq}");
        loader.step().await.unwrap();
        beat.tick().await;
    }
}
