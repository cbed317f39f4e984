//! The account as REST shows it while it lags: what happened within the lag has not happened yet.
//!
//! Inputs: the account, and the border in engine time. Outputs: orders and trades as of then.
//! Terms (prices, quantities) of an amended order are shown as they are now: the venue's lag is
//! about presence and status, and nothing else is modelled.

use crate::account::{AccountTrade, Order, OrderStatus};
use crate::exchange::Exchange;
use std::collections::BTreeSet;

/// A view of the account up to a time.
pub(crate) struct Lagging<'a> {
    pub(crate) exchange: &'a Exchange,
    /// Events after this time, µs, are not visible.
    pub(crate) until_us: i64,
    /// Venue ids of orders that no list shows now.
    pub(crate) vanished: BTreeSet<String>,
}

impl Lagging<'_> {
    /// The order as it was at the border; `None` when it did not exist then or has
    /// vanished.
    pub(crate) fn order(&self, order: &Order) -> Option<Order> {
        if order.opened_us > self.until_us || self.vanished.contains(&order.txid) {
            return None;
        }
        let mut seen = order.clone();
        let trades = self.exchange.account().trades().iter();
        let later = trades.filter(|t| t.order_txid == order.txid && t.ts_us > self.until_us);
        for trade in later {
            seen.cum_qty = seen.cum_qty.less(trade.qty);
            seen.cum_cost -= trade.cost;
            let base = self.exchange.market(trade.symbol).instrument.base == trade.fee_asset;
            *(if base { &mut seen.fee_base } else { &mut seen.fee_quote }) -= trade.fee;
            seen.trades.retain(|txid| *txid != trade.txid);
        }
        if seen.closed_us.is_some_and(|closed_us| closed_us > self.until_us) {
            seen.closed_us = None;
            seen.reason = None;
            let traded = !seen.cum_qty.is_zero();
            seen.status = if traded { OrderStatus::PartiallyFilled } else { OrderStatus::New };
        }
        Some(seen)
    }

    /// All orders that existed at the border, oldest first, as they were then.
    pub(crate) fn orders(&self) -> Vec<Order> {
        self.exchange.account().orders().filter_map(|order| self.order(order)).collect()
    }

    /// One order by its venue id, as it was at the border.
    pub(crate) fn by_txid(&self, txid: &str) -> Option<Order> {
        self.exchange.account().order_by_txid(txid).and_then(|order| self.order(order))
    }

    /// Trades up to the border, oldest first.
    pub(crate) fn trades(&self) -> &[AccountTrade] {
        let trades = self.exchange.account().trades();
        let visible = trades.partition_point(|trade| trade.ts_us <= self.until_us);
        &trades[..visible]
    }
}
