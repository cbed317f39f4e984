//! Cases of the rules that count.

use penstock_types::vocab::ReasonCode as C;

use super::super::rule::Rule as R;
use super::cases::{Case, nothing};

pub(super) fn of_counters() -> Vec<Case> {
    vec![
        (
            R::Churn,
            C::RiskCancelReplaceLimitHit,
            |w| w.inputs.past.churn.replaces = 2,
            |w| {
                w.inputs.past.churn.replaces = 3;
            },
        ),
        (
            R::Churn,
            C::RiskChurnLimitHit,
            |w| w.inputs.past.churn.cancels = 4,
            |w| {
                w.inputs.past.churn.cancels = 5;
            },
        ),
        (
            R::Churn,
            C::RiskChurnLimitHit,
            |w| w.inputs.past.churn.new_orders = 4,
            |w| {
                w.inputs.past.churn.new_orders = 5;
            },
        ),
        (
            R::VenueCounter,
            C::RiskUnfilledOrderCountRisk,
            |w| {
                w.inputs.counter_share_x10000 = 6_000;
            },
            |w| w.inputs.counter_share_x10000 = 6_001,
        ),
        (
            R::Cooldown,
            C::RiskCooldownActive,
            |w| w.inputs.past.cooldown_left_ms = 0,
            |w| {
                w.inputs.past.cooldown_left_ms = 1;
            },
        ),
        (
            R::Window,
            C::RiskMaxTradesWindow,
            |w| w.inputs.past.opened_in_window = 2,
            |w| {
                w.inputs.past.opened_in_window = 3;
            },
        ),
        (
            R::LossStreak,
            C::RiskSymbolLossStreak,
            |w| w.inputs.past.loss_streak = 2,
            |w| {
                w.inputs.past.loss_streak = 3;
            },
        ),
        (
            R::Latency,
            C::RiskFeedLatency,
            |w| w.inputs.latency_p90_ms = Some(999),
            |w| {
                w.inputs.latency_p90_ms = Some(1_000);
            },
        ),
        (R::Latency, C::RiskFeedLatency, nothing, |w| w.inputs.latency_p90_ms = None),
        (
            R::Correlation,
            C::RiskCorrelationTooHigh,
            |w| {
                (w.inputs.held_symbols, w.inputs.correlation) = (2, Some((7_999, 8_000)));
            },
            |w| (w.inputs.held_symbols, w.inputs.correlation) = (2, Some((8_000, 8_000))),
        ),
        (
            R::Correlation,
            C::RiskCorrelationTooHigh,
            |w| {
                (w.inputs.held_symbols, w.inputs.correlation) = (1, Some((10_000, 8_000)));
            },
            |w| (w.inputs.held_symbols, w.inputs.correlation) = (2, Some((10_000, 8_000))),
        ),
        (
            R::OpenOrders,
            C::RiskMaxOpenOrders,
            |w| w.inputs.entries = 9,
            |w| {
                w.inputs.entries = 10;
            },
        ),
        // One entry of the symbol is also the rule on pending ones, so the cap alone goes below it.
        (R::OpenOrders, C::RiskMaxOpenOrders, nothing, |w| {
            w.config.risk_max_open_orders_per_symbol = 0;
        }),
        (
            R::TradesToday,
            C::RiskMaxTradesDay,
            |w| w.inputs.opened_today = 19,
            |w| {
                w.inputs.opened_today = 20;
            },
        ),
        (
            R::Positions,
            C::RiskMaxOpenPositions,
            |w| w.inputs.positions = 4,
            |w| {
                w.inputs.positions = 5;
            },
        ),
        (
            R::Slots,
            C::RiskStrategySlots,
            |w| w.inputs.strategy_slots = 1,
            |w| {
                w.inputs.strategy_slots = 2;
            },
        ),
        (
            R::OrderRate,
            C::RiskOrderRate,
            |w| w.inputs.entries_last_60s = 9,
            |w| {
                w.inputs.entries_last_60s = 10;
            },
        ),
        (
            R::Balance,
            C::RiskBalanceStale,
            |w| w.inputs.balance_age_ms = Some(30_000),
            |w| {
                w.inputs.balance_age_ms = Some(30_001);
            },
        ),
        (R::Balance, C::RiskBalanceStale, nothing, |w| w.inputs.balance_age_ms = None),
    ]
}
