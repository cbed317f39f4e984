//! What an order row holds, as values.
//!
//! Input: planned terms. Output: rows read back. It holds no rule.

use chrono::{DateTime, Utc};
use penstock_trading::exit::limits::ExitLimits;
use penstock_types::cl_ord_id::ClOrdId;
use penstock_types::vocab::{
    ExecutionIntent, ExitPolicy, ExitReason, Horizon, OrderRole, OrderState, OrderType,
    QueueDecision, Regime, RegimeSub, RouteType, Side, Strategy, TimeInForce,
};
use penstock_types::{
    Decimal, EpochId, EvaluationId, FencingToken, GenerationId, LineageId, OrderId, PositionId,
    RunId, SnapshotId, Symbol, UtcMicros, Uuid,
};

use crate::writer::WriteError;

/// Where an entry came from: the data it was decided on and what was expected of it.
#[derive(Debug, Clone, PartialEq)]
pub struct EntryContext {
    /// Run.
    pub run_id: RunId,
    /// Lineage.
    pub lineage_id: LineageId,
    /// Epoch that licensed it.
    pub epoch_id: EpochId,
    /// Universe of the epoch.
    pub snapshot_id: SnapshotId,
    /// Generation it was decided on.
    pub generation_id: GenerationId,
    /// Tick of the engine's view that it was decided with.
    pub engine_tick_id: Option<i64>,
    /// First eight bytes of the engine's state chain after that tick.
    pub engine_chain: Option<Vec<u8>>,
    /// Evaluation that decided it.
    pub evaluation_id: EvaluationId,
    /// Strategy.
    pub strategy: Strategy,
    /// Route.
    pub route_type: RouteType,
    /// Horizon.
    pub horizon: Horizon,
    /// Regime.
    pub regime: Regime,
    /// Refinement of the regime.
    pub regime_sub: Option<RegimeSub>,
    /// Place in the queue of a maker.
    pub queue_decision: Option<QueueDecision>,
    /// Mid at the decision.
    pub decision_mid: Option<Decimal>,
    /// Expected gross move.
    pub expected_move_bps: Option<Decimal>,
    /// Expected edge.
    pub expected_edge_bps: Option<Decimal>,
    /// Expected surplus over the floor.
    pub expected_surplus_bps: Option<Decimal>,
    /// Expected slippage.
    pub expected_slippage_bps: Option<Decimal>,
    /// Tick of the quote that priced it.
    pub quote_tick_id: i64,
    /// Sequence number of that quote.
    pub quote_seq: i64,
    /// Probability of a fill.
    pub p_fill: Option<Decimal>,
    /// Expected time to the fill.
    pub est_fill_time_ms: Option<i32>,
    /// Quote ahead of it in the queue.
    pub queue_ahead_quote: Option<Decimal>,
    /// What the gate demands of the exit.
    pub exit_limits: ExitLimits,
    /// Size asked for.
    pub size_quote_requested: Option<Decimal>,
    /// Size after the risk gate.
    pub size_quote_approved: Option<Decimal>,
}

/// A new order.
#[derive(Debug, Clone, PartialEq)]
pub struct NewOrder {
    /// Its id.
    pub cl_ord_id: ClOrdId,
    /// Symbol.
    pub symbol: Symbol,
    /// Side.
    pub side: Side,
    /// What it is for.
    pub role: OrderRole,
    /// The order before it, or the entry of a standby row.
    pub parent_order_id: Option<OrderId>,
    /// Position of a reduce order.
    pub position_id: Option<PositionId>,
    /// How it meets the book.
    pub intent: ExecutionIntent,
    /// Type.
    pub order_type: OrderType,
    /// Time in force.
    pub tif: TimeInForce,
    /// Cancelled rather than taking.
    pub post_only: bool,
    /// Limit.
    pub limit_price: Option<Decimal>,
    /// Trigger of a stop.
    pub trigger_price: Option<Decimal>,
    /// Quantity.
    pub qty: Decimal,
    /// The venue refuses it after this.
    pub deadline_at: Option<UtcMicros>,
    /// It expires by itself at this.
    pub expire_at: Option<UtcMicros>,
    /// Exit policy of an entry's position.
    pub exit_policy: Option<ExitPolicy>,
    /// Reason of a close.
    pub exit_reason: Option<ExitReason>,
    /// Origin of an entry.
    pub entry: Option<EntryContext>,
}

/// The standby protection row of an entry.
#[derive(Debug, Clone, PartialEq)]
pub struct Standby {
    /// Its id.
    pub cl_ord_id: ClOrdId,
    /// Stop price of the policy, from the entry's limit or the best ask.
    pub trigger_price: Decimal,
}

/// An order row as the session works with it.
#[derive(Debug, Clone, PartialEq)]
pub struct OrderRecord {
    /// Row.
    pub order_id: OrderId,
    /// Client id.
    pub cl_ord_id: Uuid,
    /// The venue's id, once known.
    pub exchange_order_id: Option<String>,
    /// Token of the session that inserted it.
    pub fencing_token: FencingToken,
    /// Symbol.
    pub symbol: Symbol,
    /// Side.
    pub side: Side,
    /// Role.
    pub role: OrderRole,
    /// Parent.
    pub parent_order_id: Option<OrderId>,
    /// Position.
    pub position_id: Option<PositionId>,
    /// Strategy of an entry.
    pub strategy: Option<Strategy>,
    /// Route of an entry.
    pub route_type: Option<RouteType>,
    /// Horizon of an entry.
    pub horizon: Option<Horizon>,
    /// Regime at the entry.
    pub regime: Option<Regime>,
    /// Exit policy of an entry.
    pub exit_policy: Option<ExitPolicy>,
    /// What the gate demanded of its exit.
    pub exit_limits: ExitLimits,
    /// Reason of a close.
    pub exit_reason: Option<ExitReason>,
    /// Type.
    pub order_type: OrderType,
    /// Time in force.
    pub tif: TimeInForce,
    /// Post-only.
    pub post_only: bool,
    /// Limit.
    pub limit_price: Option<Decimal>,
    /// Trigger.
    pub trigger_price: Option<Decimal>,
    /// Quantity.
    pub qty: Decimal,
    /// Deadline of the request.
    pub deadline_at: Option<UtcMicros>,
    /// Expiry.
    pub expire_at: Option<UtcMicros>,
    /// Mid at the decision.
    pub decision_mid: Option<Decimal>,
    /// Expected gross move.
    pub expected_move_bps: Option<Decimal>,
    /// State.
    pub state: OrderState,
    /// Why.
    pub state_reason: Option<String>,
    /// Since when.
    pub state_since: UtcMicros,
    /// Executed.
    pub cum_qty: Decimal,
    /// Cost of what was executed.
    pub cum_cost: Decimal,
    /// Average price.
    pub avg_price: Option<Decimal>,
    /// Number of its last event.
    pub event_seq: i32,
    /// When the row was written.
    pub created_at: UtcMicros,
}

impl OrderRecord {
    /// Not executed yet.
    #[must_use]
    pub fn remaining(&self) -> Decimal {
        (self.qty - self.cum_qty).max(Decimal::ZERO)
    }

    /// Sells out of a position.
    #[must_use]
    pub const fn reduces(&self) -> bool {
        matches!(self.role, OrderRole::Protection | OrderRole::Exit | OrderRole::ExitTp)
    }

    /// Opens or grows a position.
    #[must_use]
    pub const fn enters(&self) -> bool {
        matches!(self.role, OrderRole::Entry | OrderRole::Proof | OrderRole::DustTopup)
    }
}

/// The row as the driver reads it.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct RawOrder {
    pub(crate) order_id: i64,
    pub(crate) cl_ord_id: Uuid,
    pub(crate) exchange_order_id: Option<String>,
    pub(crate) fencing_token: i64,
    pub(crate) symbol: String,
    pub(crate) side: String,
    pub(crate) role: String,
    pub(crate) parent_order_id: Option<i64>,
    pub(crate) position_id: Option<i64>,
    pub(crate) strategy: Option<String>,
    pub(crate) route_type: Option<String>,
    pub(crate) horizon: Option<String>,
    pub(crate) regime: Option<String>,
    pub(crate) exit_policy: Option<String>,
    pub(crate) exit_sl_bps: Option<Decimal>,
    pub(crate) exit_tp_bps: Option<Decimal>,
    pub(crate) exit_trail_bps: Option<Decimal>,
    pub(crate) exit_time_stop_secs: Option<i32>,
    pub(crate) exit_reason: Option<String>,
    pub(crate) order_type: String,
    pub(crate) tif: String,
    pub(crate) post_only: bool,
    pub(crate) limit_price: Option<Decimal>,
    pub(crate) trigger_price: Option<Decimal>,
    pub(crate) qty: Decimal,
    pub(crate) deadline_at: Option<DateTime<Utc>>,
    pub(crate) expire_at: Option<DateTime<Utc>>,
    pub(crate) decision_mid: Option<Decimal>,
    pub(crate) expected_move_bps: Option<Decimal>,
    pub(crate) state: String,
    pub(crate) state_reason: Option<String>,
    pub(crate) state_since: DateTime<Utc>,
    pub(crate) cum_qty: Decimal,
    pub(crate) cum_cost: Decimal,
    pub(crate) avg_price: Option<Decimal>,
    pub(crate) event_seq: i32,
    pub(crate) created_at: DateTime<Utc>,
}

impl TryFrom<RawOrder> for OrderRecord {
    type Error = WriteError;

    fn try_from(raw: RawOrder) -> Result<Self, WriteError> {
        let id = raw.order_id;
        let bad =
            |e: penstock_types::vocab::UnknownWord| WriteError::row("execution_orders", id, e);
        macro_rules! word {
            ($kind:ty, $text:expr) => {
                $text.as_deref().map(<$kind>::parse).transpose().map_err(bad)?
            };
        }
        Ok(Self {
            order_id: OrderId(id),
            cl_ord_id: raw.cl_ord_id,
            exchange_order_id: raw.exchange_order_id,
            fencing_token: FencingToken(raw.fencing_token),
            symbol: Symbol::new(&raw.symbol)
                .map_err(|e| WriteError::row("execution_orders", id, e))?,
            side: Side::parse(&raw.side).map_err(bad)?,
            role: OrderRole::parse(&raw.role).map_err(bad)?,
            parent_order_id: raw.parent_order_id.map(OrderId),
            position_id: raw.position_id.map(PositionId),
            strategy: word!(Strategy, raw.strategy),
            route_type: word!(RouteType, raw.route_type),
            horizon: word!(Horizon, raw.horizon),
            regime: word!(Regime, raw.regime),
            exit_policy: word!(ExitPolicy, raw.exit_policy),
            exit_limits: ExitLimits {
                sl_bps: raw.exit_sl_bps,
                tp_bps: raw.exit_tp_bps,
                trail_bps: raw.exit_trail_bps,
                time_stop_secs: raw.exit_time_stop_secs,
            },
            exit_reason: word!(ExitReason, raw.exit_reason),
            order_type: OrderType::parse(&raw.order_type).map_err(bad)?,
            tif: TimeInForce::parse(&raw.tif).map_err(bad)?,
            post_only: raw.post_only,
            limit_price: raw.limit_price,
            trigger_price: raw.trigger_price,
            qty: raw.qty,
            deadline_at: raw.deadline_at.map(UtcMicros::from),
            expire_at: raw.expire_at.map(UtcMicros::from),
            decision_mid: raw.decision_mid,
            expected_move_bps: raw.expected_move_bps,
            state: OrderState::parse(&raw.state).map_err(bad)?,
            state_reason: raw.state_reason,
            state_since: UtcMicros::from(raw.state_since),
            cum_qty: raw.cum_qty,
            cum_cost: raw.cum_cost,
            avg_price: raw.avg_price,
            event_seq: raw.event_seq,
            created_at: UtcMicros::from(raw.created_at),
        })
    }
}
