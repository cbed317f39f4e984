//! Blocks for level 3 resyncs: written by ingest, seen by decisions, ended by their own time.
#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

use penstock_store::ClusterRole;
use penstock_store::testing::TestPair;
use penstock_store_decision::instruments::{
    SafetyCause, clear_safety_cause, hard_blocked_symbols, set_safety_cause,
};
use penstock_store_decision::level3::{
    CAUSE, StandingBlock, clear_ended_level3_blocks, set_level3_block, standing_level3_blocks,
};
use penstock_types::vocab::SafetyMode;
use penstock_types::{RunId, Symbol, UtcMicros};
use sqlx::PgPool;

async fn now(pool: &PgPool) -> UtcMicros {
    let now = "select (extract(epoch from clock_timestamp()) * 1000000)::bigint";
    UtcMicros(sqlx::query_scalar(now).fetch_one(pool).await.unwrap())
}

#[tokio::test]
async fn a_block_forbids_entries_until_its_time_and_goes_with_it() {
    let pair = TestPair::new().await.unwrap();
    let pool = pair.pool(ClusterRole::Decision, "publisher_rw").await.unwrap();
    let (a, b) = (Symbol::new("AAA/USD").unwrap(), Symbol::new("BBB/USD").unwrap());
    let now = now(&pool).await;
    set_level3_block(&pool, &a, 5, now.plus_millis(1_800_000), RunId(3)).await.unwrap();
    set_level3_block(&pool, &b, 6, now.plus_millis(1_800_000), RunId(3)).await.unwrap();
    assert_eq!(hard_blocked_symbols(&pool).await.unwrap(), ["AAA/USD", "BBB/USD"]);
    let row: (String, i32, String, i64) = sqlx::query_as(
        "select mode, l3_resync_count, updated_by, run_id from symbol_safety_state
         where symbol = 'AAA/USD' and cause = 'l3_resync_limit'",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    assert_eq!(row, ("hard_blocked".to_owned(), 5, "ingest".to_owned(), 3));
    assert_eq!(clear_ended_level3_blocks(&pool).await.unwrap(), 0, "both stand");
    let until = now.plus_millis(1_800_000);
    let standing = [(&a, 5), (&b, 6)].map(|(symbol, resyncs)| StandingBlock {
        symbol: symbol.clone(),
        resyncs,
        until,
    });
    assert_eq!(standing_level3_blocks(&pool).await.unwrap(), standing);

    // One ends by its time, the other is cleared by who set it; another cause stays.
    set_level3_block(&pool, &a, 5, now.plus_millis(-1), RunId(3)).await.unwrap();
    assert_eq!(hard_blocked_symbols(&pool).await.unwrap(), ["BBB/USD"]);
    let standing = standing_level3_blocks(&pool).await.unwrap();
    assert_eq!(standing.iter().map(|b| b.symbol.as_str()).collect::<Vec<_>>(), ["BBB/USD"]);
    let other = SafetyCause {
        symbol: "AAA/USD",
        cause: "book_stale",
        mode: SafetyMode::Quiet,
        primary_reason: "BOOK_STALE",
        expires_at: Some(now.plus_millis(-1)),
        run_id: RunId(3),
        detail: &serde_json::json!({}),
    };
    set_safety_cause(&pool, &other).await.unwrap();
    assert_eq!(clear_ended_level3_blocks(&pool).await.unwrap(), 1);
    assert!(clear_safety_cause(&pool, "BBB/USD", CAUSE).await.unwrap());
    let left = "select string_agg(cause, ',') from symbol_safety_state";
    let left: Option<String> = sqlx::query_scalar(left).fetch_one(&pool).await.unwrap();
    assert_eq!(left.as_deref(), Some("book_stale"));
}
