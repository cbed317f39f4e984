//! The read transaction of an evaluation, account side: positions, orders, money, fees, scores, locks.
//!
//! Purpose: what we hold, owe, pay and did lately, read on the transaction of the cycle. Inputs: its
//! connection. Outputs: rows. Invariants: nothing is written; counters are derived from rows; everything
//! comes with one statement, because a dozen small ones cost a dozen round trips; numbers travel as text
//! and times as microseconds, so none passes through a float.

use penstock_store::StoreError;
use penstock_types::rows::{
    BalanceRow, CounterSpans, EquityRow, ExecLockRow, FeeTierRow, LiveOrderRow, PositionRow,
    ReservationRow, RiskCounters, SafetyRow, StrategyScoreRow,
};
use penstock_types::vocab::{OrderRole, OrderState, Side, Strategy};
use penstock_types::{OrderId, Symbol};
use serde::Deserialize;
use sqlx::PgConnection;
use sqlx::types::Json;

use crate::CLUSTER;
use crate::read_error::ReadError;

fn sql(action: &'static str) -> impl Fn(sqlx::Error) -> StoreError {
    move |e| StoreError::sql(action, CLUSTER, e)
}

/// The account as a cycle reads it. The statement names its objects after these fields and those of the
/// rows; a test reads a row of each back with every field.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountRows {
    /// Effective safety of all symbols that have a live cause, by symbol.
    pub safety: Vec<SafetyRow>,
    /// Positions that are not closed, with their exit plans, by number.
    pub positions: Vec<PositionRow>,
    /// Orders that are neither terminal nor standby, by number.
    pub live_orders: Vec<LiveOrderRow>,
    /// Open reservations, by order.
    pub reservations: Vec<ReservationRow>,
    /// Balances, by asset.
    pub balances: Vec<BalanceRow>,
    /// Newest fee tier.
    pub fees: Option<FeeTierRow>,
    /// Results of strategy cells.
    pub scores: Vec<StrategyScoreRow>,
    /// Locks of symbols, by symbol.
    pub locks: Vec<ExecLockRow>,
    /// High-water mark, the day's opening equity and realised results.
    pub equity: EquityRow,
    /// Recent past that the risk rules read.
    pub counters: RiskCounters,
}

/// Reads the account, whose cash is in this asset.
///
/// # Errors
/// [`StoreError::Sql`]; a word outside its vocabulary is one.
pub async fn account(
    conn: &mut PgConnection,
    spans: &CounterSpans,
    quote_asset: &str,
) -> Result<AccountRows, StoreError> {
    let secs = |secs: i64| f64::from(u32::try_from(secs).unwrap_or(u32::MAX));
    let rows = sqlx::query_file_scalar!(
        "queries/account.sql",
        secs(spans.trades_secs),
        secs(spans.stop_exit_secs),
        secs(spans.closes_secs),
        spans.closes_max,
        secs(spans.orders_secs),
        quote_asset,
    )
    .fetch_one(conn)
    .await
    .map_err(sql("read the account"))?;
    Ok(rows.0)
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
