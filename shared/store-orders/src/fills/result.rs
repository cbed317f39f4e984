//! What a sale brought: the row of the realised result, and the score of its strategy cell.
//!
//! Input: the sold position and the ledger's result. Output: rows, and the suspension that the result began. The cell's
//! arithmetic is that of [`penstock_trading::cell`].

use penstock_trading::cell::{CellResult, Source};
use penstock_trading::exit::trigger;
use penstock_trading::ledger::Realized;
use penstock_types::vocab::{ExitReason, OrderRole};
use penstock_types::{Decimal, OrderId};
use sqlx::{Postgres, Transaction};

use super::book::FillReport;
use super::position::Change;
use crate::cells::{self, CellKey, CellSuspended};
use crate::orders::terms::OrderRecord;
use crate::writer::{WriteError, timestamp};

pub(super) async fn record(
    tx: &mut Transaction<'static, Postgres>,
    order: &OrderRecord,
    change: &Change,
    realized: &Realized,
    fill_id: i64,
    report: &FillReport,
) -> Result<Option<CellSuspended>, WriteError> {
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
) -> Result<Option<CellSuspended>, WriteError> {
    let position = &change.position;
    let (Some(strategy), Some(regime), Some(route_type)) =
        (position.strategy, position.regime_at_entry, position.route_type)
    else {
        return Ok(None);
    };
    let result = CellResult {
        net_bps: realized.net_bps,
        expected_bps: expected_of(tx, position.entry_order_id).await?,
        source: Source::Realised,
        at: report.ts_local,
    };
    cells::fold_into(tx, CellKey { strategy, regime, route_type }, &[result]).await
}
