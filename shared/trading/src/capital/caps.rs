//! The caps of one entry, judged again where its money is reserved.
//!
//! Purpose: two entries that were decided on the same rows must not both get the same money. Inputs: the limits as the
//! cycle had them; cash, positions and reservations as the reserving transaction finds them. Outputs: the first cap that
//! the entry would exceed, with its value and its limit. Invariants: pure; the same sums and the same comparisons as the
//! risk gate makes, so what it allowed is refused only when something was taken in between; dust uses nothing.

use std::collections::{BTreeMap, BTreeSet};

use penstock_types::decimal::{round_to, scale};
use penstock_types::vocab::Strategy;
use penstock_types::{Decimal, Symbol};

use super::CapitalState;
use crate::cycle::CycleInput;
use crate::decide::PlannedEntry;
use crate::decide::config::DecideConfig;
use crate::groups::{self, CorrelationGroup};

/// Limits of one entry, quote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caps {
    /// Its strategy.
    pub strategy: Strategy,
    /// What it would add at its limit price.
    pub notional_quote: Decimal,
    /// What is reserved for it, fee included.
    pub reserve_quote: Decimal,
    /// Most of its symbol.
    pub symbol_quote: Decimal,
    /// Most of all.
    pub total_quote: Decimal,
    /// Budget of its strategy.
    pub strategy_quote: Decimal,
    /// Budget of each of its groups.
    pub group_quote: Decimal,
    /// Groups that its symbol is in; none: it is its own.
    pub groups: Vec<CorrelationGroup>,
    /// Cash that orders hold which are not ours.
    pub foreign_holds_quote: Decimal,
    /// Mids of the cycle; what has none counts at its cost.
    pub mids: BTreeMap<Symbol, Decimal>,
}

/// A position as the reserving transaction finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// Symbol.
    pub symbol: Symbol,
    /// Strategy that opened it.
    pub strategy: Option<Strategy>,
    /// Base.
    pub base_qty: Decimal,
    /// What it cost.
    pub cost_quote: Decimal,
}

/// An open reservation as the reserving transaction finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reserved {
    /// Symbol.
    pub symbol: Symbol,
    /// Strategy of its order.
    pub strategy: Option<Strategy>,
    /// What is still reserved, fee included.
    pub quote: Decimal,
}

/// What the reserving transaction finds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Found {
    /// Balance of the quote asset, holds included; none when the venue has not said.
    pub cash_quote: Option<Decimal>,
    /// Positions that are neither closed nor dust.
    pub holdings: Vec<Holding>,
    /// Open reservations.
    pub reservations: Vec<Reserved>,
}

/// What would be exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CapName {
    /// Open notional of the symbol.
    Symbol,
    /// Open notional of all.
    Total,
    /// The strategy's budget.
    Strategy,
    /// The budget of a correlation group.
    Group,
    /// Cash.
    Free,
}

impl CapName {
    /// Its name in a message.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Symbol => "cap of the symbol",
            Self::Total => "cap of all open notional",
            Self::Strategy => "budget of the strategy",
            Self::Group => "budget of the correlation group",
            Self::Free => "free quote",
        }
    }
}

/// A cap that an entry would exceed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exceeded {
    /// Which.
    pub cap: CapName,
    /// What would be used, quote.
    pub value: Decimal,
    /// Its limit, quote.
    pub limit: Decimal,
}

impl Caps {
    /// The limits of a plan as its cycle had them.
    #[must_use]
    pub fn of(
        capital: &CapitalState,
        config: &DecideConfig,
        input: &CycleInput,
        plan: &PlannedEntry,
    ) -> Self {
        let e = capital.sizing_equity_quote;
        let symbol_share = round_to(config.max_symbol_notional_pct_of_equity * e, scale::AMT);
        let of_symbol = |group: &&CorrelationGroup| group.symbols.contains(&plan.symbol);
        let held: BTreeSet<&Symbol> = input.positions.iter().map(|p| &p.symbol).collect();
        let states = input.states.iter().filter(|state| held.contains(&state.symbol));
        Self {
            strategy: plan.strategy,
            notional_quote: plan.qty * plan.limit_price.unwrap_or(plan.decision_mid),
            reserve_quote: plan.reserve_quote,
            symbol_quote: symbol_share.min(config.risk_max_exposure_symbol_quote),
            total_quote: capital.open_cap_quote,
            strategy_quote: capital.budget.get(plan.strategy),
            group_quote: capital.group_budget_quote(),
            groups: config.risk.groups.iter().filter(of_symbol).cloned().collect(),
            foreign_holds_quote: input.foreign_holds_quote,
            mids: states.filter_map(|s| s.mid.map(|mid| (s.symbol.clone(), mid))).collect(),
        }
    }

    /// No limit but the cash that is there: for a measurement that decides nothing.
    #[must_use]
    pub const fn unlimited(strategy: Strategy, reserve_quote: Decimal) -> Self {
        Self {
            strategy,
            notional_quote: reserve_quote,
            reserve_quote,
            symbol_quote: Decimal::MAX,
            total_quote: Decimal::MAX,
            strategy_quote: Decimal::MAX,
            group_quote: Decimal::MAX,
            groups: Vec::new(),
            foreign_holds_quote: Decimal::ZERO,
            mids: BTreeMap::new(),
        }
    }

    /// The first cap that an entry of this symbol would exceed.
    #[must_use]
    pub fn exceeded(&self, symbol: &Symbol, found: &Found) -> Option<Exceeded> {
        let (mut exposure, mut of_strategy) = (BTreeMap::new(), Decimal::ZERO);
        let mut use_up = |symbol: &Symbol, strategy: Option<Strategy>, quote: Decimal| {
            *exposure.entry(symbol.clone()).or_insert(Decimal::ZERO) += quote;
            if strategy == Some(self.strategy) {
                of_strategy += quote;
            }
        };
        for held in &found.holdings {
            let value = self.mids.get(&held.symbol).map_or(held.cost_quote, |m| held.base_qty * m);
            use_up(&held.symbol, held.strategy, round_to(value, scale::AMT));
        }
        let mut reserved = Decimal::ZERO;
        for row in &found.reservations {
            reserved += row.quote;
            use_up(&row.symbol, row.strategy, row.quote);
        }
        let total: Decimal = exposure.values().sum();
        let of_symbol = exposure.get(symbol).copied().unwrap_or_default();
        let of_group = groups::used_quote(&self.groups, symbol, &exposure);
        let new = self.notional_quote;
        // Without a balance nothing is known to be free; what a cycle without one plans is not sent.
        let cash = found.cash_quote.unwrap_or_default() - self.foreign_holds_quote - reserved;
        [
            (CapName::Symbol, of_symbol + new, self.symbol_quote),
            (CapName::Total, total + new, self.total_quote),
            (CapName::Strategy, of_strategy + new, self.strategy_quote),
            (CapName::Group, of_group + new, self.group_quote),
            (CapName::Free, self.reserve_quote, cash.max(Decimal::ZERO)),
        ]
        .into_iter()
        .find(|(_, value, limit)| value > limit)
        .map(|(cap, value, limit)| Exceeded { cap, value, limit })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{dec, symbol};

    fn caps() -> Caps {
        let own = |i: usize| CorrelationGroup {
            name: format!("g{i}"),
            symbols: BTreeSet::from([symbol(1), symbol(i)]),
        };
        Caps {
            strategy: Strategy::Momentum,
            notional_quote: dec("100"),
            reserve_quote: dec("100.2"),
            symbol_quote: dec("150"),
            total_quote: dec("400"),
            strategy_quote: dec("300"),
            group_quote: dec("200"),
            groups: vec![own(2), own(3)],
            foreign_holds_quote: dec("20"),
            mids: BTreeMap::from([(symbol(2), dec("11"))]),
        }
    }

    fn holds(i: usize, strategy: Option<Strategy>, base: &str, cost: &str) -> Holding {
        Holding { symbol: symbol(i), strategy, base_qty: dec(base), cost_quote: dec(cost) }
    }

    fn reserves(i: usize, strategy: Strategy, quote: &str) -> Reserved {
        Reserved { symbol: symbol(i), strategy: Some(strategy), quote: dec(quote) }
    }

    fn found(holdings: Vec<Holding>, reservations: Vec<Reserved>) -> Found {
        Found { cash_quote: Some(dec("1000")), holdings, reservations }
    }

    fn of(found: &Found) -> Option<(CapName, String, String)> {
        let told = |d: Decimal| d.normalize().to_string();
        caps().exceeded(&symbol(1), found).map(|e| (e.cap, told(e.value), told(e.limit)))
    }

    #[test]
    fn each_cap_refuses_alone_at_its_limit_and_not_before_it() {
        let momentum = Some(Strategy::Momentum);
        let told = |cap, value: &str, limit: &str| Some((cap, value.to_owned(), limit.to_owned()));
        assert_eq!(of(&found(vec![], vec![])), None);
        // Symbol: 50 and 100 are 150.
        assert_eq!(of(&found(vec![], vec![reserves(1, Strategy::Volume, "50")])), None);
        let symbol_full = found(vec![], vec![reserves(1, Strategy::Volume, "50.01")]);
        assert_eq!(of(&symbol_full), told(CapName::Symbol, "150.01", "150"));
        // Total, by a symbol in none of its groups and of another strategy; cost where there is no mid.
        assert_eq!(of(&found(vec![holds(5, None, "1", "300")], vec![])), None);
        let full = found(vec![holds(5, None, "1", "300.5")], vec![]);
        assert_eq!(of(&full), told(CapName::Total, "400.5", "400"));
        let full = found(
            vec![holds(5, momentum, "1", "150")],
            vec![reserves(6, Strategy::Momentum, "51")],
        );
        assert_eq!(of(&full), told(CapName::Strategy, "301", "300"));
        // The fuller of both groups, at the mid of its member: 10 × 11.
        let full = found(vec![holds(2, None, "10", "1")], vec![]);
        assert_eq!(of(&full), told(CapName::Group, "210", "200"));
        let poor = Found { cash_quote: Some(dec("120")), ..Found::default() };
        assert_eq!(of(&poor), told(CapName::Free, "100.2", "100"));
        let unknown = Found::default();
        assert_eq!(of(&unknown), told(CapName::Free, "100.2", "0"));
    }

    #[test]
    fn reservations_take_from_the_cash_and_foreign_orders_too() {
        let with = |reserved| Found {
            cash_quote: Some(dec("250.2")),
            ..found(vec![], vec![reserves(6, Strategy::Volume, reserved)])
        };
        assert_eq!(of(&with("130")), None);
        assert_eq!(of(&with("130.01")).map(|e| e.0), Some(CapName::Free));
    }

    #[test]
    fn without_limits_only_the_cash_counts() {
        let caps = Caps::unlimited(Strategy::Volume, dec("10"));
        let full = found(vec![holds(1, Some(Strategy::Volume), "1", "100000")], vec![]);
        assert_eq!(caps.exceeded(&symbol(1), &full), None);
        assert!(caps.exceeded(&symbol(1), &Found::default()).is_some());
    }
}
