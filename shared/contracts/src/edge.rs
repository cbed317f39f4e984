//! The least edge of an entry, raised when the market makes entries dearer than usual.
//!
//! Input: a strategy's floor and four figures of the snapshot. Output: a multiplier and the raised floor. Invariants:
//! the greatest reason alone counts, they do not add up; an absent figure raises nothing; the product is exact.

use crate::snapshot::Snapshot;
use crate::units::{Bps, X10000};
use penstock_types::Decimal;

/// No reason to ask for more.
pub const CALM_X10000: i32 = 10_000;
/// The spread is wide against its median.
pub const WIDE_SPREAD_X10000: i32 = 12_000;
/// Volatility is above the normal.
pub const VOLATILE_X10000: i32 = 13_000;
/// More rests on the other side than on ours.
pub const IMBALANCE_X10000: i32 = 14_000;
/// No product goes beyond it.
pub const MULTIPLIER_CAP_X10000: i32 = 30_000;
/// How far a figure may be above its normal, times 10,000.
const TOLERANCE_X10000: i64 = 15_000;
/// Even shares of the best quantities, times 10,000.
const EVEN_X10000: i32 = 5_000;

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

    /// The multiplier, given the range that counts as normal in basis points.
    #[must_use]
    pub fn multiplier(&self, normal_atr_bps: Decimal) -> X10000 {
        let tolerance = Decimal::from(TOLERANCE_X10000);
        let unit = Decimal::from(CALM_X10000);
        let above = |value: Decimal, normal: Decimal| match (
            value.checked_mul(unit),
            normal.checked_mul(tolerance),
        ) {
            (Some(value), Some(normal)) => value > normal,
            // A figure that large is out of the normal whatever the normal is.
            (None, Some(_) | None) => true,
            (Some(_), None) => false,
        };
        let mut multiplier = CALM_X10000;
        if above(Decimal::from(self.spread_current.0), Decimal::from(self.spread_p50.0)) {
            multiplier = multiplier.max(WIDE_SPREAD_X10000);
        }
        if self.atr_15m_bps.is_some_and(|atr| above(atr, normal_atr_bps)) {
            multiplier = multiplier.max(VOLATILE_X10000);
        }
        if self.imbalance.0 < EVEN_X10000 {
            multiplier = multiplier.max(IMBALANCE_X10000);
        }
        X10000(multiplier.min(MULTIPLIER_CAP_X10000))
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
        assert_eq!(conditions.multiplier(dec("50")), X10000(want));
    }

    #[test]
    fn the_raised_floor_is_exact() {
        assert_eq!(adjusted_min_edge_bps(dec("5"), X10000(13_000)), Some(dec("6.5")));
        assert_eq!(adjusted_min_edge_bps(dec("2.3333"), X10000(12_000)), Some(dec("2.79996")));
        assert_eq!(adjusted_min_edge_bps(Decimal::MAX, X10000(12_000)), None);
        let calm = EdgeConditions::of(&snapshot());
        assert_eq!(calm.multiplier(dec("50")), X10000(CALM_X10000));
        let endless = EdgeConditions { atr_15m_bps: Some(Decimal::MAX), ..calm };
        assert_eq!(endless.multiplier(dec("50")), X10000(VOLATILE_X10000));
    }
}
