//! The checksum of level 3 messages.
//!
//! Input: the orders of the best levels as scaled integers. Output: CRC-32 (the zlib one) over the
//! digits of price and quantity of every order of the ten best ask levels, then of the ten best bid
//! levels, within a level in queue order. A scaled integer contributes its own decimal digits, which
//! are the fixed-point digits without point and leading zeros. It does not read wire text.

use super::window::{Held, Side3};
use crate::public::CHECKSUM_LEVELS;
use std::fmt::Write;

/// Checksum of both sides.
pub(super) fn of(asks: &Side3, bids: &Side3) -> u32 {
    let mut sum = Sum::default();
    for (price, orders) in asks.iter().take(CHECKSUM_LEVELS) {
        sum.level(price.0, orders);
    }
    for (price, orders) in bids.iter().rev().take(CHECKSUM_LEVELS) {
        sum.level(price.0, orders);
    }
    sum.crc.finalize()
}

/// Checksum over levels given best first, as (price units, quantities in queue order).
#[must_use]
pub fn checksum(asks: &[(i64, Vec<i64>)], bids: &[(i64, Vec<i64>)]) -> u32 {
    let mut sum = Sum::default();
    for (price, orders) in
        asks.iter().take(CHECKSUM_LEVELS).chain(bids.iter().take(CHECKSUM_LEVELS))
    {
        for qty in orders {
            sum.order(*price, *qty);
        }
    }
    sum.crc.finalize()
}

#[derive(Default)]
struct Sum {
    crc: crc32fast::Hasher,
    text: String,
}

impl Sum {
    fn level(&mut self, price: i64, orders: &[Held]) {
        for order in orders {
            self.order(price, order.qty.0);
        }
    }

    fn order(&mut self, price: i64, qty: i64) {
        self.text.clear();
        for units in [price, qty].into_iter().filter(|units| *units != 0) {
            // Writing to a string cannot fail.
            let _ = write!(self.text, "{}", units.unsigned_abs());
        }
        self.crc.update(self.text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_example_has_its_checksum() {
        let asks = [
            (449_395, vec![452_308_393, 111_261, 100_000, 1_000_000]),
            (449_500, vec![10_334_926]),
            (449_530, vec![64_537]),
            (449_550, vec![250_000]),
            (449_596, vec![35_630_000, 35_630_000]),
            (449_601, vec![338_072]),
            (449_602, vec![88_967_575]),
            (449_670, vec![314_392_283]),
            (449_785, vec![6_778_960]),
            (449_792, vec![35_630_000]),
        ];
        let bids = [
            (
                449_394,
                vec![
                    88_968_699,
                    45_210_000,
                    10_000_000,
                    14_296_323,
                    25_000_000,
                    10_292_988,
                    33_880_000,
                    128_140_860,
                ],
            ),
            (449_371, vec![3_346_877]),
            (449_347, vec![35_630_000]),
            (449_302, vec![22_734_299, 1_000_000, 5_550_000, 70_000_000, 15_000_000]),
            (449_280, vec![105_240]),
            (449_196, vec![33_870_000]),
            (449_195, vec![7_610_000]),
            (449_120, vec![35_630_000]),
            (449_097, vec![6_690_000]),
            (449_019, vec![88_982]),
        ];
        assert_eq!(checksum(&asks, &bids), 1_063_832_831);
        let mut swapped = asks.clone();
        swapped[0].1.swap(0, 1);
        assert_ne!(checksum(&swapped, &bids), 1_063_832_831, "the order in the queue counts");
    }
}
