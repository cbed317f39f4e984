//! Balances: what came from outside, and what every trade moved, is what the venue says it holds for us.
//!
//! What a trade moves is price times quantity, every digit of it: the rounded cost of its row would be off by the sum of
//! the roundings.

use std::collections::BTreeMap;

use penstock_store_decision::ledger_read::{AssetAmount, Books};
use penstock_types::Decimal;
use penstock_types::decimal::scale;

use super::Found;
use super::venue::VenueTrade;

type Derived = BTreeMap<String, Decimal>;

/// Judges what the venue said; the number of assets that were compared, and of those of which it has said nothing.
/// `foreign` are trades of orders that are not ours: they move the balances and have no fill.
pub(super) fn judge(
    books: &Books,
    said: &[AssetAmount],
    foreign: &[&VenueTrade],
    found: &mut Found,
) -> (usize, usize) {
    let mut derived = derive(books, foreign, found);
    if said == books.balances {
        // The cluster has rounded these to its column, halves away from zero.
        for amount in derived.values_mut() {
            *amount = amount.round_dp_with_strategy(
                scale::QTY,
                rust_decimal::RoundingStrategy::MidpointAwayFromZero,
            );
        }
    }
    let mut unsaid = 0;
    for (asset, derived) in &derived {
        match said.iter().find(|balance| balance.asset == *asset) {
            Some(said) => found.same(&format!("asset {asset}"), "balance", said.amount, *derived),
            // Nothing was ever held of it, and nothing is.
            None if derived.is_zero() => {}
            None => unsaid += 1,
        }
    }
    for said in said.iter().filter(|said| !derived.contains_key(&said.asset)) {
        found.same(&format!("asset {}", said.asset), "balance", said.amount, Decimal::ZERO);
    }
    (derived.len() - unsaid, unsaid)
}

fn derive(books: &Books, foreign: &[&VenueTrade], found: &mut Found) -> Derived {
    let mut derived = Derived::new();
    let mut add = |asset: &str, amount: Decimal| {
        *derived.entry(asset.to_owned()).or_default() += amount;
    };
    for change in &books.changes {
        add(&change.asset, change.amount);
    }
    let mut trade = |symbol: &str, side: &str, qty: Decimal, cost: Decimal| {
        let Some((base, quote)) = symbol.split_once('/') else { return false };
        let (bought, paid) = if side == "buy" { (qty, -cost) } else { (-qty, cost) };
        add(base, bought);
        add(quote, paid);
        true
    };
    let mut fees = Vec::new();
    for fill in &books.fills {
        let cost = fill.price.checked_mul(fill.qty).unwrap_or(fill.cost_quote);
        if trade(&fill.symbol, &fill.side, fill.qty, cost) {
            fees.push((fill.fee_asset.as_str(), fill.fee_asset_qty));
        } else {
            found.say(&format!("fill {}", fill.fill_id), "symbol", &fill.symbol, "BASE/QUOTE");
        }
    }
    for other in foreign {
        let cost = other.price.checked_mul(other.qty).unwrap_or_default();
        if trade(&other.symbol, other.side, other.qty, cost) {
            fees.push((other.symbol.rsplit('/').next().unwrap_or_default(), other.fee));
        } else {
            let at = format!("trade {}", other.exec_id);
            found.say(&at, "symbol", &other.symbol, "a pair of the venue's table");
        }
    }
    for (asset, fee) in fees {
        *derived.entry(asset.to_owned()).or_default() -= fee;
    }
    derived
}
