//! The venue's own history of best prices, to hold quotes against.

use penstock_types::decimal::parse_wire;
use penstock_types::{Decimal, Symbol, UtcMicros};
use std::collections::BTreeMap;

/// Bid and ask.
pub type Top = (Decimal, Decimal);

/// Per symbol: time of a book message and the best prices after it. Several messages of one microsecond
/// are all kept: any of them is the book at that stamp.
#[derive(Debug, Default)]
pub struct Tops(BTreeMap<Symbol, BTreeMap<i64, Vec<Option<Top>>>>);

impl Tops {
    /// Adds a symbol's history as the venue's admin interface gives it: rows of
    /// `[ts_us, bid, bid_qty, ask, ask_qty]`.
    ///
    /// # Errors
    /// A sentence naming the row that does not read.
    pub fn add(&mut self, symbol: &Symbol, answer: &serde_json::Value) -> Result<(), String> {
        let rows = answer["tops"].as_array().ok_or("no list of tops")?;
        if answer["truncated"].as_u64().unwrap_or_default() > 0 {
            return Err(format!("{symbol}: the venue forgot the beginning of its book history"));
        }
        let history = self.0.entry(symbol.clone()).or_default();
        for row in rows {
            let at = row[0].as_i64().ok_or_else(|| format!("{symbol}: row {row}"))?;
            let side = |n: usize| row[n].as_str().map(parse_wire).transpose();
            let bid = side(1).map_err(|error| error.to_string())?;
            let ask = side(3).map_err(|error| error.to_string())?;
            history.entry(at).or_default().push(bid.zip(ask));
        }
        Ok(())
    }

    /// The venue's best prices at a stamp: `ours` when it stood there at that stamp, else what stood
    /// there. A stamp between two changes has the prices of the earlier one.
    #[must_use]
    pub fn at(&self, symbol: &Symbol, stamp: UtcMicros, ours: Top) -> Option<Top> {
        let history = self.0.get(symbol)?;
        let (_, tops) = history.range(..=stamp.0).next_back()?;
        if tops.contains(&Some(ours)) {
            return Some(ours);
        }
        tops.last().copied().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_stamp_has_the_book_of_the_last_change_before_it() {
        let symbol = Symbol::new("BTC/USD").unwrap();
        let mut tops = Tops::default();
        let rows = json!({"tops": [[10, "1.0", "1", "1.2", "1"], [10, "1.1", "1", "1.2", "1"],
            [20, null, null, "1.2", "1"]], "truncated": 0});
        tops.add(&symbol, &rows).unwrap();
        let top = |bid: i64| (Decimal::new(bid, 1), Decimal::new(12, 1));
        assert_eq!(tops.at(&symbol, UtcMicros(9), top(10)), None);
        assert_eq!(tops.at(&symbol, UtcMicros(10), top(10)), Some(top(10)));
        assert_eq!(tops.at(&symbol, UtcMicros(15), top(9)), Some(top(11)));
        assert_eq!(tops.at(&symbol, UtcMicros(20), top(11)), None);
        assert!(tops.add(&symbol, &json!({"tops": [], "truncated": 1})).is_err());
    }
}
