//! Each rule of the gate as one function of plain values.
//!
//! Purpose: the only place where a rule is written. Inputs: settings, [`RiskInputs`], the order that is to
//! go out and, where one was made, the whole contract. Outputs: hits. Invariants: pure; a rule reads no
//! other rule's outcome, so any of them can be left out without another one changing.

use penstock_types::Decimal;
use penstock_types::decimal::{round_to, scale};
use penstock_types::vocab::{ReasonCode, SafetyMode, SysMode};

use super::case::{self, RiskCase};
use super::hits::{Hits, RiskHit};
use super::inputs::RiskInputs;
use super::kill::Losses;
use super::rule::Rule;
use crate::decide::config::DecideConfig;
use crate::engine_gate::{EngineCode, FACTOR_MIN};
use crate::{routes, size};

/// Balances older than this are not traded on, milliseconds.
pub const BALANCE_AGE_MS_MAX: i64 = 30_000;
/// Open or pending symbols from which on a further one must move differently.
pub const CORRELATED_MIN: i64 = 2;
/// Spread now against the average of the state, times 10.
const SPREAD_JUMP_X10: i64 = 15;
/// Way of the mid that is nothing unusual, bps.
const MOVED_BPS_MIN: i64 = 10;

/// The order that is judged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Order {
    pub(super) qty: Decimal,
    pub(super) limit_price: Decimal,
    pub(super) floor_quote: Decimal,
}

/// What a rule sees.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) config: &'a DecideConfig,
    pub(super) inputs: &'a RiskInputs,
    pub(super) order: Order,
    /// The decision as a contract.
    pub(super) case: &'a RiskCase<'a>,
}

impl View<'_> {
    fn new_quote(&self) -> Decimal {
        self.order.qty * self.order.limit_price
    }

    fn losses(&self) -> Losses {
        Losses {
            day_result: self.inputs.day_result_quote,
            day_open: self.inputs.day_open_quote,
            equity: self.inputs.equity_quote,
            hwm: self.inputs.hwm_quote,
        }
    }
}

/// Hits of one rule.
pub(super) fn apply(rule: Rule, view: &View<'_>) -> Vec<RiskHit> {
    let mut hits = Hits::of(rule);
    let rules: fn(&View<'_>, &mut Hits) = match rule {
        Rule::Mode => mode,
        Rule::Contract => contract,
        Rule::Costs => costs,
        Rule::Edge => edge,
        Rule::Gate => gate,
        Rule::Generation => generation,
        Rule::Freshness => freshness,
        Rule::SymbolMode => symbol_mode,
        Rule::Regime => regime,
        Rule::Engine => engine,
        Rule::Position => position,
        Rule::Pending => pending,
        Rule::Churn => churn,
        Rule::VenueCounter => venue_counter,
        Rule::Cooldown => cooldown,
        Rule::Window => window,
        Rule::LossStreak => loss_streak,
        Rule::Latency => latency,
        Rule::Correlation => correlation,
        Rule::OpenOrders => open_orders,
        Rule::TradesToday => trades_today,
        Rule::KillSwitch => kill_switches,
        Rule::Exposure => exposure,
        Rule::Size => size_and_budget,
        Rule::TotalShare => total_share,
        Rule::SymbolShare => symbol_share,
        Rule::Positions => positions,
        Rule::Slots => slots,
        Rule::OrderRate => order_rate,
        Rule::DailyShare => daily_share,
        Rule::Balance => balance,
        Rule::SpreadJump => spread_jump,
        Rule::PriceMoved => price_moved,
        Rule::Budget => budget,
    };
    rules(view, &mut hits);
    hits.finish()
}

fn mode(view: &View<'_>, hits: &mut Hits) {
    if view.inputs.sys_mode != SysMode::Normal || !view.config.execution_enable {
        hits.plain(ReasonCode::RiskModeBlock);
    }
}

fn contract(view: &View<'_>, hits: &mut Hits) {
    if !view.case.is_whole() {
        hits.plain(ReasonCode::StratInputInvalid);
    }
}

fn costs(view: &View<'_>, hits: &mut Hits) {
    let terms = view.case.sizing.terms;
    let least =
        [terms.fee_entry_bps, terms.fee_exit_bps, terms.slip_entry_bps, terms.slip_exit_bps]
            .into_iter()
            .fold(Decimal::ZERO, Decimal::min);
    if !view.inputs.has_fees || least < Decimal::ZERO {
        hits.add(ReasonCode::StratInputInvalid, Some(least), Some(Decimal::ZERO));
    }
}

fn edge(view: &View<'_>, hits: &mut Hits) {
    let case = view.case;
    let Some(limit) = case.edge_limit_bps() else { return };
    let edge = case.edge.now_bps();
    if edge < limit {
        hits.add(case.edge_code(limit), Some(edge), Some(limit));
    }
}

fn gate(view: &View<'_>, hits: &mut Hits) {
    let Some(gate) = view.case.gate else { return };
    for code in case::refusal_of(gate) {
        hits.plain(code);
    }
}

fn generation(view: &View<'_>, hits: &mut Hits) {
    if !view.inputs.is_generation_sound {
        hits.plain(ReasonCode::StateGenerationMismatch);
    }
}

fn freshness(view: &View<'_>, hits: &mut Hits) {
    let (config, inputs) = (view.config, view.inputs);
    let (fast, slow) = (config.route_freshness_fast_secs, config.route_freshness_slow_secs);
    let route_ms = routes::freshness_limit_secs(inputs.route, fast, slow) * 1_000;
    hits.older(ReasonCode::RouteStaleData, inputs.state_age_ms, route_ms);
    let message_ms = config.live_data_max_age_secs * 1_000;
    hits.older(ReasonCode::DataStale, inputs.message_age_ms, message_ms);
    hits.older(ReasonCode::QuoteStale, inputs.quote_age_ms, config.quote_max_age_ms);
}

/// Reason that a safety mode refuses an entry with; none for the one that does not.
#[must_use]
pub const fn safety_code(mode: SafetyMode, is_quarantine: bool) -> Option<ReasonCode> {
    match (mode, is_quarantine) {
        (SafetyMode::Normal, _) => None,
        (SafetyMode::Quiet | SafetyMode::ExitOnly, true) => Some(ReasonCode::SymbolQuarantined),
        (SafetyMode::Quiet, false) => Some(ReasonCode::SymbolQuiet),
        (SafetyMode::ExitOnly, false) => Some(ReasonCode::SymbolExitOnly),
        (SafetyMode::HardBlocked, _) => Some(ReasonCode::SymbolHardBlocked),
    }
}

fn symbol_mode(view: &View<'_>, hits: &mut Hits) {
    if let Some(code) = safety_code(view.inputs.safety, view.inputs.is_quarantine) {
        hits.plain(code);
    }
}

fn regime(view: &View<'_>, hits: &mut Hits) {
    let inputs = view.inputs;
    if routes::strategies(inputs.regime).is_empty() {
        hits.plain(ReasonCode::RegimeNoTrade);
    } else if !routes::is_offered(inputs.regime, inputs.strategy, inputs.route) {
        hits.plain(ReasonCode::RegimeMismatch);
    }
}

fn engine(view: &View<'_>, hits: &mut Hits) {
    let engine = view.inputs.engine;
    let small = (engine.size_factor < FACTOR_MIN).then_some(EngineCode::FsmBlock);
    if let Some(code) = engine.code.or(small) {
        hits.add(code.reason(), Some(engine.size_factor.into()), Some(FACTOR_MIN.into()));
    }
}

fn position(view: &View<'_>, hits: &mut Hits) {
    hits.at_least(ReasonCode::RiskPositionAlreadyOpen, view.inputs.symbol_positions, 1);
}

fn pending(view: &View<'_>, hits: &mut Hits) {
    hits.at_least(ReasonCode::RiskEntryAlreadyPending, view.inputs.symbol_entries, 1);
}

fn churn(view: &View<'_>, hits: &mut Hits) {
    let (churn, risk) = (view.inputs.past.churn, &view.config.risk);
    let replaces = ReasonCode::RiskCancelReplaceLimitHit;
    hits.at_least(replaces, churn.replaces, risk.churn_cancel_replace_max);
    hits.at_least(ReasonCode::RiskChurnLimitHit, churn.cancels, risk.churn_cancel_max);
    hits.at_least(ReasonCode::RiskChurnLimitHit, churn.new_orders, risk.churn_new_orders_max);
}

fn venue_counter(view: &View<'_>, hits: &mut Hits) {
    let limit = view.config.risk.counter_entry_pct * 100;
    let share = view.inputs.counter_share_x10000;
    hits.above(ReasonCode::RiskUnfilledOrderCountRisk, share.into(), limit.into());
}

fn cooldown(view: &View<'_>, hits: &mut Hits) {
    let left = view.inputs.past.cooldown_left_ms;
    hits.above(ReasonCode::RiskCooldownActive, left.into(), Decimal::ZERO);
}

fn window(view: &View<'_>, hits: &mut Hits) {
    let limit = view.config.risk_max_trades_per_window;
    hits.at_least(ReasonCode::RiskMaxTradesWindow, view.inputs.past.opened_in_window, limit);
}

fn loss_streak(view: &View<'_>, hits: &mut Hits) {
    let limit = view.config.risk.max_consecutive_losses;
    hits.at_least(ReasonCode::RiskSymbolLossStreak, view.inputs.past.loss_streak, limit);
}

fn latency(view: &View<'_>, hits: &mut Hits) {
    let latency = view.inputs.latency_p90_ms.unwrap_or(i64::MAX);
    let limit = view.config.risk_feed_latency_threshold_ms;
    hits.at_least(ReasonCode::RiskFeedLatency, latency, limit);
}

fn correlation(view: &View<'_>, hits: &mut Hits) {
    let Some((highest, limit)) = view.inputs.correlation else { return };
    if view.inputs.held_symbols >= CORRELATED_MIN {
        hits.at_least(ReasonCode::RiskCorrelationTooHigh, highest, limit);
    }
}

fn open_orders(view: &View<'_>, hits: &mut Hits) {
    let (inputs, config) = (view.inputs, view.config);
    let code = ReasonCode::RiskMaxOpenOrders;
    hits.at_least(code, inputs.symbol_entries, config.risk_max_open_orders_per_symbol);
    hits.at_least(code, inputs.entries, config.risk_max_open_orders_total);
}

fn trades_today(view: &View<'_>, hits: &mut Hits) {
    let limit = view.config.risk_max_trades_per_day;
    hits.at_least(ReasonCode::RiskMaxTradesDay, view.inputs.opened_today, limit);
}

fn kill_switches(view: &View<'_>, hits: &mut Hits) {
    let losses = view.losses();
    let both = [losses.of_day(view.config), losses.of_mark(view.config)];
    for (code, value, limit) in both.into_iter().flatten() {
        hits.add(code, Some(value), Some(limit));
    }
}

fn exposure(view: &View<'_>, hits: &mut Hits) {
    let (inputs, config) = (view.inputs, view.config);
    let of_symbol = inputs.exposure_symbol_quote + view.new_quote();
    let total = inputs.exposure_total_quote + view.new_quote();
    let code = ReasonCode::RiskExposureLimit;
    hits.above(code, of_symbol, config.risk_max_exposure_symbol_quote);
    hits.above(code, total, config.risk_max_exposure_total_quote);
}

fn size_and_budget(view: &View<'_>, hits: &mut Hits) {
    let (order, inputs) = (view.order, view.inputs);
    let most = size::size(&view.case.sizing).map_or(Decimal::ZERO, |sized| sized.qty);
    hits.above(ReasonCode::RiskSizeInvalid, order.qty, most);
    let (notional, floor) = (view.new_quote(), order.floor_quote);
    if notional < floor {
        hits.add(ReasonCode::ProtectionInvalidMinNotional, Some(notional), Some(floor));
    }
    if !view.case.is_stop_placeable() {
        hits.add(ReasonCode::ProtectionInvalidFilter, Some(order.qty), None);
    }
    let required = size::required_quote(order.qty, order.limit_price, inputs.taker_bps);
    hits.above(ReasonCode::RiskInsufficientFreeBalance, required, inputs.free_quote);
}

fn total_share(view: &View<'_>, hits: &mut Hits) {
    let inputs = view.inputs;
    let limit = view.config.max_open_notional_pct_of_equity * inputs.sizing_equity_quote;
    let total = inputs.exposure_total_quote + view.new_quote();
    hits.above(ReasonCode::RiskExposurePctTotal, total, limit);
}

fn symbol_share(view: &View<'_>, hits: &mut Hits) {
    let inputs = view.inputs;
    let limit = view.config.max_symbol_notional_pct_of_equity * inputs.sizing_equity_quote;
    let of_symbol = inputs.exposure_symbol_quote + view.new_quote();
    hits.above(ReasonCode::RiskExposurePctSymbol, of_symbol, limit);
}

fn positions(view: &View<'_>, hits: &mut Hits) {
    let limit = view.config.max_open_positions;
    hits.at_least(ReasonCode::RiskMaxOpenPositions, view.inputs.positions, limit);
}

fn slots(view: &View<'_>, hits: &mut Hits) {
    let limit = routes::terms(view.inputs.strategy).slots;
    hits.at_least(ReasonCode::RiskStrategySlots, view.inputs.strategy_slots, limit);
}

fn order_rate(view: &View<'_>, hits: &mut Hits) {
    let limit = view.config.order_rate_limit_per_min;
    hits.at_least(ReasonCode::RiskOrderRate, view.inputs.entries_last_60s, limit);
}

fn daily_share(view: &View<'_>, hits: &mut Hits) {
    if let Some((code, value, limit)) = view.losses().of_opening(view.config) {
        hits.add(code, Some(value), Some(limit));
    }
}

fn balance(view: &View<'_>, hits: &mut Hits) {
    hits.older(ReasonCode::RiskBalanceStale, view.inputs.balance_age_ms, BALANCE_AGE_MS_MAX);
}

fn bps_of(part: Decimal, whole: Decimal) -> Option<Decimal> {
    let share = part.checked_div(whole)?;
    Some(round_to(share.checked_mul(Decimal::from(10_000))?, scale::BPS))
}

/// Without a quote the rule of freshness refuses; with one, a missing figure of the state refuses here.
fn spread_jump(view: &View<'_>, hits: &mut Hits) {
    let Some((bid, ask)) = view.inputs.quote else { return };
    let spread = bps_of(ask - bid, (bid + ask) / Decimal::TWO);
    let limit = view.inputs.spread_avg_bps.map(|avg| Decimal::new(SPREAD_JUMP_X10, 1) * avg);
    beyond(hits, ReasonCode::RiskSpreadJump, spread, limit);
}

fn price_moved(view: &View<'_>, hits: &mut Hits) {
    let inputs = view.inputs;
    let Some((bid, ask)) = inputs.quote else { return };
    let mid = (bid + ask) / Decimal::TWO;
    let moved = inputs.state_mid.and_then(|state| bps_of((mid - state).abs(), state));
    let least = Decimal::from(MOVED_BPS_MIN);
    let limit = inputs.rv_5m_bps.map(|rv| least.max(rv / Decimal::TWO));
    beyond(hits, ReasonCode::RiskPriceMoved, moved, limit);
}

/// A hit when the value passes the limit, or when one of them is missing.
fn beyond(hits: &mut Hits, code: ReasonCode, value: Option<Decimal>, limit: Option<Decimal>) {
    if value.zip(limit).is_none_or(|(value, limit)| value > limit) {
        hits.add(code, value, limit);
    }
}

fn budget(view: &View<'_>, hits: &mut Hits) {
    let (inputs, new) = (view.inputs, view.new_quote());
    let code = ReasonCode::RiskCapitalExhausted;
    hits.above(code, inputs.strategy_used_quote + new, inputs.strategy_budget_quote);
    hits.above(code, inputs.group_used_quote + new, inputs.group_budget_quote);
}
