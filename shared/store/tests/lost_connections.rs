//! Connections that died in their pool, on a real cluster: what may take place twice does, nothing else.

#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

use penstock_store::testing::{SUPERUSER_LOGIN, TestPair};
use penstock_store::{ClusterRole, CopyGuard, StoreError, again};
use sqlx::PgPool;
use std::sync::atomic::{AtomicU32, Ordering};

const ROLE: ClusterRole = ClusterRole::Decision;

struct Rig {
    pair: TestPair,
    pool: PgPool,
}

impl Rig {
    /// A pool whose connections have all just served.
    async fn new() -> Self {
        let pair = TestPair::new().await.unwrap();
        let pool = pair.pool(ROLE, "ops_rw").await.unwrap();
        let rig = Self { pair, pool };
        rig.fill().await;
        rig
    }

    async fn fill(&self) {
        let mut held = Vec::new();
        for _ in 0..4 {
            held.push(self.pool.acquire().await.unwrap());
        }
    }

    /// Ends every session of the pool, as a quick restart does.
    async fn end_sessions(&self) {
        let owner = self.pair.pool(ROLE, SUPERUSER_LOGIN).await.unwrap();
        let ended: i64 = sqlx::query_scalar(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity
             where datname = current_database() and usename = 'ops_rw'",
        )
        .fetch_one(&owner)
        .await
        .unwrap();
        assert!(ended >= 4, "{ended} sessions");
        let left = "select count(*) from pg_stat_activity
            where datname = current_database() and usename = 'ops_rw'";
        let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
        while sqlx::query_scalar::<_, i64>(left).fetch_one(&owner).await.unwrap() > 0 {
            assert!(tokio::time::Instant::now() < deadline, "the sessions end");
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn a_transaction_begins_although_every_connection_of_the_pool_is_dead() {
    let rig = Rig::new().await;
    let mut held = rig.pool.acquire().await.unwrap();
    rig.end_sessions().await;
    let dead = sqlx::raw_sql("begin").execute(&mut *held).await;
    assert!(dead.is_err_and(|error| again::is_lost(&error)), "a dead one says so");
    drop(held);

    let mut tx = again::begin(&rig.pool, "begin").await.unwrap();

    let one: i32 = sqlx::query_scalar("select 1").fetch_one(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(one, 1);
}

#[tokio::test]
async fn a_kept_guard_is_replaced_and_says_so() {
    let rig = Rig::new().await;
    let (mut kept, is_new) = CopyGuard::begun(&rig.pool, ROLE, None, "begin").await.unwrap();
    assert!(is_new);
    kept.run("create temp table held ()".to_owned()).await.unwrap();
    kept.commit("make what a session holds").await.unwrap();
    let (mut kept, is_new) = CopyGuard::begun(&rig.pool, ROLE, Some(kept), "begin").await.unwrap();
    assert!(!is_new, "the same connection");
    kept.rollback().await.unwrap();
    rig.end_sessions().await;

    let (mut guard, is_new) = CopyGuard::begun(&rig.pool, ROLE, Some(kept), "begin").await.unwrap();

    assert!(is_new, "what the session held is gone");
    let gone = guard.run("select 1 from held".to_owned()).await;
    assert_eq!(penstock_store::error::sqlstate(&gone.unwrap_err()).as_deref(), Some("42P01"));
}

#[tokio::test]
async fn what_may_take_place_twice_is_tried_twice_and_a_refusal_once() {
    let rig = Rig::new().await;
    rig.end_sessions().await;
    let tries = AtomicU32::new(0);
    let ask = |text: &'static str| {
        tries.fetch_add(1, Ordering::Relaxed);
        sqlx::query_scalar::<_, i32>(text).fetch_one(&rig.pool)
    };

    let answer = again::once_more(&rig.pool, || ask("select 7")).await.unwrap();
    assert_eq!(answer, 7);
    tries.store(0, Ordering::Relaxed);
    let broken = || async {
        tries.fetch_add(1, Ordering::Relaxed);
        Err::<i32, _>(sqlx::Error::WorkerCrashed)
    };
    let lost = again::once_more(&rig.pool, broken).await;
    assert!(matches!(lost, Err(sqlx::Error::WorkerCrashed)), "{lost:?}");
    assert_eq!(tries.swap(0, Ordering::Relaxed), 2, "once more, and no more");
    let refused = again::once_more(&rig.pool, || ask("select 1 / 0")).await;

    assert_eq!(penstock_store::error::sqlstate(&refused.unwrap_err()).as_deref(), Some("22012"));
    assert_eq!(tries.load(Ordering::Relaxed), 1, "the server answered");
}

#[tokio::test]
async fn a_commit_without_an_answer_is_unknown_and_not_repeated() {
    let rig = Rig::new().await;
    let (mut guard, _) = CopyGuard::begun(&rig.pool, ROLE, None, "begin").await.unwrap();
    rig.end_sessions().await;

    let lost = guard.commit("commit").await.unwrap_err();

    // The server's last word may be that it ends the session: then nothing was written.
    let is_told = lost.sqlstate().as_deref() == Some("57P01");
    assert!(is_told || matches!(lost, StoreError::CommitUnknown { .. }), "{lost:?}");
    assert!(!guard.is_clean(), "the connection does not go back");
}
