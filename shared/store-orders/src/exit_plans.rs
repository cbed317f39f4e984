//! Exit plans as rows: the one that a first fill creates, and every later change.
//!
//! Input: frozen terms, events of the plan machine. Output: the plan afterwards. Invariants: a plan's
//! state, its event row and what ends with it share one transaction; `sl_price` never falls, which the
//! statement itself refuses; the raise is committed before the amend is sent.

use penstock_trading::exit::plan::{IllegalPlanTransition, PlanEvent, step};
use penstock_trading::exit::policy::PlanTerms;
use penstock_types::vocab::{ExitReason, PlanState, PositionStatus};
use penstock_types::{Decimal, OrderId, PositionId, UtcMicros};
use serde_json::{Value, json};
use sqlx::{Postgres, Transaction};

use crate::orders::transition::close_rows;
use crate::positions::{PlanRecord, read_plan};
use crate::writer::{ExecStore, WriteError, timestamp};

/// A change of a plan; absent fields stay.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PlanChange {
    /// Event of the machine.
    pub event: Option<PlanEvent>,
    /// New stop price, above the old one.
    pub sl_price: Option<Decimal>,
    /// Trail distance from now on.
    pub trail_bps: Option<Decimal>,
    /// Reason: decided, or `TP_hit` when take-profit raised the stop.
    pub reason: Option<ExitReason>,
    /// Its stop.
    pub protection: Option<OrderId>,
    /// Its close.
    pub exit: Option<OrderId>,
    /// Trigger that the venue has acknowledged.
    pub on_exchange: Option<Decimal>,
    /// Base under the live stop.
    pub protected_qty: Option<Decimal>,
    /// Another close goes out.
    pub attempt: bool,
    /// New time stop.
    pub time_stop_at: Option<UtcMicros>,
    /// Highest and lowest mid.
    pub extremes: Option<(Decimal, Decimal)>,
}

/// Outcome of a change.
#[derive(Debug, Clone, PartialEq)]
pub enum PlanOutcome {
    /// The plan afterwards.
    Done(Box<PlanRecord>),
    /// The pair cannot happen, or the stop would fall; the row is unchanged.
    Refused(IllegalPlanTransition),
}

impl ExecStore {
    /// Applies a change.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn change_plan(
        &self,
        position: PositionId,
        change: &PlanChange,
        now: UtcMicros,
    ) -> Result<PlanOutcome, WriteError> {
        const ACTION: &str = "change an exit plan";
        let mut tx = self.begin(ACTION).await?;
        let outcome = change_in(&mut tx, position, change, now).await?;
        if matches!(outcome, PlanOutcome::Done(_)) {
            self.commit(ACTION, tx).await?;
        }
        Ok(outcome)
    }
}

/// The change inside a transaction.
pub(crate) async fn change_in(
    tx: &mut Transaction<'static, Postgres>,
    position: PositionId,
    change: &PlanChange,
    now: UtcMicros,
) -> Result<PlanOutcome, WriteError> {
    let plan = lock_plan(tx, position).await?;
    let to = match change.event.map(|event| step(plan.state, event)) {
        Some(Ok(to)) => to,
        Some(Err(illegal)) => return Ok(PlanOutcome::Refused(illegal)),
        None => plan.state,
    };
    update_plan(tx, &plan, to, change, now).await?;
    update_position(tx, position, to, change, now).await?;
    if let Some(event) = change.event {
        let detail = detail_of(change);
        insert_exit_event(tx, plan.plan_id, event.as_str(), Some(plan.state), to, detail, now)
            .await?;
    }
    if matches!(to, PlanState::Closed | PlanState::DustHold) && plan.state != to {
        close_position_standbys(tx, position, now).await?;
    }
    let after = read_plan(tx, position)
        .await?
        .ok_or_else(|| WriteError::row("exit_plans", plan.plan_id, "no such row"))?;
    Ok(PlanOutcome::Done(Box::new(after)))
}

async fn lock_plan(
    tx: &mut Transaction<'static, Postgres>,
    position: PositionId,
) -> Result<PlanRecord, WriteError> {
    let missing = || WriteError::row("exit_plans of position", position.0, "no such row");
    sqlx::query_scalar!(
        "select plan_id from exit_plans where position_id = $1 for update",
        position.0
    )
    .fetch_optional(&mut **tx)
    .await
    .map_err(WriteError::sql("lock an exit plan"))?
    .ok_or_else(missing)?;
    read_plan(tx, position).await?.ok_or_else(missing)
}

async fn update_plan(
    tx: &mut Transaction<'static, Postgres>,
    plan: &PlanRecord,
    to: PlanState,
    change: &PlanChange,
    now: UtcMicros,
) -> Result<(), WriteError> {
    sqlx::query!(
        "update exit_plans
         set state = $2, state_since = case when $3 then $4 else state_since end,
            sl_price = greatest(sl_price, coalesce($5, sl_price)),
            trail_bps = coalesce($6, trail_bps),
            trigger_reason = coalesce($7, trigger_reason),
            protection_order_id = coalesce($8, protection_order_id),
            exit_order_id = coalesce($9, exit_order_id),
            stop_price_on_exchange = coalesce($10, stop_price_on_exchange),
            attempts = attempts + $11, time_stop_at = coalesce($12, time_stop_at),
            version = version + 1, updated_at = $4
         where plan_id = $1",
        plan.plan_id,
        to.as_str(),
        to != plan.state,
        timestamp(now),
        change.sl_price,
        change.trail_bps,
        change.reason.map(ExitReason::as_str),
        change.protection.map(|id| id.0),
        change.exit.map(|id| id.0),
        change.on_exchange,
        i32::from(change.attempt),
        change.time_stop_at.map(timestamp)
    )
    .execute(&mut **tx)
    .await
    .map_err(WriteError::sql("change an exit plan"))?;
    Ok(())
}

/// The position's status follows its plan: a decided close is `closing`, a remainder `dust`.
async fn update_position(
    tx: &mut Transaction<'static, Postgres>,
    position: PositionId,
    to: PlanState,
    change: &PlanChange,
    now: UtcMicros,
) -> Result<(), WriteError> {
    let status = match to {
        PlanState::Created
        | PlanState::Arming
        | PlanState::Armed
        | PlanState::Trailing
        | PlanState::Unprotected => Some(PositionStatus::Open),
        PlanState::Triggered | PlanState::Exiting => Some(PositionStatus::Closing),
        PlanState::DustHold => Some(PositionStatus::Dust),
        PlanState::Closed => None,
    };
    let (peak, trough) = change.extremes.map_or((None, None), |(p, t)| (Some(p), Some(t)));
    sqlx::query!(
        "update positions
         set status = case when status = 'closed' then status else coalesce($2, status) end,
            protected_qty = coalesce($3, protected_qty),
            peak_price = greatest(peak_price, $4), trough_price = least(trough_price, $5),
            version = version + 1, updated_at = $6
         where position_id = $1",
        position.0,
        status.map(PositionStatus::as_str),
        change.protected_qty,
        peak,
        trough,
        timestamp(now)
    )
    .execute(&mut **tx)
    .await
    .map_err(WriteError::sql("change a position"))?;
    Ok(())
}

fn detail_of(change: &PlanChange) -> Value {
    json!({
        "sl_price": change.sl_price.map(|v| v.to_string()),
        "reason": change.reason.map(ExitReason::as_str),
        "protection_order_id": change.protection.map(|id| id.0),
        "exit_order_id": change.exit.map(|id| id.0),
        "protected_qty": change.protected_qty.map(|v| v.to_string()),
    })
}

pub(crate) async fn insert_exit_event(
    tx: &mut Transaction<'static, Postgres>,
    plan_id: i64,
    kind: &str,
    from: Option<PlanState>,
    to: PlanState,
    detail: Value,
    now: UtcMicros,
) -> Result<(), WriteError> {
    sqlx::query!(
        "insert into exit_events (plan_id, ts, kind, from_state, to_state, detail)
         values ($1, $2, $3, $4, $5, $6)",
        plan_id,
        timestamp(now),
        kind,
        from.map(PlanState::as_str),
        to.as_str(),
        detail
    )
    .execute(&mut **tx)
    .await
    .map_err(WriteError::sql("insert an exit event"))?;
    Ok(())
}

/// Closes all standby rows of a position that has ended.
pub(crate) async fn close_position_standbys(
    tx: &mut Transaction<'static, Postgres>,
    position: PositionId,
    now: UtcMicros,
) -> Result<(), WriteError> {
    let ids = sqlx::query_scalar!(
        "select order_id from execution_orders where position_id = $1 and state = 'created'
         for update",
        position.0
    )
    .fetch_all(&mut **tx)
    .await
    .map_err(WriteError::sql("find standby rows"))?;
    close_rows(tx, &ids, "standby_unused", now).await
}

/// The plan of a new position.
pub(crate) async fn insert_plan(
    tx: &mut Transaction<'static, Postgres>,
    position: PositionId,
    terms: &PlanTerms,
    regime_exit: &Value,
    now: UtcMicros,
) -> Result<PlanRecord, WriteError> {
    let id = sqlx::query_scalar!(
        "insert into exit_plans (position_id, policy, sl_bps, tp_bps, trail_bps,
            breakeven_arm_bps, panic_bps, time_stop_at, regime_exit, sl_price, tp_price, state,
            state_since, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 'created', $12, $12, $12)
         returning plan_id",
        position.0,
        terms.policy.as_str(),
        terms.sl_bps,
        terms.tp_bps,
        terms.trail_bps,
        terms.breakeven_arm_bps,
        terms.panic_bps,
        timestamp(terms.time_stop_at),
        regime_exit,
        terms.sl_price,
        terms.tp_price,
        timestamp(now)
    )
    .fetch_one(&mut **tx)
    .await
    .map_err(WriteError::sql("insert an exit plan"))?;
    let detail = json!({ "sl_price": terms.sl_price.to_string() });
    insert_exit_event(tx, id, "created", None, PlanState::Created, detail, now).await?;
    read_plan(tx, position).await?.ok_or_else(|| WriteError::row("exit_plans", id, "no such row"))
}
