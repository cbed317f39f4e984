//! Fills and balances: every trade once, to the last digit, and nothing that is not a trade.

use super::facts::Facts;
use super::report::Verdict;
use penstock_types::vocab::Side;
use penstock_types::{Decimal, Symbol};
use std::collections::BTreeMap;

/// J3: the fill rows are exactly the venue's trades.
pub(super) fn fills_are_the_venues_trades(facts: &Facts) -> Verdict {
    let mut verdict = Verdict::default();
    let mut ours = BTreeMap::new();
    for fill in &facts.fills {
        if ours.insert(fill.exec_id.as_str(), fill).is_some() {
            verdict.fail(format!("execution {} is booked twice", fill.exec_id));
        }
    }
    for trade in &facts.venue_trades {
        let fill = ours.remove(trade.exec_id.as_str());
        let same = fill.is_some_and(|fill| {
            fill.symbol == trade.symbol
                && fill.side == trade.side
                && fill.price == trade.price
                && fill.qty == trade.qty
                && fill.fee == trade.fee
        });
        verdict.check(same, || format!("venue trade {trade:?}, our fill {fill:?}"));
    }
    // What the venue took back stays booked beside the rows that reverse it.
    ours.retain(|exec_id, _| !facts.busted.contains(*exec_id));
    for (exec_id, fill) in ours {
        verdict.check(false, || format!("fill {exec_id} is no trade of the venue: {fill:?}"));
    }
    verdict
}

/// J4: per symbol Σ fills = base of the positions = venue balance; quote balance moves by the fills
/// alone; each position is the fold of its ledger.
pub(super) fn positions_are_fills_are_balances(facts: &Facts) -> Verdict {
    let mut verdict = Verdict::default();
    let mut base: BTreeMap<&Symbol, Decimal> = BTreeMap::new();
    let mut quote: BTreeMap<&str, Decimal> = BTreeMap::new();
    for fill in facts.fills.iter().filter(|fill| !facts.busted.contains(&fill.exec_id)) {
        let cost = fill.price * fill.qty;
        let (sign, paid) = match fill.side {
            Side::Buy => (Decimal::ONE, -cost),
            Side::Sell => (-Decimal::ONE, cost),
        };
        *base.entry(&fill.symbol).or_default() += sign * fill.qty;
        *quote.entry(fill.symbol.quote()).or_default() += paid - fill.fee;
    }
    for (symbol, sum) in base {
        let held: Decimal =
            facts.positions.iter().filter(|p| p.symbol == *symbol).map(|p| p.base_qty).sum();
        let at_venue = moved(facts, symbol.base());
        verdict.check(held == sum && at_venue == sum, || {
            format!("{symbol}: Σ fills {sum}, positions {held}, venue balance moved {at_venue}")
        });
    }
    for (asset, sum) in quote {
        let at_venue = moved(facts, asset);
        verdict.check(at_venue == sum, || {
            format!("{asset}: fills moved it by {sum}, the venue's balance by {at_venue}")
        });
    }
    folded(facts, &mut verdict);
    verdict
}

fn moved(facts: &Facts, asset: &str) -> Decimal {
    let at =
        |balances: &BTreeMap<String, Decimal>| balances.get(asset).copied().unwrap_or_default();
    at(&facts.venue_balances) - at(&facts.venue_opening)
}

fn folded(facts: &Facts, verdict: &mut Verdict) {
    for position in &facts.positions {
        let mut base = Decimal::ZERO;
        let mut realized = Decimal::ZERO;
        let mut seq = 0;
        let mut whole = true;
        for row in facts.ledger.iter().filter(|row| row.position_id == position.position_id) {
            seq += 1;
            base += row.delta_base;
            realized += row.realized_quote;
            whole &= row.ledger_seq == seq && row.base_after == base;
        }
        verdict.check(
            whole && base == position.base_qty && realized == position.realized_quote,
            || {
                format!(
                    "position {} ({}): base {} realized {}, its ledger folds to {base} and {realized}",
                    position.position_id, position.symbol, position.base_qty, position.realized_quote
                )
            },
        );
    }
}
