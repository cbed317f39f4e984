//! Trades that the venue takes back.
//!
//! Inputs: an execution id. Outputs: the ledger entries that reverse it, also on the balances stream.
//! Invariants: a trade that was taken back is in no list of trades any more; what it moved goes back to
//! the last digit, fee included, by entries that are no trades; its order stays in the status in which it
//! ended. No report says so: the venue documents none.

use super::order::BalanceChange;
use crate::exchange::{Exchange, PrivateEvent, Side};
use rust_decimal::Decimal;

/// Why a trade stays.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BustError {
    /// No trade of the account has this id.
    #[error("trade {0} is none of the account")]
    Unknown(String),
    /// What is left of its order is still for sale.
    #[error("order {0} of the trade is still open; only trades of ended orders are taken back")]
    Open(String),
    /// The account has spent what the trade brought.
    #[error("the account has not enough {0} any more to give the trade back")]
    Spent(String),
}

impl Exchange {
    /// Takes a trade back.
    ///
    /// # Errors
    /// It is unknown, its order is open, or the account cannot give back what it got.
    pub fn bust(&mut self, exec_id: &str, now_us: i64) -> Result<Vec<BalanceChange>, BustError> {
        self.begin(now_us);
        let trades = self.account.trades();
        let place = trades.iter().position(|trade| trade.txid == exec_id);
        let place = place.ok_or_else(|| BustError::Unknown(exec_id.to_owned()))?;
        let trade = trades[place].clone();
        let order = self.account.order_by_txid(&trade.order_txid);
        let no = match order {
            Some(order) if order.status.terminal() => order.no,
            Some(_) | None => return Err(BustError::Open(trade.order_txid)),
        };
        let instrument = self.market(trade.symbol).instrument.clone();
        let sign = if trade.side == Side::Buy { Decimal::NEGATIVE_ONE } else { Decimal::ONE };
        let fee_of = |asset: &str| {
            if trade.fee_asset == asset { trade.fee } else { Decimal::ZERO }
        };
        let base = instrument.qty(trade.qty) * sign + fee_of(&instrument.base);
        let quote = trade.cost * -sign + fee_of(&instrument.quote);
        let moves = [(&instrument.base, base), (&instrument.quote, quote)];
        for (asset, amount) in moves {
            if self.account.available(asset) + amount < Decimal::ZERO {
                return Err(BustError::Spent(asset.clone()));
            }
        }
        let at_us = self.now_us;
        let entries = moves.map(|(asset, amount)| {
            self.account.book(at_us, "adjustment", trade.txid.clone(), asset, amount, Decimal::ZERO)
        });
        self.account.trades.remove(place);
        if let Some(order) = self.account.orders.get_mut(&no) {
            order.cum_qty = order.cum_qty.less(trade.qty);
            order.cum_cost -= trade.cost;
            order.fee_base -= fee_of(&instrument.base);
            order.fee_quote -= fee_of(&instrument.quote);
            order.trades.retain(|txid| *txid != trade.txid);
        }
        let symbol = trade.symbol;
        self.account.busts.push(trade);
        self.private.extend(entries.iter().cloned().map(PrivateEvent::Balance));
        self.finish(symbol);
        Ok(entries.into())
    }
}
