//! Money (a): when flat, what the product booked equals the venue's account to the last digit.
//!
//! Inputs: the venue's trades and balances, the product's results, fills and told balances. Output: a verdict with one
//! item per amount. Invariants: no tolerance; trades that the venue took back count on neither side.

use crate::invariants::{Facts, Verdict};
use penstock_store_decision::ledger_read::Books;
use penstock_types::Decimal;
use penstock_types::vocab::Side;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The verdict with its numbers.
#[derive(Debug, Default)]
pub(super) struct Money {
    pub(super) verdict: Verdict,
    pub(super) figures: Value,
}

/// Judges it.
pub(super) fn judge(facts: &Facts, books: &Books) -> Money {
    let mut verdict = Verdict::default();
    let open = books.positions.iter().filter(|p| p.status == "open" || p.status == "closing");
    let open: Vec<&str> = open.map(|position| position.symbol.as_str()).collect();
    verdict.check(open.is_empty(), || format!("not flat, {open:?} are open"));
    let (mut cash, mut fees) = (Decimal::ZERO, Decimal::ZERO);
    for trade in &facts.venue_trades {
        let cost = trade.price * trade.qty;
        cash += match trade.side {
            Side::Buy => -cost,
            Side::Sell => cost,
        };
        cash -= trade.fee;
        fees += trade.fee;
    }
    let net: Decimal = books.results.iter().map(|result| result.net_quote).sum();
    verdict.check(net == cash, || {
        format!("Σ net PnL is {net}, the venue's trades moved the quote balance by {cash}")
    });
    let ours = books.fills.iter().filter(|fill| !facts.busted.contains(&fill.exec_id));
    let booked: Decimal = ours.map(|fill| fill.fee_quote).sum();
    verdict.check(booked == fees, || format!("Σ fees is {booked}, the venue took {fees}"));
    let told: BTreeMap<&str, Decimal> =
        books.balances.iter().map(|row| (row.asset.as_str(), row.amount)).collect();
    for (asset, amount) in &facts.venue_balances {
        let known = told.get(asset.as_str()).copied().unwrap_or_default();
        verdict.check(known == *amount, || {
            format!("{asset}: our balance is {known}, the venue's {amount}")
        });
    }
    let figures = json!({
        "net_pnl": net.normalize().to_string(), "venue_cash": cash.normalize().to_string(),
        "fees": booked.normalize().to_string(), "venue_fees": fees.normalize().to_string(),
    });
    Money { verdict, figures }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariants::VenueTrade;
    use penstock_store_decision::ledger_read::{AssetAmount, ResultRow};
    use penstock_types::Symbol;

    fn dec(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    fn trade(exec_id: &str, side: Side, price: &str, fee: &str) -> VenueTrade {
        let symbol = Symbol::new("BTC/USD").unwrap();
        let (price, qty, fee) = (dec(price), dec("0.1"), dec(fee));
        VenueTrade { exec_id: exec_id.to_owned(), symbol, side, price, qty, fee }
    }

    fn books(net: &str, balance: &str) -> Books {
        let zero = Decimal::ZERO;
        let net_quote = dec(net);
        let result = ResultRow {
            id: 1,
            position_id: 1,
            fill_id: 2,
            closed_qty: dec("0.1"),
            gross_quote: zero,
            fees_quote: zero,
            net_quote,
        };
        let balance = AssetAmount { asset: "USD".to_owned(), amount: dec(balance) };
        Books { results: vec![result], balances: vec![balance], ..Books::default() }
    }

    #[test]
    fn one_digit_anywhere_is_found() {
        let mut facts = Facts::default();
        facts.venue_trades.push(trade("a", Side::Buy, "100", "0"));
        facts.venue_trades.push(trade("b", Side::Sell, "101", "0"));
        facts.venue_balances.insert("USD".to_owned(), dec("1000.1"));
        assert_eq!(judge(&facts, &books("0.1", "1000.1")).verdict.holds(), Some(true));
        assert_eq!(judge(&facts, &books("0.1000000001", "1000.1")).verdict.broken, 1);
        assert_eq!(judge(&facts, &books("0.1", "1000.0999999999")).verdict.broken, 1);
        facts.venue_trades[0].fee = dec("0.01");
        assert_eq!(judge(&facts, &books("0.1", "1000.1")).verdict.broken, 2, "net and fees");
    }
}
