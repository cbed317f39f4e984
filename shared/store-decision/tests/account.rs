//! The account of a cycle: every section of its one statement with one row, value by value.
#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

use penstock_store::ClusterRole;
use penstock_store::testing::{SUPERUSER_LOGIN, TestPair};
use penstock_store_decision::account::{AccountRows, account};
use penstock_types::rows::{
    BalanceRow, CounterSpans, EquityRow, ExecLockRow, ExitPlanRow, ExternalMoney, FeeTierRow,
    LiveOrderRow, PositionRow, ReservationRow, RiskCounters, SafetyRow, StrategyScoreRow,
    SymbolCounters,
};
use penstock_types::vocab::{
    ExitPolicy, Horizon, OrderRole, OrderState, PlanState, PositionOrigin, PositionStatus, Regime,
    RouteType, SafetyMode, Side, Strategy,
};
use penstock_types::{Decimal, FencingToken, OrderId, PositionId, Symbol, UtcMicros};
use sqlx::PgPool;

/// Foreign keys are no subject here. Times are of today and of now, as the counters want them; labels of
/// rows are a fixed instant with microseconds, which no float of seconds holds.
const ROWS: &str = "set session_replication_role = replica;
    insert into symbol_safety_state (symbol, cause, mode, primary_reason, expires_at, since,
        updated_at, updated_by) values
        ('A/USD', 'operator', 'hard_blocked', 'r', null, now(), now(), 'operator'),
        ('A/USD', 'l2_checksum', 'quiet', 'r', '2126-07-07 23:00:03.977459Z', now(), now(), 'ingest'),
        ('B/USD', 'operator', 'quiet', 'r', '2020-01-01Z', now(), now(), 'operator');
    insert into symbol_safety_state (symbol, cause, mode, primary_reason, expires_at, since,
        updated_at, updated_by, detail) values
        ('A/USD', 'order_reject', 'quiet', 'r', '2126-07-07Z', now(), now(), 'execution',
         '{\"quarantine\": true}'),
        ('Q/USD', 'order_reject', 'quiet', 'r', '2126-07-07Z', now(), now(), 'execution',
         '{\"quarantine\": true}');
    insert into positions (symbol, status, origin, entry_order_id, strategy, route_type, horizon,
        regime_at_entry, opened_at, base_qty, cost_basis_quote, avg_entry_price, updated_at) values
        ('A/USD', 'open', 'strategy', 7, 'Momentum', 'BreakoutContinuation', 'Short', 'TREND',
         clock_timestamp(), 0.123456789012, 79.1, 64123.1, now());
    insert into positions (symbol, status, origin, opened_at, base_qty, cost_basis_quote,
        updated_at) values
        ('B/USD', 'dust', 'external', '2026-07-07 23:00:03.977459Z', 1, 2, now());
    insert into positions (symbol, status, origin, opened_at, closed_at, base_qty,
        cost_basis_quote, updated_at) values
        ('C/USD', 'closed', 'external', '2026-07-07Z', now(), 0, 0, now());
    insert into positions (symbol, status, origin, entry_order_id, opened_at, closed_at, base_qty,
        cost_basis_quote, realized_quote, updated_at) values
        ('C/USD', 'closed', 'strategy', 8, '2026-07-07Z', clock_timestamp() - interval '3 h 1 s', 0, 0,
         -7, now()),
        ('C/USD', 'closed', 'strategy', 8, '2026-07-07Z', clock_timestamp() - interval '30 min', 0, 0,
         -6, now()),
        ('C/USD', 'closed', 'strategy', 8, '2026-07-07Z', clock_timestamp() - interval '20 min', 0, 0,
         -5, now()),
        ('C/USD', 'closed', 'strategy', 8, '2026-07-07Z', clock_timestamp() - interval '10 min', 0, 0,
         1.25, now()),
        ('C/USD', 'closed', 'strategy', 8, '2026-07-07Z', clock_timestamp() - interval '1 min', 0, 0,
         -0.0000000001, now());
    insert into exit_plans (position_id, policy, sl_bps, panic_bps, time_stop_at, regime_exit,
        sl_price, state, state_since, created_at, updated_at) values
        (1, 'TrailingStop', 1, 1, '2026-07-07 23:00:03.977459Z', '{}', 63000.5, 'armed', now(),
         now(), now());
    insert into execution_orders (cl_ord_id, session_id, fencing_token, symbol, side, role, order_type, tif,
        qty, cum_qty, state, state_reason, state_since, created_at, updated_at, limit_price,
        strategy, generation_id, epoch_id, snapshot_id, evaluation_id, regime, quote_tick_id) values
        ('019c6652-5e0c-8005-8000-0000002a944f', '019c6652-5e0c-7005-8000-0000002a944f', 42,
         'A/USD', 'buy', 'entry', 'limit', 'gtc', 2.5, 0.5, 'acked_open', 'why', now(),
         clock_timestamp(), now(), 64000.1, 'Momentum', 1, 1, 1, 1, 'TREND', 1);
    insert into execution_order_events (order_id, event_seq, source, event_type, to_state, ts_local,
        dedupe_key) values
        (1, 1, 'local', 'persist', 'pending_submit', clock_timestamp() - interval '71 s', '\\x01'),
        (1, 2, 'local', 'authorise', 'pending_submit', clock_timestamp() - interval '9 s', '\\x02'),
        (1, 3, 'local', 'acked', 'acked_open', clock_timestamp() - interval '8 s', '\\x03'),
        (1, 4, 'local', 'cancel_sent', 'pending_cancel', clock_timestamp() - interval '7 s', '\\x04'),
        (1, 5, 'local', 'persist', 'pending_submit', clock_timestamp() - interval '6 s', '\\x05');
    insert into capital_reservations (order_id, symbol, strategy, reserved_quote, created_at,
        released_at) values (1, 'A/USD', 'Momentum', 100.25, now(), null),
        (2, 'A/USD', 'Momentum', 1, now(), now());
    insert into exchange_balances (asset, balance, as_of, source, updated_at) values
        ('USD', 9007199254740993.123456789012, '2026-07-07 23:00:03.977459Z', 's', now());
    insert into fee_tiers (as_of, maker_bps, taker_bps, source) values
        ('2026-07-07Z', 16, 26, 'bootstrap'), ('2026-07-08Z', 10, 20, 'live');
    insert into strategy_scores (strategy, regime, route_type, n, mean_net_bps, m2, ewma_net_bps,
        mean_expected_bps, hit_rate, updated_at) values ('Momentum', 'TREND',
        'BreakoutContinuation', 3.25, -1.5, 0, 2.5, 3.5, 0, '2026-07-07 23:00:03.977459Z');
    insert into symbol_exec_locks (symbol, owner, owner_ref, fencing_token, acquired_at, expires_at)
        values ('A/USD', 'entry', 'x', 42, now(), '2026-07-07 23:00:03.977459Z');
    insert into equity_snapshots (ts, session_id, equity_quote, cash_quote, positions_quote,
        reserved_quote, realized_cum_quote, hwm_quote, drawdown_bps, drawdown_day) values
        ('2026-07-07Z', '019c6652-5e0c-7005-8000-0000002a944f', 1, 1, 1, 1, 1, 5, 1, null),
        (clock_timestamp(), '019c6652-5e0c-7005-8000-0000002a944f', 11.5, 1, 1, 1, 1, 12.5, 1, 20638);
    insert into realized_pnl (position_id, fill_id, symbol, closed_qty, entry_price, exit_price,
        gross_quote, fees_quote, net_quote, net_bps, hold_secs, exit_reason, ts) values
        (1, 1, 'D/USD', 1, 1, 1, 5, 1, 4, 1, 1, 'SL_hit', '2026-07-07Z'),
        (1, 2, 'B/USD', 1, 1, 1, -2, 1, -3, 1, 1, 'SL_hit', clock_timestamp());";

fn number(text: &str) -> Decimal {
    Decimal::from_str_exact(text).unwrap()
}

fn symbol(text: &str) -> Symbol {
    Symbol::new(text).unwrap()
}

/// The fixed instant of the rows.
fn label() -> UtcMicros {
    UtcMicros::parse("2026-07-07T23:00:03.977459Z").unwrap()
}

fn check_money(rows: &AccountRows) {
    let reserved = ReservationRow {
        order_id: OrderId(1),
        symbol: symbol("A/USD"),
        strategy: Strategy::Momentum,
        reserved_quote: number("100.25"),
    };
    assert_eq!(rows.reservations, [reserved]);
    let balance = number("9007199254740993.123456789012");
    assert_eq!(rows.balances, [BalanceRow { asset: "USD".to_owned(), balance, as_of: label() }]);
    let fees =
        FeeTierRow { maker_bps: number("10"), taker_bps: number("20"), source: "live".to_owned() };
    assert_eq!(rows.fees, Some(fees));
    let score = StrategyScoreRow {
        strategy: Strategy::Momentum,
        regime: Regime::Trend,
        route_type: RouteType::BreakoutContinuation,
        n: number("3.25"),
        mean_net_bps: number("-1.5"),
        mean_expected_bps: number("3.5"),
        ewma_net_bps: number("2.5"),
        updated_at: label(),
    };
    assert_eq!(rows.scores, [score]);
}

fn check_locks_and_counters(rows: &AccountRows, stopped: UtcMicros) {
    let lock = ExecLockRow {
        symbol: symbol("A/USD"),
        owner: "entry".to_owned(),
        fencing_token: FencingToken(42),
        expires_at: label(),
    };
    assert_eq!(rows.locks, [lock]);
    let equity = EquityRow {
        hwm_quote: Some(number("12.5")),
        day_open_quote: Some(number("11.5")),
        realized_cum_quote: number("1"),
        realized_day_quote: number("-3"),
        external: ExternalMoney::default(),
        drawdown_day: Some(20_638),
    };
    assert_eq!(rows.equity, equity);
    let idle = |text: &str| SymbolCounters::idle(symbol(text));
    assert_eq!(rows.counters.opened_today, 1);
    assert_eq!(rows.counters.entries_last_60s, 1);
    let [of_a, of_b, of_c] = &rows.counters.symbols[..] else { panic!("{:?}", rows.counters) };
    assert_eq!((of_a.opened_in_window, of_a.last_stop_exit_at), (1, None));
    assert_eq!((of_a.orders_sent.len(), of_a.cancels_sent.len()), (2, 1), "a minute back");
    assert!(of_a.orders_sent[0] < of_a.cancels_sent[0], "in their order");
    assert!(of_a.cancels_sent[0] < of_a.orders_sent[1]);
    assert_eq!(*of_b, SymbolCounters { last_stop_exit_at: Some(stopped), ..idle("B/USD") });
    let nets: Vec<Decimal> = of_c.closes.iter().map(|close| close.net_quote).collect();
    assert_eq!(nets, ["-5", "1.25", "-0.0000000001"].map(number), "the newest three, ascending");
    assert!(of_c.closes[0].at < of_c.closes[1].at);
    assert_eq!(*of_c, SymbolCounters { closes: of_c.closes.clone(), ..idle("C/USD") });
}

async fn read(pool: &PgPool) -> AccountRows {
    let mut conn = pool.acquire().await.unwrap();
    let spans = CounterSpans {
        trades_secs: 3_600,
        stop_exit_secs: 86_400,
        closes_secs: 10_800,
        closes_max: 3,
        orders_secs: 70,
    };
    account(&mut conn, &spans, "USD").await.unwrap()
}

#[tokio::test]
async fn an_account_without_a_row_has_empty_sections_and_no_fees() {
    let pair = TestPair::new().await.unwrap();
    let pool = pair.pool(ClusterRole::Decision, "exec_rw").await.unwrap();

    let rows = read(&pool).await;

    assert!(rows.positions.is_empty() && rows.safety.is_empty() && rows.locks.is_empty());
    assert_eq!((rows.fees, rows.counters), (None, RiskCounters::default()));
    assert_eq!(rows.equity.realized_cum_quote, Decimal::ZERO);
    assert_eq!((rows.equity.hwm_quote, rows.equity.day_open_quote), (None, None));
}

#[tokio::test]
async fn every_row_of_the_account_arrives_with_all_its_digits() {
    let pair = TestPair::new().await.unwrap();
    let admin = pair.pool(ClusterRole::Decision, SUPERUSER_LOGIN).await.unwrap();
    let pool = pair.pool(ClusterRole::Decision, "exec_rw").await.unwrap();
    sqlx::raw_sql(ROWS).execute(&admin).await.unwrap();
    let now: chrono::DateTime<chrono::Utc> =
        sqlx::query_scalar("select max(opened_at) from positions").fetch_one(&admin).await.unwrap();
    let stopped: chrono::DateTime<chrono::Utc> =
        sqlx::query_scalar("select max(ts) from realized_pnl").fetch_one(&admin).await.unwrap();

    let rows = read(&pool).await;

    let blocked = SafetyRow {
        symbol: symbol("A/USD"),
        mode: SafetyMode::HardBlocked,
        quiet_until: UtcMicros::parse("2126-07-07T23:00:03.977459Z").ok(),
        hard_block_until: None,
        causes: ["operator", "l2_checksum", "order_reject"].map(str::to_owned).to_vec(),
        is_quarantine: false,
    };
    let rests = SafetyRow {
        symbol: symbol("Q/USD"),
        mode: SafetyMode::Quiet,
        quiet_until: UtcMicros::parse("2126-07-07T00:00:00Z").ok(),
        hard_block_until: None,
        causes: vec!["order_reject".to_owned()],
        is_quarantine: true,
    };
    assert_eq!(rows.safety, [blocked, rests]);
    let [open, dust] = &rows.positions[..] else { panic!("{:?}", rows.positions) };
    let held = PositionRow {
        position_id: PositionId(1),
        symbol: symbol("A/USD"),
        status: PositionStatus::Open,
        origin: PositionOrigin::Strategy,
        strategy: Some(Strategy::Momentum),
        route_type: Some(RouteType::BreakoutContinuation),
        horizon: Some(Horizon::Short),
        regime_at_entry: Some(Regime::Trend),
        opened_at: now.into(),
        base_qty: number("0.123456789012"),
        cost_basis_quote: number("79.1"),
        avg_entry_price: Some(number("64123.1")),
        protected_qty: Decimal::ZERO,
        plan: Some(ExitPlanRow {
            policy: ExitPolicy::TrailingStop,
            state: PlanState::Armed,
            sl_price: number("63000.5"),
            time_stop_at: label(),
        }),
    };
    assert_eq!(*open, held);
    assert_eq!((dust.opened_at, &dust.plan, dust.strategy), (label(), &None, None));
    let created: chrono::DateTime<chrono::Utc> =
        sqlx::query_scalar("select created_at from execution_orders")
            .fetch_one(&admin)
            .await
            .unwrap();
    let order = LiveOrderRow {
        order_id: OrderId(1),
        symbol: symbol("A/USD"),
        side: Side::Buy,
        role: OrderRole::Entry,
        state: OrderState::AckedOpen,
        state_reason: Some("why".to_owned()),
        strategy: Some(Strategy::Momentum),
        limit_price: Some(number("64000.1")),
        qty: number("2.5"),
        cum_qty: number("0.5"),
        created_at: created.into(),
    };
    assert_eq!(rows.live_orders, [order]);
    check_money(&rows);
    check_locks_and_counters(&rows, stopped.into());
}
