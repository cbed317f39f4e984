//! The four names of a pair and the names of assets.
//!
//! Input: REST tables (`AssetPairs`, `Assets`). Output: [`PairNames`] and [`AssetNames`] for look-ups
//! both ways. Rules: the socket's symbol is the older `wsname` with `XBT` and `XDG` renamed; a REST
//! result's key is the pair id whatever was asked for, so it is matched through the table and never
//! by equality with a request; a leading X or Z is never stripped by rule.

use std::collections::BTreeMap;

/// Renames one leg or asset to the socket's code.
pub fn modern_asset(code: &str) -> &str {
    match code {
        "XBT" => "BTC",
        "XDG" => "DOGE",
        other => other,
    }
}

/// The socket's symbol of a `wsname` (`XBT/USD` → `BTC/USD`); `None` without a slash.
pub fn symbol_of_wsname(wsname: &str) -> Option<String> {
    let (base, quote) = wsname.split_once('/')?;
    if base.is_empty() || quote.is_empty() || quote.contains('/') {
        return None;
    }
    Some(format!("{}/{}", modern_asset(base), modern_asset(quote)))
}

/// Names of pairs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PairNames {
    symbol_of_id: BTreeMap<String, String>,
    symbol_of_altname: BTreeMap<String, String>,
    altname_of_symbol: BTreeMap<String, String>,
}

impl PairNames {
    /// Adds one row of `AssetPairs`. Dark-pool ids (`….d`) and rows without `wsname` are skipped.
    pub fn add(&mut self, id: &str, altname: &str, wsname: Option<&str>) {
        if id.ends_with(".d") {
            return;
        }
        let Some(symbol) = wsname.and_then(symbol_of_wsname) else { return };
        self.symbol_of_id.insert(id.to_owned(), symbol.clone());
        self.symbol_of_altname.insert(altname.to_owned(), symbol.clone());
        self.altname_of_symbol.insert(symbol, altname.to_owned());
    }

    /// The socket's symbol of a REST result's key or of an order's `descr.pair`.
    pub fn symbol(&self, id_or_altname: &str) -> Option<&str> {
        self.symbol_of_id
            .get(id_or_altname)
            .or_else(|| self.symbol_of_altname.get(id_or_altname))
            .map(String::as_str)
    }

    /// The name to send to REST for a symbol.
    pub fn altname(&self, symbol: &str) -> Option<&str> {
        self.altname_of_symbol.get(symbol).map(String::as_str)
    }

    /// Number of pairs.
    pub fn len(&self) -> usize {
        self.altname_of_symbol.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.altname_of_symbol.is_empty()
    }
}

/// How a REST balance may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BalanceUse {
    /// Counts as available for spot orders.
    Spendable,
    /// Staked, bonded, held: does not count.
    Locked,
}

/// Names of assets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AssetNames {
    altname_of_code: BTreeMap<String, String>,
}

impl AssetNames {
    /// Adds one row of `Assets`.
    pub fn add(&mut self, code: &str, altname: &str) {
        self.altname_of_code.insert(code.to_owned(), altname.to_owned());
    }

    /// The plain code (`XXBT` → `BTC`) and whether the balance is spendable. Only balances without a
    /// suffix and `.F` (which the venue spends by itself) are.
    pub fn balance(&self, code: &str) -> (String, BalanceUse) {
        let (plain, usage) = match code.split_once('.') {
            None => (code, BalanceUse::Spendable),
            Some((plain, "F")) => (plain, BalanceUse::Spendable),
            Some((plain, _)) => (plain, BalanceUse::Locked),
        };
        let altname = self.altname_of_code.get(plain).map_or(plain, String::as_str);
        (modern_asset(altname).to_owned(), usage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_rename_each_leg_and_nothing_else() {
        for (wsname, want) in [
            ("XBT/USD", Some("BTC/USD")),
            ("XDG/XBT", Some("DOGE/BTC")),
            ("XTZ/USD", Some("XTZ/USD")),
            ("ZRX/USD", Some("ZRX/USD")),
            ("SOLUSD", None),
            ("/USD", None),
            ("A/B/C", None),
        ] {
            assert_eq!(symbol_of_wsname(wsname).as_deref(), want, "{wsname}");
        }
    }

    #[test]
    fn results_are_matched_through_the_table() {
        let mut names = PairNames::default();
        names.add("XXBTZUSD", "XBTUSD", Some("XBT/USD"));
        names.add("SOLUSD", "SOLUSD", Some("SOL/USD"));
        names.add("XXBTZUSD.d", "XBTUSD.d", Some("XBT/USD"));
        names.add("ODD", "ODD", None);
        assert_eq!(names.symbol("XXBTZUSD"), Some("BTC/USD"));
        assert_eq!(names.symbol("XBTUSD"), Some("BTC/USD"));
        assert_eq!(names.altname("BTC/USD"), Some("XBTUSD"));
        assert_eq!(names.symbol("ODD"), None);
        assert_eq!(names.len(), 2);
    }

    #[test]
    fn staked_balances_are_not_spendable() {
        let mut names = AssetNames::default();
        names.add("XXBT", "XBT");
        names.add("ZUSD", "USD");
        names.add("XTZ", "XTZ");
        assert_eq!(names.balance("XXBT"), ("BTC".to_owned(), BalanceUse::Spendable));
        assert_eq!(names.balance("ZUSD"), ("USD".to_owned(), BalanceUse::Spendable));
        assert_eq!(names.balance("XTZ.S"), ("XTZ".to_owned(), BalanceUse::Locked));
        assert_eq!(names.balance("XXBT.F"), ("BTC".to_owned(), BalanceUse::Spendable));
    }
}
