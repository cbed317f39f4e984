//! Orders against their events and fills: states follow one another without a hole, sums are those of the fills.

use std::collections::BTreeMap;

use penstock_store_decision::ledger_read::{Books, EventRow, FillRow, OrderRow};
use penstock_types::Decimal;
use penstock_types::decimal::{round_to, scale};

use super::Found;

pub(super) fn judge(books: &Books, found: &mut Found) {
    let mut events: BTreeMap<i64, Vec<&EventRow>> = BTreeMap::new();
    for event in &books.events {
        events.entry(event.order_id).or_default().push(event);
    }
    let mut fills: BTreeMap<i64, Vec<&FillRow>> = BTreeMap::new();
    for fill in &books.fills {
        fills.entry(fill.order_id).or_default().push(fill);
    }
    for order in &books.orders {
        let at = format!("order {}", order.order_id);
        states(order, events.get(&order.order_id).map_or(&[][..], Vec::as_slice), &at, found);
        sums(order, fills.get(&order.order_id).map_or(&[][..], Vec::as_slice), &at, found);
    }
    let known = |id: i64| books.orders.binary_search_by_key(&id, |order| order.order_id).is_ok();
    for fill in books.fills.iter().filter(|fill| !known(fill.order_id)) {
        let at = format!("fill {}", fill.fill_id);
        found.say(&at, "order_id", &fill.order_id.to_string(), "no such order");
    }
}

/// The events begin anywhere, follow one another, and end in the order's state.
fn states(order: &OrderRow, events: &[&EventRow], at: &str, found: &mut Found) {
    let mut state: Option<&str> = None;
    for (nth, event) in (1..).zip(events) {
        let at = format!("{at} event {}", event.event_seq);
        found.equal(&at, "event_seq", event.event_seq, nth);
        let from = event.from_state.as_deref();
        if from != state {
            found.say(&at, "from_state", from.unwrap_or("none"), state.unwrap_or("none"));
        }
        state = Some(&event.to_state);
    }
    let number = i32::try_from(events.len()).unwrap_or(i32::MAX);
    found.equal(at, "event_seq", order.event_seq, number);
    found.equal(at, "state", order.state.as_str(), state.unwrap_or("none"));
}

fn sums(order: &OrderRow, fills: &[&FillRow], at: &str, found: &mut Found) {
    let sum = |of: fn(&FillRow) -> Decimal| fills.iter().map(|fill| of(fill)).sum::<Decimal>();
    let (qty, cost) = (sum(|f| f.qty), sum(|f| f.cost_quote));
    found.same(at, "cum_qty", order.cum_qty, qty);
    found.same(at, "cum_cost", order.cum_cost, cost);
    found.same(at, "fee_quote", order.fee_quote, sum(|f| f.fee_quote));
    let avg = cost.checked_div(qty).map(|avg| round_to(avg, scale::PX));
    found.same(at, "avg_price", order.avg_price.unwrap_or_default(), avg.unwrap_or_default());
    for fill in fills {
        let at = format!("fill {}", fill.fill_id);
        found.equal(&at, "side", fill.side.as_str(), order.side.as_str());
        found.equal(&at, "symbol", fill.symbol.as_str(), order.symbol.as_str());
        let cost = fill.price.checked_mul(fill.qty).map(|cost| round_to(cost, scale::AMT));
        found.same(&at, "cost_quote", fill.cost_quote, cost.unwrap_or(Decimal::MAX));
    }
}
