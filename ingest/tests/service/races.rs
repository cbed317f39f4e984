//! Races between a process and its successors, each by the number that its model has.
//!
//! F1: frames of a predecessor after a takeover by the lease. F10: a successor whose clock is behind. F11: a
//! spool directory of its own token beside a stopped process.

use crate::support::{PATIENCE, World, count, reaches, world};
use crate::takeover::{LOG, child};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use penstock_sim::server::MarketSource;
use penstock_store::ClusterRole;
use penstock_store::spool::scan::scan_segment;
use penstock_store::testing::SUPERUSER_LOGIN;
use penstock_store_decision::frames::{
    FramePrerequisites, FramePublisher, FrameRow, NewestFrame, newest_frame,
};
use penstock_types::frame::{
    FrameFlags, FrameHeader, Link, QuoteBlock, deliver, encode_frame, encode_quotes, verify_link,
};
use penstock_types::{TickId, UtcMicros};
use std::path::PathBuf;
use std::process::Child;
use std::time::Instant;

const FRAMES: &str = "select count(*) from engine_tick_frames";
/// Longest lease that a test waits for.
const LEASE_MS: &str = "5000";

fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), signal).unwrap();
}

/// Waits for the end of a process and returns its status.
async fn status_of(child: &mut Child) -> Option<i32> {
    let deadline = Instant::now() + PATIENCE;
    let mut beat = tokio::time::interval(std::time::Duration::from_millis(50));
    loop {
        beat.tick().await;
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        assert!(Instant::now() < deadline, "the process has not ended");
    }
}

/// The links of all frames in tick order; the chain is whole.
async fn chain(world: &World) -> Vec<Link> {
    let frames: Vec<Vec<u8>> =
        sqlx::query_scalar("select frame from engine_tick_frames order by tick_id")
            .fetch_all(&world.decision)
            .await
            .unwrap();
    let mut links: Vec<Link> = Vec::new();
    for frame in frames {
        links.push(verify_link(&frame, links.last()).unwrap());
    }
    links
}

/// Holds the lease alone: the process that is stopped has the lock.
const WITHOUT_LOCK: &str = "select count(*) from service_fences
    where service = 'ingest' and fencing_token = 2 and holder_lock is null";

/// A stopped process keeps frames that it could not deliver; a successor by the lease has sealed past them
/// when it ends. Whoever finds them afterwards gives them up: no frame stands behind one of a later fence.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f1_frames_of_a_predecessor_after_a_lease_takeover() {
    // given: frames that only the first process has
    let mut world = world(MarketSource::Pulses, 6).await;
    world.extra.insert("FENCE_TTL_MS".to_owned(), LEASE_MS.to_owned());
    let mut first = child(&world);
    world.decision_reaches(FRAMES, 8).await;
    let owner = world.bases.pool(ClusterRole::Decision, SUPERUSER_LOGIN).await;
    let refuse = "revoke insert on penstock.engine_tick_frames from publisher_rw";
    sqlx::query(refuse).execute(&owner).await.unwrap();
    let stood = count(&world.decision, "select max(tick_id) from engine_tick_frames").await;
    let published = "select max(generation_id) - 1000000000 from state_publication";
    let now = count(&world.decision, published).await;
    world.decision_reaches(published, now + 4).await;
    signal(&first, Signal::SIGSTOP);
    let allow = "grant insert on penstock.engine_tick_frames to publisher_rw";
    sqlx::query(allow).execute(&owner).await.unwrap();

    // when: the lease ends, the stopped one wakes behind its successor, a third inherits
    let second = world.service();
    let of_second = "select count(*) from engine_tick_frames where fencing_token = 2";
    world.decision_reaches(of_second, 8).await;
    assert_eq!(count(&world.decision, WITHOUT_LOCK).await, 1, "taken by the lease alone");
    signal(&first, Signal::SIGCONT);
    assert_eq!(status_of(&mut first).await, Some(75));
    second.stopped().await.unwrap();
    let kept = spooled(&world, "frames", 1).unwrap();
    assert!(kept > stood.unsigned_abs(), "it kept frames that stand nowhere");
    let mut third = child(&world);
    let of_third = "select count(*) from engine_tick_frames where fencing_token = 3";
    world.decision_reaches(of_third, 8).await;
    signal(&third, Signal::SIGTERM);
    assert_eq!(status_of(&mut third).await, Some(0));

    // then
    assert!(segments(&world, "frames", 1, ".spl").is_empty(), "given up, not kept for ever");
    let links = chain(&world).await;
    let of_first = links.iter().filter(|l| l.fencing_token.0 == 1);
    assert_eq!(of_first.map(|l| l.tick_id.0).max(), Some(stood), "none of them stands");
    let told = discarded(&world).expect("who finds them says so");
    let (first_told, last_told) = (told["first_tick_id"].as_i64(), told["last_tick_id"].as_i64());
    assert_eq!((first_told, last_told), (Some(stood + 1), i64::try_from(kept).ok()), "{told}");
    assert!(links.windows(2).all(|w| w[0].fencing_token <= w[1].fencing_token));
}

/// What the newest process says of frames that it gave up.
fn discarded(world: &World) -> Option<serde_json::Value> {
    let log = std::fs::read_to_string(world.dir.path().join(LOG)).unwrap();
    let lines = log.lines().filter_map(|line| serde_json::from_str(line).ok());
    lines.into_iter().find(|line: &serde_json::Value| line["marker"] == "FRAMES_DISCARDED")
}

/// Highest number in the segments of a run in the root of a spool.
fn spooled(world: &World, spool: &str, run_id: i64) -> Option<u64> {
    let segments = segments(world, spool, run_id, ".spl");
    let ends = segments.iter().filter_map(|path| {
        let bytes = std::fs::read(path).unwrap();
        scan_segment(&bytes, |_| {}).ok()?.last_seq
    });
    ends.max()
}

/// Files of a run in the root of a spool.
fn segments(world: &World, spool: &str, run_id: i64, ending: &str) -> Vec<PathBuf> {
    let root = world.settings().spool_dir.join(spool);
    let begin = format!("r{run_id:020}-");
    let entries = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap());
    entries
        .filter(|entry| {
            let name = entry.file_name().into_string().unwrap();
            name.starts_with(&begin) && name.ends_with(ending)
        })
        .map(|entry| entry.path())
        .collect()
}

/// A stopped process holds the spool. Its successor on this host works in a directory of its own token, does
/// not close the run whose records it cannot see, and loads them when the other has ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f11_own_token_spool_directory() {
    // given: a process that is stopped with records in its spool that no cluster has
    let mut world = world(MarketSource::Pulses, 6).await;
    world.extra.insert("FENCE_TTL_MS".to_owned(), LEASE_MS.to_owned());
    let mut first = child(&world);
    world.decision_reaches(FRAMES, 8).await;
    let owner = world.bases.pool(ClusterRole::Ingest, SUPERUSER_LOGIN).await;
    let refuse = "revoke insert on penstock.trade_samples from ingest_rw";
    sqlx::query(refuse).execute(&owner).await.unwrap();
    let frames = count(&world.decision, FRAMES).await;
    world.decision_reaches(FRAMES, frames + 8).await;
    signal(&first, Signal::SIGSTOP);
    let loaded = "select last_seq from raw_load_cursor where run_id = 1";
    let (left, had) = (spooled(&world, "raw", 1).unwrap(), count(&world.ingest, loaded).await);
    assert!(left > had.unsigned_abs(), "{left} spooled, {had} loaded");
    let allow = "grant insert on penstock.trade_samples to ingest_rw";
    sqlx::query(allow).execute(&owner).await.unwrap();

    // when: a successor takes over by the lease
    let second = world.service();
    let loads = "select count(*) from trade_samples where run_id = 2";
    reaches(&world.ingest, loads, 10).await;
    assert_eq!(count(&world.decision, WITHOUT_LOCK).await, 1, "taken by the lease alone");
    let own = world.settings().spool_dir.join("raw/2/LOCK");
    assert!(own.exists(), "it works in a directory of its own token");
    let closed = "select count(*) from raw_load_cursor where run_id = 1 and complete";
    assert_eq!(count(&world.ingest, closed).await, 0, "nobody knows its end yet");

    // and the first one wakes
    signal(&first, Signal::SIGCONT);
    assert_eq!(status_of(&mut first).await, Some(75));
    reaches(&world.ingest, closed, 1).await;
    let crashed = "select count(*) from observation_runs
        where run_id = 1 and end_reason = 'crash_detected'";
    reaches(&world.ingest, crashed, 1).await;
    second.stopped().await.unwrap();

    // then: everything is there, once
    assert!(count(&world.ingest, loaded).await.unsigned_abs() >= left);
    let holes = "select count(*) from raw_seq_holes";
    assert_eq!(count(&world.ingest, holes).await, 0, "nothing is missing, not even with a reason");
    assert!(segments(&world, "raw", 1, ".late").is_empty(), "nothing was set aside");
    assert!(segments(&world, "raw", 1, ".spl").is_empty(), "nothing is left");
    chain(&world).await;
}

/// A frame without events behind the newest, at a tick that the clock has not reached.
async fn frame_ahead(world: &World, ahead: i64) -> TickId {
    let publisher = world.bases.pool(ClusterRole::Decision, "publisher_rw").await;
    let mut conn = publisher.acquire().await.unwrap();
    let newest: NewestFrame = newest_frame(&mut conn).await.unwrap().unwrap();
    drop(conn);
    let tick_id = TickId(UtcMicros::from(chrono::Utc::now()).tick().0 + ahead);
    let header = FrameHeader {
        flags: FrameFlags::EMPTY,
        tick_id,
        frame_seq: 0,
        run_id: newest.run_id,
        fencing_token: newest.fencing_token,
        n_events: 0,
        gap_ticks: 0,
        previous: [0; 32],
        sealed_at: tick_id.end(),
    };
    let mut frame = encode_frame(&header, &[]).unwrap();
    let last = Link {
        tick_id: newest.tick_id,
        frame_seq: newest.frame_seq,
        fencing_token: newest.fencing_token,
        sha256: newest.frame_sha256,
    };
    let link = deliver(&mut frame, Some(&last)).unwrap();
    let block = QuoteBlock { tick_id, full: false, entries: Vec::new() };
    let row = FrameRow {
        tick_id,
        frame_seq: link.frame_seq,
        run_id: newest.run_id,
        fencing_token: newest.fencing_token,
        epoch_id: None,
        flags: i32::from(FrameFlags::EMPTY.with(FrameFlags::GAP_BEFORE).0),
        n_events: 0,
        frame,
        frame_sha256: link.sha256,
        quotes: encode_quotes(&block).unwrap(),
        seal_lag_ms: 0,
    };
    let mut frames = FramePublisher::new(publisher, "kraken_spot".to_owned());
    let before = FramePrerequisites::default();
    frames.publish(newest.fencing_token, before, &[row]).await.unwrap();
    tick_id
}

/// A predecessor whose clock was ahead has published ticks that this host has not reached. The successor
/// records from the start and seals only above them; one that is a minute behind does not start.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f10_successor_with_its_clock_behind() {
    // given: the newest frame lies thirty seconds ahead
    let world = world(MarketSource::Pulses, 6).await;
    let first = world.service();
    world.decision_reaches(FRAMES, 8).await;
    first.stopped().await.unwrap();
    let ahead = frame_ahead(&world, 120).await;

    // when
    let second = world.service();
    let of_second = "select count(*) from engine_tick_frames where fencing_token = 2";
    world.decision_reaches(of_second, 8).await;
    second.stopped().await.unwrap();

    // then: its first tick follows, what came earlier is recorded and in no frame
    let links = chain(&world).await;
    let own: Vec<i64> =
        links.iter().filter(|l| l.fencing_token.0 == 2).map(|l| l.tick_id.0).collect();
    assert_eq!(own.first(), Some(&(ahead.0 + 1)));
    assert!(own.windows(2).all(|w| w[1] == w[0] + 1), "{own:?}");
    // It ran through most of the thirty seconds: its rows carry those times, not that of its first frame.
    let early: i64 = sqlx::query_scalar(
        "select count(distinct date_trunc('second', ts_local)) from ticker_samples
         where run_id = 2 and ts_local < $1",
    )
    .bind(chrono::DateTime::from_timestamp_micros(ahead.end().0))
    .fetch_one(&world.ingest)
    .await
    .unwrap();
    assert!(early > 5, "recorded although not sealed: {early} s");

    // and given: more than a minute ahead; when: a third starts
    frame_ahead(&world, 400).await;
    let before = chain(&world).await;
    let third = tokio::time::timeout(PATIENCE, world.service().task).await.unwrap().unwrap();

    // then: it refuses, and nothing is under its fence
    let refused = third.unwrap_err();
    assert_eq!(refused.code(), 75);
    assert!(refused.to_string().contains("TICK_CLOCK_BEHIND"), "{refused}");
    assert_eq!(chain(&world).await, before);
    assert_eq!(count(&world.decision, "select max(run_id) from observation_runs").await, 2);
}
