//! What we hold, owe and pay: positions with their exit plans, live orders, reservations, balances,
//! fees, scores of strategy cells, locks, equity.
//!
//! Purpose: the account side of a decision's input. Inputs: columns. Outputs: values. It holds no rule.

use crate::vocab::{
    ExitPolicy, Horizon, OrderRole, OrderState, PlanState, PositionOrigin, PositionStatus, Regime,
    RouteType, Side, Strategy,
};
use crate::{Decimal, FencingToken, OrderId, PositionId, Symbol, UtcMicros};
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Row of `positions` that is not closed, with its exit plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PositionRow {
    /// Position.
    pub position_id: PositionId,
    /// Symbol.
    pub symbol: Symbol,
    /// `open`, `closing` or `dust`.
    pub status: PositionStatus,
    /// Where it came from.
    pub origin: PositionOrigin,
    /// Strategy of its entry; none for positions found or bought outside.
    pub strategy: Option<Strategy>,
    /// Route of its entry.
    pub route_type: Option<RouteType>,
    /// Horizon of its entry.
    pub horizon: Option<Horizon>,
    /// Regime at its entry.
    pub regime_at_entry: Option<Regime>,
    /// First fill.
    pub opened_at: UtcMicros,
    /// Base held.
    pub base_qty: Decimal,
    /// What the held base cost.
    pub cost_basis_quote: Decimal,
    /// Average entry price.
    pub avg_entry_price: Option<Decimal>,
    /// Base under the live stop.
    pub protected_qty: Decimal,
    /// Its exit plan.
    pub plan: Option<ExitPlanRow>,
}

/// Row of `exit_plans`, as far as gates read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitPlanRow {
    /// Policy.
    pub policy: ExitPolicy,
    /// State.
    pub state: PlanState,
    /// Stop price.
    pub sl_price: Decimal,
    /// When the time stop acts.
    pub time_stop_at: UtcMicros,
}

/// Order that is neither terminal nor a standby row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveOrderRow {
    /// Order.
    pub order_id: OrderId,
    /// Symbol.
    pub symbol: Symbol,
    /// Side.
    pub side: Side,
    /// What it is for.
    pub role: OrderRole,
    /// State.
    pub state: OrderState,
    /// Why it has this state.
    pub state_reason: Option<String>,
    /// Strategy of an entry.
    pub strategy: Option<Strategy>,
    /// Limit price.
    pub limit_price: Option<Decimal>,
    /// Quantity.
    pub qty: Decimal,
    /// Executed so far.
    pub cum_qty: Decimal,
    /// When its row was written.
    pub created_at: UtcMicros,
}

/// Open row of `capital_reservations`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReservationRow {
    /// Order that reserved.
    pub order_id: OrderId,
    /// Symbol.
    pub symbol: Symbol,
    /// Strategy.
    pub strategy: Strategy,
    /// Reserved quote.
    pub reserved_quote: Decimal,
}

/// Row of `exchange_balances`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BalanceRow {
    /// Asset.
    pub asset: String,
    /// Total, holds included.
    pub balance: Decimal,
    /// When the venue said so.
    pub as_of: UtcMicros,
}

/// Newest row of `fee_tiers`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeeTierRow {
    /// Fee of a resting order, bps.
    pub maker_bps: Decimal,
    /// Fee of a taking order, bps.
    pub taker_bps: Decimal,
    /// `live`, `cached` or `bootstrap`.
    pub source: String,
}

/// Row of `strategy_scores`: results of a cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StrategyScoreRow {
    /// Strategy.
    pub strategy: Strategy,
    /// Regime at entry.
    pub regime: Regime,
    /// Route.
    pub route_type: RouteType,
    /// Weight of the results: realised trades plus a quarter of the resolved shadow trades.
    pub n: Decimal,
    /// Mean net result, bps.
    pub mean_net_bps: Decimal,
    /// Mean of what was expected, bps.
    pub mean_expected_bps: Decimal,
    /// Recent mean of the net result of what was traded, or would have been, bps.
    pub ewma_net_bps: Decimal,
    /// Last change of the row; in a suspension, its beginning.
    pub updated_at: UtcMicros,
}

/// Row of `symbol_exec_locks`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecLockRow {
    /// Symbol.
    pub symbol: Symbol,
    /// `entry`, `exit`, `reconcile` or `operator`.
    pub owner: String,
    /// Execution fence of the owner.
    pub fencing_token: FencingToken,
    /// End of the lock, decision clock.
    pub expires_at: UtcMicros,
}

/// What the newest rows of `equity_snapshots` say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EquityRow {
    /// High-water mark of the snapshot that the mark is folded from; none before the first.
    pub hwm_quote: Option<Decimal>,
    /// Equity at the first snapshot of the UTC day.
    pub day_open_quote: Option<Decimal>,
    /// Realised profit of all closed quantities since the beginning.
    pub realized_cum_quote: Decimal,
    /// Realised profit since 00:00 UTC.
    pub realized_day_quote: Decimal,
    /// What came from outside; inputs that were stored without it knew of nothing.
    #[serde(default, skip_serializing_if = "ExternalMoney::is_nothing")]
    pub external: ExternalMoney,
    /// UTC day, counted from 1970, on which the drawdown that stands was last over its limit; none when none stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drawdown_day: Option<i64>,
}

/// Money and coins that came from outside or went there, quote; what went is negative.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ExternalMoney {
    /// All that the equity of now contains.
    pub cum_quote: Decimal,
    /// Newest row of `balance_changes` that was read.
    pub seen_id: i64,
    /// All that the snapshot of the mark was booked with; none when it was written without.
    pub at_mark_quote: Option<Decimal>,
    /// What was booked after the snapshot of the mark.
    pub late: Vec<ExternalFlow>,
    /// Snapshots after that of the mark: those whose cash had something that was booked after them, and what followed.
    pub since: Vec<MarkSnapshot>,
}

impl ExternalMoney {
    /// Whether nothing is known of any.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// One booking of the quote asset that is no trade.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExternalFlow {
    /// Row of `balance_changes`.
    pub id: i64,
    /// The venue's time.
    pub at: UtcMicros,
    /// Signed amount, quote.
    pub amount_quote: Decimal,
}

/// A snapshot of equity as the mark is folded again over it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarkSnapshot {
    /// Equity, quote.
    pub equity_quote: Decimal,
    /// What had come from outside, as far as it was booked, quote.
    pub external_cum_quote: Decimal,
    /// Newest row of `balance_changes` that had been read.
    pub external_seen_id: i64,
    /// The venue's time of the balance of the quote asset.
    pub cash_as_of: UtcMicros,
}
