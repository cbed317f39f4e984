//! Balances: what came from outside, and what every fill moved, is what the venue says it holds for us.
//!
//! What a fill moves is price times quantity, every digit of it: the rounded cost of its row would be off by the sum of
//! the roundings.

use std::collections::BTreeMap;

use penstock_store_decision::ledger_read::Books;
use penstock_types::Decimal;

use super::Found;

/// Judges; the number of assets that were compared, and of those of which the venue has said nothing.
pub(super) fn judge(books: &Books, found: &mut Found) -> (usize, usize) {
    let mut derived: BTreeMap<&str, Decimal> = BTreeMap::new();
    let mut add = |asset, amount: Decimal| *derived.entry(asset).or_default() += amount;
    for change in &books.changes {
        add(change.asset.as_str(), change.amount);
    }
    for fill in &books.fills {
        let Some((base, quote)) = fill.symbol.split_once('/') else {
            found.say(&format!("fill {}", fill.fill_id), "symbol", &fill.symbol, "BASE/QUOTE");
            continue;
        };
        let cost = fill.price.checked_mul(fill.qty).unwrap_or(fill.cost_quote);
        let (bought, paid) = match fill.side.as_str() {
            "buy" => (fill.qty, -cost),
            _ => (-fill.qty, cost),
        };
        add(base, bought);
        add(quote, paid);
        add(fill.fee_asset.as_str(), -fill.fee_asset_qty);
    }
    let mut unsaid = 0;
    for (asset, derived) in &derived {
        match books.balances.iter().find(|balance| balance.asset == *asset) {
            Some(said) => found.same(&format!("asset {asset}"), "balance", said.amount, *derived),
            // Nothing was ever held of it, and nothing is.
            None if derived.is_zero() => {}
            None => unsaid += 1,
        }
    }
    for said in books.balances.iter().filter(|said| !derived.contains_key(said.asset.as_str())) {
        found.same(&format!("asset {}", said.asset), "balance", said.amount, Decimal::ZERO);
    }
    (derived.len() - unsaid, unsaid)
}
