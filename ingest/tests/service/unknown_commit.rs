//! F9: the answer to the commit of a frame gets lost while further frames are sealed and dropped.
//!
//! The queue and the publisher of the service, a real cluster, and a connection that breaks at the commit:
//! once after the server has carried it out, once before it has seen it.

use crate::proxy::{BreakingCluster, Loss};
use crate::support::PATIENCE;
use penstock_market::SealedTick;
use penstock_market::delivery::{FrameQueue, Waiting};
use penstock_store::fence::{Fence, FenceRequest, FencedService};
use penstock_store::pools::{PoolSettings, open};
use penstock_store::samples::{sample_lineage, sample_run};
use penstock_store::testing::TestPair;
use penstock_store::{ClusterRole, StoreError};
use penstock_store_decision::frames::{
    FRAMES_PER_TX_MAX, FramePrerequisites, FramePublisher, FrameRow, newest_frame_settled,
};
use penstock_store_decision::publication::PublishError;
use penstock_types::frame::{
    FrameFlags, FrameHeader, Link, QuoteBlock, decode_header, encode_frame, encode_quotes,
    verify_link,
};
use penstock_types::{FencingToken, RunId, TickId, Uuid};
use sqlx::PgPool;
use std::time::Duration;

const DOMAIN: &str = "test";
/// Frames that may wait.
const WAITING_MAX: usize = 4;

/// A tick without events.
fn sealed(tick: i64, token: FencingToken) -> SealedTick {
    let tick_id = TickId(tick);
    let header = FrameHeader {
        flags: FrameFlags::EMPTY,
        tick_id,
        frame_seq: 0,
        run_id: RunId(1),
        fencing_token: token,
        n_events: 0,
        gap_ticks: 0,
        previous: [0; 32],
        sealed_at: tick_id.end(),
    };
    let block = QuoteBlock { tick_id, full: false, entries: Vec::new() };
    SealedTick {
        tick_id,
        run_id: RunId(1),
        fencing_token: token,
        epoch_id: None,
        n_quotes: 0,
        frame: encode_frame(&header, &[]).unwrap(),
        quotes: encode_quotes(&block).unwrap(),
    }
}

/// The rows of the queue's next batch.
fn next_rows(queue: &mut FrameQueue<()>) -> Vec<FrameRow> {
    let batch = queue.send(FRAMES_PER_TX_MAX).unwrap();
    let waiting: Vec<&Waiting<()>> = queue.iter().collect();
    batch
        .into_iter()
        .zip(waiting)
        .map(|(linked, waiting)| FrameRow {
            tick_id: waiting.sealed.tick_id,
            frame_seq: linked.link.frame_seq,
            run_id: waiting.sealed.run_id,
            fencing_token: waiting.sealed.fencing_token,
            epoch_id: None,
            flags: i32::from(linked.flags.0),
            n_events: 0,
            frame: linked.frame,
            frame_sha256: linked.link.sha256,
            quotes: waiting.sealed.quotes.clone(),
            seal_lag_ms: 0,
        })
        .collect()
}

/// Takes the fence of the domain.
async fn fence(pool: &PgPool, state_dir: &std::path::Path) -> Fence {
    let request = FenceRequest {
        service: FencedService::Ingest,
        domain: DOMAIN.to_owned(),
        holder_id: Uuid::from_u128(1),
        host: "host".to_owned(),
        pid: 1,
        ttl_ms: 15_000,
        state_dir: state_dir.to_owned(),
        timeout: Duration::from_secs(20),
    };
    Fence::acquire(pool, request, |_| {}).await.unwrap()
}

/// Frames that stand, as tick and missing ticks before it; their chain is whole.
async fn standing(pool: &PgPool) -> Vec<(i64, u32)> {
    let frames: Vec<Vec<u8>> =
        sqlx::query_scalar("select frame from engine_tick_frames order by tick_id")
            .fetch_all(pool)
            .await
            .unwrap();
    let mut last = None;
    let mut found = Vec::new();
    for frame in frames {
        last = Some(verify_link(&frame, last.as_ref()).unwrap());
        let header = decode_header(&frame).unwrap();
        found.push((header.tick_id.0, header.gap_ticks));
    }
    found
}

async fn frames_stand_once_and_in_order_after(loss: Loss) {
    // given: a frame that stands
    let pair = TestPair::new().await.unwrap();
    let url = pair.url(ClusterRole::Decision, "publisher_rw");
    let network = BreakingCluster::before(&url, ClusterRole::Decision);
    let settings = PoolSettings::service("penstock-test", 4);
    let pool = open(network.url(), ClusterRole::Decision, &settings, PATIENCE).await.unwrap();
    let state_dir = tempfile::tempdir().unwrap();
    let fence = fence(&pool, state_dir.path()).await;
    let token = fence.token();
    let run = sample_run(RunId(1), token);
    let lineage = sample_lineage(&run);
    let before = FramePrerequisites { run: Some((&run, &lineage)), run_symbols: &[] };
    let mut publisher = FramePublisher::new(pool.clone(), DOMAIN.to_owned());
    let mut queue = FrameQueue::new(None);
    assert_eq!(queue.push(sealed(10, token), (), WAITING_MAX), None);
    publisher.publish(token, before, &next_rows(&mut queue)).await.unwrap();
    assert_eq!(queue.committed().len(), 1);

    // when: the outcome of the next two is unknown, and six more are sealed meanwhile
    for tick in [11, 12] {
        assert_eq!(queue.push(sealed(tick, token), (), WAITING_MAX), None);
    }
    let rows = next_rows(&mut queue);
    network.lose_next(loss);
    let lost = publisher.publish(token, before, &rows).await;
    assert!(matches!(lost, Err(PublishError::Store(StoreError::CommitUnknown { .. }))), "{lost:?}");
    assert!(network.has_lost());
    let dropped: Vec<i64> = (13..=18)
        .filter_map(|tick| queue.push(sealed(tick, token), (), WAITING_MAX))
        .map(|tick| tick.0)
        .collect();
    assert_eq!(dropped, [13, 14, 15, 16], "none that may stand");
    let newest = newest_frame_settled(&pool, DOMAIN, token).await.unwrap().unwrap();
    let given_up = queue.settled(Some(Link {
        tick_id: newest.tick_id,
        frame_seq: newest.frame_seq,
        fencing_token: newest.fencing_token,
        sha256: newest.frame_sha256,
    }));
    assert_eq!(given_up, [], "what was not sent follows");
    let rows = next_rows(&mut queue);
    publisher.publish(token, before, &rows).await.unwrap();

    // then
    let (stood, again) = match loss {
        Loss::Answer => (12, 2),
        Loss::Commit => (10, 4),
    };
    assert_eq!((newest.tick_id.0, rows.len()), (stood, again));
    assert_eq!(standing(&pool).await, [(10, 0), (11, 0), (12, 0), (17, 4), (18, 0)]);
}

#[tokio::test]
async fn f9_unknown_commit_plus_dropped_frames() {
    frames_stand_once_and_in_order_after(Loss::Answer).await;
    frames_stand_once_and_in_order_after(Loss::Commit).await;
}
