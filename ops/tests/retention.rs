//! `penstock retention` on two real clusters: what has had its time goes, what is held stays.
#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

use penstock_config::{Config, Process, Sources, resolve};
use penstock_ops::retention::{Args, Done, Urls, clean, tell};
use penstock_store::ClusterRole;
use penstock_store::partitions::{DailyTable, create_daily_partition};
use penstock_store::samples::{sample_lineage, sample_run};
use penstock_store::testing::{SUPERUSER_LOGIN, TestPair};
use penstock_store_ingest::runs::open_run;
use penstock_types::{FencingToken, RunId};
use sqlx::PgPool;
use std::collections::BTreeMap;

struct Rig {
    pair: TestPair,
    ingest: PgPool,
    decision: PgPool,
    config: Config,
}

impl Rig {
    async fn new() -> Self {
        let pair = TestPair::new().await.unwrap();
        let ingest = pair.pool(ClusterRole::Ingest, SUPERUSER_LOGIN).await.unwrap();
        let decision = pair.pool(ClusterRole::Decision, SUPERUSER_LOGIN).await.unwrap();
        let config = resolve(&Sources {
            process: Process::Tool,
            file: None,
            environment: BTreeMap::new(),
            secret_files: BTreeMap::new(),
        })
        .unwrap();
        Self { pair, ingest, decision, config }
    }

    fn urls(&self) -> Urls {
        Urls {
            ingest: self.pair.url(ClusterRole::Ingest, "ops_rw"),
            decision: self.pair.url(ClusterRole::Decision, "ops_rw"),
        }
    }

    /// A run with a few rows that ended so many hours ago.
    async fn run(&self, run_id: i64, ended_hours: Option<i32>) {
        let pool = self.pair.pool(ClusterRole::Ingest, "ingest_rw").await.unwrap();
        let run = sample_run(RunId(run_id), FencingToken(3));
        open_run(&pool, &run, &sample_lineage(&run)).await.unwrap();
        sqlx::query(
            "insert into trade_samples (run_id, seq, venue, symbol, trade_id, side, kind, ord_type,
                 price, qty, ts_exchange, ts_local, conn_id)
             select $1, n, 0, 'BTC/USD', n, 'b', 'f', 'm', 100, 1, now(), now(), 1
             from generate_series(1, 50) n",
        )
        .bind(run_id)
        .execute(&self.ingest)
        .await
        .unwrap();
        sqlx::query(
            "insert into aggregator_checkpoints values ($1, 0, now(), 1, '', decode(repeat('00', 32), 'hex'))",
        )
        .bind(run_id)
        .execute(&self.ingest)
        .await
        .unwrap();
        let Some(hours) = ended_hours else { return };
        sqlx::query(
            "update observation_runs set ended_at = clock_timestamp() - make_interval(hours => $2),
                 end_reason = 'rollover' where run_id = $1",
        )
        .bind(run_id)
        .bind(hours)
        .execute(&self.ingest)
        .await
        .unwrap();
        sqlx::query("update raw_load_cursor set complete = true, last_seq = 50 where run_id = $1")
            .bind(run_id)
            .execute(&self.ingest)
            .await
            .unwrap();
    }

    async fn clean(&self, dry_run: bool, without_backup: bool) -> anyhow::Result<u64> {
        let mut done = Done::default();
        self.clean_into(&mut done, dry_run, without_backup).await?;
        assert_eq!(done.dropped > 0, done.bytes > 0, "the bytes of both clusters: {done:?}");
        Ok(done.dropped)
    }

    async fn clean_into(
        &self,
        done: &mut Done,
        dry_run: bool,
        without_backup: bool,
    ) -> anyhow::Result<()> {
        let args = Args { dry_run, without_backup };
        clean(&self.urls(), &self.config, &args, done).await
    }
}

async fn count(pool: &PgPool, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(pool).await.unwrap()
}

const STANDING: &str = "select count(*) from pg_inherits i
    where i.inhparent = 'penstock.trade_samples'::regclass";

#[tokio::test]
async fn an_old_run_goes_a_young_one_is_closed_and_an_open_one_is_untouched() {
    let rig = Rig::new().await;
    rig.run(1, Some(400)).await;
    rig.run(2, Some(30)).await;
    rig.run(3, None).await;

    // Seven partitions of run 1, and the order-by-order one of run 2, which is older than a day.
    assert_eq!(rig.clean(true, false).await.unwrap(), 8);
    assert_eq!(count(&rig.ingest, STANDING).await, 3, "a dry run changes nothing");
    assert_eq!(rig.clean(false, false).await.unwrap(), 8);

    assert_eq!(count(&rig.ingest, STANDING).await, 2);
    let gone = "select count(*) from partition_registry where dropped_at is not null";
    assert_eq!(count(&rig.ingest, gone).await, 8);
    let left = "select count(*) from pg_class where relname like '%\\_r1'";
    assert_eq!(count(&rig.ingest, left).await, 0, "no detached table is left");
    let closed = "select count(*) from partition_registry
        where run_id = 2 and closed_at is not null and table_name <> 'l3_queue_metrics'";
    assert_eq!(count(&rig.ingest, closed).await, 6);
    let figures = "select rows_at_close from partition_registry
        where run_id = 2 and table_name = 'trade_samples'";
    assert_eq!(count(&rig.ingest, figures).await, 50);
    let indexes = "select count(*) from pg_indexes where tablename = 'trade_samples_r2'
        and (indexname like '%symbol_at' or indexdef like '%brin%')";
    assert_eq!(count(&rig.ingest, indexes).await, 2);
    let open = "select count(*) from partition_registry
        where run_id = 3 and (closed_at is not null or dropped_at is not null)";
    assert_eq!(count(&rig.ingest, open).await, 0);
    let checkpoints = "select coalesce(sum(run_id), 0)::bigint from aggregator_checkpoints";
    assert_eq!(count(&rig.ingest, checkpoints).await, 5, "those of runs 2 and 3 stand");
    let cursors = "select count(*) from raw_load_cursor where run_id = 1";
    assert_eq!(count(&rig.ingest, cursors).await, 0, "ended more than two weeks ago");
    assert_eq!(rig.clean(false, false).await.unwrap(), 0, "a second time nothing is due");
}

#[tokio::test]
async fn days_of_frames_go_and_days_of_decisions_only_when_asked_to() {
    let rig = Rig::new().await;
    let today: chrono::NaiveDate =
        sqlx::query_scalar("select (clock_timestamp() at time zone 'UTC')::date")
            .fetch_one(&rig.decision)
            .await
            .unwrap();
    let mut conn = rig.decision.acquire().await.unwrap();
    for ago in [0, 2, 3] {
        let day = today - chrono::Days::new(ago);
        create_daily_partition(&mut conn, DailyTable::EngineTickFrames, day).await.unwrap();
    }
    let day = today - chrono::Days::new(8);
    create_daily_partition(&mut conn, DailyTable::CycleInputs, day).await.unwrap();
    drop(conn);

    assert_eq!(rig.clean(false, false).await.unwrap(), 1, "the frames of three days ago");
    let inputs = "select count(*) from pg_class where relname like 'cycle\\_inputs\\_d%'
        and relkind = 'r'";
    assert_eq!(count(&rig.decision, inputs).await, 1, "there is no backup of it");
    assert_eq!(rig.clean(false, true).await.unwrap(), 1);
    assert_eq!(count(&rig.decision, inputs).await, 0);
    let frames = "select count(*) from pg_class where relname like 'engine\\_tick\\_frames\\_d%'
        and relkind = 'r'";
    assert_eq!(count(&rig.decision, frames).await, 2);
}

#[tokio::test]
async fn samples_of_health_go_after_thirty_days_when_asked_to() {
    let rig = Rig::new().await;
    sqlx::query(
        "insert into health_samples (session_id, ts, disk_free_bytes, db_bytes, wal_bytes,
             jsonl_bytes, queue_len, queue_pct_x10000, lag_ms, rss_bytes, cpu_pct_x10000,
             events_per_min, drops_per_min, rest_counter, engine_counter_max)
         select gen_random_uuid(), date_trunc('day', clock_timestamp(), 'UTC') - days * interval '1 day',
             1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0 from unnest(array[0, 29, 30, 400]) days",
    )
    .execute(&rig.decision)
    .await
    .unwrap();
    let samples = "select count(*) from health_samples";
    rig.clean(false, false).await.unwrap();
    assert_eq!(count(&rig.decision, samples).await, 4, "there is no backup of them");
    rig.clean(true, true).await.unwrap();
    assert_eq!(count(&rig.decision, samples).await, 4, "a rehearsal changes nothing");
    rig.clean(false, true).await.unwrap();
    assert_eq!(count(&rig.decision, samples).await, 2, "today and the twenty-nine days before it");
}

#[tokio::test]
async fn what_went_before_a_failure_is_known_and_a_note_that_fails_is_none() {
    // given a day of frames and a day of decisions that must go, and the latter cannot
    let rig = Rig::new().await;
    let mut conn = rig.decision.acquire().await.unwrap();
    let day = |ago| chrono::Utc::now().date_naive() - chrono::Days::new(ago);
    create_daily_partition(&mut conn, DailyTable::EngineTickFrames, day(5)).await.unwrap();
    create_daily_partition(&mut conn, DailyTable::CycleInputs, day(40)).await.unwrap();
    drop(conn);
    let name = DailyTable::CycleInputs.partition(day(40));
    let held = format!("create view holds as select 1 as one from penstock.{name}");
    sqlx::query(sqlx::AssertSqlSafe(held)).execute(&rig.decision).await.unwrap();

    // when it fails there, then what went before is in hand
    let mut done = Done::default();
    assert!(rig.clean_into(&mut done, false, true).await.is_err());
    assert!(done.dropped == 1 && done.bytes > 0, "{done:?}");

    // and a note that cannot be written fails nothing, and one that can is there
    let note = done.note(std::time::Duration::from_millis(12), false);
    tell("postgres://nobody@127.0.0.1:1/none", note.clone()).await;
    tell(&rig.urls().decision, note).await;
    let said: (String, String) = sqlx::query_as(
        "select args ->> 'outcome', args ->> 'target' from control_requests where kind = 'probe'",
    )
    .fetch_one(&rig.decision)
    .await
    .unwrap();
    assert_eq!(said.0, "1 partitions dropped, 0 days removed, then it failed");
    assert_eq!(said.1, "clusters, trail and engine");
    assert_eq!(Done::default().note(std::time::Duration::ZERO, true), None, "nothing went");
}

#[tokio::test]
async fn nothing_goes_in_a_pause() {
    let rig = Rig::new().await;
    rig.run(1, Some(400)).await;
    let mut conn = rig.decision.acquire().await.unwrap();
    // Only the mode counts here: the session that it belongs to is left out.
    sqlx::raw_sql(
        "set session_replication_role = replica;
         insert into sys_mode_log (session_id, ts, mode_from, mode_to, reasons)
         values (gen_random_uuid(), now(), 'NORMAL', 'PAUSE', '{WS_STALE}')",
    )
    .execute(&mut *conn)
    .await
    .unwrap();
    let error = rig.clean(false, false).await.unwrap_err().to_string();
    assert!(error.contains("PAUSE"), "{error}");
    assert_eq!(count(&rig.ingest, STANDING).await, 1);
}
