//! The order and what came after it: events, fills, times, position, exits.
//!
//! Inputs: numbers of orders and positions. Outputs: plain rows, ascending in time. It judges nothing.

use penstock_types::Decimal;
use serde::Serialize;
use sqlx::PgConnection;
use sqlx::types::chrono::{DateTime, Utc};

/// An order.
#[derive(Debug, Clone, Serialize)]
pub struct Order {
    /// Number.
    pub order_id: i64,
    /// Client id.
    pub cl_ord_id: String,
    /// The venue's id.
    pub exchange_order_id: Option<String>,
    /// Session.
    pub session_id: String,
    /// Its token.
    pub fencing_token: i64,
    /// Cycle.
    pub evaluation_id: Option<i64>,
    /// Frame that priced it.
    pub quote_tick_id: Option<i64>,
    /// Position, where the row names it.
    pub position_id: Option<i64>,
    /// Entry that it belongs to.
    pub parent_order_id: Option<i64>,
    /// Symbol.
    pub symbol: String,
    /// Side.
    pub side: String,
    /// Role.
    pub role: String,
    /// Type.
    pub order_type: String,
    /// Time in force.
    pub tif: String,
    /// Post only.
    pub post_only: bool,
    /// Limit.
    pub limit_price: Option<Decimal>,
    /// Trigger.
    pub trigger_price: Option<Decimal>,
    /// Quantity.
    pub qty: Decimal,
    /// Mid at the decision.
    pub decision_mid: Option<Decimal>,
    /// Expected edge, bps.
    pub expected_edge_bps: Option<Decimal>,
    /// Size granted, quote.
    pub size_quote_approved: Option<Decimal>,
    /// Stop that the AI gate demanded at most, bps.
    pub exit_sl_bps: Option<Decimal>,
    /// Target that it demanded at most, bps.
    pub exit_tp_bps: Option<Decimal>,
    /// Trail that it demanded at most, bps.
    pub exit_trail_bps: Option<Decimal>,
    /// Time that it demanded at most, seconds.
    pub exit_time_stop_secs: Option<i32>,
    /// Why it closes a position.
    pub exit_reason: Option<String>,
    /// State.
    pub state: String,
    /// Why.
    pub state_reason: Option<String>,
    /// Filled.
    pub cum_qty: Decimal,
    /// Average price.
    pub avg_price: Option<Decimal>,
    /// Fees, quote.
    pub fee_quote: Decimal,
    /// When it was created.
    pub created_at: DateTime<Utc>,
}

/// An event of an order.
#[derive(Debug, Clone, Serialize)]
pub struct Event {
    /// Place, from 1.
    pub event_seq: i32,
    /// Where it came from.
    pub source: String,
    /// What happened.
    pub event_type: String,
    /// State before.
    pub from_state: Option<String>,
    /// State after.
    pub to_state: String,
    /// Why.
    pub reason: Option<String>,
    /// Filled so far.
    pub cum_qty: Option<Decimal>,
    /// When, here.
    pub ts_local: DateTime<Utc>,
}

/// A fill.
#[derive(Debug, Clone, Serialize)]
pub struct Fill {
    /// Execution.
    pub exec_id: String,
    /// Side.
    pub side: String,
    /// Quantity.
    pub qty: Decimal,
    /// Price.
    pub price: Decimal,
    /// Fee, quote.
    pub fee_quote: Decimal,
    /// `m` or `t`.
    pub liquidity: Option<String>,
    /// Slippage, bps.
    pub slippage_bps: Option<Decimal>,
    /// When, at the venue.
    pub ts_exchange: DateTime<Utc>,
}

/// Times of an order.
#[derive(Debug, Clone, Serialize)]
pub struct Latency {
    /// Decision to request, microseconds.
    pub decision_to_submit_us: Option<i64>,
    /// Request to acknowledgement, microseconds.
    pub submit_to_ack_seen_us: Option<i64>,
    /// Fill to acknowledged stop, microseconds.
    pub fill_seen_to_protection_ack_us: Option<i64>,
}

/// What was reserved for an entry.
#[derive(Debug, Clone, Serialize)]
pub struct Reservation {
    /// Amount, quote.
    pub reserved_quote: Decimal,
    /// When it was released.
    pub released_at: Option<DateTime<Utc>>,
    /// Why.
    pub release_reason: Option<String>,
}

/// A position.
#[derive(Debug, Clone, Serialize)]
pub struct Position {
    /// Number.
    pub position_id: i64,
    /// Status.
    pub status: String,
    /// Where it came from.
    pub origin: String,
    /// When it was opened.
    pub opened_at: DateTime<Utc>,
    /// When it was closed.
    pub closed_at: Option<DateTime<Utc>>,
    /// Base that is left.
    pub base_qty: Decimal,
    /// Average entry.
    pub avg_entry_price: Option<Decimal>,
    /// Base that a stop covers.
    pub protected_qty: Decimal,
    /// Realised, quote.
    pub realized_quote: Decimal,
    /// Fees, quote.
    pub fees_quote: Decimal,
}

/// The exit plan of a position.
#[derive(Debug, Clone, Serialize)]
pub struct ExitPlan {
    /// Policy.
    pub policy: String,
    /// State.
    pub state: String,
    /// Stop.
    pub sl_price: Decimal,
    /// Stop as it rests at the venue.
    pub stop_price_on_exchange: Option<Decimal>,
    /// Take-profit.
    pub tp_price: Option<Decimal>,
    /// Trail, bps.
    pub trail_bps: Option<Decimal>,
    /// End of its time.
    pub time_stop_at: DateTime<Utc>,
    /// What triggered the exit.
    pub trigger_reason: Option<String>,
    /// Order that protects.
    pub protection_order_id: Option<i64>,
    /// Order that closes.
    pub exit_order_id: Option<i64>,
}

/// What happened to an exit plan.
#[derive(Debug, Clone, Serialize)]
pub struct ExitEvent {
    /// When.
    pub ts: DateTime<Utc>,
    /// What.
    pub kind: String,
    /// State before.
    pub from_state: Option<String>,
    /// State after.
    pub to_state: Option<String>,
}

/// Another order of the position.
#[derive(Debug, Clone, Serialize)]
pub struct RelatedOrder {
    /// Number.
    pub order_id: i64,
    /// Role.
    pub role: String,
    /// State.
    pub state: String,
    /// Quantity.
    pub qty: Decimal,
    /// Trigger.
    pub trigger_price: Option<Decimal>,
    /// Filled.
    pub cum_qty: Decimal,
    /// Average price.
    pub avg_price: Option<Decimal>,
    /// The venue's id.
    pub exchange_order_id: Option<String>,
}

/// What a closing fill earned.
#[derive(Debug, Clone, Serialize)]
pub struct Realised {
    /// When.
    pub ts: DateTime<Utc>,
    /// Order that closed.
    pub exit_order_id: Option<i64>,
    /// Quantity.
    pub closed_qty: Decimal,
    /// Entry.
    pub entry_price: Decimal,
    /// Exit.
    pub exit_price: Decimal,
    /// After fees, quote.
    pub net_quote: Decimal,
    /// After fees, bps.
    pub net_bps: Decimal,
    /// How long it was held, seconds.
    pub hold_secs: i32,
    /// Why it was closed.
    pub exit_reason: Option<String>,
}

/// An order by its number.
pub(super) async fn order(tx: &mut PgConnection, id: i64) -> Result<Option<Order>, sqlx::Error> {
    sqlx::query_as!(
        Order,
        r#"select order_id, cl_ord_id::text as "cl_ord_id!", exchange_order_id,
             session_id::text as "session_id!", fencing_token, evaluation_id, quote_tick_id,
             position_id, parent_order_id, symbol, side, role, order_type, tif, post_only,
             limit_price, trigger_price, qty, decision_mid, expected_edge_bps, size_quote_approved,
             exit_sl_bps, exit_tp_bps, exit_trail_bps, exit_time_stop_secs, exit_reason, state,
             state_reason, cum_qty, avg_price, fee_quote, created_at
         from execution_orders where order_id = $1"#,
        id,
    )
    .fetch_optional(tx)
    .await
}

/// The entry behind an order that is none.
pub(super) async fn entry_of(
    tx: &mut PgConnection,
    of: &Order,
) -> Result<Option<Order>, sqlx::Error> {
    let entry = sqlx::query_scalar!(
        "select coalesce(p.entry_order_id, o.parent_order_id)
         from execution_orders o left join positions p using (position_id)
         where o.order_id = $1",
        of.order_id,
    )
    .fetch_optional(&mut *tx)
    .await?
    .flatten();
    match entry.filter(|id| *id != of.order_id) {
        Some(id) => order(tx, id).await,
        None => Ok(None),
    }
}

/// The entry that a cycle made on a symbol.
pub(super) async fn entry_for(
    tx: &mut PgConnection,
    evaluation_id: i64,
    symbol: &str,
) -> Result<Option<Order>, sqlx::Error> {
    let id = sqlx::query_scalar!(
        "select min(order_id) from execution_orders
         where evaluation_id = $1 and symbol = $2 and role in ('entry', 'proof')",
        evaluation_id,
        symbol,
    )
    .fetch_one(&mut *tx)
    .await?;
    match id {
        Some(id) => order(tx, id).await,
        None => Ok(None),
    }
}

/// The position of an order: its own, that which names it as its entry, or that of its ledger.
pub(super) async fn position_of(
    tx: &mut PgConnection,
    of: &Order,
) -> Result<Option<i64>, sqlx::Error> {
    if of.position_id.is_some() {
        return Ok(of.position_id);
    }
    sqlx::query_scalar!(
        "select min(position_id) from (
             select position_id from positions where entry_order_id = $1
             union all
             select l.position_id from fills_ledger l join fills f using (fill_id)
             where f.order_id = $1) p",
        of.order_id,
    )
    .fetch_one(tx)
    .await
}

pub(super) async fn events(
    tx: &mut PgConnection,
    id: Option<i64>,
) -> Result<Vec<Event>, sqlx::Error> {
    sqlx::query_as!(
        Event,
        "select event_seq, source, event_type, from_state, to_state, reason, cum_qty, ts_local
         from execution_order_events where order_id = $1 order by event_seq",
        id,
    )
    .fetch_all(tx)
    .await
}

pub(super) async fn fills(
    tx: &mut PgConnection,
    id: Option<i64>,
) -> Result<Vec<Fill>, sqlx::Error> {
    sqlx::query_as!(
        Fill,
        r#"select exec_id, side, qty, price, fee_quote, liquidity::text as liquidity, slippage_bps,
             ts_exchange
         from fills where order_id = $1 order by ts_exchange, fill_id"#,
        id,
    )
    .fetch_all(tx)
    .await
}

pub(super) async fn latency(
    tx: &mut PgConnection,
    id: Option<i64>,
) -> Result<Option<Latency>, sqlx::Error> {
    sqlx::query_as!(
        Latency,
        "select decision_to_submit_us, submit_to_ack_seen_us, fill_seen_to_protection_ack_us
         from execution_order_latency where order_id = $1",
        id,
    )
    .fetch_optional(tx)
    .await
}

pub(super) async fn reservation(
    tx: &mut PgConnection,
    id: Option<i64>,
) -> Result<Option<Reservation>, sqlx::Error> {
    sqlx::query_as!(
        Reservation,
        "select reserved_quote, released_at, release_reason
         from capital_reservations where order_id = $1",
        id,
    )
    .fetch_optional(tx)
    .await
}

pub(super) async fn position(
    tx: &mut PgConnection,
    id: Option<i64>,
) -> Result<Option<Position>, sqlx::Error> {
    sqlx::query_as!(
        Position,
        "select position_id, status, origin, opened_at, closed_at, base_qty, avg_entry_price,
             protected_qty, realized_quote, fees_quote
         from positions where position_id = $1",
        id,
    )
    .fetch_optional(tx)
    .await
}

pub(super) async fn plan(
    tx: &mut PgConnection,
    position_id: Option<i64>,
) -> Result<Option<ExitPlan>, sqlx::Error> {
    sqlx::query_as!(
        ExitPlan,
        "select policy, state, sl_price, stop_price_on_exchange, tp_price, trail_bps, time_stop_at,
             trigger_reason, protection_order_id, exit_order_id
         from exit_plans where position_id = $1",
        position_id,
    )
    .fetch_optional(tx)
    .await
}

pub(super) async fn exit_events(
    tx: &mut PgConnection,
    position_id: Option<i64>,
) -> Result<Vec<ExitEvent>, sqlx::Error> {
    sqlx::query_as!(
        ExitEvent,
        "select e.ts, e.kind, e.from_state, e.to_state
         from exit_events e join exit_plans p using (plan_id)
         where p.position_id = $1 order by e.id",
        position_id,
    )
    .fetch_all(tx)
    .await
}

pub(super) async fn related(
    tx: &mut PgConnection,
    position_id: Option<i64>,
    without: Option<i64>,
) -> Result<Vec<RelatedOrder>, sqlx::Error> {
    sqlx::query_as!(
        RelatedOrder,
        "select order_id, role, state, qty, trigger_price, cum_qty, avg_price, exchange_order_id
         from execution_orders
         where (position_id = $1 or order_id = (
                 select entry_order_id from positions where position_id = $1))
             and order_id is distinct from $2
         order by order_id",
        position_id,
        without,
    )
    .fetch_all(tx)
    .await
}

pub(super) async fn realised(
    tx: &mut PgConnection,
    position_id: Option<i64>,
) -> Result<Vec<Realised>, sqlx::Error> {
    sqlx::query_as!(
        Realised,
        "select ts, exit_order_id, closed_qty, entry_price, exit_price, net_quote, net_bps,
             hold_secs, exit_reason
         from realized_pnl where position_id = $1 order by id",
        position_id,
    )
    .fetch_all(tx)
    .await
}
