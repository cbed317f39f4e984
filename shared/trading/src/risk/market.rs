//! The gate for a finalist that has no contract yet: all rules that look at market and account.
//!
//! Input: the cycle, the capital, the finalist with its size. Output: hits. Invariants: the rules are the
//! same functions as those of the whole gate; the ones that need a decision as a contract pass.

use penstock_types::Decimal;
use penstock_types::state_row::StateRow;
use penstock_types::vocab::{EntryMode, RouteType, SafetyMode, Strategy};

use super::case;
use super::hits::RiskHit;
use super::inputs::{RiskInputs, RiskSource};
use super::rules::{Order, View};
use crate::cycle::{CycleInput, Quote};
use crate::decide::config::DecideConfig;
use crate::decide::outcome::Assessment;
use crate::engine_gate::Verdict;
use crate::size::{CapitalState, Sized};

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

/// All hits in the order of the rules; those of a rule that ends the list alone when it is hit.
#[must_use]
pub fn evaluate(input: &RiskInput<'_>) -> Vec<RiskHit> {
    let of_cycle = RiskInputs::of(&RiskSource {
        cycle: input.cycle,
        config: input.config,
        assessment: input.assessment,
        capital: input.capital,
        state: input.state,
        strategy: input.strategy,
        route: input.route,
        quote: input.quote,
        engine: input.engine,
        correlations: None,
    });
    let inputs = RiskInputs { safety: input.safety, taker_bps: input.taker_bps, ..of_cycle };
    let (qty, floor_quote) = (input.sized.qty, input.floor_quote);
    let order = Order { qty, limit_price: input.limit_price, floor_quote };
    let view = View { config: input.config, inputs: &inputs, order, case: None };
    case::run(&view, None)
}
