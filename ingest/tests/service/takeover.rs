//! A killed ingest and its successor; a publisher that lost its fence.

use crate::support::{PATIENCE, count, reaches, world};
use penstock_sim::server::MarketSource;
use std::ops::{Deref, DerefMut};
use std::process::{Child, Command, Stdio};

/// What the newest process says.
pub(crate) const LOG: &str = "ingest.jsonl";

/// The service as a process of its own, so that it can be killed.
pub(crate) fn child(world: &crate::support::World) -> Process {
    let binary = env!("CARGO_BIN_EXE_run-ingest");
    let log = std::fs::File::create(world.dir.path().join(LOG)).unwrap();
    let started = Command::new(binary)
        .envs(world.environment())
        .current_dir(world.dir.path())
        .stdout(Stdio::from(log))
        .stderr(Stdio::inherit())
        .spawn();
    Process(started.unwrap())
}

/// A process that does not outlive its test, not even as a stopped one.
pub(crate) struct Process(Child);

impl Deref for Process {
    type Target = Child;

    fn deref(&self) -> &Child {
        &self.0
    }
}

impl DerefMut for Process {
    fn deref_mut(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail for one that has ended, which is as well.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_kill_the_successor_takes_the_fence_by_the_lock_and_loads_what_was_left() {
    let world = world(MarketSource::Pulses, 6).await;
    let mut first = child(&world);
    world.decision_reaches("select count(*) from engine_tick_frames", 20).await;
    first.kill().unwrap();
    first.wait().unwrap();

    let service = world.service();
    let after = "select count(*) from engine_tick_frames where fencing_token = 2";
    world.decision_reaches(after, 12).await;
    let crashed = "select count(*) from observation_runs where end_reason = 'crash_detected'";
    reaches(&world.ingest, crashed, 1).await;
    world.decision_reaches(crashed, 1).await;
    service.stopped().await.unwrap();

    let log = std::fs::read_to_string(world.dir.path().join(LOG)).unwrap();
    assert!(log.contains("INGEST_SERVICE_STARTED"), "{log}");
    let chain =
        "select count(*) from (select frame_seq - lag(frame_seq) over (order by tick_id) as n
        from engine_tick_frames) s where n <> 1";
    assert_eq!(count(&world.decision, chain).await, 0, "numbers go on over the takeover");
    let holes = "select count(*) from raw_seq_holes where not explained";
    reaches(&world.ingest, "select count(*) from raw_load_cursor where complete", 2).await;
    assert_eq!(count(&world.ingest, holes).await, 0);
    let lineages = "select count(*) from ingest_lineage where reason = 'process_start'";
    assert_eq!(count(&world.decision, lineages).await, 2);
    let crashed = "select count(*) from ingest_lineage where end_reason = 'crash_detected'";
    assert_eq!(count(&world.decision, crashed).await, 1, "the successor ends the old lineage");
    let gap =
        "select count(*) from ingest_stream_events where stream = 'restart' and kind = 'recovered'";
    assert_eq!(count(&world.ingest, gap).await, 1, "the hole of the restart is a gap with its end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publisher_that_lost_its_fence_ends_with_75() {
    let world = world(MarketSource::Pulses, 6).await;
    let service = world.service();
    world.decision_reaches("select count(*) from engine_tick_frames", 4).await;
    let owner = world
        .bases
        .pool(penstock_store::ClusterRole::Decision, penstock_store::testing::SUPERUSER_LOGIN);
    sqlx::query(
        "update service_fences set fencing_token = fencing_token + 1 where service = 'ingest'",
    )
    .execute(&owner.await)
    .await
    .unwrap();
    let ended = tokio::time::timeout(PATIENCE, service.task).await.unwrap().unwrap();
    assert_eq!(ended.unwrap_err().code(), 75);
    let before =
        count(&world.decision, "select coalesce(max(generation_id), 0) from state_publication")
            .await;
    assert!(before < 2_000_000_000, "nothing was published under the newer token");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clean_restart_leaves_its_hole_as_a_gap_and_starts_warm() {
    let world = world(MarketSource::Pulses, 6).await;
    let first = world.service();
    world.decision_reaches("select count(*) from engine_tick_frames", 12).await;
    first.stopped().await.unwrap();
    let second = world.service();
    let after = "select count(*) from engine_tick_frames where fencing_token = 2";
    world.decision_reaches(after, 12).await;
    let carried = "select count(*) from run_symbol_state where trades_5m > trade_count";
    world.decision_reaches(carried, 1).await;
    second.stopped().await.unwrap();

    reaches(&world.ingest, "select count(*) from raw_load_cursor where complete", 2).await;
    let runs = penstock_store_ingest::evidence::runs(&world.ingest).await.unwrap();
    assert_eq!(runs.len(), 2);
    let whole = runs.iter().all(|r| r.joined && r.unexplained_holes == 0 && r.rows > 0);
    assert!(whole, "{runs:?}");
    for run in runs {
        let run_id = penstock_types::RunId(run.run_id);
        let report = penstock_ingest::verify::verify_generations(&world.ingest, run_id).await;
        let report = report.unwrap();
        assert!(report.is_equal() && report.equal > 2, "run {run_id}: {report:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_sealed_while_the_decision_cluster_refused_them_are_delivered_by_the_successor() {
    let world = world(MarketSource::Pulses, 6).await;
    let mut first = child(&world);
    world.decision_reaches("select count(*) from engine_tick_frames", 8).await;
    let owner = world
        .bases
        .pool(penstock_store::ClusterRole::Decision, penstock_store::testing::SUPERUSER_LOGIN)
        .await;
    // The cluster takes everything but frames, as if their table could not be written.
    let refuse = "revoke insert on penstock.engine_tick_frames from publisher_rw";
    sqlx::query(refuse).execute(&owner).await.unwrap();
    let stood = count(&world.decision, "select max(tick_id) from engine_tick_frames").await;
    let later = "select max(generation_id) - 1000000000 from state_publication";
    let now = count(&world.decision, later).await;
    world.decision_reaches(later, now + 4).await;
    first.kill().unwrap();
    first.wait().unwrap();
    let allow = "grant insert on penstock.engine_tick_frames to publisher_rw";
    sqlx::query(allow).execute(&owner).await.unwrap();

    let service = world.service();
    let after = "select count(*) from engine_tick_frames where fencing_token = 2";
    world.decision_reaches(after, 8).await;
    service.stopped().await.unwrap();
    let inherited: i64 = sqlx::query_scalar(
        "select count(*) from engine_tick_frames where fencing_token = 1 and tick_id > $1",
    )
    .bind(stood)
    .fetch_one(&world.decision)
    .await
    .unwrap();
    assert!(inherited >= 8, "{inherited} frames of the killed process came after it");
    let chain =
        "select count(*) from (select frame_seq - lag(frame_seq) over (order by tick_id) as n
        from engine_tick_frames) s where n <> 1";
    assert_eq!(count(&world.decision, chain).await, 0);
    let inner = "select count(*) from (select tick_id - lag(tick_id) over (order by tick_id) as n
        from engine_tick_frames where fencing_token = 1) s where n <> 1";
    assert_eq!(count(&world.decision, inner).await, 0, "no tick of the killed process is missing");
}

/// Killed between the commit on the decision cluster and the mark on the ingest cluster: the generation is
/// live, and the next start marks it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_generation_published_before_a_kill_is_marked_by_the_next_start() {
    let world = world(MarketSource::Pulses, 6).await;
    let mut first = child(&world);
    world.decision_reaches("select count(*) from engine_tick_frames", 8).await;
    // Rows are inserted, marks are refused: each generation stays where the kill is to leave the last.
    let owner = crate::support::owner_of(&world).await;
    let refuse = "revoke update on penstock.state_generations from ingest_rw";
    sqlx::query(refuse).execute(&owner).await.unwrap();
    let published = "select generation_id from state_publication";
    let from = count(&world.decision, published).await;
    world.decision_reaches(published, from + 3).await;
    first.kill().unwrap();
    first.wait().unwrap();
    let allow = "grant update on penstock.state_generations to ingest_rw";
    sqlx::query(allow).execute(&owner).await.unwrap();
    let last = count(&world.decision, published).await;
    let mark = "select count(*) from state_generations
        where sync_status = 'published' and published_at is not null and generation_id = ";
    let marked = format!("{mark}{last}");
    let before: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(marked.clone()))
        .fetch_one(&world.ingest)
        .await
        .unwrap();
    assert_eq!(before, 0, "the mark is missing");

    let service = world.service();
    crate::support::reaches_text(&world.ingest, &marked, 1).await;
    service.stopped().await.unwrap();
}
