//! The orders of one book, and the windows of it that level 3 subscribers hold.
//!
//! Input: the queues of levels that changed. Output: the events that turn a window as last sent
//! into the window as it is. Invariants: applying the events to the old window (adds of one level
//! sorted by time) and cutting both sides to the depth gives the new window; an order that only
//! left the window is not mentioned; the orders of a level that entered it are added. It formats
//! nothing.

use crate::exchange::{OrderNo, Price, Qty, QueuedOrder, Side};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// One order as subscribers know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) no: OrderNo,
    pub(super) qty: Qty,
    pub(super) placed_ns: i64,
    pub(super) account_id: Option<Arc<str>>,
}

impl From<&QueuedOrder> for Held {
    fn from(order: &QueuedOrder) -> Held {
        let account_id = order.account_id.clone();
        Held { no: order.no, qty: order.qty, placed_ns: order.placed_ns, account_id }
    }
}

/// One side: queues per price.
pub(super) type Side3 = BTreeMap<Price, Vec<Held>>;

/// What happens to one order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Add,
    Modify,
    Delete,
}

/// One event of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) kind: Kind,
    pub(super) price: Price,
    pub(super) order: Held,
}

/// All orders of one symbol.
#[derive(Clone, Debug, Default)]
pub(super) struct Orders {
    pub(super) bids: Side3,
    pub(super) asks: Side3,
    touched: BTreeSet<(Side, Price)>,
}

impl Orders {
    /// Sets the queue of a level; an empty one removes it.
    pub(super) fn set(&mut self, side: Side, price: Price, queue: &[QueuedOrder]) {
        let levels = match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        };
        if queue.is_empty() {
            levels.remove(&price);
        } else {
            levels.insert(price, queue.iter().map(Held::from).collect());
        }
        self.touched.insert((side, price));
    }

    /// Levels that changed since the last call.
    pub(super) fn take_touched(&mut self) -> BTreeSet<(Side, Price)> {
        std::mem::take(&mut self.touched)
    }

    fn side(&self, side: Side) -> &Side3 {
        match side {
            Side::Buy => &self.bids,
            Side::Sell => &self.asks,
        }
    }
}

/// The events of one message.
#[derive(Clone, Debug, Default)]
pub(super) struct Changes {
    pub(super) bids: Vec<Event>,
    pub(super) asks: Vec<Event>,
}

impl Changes {
    pub(super) fn len(&self) -> usize {
        self.bids.len() + self.asks.len()
    }
}

/// The window of one depth.
#[derive(Clone, Debug)]
pub(super) struct Window {
    depth: usize,
    pub(super) bids: Side3,
    pub(super) asks: Side3,
}

impl Window {
    pub(super) fn new(depth: usize, orders: &Orders) -> Window {
        let clone = |(price, queue): (&Price, &Vec<Held>)| (*price, queue.clone());
        Window {
            depth,
            bids: orders.bids.iter().rev().take(depth).map(clone).collect(),
            asks: orders.asks.iter().take(depth).map(clone).collect(),
        }
    }

    /// Moves the window to the orders as they are; what changed.
    pub(super) fn advance(
        &mut self,
        orders: &Orders,
        touched: &BTreeSet<(Side, Price)>,
    ) -> Changes {
        let mut changes = Changes::default();
        for side in [Side::Buy, Side::Sell] {
            let (held, events) = match side {
                Side::Buy => (&mut self.bids, &mut changes.bids),
                Side::Sell => (&mut self.asks, &mut changes.asks),
            };
            let mut prices: Vec<Price> =
                touched.iter().filter(|(of, _)| *of == side).map(|(_, price)| *price).collect();
            // From the far end: a level that goes with a better one was never the best price.
            if side == Side::Sell {
                prices.reverse();
            }
            advance_side(side, held, orders.side(side), prices, self.depth, events);
        }
        changes
    }

    /// Best price and its total of both sides, in units.
    pub(super) fn top(&self) -> Option<[i64; 4]> {
        let total = |queue: &[Held]| queue.iter().fold(0, |sum, order| sum + order.qty.0);
        let (bid, bids) = self.bids.last_key_value()?;
        let (ask, asks) = self.asks.first_key_value()?;
        Some([bid.0, total(bids), ask.0, total(asks)])
    }
}

fn better(side: Side, a: Price, b: Price) -> bool {
    match side {
        Side::Buy => a > b,
        Side::Sell => a < b,
    }
}

fn worst(side: Side, levels: &Side3) -> Option<Price> {
    match side {
        Side::Buy => levels.first_key_value(),
        Side::Sell => levels.last_key_value(),
    }
    .map(|(price, _)| *price)
}

fn advance_side(
    side: Side,
    held: &mut Side3,
    now: &Side3,
    touched: Vec<Price>,
    depth: usize,
    events: &mut Vec<Event>,
) {
    let mut entering = Vec::new();
    for price in touched {
        match (held.contains_key(&price), now.get(&price)) {
            (true, after) => {
                let before = held.remove(&price).unwrap_or_default();
                difference(price, &before, after.map_or(&[], Vec::as_slice), events);
                if let Some(after) = after {
                    held.insert(price, after.clone());
                }
            }
            // A level that was not in the window comes in only if there is room, which is known
            // when all removals have been seen.
            (false, Some(_)) => entering.push(price),
            (false, None) => {}
        }
    }
    let last = worst(side, held);
    let moved_in = |price: &Price| last.is_some_and(|last| better(side, *price, last));
    if held.len() < depth.min(now.len()) || entering.iter().any(moved_in) {
        refill(side, held, now, depth, events);
    }
}

/// The window becomes the best levels: what is missing is added, what has been pushed out is cut
/// off, as the subscriber does after the message.
fn refill(side: Side, held: &mut Side3, now: &Side3, depth: usize, events: &mut Vec<Event>) {
    let best: BTreeSet<Price> = match side {
        Side::Buy => now.keys().rev().take(depth).copied().collect(),
        Side::Sell => now.keys().take(depth).copied().collect(),
    };
    for price in &best {
        if !held.contains_key(price) {
            add_level(*price, held, now, events);
        }
    }
    held.retain(|price, _| best.contains(price));
}

/// The newest order first: subscribers have to sort by time, as with the real venue.
fn add_level(price: Price, held: &mut Side3, now: &Side3, events: &mut Vec<Event>) {
    let Some(queue) = now.get(&price) else { return };
    let add = |order: &Held| Event { kind: Kind::Add, price, order: order.clone() };
    events.extend(queue.iter().rev().map(add));
    held.insert(price, queue.clone());
}

fn difference(price: Price, before: &[Held], after: &[Held], events: &mut Vec<Event>) {
    let event = |kind, order: &Held| Event { kind, price, order: order.clone() };
    for old in before.iter().filter(|old| !after.iter().any(|new| new.no == old.no)) {
        events.push(event(Kind::Delete, old));
    }
    for new in after.iter().rev() {
        match before.iter().find(|old| old.no == new.no) {
            None => events.push(event(Kind::Add, new)),
            Some(old) if old.qty != new.qty || old.placed_ns != new.placed_ns => {
                events.push(event(Kind::Modify, new));
            }
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn queued(no: u64, qty: i64, placed_ns: i64) -> QueuedOrder {
        QueuedOrder { no: OrderNo(no), qty: Qty(qty), placed_ns, account_id: None }
    }

    /// A subscriber written from the documented rules.
    fn apply(held: &mut Side3, events: &[Event], side: Side, depth: usize) {
        for event in events {
            let queue = held.entry(event.price).or_default();
            match event.kind {
                Kind::Add => {
                    queue.retain(|order| order.no != event.order.no);
                    queue.push(event.order.clone());
                }
                Kind::Modify | Kind::Delete => {
                    let place = queue.iter().position(|order| order.no == event.order.no);
                    let place = place.expect("only known orders are modified or deleted");
                    if event.kind == Kind::Delete {
                        queue.remove(place);
                    } else {
                        queue[place] = event.order.clone();
                    }
                }
            }
            queue.sort_by_key(|order| order.placed_ns);
            if queue.is_empty() {
                held.remove(&event.price);
            }
        }
        while held.len() > depth
            && let Some(last) = worst(side, held)
        {
            held.remove(&last);
        }
    }

    /// (bid side, price, what happens, size)
    type Step = (bool, i64, u8, i64);

    fn step(orders: &mut Orders, clock: &mut u64, &(bid, price, what, size): &Step) {
        let side = if bid { Side::Buy } else { Side::Sell };
        let price = Price(if bid { price } else { price + 100 });
        let levels = orders.side(side).get(&price).cloned().unwrap_or_default();
        let mut queue: Vec<QueuedOrder> =
            levels.iter().map(|h| queued(h.no.0, h.qty.0, h.placed_ns)).collect();
        *clock += 1;
        let stamp = i64::try_from(*clock).expect("small");
        match what % 4 {
            0 | 1 => queue.push(queued(*clock, size, stamp)),
            2 if !queue.is_empty() => {
                queue.remove(0);
            }
            3 if !queue.is_empty() => {
                let mut moved = queue.remove(0);
                moved.qty = Qty(size);
                if size % 2 == 0 {
                    moved.placed_ns = stamp;
                    queue.push(moved);
                } else {
                    queue.insert(0, moved);
                }
            }
            _ => {}
        }
        orders.set(side, price, &queue);
    }

    #[test]
    fn levels_that_go_together_go_from_the_far_end() {
        let mut orders = Orders::default();
        for (no, price) in (1..).zip([10, 11, 12]) {
            orders.set(Side::Buy, Price(price), &[queued(no, 5, 1)]);
            orders.set(Side::Sell, Price(price + 10), &[queued(no + 10, 5, 1)]);
        }
        let mut window = Window::new(10, &orders);
        orders.take_touched();
        for price in [12, 11] {
            orders.set(Side::Buy, Price(price), &[]);
        }
        for price in [20, 21] {
            orders.set(Side::Sell, Price(price), &[]);
        }
        let touched = orders.take_touched();
        let changes = window.advance(&orders, &touched);
        let prices = |events: &[Event]| events.iter().map(|e| e.price.0).collect::<Vec<_>>();
        assert_eq!((prices(&changes.bids), prices(&changes.asks)), (vec![11, 12], vec![21, 20]));
    }

    proptest! {
        #[test]
        fn a_subscriber_holds_the_window(
            messages in prop::collection::vec(
                prop::collection::vec((any::<bool>(), 0i64..12, any::<u8>(), 1i64..50), 1..6),
                1..60,
            ),
            depth in 1usize..6,
        ) {
            let (mut orders, mut clock) = (Orders::default(), 0);
            let mut window = Window::new(depth, &orders);
            let (mut bids, mut asks) = (Side3::new(), Side3::new());
            for message in &messages {
                for one in message {
                    step(&mut orders, &mut clock, one);
                }
                let touched = orders.take_touched();
                let changes = window.advance(&orders, &touched);
                apply(&mut bids, &changes.bids, Side::Buy, depth);
                apply(&mut asks, &changes.asks, Side::Sell, depth);
                let whole = Window::new(depth, &orders);
                prop_assert_eq!(&window.bids, &whole.bids);
                prop_assert_eq!(&window.asks, &whole.asks);
                prop_assert_eq!(&bids, &whole.bids);
                prop_assert_eq!(&asks, &whole.asks);
            }
        }
    }
}
