//! Fee schedule and the account's rates.
//!
//! Inputs: 30-day volume in USD. Outputs: maker and taker rates. The numbers are the venue's
//! published tiers for major pairs of mid-2026. The volume is fixed for a run: the account's own
//! trades do not move its tier.

use rust_decimal::{Decimal, RoundingStrategy};

/// One tier: volume in USD from which it holds, taker and maker rate in hundredths of a percent
/// (basis points).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeeTier {
    /// Smallest 30-day volume, USD.
    pub volume_usd: i64,
    /// Taker rate, basis points.
    pub taker_bps: i64,
    /// Maker rate, basis points.
    pub maker_bps: i64,
}

const fn tier(volume_usd: i64, taker_bps: i64, maker_bps: i64) -> FeeTier {
    FeeTier { volume_usd, taker_bps, maker_bps }
}

/// All tiers, ascending by volume.
pub const FEE_TIERS: [FeeTier; 12] = [
    tier(0, 40, 25),
    tier(10_000, 35, 20),
    tier(50_000, 24, 14),
    tier(100_000, 22, 12),
    tier(250_000, 20, 10),
    tier(500_000, 18, 8),
    tier(1_000_000, 16, 6),
    tier(2_500_000, 14, 4),
    tier(5_000_000, 12, 2),
    tier(10_000_000, 10, 0),
    tier(100_000_000, 8, 0),
    tier(500_000_000, 5, 0),
];

/// The tier of a 30-day volume, and the one after it.
#[must_use]
pub fn tier_of(volume_usd: Decimal) -> (FeeTier, Option<FeeTier>) {
    let above = FEE_TIERS.iter().position(|tier| Decimal::from(tier.volume_usd) > volume_usd);
    let index = above.unwrap_or(FEE_TIERS.len()).saturating_sub(1);
    (FEE_TIERS[index], FEE_TIERS.get(index + 1).copied())
}

/// Fee of one fill: amount × rate, rounded half away from zero to `decimals` digits.
#[must_use]
pub fn fee(amount: Decimal, rate_bps: i64, decimals: u32) -> Decimal {
    amount
        .saturating_mul(Decimal::new(rate_bps, 4))
        .round_dp_with_strategy(decimals, RoundingStrategy::MidpointAwayFromZero)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tier_is_the_last_one_reached() {
        let rates = |volume: i64| {
            let (tier, _) = tier_of(Decimal::from(volume));
            (tier.maker_bps, tier.taker_bps)
        };
        assert_eq!(rates(0), (25, 40));
        assert_eq!(rates(9_999), (25, 40));
        assert_eq!(rates(250_000), (10, 20));
        assert_eq!(rates(499_999), (10, 20));
        assert_eq!(rates(900_000_000), (0, 5));
        assert_eq!(tier_of(Decimal::from(900_000_000)).1, None);
    }

    #[test]
    fn a_fee_is_rounded_to_the_cost_decimals() {
        let cost = Decimal::new(123_456_785, 6);
        assert_eq!(fee(cost, 20, 5).to_string(), "0.24691");
        assert_eq!(fee(Decimal::new(25, 5), 20, 5).to_string(), "0.00000");
    }
}
