//! What risk says of a decision, and what it weighed: limits, counters, costs.
//!
//! Input: the numbers of one evaluation. Output: contracts. Invariants: a block has a reason and a permission has none;
//! amounts are decimal text. It contains no rule: the rules judge elsewhere and fill these in.

use crate::amount::DecStr;
use crate::invalid::{Checks, Invalid};
use crate::shape::contract;
use crate::units::X10000;
use crate::vocab::{FeeSource, RiskVerdictType};
use penstock_types::Decimal;
use penstock_types::vocab::ReasonCode;

/// Highest multiplier of the least edge that a configuration may allow, times 10,000.
pub const MULTIPLIER_X10000_MAX: i32 = 10_000_000;
/// How far the total may be from the sum of its terms: nine numbers, each half a unit of its fourth digit off.
pub const TOTAL_ROUNDING_BPS: Decimal = Decimal::from_parts(45, 0, 0, false, 5);

contract! {
    /// Terms of the one cost model in basis points; positive is a cost.
    pub CostsSnapshot {
        /// Fee of the entry.
        fee_entry: DecStr,
        /// Fee of the exit.
        fee_exit: DecStr,
        /// Slippage of the entry.
        slip_entry: DecStr,
        /// Slippage of the exit.
        slip_exit: DecStr,
        /// Share of the spread; below zero it is income.
        spread_net: DecStr,
        /// Distance between the trigger of the exit and its price.
        exit_drag: DecStr,
        /// Share of the trail that is given back.
        tsl_drag: DecStr,
        /// Risk of waiting for a fill.
        wait_risk: DecStr,
        /// Sum of the terms.
        total: DecStr,
        /// Where the fees come from.
        fee_source: FeeSource,
    }
}

contract! {
    /// Limits of risk as they were applied, and the counters beside them. Quote amounts; of an absolute and a relative
    /// cap the smaller one.
    pub RiskLimitsSnapshot {
        /// Equity that sizes are shares of.
        equity_quote: DecStr,
        /// Cap of one symbol.
        max_exposure_symbol_quote: DecStr,
        /// Cap of all symbols.
        max_exposure_total_quote: DecStr,
        /// Loss of a day that stops entries.
        max_daily_loss_quote: DecStr,
        /// Fall from the high-water mark that stops entries.
        max_drawdown_quote: DecStr,
        /// Loss at the stop of one trade.
        risk_per_trade_quote: DecStr,
        /// Open positions.
        max_open_positions: i32,
        /// Open orders.
        max_open_orders: i32,
        /// Trades of a day.
        max_trades_day: i32,
        /// Trades of a symbol in the window.
        max_trades_window: i32,
        /// Length of the window.
        trades_window_seconds: i32,
        /// Rest of a symbol after a stop.
        post_stop_cooldown_seconds: i32,
        /// Entry orders in 60 seconds.
        orders_per_min: i32,
        /// Exposure of the symbol now.
        exposure_symbol_quote: DecStr,
        /// Exposure of all symbols now.
        exposure_total_quote: DecStr,
        /// Profit of the day.
        daily_pnl_quote: DecStr,
        /// Fall from the high-water mark.
        drawdown_quote: DecStr,
        /// Trades of the day.
        trades_today: i32,
        /// Trades of the symbol in the window.
        trades_window: i32,
        /// Entry orders of the last 60 seconds.
        orders_60s: i32,
        /// Losses of the symbol in a row.
        loss_streak: i32,
        /// Age of the balance.
        balance_age_ms: i32,
    }
}

contract! {
    /// What risk says.
    pub RiskVerdict {
        /// Goes on or ends here.
        verdict: RiskVerdictType,
        /// Why it ends here, every rule that was hit in the order of the rules.
        reasons: Vec<ReasonCode>,
        /// Limits and counters.
        risk_limits: RiskLimitsSnapshot,
        /// Costs.
        costs: CostsSnapshot,
        /// Least edge in basis points after the multiplier.
        adjusted_min_edge_bps: DecStr,
        /// Multiplier of the least edge, times 10,000.
        multiplier_x10000: X10000,
        /// Quantity that is approved.
        sized_qty: DecStr,
        /// The same in quote.
        sized_quote: DecStr,
    }
}

impl CostsSnapshot {
    /// Every breach: the total is the sum, and no term but the spread is an income.
    #[must_use]
    pub fn breaches(&self) -> Vec<Invalid> {
        let mut checks = Checks::default();
        for (field, term) in [
            ("costs.fee_entry", self.fee_entry),
            ("costs.fee_exit", self.fee_exit),
            ("costs.slip_entry", self.slip_entry),
            ("costs.slip_exit", self.slip_exit),
            ("costs.exit_drag", self.exit_drag),
            ("costs.tsl_drag", self.tsl_drag),
            ("costs.wait_risk", self.wait_risk),
        ] {
            checks.value(field, !term.is_negative(), || format!("{term} bps is below 0"));
        }
        let sum = self.sum();
        let off = sum.and_then(|sum| sum.checked_sub(self.total.value())).map(|off| off.abs());
        checks.value("costs.total", off.is_some_and(|off| off <= TOTAL_ROUNDING_BPS), || {
            format!("{} bps is not the sum of the terms, {sum:?}", self.total)
        });
        checks.finish()
    }

    fn sum(&self) -> Option<Decimal> {
        [
            self.fee_entry,
            self.fee_exit,
            self.slip_entry,
            self.slip_exit,
            self.spread_net,
            self.exit_drag,
            self.tsl_drag,
            self.wait_risk,
        ]
        .iter()
        .try_fold(Decimal::ZERO, |sum, term| sum.checked_add(term.value()))
    }
}

impl RiskVerdict {
    /// Every breach: a block has reasons, a permission has none, no reason stands twice.
    #[must_use]
    pub fn breaches(&self) -> Vec<Invalid> {
        let mut checks = Checks::default();
        match self.verdict {
            RiskVerdictType::Block => {
                checks.present("risk_verdict.reasons", !self.reasons.is_empty());
            }
            RiskVerdictType::Allow => {
                checks.value("risk_verdict.reasons", self.reasons.is_empty(), || {
                    format!("ALLOW has {} reasons, 0 are allowed", self.reasons.len())
                });
                checks.value("risk_verdict.sized_qty", self.sized_qty.is_positive(), || {
                    format!("{} is not above 0", self.sized_qty)
                });
                checks.value("risk_verdict.sized_quote", self.sized_quote.is_positive(), || {
                    format!("{} is not above 0", self.sized_quote)
                });
            }
        }
        checks.value("risk_verdict.reasons", crate::decision::are_distinct(&self.reasons), || {
            "a reason stands twice".to_owned()
        });
        let multiplier = i64::from(self.multiplier_x10000.0);
        let most = i64::from(MULTIPLIER_X10000_MAX);
        checks.range("risk_verdict.multiplier_x10000", multiplier, 10_000, most);
        checks.value(
            "risk_verdict.adjusted_min_edge_bps",
            !self.adjusted_min_edge_bps.is_negative(),
            || format!("{} bps is below 0", self.adjusted_min_edge_bps),
        );
        checks.also(self.costs.breaches());
        checks.finish()
    }
}
