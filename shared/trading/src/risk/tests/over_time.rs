//! Counters over time, each from rows alone: what a restart reads is what was known before it.

use penstock_types::rows::{CloseRow, SymbolCounters};
use penstock_types::vocab::ReasonCode as C;
use penstock_types::{PositionId, UtcMicros};

use super::super::counters::{self, Past};
use super::super::{RiskInputs, RiskSettings, RiskSource, kill_switch};
use crate::capital;
use crate::cycle::CycleInput;
use crate::decide::{DecideConfig, assess};
use crate::engine_gate::Verdict;
use crate::fixtures::{self, NOW, dec};
use crate::quarantine::QuarantineSettings;
use penstock_types::vocab::{RouteType, SafetyMode, Strategy};

fn at(secs: i64) -> UtcMicros {
    NOW.plus_millis(secs * 1_000)
}

/// Inputs of the first symbol at a moment, from a cycle's input that was written and read again.
fn inputs(cycle: &CycleInput) -> RiskInputs {
    let text = serde_json::to_string(cycle).unwrap();
    let cycle: CycleInput = serde_json::from_str(&text).unwrap();
    let config = fixtures::config();
    let states = cycle.states.iter().map(|row| (&row.symbol, row)).collect();
    let capital = capital::capital(&cycle, &config, &states, &[]);
    RiskInputs::of(&RiskSource {
        cycle: &cycle,
        config: &config,
        assessment: &assess(&cycle, &config),
        capital: &capital,
        state: &cycle.states[0],
        strategy: Strategy::Momentum,
        route: RouteType::BreakoutContinuation,
        quote: None,
        engine: Verdict::NEUTRAL,
        correlations: None,
    })
}

fn past_at(secs: i64, rows: &SymbolCounters) -> Past {
    let mut cycle = fixtures::input(2);
    cycle.now = at(secs);
    cycle.counters.symbols = vec![rows.clone()];
    inputs(&cycle).past
}

fn rows() -> SymbolCounters {
    SymbolCounters::idle(fixtures::symbol(0))
}

fn close(secs: i64, net: &str) -> CloseRow {
    CloseRow { at: at(secs), net_quote: dec(net) }
}

/// The rest after a stop, and the sliding window.
pub(super) fn check_cooldown_and_window() {
    let stopped = SymbolCounters { last_stop_exit_at: Some(at(0)), ..rows() };
    let left = |secs| past_at(secs, &stopped).cooldown_left_ms;
    assert_eq!((left(0), left(299), left(300), left(301)), (300_000, 1_000, 0, 0));
    assert_eq!(past_at(0, &rows()).cooldown_left_ms, 0, "it was never stopped");
    let opened = SymbolCounters { opened_in_window: 3, ..rows() };
    assert_eq!(past_at(0, &opened).opened_in_window, 3);
    let other = SymbolCounters { symbol: fixtures::symbol(1), ..opened };
    assert_eq!(past_at(0, &other), Past::default(), "another symbol's past is not ours");
}

/// Losses in a row: three of them block, a gain or an hour ends them.
pub(super) fn check_losses() {
    let mut lost = rows();
    let streak = |rows: &SymbolCounters, secs| past_at(secs, rows).loss_streak;
    for (n, secs) in (1..).zip([0, 600, 1_200]) {
        lost.closes.push(close(secs, "-0.01"));
        assert_eq!(streak(&lost, secs), n);
    }
    assert_eq!(streak(&lost, 1_200 + 3_599), 3);
    assert_eq!(streak(&lost, 1_200 + 3_600), 0, "an hour after the last loss");
    let mut gained = lost.clone();
    gained.closes.push(close(1_300, "0.01"));
    assert_eq!(streak(&gained, 1_300), 0);
    lost.closes.push(close(1_200 + 3_600, "-0.01"));
    assert_eq!(streak(&lost, 4_800), 1, "a new row of losses");
    let spans = counters::spans(&RiskSettings::default(), 300);
    assert_eq!((spans.closes_secs, spans.closes_max), (10_800, 3), "three losses span less");
}

/// Churn: five orders in ten seconds, and the minute after it.
pub(super) fn check_churn() {
    let mut busy = rows();
    let new_orders = |rows: &SymbolCounters, secs| past_at(secs, rows).churn.new_orders;
    for (n, secs) in (1..).zip([0, 2, 4, 6, 8]) {
        busy.orders_sent.push(at(secs));
        assert_eq!(new_orders(&busy, secs), n);
    }
    assert_eq!(new_orders(&busy, 8 + 59), 5);
    assert_eq!(new_orders(&busy, 8 + 60), 0, "a minute after the hit");
    let mut replaced = rows();
    for secs in [0, 2, 4] {
        replaced.cancels_sent.push(at(secs));
        replaced.orders_sent.push(at(secs + 1));
    }
    let churn = past_at(5, &replaced).churn;
    assert_eq!((churn.replaces, churn.cancels, churn.new_orders), (3, 3, 3));
}

/// Quarantine: from refusals and timeouts, for an hour.
pub(super) fn check_quarantine() {
    let rule = QuarantineSettings::default();
    assert!(!rule.refused_too_often(&[at(0), at(60)], at(60)));
    assert!(rule.refused_too_often(&[at(0), at(60), at(120)], at(120)));
    assert!(!rule.refused_too_often(&[at(0), at(60), at(3_600)], at(3_600)));
    assert!(rule.unanswered_too_often(&[true, true, true]));
    assert!(!rule.unanswered_too_often(&[true, false, true]));
    assert_eq!(rule.sentence(at(0)), (SafetyMode::Quiet, Some(at(3_600))));
}

/// Kill switches: the day's loss ends with the day's rows, the drawdown with the equity.
pub(super) fn check_kill_switches() {
    let config = DecideConfig::default();
    let codes = |cycle: &CycleInput| {
        let states = cycle.states.iter().map(|row| (&row.symbol, row)).collect();
        let capital = capital::capital(cycle, &config, &states, &[]);
        kill_switch(&capital, &config).into_iter().map(|hit| hit.0).collect::<Vec<_>>()
    };
    let mut cycle = fixtures::input(2);
    assert_eq!(codes(&cycle), []);
    cycle.equity.realized_day_quote = dec("-49.9999999999");
    assert_eq!(codes(&cycle), []);
    cycle.equity.realized_day_quote = dec("-50");
    assert_eq!(codes(&cycle), [C::RiskDailyLossLimit]);
    cycle.equity.realized_day_quote = dec("-200");
    assert_eq!(codes(&cycle), [C::RiskDailyLossLimit, C::RiskDailyLossPct]);
    cycle.equity.realized_day_quote = dec("0");
    assert_eq!(codes(&cycle), [], "the next day has no losses yet");
    // An unrealised loss counts: 50 of a position that is worth 0.5 at 100 and cost 100.
    let mut held = position();
    held.cost_basis_quote = dec("100");
    cycle.positions.push(held);
    assert_eq!(codes(&cycle), [C::RiskDailyLossLimit]);
    cycle.positions.clear();
    // 500 bps of the mark, exactly: 10000 against 10526.3157894736…
    cycle.equity.hwm_quote = Some(dec("10526.3157894736"));
    assert_eq!(codes(&cycle), [C::RiskDrawdownLimit], "526.3 is more than 500");
    let wide = DecideConfig { risk_max_drawdown_quote: dec("100000"), ..DecideConfig::default() };
    let relative = |hwm: &str| {
        let mut cycle = fixtures::input(2);
        cycle.equity.hwm_quote = Some(dec(hwm));
        let states = cycle.states.iter().map(|row| (&row.symbol, row)).collect();
        let capital = capital::capital(&cycle, &wide, &states, &[]);
        !kill_switch(&capital, &wide).is_empty()
    };
    assert!(!relative("10526.3157894736"), "a ten-billionth below 500 bps, though it rounds to it");
    assert!(relative("10526.3157894737"));
}

fn position() -> penstock_types::rows::PositionRow {
    penstock_types::rows::PositionRow {
        position_id: PositionId(1),
        symbol: fixtures::symbol(0),
        status: penstock_types::vocab::PositionStatus::Open,
        origin: penstock_types::vocab::PositionOrigin::Strategy,
        strategy: Some(Strategy::Momentum),
        route_type: None,
        horizon: None,
        regime_at_entry: None,
        opened_at: NOW,
        base_qty: dec("0.5"),
        cost_basis_quote: dec("50"),
        avg_entry_price: Some(dec("100")),
        protected_qty: dec("0.5"),
        plan: None,
    }
}

/// One entry or position of a symbol, dust excluded; counted also for the whole account.
pub(super) fn check_positions() {
    let mut cycle = fixtures::input(2);
    cycle.positions.push(position());
    let found = inputs(&cycle);
    assert_eq!((found.symbol_positions, found.positions, found.strategy_slots), (1, 1, 1));
    cycle.positions[0].status = penstock_types::vocab::PositionStatus::Dust;
    let found = inputs(&cycle);
    assert_eq!((found.symbol_positions, found.positions, found.strategy_slots), (0, 0, 0));
    cycle.positions[0].status = penstock_types::vocab::PositionStatus::Closing;
    cycle.positions[0].symbol = fixtures::symbol(1);
    let found = inputs(&cycle);
    assert_eq!((found.symbol_positions, found.positions, found.held_symbols), (0, 1, 1));
}
