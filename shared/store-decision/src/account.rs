//! The read transaction of an evaluation, account side: positions, orders, money, fees, scores, locks.
//!
//! Purpose: what we hold, owe, pay and did lately, read on the transaction of the cycle. Inputs: its
//! connection. Outputs: rows. Invariants: nothing is written; counters are derived from rows.

use penstock_store::StoreError;
use penstock_types::rows::{
    BalanceRow, EquityRow, ExecLockRow, ExitPlanRow, FeeTierRow, LiveOrderRow, PositionRow,
    ReservationRow, RiskCounters, StrategyScoreRow, SymbolCounters,
};
use penstock_types::vocab::{
    ExitPolicy, Horizon, OrderRole, OrderState, PlanState, PositionOrigin, PositionStatus, Regime,
    RouteType, Side, Strategy,
};
use penstock_types::{FencingToken, OrderId, PositionId, Symbol, UtcMicros};
use sqlx::PgConnection;

use crate::CLUSTER;
use crate::read_error::ReadError;

fn sql(action: &'static str) -> impl Fn(sqlx::Error) -> StoreError {
    move |e| StoreError::sql(action, CLUSTER, e)
}

/// Positions that are not closed, with their exit plans.
///
/// # Errors
/// [`ReadError`].
pub async fn positions(conn: &mut PgConnection) -> Result<Vec<PositionRow>, ReadError> {
    let rows = sqlx::query!(
        r#"select p.position_id, p.symbol, p.status, p.origin, p.strategy, p.route_type, p.horizon,
             p.regime_at_entry, p.opened_at, p.base_qty, p.cost_basis_quote, p.avg_entry_price,
             p.protected_qty, e.policy as "policy?", e.state as "plan_state?",
             e.sl_price as "sl_price?", e.time_stop_at as "time_stop_at?"
         from positions p left join exit_plans e using (position_id)
         where p.status <> 'closed' order by p.position_id"#
    )
    .fetch_all(conn)
    .await
    .map_err(sql("read the positions"))?;
    rows.into_iter()
        .map(|r| {
            let plan = match (r.policy, r.plan_state, r.sl_price, r.time_stop_at) {
                (Some(policy), Some(state), Some(sl_price), Some(at)) => Some(ExitPlanRow {
                    policy: ExitPolicy::parse(&policy)?,
                    state: PlanState::parse(&state)?,
                    sl_price,
                    time_stop_at: at.into(),
                }),
                _ => None,
            };
            Ok(PositionRow {
                position_id: PositionId(r.position_id),
                symbol: Symbol::new(&r.symbol)?,
                status: PositionStatus::parse(&r.status)?,
                origin: PositionOrigin::parse(&r.origin)?,
                strategy: r.strategy.as_deref().map(Strategy::parse).transpose()?,
                route_type: r.route_type.as_deref().map(RouteType::parse).transpose()?,
                horizon: r.horizon.as_deref().map(Horizon::parse).transpose()?,
                regime_at_entry: r.regime_at_entry.as_deref().map(Regime::parse).transpose()?,
                opened_at: r.opened_at.into(),
                base_qty: r.base_qty,
                cost_basis_quote: r.cost_basis_quote,
                avg_entry_price: r.avg_entry_price,
                protected_qty: r.protected_qty,
                plan,
            })
        })
        .collect()
}

/// Orders that are neither terminal nor standby.
///
/// # Errors
/// [`ReadError`].
pub async fn live_orders(conn: &mut PgConnection) -> Result<Vec<LiveOrderRow>, ReadError> {
    let rows = sqlx::query!(
        "select order_id, symbol, side, role, state, state_reason, strategy, limit_price, qty,
             cum_qty, created_at
         from execution_orders where not terminal and state <> 'created' order by order_id"
    )
    .fetch_all(conn)
    .await
    .map_err(sql("read the live orders"))?;
    rows.into_iter()
        .map(|r| {
            Ok(LiveOrderRow {
                order_id: OrderId(r.order_id),
                symbol: Symbol::new(&r.symbol)?,
                side: Side::parse(&r.side)?,
                role: OrderRole::parse(&r.role)?,
                state: OrderState::parse(&r.state)?,
                state_reason: r.state_reason,
                strategy: r.strategy.as_deref().map(Strategy::parse).transpose()?,
                limit_price: r.limit_price,
                qty: r.qty,
                cum_qty: r.cum_qty,
                created_at: r.created_at.into(),
            })
        })
        .collect()
}

/// Open reservations.
///
/// # Errors
/// [`ReadError`].
pub async fn reservations(conn: &mut PgConnection) -> Result<Vec<ReservationRow>, ReadError> {
    let rows = sqlx::query!(
        "select order_id, symbol, strategy, reserved_quote from capital_reservations
         where released_at is null order by order_id"
    )
    .fetch_all(conn)
    .await
    .map_err(sql("read the reservations"))?;
    rows.into_iter()
        .map(|r| {
            Ok(ReservationRow {
                order_id: OrderId(r.order_id),
                symbol: Symbol::new(&r.symbol)?,
                strategy: Strategy::parse(&r.strategy)?,
                reserved_quote: r.reserved_quote,
            })
        })
        .collect()
}

/// Balances.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn balances(conn: &mut PgConnection) -> Result<Vec<BalanceRow>, StoreError> {
    let rows = sqlx::query!("select asset, balance, as_of from exchange_balances order by asset")
        .fetch_all(conn)
        .await
        .map_err(sql("read the balances"))?;
    Ok(rows
        .into_iter()
        .map(|r| BalanceRow { asset: r.asset, balance: r.balance, as_of: r.as_of.into() })
        .collect())
}

/// Newest fee tier.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn fee_tier(conn: &mut PgConnection) -> Result<Option<FeeTierRow>, StoreError> {
    let row = sqlx::query!(
        "select maker_bps, taker_bps, source from fee_tiers order by as_of desc limit 1"
    )
    .fetch_optional(conn)
    .await
    .map_err(sql("read the fee tier"))?;
    Ok(row.map(|r| FeeTierRow { maker_bps: r.maker_bps, taker_bps: r.taker_bps, source: r.source }))
}

/// Results of strategy cells.
///
/// # Errors
/// [`ReadError`].
pub async fn scores(conn: &mut PgConnection) -> Result<Vec<StrategyScoreRow>, ReadError> {
    let rows = sqlx::query!(
        "select strategy, regime, route_type, n, mean_net_bps, mean_expected_bps, ewma_net_bps,
             updated_at
         from strategy_scores order by strategy, regime, route_type"
    )
    .fetch_all(conn)
    .await
    .map_err(sql("read the strategy scores"))?;
    rows.into_iter()
        .map(|r| {
            Ok(StrategyScoreRow {
                strategy: Strategy::parse(&r.strategy)?,
                regime: Regime::parse(&r.regime)?,
                route_type: RouteType::parse(&r.route_type)?,
                n: r.n,
                mean_net_bps: r.mean_net_bps,
                mean_expected_bps: r.mean_expected_bps,
                ewma_net_bps: r.ewma_net_bps,
                updated_at: r.updated_at.into(),
            })
        })
        .collect()
}

/// Locks of symbols.
///
/// # Errors
/// [`ReadError`].
pub async fn locks(conn: &mut PgConnection) -> Result<Vec<ExecLockRow>, ReadError> {
    let rows = sqlx::query!(
        "select symbol, owner, fencing_token, expires_at from symbol_exec_locks order by symbol"
    )
    .fetch_all(conn)
    .await
    .map_err(sql("read the symbol locks"))?;
    rows.into_iter()
        .map(|r| {
            Ok(ExecLockRow {
                symbol: Symbol::new(&r.symbol)?,
                owner: r.owner,
                fencing_token: FencingToken(r.fencing_token),
                expires_at: r.expires_at.into(),
            })
        })
        .collect()
}

/// High-water mark, the day's opening equity and realised results.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn equity(conn: &mut PgConnection) -> Result<EquityRow, StoreError> {
    let row = sqlx::query!(
        r#"select (select hwm_quote from equity_snapshots order by ts desc limit 1) as hwm_quote,
             (select equity_quote from equity_snapshots
              where ts >= date_trunc('day', clock_timestamp(), 'UTC') order by ts limit 1)
                 as day_open_quote,
             (select coalesce(sum(net_quote), 0)::numeric(26,10) from realized_pnl)
                 as "realized_cum!",
             (select coalesce(sum(net_quote), 0)::numeric(26,10) from realized_pnl
              where ts >= date_trunc('day', clock_timestamp(), 'UTC')) as "realized_day!""#
    )
    .fetch_one(conn)
    .await
    .map_err(sql("read the equity"))?;
    Ok(EquityRow {
        hwm_quote: row.hwm_quote,
        day_open_quote: row.day_open_quote,
        realized_cum_quote: row.realized_cum,
        realized_day_quote: row.realized_day,
    })
}

/// Recent past that the risk rules read.
///
/// # Errors
/// [`ReadError`].
pub async fn counters(
    conn: &mut PgConnection,
    window_secs: i64,
) -> Result<RiskCounters, ReadError> {
    let totals = sqlx::query!(
        r#"select (select count(*) from positions where entry_order_id is not null
              and opened_at >= date_trunc('day', clock_timestamp(), 'UTC')) as "opened_today!",
             (select count(*) from execution_orders where role in ('entry', 'proof')
              and created_at > clock_timestamp() - interval '60 s') as "entries_last_60s!""#
    )
    .fetch_one(&mut *conn)
    .await
    .map_err(sql("count entries"))?;
    let rows = sqlx::query!(
        r#"with opened as (
             select symbol, count(*) as n from positions where entry_order_id is not null
                 and opened_at > clock_timestamp() - make_interval(secs => $1::float8)
             group by symbol),
         stopped as (
             select symbol, max(ts) as at from realized_pnl where exit_reason = 'SL_hit'
                 and ts > clock_timestamp() - interval '1 day' group by symbol)
         select coalesce(o.symbol, s.symbol) as "symbol!", coalesce(o.n, 0) as "opened!",
             s.at as "stopped_at?"
         from opened o full join stopped s on s.symbol = o.symbol order by 1"#,
        f64::from(u32::try_from(window_secs).unwrap_or(u32::MAX)),
    )
    .fetch_all(conn)
    .await
    .map_err(sql("count entries per symbol"))?;
    let symbols: Result<Vec<SymbolCounters>, ReadError> = rows
        .into_iter()
        .map(|r| {
            Ok(SymbolCounters {
                symbol: Symbol::new(&r.symbol)?,
                last_stop_exit_at: r.stopped_at.map(UtcMicros::from),
                opened_in_window: r.opened,
            })
        })
        .collect();
    Ok(RiskCounters {
        opened_today: totals.opened_today,
        entries_last_60s: totals.entries_last_60s,
        symbols: symbols?,
    })
}
