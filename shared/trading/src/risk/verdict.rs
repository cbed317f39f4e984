//! The verdict as a contract: reasons, limits as they were applied, counters, costs.
//!
//! Input: a judged case. Output: [`RiskVerdict`]. Invariants: a refusal has the reasons of its hits in
//! their order, each once; of an absolute and a relative cap the smaller is shown; counts beyond 32 bits
//! are shown as the greatest.

use penstock_contracts::amount::{AmountKind, DecStr};
use penstock_contracts::risk::{RiskLimitsSnapshot, RiskVerdict};
use penstock_contracts::vocab::RiskVerdictType;
use penstock_types::Decimal;
use penstock_types::vocab::ReasonCode;

use super::case::RiskCase;
use super::hits::RiskHit;

/// An amount with the digits of its kind; with its own where those do not fit.
fn amount(value: Decimal, kind: AmountKind) -> DecStr {
    DecStr::of_kind(value, kind).unwrap_or_else(|_| DecStr::of(value))
}

fn quote(value: Decimal) -> DecStr {
    amount(value, AmountKind::StateAmount)
}

fn whole(value: i64) -> i32 {
    i32::try_from(value).unwrap_or(if value < 0 { i32::MIN } else { i32::MAX })
}

fn share(part: Decimal, bps: Decimal) -> Decimal {
    part.checked_mul(bps).map_or(Decimal::MAX, |product| product / Decimal::from(10_000))
}

/// The verdict that the hits amount to.
pub(super) fn of(case: &RiskCase<'_>, hits: &[RiskHit]) -> RiskVerdict {
    let mut reasons: Vec<ReasonCode> = Vec::new();
    for hit in hits {
        if !reasons.contains(&hit.code) {
            reasons.push(hit.code);
        }
    }
    let verdict = if hits.is_empty() { RiskVerdictType::Allow } else { RiskVerdictType::Block };
    let (multiplier, least_edge) = case.least_edge();
    let entry = case.decision.entry_plan.as_ref();
    let qty = entry.map_or_else(|| DecStr::of(Decimal::ZERO), |entry| entry.qty);
    let notional = entry.and_then(penstock_contracts::plans::EntryPlan::notional);
    RiskVerdict {
        verdict,
        reasons,
        risk_limits: limits(case),
        costs: case.snapshot.costs.clone(),
        adjusted_min_edge_bps: amount(least_edge.unwrap_or(Decimal::MAX), AmountKind::Bps),
        multiplier_x10000: multiplier,
        sized_qty: qty,
        sized_quote: quote(notional.unwrap_or_default()),
    }
}

fn limits(case: &RiskCase<'_>) -> RiskLimitsSnapshot {
    let (config, inputs) = (case.config, case.inputs);
    let e = inputs.sizing_equity_quote;
    let symbol_cap =
        config.risk_max_exposure_symbol_quote.min(config.max_symbol_notional_pct_of_equity * e);
    let total_cap =
        config.risk_max_exposure_total_quote.min(config.max_open_notional_pct_of_equity * e);
    let opening = inputs.day_open_quote.unwrap_or(inputs.equity_quote);
    let daily = config.daily_loss_limit_quote.min(share(opening, config.daily_loss_limit_bps));
    let drawdown =
        config.risk_max_drawdown_quote.min(share(inputs.hwm_quote, config.drawdown_exit_only_bps));
    RiskLimitsSnapshot {
        equity_quote: quote(e),
        max_exposure_symbol_quote: quote(symbol_cap),
        max_exposure_total_quote: quote(total_cap),
        max_daily_loss_quote: quote(daily),
        max_drawdown_quote: quote(drawdown),
        risk_per_trade_quote: quote(config.risk_per_trade_quote),
        max_open_positions: whole(config.max_open_positions),
        max_open_orders: whole(config.risk_max_open_orders_total),
        max_trades_day: whole(config.risk_max_trades_per_day),
        max_trades_window: whole(config.risk_max_trades_per_window),
        trades_window_seconds: whole(config.risk.trades_window_secs),
        post_stop_cooldown_seconds: whole(config.risk_cooldown_seconds),
        orders_per_min: whole(config.order_rate_limit_per_min),
        exposure_symbol_quote: quote(inputs.exposure_symbol_quote),
        exposure_total_quote: quote(inputs.exposure_total_quote),
        daily_pnl_quote: quote(inputs.day_result_quote),
        drawdown_quote: quote(inputs.hwm_quote - inputs.equity_quote),
        trades_today: whole(inputs.opened_today),
        trades_window: whole(inputs.past.opened_in_window),
        orders_60s: whole(inputs.entries_last_60s),
        loss_streak: whole(inputs.past.loss_streak),
        balance_age_ms: whole(inputs.balance_age_ms.unwrap_or(i64::MAX)),
    }
}
