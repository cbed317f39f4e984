//! Position and ledger of a fill, and what a first fill creates: plan and standby rows.
//!
//! Input: the locked order and the terms of the trade. Output: [`Change`]. A fill belongs to the open
//! position of its symbol; without one a purchase opens one.

use penstock_trading::exit::plan::PlanEvent;
use penstock_trading::exit::policy::{PolicyInput, plan_terms};
use penstock_trading::ledger::{
    Booked, FillTerms, Head, LedgerKind, LedgerRow, Realized, book_adjust, book_fill,
};
use penstock_types::vocab::{ExitPolicy, ExitReason, Horizon, OrderRole, PositionOrigin, Side};
use penstock_types::{Decimal, PositionId, UtcMicros};
use serde_json::{Value, json};
use sqlx::{Postgres, Transaction};

use super::book::{FillContext, FillReport};
use crate::exit_plans::{PlanChange, PlanOutcome, change_in, insert_plan};
use crate::orders::persist::{NextStandby, StandbySpec};
use crate::orders::terms::OrderRecord;
use crate::positions::{PlanRecord, PositionRecord, Which, read_plan, read_positions};
use crate::writer::{ExecStore, WriteError, timestamp};

/// What a fill did to its position.
pub(super) struct Change {
    pub(super) position: PositionRecord,
    pub(super) plan: Option<PlanRecord>,
    pub(super) kind: LedgerKind,
    pub(super) realized: Option<Realized>,
    pub(super) excess: Decimal,
    pub(super) reopened: Option<ExitReason>,
}

pub(super) async fn apply(
    store: &ExecStore,
    tx: &mut Transaction<'static, Postgres>,
    order: &OrderRecord,
    terms: &FillTerms,
    context: &FillContext,
    fill_id: i64,
    report: &FillReport,
) -> Result<Change, WriteError> {
    let held = find(tx, order).await?;
    let head = held.as_ref().map_or_else(Head::default, |p| p.head);
    let booked = book_fill(&head, terms)
        .map_err(|e| WriteError::row("execution_orders", order.order_id.0, e))?;
    let now = report.ts_local;
    let (position_id, opened) = match &held {
        Some(position) => (position.position_id, false),
        None => (insert_position(tx, order, PositionOrigin::Strategy, report).await?, true),
    };
    write_head(tx, position_id, &booked.head, now).await?;
    let row = RowRef { position_id, fill_id: Some(fill_id), reason: None, evidence: None };
    insert_ledger(tx, &row, order, &booked.row, now).await?;
    if booked.excess > Decimal::ZERO {
        book_excess(tx, order, booked.excess, report).await?;
    }
    if opened && terms.side == Side::Buy {
        open(store, tx, order, position_id, &booked, context, now).await?;
    }
    if terms.side == Side::Buy {
        raise_standby_quantity(tx, position_id, booked.head.base).await?;
    }
    if booked.head.base.is_zero() {
        let change = PlanChange { event: Some(PlanEvent::BaseGone), ..PlanChange::default() };
        if read_plan(tx, position_id).await?.is_some() {
            let ended = change_in(tx, position_id, &change, now).await?;
            debug_assert!(matches!(ended, PlanOutcome::Done(_)), "every plan ends without base");
        }
        unlock_exit(tx, order).await?;
    }
    let position = read_positions(tx, Which::LockId(position_id))
        .await?
        .pop()
        .ok_or_else(|| WriteError::row("positions", position_id.0, "no such row"))?;
    let plan = read_plan(tx, position_id).await?;
    let late = opened && terms.side == Side::Buy && order.cum_qty > Decimal::ZERO;
    let reopened = if late { Some(reason_of_close(tx, order).await?) } else { None };
    Ok(Change {
        position,
        plan,
        kind: booked.row.kind,
        realized: booked.realized,
        excess: booked.excess,
        reopened,
    })
}

/// Why the position closed that this entry had opened before: what it opens now ends for the same reason.
async fn reason_of_close(
    tx: &mut Transaction<'static, Postgres>,
    order: &OrderRecord,
) -> Result<ExitReason, WriteError> {
    let found = sqlx::query_scalar!(
        "select r.exit_reason
             from realized_pnl r join positions p on p.position_id = r.position_id
             where p.entry_order_id = $1
             order by r.id desc
             limit 1",
        order.order_id.0
    )
    .fetch_optional(&mut **tx)
    .await
    .map_err(WriteError::sql("read why a position closed"))?;
    // A sale that no decision of ours caused is the stop's.
    found.flatten().map_or(Ok(ExitReason::SlHit), |word| {
        ExitReason::parse(&word)
            .map_err(|e| WriteError::row("realized_pnl of order", order.order_id.0, e))
    })
}

/// The open position of the symbol; for a sale without one, the remainder that its order was for.
async fn find(
    tx: &mut Transaction<'static, Postgres>,
    order: &OrderRecord,
) -> Result<Option<PositionRecord>, WriteError> {
    let open = read_positions(tx, Which::LockOpenOf(&order.symbol)).await?.pop();
    if open.is_some() || order.side == Side::Buy {
        return Ok(open);
    }
    let Some(id) = order.position_id else { return Ok(None) };
    Ok(read_positions(tx, Which::LockId(id)).await?.pop())
}

async fn open(
    store: &ExecStore,
    tx: &mut Transaction<'static, Postgres>,
    order: &OrderRecord,
    position_id: PositionId,
    booked: &Booked,
    context: &FillContext,
    now: UtcMicros,
) -> Result<(), WriteError> {
    let entry_price = booked.head.avg_entry.unwrap_or_default();
    let input = PolicyInput {
        policy: order.exit_policy.unwrap_or(ExitPolicy::Recovered),
        entry_price,
        mid: context.mid,
        expected_move_bps: order.expected_move_bps.unwrap_or_default(),
        atr_bps: context.atr_bps,
        spread_avg_bps: context.spread_avg_bps,
        round_trip_fees_bps: context.round_trip_fees_bps,
        horizon: order.horizon.unwrap_or(Horizon::Short),
        tick: context.tick,
        opened_at: now,
    };
    let regime = json!({ "regime_at_entry": order.regime.map(|r| r.as_str()) });
    let terms = order.exit_limits.within(plan_terms(&input), &input);
    insert_plan(tx, position_id, &terms, &regime, now).await?;
    sqlx::query!(
        "update execution_orders set position_id = $2, updated_at = $3, version = version + 1
         where parent_order_id = $1 and state = 'created' and position_id is null",
        order.order_id.0,
        position_id.0,
        timestamp(now)
    )
    .execute(&mut **tx)
    .await
    .map_err(WriteError::sql("give a standby row its position"))?;
    let spec = StandbySpec { role: OrderRole::Exit, symbol: order.symbol.clone(), position_id };
    let next = NextStandby {
        cl_ord_id: context.exit_standby,
        qty: order.qty.max(booked.head.base),
        trigger_price: None,
    };
    store.prepare_standby(tx, &spec, &next, now).await?;
    Ok(())
}

pub(crate) async fn raise_standby_quantity(
    tx: &mut Transaction<'static, Postgres>,
    position: PositionId,
    base: Decimal,
) -> Result<(), WriteError> {
    sqlx::query!(
        "update execution_orders set qty = $2
         where position_id = $1 and state = 'created' and qty < $2",
        position.0,
        base
    )
    .execute(&mut **tx)
    .await
    .map_err(WriteError::sql("raise the quantity of standby rows"))?;
    Ok(())
}

async fn insert_position(
    tx: &mut Transaction<'static, Postgres>,
    order: &OrderRecord,
    origin: PositionOrigin,
    report: &FillReport,
) -> Result<PositionId, WriteError> {
    let closed = order.side == Side::Sell;
    let id = sqlx::query_scalar!(
        "insert into positions (symbol, status, origin, entry_order_id, strategy, route_type,
            horizon, regime_at_entry, opened_at, closed_at, base_qty, cost_basis_quote, peak_price,
            trough_price, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, 0, $11, $11, $9)
         returning position_id",
        order.symbol.as_str(),
        if closed { "closed" } else { "open" },
        if closed { PositionOrigin::External.as_str() } else { origin.as_str() },
        order.order_id.0,
        order.strategy.map(|s| s.as_str()),
        order.route_type.map(|r| r.as_str()),
        order.horizon.map(|h| h.as_str()),
        order.regime.map(|r| r.as_str()),
        timestamp(report.ts_local),
        closed.then(|| timestamp(report.ts_local)),
        report.price
    )
    .fetch_one(&mut **tx)
    .await
    .map_err(WriteError::sql("open a position"))?;
    Ok(PositionId(id))
}

pub(crate) async fn write_head(
    tx: &mut Transaction<'static, Postgres>,
    position: PositionId,
    head: &Head,
    now: UtcMicros,
) -> Result<(), WriteError> {
    sqlx::query!(
        "update positions
         set base_qty = $2, cost_basis_quote = $3, avg_entry_price = coalesce($4, avg_entry_price),
            open_entry_fees_quote = $5, realized_quote = $6, fees_quote = $7, ledger_seq = $8,
            status = case when $2 = 0::numeric then 'closed' else status end,
            closed_at = case when $2 = 0::numeric then coalesce(closed_at, $9) end,
            protected_qty = least(protected_qty, $2), version = version + 1, updated_at = $9
         where position_id = $1",
        position.0,
        head.base,
        head.cost,
        head.avg_entry,
        head.open_fees,
        head.realized,
        head.fees,
        head.seq,
        timestamp(now)
    )
    .execute(&mut **tx)
    .await
    .map_err(WriteError::sql("write a position"))?;
    Ok(())
}

/// What a ledger row belongs to.
pub(crate) struct RowRef<'a> {
    pub(crate) position_id: PositionId,
    pub(crate) fill_id: Option<i64>,
    pub(crate) reason: Option<&'a str>,
    /// What an adjustment rests on.
    pub(crate) evidence: Option<&'a Value>,
}

pub(crate) async fn insert_ledger(
    tx: &mut Transaction<'static, Postgres>,
    to: &RowRef<'_>,
    order: &OrderRecord,
    row: &LedgerRow,
    now: UtcMicros,
) -> Result<(), WriteError> {
    insert_ledger_of(tx, to, order.symbol.as_str(), row, now).await
}

pub(crate) async fn insert_ledger_of(
    tx: &mut Transaction<'static, Postgres>,
    to: &RowRef<'_>,
    symbol: &str,
    row: &LedgerRow,
    now: UtcMicros,
) -> Result<(), WriteError> {
    sqlx::query!(
        "insert into fills_ledger (fill_id, position_id, ledger_seq, symbol, kind, delta_base,
            base_before, base_after, cost_before, cost_after, avg_entry_before, avg_entry_after,
            open_fees_after, realized_quote, fee_quote, reason, created_at, evidence)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)",
        to.fill_id,
        to.position_id.0,
        row.seq,
        symbol,
        row.kind.as_str(),
        row.delta_base,
        row.base_before,
        row.base_after,
        row.cost_before,
        row.cost_after,
        row.avg_entry_before,
        row.avg_entry_after,
        row.open_fees_after,
        row.realized_quote,
        row.fee_quote,
        to.reason,
        timestamp(now),
        to.evidence
    )
    .execute(&mut **tx)
    .await
    .map_err(WriteError::sql("insert a ledger row"))?;
    Ok(())
}

/// Base that was sold although the ledger did not hold it: found and gone on an external position.
async fn book_excess(
    tx: &mut Transaction<'static, Postgres>,
    order: &OrderRecord,
    excess: Decimal,
    report: &FillReport,
) -> Result<(), WriteError> {
    let bad = |e| WriteError::row("execution_orders", order.order_id.0, e);
    let position_id = insert_position(tx, order, PositionOrigin::External, report).await?;
    let found = book_adjust(&Head::default(), excess, report.price).map_err(bad)?;
    let gone = book_adjust(&found.head, -excess, report.price).map_err(bad)?;
    let row = RowRef { position_id, fill_id: None, reason: Some("oversell"), evidence: None };
    insert_ledger(tx, &row, order, &found.row, report.ts_local).await?;
    insert_ledger(tx, &row, order, &gone.row, report.ts_local).await?;
    write_head(tx, position_id, &gone.head, report.ts_local).await
}

async fn unlock_exit(
    tx: &mut Transaction<'static, Postgres>,
    order: &OrderRecord,
) -> Result<(), WriteError> {
    sqlx::query!(
        "delete from symbol_exec_locks where symbol = $1 and owner = 'exit'",
        order.symbol.as_str()
    )
    .execute(&mut **tx)
    .await
    .map_err(WriteError::sql("unlock a symbol"))?;
    Ok(())
}
