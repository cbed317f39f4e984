//! The transaction of one fill: order, fill row, reservation, event, latency.
//!
//! Input and output as in [`super`]; position and ledger are in `position`, results in `result`.

use penstock_trading::ledger::{FillTerms, LedgerKind, Realized};
use penstock_trading::order::{Facts, OrderEvent, Step, step};
use penstock_types::cl_ord_id::ClOrdId;
use penstock_types::decimal::{round_to, scale};
use penstock_types::vocab::{ExitReason, OrderState, Side};
use penstock_types::{Decimal, OrderId, UtcMicros};
use sqlx::{Postgres, Transaction};

use super::position::{self, Change};
use super::result;
use crate::cells::CellSuspended;
use crate::orders::read;
use crate::orders::terms::OrderRecord;
use crate::orders::transition::{EventNote, EventSource, Terms, store_step};
use crate::positions::{PlanRecord, PositionRecord};
use crate::writer::{ExecStore, WriteError, timestamp};

/// A trade as the venue reports it.
#[derive(Debug, Clone, PartialEq)]
pub struct FillReport {
    /// The venue's id of this trade for us; without one a report is no fill.
    pub exec_id: String,
    /// Public trade id.
    pub trade_id: Option<i64>,
    /// Price.
    pub price: Decimal,
    /// Base quantity.
    pub qty: Decimal,
    /// Fees: asset and amount.
    pub fees: Vec<(String, Decimal)>,
    /// The venue's own conversion of the fees into dollars.
    pub fee_quote_equiv: Option<Decimal>,
    /// Resting (`m`) or taking (`t`).
    pub liquidity: Option<char>,
    /// Quantity of the order at the venue, when it says so.
    pub order_qty: Option<Decimal>,
    /// Executed quantity of the order at the venue, when it says so.
    pub venue_cum_qty: Option<Decimal>,
    /// The venue's order id.
    pub venue_id: Option<String>,
    /// The venue's time.
    pub ts_exchange: UtcMicros,
    /// When we saw it.
    pub ts_local: UtcMicros,
    /// Where it came from.
    pub source: EventSource,
}

/// What the plan of a new position is computed from, beside the order.
#[derive(Debug, Clone, PartialEq)]
pub struct FillContext {
    /// Mid when the fill was seen.
    pub mid: Option<Decimal>,
    /// Average true range.
    pub atr_bps: Option<Decimal>,
    /// Average spread.
    pub spread_avg_bps: Decimal,
    /// Fees of entry and exit together.
    pub round_trip_fees_bps: Decimal,
    /// Price increment.
    pub tick: Decimal,
    /// Id of the exit standby row of a new position.
    pub exit_standby: ClOrdId,
}

/// What a booked fill changed.
#[derive(Debug, Clone, PartialEq)]
pub struct BookedFill {
    /// Row of the fill.
    pub fill_id: i64,
    /// Order before.
    pub before: OrderRecord,
    /// Order after.
    pub order: OrderRecord,
    /// Step of the order machine.
    pub step: Step,
    /// Position after.
    pub position: PositionRecord,
    /// Its plan.
    pub plan: Option<PlanRecord>,
    /// What the ledger row did.
    pub kind: LedgerKind,
    /// Result of a sale.
    pub realized: Option<Realized>,
    /// Fee in quote.
    pub fee_quote: Decimal,
    /// Price against the mid at the decision, positive is worse.
    pub slippage_bps: Option<Decimal>,
    /// The fee came in another asset than the quote.
    pub fee_flagged: bool,
    /// Base sold beyond the position.
    pub excess: Decimal,
    /// More was executed than ordered.
    pub overfill: bool,
    /// A position of this entry had closed before, for this reason: this one is closed at once, for the
    /// same.
    pub reopened: Option<ExitReason>,
    /// The strategy cell that this result has suspended.
    pub suspended: Option<CellSuspended>,
}

/// Outcome of a report.
#[derive(Debug, Clone, PartialEq)]
pub enum FillOutcome {
    /// Booked.
    Booked(Box<BookedFill>),
    /// This trade was booked before.
    Duplicate,
    /// Price or quantity is not above zero: the order must be reconciled.
    Refused,
}

impl ExecStore {
    /// Books a trade.
    ///
    /// # Errors
    /// [`WriteError`]; [`WriteError::Row`] when the order is a standby row that was never sent.
    pub async fn process_fill(
        &self,
        order_id: OrderId,
        report: &FillReport,
        context: &FillContext,
    ) -> Result<FillOutcome, WriteError> {
        const ACTION: &str = "process a fill";
        let mut tx = self.begin(ACTION).await?;
        let before = read::lock(&mut tx, order_id).await?;
        if report.price <= Decimal::ZERO || report.qty <= Decimal::ZERO {
            return Ok(FillOutcome::Refused);
        }
        let fee = fees_of(report, &before);
        let Some(fill_id) = insert_fill(&mut tx, &before, report, &fee, context).await? else {
            return Ok(FillOutcome::Duplicate);
        };
        let terms = FillTerms {
            side: before.side,
            price: report.price,
            qty: report.qty,
            fee_quote: fee.ledger_quote,
            fee_base: fee.base,
        };
        let totals = order_totals(&mut tx, &before, report, fee.quote).await?;
        let change =
            position::apply(self, &mut tx, &before, &terms, context, fill_id, report).await?;
        let step = move_order(&mut tx, &before, &totals, report).await?;
        let suspended = match &change.realized {
            Some(realized) => {
                result::record(&mut tx, &before, &change, realized, fill_id, report).await?
            }
            None => None,
        };
        reduce_reservation(&mut tx, &before, report).await?;
        first_fill_seen(&mut tx, order_id, report).await?;
        let rows = read::by_ids(&mut tx, &[order_id]).await?;
        let order = rows
            .into_iter()
            .next()
            .ok_or_else(|| WriteError::row("execution_orders", order_id.0, "no such row"))?;
        self.commit(ACTION, tx).await?;
        let mut booked = booked(fill_id, before, order, step, change, &fee, report);
        booked.suspended = suspended;
        Ok(FillOutcome::Booked(Box::new(booked)))
    }
}

fn booked(
    fill_id: i64,
    before: OrderRecord,
    order: OrderRecord,
    step: Step,
    change: Change,
    fee: &Fee,
    report: &FillReport,
) -> BookedFill {
    BookedFill {
        fill_id,
        slippage_bps: slippage(&before, report),
        overfill: order.cum_qty > order.qty,
        before,
        order,
        step,
        position: change.position,
        plan: change.plan,
        kind: change.kind,
        realized: change.realized,
        fee_quote: fee.quote,
        fee_flagged: fee.flagged,
        excess: change.excess,
        reopened: change.reopened,
        suspended: None,
    }
}

/// Fees of a report, sorted by asset.
struct Fee {
    /// All of it in quote, for the row.
    quote: Decimal,
    /// What the ledger charges in quote; base fees shrink the base instead.
    ledger_quote: Decimal,
    base: Decimal,
    asset: String,
    asset_qty: Decimal,
    flagged: bool,
}

fn fees_of(report: &FillReport, order: &OrderRecord) -> Fee {
    let (quote_asset, base_asset) = (order.symbol.quote(), order.symbol.base());
    let mut fee = Fee {
        quote: Decimal::ZERO,
        ledger_quote: Decimal::ZERO,
        base: Decimal::ZERO,
        asset: quote_asset.to_owned(),
        asset_qty: Decimal::ZERO,
        flagged: false,
    };
    for (asset, amount) in &report.fees {
        if asset == quote_asset {
            fee.ledger_quote += amount;
            fee.asset_qty += amount;
            continue;
        }
        (fee.flagged, fee.asset, fee.asset_qty) = (true, asset.clone(), *amount);
        if asset == base_asset {
            fee.base += amount;
        } else {
            fee.ledger_quote += report.fee_quote_equiv.unwrap_or_default();
        }
    }
    fee.ledger_quote = round_to(fee.ledger_quote, scale::AMT);
    let in_base = fee.base.checked_mul(report.price).unwrap_or_default();
    fee.quote = round_to(fee.ledger_quote + in_base, scale::AMT);
    fee
}

fn slippage(order: &OrderRecord, report: &FillReport) -> Option<Decimal> {
    let mid = order.decision_mid.filter(|m| *m > Decimal::ZERO)?;
    let worse = match order.side {
        Side::Buy => report.price - mid,
        Side::Sell => mid - report.price,
    };
    let bps = worse.checked_mul(Decimal::from(10_000))?.checked_div(mid)?;
    Some(round_to(bps, scale::BPS).clamp(Decimal::from(-99_999_999), Decimal::from(99_999_999)))
}

async fn insert_fill(
    tx: &mut Transaction<'static, Postgres>,
    order: &OrderRecord,
    report: &FillReport,
    fee: &Fee,
    context: &FillContext,
) -> Result<Option<i64>, WriteError> {
    let cost = report.price.checked_mul(report.qty).map(|c| round_to(c, scale::AMT));
    let cost = cost.ok_or_else(|| {
        WriteError::row("execution_orders", order.order_id.0, "cost of a fill beyond 28 digits")
    })?;
    let liquidity = report.liquidity.and_then(|c| i8::try_from(u32::from(c)).ok());
    sqlx::query_scalar!(
        "insert into fills (order_id, exec_id, trade_id, symbol, side, price, qty, cost_quote,
            fee_quote, fee_asset, fee_asset_qty, liquidity, ts_exchange, ts_local, mid_at_fill,
            slippage_bps)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
         on conflict (order_id, exec_id) do nothing
         returning fill_id",
        order.order_id.0,
        report.exec_id,
        report.trade_id,
        order.symbol.as_str(),
        order.side.as_str(),
        report.price,
        report.qty,
        cost,
        fee.quote,
        fee.asset,
        fee.asset_qty,
        liquidity,
        timestamp(report.ts_exchange),
        timestamp(report.ts_local),
        context.mid,
        slippage(order, report)
    )
    .fetch_optional(&mut **tx)
    .await
    .map_err(WriteError::sql("insert a fill"))
}

/// Sums of the order after the fill.
struct Totals {
    qty: Decimal,
    cum_qty: Decimal,
}

async fn order_totals(
    tx: &mut Transaction<'static, Postgres>,
    order: &OrderRecord,
    report: &FillReport,
    fee_quote: Decimal,
) -> Result<Totals, WriteError> {
    let bad =
        || WriteError::row("execution_orders", order.order_id.0, "sum of fills beyond 28 digits");
    // An amend may have raised the order at the venue before its answer reached us.
    let qty = report.order_qty.map_or(order.qty, |venue| venue.max(order.qty));
    let cum_qty = order.cum_qty.checked_add(report.qty).ok_or_else(bad)?;
    let cost = report.price.checked_mul(report.qty).ok_or_else(bad)?;
    let cum_cost = order.cum_cost.checked_add(round_to(cost, scale::AMT)).ok_or_else(bad)?;
    let avg = cum_cost.checked_div(cum_qty).map(|a| round_to(a, scale::PX));
    sqlx::query!(
        "update execution_orders
         set qty = $2, cum_qty = $3, cum_cost = $4, avg_price = $5, fee_quote = fee_quote + $6
         where order_id = $1",
        order.order_id.0,
        qty,
        cum_qty,
        cum_cost,
        avg,
        fee_quote
    )
    .execute(&mut **tx)
    .await
    .map_err(WriteError::sql("add a fill to its order"))?;
    Ok(Totals { qty, cum_qty })
}

async fn move_order(
    tx: &mut Transaction<'static, Postgres>,
    order: &OrderRecord,
    totals: &Totals,
    report: &FillReport,
) -> Result<Step, WriteError> {
    let facts = Facts {
        has_fills: true,
        complete: totals.cum_qty >= totals.qty,
        booked_all: report.venue_cum_qty.is_none_or(|venue| venue <= totals.cum_qty),
        venue_id_known: order.exchange_order_id.is_some(),
        adoptable: false,
    };
    let next = step(order.state, OrderEvent::Fill, facts)
        .map_err(|illegal| WriteError::row("execution_orders", order.order_id.0, illegal))?;
    let note = EventNote {
        source: report.source,
        venue_id: report.venue_id.clone(),
        exec_type: Some("trade".to_owned()),
        exec_id: Some(report.exec_id.clone()),
        last_qty: Some(report.qty),
        last_price: Some(report.price),
        cum_qty: Some(totals.cum_qty),
        ts_exchange: Some(report.ts_exchange),
        terms: Terms::default(),
        ..EventNote::local(report.ts_local)
    };
    store_step(tx, order, OrderEvent::Fill, &next, &note).await?;
    if next.to == OrderState::Filled {
        let why = OrderState::Filled.as_str();
        crate::orders::transition::release_reservation(tx, order.order_id, why, report.ts_local)
            .await?;
    }
    Ok(next)
}

async fn reduce_reservation(
    tx: &mut Transaction<'static, Postgres>,
    order: &OrderRecord,
    report: &FillReport,
) -> Result<(), WriteError> {
    if !order.enters() {
        return Ok(());
    }
    let notional = round_to(report.price * report.qty, scale::AMT);
    sqlx::query!(
        "update capital_reservations set reserved_quote = greatest(reserved_quote - $2, 0)
         where order_id = $1 and released_at is null",
        order.order_id.0,
        notional
    )
    .execute(&mut **tx)
    .await
    .map_err(WriteError::sql("reduce a reservation"))?;
    Ok(())
}

async fn first_fill_seen(
    tx: &mut Transaction<'static, Postgres>,
    id: OrderId,
    report: &FillReport,
) -> Result<(), WriteError> {
    sqlx::query!(
        "update execution_order_latency
         set t3_fill_ts_exchange = $2, t3_fill_seen_ts_local = $3
         where order_id = $1 and t3_fill_seen_ts_local is null",
        id.0,
        timestamp(report.ts_exchange),
        timestamp(report.ts_local)
    )
    .execute(&mut **tx)
    .await
    .map_err(WriteError::sql("record latency"))?;
    Ok(())
}
