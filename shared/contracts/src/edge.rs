//! The least edge of an entry, raised when the market makes entries dearer than usual.
//!
//! Input: a strategy's floor and four figures of the snapshot. Output: a multiplier and the raised floor. Invariants:
//! the greatest reason alone counts, they do not add up; an absent figure raises nothing; the product is exact.

use crate::snapshot::Snapshot;
use crate::units::{Bps, X10000};
use penstock_types::Decimal;
use serde::{Deserialize, Serialize};

/// No reason to ask for more: the unit of all factors.
pub const CALM_X10000: i32 = 10_000;

/// How far a figure must leave its normal, and by how much the floor then grows. The defaults are those of the
/// configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdaptiveEdge {
    /// Spread against its median, times 10,000, above which it counts as wide.
    pub spread_factor_x10000: i32,
    /// Range against the normal one, times 10,000, above which it counts as volatile.
    pub volatility_factor_x10000: i32,
    /// Share of the bid in the best quantities, times 10,000, below which the book leans against us.
    pub imbalance_floor_x10000: i32,
    /// No multiplier goes beyond it.
    pub cap_x10000: i32,
    /// Normal range in basis points.
    pub normal_atr_bps: Decimal,
    /// Multiplier while the spread is wide.
    pub spread_step_x10000: i32,
    /// Multiplier while the market is volatile.
    pub volatility_step_x10000: i32,
    /// Multiplier while the book leans against us.
    pub imbalance_step_x10000: i32,
}

impl Default for AdaptiveEdge {
    fn default() -> Self {
        Self {
            spread_factor_x10000: 15_000,
            volatility_factor_x10000: 15_000,
            imbalance_floor_x10000: 5_000,
            cap_x10000: 30_000,
            normal_atr_bps: Decimal::from_parts(50, 0, 0, false, 0),
            spread_step_x10000: 12_000,
            volatility_step_x10000: 13_000,
            imbalance_step_x10000: 14_000,
        }
    }
}

/// What the least edge depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EdgeConditions {
    /// Spread now.
    pub spread_current: Bps,
    /// Its median of the last minute.
    pub spread_p50: Bps,
    /// Mean true range of 15-minute bars in basis points; none for the first 45 minutes of a lineage.
    pub atr_15m_bps: Option<Decimal>,
    /// Share of the bid in the best quantities.
    pub imbalance: X10000,
}

impl EdgeConditions {
    /// Those of a snapshot.
    #[must_use]
    pub fn of(snapshot: &Snapshot) -> Self {
        let windows = &snapshot.microstructure_60s;
        Self {
            spread_current: windows.spread_current_bps,
            spread_p50: windows.spread_bps_p50_60s,
            atr_15m_bps: snapshot.volatility.atr_15m_bps.map(crate::DecStr::value),
            imbalance: windows.bid_ask_imbalance_p50_10s_x10000,
        }
    }

    /// The multiplier: that of the greatest reason, at least the unit and at most the cap.
    #[must_use]
    pub fn multiplier(&self, adaptive: &AdaptiveEdge) -> X10000 {
        let unit = Decimal::from(CALM_X10000);
        let above = |value: Decimal, normal: Decimal, factor_x10000: i32| match (
            value.checked_mul(unit),
            normal.checked_mul(Decimal::from(factor_x10000)),
        ) {
            (Some(value), Some(normal)) => value > normal,
            // A figure that large is out of the normal whatever the normal is.
            (None, Some(_) | None) => true,
            (Some(_), None) => false,
        };
        let (now, median) =
            (Decimal::from(self.spread_current.0), Decimal::from(self.spread_p50.0));
        let mut multiplier = CALM_X10000;
        if above(now, median, adaptive.spread_factor_x10000) {
            multiplier = multiplier.max(adaptive.spread_step_x10000);
        }
        let volatile = |atr| above(atr, adaptive.normal_atr_bps, adaptive.volatility_factor_x10000);
        if self.atr_15m_bps.is_some_and(volatile) {
            multiplier = multiplier.max(adaptive.volatility_step_x10000);
        }
        if self.imbalance.0 < adaptive.imbalance_floor_x10000 {
            multiplier = multiplier.max(adaptive.imbalance_step_x10000);
        }
        X10000(multiplier.min(adaptive.cap_x10000).max(CALM_X10000))
    }
}

/// The floor times the multiplier, exact; `None` when it does not fit.
#[must_use]
pub fn adjusted_min_edge_bps(floor_bps: Decimal, multiplier: X10000) -> Option<Decimal> {
    floor_bps.checked_mul(Decimal::from(multiplier.0))?.checked_div(Decimal::from(CALM_X10000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::snapshot;
    use rstest::rstest;

    fn dec(text: &str) -> Decimal {
        Decimal::from_str_exact(text).unwrap()
    }

    #[rstest]
    #[case(2, 2, Some("42.5"), 5_600, 10_000)]
    #[case(3, 2, Some("75"), 5_000, 10_000)]
    #[case(4, 2, Some("75"), 5_000, 12_000)]
    #[case(3, 2, Some("75.0001"), 5_000, 13_000)]
    #[case(3, 2, Some("75"), 4_999, 14_000)]
    #[case(4, 2, Some("75.0001"), 5_000, 13_000)]
    #[case(4, 2, Some("75.0001"), 4_999, 14_000)]
    #[case(3, 2, None, 5_000, 10_000)]
    #[case(9, 2, None, 10_000, 12_000)]
    #[case(2, 1, None, 5_000, 12_000)]
    #[case(1, 1, None, 0, 14_000)]
    fn the_greatest_reason_counts(
        #[case] spread: i32,
        #[case] median: i32,
        #[case] atr: Option<&str>,
        #[case] imbalance: i32,
        #[case] want: i32,
    ) {
        let conditions = EdgeConditions {
            spread_current: Bps(spread),
            spread_p50: Bps(median),
            atr_15m_bps: atr.map(dec),
            imbalance: X10000(imbalance),
        };
        assert_eq!(conditions.multiplier(&AdaptiveEdge::default()), X10000(want));
    }

    #[test]
    fn the_raised_floor_is_exact() {
        assert_eq!(adjusted_min_edge_bps(dec("5"), X10000(13_000)), Some(dec("6.5")));
        assert_eq!(adjusted_min_edge_bps(dec("2.3333"), X10000(12_000)), Some(dec("2.79996")));
        assert_eq!(adjusted_min_edge_bps(Decimal::MAX, X10000(12_000)), None);
        let calm = EdgeConditions::of(&snapshot());
        assert_eq!(calm.multiplier(&AdaptiveEdge::default()), X10000(CALM_X10000));
        let endless = EdgeConditions { atr_15m_bps: Some(Decimal::MAX), ..calm };
        assert_eq!(endless.multiplier(&AdaptiveEdge::default()), X10000(13_000));
    }

    #[test]
    fn the_settings_are_used_and_the_cap_holds() {
        let worst = EdgeConditions {
            spread_current: Bps(9),
            spread_p50: Bps(2),
            atr_15m_bps: Some(dec("900")),
            imbalance: X10000(0),
        };
        let high = AdaptiveEdge { imbalance_step_x10000: 50_000, ..AdaptiveEdge::default() };
        assert_eq!(worst.multiplier(&high), X10000(30_000));
        let open = AdaptiveEdge { cap_x10000: 60_000, ..high };
        assert_eq!(worst.multiplier(&open), X10000(50_000));
        let deaf = AdaptiveEdge {
            spread_factor_x10000: 45_000,
            volatility_factor_x10000: 180_000,
            imbalance_floor_x10000: 0,
            ..open
        };
        assert_eq!(worst.multiplier(&deaf), X10000(CALM_X10000));
    }
}
