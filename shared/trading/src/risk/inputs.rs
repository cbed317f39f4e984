//! What the rules look at for one symbol: every counter, age and amount as a plain value.
//!
//! Purpose: pick from a cycle's input what a judgement of one symbol needs. Inputs: the cycle, the
//! capital, the symbol's state and quote, its correlations. Outputs: [`RiskInputs`]. Invariants: nothing
//! here comes from memory that a restart would lose, but for ages and for the venue's counter, which the
//! cycle's input records; an absent figure stays absent. It judges nothing.

use std::collections::BTreeMap;

use penstock_types::rows::PositionRow;
use penstock_types::state_row::StateRow;
use penstock_types::vocab::{PositionStatus, Regime, RouteType, SafetyMode, Strategy, SysMode};
use penstock_types::{Decimal, Symbol};

use super::counters::Past;
use crate::capital::CapitalState;
use crate::cycle::{CycleInput, Quote};
use crate::decide::config::DecideConfig;
use crate::decide::outcome::Assessment;
use crate::engine_gate::Verdict;
use crate::size;

/// How a symbol moves with each symbol that is held or about to be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Correlations {
    /// Correlation times 10,000 with each of them. A pair that is not known stands here with the value
    /// that the configuration gives it, or is left out.
    pub with: BTreeMap<Symbol, i64>,
    /// Correlation that is too high.
    pub limit_x10000: i64,
}

/// What [`RiskInputs::of`] reads.
#[derive(Debug, Clone, Copy)]
pub struct RiskSource<'a> {
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
    /// Strategy of the entry.
    pub strategy: Strategy,
    /// Route of the entry.
    pub route: RouteType,
    /// Quote that prices it; none when withdrawn or one-sided.
    pub quote: Option<&'a Quote>,
    /// What the engine's gates say, as far as they are enforced.
    pub engine: Verdict,
    /// Correlations with what is held; none where they are judged elsewhere.
    pub correlations: Option<&'a Correlations>,
}

/// Everything that the rules look at, beside the decision itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RiskInputs {
    /// Mode of the process.
    pub sys_mode: SysMode,
    /// A fee tier is known.
    pub has_fees: bool,
    /// The generation is whole and of our lineage.
    pub is_generation_sound: bool,
    /// Age of the state, milliseconds; none without one.
    pub state_age_ms: Option<i64>,
    /// Age of the symbol's newest message, milliseconds.
    pub message_age_ms: Option<i64>,
    /// Age of the quote, milliseconds; none when it is withdrawn or one-sided.
    pub quote_age_ms: Option<i64>,
    /// Safety mode of the symbol.
    pub safety: SafetyMode,
    /// That mode is a quarantine's.
    pub is_quarantine: bool,
    /// Published regime.
    pub regime: Regime,
    /// Strategy of the entry.
    pub strategy: Strategy,
    /// Route of the entry.
    pub route: RouteType,
    /// What the engine's gates say.
    pub engine: Verdict,
    /// Open positions of the symbol, dust excluded.
    pub symbol_positions: i64,
    /// Live entries of the symbol.
    pub symbol_entries: i64,
    /// Live entries.
    pub entries: i64,
    /// Recent past of the symbol.
    pub past: Past,
    /// The venue's counter of the pair, share of its ceiling times 10,000.
    pub counter_share_x10000: i64,
    /// Frame age at use, 90th percentile of a minute, milliseconds; none without a frame.
    pub latency_p90_ms: Option<i64>,
    /// Other symbols that are held or about to be.
    pub held_symbols: i64,
    /// Greatest correlation with one of them, times 10,000, and what is too high.
    pub correlation: Option<(i64, i64)>,
    /// Positions opened today.
    pub opened_today: i64,
    /// Entry orders of the last minute.
    pub entries_last_60s: i64,
    /// Result of the day, quote: realised and unrealised.
    pub day_result_quote: Decimal,
    /// Equity at the day's opening; none before the first snapshot of all.
    pub day_open_quote: Option<Decimal>,
    /// Equity.
    pub equity_quote: Decimal,
    /// High-water mark.
    pub hwm_quote: Decimal,
    /// Equity that shares are taken of.
    pub sizing_equity_quote: Decimal,
    /// Exposure of the symbol.
    pub exposure_symbol_quote: Decimal,
    /// Exposure of all symbols.
    pub exposure_total_quote: Decimal,
    /// Free quote.
    pub free_quote: Decimal,
    /// Taker fee, bps: what an order must be able to pay.
    pub taker_bps: Decimal,
    /// Open positions, dust excluded.
    pub positions: i64,
    /// Open positions and live entries of the strategy.
    pub strategy_slots: i64,
    /// Age of the balances, milliseconds; none when they are unknown or their subscription is not whole.
    pub balance_age_ms: Option<i64>,
    /// Bid and ask of the quote.
    pub quote: Option<(Decimal, Decimal)>,
    /// Average spread of the state, bps.
    pub spread_avg_bps: Option<Decimal>,
    /// Mid of the state.
    pub state_mid: Option<Decimal>,
    /// Volatility of the state, bps.
    pub rv_5m_bps: Option<Decimal>,
    /// Exposure of the strategy.
    pub strategy_used_quote: Decimal,
    /// Budget of the strategy.
    pub strategy_budget_quote: Decimal,
    /// Exposure of the symbol's fullest correlation group.
    pub group_used_quote: Decimal,
    /// Budget of a correlation group.
    pub group_budget_quote: Decimal,
}

/// A position that takes part in limits: dust does not.
#[must_use]
pub fn holds(position: &PositionRow) -> bool {
    match position.status {
        PositionStatus::Open | PositionStatus::Closing => true,
        PositionStatus::Closed | PositionStatus::Dust => false,
    }
}

fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

impl RiskInputs {
    /// Those of one symbol in one cycle.
    #[must_use]
    pub fn of(source: &RiskSource<'_>) -> Self {
        let RiskSource { cycle, config, capital, state, strategy, .. } = *source;
        let symbol = &state.symbol;
        let safety = cycle.safety.iter().find(|row| &row.symbol == symbol);
        let past = cycle.counters.symbols.iter().find(|row| &row.symbol == symbol);
        let positions = |of: &dyn Fn(&PositionRow) -> bool| {
            count(cycle.positions.iter().filter(|p| holds(p) && of(p)).count())
        };
        let state_age_ms = source.assessment.state_age_ms;
        Self {
            sys_mode: cycle.sys_mode,
            has_fees: cycle.fees.is_some(),
            is_generation_sound: source.assessment.sync.is_none()
                && source.assessment.lineage_break.is_none(),
            state_age_ms,
            message_age_ms: state_age_ms.map(|ms| ms.saturating_add(state.msg_age_ms.into())),
            quote_age_ms: source.quote.and(cycle.frame).map(|frame| frame.age_ms),
            safety: safety.map_or(SafetyMode::Normal, |row| row.mode),
            is_quarantine: safety.is_some_and(|row| row.is_quarantine),
            regime: state.regime,
            strategy,
            route: source.route,
            engine: source.engine,
            symbol_positions: positions(&|p| &p.symbol == symbol),
            symbol_entries: size::live_entries(cycle, None, Some(symbol)),
            entries: size::live_entries(cycle, None, None),
            past: Past::of(past, cycle.now, config.risk_cooldown_seconds, &config.risk),
            counter_share_x10000: cycle
                .venue_counters
                .iter()
                .find(|counter| &counter.symbol == symbol)
                .map_or(0, |counter| counter.share_x10000),
            latency_p90_ms: cycle.frame.map(|frame| frame.latency_p90_ms),
            held_symbols: count(held_symbols(cycle, symbol).len()),
            correlation: source.correlations.and_then(|c| highest(c, cycle, symbol)),
            opened_today: cycle.counters.opened_today,
            entries_last_60s: cycle.counters.entries_last_60s,
            positions: positions(&|_| true),
            strategy_slots: positions(&|p| p.strategy == Some(strategy))
                .saturating_add(size::live_entries(cycle, Some(strategy), None)),
            balance_age_ms: balance_age_ms(cycle, capital),
            quote: source.quote.map(|quote| (quote.bid, quote.ask)),
            spread_avg_bps: state.spread_avg_bps,
            state_mid: state.mid,
            rv_5m_bps: state.rv_5m_bps,
            taker_bps: cycle.fees.as_ref().map_or(Decimal::ZERO, |fees| fees.taker_bps),
            ..Self::of_capital(source)
        }
    }

    /// The part that the capital gives; everything else as if nothing were known.
    fn of_capital(source: &RiskSource<'_>) -> Self {
        let RiskSource { config, capital, state, strategy, .. } = *source;
        let symbol = &state.symbol;
        Self {
            sys_mode: SysMode::Exit,
            has_fees: false,
            is_generation_sound: false,
            state_age_ms: None,
            message_age_ms: None,
            quote_age_ms: None,
            safety: SafetyMode::HardBlocked,
            is_quarantine: false,
            regime: Regime::Chaos,
            strategy,
            route: source.route,
            engine: source.engine,
            symbol_positions: 0,
            symbol_entries: 0,
            entries: 0,
            past: Past::default(),
            counter_share_x10000: 0,
            latency_p90_ms: None,
            held_symbols: 0,
            correlation: None,
            opened_today: 0,
            entries_last_60s: 0,
            day_result_quote: capital.day_result_quote,
            day_open_quote: capital.day_open_quote,
            equity_quote: capital.equity_quote,
            hwm_quote: capital.hwm_quote,
            sizing_equity_quote: capital.sizing_equity_quote,
            exposure_symbol_quote: capital.exposure_of(symbol),
            exposure_total_quote: capital.allocated_quote(),
            free_quote: capital.free_quote,
            taker_bps: Decimal::ZERO,
            positions: 0,
            strategy_slots: 0,
            balance_age_ms: None,
            quote: None,
            spread_avg_bps: None,
            state_mid: None,
            rv_5m_bps: None,
            strategy_used_quote: capital.by_strategy.get(strategy),
            strategy_budget_quote: capital.budget.get(strategy),
            group_used_quote: capital.group_used_quote(symbol, config),
            group_budget_quote: capital.group_budget_quote(),
        }
    }
}

/// Symbols with a position or a live entry, but for this one.
#[must_use]
pub fn held_symbols<'a>(cycle: &'a CycleInput, symbol: &Symbol) -> Vec<&'a Symbol> {
    let open = cycle.positions.iter().filter(|p| holds(p)).map(|p| &p.symbol);
    let pending = cycle.live_orders.iter().filter(|o| size::is_live_entry(o)).map(|o| &o.symbol);
    let mut held: Vec<&Symbol> = open.chain(pending).filter(|held| *held != symbol).collect();
    held.sort_unstable();
    held.dedup();
    held
}

/// Greatest correlation with a symbol that is held, and what is too high.
fn highest(c: &Correlations, cycle: &CycleInput, symbol: &Symbol) -> Option<(i64, i64)> {
    let of_held = held_symbols(cycle, symbol).into_iter().filter_map(|held| c.with.get(held));
    of_held.max().map(|most| (*most, c.limit_x10000))
}

/// Balances are current while their subscription is whole; their age is then the stream's silence.
fn balance_age_ms(cycle: &CycleInput, capital: &CapitalState) -> Option<i64> {
    let whole = cycle.stream.connected && cycle.stream.snapshots_ok;
    (whole && capital.cash_quote.is_some()).then_some(cycle.stream.silent_ms)
}
