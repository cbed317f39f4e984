//! What happens by itself: stops fire on the last trade, orders end by time.
//!
//! Inputs: the last price of a symbol, engine time. Outputs: triggered orders executed as market
//! orders, expired orders ended. Invariant: stops of one symbol fire in the order of their entry;
//! the loop ends because every fired stop is fired for good.

use super::core::Exchange;
use super::instrument::{Side, SymbolNo};
use crate::account::EndReason;

impl Exchange {
    /// Fires stops of a symbol until none is due.
    pub(super) fn fire_stops(&mut self, symbol: SymbolNo) {
        while self.matches(symbol) {
            let Some(last) = self.market(symbol).last else { return };
            let due = self.account.armed_stops(symbol).find(|order| match order.side {
                Side::Sell => order.trigger.is_some_and(|trigger| last <= trigger),
                Side::Buy => order.trigger.is_some_and(|trigger| last >= trigger),
            });
            let Some(no) = due.map(|order| order.no) else { return };
            self.fire_stop(no);
        }
    }

    /// Ends every order whose time is over and lets the dead man's switch fire.
    pub(super) fn end_due_orders(&mut self) {
        for (no, symbol) in self.account.expired_by(self.now_us) {
            self.end_order(no, EndReason::Expired);
            self.finish(symbol);
        }
        if self.account.switch_due(self.now_us) {
            self.cancel_every_order(EndReason::DeadMansSwitch);
        }
    }
}
