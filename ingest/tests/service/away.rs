//! A cluster that is away: at the start, for a minute under load, killed. Nothing is lost, and what was
//! missed is made up.

use crate::judge::{Findings, Judge};
use crate::support::{World, count, own_world, reaches};
use penstock_ingest::verify::verify_generations;
use penstock_store::ClusterRole;
use penstock_types::RunId;
use std::time::{Duration, Instant};

const HOLES: &str = "select count(*) from raw_seq_holes where not explained";
const FRAMES: &str = "select count(*) from engine_tick_frames";

/// How long a killed cluster stays away.
const OUTAGE: Duration = Duration::from_secs(60);

/// Every print of the venue between the first and the last recorded one is there, none else.
async fn is_whole(world: &World, judge: &Judge) {
    let found = judge.compare(&world.ingest).await;
    let Findings { missing, foreign, compared } = &found;
    println!("{compared} prints compared, {} missing, {} foreign", missing.len(), foreign.len());
    assert!(missing.is_empty() && foreign.is_empty(), "{found:?}");
    assert!(*compared > 20, "{found:?}");
    assert_eq!(count(&world.ingest, HOLES).await, 0);
}

/// Frames of the decision cluster have neither a tick nor a number missing.
async fn frames_are_contiguous(world: &World) {
    let steps =
        "select count(*) from (select tick_id - lag(tick_id) over (order by tick_id) as step,
        frame_seq - lag(frame_seq) over (order by tick_id) as number from engine_tick_frames) s
        where step <> 1 or number <> 1";
    assert_eq!(count(&world.decision, steps).await, 0);
}

/// Every run, lineage and epoch of the decision cluster stands on the ingest cluster.
async fn twins_are_equal(world: &World) {
    for query in [
        "select count(*) from ingest_epochs",
        "select coalesce(sum(epoch_id), 0)::bigint from ingest_epochs",
        "select count(*) from execution_universe_snapshots",
        "select count(*) from ingest_lineage where ended_at is not null",
        "select count(*) from observation_runs where ended_at is not null",
    ] {
        let on_decision = count(&world.decision, query).await;
        assert_eq!(count(&world.ingest, query).await, on_decision, "{query}");
    }
    // The mark of the newest one may be cut off by the stop; the next start makes it.
    let unsynced = "select count(*) from ingest_epochs e where decision_sync <> 'synced'
        and epoch_id < (select max(epoch_id) from ingest_epochs)";
    assert_eq!(count(&world.ingest, unsynced).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_without_the_ingest_cluster_publishes_and_loads_everything_when_it_comes() {
    let mut world = own_world(6).await;
    let judge = Judge::of(&world.venue);
    world.clusters().stop(ClusterRole::Ingest).await;
    let service = world.service();
    world.decision_reaches("select count(*) from ingest_epochs where status = 'valid'", 1).await;
    world.decision_reaches(FRAMES, 40).await;
    let generations = "select max(generation_id) - 1000000000 from state_publication";
    world.decision_reaches(generations, 10).await;

    world.clusters().start(ClusterRole::Ingest).await;
    reaches(&world.ingest, "select count(*) from trade_samples", 20).await;
    let twin = "select count(*) from ingest_epochs where decision_sync = 'synced'";
    reaches(&world.ingest, twin, 1).await;
    reaches(&world.ingest, "select count(*) from run_symbol_state", 6).await;
    service.stopped().await.unwrap();

    let ended = "select count(*) from observation_runs r join raw_load_cursor c using (run_id)
        where r.end_reason = 'shutdown' and c.complete";
    assert_eq!(count(&world.ingest, ended).await, 1);
    is_whole(&world, &judge).await;
    frames_are_contiguous(&world).await;
    twins_are_equal(&world).await;
    let published = count(&world.decision, generations).await;
    let recorded = count(&world.ingest, "select count(*) from state_generations").await;
    assert!(recorded >= published, "{recorded} generations recorded, {published} published");
    let report = verify_generations(&world.ingest, RunId(1)).await.unwrap();
    assert!(report.is_equal() && report.equal >= 10, "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_never_met_the_ingest_cluster_is_loaded_by_the_next_process() {
    let mut world = own_world(6).await;
    let judge = Judge::of(&world.venue);
    world.clusters().stop(ClusterRole::Ingest).await;
    let first = world.service();
    world.decision_reaches(FRAMES, 30).await;
    first.stopped().await.unwrap();

    world.clusters().start(ClusterRole::Ingest).await;
    let second = world.service();
    let loaded = "select count(*) from raw_load_cursor where complete and rows_loaded > 50";
    reaches(&world.ingest, loaded, 1).await;
    second.stopped().await.unwrap();

    reaches(&world.ingest, "select count(*) from raw_load_cursor where complete", 2).await;
    assert_eq!(count(&world.ingest, HOLES).await, 0);
    let late = std::fs::read_dir(world.dir.path().join("spool/raw")).unwrap();
    let late =
        late.filter_map(Result::ok).filter(|f| f.path().to_string_lossy().ends_with(".late"));
    assert_eq!(late.count(), 0, "no segment was set aside");
    let first_run = "select count(*) from trade_samples where run_id = 1";
    assert!(count(&world.ingest, first_run).await > 5);
    assert!(judge.compare(&world.ingest).await.foreign.is_empty());
    let joined = "select count(*) from ingest_stream_events where run_id = 2
        and stream = 'restart' and kind = 'gap'";
    assert_eq!(count(&world.ingest, joined).await, 1, "the hole between the runs is a gap");
}

/// Kills one cluster for [`OUTAGE`] under load, and lets the service settle.
async fn outage_of(role: ClusterRole) -> (World, Judge) {
    let mut world = own_world(6).await;
    let judge = Judge::of(&world.venue);
    let service = world.service();
    world.decision_reaches("select count(*) from ingest_epochs where status = 'valid'", 1).await;
    world.clusters().kill(role).await;
    let until = Instant::now() + OUTAGE;
    let mut beat = tokio::time::interval(Duration::from_millis(100));
    while Instant::now() < until {
        beat.tick().await;
        assert!(!service.task.is_finished(), "the service lives through the outage");
    }
    let trades_before = count_where_up(&world, role).await;
    world.clusters().start(role).await;
    reaches(&world.ingest, "select count(*) from trade_samples", trades_before + 30).await;
    let epochs = count(&world.decision, "select count(*) from ingest_epochs").await;
    reaches(&world.ingest, "select count(*) from ingest_epochs", epochs).await;
    let frames = count(&world.decision, FRAMES).await;
    world.decision_reaches(FRAMES, frames + 20).await;
    service.stopped().await.unwrap();
    reaches(&world.ingest, "select count(*) from raw_load_cursor where complete", 1).await;
    (world, judge)
}

/// Trades that are recorded already, while a cluster is down.
async fn count_where_up(world: &World, down: ClusterRole) -> i64 {
    match down {
        ClusterRole::Decision => count(&world.ingest, "select count(*) from trade_samples").await,
        ClusterRole::Ingest => 0,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_ingest_cluster_that_is_away_for_a_minute_loses_nothing() {
    let (world, judge) = outage_of(ClusterRole::Ingest).await;
    is_whole(&world, &judge).await;
    frames_are_contiguous(&world).await;
    twins_are_equal(&world).await;
    let lapse = "select coalesce(max(extract(epoch from ts - before)), 0)::bigint from (
        select ts_local as ts, lag(ts_local) over (order by seq) as before from l2_snap_metrics) s";
    let lapse_secs = count(&world.ingest, lapse).await;
    assert!(lapse_secs < 5, "{lapse_secs} s without a row");
    let report = verify_generations(&world.ingest, RunId(1)).await.unwrap();
    assert!(report.is_equal() && report.equal > 60, "{report:?}");
    let judged = "select count(*) from ingest_epochs where status = 'valid'";
    assert!(count(&world.decision, judged).await >= 6, "epochs went on, and were valid");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_decision_cluster_that_is_away_for_a_minute_loses_no_row_and_no_frame() {
    let (world, judge) = outage_of(ClusterRole::Decision).await;
    is_whole(&world, &judge).await;
    frames_are_contiguous(&world).await;
    let late = "select max(seal_lag_ms)::bigint from engine_tick_frames";
    assert!(count(&world.decision, late).await > 50_000, "the oldest waited for the whole outage");
    let report = verify_generations(&world.ingest, RunId(1)).await.unwrap();
    assert!(report.is_equal() && report.equal > 60, "{report:?}");
}
