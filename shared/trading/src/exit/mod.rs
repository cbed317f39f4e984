//! How a position ends: policies, plan states, triggers, the closing sequence.
//!
//! Input: the frozen plan, the position, quotes and what the venue is known to hold. Output: the next
//! step as data. Invariants: a stop never loosens; a close is decided on a price that we have, except
//! the operator's; exactly one reduce order stands at the venue at a time. It deliberately knows no
//! tasks, rows or clocks: the supervisor calls it with what it read.

pub mod closing;
pub mod limits;
pub mod market;
pub mod order;
pub mod plan;
pub mod policy;
pub mod regime;
pub mod review;
pub mod trigger;

use penstock_types::Decimal;
use rust_decimal::RoundingStrategy;

/// Ten thousand: basis points in one.
pub(crate) const BPS: Decimal = Decimal::from_parts(10_000, 0, 0, false, 0);

/// `price × (1 + bps/10⁴)`, unrounded.
pub(crate) fn shifted(price: Decimal, bps: Decimal) -> Decimal {
    price
        .checked_mul(bps)
        .and_then(|p| p.checked_div(BPS))
        .and_then(|delta| price.checked_add(delta))
        .unwrap_or(price)
}

/// Distance of `price` above `base` in basis points, four digits; zero when it cannot be told.
pub(crate) fn bps_over(price: Decimal, base: Decimal) -> Decimal {
    price
        .checked_sub(base)
        .and_then(|d| d.checked_mul(BPS))
        .and_then(|d| d.checked_div(base))
        .map_or(Decimal::ZERO, |v| {
            v.round_dp_with_strategy(4, RoundingStrategy::MidpointNearestEven)
        })
}

#[cfg(test)]
mod tests;
