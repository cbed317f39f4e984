//! Fills against the venue's own history of trades: none invented, none lost, the same numbers.
//!
//! Trades of orders that are not ours are no fills, but they move the same balances; they are handed on for those.

use std::collections::{BTreeMap, BTreeSet};

use penstock_store_decision::ledger_read::Books;

use super::Found;
use super::venue::{VenueTrade, Word};

/// What came of the comparison.
#[derive(Debug, Default)]
pub(super) struct History<'a> {
    /// Fills that the history has.
    pub(super) both: usize,
    /// Trades since the opening of orders that are not ours.
    pub(super) foreign: Vec<&'a VenueTrade>,
}

/// Judges. A fill after the end of the word is left alone: it was booked while the word was asked for.
pub(super) fn judge<'a>(books: &Books, word: &'a Word, found: &mut Found) -> History<'a> {
    let mut history = History::default();
    let theirs: BTreeMap<&str, &VenueTrade> =
        word.trades.iter().map(|trade| (trade.exec_id.as_str(), trade)).collect();
    for fill in &books.fills {
        let at = format!("fill {}", fill.fill_id);
        let Some(trade) = theirs.get(fill.exec_id.as_str()) else {
            if fill.at < word.until {
                found.say(&at, "exec_id", &fill.exec_id, "no such trade at the venue");
            }
            continue;
        };
        history.both += 1;
        found.same(&at, "price", fill.price, trade.price);
        found.same(&at, "qty", fill.qty, trade.qty);
        found.equal(&at, "side", fill.side.as_str(), trade.side);
        found.equal(&at, "symbol", &fill.symbol, &trade.symbol);
        if fill.symbol.rsplit('/').next() == Some(fill.fee_asset.as_str()) {
            found.same(&at, "fee", fill.fee_asset_qty, trade.fee);
        }
    }
    let ours: BTreeSet<&str> =
        books.orders.iter().filter_map(|order| order.exchange_order_id.as_deref()).collect();
    let fills: BTreeSet<&str> = books.fills.iter().map(|fill| fill.exec_id.as_str()).collect();
    for trade in word.trades.iter().filter(|trade| !fills.contains(trade.exec_id.as_str())) {
        if ours.contains(trade.order_id.as_str()) {
            found.say(&format!("trade {}", trade.exec_id), "fill", "none", "one");
        } else if books.opened_at.is_some_and(|opened| trade.at > opened) {
            history.foreign.push(trade);
        }
    }
    history
}
