//! Losses of order-by-order books: those of one symbol alone count, those that came together do not.

use penstock_store::ClusterRole;
use penstock_store::testing::{SUPERUSER_LOGIN, TestPair};
use penstock_store_ingest::level3_losses::single_level3_losses;
use penstock_types::UtcMicros;

/// One symbol loses its book three times, the last time beside another; a third one is resynced by plan.
const ROWS: &str = "set session_replication_role = replica;
    insert into ingest_stream_events (run_id, seq, lineage_id, ts, venue, stream, kind, symbol, detail)
        select 1, n, '019c6652-5e0c-7005-8000-0000002a944f', at::timestamptz, 0, stream, kind, symbol,
            '{}'
        from (values
            (1, '2026-07-07 23:00:00Z', 'level3', 'resync', 'A/USD'),
            (2, '2026-07-07 23:01:00Z', 'level3', 'checksum_fail', 'A/USD'),
            (3, '2026-07-07 23:01:00Z', 'book', 'resync', 'B/USD'),
            (4, '2026-07-07 23:01:00Z', 'level3', 'connect', 'B/USD'),
            (5, '2026-07-07 23:02:00Z', 'level3', 'resync', 'A/USD'),
            (6, '2026-07-07 23:02:10Z', 'level3', 'resync', 'B/USD'),
            (7, '2026-07-07 23:02:21Z', 'level3', 'resync', 'C/USD')
        ) as rows (n, at, stream, kind, symbol);";

#[tokio::test]
async fn a_loss_counts_when_no_other_symbol_lost_its_book_within_ten_seconds() {
    let pair = TestPair::new().await.unwrap();
    let owner = pair.pool(ClusterRole::Ingest, SUPERUSER_LOGIN).await.unwrap();
    sqlx::raw_sql(ROWS).execute(&owner).await.unwrap();
    let reader = pair.pool(ClusterRole::Ingest, "ingest_rw").await.unwrap();
    let at = |text: &str| {
        UtcMicros(text.parse::<chrono::DateTime<chrono::Utc>>().unwrap().timestamp_micros())
    };
    for (since, want) in [
        (
            "2026-07-07T22:59:59Z",
            vec![("A/USD", "23:00:00"), ("A/USD", "23:01:00"), ("C/USD", "23:02:21")],
        ),
        ("2026-07-07T23:00:00Z", vec![("A/USD", "23:01:00"), ("C/USD", "23:02:21")]),
    ] {
        let losses = single_level3_losses(&reader, at(since)).await.unwrap();
        let got: Vec<_> = losses.iter().map(|(symbol, at)| (symbol.as_str(), *at)).collect();
        let want: Vec<_> =
            want.into_iter().map(|(s, t)| (s, at(&format!("2026-07-07T{t}Z")))).collect();
        assert_eq!(got, want, "since {since}");
    }
}
