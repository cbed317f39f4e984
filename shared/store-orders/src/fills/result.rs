//! What a sale brought: the row of the realised result, and the score of its strategy cell.
//!
//! Input: the sold position and the ledger's result. Output: rows. The cell's mean and spread are kept
//! by Welford's method, its recent mean with a weight of a tenth for the newest result.

use penstock_trading::exit::trigger;
use penstock_trading::ledger::Realized;
use penstock_types::decimal::{round_to, scale};
use penstock_types::vocab::{ExitReason, OrderRole};
use penstock_types::{Decimal, OrderId};
use sqlx::{Postgres, Transaction};

use super::book::FillReport;
use super::position::Change;
use crate::orders::terms::OrderRecord;
use crate::writer::{WriteError, timestamp};

/// Weight of the newest result in a cell's recent mean.
const EWMA_WEIGHT: Decimal = Decimal::from_parts(1, 0, 0, false, 1);

pub(super) async fn record(
    tx: &mut Transaction<'static, Postgres>,
    order: &OrderRecord,
    change: &Change,
    realized: &Realized,
    fill_id: i64,
    report: &FillReport,
) -> Result<(), WriteError> {
    let position = &change.position;
    let entry = position.head.avg_entry.unwrap_or(realized.entry_price);
    let excursion = |price: Option<Decimal>| price.map(|p| trigger::excursion_bps(p, entry));
    let hold_secs = report.ts_local.millis_since(position.opened_at) / 1_000;
    sqlx::query!(
        "insert into realized_pnl (position_id, entry_order_id, exit_order_id, fill_id, symbol,
            strategy, regime, closed_qty, entry_price, exit_price, gross_quote, fees_quote,
            net_quote, net_bps, hold_secs, exit_reason, mfe_bps, mae_bps, ts)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
            $19)",
        position.position_id.0,
        position.entry_order_id.map(|id| id.0),
        order.order_id.0,
        fill_id,
        order.symbol.as_str(),
        position.strategy.map(|s| s.as_str()),
        position.regime_at_entry.map(|r| r.as_str()),
        realized.closed_qty,
        realized.entry_price,
        realized.exit_price,
        realized.gross_quote,
        realized.fees_quote,
        realized.net_quote,
        realized.net_bps,
        i32::try_from(hold_secs.max(0)).unwrap_or(i32::MAX),
        reason_of(order, change).map(ExitReason::as_str),
        excursion(position.peak_price),
        excursion(position.trough_price),
        timestamp(report.ts_exchange)
    )
    .execute(&mut **tx)
    .await
    .map_err(WriteError::sql("record a realised result"))?;
    score(tx, change, realized, report).await
}

/// Why the position was sold: a stop that take-profit raised counts as take-profit.
pub(super) fn reason_of(order: &OrderRecord, change: &Change) -> Option<ExitReason> {
    match order.role {
        OrderRole::Protection => {
            let raised = change.plan.as_ref().and_then(|p| p.trigger_reason);
            Some(if raised == Some(ExitReason::TpHit) {
                ExitReason::TpHit
            } else {
                ExitReason::SlHit
            })
        }
        OrderRole::Exit
        | OrderRole::ExitTp
        | OrderRole::Entry
        | OrderRole::DustTopup
        | OrderRole::Proof => order.exit_reason,
    }
}

async fn expected_of(
    tx: &mut Transaction<'static, Postgres>,
    entry: Option<OrderId>,
) -> Result<Decimal, WriteError> {
    let Some(entry) = entry else { return Ok(Decimal::ZERO) };
    let found = sqlx::query_scalar!(
        "select expected_edge_bps from execution_orders where order_id = $1",
        entry.0
    )
    .fetch_optional(&mut **tx)
    .await
    .map_err(WriteError::sql("read the expected edge"))?;
    Ok(found.flatten().unwrap_or_default())
}

async fn score(
    tx: &mut Transaction<'static, Postgres>,
    change: &Change,
    realized: &Realized,
    report: &FillReport,
) -> Result<(), WriteError> {
    let position = &change.position;
    let (Some(strategy), Some(regime), Some(route)) =
        (position.strategy, position.regime_at_entry, position.route_type)
    else {
        return Ok(());
    };
    let expected = expected_of(tx, position.entry_order_id).await?;
    let sql = WriteError::sql("score a strategy cell");
    let old = sqlx::query!(
        "select n, mean_net_bps, m2, ewma_net_bps, mean_expected_bps, hit_rate
         from strategy_scores where strategy = $1 and regime = $2 and route_type = $3 for update",
        strategy.as_str(),
        regime.as_str(),
        route.as_str()
    )
    .fetch_optional(&mut **tx)
    .await
    .map_err(sql)?;
    let x = realized.net_bps;
    let hit = if x > Decimal::ZERO { Decimal::ONE } else { Decimal::ZERO };
    let (n0, mean0, m2, ewma0, expected0, hits0) = match &old {
        Some(r) => (r.n, r.mean_net_bps, r.m2, r.ewma_net_bps, r.mean_expected_bps, r.hit_rate),
        None => (Decimal::ZERO, Decimal::ZERO, Decimal::ZERO, x, expected, Decimal::ZERO),
    };
    let n = n0 + Decimal::ONE;
    let toward = |old: Decimal, new: Decimal| old + (new - old) / n;
    let mean = round_to(toward(mean0, x), scale::BPS);
    let m2 = round_to(m2 + (x - mean0) * (x - mean), 6).min(Decimal::from(999_999_999_999_999_i64));
    sqlx::query!(
        "insert into strategy_scores (strategy, regime, route_type, n, mean_net_bps, m2,
            ewma_net_bps, mean_expected_bps, hit_rate, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
         on conflict (strategy, regime, route_type) do update set
            n = excluded.n, mean_net_bps = excluded.mean_net_bps, m2 = excluded.m2,
            ewma_net_bps = excluded.ewma_net_bps, mean_expected_bps = excluded.mean_expected_bps,
            hit_rate = excluded.hit_rate, updated_at = excluded.updated_at",
        strategy.as_str(),
        regime.as_str(),
        route.as_str(),
        n,
        mean,
        m2,
        round_to(ewma0 + (x - ewma0) * EWMA_WEIGHT, scale::BPS),
        round_to(toward(expected0, expected), scale::BPS),
        round_to(toward(hits0, hit), scale::RATIO),
        timestamp(report.ts_local)
    )
    .execute(&mut **tx)
    .await
    .map_err(sql)?;
    Ok(())
}
