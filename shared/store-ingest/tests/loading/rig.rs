//! A run with its partitions on a scratch cluster, and a spool in a directory of its own.

use std::sync::Arc;
use std::time::Duration;

use penstock_store::ClusterRole;
use penstock_store::raw_rows::{
    GenerationRow, ROW_VERSION, encode_generation, encode_raw, stream_code,
};
use penstock_store::samples::{SAMPLE_TIME, sample_lineage, sample_lineage_id, sample_run};
use penstock_store::spool::loader::{LoadStep, Loader, LoaderSettings};
use penstock_store::spool::{
    Appended, OpenedSpool, Segments, SpoolMonitor, SpoolSettings, SpoolWriter, StreamCode,
    open_spool, start_writer,
};
use penstock_store::testing::TestPair;
use penstock_store_ingest::runs::{load_cursor, open_run};
use penstock_types::raw::RawRow;
use penstock_types::{FencingToken, GenerationId, RunId, Seq};
use sqlx::PgPool;

pub(crate) const RUN: RunId = RunId(7);
pub(crate) const TOKEN: FencingToken = FencingToken(3);

pub(crate) struct Rig {
    _pair: TestPair,
    pub(crate) pool: PgPool,
    dir: tempfile::TempDir,
    /// The locks of the spool, until it is opened again.
    pub(crate) opened: Option<OpenedSpool>,
    pub(crate) segments: Arc<Segments>,
    pub(crate) writer: Option<SpoolWriter>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// A scratch cluster on which the run stands.
pub(crate) async fn cluster() -> (TestPair, PgPool) {
    let pair = TestPair::new().await.unwrap();
    let pool = pair.pool(ClusterRole::Ingest, "ingest_rw").await.unwrap();
    let run = sample_run(RUN, TOKEN);
    open_run(&pool, &run, &sample_lineage(&run)).await.unwrap();
    open_run(&pool, &run, &sample_lineage(&run)).await.unwrap();
    (pair, pool)
}

/// Small segments and quick syncs.
pub(crate) fn settings() -> SpoolSettings {
    SpoolSettings {
        segment_bytes: 64 * 1024,
        free_bytes_min: 0,
        fsync_every: Duration::from_millis(5),
        device_retry: Duration::from_millis(50),
        ..SpoolSettings::raw(TOKEN, 1)
    }
}

/// Appends a row as the core's sink does.
pub(crate) fn append(writer: &mut SpoolWriter, row: &RawRow) -> Appended {
    let mut tuple = Vec::new();
    encode_raw(&mut tuple, RUN, row);
    let stream = stream_code(row.stream());
    writer.append(stream, row.seq, ROW_VERSION, row.ts_local, &tuple)
}

/// Appends a generation row.
pub(crate) fn append_generation(writer: &mut SpoolWriter, row: &GenerationRow) {
    let mut tuple = Vec::new();
    encode_generation(&mut tuple, row);
    let (stream, seq) = (StreamCode::Generation, row.wm_seq);
    let appended = writer.append(stream, seq, ROW_VERSION, SAMPLE_TIME, &tuple);
    assert_eq!(appended, Appended::Stored);
}

/// The row of a generation whose I-transaction was committed.
pub(crate) async fn insert_generation(pool: &PgPool, n: i64, wm_seq: i64) {
    let row = generation(n, wm_seq);
    sqlx::query(
        "insert into state_generations (generation_id, run_id, lineage_id, as_of, row_count,
             changed_rows, delta_ticker_rows, delta_trade_rows, delta_l2_rows, delta_l3_rows, wm_seq,
             raw_complete, content_hash, refresh_duration_ms)
         values ($1, $2, $3, now(), 5, 5, 1, 1, 1, 0, $4, true, $5, 1)",
    )
    .bind(row.generation_id.0)
    .bind(RUN.0)
    .bind(row.lineage_id.0)
    .bind(wm_seq)
    .bind(&row.content_hash[..])
    .execute(pool)
    .await
    .unwrap();
}

impl Rig {
    pub(crate) async fn new() -> Self {
        let (pair, pool) = cluster().await;
        let dir = tempfile::tempdir().unwrap();
        let opened = open_spool(dir.path(), TOKEN).unwrap();
        let segments = Arc::clone(&opened.own.segments);
        let (writer, thread) =
            start_writer(Arc::clone(&segments), settings(), RUN, |_| {}).unwrap();
        Self {
            _pair: pair,
            pool,
            dir,
            opened: Some(opened),
            segments,
            writer: Some(writer),
            thread: Some(thread),
        }
    }

    pub(crate) fn append(&mut self, row: &RawRow) {
        assert_eq!(append(self.writer.as_mut().unwrap(), row), Appended::Stored);
    }

    pub(crate) fn append_generation(&mut self, n: i64, wm_seq: i64) {
        append_generation(self.writer.as_mut().unwrap(), &generation(n, wm_seq));
    }

    /// Opens the spool as the next process finds it.
    pub(crate) fn reopen(&mut self) -> &OpenedSpool {
        drop(self.opened.take());
        let opened = open_spool(self.dir.path(), FencingToken(TOKEN.0 + 1)).unwrap();
        self.segments = Arc::clone(&opened.own.segments);
        self.opened.insert(opened)
    }

    /// Ends the writer: everything is durable.
    pub(crate) fn finish(&mut self) {
        drop(self.writer.take());
        self.thread.take().unwrap().join().unwrap();
    }

    pub(crate) fn loader(&self, own: Option<RunId>, rows_max: usize) -> Loader {
        let settings = LoaderSettings { rows_max, ..LoaderSettings::default() };
        Loader::new(self.pool.clone(), Arc::clone(&self.segments), own, settings)
    }

    pub(crate) async fn count(&self, table: &str) -> i64 {
        let text = format!("select count(*) from {table} where run_id = 7");
        sqlx::query_scalar(sqlx::AssertSqlSafe(text)).fetch_one(&self.pool).await.unwrap()
    }
}

pub(crate) fn generation(n: i64, wm_seq: i64) -> GenerationRow {
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
pub(crate) async fn load_all(loader: &mut Loader) -> Vec<LoadStep> {
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

/// Longest wait of these tests.
pub(crate) const WAIT: Duration = Duration::from_secs(20);

/// Looks every few milliseconds until it is so.
pub(crate) async fn poll(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + WAIT;
    let mut beat = tokio::time::interval(Duration::from_millis(5));
    while !is_so() {
        assert!(tokio::time::Instant::now() < deadline, "{what}");
        beat.tick().await;
    }
}

/// Loads until a number is in.
pub(crate) async fn load_until(loader: &mut Loader, rig: &Rig, last_seq: i64) {
    let deadline = tokio::time::Instant::now() + WAIT;
    let mut beat = tokio::time::interval(Duration::from_millis(5));
    while load_cursor(&rig.pool, RUN).await.unwrap().unwrap().last_seq < Seq(last_seq) {
        assert!(tokio::time::Instant::now() < deadline, "loaded up to {last_seq}");
        loader.step().await.unwrap();
        beat.tick().await;
    }
}

/// Loads until nothing waits in memory.
pub(crate) async fn load_until_free(loader: &mut Loader, monitor: &SpoolMonitor) {
    let deadline = tokio::time::Instant::now() + WAIT;
    let mut beat = tokio::time::interval(Duration::from_millis(5));
    while monitor.held_bytes() > 0 {
        assert!(tokio::time::Instant::now() < deadline, "memory is free again");
        loader.step().await.unwrap();
        beat.tick().await;
    }
}
