//! One symbol's order book: price levels, and within a level orders in the order of their arrival.
//!
//! Inputs: resting orders of the generated flow and of the account. Outputs: best levels, queue
//! fronts, depth. Invariants: a level is never empty, its total is the sum of its orders, and the
//! queue of a level is first in, first out; an order that loses its priority goes to the back. It
//! does not match, and does not know prices of trades, fees or owners' funds.

use super::instrument::{Price, Qty, Side};
use std::collections::{BTreeMap, HashMap, VecDeque};

/// Number of an order, unique over flow and account, growing with time of entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderNo(pub u64);

/// Whose order it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The generated market, or a recorded level.
    Flow,
    /// The one account.
    Account,
}

/// One order at rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resting {
    /// Its number.
    pub no: OrderNo,
    /// Its owner.
    pub owner: Owner,
    /// What is left of it.
    pub qty: Qty,
    /// When it took its place in the queue, ns since the Unix epoch; unique and growing within a
    /// book, but for recorded levels, which stand before everything at their price.
    pub placed_ns: i64,
}

#[derive(Debug, Default)]
struct Level {
    queue: VecDeque<Resting>,
    total: Qty,
}

/// Both sides of one symbol.
#[derive(Debug, Default)]
pub struct Book {
    bids: BTreeMap<Price, Level>,
    asks: BTreeMap<Price, Level>,
    places: HashMap<OrderNo, (Side, Price)>,
}

impl Book {
    /// Puts an order at the back of its level's queue.
    pub(crate) fn add(&mut self, side: Side, price: Price, order: Resting) {
        let level = self.side_mut(side).entry(price).or_default();
        level.queue.push_back(order);
        level.total = level.total.plus(order.qty);
        self.places.insert(order.no, (side, price));
    }

    /// Puts an order at the front of its level's queue: a recorded level stands before ours.
    pub(crate) fn add_first(&mut self, side: Side, price: Price, order: Resting) {
        let level = self.side_mut(side).entry(price).or_default();
        level.queue.push_front(order);
        level.total = level.total.plus(order.qty);
        self.places.insert(order.no, (side, price));
    }

    /// Takes an order out; what it had left, and where it was.
    pub(crate) fn remove(&mut self, no: OrderNo) -> Option<(Side, Price, Resting)> {
        let (side, price) = self.places.remove(&no)?;
        let level = self.side_mut(side).get_mut(&price)?;
        let index = level.queue.iter().position(|order| order.no == no)?;
        let order = level.queue.remove(index)?;
        level.total = level.total.less(order.qty);
        if level.queue.is_empty() {
            self.side_mut(side).remove(&price);
        }
        Some((side, price, order))
    }

    /// Takes `qty` off an order and keeps its place in the queue; an order with nothing left is
    /// removed. Returns where it was.
    pub(crate) fn reduce(&mut self, no: OrderNo, qty: Qty) -> Option<(Side, Price)> {
        let (side, price) = *self.places.get(&no)?;
        let level = self.side_mut(side).get_mut(&price)?;
        let order = level.queue.iter_mut().find(|order| order.no == no)?;
        if order.qty <= qty {
            self.remove(no)?;
        } else {
            order.qty = order.qty.less(qty);
            level.total = level.total.less(qty);
        }
        Some((side, price))
    }

    /// The best price of a side and the total quantity there.
    #[must_use]
    pub fn best(&self, side: Side) -> Option<(Price, Qty)> {
        self.levels(side).next()
    }

    /// The order that is matched first on a side.
    #[must_use]
    pub fn front(&self, side: Side) -> Option<(Price, Resting)> {
        let (price, level) = match side {
            Side::Buy => self.bids.last_key_value()?,
            Side::Sell => self.asks.first_key_value()?,
        };
        level.queue.front().map(|order| (*price, *order))
    }

    /// Total quantity at a price, zero without a level.
    #[must_use]
    pub fn total(&self, side: Side, price: Price) -> Qty {
        self.side(side).get(&price).map_or(Qty::ZERO, |level| level.total)
    }

    /// Levels of a side, best first.
    pub fn levels(&self, side: Side) -> Box<dyn Iterator<Item = (Price, Qty)> + '_> {
        match side {
            Side::Buy => Box::new(self.bids.iter().rev().map(|(p, level)| (*p, level.total))),
            Side::Sell => Box::new(self.asks.iter().map(|(p, level)| (*p, level.total))),
        }
    }

    /// Orders of one level in queue order.
    pub fn queue(&self, side: Side, price: Price) -> impl Iterator<Item = &Resting> {
        self.side(side).get(&price).into_iter().flat_map(|level| level.queue.iter())
    }

    /// Side, price and remainder of a resting order.
    #[must_use]
    pub fn find(&self, no: OrderNo) -> Option<(Side, Price, Resting)> {
        let (side, price) = *self.places.get(&no)?;
        let order = self.queue(side, price).find(|order| order.no == no)?;
        Some((side, price, *order))
    }

    /// Quantity that is matched before this order is.
    #[must_use]
    pub fn ahead(&self, no: OrderNo) -> Option<Qty> {
        let (side, price) = *self.places.get(&no)?;
        let before = self.queue(side, price).take_while(|order| order.no != no);
        Some(before.fold(Qty::ZERO, |sum, order| sum.plus(order.qty)))
    }

    /// Number of orders at rest.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// True when nothing rests.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// True when the best bid is at or above the best ask.
    #[must_use]
    pub fn crossed(&self) -> bool {
        match (self.best(Side::Buy), self.best(Side::Sell)) {
            (Some((bid, _)), Some((ask, _))) => bid >= ask,
            (None, _) | (_, None) => false,
        }
    }

    fn side(&self, side: Side) -> &BTreeMap<Price, Level> {
        match side {
            Side::Buy => &self.bids,
            Side::Sell => &self.asks,
        }
    }

    fn side_mut(&mut self, side: Side) -> &mut BTreeMap<Price, Level> {
        match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(no: u64, qty: i64) -> Resting {
        let placed_ns = i64::try_from(no).expect("small");
        Resting { no: OrderNo(no), owner: Owner::Flow, qty: Qty(qty), placed_ns }
    }

    #[test]
    fn a_level_is_first_in_first_out_and_knows_what_is_ahead() {
        let mut book = Book::default();
        book.add(Side::Buy, Price(10), order(1, 5));
        book.add(Side::Buy, Price(10), order(2, 7));
        book.add(Side::Buy, Price(11), order(3, 1));
        assert_eq!(book.front(Side::Buy).map(|(p, o)| (p, o.no)), Some((Price(11), OrderNo(3))));
        assert_eq!(book.ahead(OrderNo(2)), Some(Qty(5)));
        assert_eq!(book.reduce(OrderNo(1), Qty(2)), Some((Side::Buy, Price(10))));
        assert_eq!(book.ahead(OrderNo(2)), Some(Qty(3)));
        assert_eq!(book.total(Side::Buy, Price(10)), Qty(10));
    }

    #[test]
    fn an_emptied_level_disappears() {
        let mut book = Book::default();
        book.add(Side::Sell, Price(20), order(1, 5));
        assert_eq!(book.reduce(OrderNo(1), Qty(5)), Some((Side::Sell, Price(20))));
        assert_eq!(book.best(Side::Sell), None);
        assert_eq!(book.remove(OrderNo(1)), None);
        assert!(book.is_empty());
    }
}
