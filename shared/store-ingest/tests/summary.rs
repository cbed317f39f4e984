//! The summary of pairs: shares of minutes with samples, of a pair with order-by-order rows and of one
//! without.

use penstock_store::ClusterRole;
use penstock_store::testing::{SUPERUSER_LOGIN, TestPair};
use penstock_store_ingest::pair_summary::write_pair_summary;
use penstock_types::{Decimal, RunId};

/// A run of ten minutes: tickers of two pairs, L3 samples of one in the first, the second and the last.
const ROWS: &str = "set session_replication_role = replica;
    insert into observation_runs (run_id, domain, mode, lineage_id, fencing_token, host, pid,
        git_commit, git_dirty, build_profile, config_hash, bindings_hash, bindings, schema_version,
        started_at, ended_at, end_reason) values
        (1, 'd', 'ingest', '019c6652-5e0c-7005-8000-0000002a944f', 1, 'h', 1, 'c', false, 'test', 'x',
         decode(repeat('00', 32), 'hex'), '{}', 1, '2026-07-07 23:00Z', '2026-07-07 23:10Z',
         'shutdown');
    create table ticker_samples_r1 partition of ticker_samples for values from (1) to (2);
    create table trade_samples_r1 partition of trade_samples for values from (1) to (2);
    create table l2_snap_metrics_r1 partition of l2_snap_metrics for values from (1) to (2);
    create table l3_queue_metrics_r1 partition of l3_queue_metrics for values from (1) to (2);
    create table candles_1m_r1 partition of candles_1m for values from (1) to (2);
    insert into ticker_samples (run_id, seq, venue, symbol, ts_local, kind, conn_id) values
        (1, 1, 0, 'A/USD', '2026-07-07 23:00Z', 0, 1), (1, 2, 0, 'B/USD', '2026-07-07 23:00Z', 0, 1);
    insert into l3_queue_metrics (run_id, seq, symbol, ts_local, bid, ask, orders_at_bid,
        orders_at_ask, queue_bid_quote, queue_ask_quote, adds, cancels, fills, modifies, checksum_ok,
        conn_id)
        select 1, n, 'A/USD', at::timestamptz, 1, 2, 1, 1, 1, 1, 0, 0, 0, 0, true, 2 from (values
            (3, '2026-07-07 23:00:10Z'), (4, '2026-07-07 23:00:15Z'), (5, '2026-07-07 23:01:15Z'),
            (6, '2026-07-07 23:09:59Z')) as rows (n, at);";

#[tokio::test]
async fn the_share_of_level_3_is_that_of_minutes_with_samples_and_unknown_without_any() {
    let pair = TestPair::new().await.unwrap();
    let owner = pair.pool(ClusterRole::Ingest, SUPERUSER_LOGIN).await.unwrap();
    sqlx::raw_sql(ROWS).execute(&owner).await.unwrap();
    for _ in 0..2 {
        assert_eq!(write_pair_summary(&owner, RunId(1)).await.unwrap(), 2, "written anew");
    }
    let rows: Vec<(String, Option<Decimal>, Option<Decimal>)> = sqlx::query_as(
        "select symbol, l2_uptime, l3_uptime from pair_summary_24h where run_id = 1 order by 1",
    )
    .fetch_all(&owner)
    .await
    .unwrap();
    let none = Some(Decimal::ZERO);
    let of = |text: &str| Some(text.parse::<Decimal>().unwrap());
    let share = |d: Option<Decimal>| d.map(|d| d.normalize());
    let got: Vec<_> = rows.into_iter().map(|(s, l2, l3)| (s, share(l2), share(l3))).collect();
    let want = [("A/USD".to_owned(), none, of("0.3")), ("B/USD".to_owned(), none, None)];
    assert_eq!(got, want);
}
