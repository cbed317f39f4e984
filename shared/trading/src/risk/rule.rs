//! The rules of the gate: their numbers, their order, the reasons that each may give.
//!
//! Input: a rule. Output: what belongs to it. Invariants: the order of the words is the order of the
//! rules; every match is total, so that a new rule does not build before it has its reasons and its
//! blocker. It judges nothing.

use penstock_types::vocab::{Blocker, ReasonCode};

use crate::decide::unit::GateUnit;

penstock_types::closed_vocabulary! {
    /// A rule.
    pub Rule {
        /// The mode is NORMAL and orders may be sent.
        Mode = "R-01",
        /// The decision is valid and is the one that was hashed.
        Contract = "R-02",
        /// Fees and slippage are known and no income.
        Costs = "R-03",
        /// The edge reaches its least.
        Edge = "R-04",
        /// The AI gate did not refuse.
        Gate = "R-05",
        /// The generation is whole and of our lineage.
        Generation = "R-06",
        /// State, messages and quote are young.
        Freshness = "R-07",
        /// The symbol's safety mode is normal.
        SymbolMode = "R-08",
        /// The regime offers strategy and route.
        Regime = "R-09",
        /// The engine leaves a size.
        Engine = "R-10",
        /// No position on the symbol.
        Position = "R-11",
        /// No entry under way on the symbol.
        Pending = "R-12",
        /// Orders of the symbol do not come and go too fast.
        Churn = "R-13",
        /// The venue's counter of the pair has room.
        VenueCounter = "R-14",
        /// The symbol was not stopped out a short time ago.
        Cooldown = "R-15",
        /// Positions of the symbol opened in the window.
        Window = "R-16",
        /// Losses of the symbol in a row.
        LossStreak = "R-17",
        /// Age of the frames at use.
        Latency = "R-18",
        /// It does not move with what is held.
        Correlation = "R-19",
        /// Open entry orders.
        OpenOrders = "R-20",
        /// Positions opened today.
        TradesToday = "R-21",
        /// Loss of the day and drawdown, in quote and of the mark.
        KillSwitch = "R-22",
        /// Exposure in quote.
        Exposure = "R-23",
        /// The size, computed again, and what it needs.
        Size = "R-24",
        /// Open notional as a share of equity.
        TotalShare = "R-25",
        /// Notional of the symbol as a share of equity.
        SymbolShare = "R-26",
        /// Open positions.
        Positions = "R-27",
        /// Slots of the strategy.
        Slots = "R-28",
        /// Entry orders of a minute.
        OrderRate = "R-29",
        /// Loss of the day as a share of its opening equity.
        DailyShare = "R-30",
        /// Balances are known and current.
        Balance = "R-31",
        /// The spread has not jumped since the cut.
        SpreadJump = "R-32",
        /// The price has not moved since the cut.
        PriceMoved = "R-33",
        /// Budgets of the strategy and of correlation groups.
        Budget = "R-34",
    }
}

impl Rule {
    /// Its number, from 1.
    #[must_use]
    pub fn number(self) -> i64 {
        Self::ALL.iter().zip(1_i64..).find(|(rule, _)| **rule == self).map_or(0, |(_, n)| n)
    }

    /// The rule of a number.
    #[must_use]
    pub fn of_number(number: i64) -> Option<Self> {
        let at = usize::try_from(number.checked_sub(1)?).ok()?;
        Self::ALL.get(at).copied()
    }

    /// When it is hit nothing after it is looked at: later rules would judge what is not there.
    #[must_use]
    pub const fn is_final(self) -> bool {
        match self {
            Self::Mode | Self::Contract | Self::Costs | Self::Edge => true,
            Self::Gate
            | Self::Generation
            | Self::Freshness
            | Self::SymbolMode
            | Self::Regime
            | Self::Engine
            | Self::Position
            | Self::Pending
            | Self::Churn
            | Self::VenueCounter
            | Self::Cooldown
            | Self::Window
            | Self::LossStreak
            | Self::Latency
            | Self::Correlation
            | Self::OpenOrders
            | Self::TradesToday
            | Self::KillSwitch
            | Self::Exposure
            | Self::Size
            | Self::TotalShare
            | Self::SymbolShare
            | Self::Positions
            | Self::Slots
            | Self::OrderRate
            | Self::DailyShare
            | Self::Balance
            | Self::SpreadJump
            | Self::PriceMoved
            | Self::Budget => false,
        }
    }

    /// Reasons that it may give; empty for the AI gate's, which are the gate's own.
    #[must_use]
    pub const fn codes(self) -> &'static [ReasonCode] {
        use ReasonCode as C;
        match self {
            Self::Mode => &[C::RiskModeBlock],
            Self::Contract | Self::Costs => &[C::StratInputInvalid],
            Self::Edge => &[C::StratEdgeBelowMin, C::RiskEdgeAfterModify],
            Self::Gate => &[],
            Self::Generation => &[C::StateGenerationMismatch],
            Self::Freshness => &[C::RouteStaleData, C::DataStale, C::QuoteStale],
            Self::SymbolMode => {
                &[C::SymbolQuarantined, C::SymbolQuiet, C::SymbolExitOnly, C::SymbolHardBlocked]
            }
            Self::Regime => &[C::RegimeNoTrade, C::RegimeMismatch],
            Self::Engine => &[
                C::EngineStale,
                C::EngineFailed,
                C::EngineWarmup,
                C::EngineDegraded,
                C::EngineClusterBlock,
                C::EngineFsmBlock,
                C::EngineDirectionBlock,
                C::EngineCostBlock,
            ],
            Self::Position => &[C::RiskPositionAlreadyOpen],
            Self::Pending => &[C::RiskEntryAlreadyPending],
            Self::Churn => &[C::RiskCancelReplaceLimitHit, C::RiskChurnLimitHit],
            Self::VenueCounter => &[C::RiskUnfilledOrderCountRisk],
            Self::Cooldown => &[C::RiskCooldownActive],
            Self::Window => &[C::RiskMaxTradesWindow],
            Self::LossStreak => &[C::RiskSymbolLossStreak],
            Self::Latency => &[C::RiskFeedLatency],
            Self::Correlation => &[C::RiskCorrelationTooHigh],
            Self::OpenOrders => &[C::RiskMaxOpenOrders],
            Self::TradesToday => &[C::RiskMaxTradesDay],
            Self::KillSwitch => &[C::RiskDailyLossLimit, C::RiskDrawdownLimit],
            Self::Exposure => &[C::RiskExposureLimit],
            Self::Size => &[
                C::RiskSizeInvalid,
                C::ProtectionInvalidMinNotional,
                C::ProtectionInvalidFilter,
                C::RiskInsufficientFreeBalance,
            ],
            Self::TotalShare => &[C::RiskExposurePctTotal],
            Self::SymbolShare => &[C::RiskExposurePctSymbol],
            Self::Positions => &[C::RiskMaxOpenPositions],
            Self::Slots => &[C::RiskStrategySlots],
            Self::OrderRate => &[C::RiskOrderRate],
            Self::DailyShare => &[C::RiskDailyLossPct],
            Self::Balance => &[C::RiskBalanceStale],
            Self::SpreadJump => &[C::RiskSpreadJump],
            Self::PriceMoved => &[C::RiskPriceMoved],
            Self::Budget => &[C::RiskCapitalExhausted],
        }
    }

    /// Unit of a hit's value and limit.
    #[must_use]
    pub fn unit(self, code: ReasonCode) -> GateUnit {
        match self {
            Self::Mode => GateUnit::SysMode,
            Self::SymbolMode => GateUnit::SafetyMode,
            Self::Gate => GateUnit::AiVerdict,
            Self::Contract | Self::Generation | Self::Regime => GateUnit::Flag,
            Self::Costs | Self::Edge | Self::DailyShare | Self::SpreadJump | Self::PriceMoved => {
                GateUnit::Bps
            }
            Self::Freshness | Self::Cooldown | Self::Latency | Self::Balance => GateUnit::Ms,
            Self::Engine | Self::VenueCounter | Self::Correlation => GateUnit::X10000,
            Self::Position | Self::Window | Self::TradesToday | Self::Positions | Self::Slots => {
                GateUnit::Positions
            }
            Self::Pending => GateUnit::Entries,
            Self::Churn | Self::OpenOrders | Self::OrderRate => GateUnit::Orders,
            Self::LossStreak => GateUnit::Losses,
            Self::KillSwitch if code == ReasonCode::RiskDrawdownLimit => GateUnit::Bps,
            Self::KillSwitch | Self::Exposure | Self::TotalShare | Self::SymbolShare => {
                GateUnit::Quote
            }
            Self::Size if code == ReasonCode::RiskSizeInvalid => GateUnit::Base,
            Self::Size if code == ReasonCode::ProtectionInvalidFilter => GateUnit::Base,
            Self::Size | Self::Budget => GateUnit::Quote,
        }
    }

    /// Blocker of the readiness gate that a hit shows as.
    #[must_use]
    pub fn blocker(self, code: ReasonCode) -> Blocker {
        match self {
            Self::Mode => Blocker::ModeBlocked,
            Self::Edge => Blocker::SurplusBelowFloor,
            Self::Gate => Blocker::AiGateBlocked,
            Self::Generation => Blocker::DataStale,
            Self::Freshness if code == ReasonCode::RouteStaleData => Blocker::RouteStale,
            Self::Freshness => Blocker::DataStale,
            Self::SymbolMode if code == ReasonCode::SymbolHardBlocked => Blocker::HardBlocked,
            Self::SymbolMode if code == ReasonCode::SymbolExitOnly => Blocker::ExitOnly,
            Self::SymbolMode => Blocker::QuietMode,
            Self::Engine => Blocker::EngineBlocked,
            Self::Position => Blocker::PositionOpen,
            Self::Pending => Blocker::SymbolLocked,
            Self::Exposure | Self::TotalShare | Self::SymbolShare => Blocker::ExposureLimit,
            Self::Size if code == ReasonCode::RiskInsufficientFreeBalance => {
                Blocker::CapitalExhausted
            }
            Self::Size => Blocker::SizeBelowMinimum,
            Self::Positions | Self::Slots => Blocker::SlotLimit,
            Self::VenueCounter | Self::OrderRate => Blocker::RateLimited,
            Self::Budget => Blocker::CapitalExhausted,
            Self::Contract
            | Self::Costs
            | Self::Regime
            | Self::Churn
            | Self::Cooldown
            | Self::Window
            | Self::LossStreak
            | Self::Latency
            | Self::Correlation
            | Self::OpenOrders
            | Self::TradesToday
            | Self::KillSwitch
            | Self::DailyShare
            | Self::Balance
            | Self::SpreadJump
            | Self::PriceMoved => Blocker::RiskBlocked,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_the_numbers_in_their_order() {
        assert_eq!(Rule::ALL.len(), 34);
        for (rule, n) in Rule::ALL.iter().zip(1_i64..) {
            assert_eq!(rule.as_str(), format!("R-{n:02}"));
            assert_eq!((rule.number(), Rule::of_number(n)), (n, Some(*rule)));
        }
        assert_eq!((Rule::of_number(0), Rule::of_number(35)), (None, None));
        assert_eq!(Rule::of_number(i64::MIN), None);
    }

    #[test]
    fn the_first_four_end_the_list_and_no_code_belongs_to_two_rules_but_the_invalid_input() {
        let ends: Vec<i64> =
            Rule::ALL.iter().filter(|r| r.is_final()).map(|r| r.number()).collect();
        assert_eq!(ends, [1, 2, 3, 4]);
        let mut seen = std::collections::BTreeMap::new();
        for (rule, code) in Rule::ALL.iter().flat_map(|r| r.codes().iter().map(move |c| (r, c))) {
            if let Some(other) = seen.insert(code.as_str(), rule) {
                assert_eq!((*other, *code), (Rule::Contract, ReasonCode::StratInputInvalid));
            }
        }
    }
}
