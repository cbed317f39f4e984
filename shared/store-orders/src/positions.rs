//! Positions with their exit plans, as the exit supervisor works with them.
//!
//! Input: keys. Output: [`PositionRecord`], [`PlanRecord`]. Reads only; positions are written by fills
//! and adjustments, plans by [`crate::exit_plans`].

use chrono::{DateTime, Utc};
use penstock_trading::ledger::Head;
use penstock_types::vocab::{
    ExitPolicy, ExitReason, Horizon, PlanState, PositionOrigin, PositionStatus, Regime, RouteType,
    Strategy,
};
use penstock_types::{Decimal, OrderId, PositionId, Symbol, UtcMicros};
use sqlx::PgConnection;

use crate::writer::{ExecStore, WriteError};

/// Row of `positions`.
#[derive(Debug, Clone, PartialEq)]
pub struct PositionRecord {
    /// Row.
    pub position_id: PositionId,
    /// Symbol.
    pub symbol: Symbol,
    /// Status.
    pub status: PositionStatus,
    /// Origin.
    pub origin: PositionOrigin,
    /// First entry.
    pub entry_order_id: Option<OrderId>,
    /// Strategy.
    pub strategy: Option<Strategy>,
    /// Route.
    pub route_type: Option<RouteType>,
    /// Horizon.
    pub horizon: Option<Horizon>,
    /// Regime at entry.
    pub regime_at_entry: Option<Regime>,
    /// First fill.
    pub opened_at: UtcMicros,
    /// Highest mid.
    pub peak_price: Option<Decimal>,
    /// Lowest mid.
    pub trough_price: Option<Decimal>,
    /// Head of the ledger.
    pub head: Head,
    /// Base under the live stop.
    pub protected_qty: Decimal,
}

/// Row of `exit_plans`.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanRecord {
    /// Row.
    pub plan_id: i64,
    /// Position.
    pub position_id: PositionId,
    /// Policy.
    pub policy: ExitPolicy,
    /// Distance of the first stop.
    pub sl_bps: Decimal,
    /// Take-profit.
    pub tp_bps: Option<Decimal>,
    /// Trail.
    pub trail_bps: Option<Decimal>,
    /// First step of breakeven.
    pub breakeven_arm_bps: Decimal,
    /// Panic.
    pub panic_bps: Decimal,
    /// Time stop.
    pub time_stop_at: UtcMicros,
    /// Committed stop price.
    pub sl_price: Decimal,
    /// Take-profit price.
    pub tp_price: Option<Decimal>,
    /// Trigger that the venue has acknowledged.
    pub stop_price_on_exchange: Option<Decimal>,
    /// State.
    pub state: PlanState,
    /// Decided reason, or `TP_hit` once take-profit has raised the stop.
    pub trigger_reason: Option<ExitReason>,
    /// Its stop.
    pub protection_order_id: Option<OrderId>,
    /// Its close.
    pub exit_order_id: Option<OrderId>,
    /// Closes sent.
    pub attempts: i32,
    /// Since when it is in its state.
    pub state_since: UtcMicros,
}

struct RawPosition {
    position_id: i64,
    symbol: String,
    status: String,
    origin: String,
    entry_order_id: Option<i64>,
    strategy: Option<String>,
    route_type: Option<String>,
    horizon: Option<String>,
    regime_at_entry: Option<String>,
    opened_at: DateTime<Utc>,
    peak_price: Option<Decimal>,
    trough_price: Option<Decimal>,
    base_qty: Decimal,
    cost_basis_quote: Decimal,
    avg_entry_price: Option<Decimal>,
    open_entry_fees_quote: Decimal,
    realized_quote: Decimal,
    fees_quote: Decimal,
    ledger_seq: i32,
    protected_qty: Decimal,
}

impl TryFrom<RawPosition> for PositionRecord {
    type Error = WriteError;

    fn try_from(raw: RawPosition) -> Result<Self, WriteError> {
        let id = raw.position_id;
        let bad = |e: penstock_types::vocab::UnknownWord| WriteError::row("positions", id, e);
        macro_rules! word {
            ($kind:ty, $text:expr) => {
                $text.as_deref().map(<$kind>::parse).transpose().map_err(bad)?
            };
        }
        Ok(Self {
            position_id: PositionId(id),
            symbol: Symbol::new(&raw.symbol).map_err(|e| WriteError::row("positions", id, e))?,
            status: PositionStatus::parse(&raw.status).map_err(bad)?,
            origin: PositionOrigin::parse(&raw.origin).map_err(bad)?,
            entry_order_id: raw.entry_order_id.map(OrderId),
            strategy: word!(Strategy, raw.strategy),
            route_type: word!(RouteType, raw.route_type),
            horizon: word!(Horizon, raw.horizon),
            regime_at_entry: word!(Regime, raw.regime_at_entry),
            opened_at: UtcMicros::from(raw.opened_at),
            peak_price: raw.peak_price,
            trough_price: raw.trough_price,
            head: Head {
                base: raw.base_qty,
                cost: raw.cost_basis_quote,
                avg_entry: raw.avg_entry_price,
                open_fees: raw.open_entry_fees_quote,
                realized: raw.realized_quote,
                fees: raw.fees_quote,
                seq: raw.ledger_seq,
            },
            protected_qty: raw.protected_qty,
        })
    }
}

struct RawPlan {
    plan_id: i64,
    position_id: i64,
    policy: String,
    sl_bps: Decimal,
    tp_bps: Option<Decimal>,
    trail_bps: Option<Decimal>,
    breakeven_arm_bps: Option<Decimal>,
    panic_bps: Decimal,
    time_stop_at: DateTime<Utc>,
    sl_price: Decimal,
    tp_price: Option<Decimal>,
    stop_price_on_exchange: Option<Decimal>,
    state: String,
    trigger_reason: Option<String>,
    protection_order_id: Option<i64>,
    exit_order_id: Option<i64>,
    attempts: i32,
    state_since: DateTime<Utc>,
}

impl TryFrom<RawPlan> for PlanRecord {
    type Error = WriteError;

    fn try_from(raw: RawPlan) -> Result<Self, WriteError> {
        let id = raw.plan_id;
        let bad = |e: penstock_types::vocab::UnknownWord| WriteError::row("exit_plans", id, e);
        Ok(Self {
            plan_id: id,
            position_id: PositionId(raw.position_id),
            policy: ExitPolicy::parse(&raw.policy).map_err(bad)?,
            sl_bps: raw.sl_bps,
            tp_bps: raw.tp_bps,
            trail_bps: raw.trail_bps,
            breakeven_arm_bps: raw.breakeven_arm_bps.unwrap_or_else(|| Decimal::from(30)),
            panic_bps: raw.panic_bps,
            time_stop_at: UtcMicros::from(raw.time_stop_at),
            sl_price: raw.sl_price,
            tp_price: raw.tp_price,
            stop_price_on_exchange: raw.stop_price_on_exchange,
            state: PlanState::parse(&raw.state).map_err(bad)?,
            trigger_reason: raw
                .trigger_reason
                .as_deref()
                .map(ExitReason::parse)
                .transpose()
                .map_err(bad)?,
            protection_order_id: raw.protection_order_id.map(OrderId),
            exit_order_id: raw.exit_order_id.map(OrderId),
            attempts: raw.attempts,
            state_since: UtcMicros::from(raw.state_since),
        })
    }
}

/// Which positions to read.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Which<'a> {
    /// One by id, locked.
    LockId(PositionId),
    /// The open one of a symbol, locked.
    LockOpenOf(&'a Symbol),
    /// All with base, or not closed.
    NotClosed,
}

pub(crate) async fn read_positions(
    conn: &mut PgConnection,
    which: Which<'_>,
) -> Result<Vec<PositionRecord>, WriteError> {
    let sql = WriteError::sql("read positions");
    let ids: Vec<i64> = match which {
        Which::LockId(id) => sqlx::query_scalar!(
            "select position_id from positions where position_id = $1 for update",
            id.0
        )
        .fetch_all(&mut *conn)
        .await
        .map_err(sql)?,
        Which::LockOpenOf(symbol) => sqlx::query_scalar!(
            "select position_id from positions
             where symbol = $1 and status in ('open', 'closing') for update",
            symbol.as_str()
        )
        .fetch_all(&mut *conn)
        .await
        .map_err(sql)?,
        Which::NotClosed => sqlx::query_scalar!(
            "select position_id from positions where status <> 'closed' order by position_id"
        )
        .fetch_all(&mut *conn)
        .await
        .map_err(sql)?,
    };
    let rows = sqlx::query_as!(
        RawPosition,
        "select position_id, symbol, status, origin, entry_order_id, strategy, route_type, horizon,
            regime_at_entry, opened_at, peak_price, trough_price, base_qty, cost_basis_quote,
            avg_entry_price, open_entry_fees_quote, realized_quote, fees_quote, ledger_seq,
            protected_qty
         from positions
         where position_id = any($1)
         order by position_id",
        &ids
    )
    .fetch_all(conn)
    .await
    .map_err(sql)?;
    rows.into_iter().map(PositionRecord::try_from).collect()
}

pub(crate) async fn read_plan(
    conn: &mut PgConnection,
    position: PositionId,
) -> Result<Option<PlanRecord>, WriteError> {
    let row = sqlx::query_as!(
        RawPlan,
        "select plan_id, position_id, policy, sl_bps, tp_bps, trail_bps, breakeven_arm_bps,
            panic_bps, time_stop_at, sl_price, tp_price, stop_price_on_exchange, state,
            trigger_reason, protection_order_id, exit_order_id, attempts, state_since
         from exit_plans
         where position_id = $1",
        position.0
    )
    .fetch_optional(conn)
    .await
    .map_err(WriteError::sql("read an exit plan"))?;
    row.map(PlanRecord::try_from).transpose()
}

impl ExecStore {
    /// All positions that are not closed, with their plans.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn positions(&self) -> Result<Vec<(PositionRecord, Option<PlanRecord>)>, WriteError> {
        let mut conn = self.conn().await?;
        let mut out = Vec::new();
        for position in read_positions(&mut conn, Which::NotClosed).await? {
            let plan = read_plan(&mut conn, position.position_id).await?;
            out.push((position, plan));
        }
        Ok(out)
    }
}
