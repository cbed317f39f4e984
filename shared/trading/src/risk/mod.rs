//! The risk gate: numbered rules in their order, every hit recorded, the last word before the plan.
//!
//! Purpose: refuse an entry that a rule forbids. Inputs: the cycle's input, capital, the finalist with
//! its size. Outputs: hits in the order of the rules. Invariants: pure; only entries are judged here, a
//! risk-reducing order never is; the mode rule short-circuits. Rules that this version does not contain
//! pass: contract, cost and plan-edge rules, churn, venue counter, window, loss streak, correlation;
//! budgets act through the size.

use penstock_types::rows::PositionRow;
use penstock_types::state_row::StateRow;
use penstock_types::vocab::{
    Blocker, EntryMode, PositionStatus, ReasonCode, RouteType, SafetyMode, Strategy, SysMode,
};
use penstock_types::{Decimal, UtcMicros};
use serde::{Deserialize, Serialize};

use crate::cycle::{CycleInput, Quote};
use crate::decide::config::DecideConfig;
use crate::decide::outcome::Assessment;
use crate::engine_gate::{FACTOR_MIN, Verdict};
use crate::routes;
use crate::size::{self, CapitalState, Sized};

/// A rule that was hit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RiskHit {
    /// Number of the rule.
    pub rule: i64,
    /// Reason code.
    pub code: ReasonCode,
    /// Measured value, where there is one.
    pub value: Option<Decimal>,
    /// Its limit.
    pub limit: Option<Decimal>,
}

/// What the rules look at.
#[derive(Debug, Clone, Copy)]
pub struct RiskInput<'a> {
    /// The cycle's input.
    pub cycle: &'a CycleInput,
    /// Settings.
    pub config: &'a DecideConfig,
    /// Binding and ages.
    pub assessment: &'a Assessment,
    /// Capital.
    pub capital: &'a CapitalState,
    /// State of the symbol.
    pub state: &'a StateRow,
    /// Safety mode of the symbol.
    pub safety: SafetyMode,
    /// Strategy.
    pub strategy: Strategy,
    /// Route.
    pub route: RouteType,
    /// Entry mode.
    pub mode: EntryMode,
    /// Quote that prices it; none when withdrawn or one-sided.
    pub quote: Option<&'a Quote>,
    /// What the engine's gates say, as far as they are enforced.
    pub engine: Verdict,
    /// Size.
    pub sized: Sized,
    /// Limit price.
    pub limit_price: Decimal,
    /// Least size, quote.
    pub floor_quote: Decimal,
    /// Taker fee, bps.
    pub taker_bps: Decimal,
}

struct Hits(Vec<RiskHit>);

impl Hits {
    fn add(&mut self, rule: i64, code: ReasonCode, value: Option<Decimal>, limit: Option<Decimal>) {
        self.0.push(RiskHit { rule, code, value, limit });
    }

    fn at_least(&mut self, rule: i64, code: ReasonCode, value: i64, limit: i64) {
        if value >= limit {
            self.add(rule, code, Some(Decimal::from(value)), Some(Decimal::from(limit)));
        }
    }

    fn above(&mut self, rule: i64, code: ReasonCode, value: Decimal, limit: Decimal) {
        if value > limit {
            self.add(rule, code, Some(value.normalize()), Some(limit.normalize()));
        }
    }
}

/// All hits in the order of the rules; the mode rule alone when it is hit.
#[must_use]
pub fn evaluate(input: &RiskInput<'_>) -> Vec<RiskHit> {
    let mut hits = Hits(Vec::new());
    if input.cycle.sys_mode != SysMode::Normal || !input.config.execution_enable {
        hits.add(1, ReasonCode::RiskModeBlock, None, None);
        return hits.0;
    }
    data_rules(input, &mut hits);
    symbol_rules(input, &mut hits);
    account_rules(input, &mut hits);
    exposure_rules(input, &mut hits);
    count_rules(input, &mut hits);
    price_rules(input, &mut hits);
    hits.0
}

/// Rules 6 to 10: generation, freshness, the symbol's mode, the regime's offer, the engine. Rule 5 allows: there is
/// no gate of an outside judge in this version.
fn data_rules(input: &RiskInput<'_>, hits: &mut Hits) {
    if input.assessment.sync.is_some() || input.assessment.lineage_break.is_some() {
        hits.add(6, ReasonCode::StateGenerationMismatch, None, None);
    }
    let config = input.config;
    let limit_s = routes::freshness_limit_secs(
        input.route,
        config.route_freshness_fast_secs,
        config.route_freshness_slow_secs,
    );
    let state_age = input.assessment.state_age_ms.unwrap_or(i64::MAX);
    let message_age = state_age.saturating_add(i64::from(input.state.msg_age_ms));
    if state_age > limit_s * 1_000 {
        hits.add(
            7,
            ReasonCode::RouteStaleData,
            Some(state_age.into()),
            Some((limit_s * 1_000).into()),
        );
    }
    if message_age > config.live_data_max_age_secs * 1_000 {
        let limit = config.live_data_max_age_secs * 1_000;
        hits.add(7, ReasonCode::DataStale, Some(message_age.into()), Some(limit.into()));
    }
    let quote_age = input.cycle.frame.map_or(i64::MAX, |f| f.age_ms);
    if input.quote.is_none() || quote_age > config.quote_max_age_ms {
        hits.add(
            7,
            ReasonCode::QuoteStale,
            Some(quote_age.into()),
            Some(config.quote_max_age_ms.into()),
        );
    }
    match input.safety {
        SafetyMode::Normal => {}
        SafetyMode::Quiet => hits.add(8, ReasonCode::SymbolQuiet, None, None),
        SafetyMode::ExitOnly => hits.add(8, ReasonCode::SymbolExitOnly, None, None),
        SafetyMode::HardBlocked => hits.add(8, ReasonCode::SymbolHardBlocked, None, None),
    }
    let regime = input.state.regime;
    if routes::strategies(regime).is_empty() {
        hits.add(9, ReasonCode::RegimeNoTrade, None, None);
    } else if !routes::is_offered(regime, input.strategy, input.route) {
        hits.add(9, ReasonCode::RegimeMismatch, None, None);
    }
    if let Some(code) = input.engine.code {
        let (value, limit) = (input.engine.size_factor.into(), FACTOR_MIN.into());
        hits.add(10, code.reason(), Some(value), Some(limit));
    }
}

/// Rules 11, 12, 15, 16: what the symbol holds and did lately.
fn symbol_rules(input: &RiskInput<'_>, hits: &mut Hits) {
    let symbol = &input.state.symbol;
    if input.cycle.positions.iter().any(|p| &p.symbol == symbol && holds(p)) {
        hits.add(11, ReasonCode::RiskPositionAlreadyOpen, None, None);
    }
    if size::live_entries(input.cycle, None, Some(symbol)) > 0 {
        hits.add(12, ReasonCode::RiskEntryAlreadyPending, None, None);
    }
    let Some(past) = input.cycle.counters.symbols.iter().find(|c| &c.symbol == symbol) else {
        return;
    };
    if let Some(left) = cooldown_left_ms(past.last_stop_exit_at, input.cycle.now, input.config) {
        hits.add(15, ReasonCode::RiskCooldownActive, Some(left.into()), Some(Decimal::ZERO));
    }
    let limit = input.config.risk_max_trades_per_window;
    hits.at_least(16, ReasonCode::RiskMaxTradesWindow, past.opened_in_window, limit);
}

fn cooldown_left_ms(last: Option<UtcMicros>, now: UtcMicros, config: &DecideConfig) -> Option<i64> {
    let until = last?.plus_millis(config.risk_cooldown_seconds * 1_000);
    (now < until).then(|| until.millis_since(now))
}

/// A position that takes part in limits: dust does not.
#[must_use]
pub fn holds(position: &PositionRow) -> bool {
    match position.status {
        PositionStatus::Open | PositionStatus::Closing => true,
        PositionStatus::Closed | PositionStatus::Dust => false,
    }
}

/// Rules 18, 20, 21, 22: latency, order caps, trades of the day, kill switches.
fn account_rules(input: &RiskInput<'_>, hits: &mut Hits) {
    let (cycle, config) = (input.cycle, input.config);
    let latency = cycle.frame.map_or(i64::MAX, |f| f.latency_p90_ms);
    hits.at_least(18, ReasonCode::RiskFeedLatency, latency, config.risk_feed_latency_threshold_ms);
    let of_symbol = size::live_entries(cycle, None, Some(&input.state.symbol));
    let total = size::live_entries(cycle, None, None);
    if of_symbol >= config.risk_max_open_orders_per_symbol
        || total >= config.risk_max_open_orders_total
    {
        let limit = config.risk_max_open_orders_total;
        hits.add(20, ReasonCode::RiskMaxOpenOrders, Some(total.into()), Some(limit.into()));
    }
    let opened = cycle.counters.opened_today;
    hits.at_least(21, ReasonCode::RiskMaxTradesDay, opened, config.risk_max_trades_per_day);
    let kill = kill_switch(input.capital, config);
    for (code, value, limit) in kill.into_iter().filter(|k| k.0 != ReasonCode::RiskDailyLossPct) {
        hits.add(22, code, Some(value), Some(limit));
    }
}

/// Limits on the day's loss and on the drawdown; also causes of the mode.
#[must_use]
pub fn kill_switch(
    capital: &CapitalState,
    config: &DecideConfig,
) -> Vec<(ReasonCode, Decimal, Decimal)> {
    let mut hits = Vec::new();
    let day = capital.day_result_quote;
    if day <= -config.daily_loss_limit_quote {
        hits.push((
            ReasonCode::RiskDailyLossLimit,
            day.normalize(),
            -config.daily_loss_limit_quote,
        ));
    }
    let drawdown = capital.hwm_quote - capital.equity_quote;
    if drawdown >= config.risk_max_drawdown_quote
        || capital.drawdown_bps >= config.drawdown_exit_only_bps
    {
        let bps = capital.drawdown_bps.normalize();
        hits.push((ReasonCode::RiskDrawdownLimit, bps, config.drawdown_exit_only_bps));
    }
    let opening = capital.day_open_quote.unwrap_or(capital.equity_quote);
    if opening > Decimal::ZERO {
        let loss_bps = -day / opening * Decimal::from(10_000);
        if loss_bps >= config.daily_loss_limit_bps {
            let value = penstock_types::decimal::round_to(loss_bps, 4).normalize();
            hits.push((ReasonCode::RiskDailyLossPct, value, config.daily_loss_limit_bps));
        }
    }
    hits
}

/// Rules 23 to 26: exposure, size and budget, shares of equity.
fn exposure_rules(input: &RiskInput<'_>, hits: &mut Hits) {
    let (capital, config) = (input.capital, input.config);
    let new = input.sized.qty * input.limit_price;
    let of_symbol = capital.exposure_of(&input.state.symbol) + new;
    let total = capital.allocated_quote() + new;
    hits.above(23, ReasonCode::RiskExposureLimit, of_symbol, config.risk_max_exposure_symbol_quote);
    hits.above(23, ReasonCode::RiskExposureLimit, total, config.risk_max_exposure_total_quote);
    let notional = input.sized.qty * input.limit_price;
    if notional < input.floor_quote {
        let (value, limit) = (notional.normalize(), input.floor_quote.normalize());
        hits.add(24, ReasonCode::RiskSizeInvalid, Some(value), Some(limit));
    }
    let required = size::required_quote(input.sized.qty, input.limit_price, input.taker_bps);
    hits.above(24, ReasonCode::RiskInsufficientFreeBalance, required, capital.free_quote);
    let e = capital.sizing_equity_quote;
    let total_limit = config.max_open_notional_pct_of_equity * e;
    hits.above(25, ReasonCode::RiskExposurePctTotal, total, total_limit);
    let symbol_limit = config.max_symbol_notional_pct_of_equity * e;
    hits.above(26, ReasonCode::RiskExposurePctSymbol, of_symbol, symbol_limit);
}

/// Rules 27 to 31: positions, slots, order rate, the day's loss in percent, age of the balances.
fn count_rules(input: &RiskInput<'_>, hits: &mut Hits) {
    let (cycle, config) = (input.cycle, input.config);
    let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    let open = count(cycle.positions.iter().filter(|p| holds(p)).count());
    hits.at_least(27, ReasonCode::RiskMaxOpenPositions, open, config.max_open_positions);
    let strategy = input.strategy;
    let of_strategy =
        count(cycle.positions.iter().filter(|p| holds(p) && p.strategy == Some(strategy)).count())
            + size::live_entries(cycle, Some(strategy), None);
    hits.at_least(28, ReasonCode::RiskStrategySlots, of_strategy, routes::terms(strategy).slots);
    let rate = cycle.counters.entries_last_60s;
    hits.at_least(29, ReasonCode::RiskOrderRate, rate, config.order_rate_limit_per_min);
    let kill = kill_switch(input.capital, config);
    for (code, value, limit) in kill.into_iter().filter(|k| k.0 == ReasonCode::RiskDailyLossPct) {
        hits.add(30, code, Some(value), Some(limit));
    }
    let current = cycle.stream.connected && cycle.stream.snapshots_ok;
    if input.capital.cash_quote.is_none() || !current || cycle.stream.silent_ms > BALANCE_AGE_MS_MAX
    {
        let age = cycle.stream.silent_ms;
        hits.add(
            31,
            ReasonCode::RiskBalanceStale,
            Some(age.into()),
            Some(BALANCE_AGE_MS_MAX.into()),
        );
    }
}

/// Balances are current while their subscription is whole; their age is the stream's silence.
const BALANCE_AGE_MS_MAX: i64 = 30_000;

/// Rules 32 and 33: the quote against the state.
fn price_rules(input: &RiskInput<'_>, hits: &mut Hits) {
    let (Some(quote), Some(spread_avg)) = (input.quote, input.state.spread_avg_bps) else {
        return;
    };
    let bps = Decimal::from(10_000);
    let mid = quote.mid();
    let spread = (quote.ask - quote.bid) / mid * bps;
    let round = |d: Decimal| penstock_types::decimal::round_to(d, 4);
    hits.above(32, ReasonCode::RiskSpreadJump, round(spread), Decimal::new(15, 1) * spread_avg);
    let (Some(state_mid), Some(v)) = (input.state.mid, input.state.rv_5m_bps) else {
        return;
    };
    if state_mid > Decimal::ZERO {
        let moved = ((mid - state_mid) / state_mid * bps).abs();
        hits.above(
            33,
            ReasonCode::RiskPriceMoved,
            round(moved),
            Decimal::TEN.max(v / Decimal::TWO),
        );
    }
}

/// Blocker that the hits of the risk gate show as.
#[must_use]
pub fn blocker_of(hits: &[RiskHit]) -> Option<Blocker> {
    hits.iter()
        .map(|hit| match hit.rule {
            1 => Blocker::ModeBlocked,
            7 if hit.code == ReasonCode::RouteStaleData => Blocker::RouteStale,
            6 | 7 => Blocker::DataStale,
            8 => match hit.code {
                ReasonCode::SymbolHardBlocked => Blocker::HardBlocked,
                ReasonCode::SymbolExitOnly => Blocker::ExitOnly,
                _ => Blocker::QuietMode,
            },
            10 => Blocker::EngineBlocked,
            11 => Blocker::PositionOpen,
            12 => Blocker::SymbolLocked,
            23 | 25 | 26 => Blocker::ExposureLimit,
            24 if hit.code == ReasonCode::RiskInsufficientFreeBalance => Blocker::CapitalExhausted,
            24 => Blocker::SizeBelowMinimum,
            27 | 28 => Blocker::SlotLimit,
            29 => Blocker::RateLimited,
            _ => Blocker::RiskBlocked,
        })
        .min_by_key(|b| (b.rank(), *b))
}
