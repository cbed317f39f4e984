//! The public's copy of one book, and the windows of it that subscribers hold.
//!
//! Input: new totals per price. Output: the difference between a window as last sent and the
//! window as it is. Invariants: applying a difference to the old window and cutting both sides to
//! the depth gives the new window; a level that only left the window is not mentioned; a level
//! that entered it is. It formats nothing.

use std::collections::BTreeMap;

use crate::exchange::{Book, LevelChange, Price, Qty, Side, Top};

/// Depths that the venue offers.
pub const DEPTHS: [usize; 5] = [10, 25, 100, 500, 1_000];

/// Totals per price of one symbol.
#[derive(Debug, Default, Clone)]
pub struct Mirror {
    bids: BTreeMap<Price, Qty>,
    asks: BTreeMap<Price, Qty>,
}

impl Mirror {
    /// The book as the exchange has it.
    pub fn of(book: &Book) -> Self {
        Self { bids: book.levels(Side::Buy).collect(), asks: book.levels(Side::Sell).collect() }
    }

    /// Sets a level; zero removes it.
    pub fn set(&mut self, change: &LevelChange) {
        let side = match change.side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        };
        if change.qty.is_zero() {
            side.remove(&change.price);
        } else {
            side.insert(change.price, change.qty);
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.bids.clear();
        self.asks.clear();
    }

    /// Cuts both sides to their best `depth` levels, as a subscriber of that depth does; the levels
    /// that fell out.
    pub fn truncate(&mut self, depth: usize) -> Vec<(Side, Price)> {
        let mut out = Vec::new();
        while self.bids.len() > depth
            && let Some((price, _)) = self.bids.pop_first()
        {
            out.push((Side::Buy, price));
        }
        while self.asks.len() > depth
            && let Some((price, _)) = self.asks.pop_last()
        {
            out.push((Side::Sell, price));
        }
        out
    }

    /// Levels of a side, best first, at most `count`, appended.
    pub fn levels(&self, side: Side, count: usize, out: &mut Vec<(Price, Qty)>) {
        match side {
            Side::Buy => out.extend(self.bids.iter().rev().take(count).map(|(p, q)| (*p, *q))),
            Side::Sell => out.extend(self.asks.iter().take(count).map(|(p, q)| (*p, *q))),
        }
    }

    /// Best of both sides.
    pub fn top(&self) -> Top {
        let pair = |(price, qty): (&Price, &Qty)| (*price, *qty);
        Top {
            bid: self.bids.last_key_value().map(pair),
            ask: self.asks.first_key_value().map(pair),
        }
    }

    fn has(&self, side: Side, price: Price) -> bool {
        match side {
            Side::Buy => self.bids.contains_key(&price),
            Side::Sell => self.asks.contains_key(&price),
        }
    }
}

/// Changed levels; quantity zero removes.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Changes {
    /// Changed bids.
    pub bids: Vec<(Price, Qty)>,
    /// Changed asks.
    pub asks: Vec<(Price, Qty)>,
}

impl Changes {
    /// True when nothing changed inside the window.
    pub fn is_empty(&self) -> bool {
        self.bids.is_empty() && self.asks.is_empty()
    }
}

/// The window of one depth as its subscribers hold it.
#[derive(Debug, Clone)]
pub struct DepthView {
    depth: usize,
    bids: Vec<(Price, Qty)>,
    asks: Vec<(Price, Qty)>,
    scratch: Vec<(Price, Qty)>,
}

impl DepthView {
    /// The window of `depth` levels as the book is now.
    pub fn new(depth: usize, mirror: &Mirror) -> Self {
        let (mut bids, mut asks) = (Vec::new(), Vec::new());
        mirror.levels(Side::Buy, depth, &mut bids);
        mirror.levels(Side::Sell, depth, &mut asks);
        Self { depth, bids, asks, scratch: Vec::new() }
    }

    /// Best bids first.
    pub fn bids(&self) -> &[(Price, Qty)] {
        &self.bids
    }

    /// Best asks first.
    pub fn asks(&self) -> &[(Price, Qty)] {
        &self.asks
    }

    /// Moves the window to the book as it is now; what changed.
    pub fn advance(&mut self, mirror: &Mirror) -> Changes {
        let mut changes = Changes::default();
        for (side, window, changed) in [
            (Side::Buy, &mut self.bids, &mut changes.bids),
            (Side::Sell, &mut self.asks, &mut changes.asks),
        ] {
            self.scratch.clear();
            mirror.levels(side, self.depth, &mut self.scratch);
            difference(side, window, &self.scratch, mirror, changed);
            std::mem::swap(window, &mut self.scratch);
        }
        changes
    }
}

/// Merges two windows of one side, both best first. Removals come before everything else: a
/// subscriber that cuts to the depth after every level, and not only at the end of the message as
/// documented, would otherwise cut off a level that a later removal makes room for.
fn difference(
    side: Side,
    old: &[(Price, Qty)],
    new: &[(Price, Qty)],
    mirror: &Mirror,
    changed: &mut Vec<(Price, Qty)>,
) {
    let better = |a: Price, b: Price| match side {
        Side::Buy => a > b,
        Side::Sell => a < b,
    };
    let mut present = Vec::new();
    let (mut left, mut right) = (old, new);
    while let Some((was, rest)) = left.split_first() {
        match right.split_first() {
            Some((is, others)) if is.0 == was.0 => {
                if is.1 != was.1 {
                    present.push(*is);
                }
                (left, right) = (rest, others);
            }
            Some((is, others)) if better(is.0, was.0) => {
                present.push(*is);
                right = others;
            }
            Some(_) | None => {
                // Gone from the book: said. Pushed out of the window: the subscriber cuts it off.
                if !mirror.has(side, was.0) {
                    changed.push((was.0, Qty::ZERO));
                }
                left = rest;
            }
        }
    }
    changed.append(&mut present);
    changed.extend_from_slice(right);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::public::checksum::checksum;
    use proptest::prelude::*;

    type Levels = Vec<(Price, Qty)>;

    /// A subscriber written from the documented rules: apply, cut, verify.
    #[derive(Default)]
    struct Subscriber {
        bids: BTreeMap<i64, i64>,
        asks: BTreeMap<i64, i64>,
    }

    impl Subscriber {
        /// `at_once` cuts after every level, as some clients do, and not after the message.
        fn apply(&mut self, depth: usize, changes: &Changes, at_once: bool) {
            for (bid, changed) in [(true, &changes.bids), (false, &changes.asks)] {
                for (price, qty) in changed {
                    let book = if bid { &mut self.bids } else { &mut self.asks };
                    if qty.0 == 0 {
                        book.remove(&price.0);
                    } else {
                        book.insert(price.0, qty.0);
                    }
                    if at_once {
                        self.cut(depth);
                    }
                }
            }
            self.cut(depth);
        }

        fn cut(&mut self, depth: usize) {
            while self.bids.len() > depth {
                self.bids.pop_first();
            }
            while self.asks.len() > depth {
                self.asks.pop_last();
            }
        }

        fn sides(&self) -> (Levels, Levels) {
            let level = |(price, qty): (&i64, &i64)| (Price(*price), Qty(*qty));
            (self.asks.iter().map(level).collect(), self.bids.iter().rev().map(level).collect())
        }
    }

    fn flow() -> impl Strategy<Value = Vec<Vec<(bool, i64, i64)>>> {
        let change = (any::<bool>(), 1..60_i64, prop_oneof![Just(0_i64), 1..1_000_i64]);
        prop::collection::vec(prop::collection::vec(change, 1..6), 1..120)
    }

    proptest! {
        #[test]
        fn a_subscriber_that_follows_the_rules_always_has_the_checksum(flow in flow()) {
            for depth in [3, 10, 25, 100] {
                let mut mirror = Mirror::default();
                let mut view = DepthView::new(depth, &mirror);
                let mut subscribers = [Subscriber::default(), Subscriber::default()];
                for message in &flow {
                    for &(bid, offset, qty) in message {
                        let (side, price) =
                            if bid { (Side::Buy, 1_000 - offset) } else { (Side::Sell, 1_000 + offset) };
                        mirror.set(&LevelChange { side, price: Price(price), qty: Qty(qty) });
                    }
                    let changes = view.advance(&mirror);
                    for (subscriber, at_once) in subscribers.iter_mut().zip([false, true]) {
                        subscriber.apply(depth, &changes, at_once);
                        let (asks, bids) = subscriber.sides();
                        prop_assert_eq!(checksum(&asks, &bids), checksum(view.asks(), view.bids()));
                        prop_assert_eq!(&asks[..], view.asks());
                        prop_assert_eq!(&bids[..], view.bids());
                    }
                }
            }
        }
    }

    #[test]
    fn a_level_that_leaves_the_window_is_not_deleted_and_one_that_enters_is_inserted() {
        let mut mirror = Mirror::default();
        let set = |mirror: &mut Mirror, price, qty| {
            mirror.set(&LevelChange { side: Side::Sell, price: Price(price), qty: Qty(qty) });
        };
        for price in [10, 11, 12] {
            set(&mut mirror, price, 5);
        }
        let mut view = DepthView::new(2, &mirror);
        set(&mut mirror, 9, 1);
        assert_eq!(view.advance(&mirror).asks, [(Price(9), Qty(1))]);
        set(&mut mirror, 9, 0);
        let changes = view.advance(&mirror);
        assert_eq!(changes.asks, [(Price(9), Qty(0)), (Price(11), Qty(5))]);
        set(&mut mirror, 12, 7);
        assert!(view.advance(&mirror).is_empty(), "the third level is outside of the window");
    }
}
