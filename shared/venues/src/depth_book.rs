//! An aggregated book in exact decimals, for venues whose messages name absolute quantities.
//!
//! Input: levels. Output: the book. Invariants: each side has one quantity per price, none of zero; two
//! spellings of one price (`39253.0`, `39253`) are one level. It knows nothing of sequences; the
//! venue's own book does.

use std::collections::BTreeMap;

use penstock_types::vocab::Side;
use rust_decimal::Decimal;

/// A book.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DepthBook {
    bids: BTreeMap<Decimal, Decimal>,
    asks: BTreeMap<Decimal, Decimal>,
}

impl DepthBook {
    /// Sets the quantity of a price; zero removes it, and removing what is not there is normal.
    pub fn set(&mut self, side: Side, price: Decimal, qty: Decimal) {
        let levels = match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        };
        if qty.is_zero() {
            levels.remove(&price);
        } else {
            levels.insert(price, qty);
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.bids.clear();
        self.asks.clear();
    }

    /// Best bid: price and quantity.
    pub fn best_bid(&self) -> Option<(Decimal, Decimal)> {
        self.bids.last_key_value().map(|(price, qty)| (*price, *qty))
    }

    /// Best ask: price and quantity.
    pub fn best_ask(&self) -> Option<(Decimal, Decimal)> {
        self.asks.first_key_value().map(|(price, qty)| (*price, *qty))
    }

    /// Bids, best first: price and quantity.
    pub fn bids(&self) -> impl Iterator<Item = (Decimal, Decimal)> + '_ {
        self.bids.iter().rev().map(|(price, qty)| (*price, *qty))
    }

    /// Asks, best first: price and quantity.
    pub fn asks(&self) -> impl Iterator<Item = (Decimal, Decimal)> + '_ {
        self.asks.iter().map(|(price, qty)| (*price, *qty))
    }

    /// Whether the best bid is at or above the best ask.
    pub fn is_crossed(&self) -> bool {
        match (self.best_bid(), self.best_ask()) {
            (Some((bid, _)), Some((ask, _))) => bid >= ask,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn spellings_of_one_price_are_one_level() {
        let mut book = DepthBook::default();
        book.set(Side::Buy, "39253.0".parse().unwrap(), "1".parse().unwrap());
        book.set(Side::Buy, "39253".parse().unwrap(), "2.0".parse().unwrap());
        assert_eq!(book.bids().count(), 1);
        book.set(Side::Buy, "39253.00".parse().unwrap(), "0.0".parse().unwrap());
        assert_eq!(book.best_bid(), None);
        book.set(Side::Sell, "1".parse().unwrap(), "0".parse().unwrap());
        assert_eq!(book, DepthBook::default());
    }

    proptest! {
        /// The last quantity of a price decides, in whatever order other prices change.
        #[test]
        fn the_last_quantity_of_a_price_decides(
            steps in proptest::collection::vec((any::<bool>(), 1i64..20, 0i64..4), 0..100),
        ) {
            let mut book = DepthBook::default();
            for (is_bid, price, qty) in &steps {
                let side = if *is_bid { Side::Buy } else { Side::Sell };
                book.set(side, Decimal::new(*price, 1), Decimal::new(*qty, 2));
            }
            let last = |is_bid: bool, price: i64| {
                let mine = steps.iter().rev().find(|step| step.0 == is_bid && step.1 == price);
                mine.map(|step| step.2).filter(|qty| *qty > 0)
            };
            let want: Vec<_> = (1..20).rev().filter_map(|p| Some((p, last(true, p)?))).collect();
            let held: Vec<_> = book.bids().collect();
            let want: Vec<_> =
                want.into_iter().map(|(p, q)| (Decimal::new(p, 1), Decimal::new(q, 2))).collect();
            prop_assert_eq!(held, want);
            prop_assert!(book.asks().is_sorted_by(|a, b| a.0 < b.0));
        }
    }
}
