//! Decimals as integers of a column's scale, and back: sums of the aggregator are exact.

use penstock_types::{Decimal, decimal};

/// The value in units of 10^-scale, rounded half-even; at most 2^96 units, so sums fit in `i128`.
pub(crate) fn units(value: Decimal, scale: u32) -> i128 {
    let mut rounded = decimal::round_to(value, scale);
    rounded.rescale(scale);
    // A value whose digits do not reach the scale within 96 bits keeps a smaller scale.
    let missing = scale.saturating_sub(rounded.scale());
    rounded.mantissa().saturating_mul(10_i128.pow(missing))
}

/// The decimal behind a sum; `None` when it needs more than 96 bits.
pub(crate) fn decimal_of(units: i128, scale: u32) -> Option<Decimal> {
    Decimal::try_from_i128_with_scale(units, scale).ok()
}

/// Units as a float, for features only.
#[expect(clippy::cast_precision_loss, reason = "features are rounded to their column afterwards")]
pub(crate) fn float(units: i128) -> f64 {
    units as f64
}
