//! The bench of the publication runs on two scratch clusters and publishes what it says. No figure
//! is asserted: a busy machine is not a defect.

use std::time::Duration;

use penstock_store::ClusterRole;
use penstock_store::testing::TestPair;
use penstock_store_ingest::bench_publish::{PublishBench, bench_publish};

#[tokio::test]
async fn bench_publishes_every_round_on_both_clusters() {
    let pair = TestPair::new().await.unwrap();
    let ingest = pair.pool(ClusterRole::Ingest, "ingest_rw").await.unwrap();
    let decision = pair.pool(ClusterRole::Decision, "publisher_rw").await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let rounds = std::env::var("PENSTOCK_BENCH_ROUNDS").ok().and_then(|r| r.parse().ok());
    let options = PublishBench {
        rows: 640,
        rounds: rounds.unwrap_or(5),
        pace: Duration::ZERO,
        state_dir: dir.path().to_owned(),
    };

    let figures = bench_publish(&ingest, &decision, &options).await.unwrap();

    println!("{}", serde_json::to_string(&figures).unwrap());
    assert_eq!((figures.rows, figures.columns), (640, 73));
    for pool in [&ingest, &decision] {
        let rows: i64 = sqlx::query_scalar("select count(*) from run_symbol_state")
            .fetch_one(pool)
            .await
            .unwrap();
        assert_eq!(rows, 640);
    }
    let recorded: i64 = sqlx::query_scalar("select count(*) from state_generations")
        .fetch_one(&ingest)
        .await
        .unwrap();
    assert_eq!(usize::try_from(recorded).unwrap(), options.rounds + 2);
}
