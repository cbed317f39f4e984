//! A book that follows a recording.
//!
//! Inputs: levels and trades of recorded frames. Outputs: the same events as a generated market,
//! without prints. Choice: a recorded level stands as one order of the flow ahead of ours, whole
//! frames are applied before anything else happens, and orders of the account that rest there
//! trade only when a recorded level crosses them, at their own price and without changing the
//! recorded level; the recording is never altered by us.

use super::book::{Owner, Resting};
use super::core::Exchange;
use super::event::LevelChange;
use super::instrument::{Price, Qty, Side, SymbolNo};

impl Exchange {
    /// Sets recorded levels; zero removes one. With `snapshot` all other recorded levels of the
    /// symbol go first. `stamp_us` is the time that the recorded frame carries, when it does: clients
    /// know the book by it, so the history of best prices is kept under it.
    pub fn set_levels(
        &mut self,
        symbol: SymbolNo,
        levels: &[LevelChange],
        snapshot: bool,
        stamp_us: Option<i64>,
        now_us: i64,
    ) {
        self.begin(now_us);
        self.stamp_us = stamp_us;
        if snapshot {
            for side in [Side::Buy, Side::Sell] {
                let old: Vec<Price> =
                    self.market(symbol).book.levels(side).map(|(price, _)| price).collect();
                for price in old {
                    self.set_level(symbol, side, price, Qty::ZERO);
                }
            }
        }
        for level in levels {
            self.set_level(symbol, level.side, level.price, level.qty);
        }
        self.fill_crossed(symbol);
        self.finish(symbol);
        self.stamp_us = None;
    }

    /// A recorded trade: it moves the last price and so fires stops.
    pub fn record_trade(&mut self, symbol: SymbolNo, price: Price, trade_id: u64, now_us: i64) {
        self.begin(now_us);
        let market = &mut self.markets[symbol.0];
        market.last = Some(price);
        market.last_trade_id = market.last_trade_id.max(trade_id);
        self.finish(symbol);
    }

    fn set_level(&mut self, symbol: SymbolNo, side: Side, price: Price, qty: Qty) {
        let no = self.next_no();
        let market = &mut self.markets[symbol.0];
        let old = market.book.queue(side, price).find(|order| order.owner == Owner::Flow);
        if let Some(old) = old.map(|order| order.no) {
            market.book.remove(old);
        }
        if qty.0 > 0 {
            market.book.add_first(
                side,
                price,
                Resting { no, owner: Owner::Flow, qty, placed_ns: 0 },
            );
        }
        market.touch(side, price);
    }

    fn fill_crossed(&mut self, symbol: SymbolNo) {
        if !self.matches(symbol) {
            return;
        }
        for no in self.account.resting(symbol) {
            let market = self.market(symbol);
            let Some((side, price, order)) = market.book.find(no) else { continue };
            let crossing = |(level, _): &(Price, Qty)| match side {
                Side::Buy => *level <= price,
                Side::Sell => *level >= price,
            };
            let flow = |(level, _): (Price, Qty)| {
                let queue = market.book.queue(side.opposite(), level);
                let flow = queue.filter(|order| order.owner == Owner::Flow);
                flow.fold(Qty::ZERO, |sum, order| sum.plus(order.qty))
            };
            let offered = market.book.levels(side.opposite()).take_while(crossing).map(flow);
            let traded = offered.fold(Qty::ZERO, Qty::plus).min(order.qty);
            if traded.is_zero() {
                continue;
            }
            let trade_id = market.last_trade_id;
            self.markets[symbol.0].book.reduce(no, traded);
            self.markets[symbol.0].touch(side, price);
            self.fill_order(no, price, traded, trade_id, true);
        }
    }
}
