//! Price-time priority: an arriving order takes the front of the best opposite level until its
//! limit, its quantity, or self-trade prevention ends it.
//!
//! Inputs: a taker and its quantity. Outputs: what traded; the account's orders are filled and the
//! prints queued on the way. Invariant: the account never trades with itself. It does not place
//! remainders and does not decide whether the market may match.

use super::book::{OrderNo, Owner};
use super::core::Exchange;
use super::event::Print;
use super::instrument::{Price, Qty, Side, SymbolNo};
use crate::account::{EndReason, SelfTrade};

/// An order that takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taker {
    pub(crate) side: Side,
    pub(crate) limit: Option<Price>,
    pub(crate) market_order: bool,
    pub(crate) account: Option<(OrderNo, SelfTrade)>,
}

impl Taker {
    pub(crate) fn flow(side: Side, limit: Option<Price>, market_order: bool) -> Taker {
        Taker { side, limit, market_order, account: None }
    }

    fn accepts(&self, price: Price) -> bool {
        match (self.limit, self.side) {
            (None, _) => true,
            (Some(limit), Side::Buy) => price <= limit,
            (Some(limit), Side::Sell) => price >= limit,
        }
    }
}

/// What a taker got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) filled: Qty,
    /// Self-trade prevention ended the taker.
    pub(crate) stopped: bool,
}

impl Exchange {
    /// True when the taker would trade at once.
    pub(crate) fn crosses(&self, symbol: SymbolNo, taker: &Taker) -> bool {
        let best = self.market(symbol).book.best(taker.side.opposite());
        best.is_some_and(|(price, _)| taker.accepts(price))
    }

    /// Quantity and cost that a taker would get from the book as it is.
    pub(crate) fn reachable(
        &self,
        symbol: SymbolNo,
        taker: &Taker,
        qty: Qty,
    ) -> (Qty, rust_decimal::Decimal) {
        let market = self.market(symbol);
        let mut left = qty;
        let mut cost = rust_decimal::Decimal::ZERO;
        for (price, total) in market.book.levels(taker.side.opposite()) {
            if left.is_zero() || !taker.accepts(price) {
                break;
            }
            let part = left.min(total);
            left = left.less(part);
            cost += market.instrument.cost(price, part);
        }
        (qty.less(left), cost)
    }

    /// So much of a quantity that a taker stops within the account's order: all that stands before it, and a
    /// share of it. The quantity itself when no order of the account is reached or no part can be left.
    pub(crate) fn up_to_account(&self, symbol: SymbolNo, side: Side, qty: Qty, share: f64) -> Qty {
        let book = &self.market(symbol).book;
        let mut before = Qty::ZERO;
        for (price, _) in book.levels(side.opposite()) {
            for order in book.queue(side.opposite(), price) {
                if before >= qty {
                    return qty;
                }
                if order.owner == Owner::Account {
                    let part = Qty((order.qty.0 as f64 * share) as i64);
                    let wanted = before.plus(part);
                    let splits = part.0 > 0 && part < order.qty;
                    return if splits { qty.min(wanted) } else { qty };
                }
                before = before.plus(order.qty);
            }
        }
        qty
    }

    /// Matches a taker against the book.
    pub(crate) fn take(&mut self, symbol: SymbolNo, taker: &Taker, qty: Qty) -> Taken {
        let maker_side = taker.side.opposite();
        let mut left = qty;
        while !left.is_zero() {
            let Some((price, front)) = self.markets[symbol.0].book.front(maker_side) else { break };
            if !taker.accepts(price) {
                break;
            }
            if let (Owner::Account, Some((_, rule))) = (front.owner, taker.account) {
                if rule != SelfTrade::CancelNewest {
                    self.end_order(front.no, EndReason::SelfTrade);
                }
                if rule != SelfTrade::CancelOldest {
                    return Taken { filled: qty.less(left), stopped: true };
                }
                continue;
            }
            let traded = left.min(front.qty);
            left = left.less(traded);
            let market = &mut self.markets[symbol.0];
            market.book.reduce(front.no, traded);
            market.touch(maker_side, price);
            let trade_id = self.print(symbol, taker, price, traded);
            if let Some((no, _)) = taker.account {
                self.fill_order(no, price, traded, trade_id, false);
            }
            if front.owner == Owner::Account {
                self.fill_order(front.no, price, traded, trade_id, true);
            }
        }
        Taken { filled: qty.less(left), stopped: false }
    }

    /// Queues a public print and moves the last price; its number. A recorded market keeps the
    /// recording's numbers: nothing of ours is printed there.
    fn print(&mut self, symbol: SymbolNo, taker: &Taker, price: Price, qty: Qty) -> u64 {
        let ts_us = self.now_us;
        let recorded = self.recorded;
        let market = &mut self.markets[symbol.0];
        market.last = Some(price);
        if recorded {
            return market.last_trade_id;
        }
        market.last_trade_id += 1;
        market.prints.push(Print {
            trade_id: market.last_trade_id,
            taker: taker.side,
            price,
            qty,
            market_order: taker.market_order,
            ts_us,
        });
        market.last_trade_id
    }
}
