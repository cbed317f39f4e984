//! Rows of the dashboard's lists, and of the list of orders.

use super::words::{IntentState, PairAction};
use crate::alert::AlertSource;
use crate::amount::DecStr;
use crate::dashboard::List;
use crate::shape::contract;
use crate::units::{Bps, TsMs, X10000};
use crate::vocab::{RegimeLabel, Side};
use penstock_types::Symbol;
use penstock_types::vocab::{OrderRole, OrderState, OrderType, ReasonCode, Severity, StageName};

contract! {
    /// An active alert
    pub AlertAggregateRow {
        /// How bad it is
        severity: Severity,
        /// Its own reason
        reason_code: ReasonCode,
        /// How often
        count: i64,
        /// First time
        first_ts_ms: TsMs,
        /// Newest time
        last_ts_ms: TsMs,
        /// Where the service was
        stage: StageName,
        /// Evaluation, or empty
        cycle_id: String,
        /// Decision, or empty
        decision_id: String,
        /// Intent, or empty
        order_intent_id: String,
        /// Whose alert it is
        source: AlertSource,
        /// Pair, or empty
        symbol: String,
        /// In words and numbers
        summary: String,
    }
}

contract! {
    /// A change of the stage
    pub StageHistoryRow {
        /// When
        ts_ms: TsMs,
        /// Stage
        stage: StageName,
        /// Evaluation, or empty
        cycle_id: String,
        /// Decision, or empty
        decision_id: String,
        /// Pair, or empty
        symbol: String,
        /// In a few words
        summary: String,
    }
}

contract! {
    /// An intent: a row of an order, as far as it is
    pub IntentRow {
        /// Id
        order_intent_id: String,
        /// Pair
        symbol: Symbol,
        /// Role of the order
        intent_kind: OrderRole,
        /// How far it is
        state: IntentState,
        /// When it changed last
        last_ts_ms: TsMs,
        /// Evaluation, or empty
        cycle_id: String,
        /// Decision, or empty
        decision_id: String,
        /// Side, quantity, price, state in words
        summary: String,
    }
}

contract! {
    /// A difference between the venue and us
    pub ReconcileDiffRow {
        /// When
        ts_ms: TsMs,
        /// Pair, or empty
        symbol: String,
        /// Evaluation of the order, or empty
        cycle_id: String,
        /// Its decision, or empty
        decision_id: String,
        /// Kind, both values, whether it is settled
        summary: String,
    }
}

contract! {
    /// What a round trip costs
    pub CostsBps {
        /// Fees of both ways
        fees_bps: Bps,
        /// Slippage of both ways
        slippage_bps: Bps,
        /// Spread that remains, and what the exit gives away
        spread_bps: Bps,
    }
}

contract! {
    /// A symbol
    pub MarketSymbolRow {
        /// Pair
        symbol: Symbol,
        /// Regime in one of two words
        regime: RegimeLabel,
        /// Strength of the trend
        trend_score_x10000: X10000,
        /// What is missing to a full trend
        range_score_x10000: X10000,
        /// Spread now
        spread_current_bps: Bps,
        /// Its median of the last minute
        spread_p50_bps: Bps,
        /// Its 90th percentile
        spread_p90_bps: Bps,
        /// That less the one of ten seconds ago
        delta_spread_bps_p90_10s: Bps,
        /// Median share of the bid in the best quantities over ten seconds
        imbalance_x10000: X10000,
        /// Edge of its best candidate
        edge_bps_expected: Bps,
        /// Costs of that candidate
        costs_bps: CostsBps,
        /// What stopped it, or empty
        blocked_reason_code: String,
        /// What is remarkable and stops nothing
        signal_flags: List<ReasonCode, 8>,
    }
}

contract! {
    /// Value of what is held of a symbol
    pub SymbolExposure {
        /// Pair
        symbol: Symbol,
        /// In the quote asset, at its bid
        quote: DecStr,
    }
}

contract! {
    /// A symbol that rests, or traded within the hour
    pub Cooldown {
        /// Pair
        symbol: Symbol,
        /// Until when, or 0
        cooldown_until_ts_ms: TsMs,
        /// Entries of the last hour
        trades_per_hour: i64,
        /// Losses in a row
        loss_streak: i64,
    }
}

contract! {
    /// A figure that a finalist was chosen by
    pub Feature {
        /// Name
        name: String,
        /// Value times 10,000
        value_x10000: X10000,
    }
}

contract! {
    /// A finalist
    pub TopKItemRow {
        /// Pair
        symbol: Symbol,
        /// Score
        score_x10000: X10000,
        /// Edge, surplus, confidence, chance of a fill, quality of the order-by-order book
        features_top: List<Feature, 5>,
        /// The guard against churn kept one in
        churn_guard_applied: bool,
    }
}

contract! {
    /// Two symbols that move together
    pub PairOver {
        /// The one that was picked
        a: Symbol,
        /// The other one
        b: Symbol,
        /// Their correlation
        corr_x10000: X10000,
        /// What became of it
        action: PairAction,
    }
}

contract! {
    /// An order
    pub OrderRow {
        /// When its row was written
        ts_ms: TsMs,
        /// Pair
        symbol: Symbol,
        /// Side
        side: Side,
        /// Base quantity
        qty: DecStr,
        /// Limit, or 0
        price: DecStr,
        /// State
        status: OrderState,
        /// Id of the intent
        order_intent_id: String,
        /// Our id at the venue
        cl_ord_id: String,
        /// The venue's id, or empty
        exchange_order_id: String,
        /// Type
        order_type: OrderType,
        /// Role
        role: OrderRole,
        /// Trigger, or 0
        trigger_price: DecStr,
        /// Base filled
        filled_qty: DecStr,
        /// Mean price of the fills, or 0
        avg_price: DecStr,
        /// Fees of the fills
        fee_quote: DecStr,
        /// Evaluation, or empty
        cycle_id: String,
        /// Decision, or empty
        decision_id: String,
    }
}
