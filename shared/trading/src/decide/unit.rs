//! Units of what a gate compares, and the words behind those that count along a vocabulary.
//!
//! Purpose: a value, a limit and a unit say the same in a row, in the panel and in a sentence. Inputs: a
//! unit and a number. Outputs: its text, and the word that a graded number stands for. Invariants: closed;
//! the number of a graded unit is the place of the word in its vocabulary, from 0.

use penstock_contracts::vocab::AiVerdict;
use penstock_types::Decimal;
use penstock_types::closed_vocabulary;
use penstock_types::engine_view::{ClusterState, Direction, FsmState};
use penstock_types::vocab::{SafetyMode, SysMode};

closed_vocabulary! {
    /// Unit of a gate's value and limit.
    pub GateUnit {
        /// Basis points.
        Bps = "bps",
        /// A share of one.
        Ratio = "ratio",
        /// Hundredths.
        Percent = "percent",
        /// Ten-thousandths.
        X10000 = "x10000",
        /// Milliseconds.
        Ms = "ms",
        /// Ticks of a quarter of a second.
        Ticks = "ticks",
        /// Amount of the quote asset.
        Quote = "quote",
        /// Quantity of the base asset.
        Base = "base",
        /// Place in a ranking, best first.
        Rank = "rank",
        /// Score of the engine.
        Score = "score",
        /// Samples of a window.
        Samples = "samples",
        /// Inputs of the features that are missing.
        Features = "features",
        /// Ways of entering that have a direction.
        Routes = "routes",
        /// Positions.
        Positions = "positions",
        /// Entries under way.
        Entries = "entries",
        /// Orders.
        Orders = "orders",
        /// Losses in a row.
        Losses = "losses",
        /// Yes is 1, no is 0.
        Flag = "flag",
        /// Place in the modes of the process.
        SysMode = "sys_mode",
        /// Place in the safety modes of a symbol.
        SafetyMode = "safety_mode",
        /// Place in the states of a token.
        TokenState = "token_state",
        /// Place in the states of a cluster.
        ClusterState = "cluster_state",
        /// Place in the directions of a token.
        Direction = "direction",
        /// Place in the verdicts of the AI gate.
        AiVerdict = "ai_verdict",
    }
}

impl GateUnit {
    /// The word that a number of a graded unit stands for; none for a unit that measures, and for a number
    /// without a word.
    #[must_use]
    pub fn word(self, number: Decimal) -> Option<&'static str> {
        let at = usize::try_from(number).ok()?;
        if !number.fract().is_zero() {
            return None;
        }
        match self {
            Self::Flag => ["no", "yes"].get(at).copied(),
            Self::SysMode => SysMode::ALL.get(at).map(|word| word.as_str()),
            Self::SafetyMode => SafetyMode::ALL.get(at).map(|word| word.as_str()),
            Self::TokenState => FsmState::ALL.get(at).map(|word| word.name()),
            Self::ClusterState => ClusterState::ALL.get(at).map(|word| word.name()),
            Self::Direction => Direction::ALL.get(at).map(|word| word.name()),
            Self::AiVerdict => AiVerdict::ALL.get(at).map(|word| word.as_str()),
            Self::Bps
            | Self::Ratio
            | Self::Percent
            | Self::X10000
            | Self::Ms
            | Self::Ticks
            | Self::Quote
            | Self::Base
            | Self::Rank
            | Self::Score
            | Self::Samples
            | Self::Features
            | Self::Routes
            | Self::Positions
            | Self::Entries
            | Self::Orders
            | Self::Losses => None,
        }
    }
}

/// Value, limit and unit of one comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measured {
    /// What was found.
    pub value: Decimal,
    /// What it is compared with.
    pub limit: Decimal,
    /// Unit of both.
    pub unit: GateUnit,
}

impl Measured {
    /// A comparison.
    #[must_use]
    pub fn of(value: impl Into<Decimal>, limit: impl Into<Decimal>, unit: GateUnit) -> Self {
        Self { value: value.into(), limit: limit.into(), unit }
    }

    /// Something that has to be there and is not.
    #[must_use]
    pub fn absent() -> Self {
        Self::of(0, 1, GateUnit::Flag)
    }

    /// Places of two words of one vocabulary: what is, and what has to be.
    #[must_use]
    pub fn graded<T: PartialEq>(all: &[T], is: &T, wanted: &T, unit: GateUnit) -> Self {
        let place = |word: &T| all.iter().position(|one| one == word).map_or(0, count);
        Self::of(place(is), place(wanted), unit)
    }
}

/// A length as a number.
fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_graded_number_is_its_word_and_a_measured_one_is_none() {
        let measured =
            Measured::graded(SysMode::ALL, &SysMode::Pause, &SysMode::Normal, GateUnit::SysMode);
        assert_eq!(measured.unit.word(measured.value), Some("PAUSE"));
        assert_eq!(measured.unit.word(measured.limit), Some("NORMAL"));
        for unit in GateUnit::ALL {
            assert_eq!(unit.word(Decimal::from(99)), None, "{unit}");
            assert_eq!(unit.word(Decimal::new(5, 1)), None, "{unit}");
            assert_eq!(unit.word(Decimal::NEGATIVE_ONE), None, "{unit}");
        }
        assert_eq!(GateUnit::Bps.word(Decimal::ONE), None);
    }
}
