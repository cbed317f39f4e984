//! Capital: what we own, what is free, and what each strategy and group may use.
//!
//! Purpose: the state of the account that sizes, caps and loss limits read. Inputs: committed rows, state mids, settings.
//! Outputs: [`CapitalState`]. Invariants: pure; amounts are decimals; what cannot be sold, dust, is worth nothing here.

pub mod caps;
pub mod mark;

use penstock_types::decimal::{round_to, scale};
use penstock_types::state_row::StateRow;
use penstock_types::vocab::{PositionStatus, Strategy};
use penstock_types::{Decimal, Symbol};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::cycle::CycleInput;
use crate::decide::config::{DecideConfig, PerStrategy};
use crate::groups;
use mark::Mark;

/// Part of the open cap that one correlation group may use; a symbol in no group is its own group.
const GROUP_SHARE: Decimal = Decimal::from_parts(50, 0, 0, false, 2);

/// What the account holds, derived from committed rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapitalState {
    /// Balance of the quote asset, holds included; none when the venue has not said.
    pub cash_quote: Option<Decimal>,
    /// Positions at mid; at cost where there is no mid.
    pub positions_quote: Decimal,
    /// What the positions cost.
    pub cost_quote: Decimal,
    /// Open reservations.
    pub reserved_quote: Decimal,
    /// Cash plus positions.
    pub equity_quote: Decimal,
    /// High-water mark, at least the equity.
    pub hwm_quote: Decimal,
    /// Distance to the mark, bps of it.
    pub drawdown_bps: Decimal,
    /// Equity at the day's first snapshot.
    pub day_open_quote: Option<Decimal>,
    /// Realised since 00:00 UTC plus unrealised.
    pub day_result_quote: Decimal,
    /// 1, 0.5 or 0, by drawdown.
    pub throttle: Decimal,
    /// Sizing equity E.
    pub sizing_equity_quote: Decimal,
    /// Cap of all open notional.
    pub open_cap_quote: Decimal,
    /// Free for one entry.
    pub free_quote: Decimal,
    /// Exposure per symbol, base at mid plus reservations.
    pub exposure: BTreeMap<Symbol, Decimal>,
    /// Exposure per strategy.
    pub by_strategy: PerStrategy<Decimal>,
    /// Budget per strategy.
    pub budget: PerStrategy<Decimal>,
}

impl CapitalState {
    /// Positions and reservations.
    #[must_use]
    pub fn allocated_quote(&self) -> Decimal {
        self.positions_quote + self.reserved_quote
    }

    /// Exposure of a symbol.
    #[must_use]
    pub fn exposure_of(&self, symbol: &Symbol) -> Decimal {
        self.exposure.get(symbol).copied().unwrap_or(Decimal::ZERO)
    }

    /// What the symbol's fullest correlation group has used.
    #[must_use]
    pub fn group_used_quote(&self, symbol: &Symbol, config: &DecideConfig) -> Decimal {
        groups::used_quote(&config.risk.groups, symbol, &self.exposure)
    }

    /// What one correlation group may use.
    #[must_use]
    pub fn group_budget_quote(&self) -> Decimal {
        GROUP_SHARE * self.open_cap_quote
    }
}

fn per_strategy_mut(v: &mut PerStrategy<Decimal>, strategy: Strategy) -> &mut Decimal {
    match strategy {
        Strategy::Liquidity => &mut v.liquidity,
        Strategy::Momentum => &mut v.momentum,
        Strategy::Volume => &mut v.volume,
    }
}

/// Capital from the committed rows of a cycle; `donors` are strategies whose cells are all suspended,
/// their share goes to the others in equal parts.
#[must_use]
pub fn capital(
    input: &CycleInput,
    config: &DecideConfig,
    states: &BTreeMap<&Symbol, &StateRow>,
    donors: &[Strategy],
) -> CapitalState {
    let zero =
        PerStrategy { liquidity: Decimal::ZERO, momentum: Decimal::ZERO, volume: Decimal::ZERO };
    let (mut positions_quote, mut cost_quote) = (Decimal::ZERO, Decimal::ZERO);
    let (mut exposure, mut by_strategy) = (BTreeMap::new(), zero);
    for position in input.positions.iter().filter(|p| p.status != PositionStatus::Dust) {
        let mid = states.get(&position.symbol).and_then(|row| row.mid);
        let value = round_to(
            mid.map_or(position.cost_basis_quote, |mid| position.base_qty * mid),
            scale::AMT,
        );
        positions_quote += value;
        cost_quote += position.cost_basis_quote;
        *exposure.entry(position.symbol.clone()).or_insert(Decimal::ZERO) += value;
        if let Some(strategy) = position.strategy {
            *per_strategy_mut(&mut by_strategy, strategy) += value;
        }
    }
    let mut reserved_quote = Decimal::ZERO;
    for reservation in &input.reservations {
        reserved_quote += reservation.reserved_quote;
        *exposure.entry(reservation.symbol.clone()).or_insert(Decimal::ZERO) +=
            reservation.reserved_quote;
        *per_strategy_mut(&mut by_strategy, reservation.strategy) += reservation.reserved_quote;
    }
    let cash_quote =
        input.balances.iter().find(|b| b.asset == config.quote_asset).map(|b| b.balance);
    let equity_quote = cash_quote.unwrap_or(Decimal::ZERO) + positions_quote;
    let mark = Mark::of(&input.equity, equity_quote);
    let sized_on = config.fixed_equity_quote.unwrap_or(equity_quote);
    let sizing_equity_quote = round_to(
        sized_on * (Decimal::ONE - config.equity_reserve_pct) * mark.throttle(config),
        scale::AMT,
    );
    let open_cap_quote = round_to(
        (config.max_open_notional_pct_of_equity * sizing_equity_quote)
            .min(config.risk_max_exposure_total_quote),
        scale::AMT,
    );
    let allocated = positions_quote + reserved_quote;
    let by_cash = cash_quote.unwrap_or(Decimal::ZERO) - reserved_quote - input.foreign_holds_quote;
    let by_cap = config.max_open_notional_pct_of_equity * sizing_equity_quote - allocated;
    CapitalState {
        cash_quote,
        positions_quote,
        cost_quote,
        reserved_quote,
        equity_quote,
        hwm_quote: mark.hwm_quote,
        drawdown_bps: mark.drawdown_bps,
        day_open_quote: input.equity.day_open_quote,
        day_result_quote: input.equity.realized_day_quote + positions_quote - cost_quote,
        throttle: mark.throttle(config),
        sizing_equity_quote,
        open_cap_quote,
        free_quote: round_to(by_cash.min(by_cap).max(Decimal::ZERO), scale::AMT),
        exposure,
        by_strategy,
        budget: budgets(config, open_cap_quote, donors),
    }
}

fn budgets(config: &DecideConfig, open_cap: Decimal, donors: &[Strategy]) -> PerStrategy<Decimal> {
    let keeps = |s: Strategy| !donors.contains(&s);
    let donated: Decimal = donors.iter().map(|s| config.capital_share.get(*s)).sum::<Decimal>();
    let takers = Strategy::ALL.iter().filter(|s| keeps(**s)).count();
    let extra = if takers == 0 { Decimal::ZERO } else { donated / Decimal::from(takers) };
    let budget = |s: Strategy| {
        let share = if keeps(s) { config.capital_share.get(s) + extra } else { Decimal::ZERO };
        round_to(share * open_cap, scale::AMT)
    };
    PerStrategy {
        liquidity: budget(Strategy::Liquidity),
        momentum: budget(Strategy::Momentum),
        volume: budget(Strategy::Volume),
    }
}

#[cfg(test)]
mod tests {
    use penstock_types::PositionId;
    use penstock_types::rows::PositionRow;
    use penstock_types::vocab::PositionOrigin;

    use super::*;
    use crate::fixtures::{self, dec};

    #[test]
    fn dust_is_worth_nothing_and_uses_nothing() {
        let config = DecideConfig::default();
        let mut input = fixtures::input(3);
        let of = |input: &CycleInput| {
            let states = input.states.iter().map(|row| (&row.symbol, row)).collect();
            capital(input, &config, &states, &[])
        };
        let without = of(&input);
        let dust = PositionRow {
            position_id: PositionId(1),
            symbol: fixtures::symbol(1),
            status: PositionStatus::Dust,
            origin: PositionOrigin::Strategy,
            strategy: Some(Strategy::Momentum),
            route_type: None,
            horizon: None,
            regime_at_entry: None,
            opened_at: fixtures::NOW,
            base_qty: dec("0.01"),
            cost_basis_quote: dec("3"),
            avg_entry_price: Some(dec("300")),
            protected_qty: Decimal::ZERO,
            plan: None,
        };
        input.positions.push(dust.clone());
        assert_eq!(of(&input), without);
        input.positions[0].status = PositionStatus::Open;
        let with = of(&input);
        assert!(with.equity_quote > without.equity_quote && with.allocated_quote() > Decimal::ZERO);
        assert_eq!(with.exposure.len(), 1);
    }
}
