//! Fills against the trades that the venue's private stream told: none invented, none lost, the same numbers.

use std::collections::BTreeMap;

use penstock_store_decision::ledger_read::{Books, ToldTrade};

use super::Found;

/// Judges; the number of fills that the stream told. A fill that only the trade history told, because the stream was
/// away, is not among them.
pub(super) fn judge(books: &Books, found: &mut Found) -> usize {
    let told: BTreeMap<&str, &ToldTrade> =
        books.told.iter().map(|trade| (trade.exec_id.as_str(), trade)).collect();
    let mut fills = BTreeMap::new();
    let mut both = 0;
    for fill in &books.fills {
        let at = format!("fill {}", fill.fill_id);
        if let Some(first) = fills.insert(fill.exec_id.as_str(), fill.fill_id) {
            found.say(&at, "exec_id", &fill.exec_id, &format!("booked as fill {first} already"));
        }
        let Some(trade) = told.get(fill.exec_id.as_str()) else { continue };
        both += 1;
        found.same(&at, "qty", fill.qty, trade.qty.unwrap_or_default());
        found.same(&at, "price", fill.price, trade.price.unwrap_or_default());
        if let Some(side) = &trade.side {
            found.equal(&at, "side", &fill.side, side);
        }
        if let Some(symbol) = &trade.symbol {
            found.equal(&at, "symbol", &fill.symbol, symbol);
        }
    }
    for trade in told.values().filter(|trade| !fills.contains_key(trade.exec_id.as_str())) {
        found.say(&format!("trade {}", trade.exec_id), "fill", "none", "one");
    }
    both
}
