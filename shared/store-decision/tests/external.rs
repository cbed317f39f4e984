//! Money from outside as the account's statement reads it: what counts, at what, and what is late.
#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

use penstock_store::ClusterRole;
use penstock_store::testing::{SUPERUSER_LOGIN, TestPair};
use penstock_store_decision::account::account;
use penstock_types::rows::{CounterSpans, EquityRow, ExternalFlow, MarkSnapshot};
use penstock_types::{Decimal, UtcMicros};
use sqlx::PgPool;

fn number(text: &str) -> Decimal {
    Decimal::from_str_exact(text).unwrap()
}

fn at(text: &str) -> UtcMicros {
    UtcMicros::parse(text).unwrap()
}

async fn read(pool: &PgPool) -> EquityRow {
    let mut conn = pool.acquire().await.unwrap();
    let spans = CounterSpans {
        trades_secs: 1,
        stop_exit_secs: 1,
        closes_secs: 1,
        closes_max: 1,
        orders_secs: 1,
    };
    account(&mut conn, &spans, "USD").await.unwrap().equity
}

/// Snapshots at 10:00 (before this column), 10:01 and 10:03; the cash is of 10:05.
const SNAPSHOTS: &str = "
    insert into exchange_balances (asset, balance, as_of, source, updated_at) values
        ('USD', 1000, '2026-07-07 10:05:00Z', 's', now());
    insert into equity_snapshots (ts, session_id, equity_quote, cash_quote, positions_quote,
        reserved_quote, realized_cum_quote, hwm_quote, drawdown_bps, external_cum_quote,
        external_seen_id, cash_as_of) values
        ('2026-07-07 10:00:00Z', '019c6652-5e0c-7005-8000-0000002a944f', 9, 1, 1, 1, 1, 900, 1, null, null, null),
        ('2026-07-07 10:01:00Z', '019c6652-5e0c-7005-8000-0000002a944f', 990, 1, 1, 1, 1, 995, 1, 50, 2, '2026-07-07 10:00:58Z'),
        ('2026-07-07 10:03:00Z', '019c6652-5e0c-7005-8000-0000002a944f', 1090, 1, 1, 1, 1, 1090, 1, 50, 2, '2026-07-07 10:02:58Z');";

#[tokio::test]
async fn what_came_from_outside_is_summed_and_what_the_cash_does_not_have_yet_is_not() {
    let pair = TestPair::new().await.unwrap();
    let admin = pair.pool(ClusterRole::Decision, SUPERUSER_LOGIN).await.unwrap();
    sqlx::raw_sql(SNAPSHOTS).execute(&admin).await.unwrap();
    let changes = "insert into balance_changes (asset, ts, amount, cause) values
        ('USD', '2026-07-07 09:00:00Z', 1000, 'opening'),
        ('USD', '2026-07-07 09:30:00Z', 50, 'deposit'),
        ('USD', '2026-07-07 10:04:00Z', -70.5, 'withdrawal'),
        ('USD', '2026-07-07 10:04:30Z', 3, 'bust'),
        ('EUR', '2026-07-07 10:04:00Z', 400, 'deposit'),
        ('USD', '2026-07-07 10:05:01Z', 9, 'other')";
    sqlx::raw_sql(changes).execute(&admin).await.unwrap();

    let row = read(&pair.pool(ClusterRole::Decision, "exec_rw").await.unwrap()).await;

    assert_eq!(row.hwm_quote, Some(number("1090")));
    let outside = &row.external;
    assert_eq!((outside.cum_quote, outside.seen_id), (number("-20.5"), 6));
    assert_eq!(outside.at_mark_quote, Some(number("50")));
    assert!(outside.late.is_empty() && outside.since.is_empty(), "{outside:?}");
}

#[tokio::test]
async fn what_is_booked_late_brings_the_snapshots_whose_cash_had_it() {
    let pair = TestPair::new().await.unwrap();
    let admin = pair.pool(ClusterRole::Decision, SUPERUSER_LOGIN).await.unwrap();
    sqlx::raw_sql(SNAPSHOTS).execute(&admin).await.unwrap();
    let changes = "insert into balance_changes (asset, ts, amount, cause) values
        ('USD', '2026-07-07 09:00:00Z', 1000, 'opening'),
        ('USD', '2026-07-07 09:30:00Z', 50, 'deposit'),
        ('USD', '2026-07-07 10:02:00Z', 100, 'deposit')";
    sqlx::raw_sql(changes).execute(&admin).await.unwrap();

    let row = read(&admin).await;

    assert_eq!(row.hwm_quote, Some(number("995")), "that of the snapshot before it");
    let outside = row.external;
    assert_eq!((outside.cum_quote, outside.at_mark_quote), (number("150"), Some(number("50"))));
    let late = ExternalFlow { id: 3, at: at("2026-07-07T10:02:00Z"), amount_quote: number("100") };
    assert_eq!(outside.late, [late]);
    let since = MarkSnapshot {
        equity_quote: number("1090"),
        external_cum_quote: number("50"),
        external_seen_id: 2,
        cash_as_of: at("2026-07-07T10:02:58Z"),
    };
    assert_eq!(outside.since, [since]);
}

#[tokio::test]
async fn a_coin_that_was_adopted_came_from_outside_and_one_that_was_withdrawn_went_at_the_mid() {
    let pair = TestPair::new().await.unwrap();
    let admin = pair.pool(ClusterRole::Decision, SUPERUSER_LOGIN).await.unwrap();
    sqlx::raw_sql(SNAPSHOTS).execute(&admin).await.unwrap();
    let rows = "set session_replication_role = replica;
        insert into positions (symbol, status, origin, opened_at, base_qty,
            cost_basis_quote, updated_at) values
            ('A/USD', 'open', 'external', '2026-07-07 10:00:00Z', 2, 40, now()),
            ('B/USD', 'open', 'external', '2026-07-07 10:00:00Z', 1, 5, now());
        insert into balance_changes (asset, ts, amount, cause) values
            ('A', '2026-07-07 10:01:00Z', -1, 'withdrawal');
        insert into fills_ledger (position_id, ledger_seq, symbol, kind, delta_base, base_before,
            base_after, cost_before, cost_after, open_fees_after, realized_quote, fee_quote,
            reason, evidence, created_at) values
            (1, 1, 'A/USD', 'adjust', 3, 0, 3, 0, 60, 0, 0, 0, 'external', '{\"mid_quote\": \"20\"}', '2026-07-07 10:00:00Z'),
            (1, 2, 'A/USD', 'adjust', -1, 3, 2, 60, 40, 0, 0, 0, 'phantom', '{\"mid_quote\": \"22.5\"}', '2026-07-07 10:01:05Z'),
            (2, 1, 'B/USD', 'adjust', 1, 0, 1, 0, 5, 0, 0, 0, 'external', '{}', '2026-07-07 10:00:00Z'),
            (2, 2, 'B/USD', 'adjust', -1, 1, 0, 5, 0, 0, 0, 0, 'phantom', '{\"mid_quote\": \"6\"}', '2026-07-07 10:02:00Z'),
            (2, 3, 'B/USD', 'adjust', 1, 0, 1, 0, 5, 0, 0, 0, 'dust_merge', '{}', '2026-07-07 10:03:00Z');";
    sqlx::raw_sql(rows).execute(&admin).await.unwrap();

    let outside = read(&admin).await.external;

    // 60 and 5 came, 22.5 went; the coin of B that nobody withdrew is lost.
    assert_eq!(outside.cum_quote, number("42.5"));
}

#[tokio::test]
async fn the_cash_has_the_fills_that_its_balance_does_not_have_yet() {
    let pair = TestPair::new().await.unwrap();
    let admin = pair.pool(ClusterRole::Decision, SUPERUSER_LOGIN).await.unwrap();
    sqlx::raw_sql(SNAPSHOTS).execute(&admin).await.unwrap();
    // The balance is of 10:05: it has the first fill, and the second, whose ledger row is as old.
    let fills = "set session_replication_role = replica;
        insert into fills (order_id, exec_id, symbol, side, price, qty, cost_quote, fee_quote,
            fee_asset, fee_asset_qty, ts_exchange, ts_local) values
            (1, 'T1', 'A/USD', 'buy', 1, 700, 700, 1, 'USD', 1, '2026-07-07 10:04:59Z', now()),
            (1, 'T2', 'A/USD', 'buy', 1, 500, 500, 1, 'USD', 1, '2026-07-07 10:05:00.0004Z', now()),
            (1, 'T3', 'A/USD', 'buy', 2, 100, 200, 0.5, 'USD', 0.5, '2026-07-07 10:05:01Z', now()),
            (2, 'T4', 'A/USD', 'sell', 2.5, 10, 25, 0.1, 'A', 0.04, '2026-07-07 10:05:02Z', now()),
            (3, 'T5', 'A/EUR', 'buy', 2, 100, 200, 0.5, 'EUR', 0.5, '2026-07-07 10:05:02Z', now());";
    sqlx::raw_sql(fills).execute(&admin).await.unwrap();
    let spans = CounterSpans {
        trades_secs: 1,
        stop_exit_secs: 1,
        closes_secs: 1,
        closes_max: 1,
        orders_secs: 1,
    };
    let mut conn = admin.acquire().await.unwrap();
    let rows = account(&mut conn, &spans, "USD").await.unwrap();
    // 1000 − 200.5 + 25; the fee of the sale was taken in its coin.
    assert_eq!(rows.balances[0].balance, number("824.5"));
}
