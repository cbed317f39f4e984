//! What the simulated venue lists: pairs, assets, precisions and minimums.
//!
//! Input: how many pairs are wanted, or the pairs that a recording contains. Output: a [`Catalog`]
//! that every endpoint of the venue reads (socket names, REST ids, altnames). Invariants: BTC/USD
//! is the first pair of every generated catalog and is quoted in USD; names are unique; a pair's
//! symbol has its base before the slash. It knows nothing of order books, accounts or time.

mod assets;
mod pairs;

pub use assets::{Asset, asset};
pub use pairs::{PAIRS_MAX, SCENARIO_PAIRS, minimums};

use rust_decimal::Decimal;

use crate::exchange::{Instrument, PairStatus, Price, Qty};

/// One listed pair: what the exchange trades, and what only listings need.
#[derive(Debug, Clone)]
pub struct Listing {
    /// The pair as the exchange trades it.
    pub instrument: Instrument,
    /// Base asset with all its names.
    pub base: Asset,
    /// Quote asset with all its names.
    pub quote: Asset,
    /// Where the market starts, quote units.
    pub start_price: Decimal,
    /// Traded value of the day before the venue's start, quote units: ranks the pairs.
    pub day_volume_quote: Decimal,
}

impl Listing {
    /// A pair built from its socket name and what is known of its numbers: what a recording
    /// offers. `None` when the name is not `BASE/QUOTE` or a minimum does not fit its digits.
    pub fn from_symbol(
        symbol: &str,
        price_decimals: u32,
        qty_decimals: u32,
        start_price: Decimal,
    ) -> Option<Self> {
        let (base, quote) = symbol.split_once('/')?;
        if base.is_empty() || quote.is_empty() || quote.contains('/') {
            return None;
        }
        let (qty_min, cost_min) = minimums(symbol, quote);
        let (base, quote) = (asset(base), asset(quote));
        let mut instrument = Instrument {
            symbol: symbol.to_owned(),
            base: base.id.clone(),
            quote: quote.id.clone(),
            pair_id: pair_id(&base, &quote),
            altname: format!("{}{}", base.altname, quote.altname),
            wsname: format!("{}/{}", base.altname, quote.altname),
            base_code: base.code.clone(),
            quote_code: quote.code.clone(),
            price_decimals,
            qty_decimals,
            cost_decimals: cost_decimals(&base, &quote),
            tick: Price(1),
            qty_min: Qty(1),
            cost_min,
            status: PairStatus::Online,
        };
        instrument.qty_min = instrument.qty_of(qty_min)?;
        Some(Self { instrument, base, quote, start_price, day_volume_quote: Decimal::ZERO })
    }
}

/// Digits of a cost: the venue gives cheap coins and non-dollar quotes more of them.
fn cost_decimals(base: &Asset, quote: &Asset) -> u32 {
    match (base.id.as_str(), quote.fiat) {
        ("DOGE", _) => 9,
        ("XRP", _) => 8,
        (_, true) => 5,
        (_, false) => 10,
    }
}

/// REST id of a pair: the two REST codes for pairs of the legacy era, else the altname. Dogecoin
/// against dollars is the venue's exception and keeps the short form.
fn pair_id(base: &Asset, quote: &Asset) -> String {
    let legacy = base.code != base.altname && quote.code != quote.altname;
    if legacy && base.altname != "XDG" {
        format!("{}{}", base.code, quote.code)
    } else {
        format!("{}{}", base.altname, quote.altname)
    }
}

/// Why a catalog cannot be made.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CatalogError {
    /// The number of pairs is out of range.
    #[error(
        "symbols {wanted} is out of range: the venue lists 1 to {limit} pairs; choose a number in that range"
    )]
    Count {
        /// What was asked for.
        wanted: usize,
        /// The largest possible number.
        limit: usize,
    },
    /// Two pairs have one name.
    #[error("pair {0} occurs twice; list it once")]
    Twice(String),
}

/// All pairs and assets of one venue, in listing order.
#[derive(Debug, Clone)]
pub struct Catalog {
    listings: Vec<Listing>,
    assets: Vec<Asset>,
}

impl Catalog {
    /// The first `count` pairs of the built-in table, BTC/USD first.
    ///
    /// # Errors
    /// [`CatalogError::Count`] when the table is too short or `count` is 0.
    pub fn generated(count: usize) -> Result<Self, CatalogError> {
        if count == 0 || count > PAIRS_MAX {
            return Err(CatalogError::Count { wanted: count, limit: PAIRS_MAX });
        }
        Self::of(pairs::table(count))
    }

    /// A catalog of exactly these pairs.
    ///
    /// # Errors
    /// [`CatalogError::Twice`] when a symbol occurs twice.
    pub fn of(listings: Vec<Listing>) -> Result<Self, CatalogError> {
        let mut assets: Vec<Asset> = Vec::new();
        for (index, one) in listings.iter().enumerate() {
            let symbol = &one.instrument.symbol;
            if listings.iter().take(index).any(|earlier| earlier.instrument.symbol == *symbol) {
                return Err(CatalogError::Twice(symbol.clone()));
            }
            for leg in [&one.quote, &one.base] {
                if !assets.iter().any(|known| known.id == leg.id) {
                    assets.push(leg.clone());
                }
            }
        }
        Ok(Self { listings, assets })
    }

    /// The pairs in listing order; the position is the pair's number everywhere in the venue.
    pub fn listings(&self) -> &[Listing] {
        &self.listings
    }

    /// The pairs as the exchange takes them.
    pub fn instruments(&self) -> Vec<Instrument> {
        self.listings.iter().map(|one| one.instrument.clone()).collect()
    }

    /// Every asset that is a leg of a listed pair.
    pub fn assets(&self) -> &[Asset] {
        &self.assets
    }

    /// Number of the pair with this socket name; the old names (`XBT/USD`) are not accepted.
    pub fn by_symbol(&self, symbol: &str) -> Option<usize> {
        self.listings.iter().position(|one| one.instrument.symbol == symbol)
    }

    /// Number of the pair with this REST name: id, altname, or one of the slash forms.
    pub fn by_rest_name(&self, name: &str) -> Option<usize> {
        self.listings.iter().position(|listing| {
            let one = &listing.instrument;
            [&one.pair_id, &one.altname, &one.wsname, &one.symbol]
                .into_iter()
                .any(|known| known.eq_ignore_ascii_case(name))
        })
    }

    /// The asset with this name in any of its forms (`BTC`, `XBT`, `XXBT`).
    pub fn asset(&self, name: &str) -> Option<&Asset> {
        self.assets.iter().find(|one| one.id == name || one.altname == name || one.code == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalog(count: usize) -> Catalog {
        Catalog::generated(count).expect("a count in range")
    }

    #[test]
    fn bitcoin_leads_every_catalog_and_carries_all_its_names() {
        let catalog = catalog(32);
        let one = &catalog.listings()[0].instrument;
        assert_eq!(
            (one.symbol.as_str(), one.pair_id.as_str(), one.altname.as_str(), one.wsname.as_str()),
            ("BTC/USD", "XXBTZUSD", "XBTUSD", "XBT/USD")
        );
        for name in ["XXBTZUSD", "XBTUSD", "XBT/USD", "BTC/USD", "xbtusd"] {
            assert_eq!(catalog.by_rest_name(name), Some(0), "{name}");
        }
        assert_eq!(catalog.by_symbol("XBT/USD"), None);
        assert_eq!(catalog.asset("XXBT").map(|asset| asset.id.as_str()), Some("BTC"));
    }

    #[test]
    fn legacy_ids_follow_the_venue() {
        let catalog = catalog(PAIRS_MAX);
        for (symbol, id, altname) in [
            ("ETH/USD", "XETHZUSD", "ETHUSD"),
            ("DOGE/USD", "XDGUSD", "XDGUSD"),
            ("XRP/USD", "XXRPZUSD", "XRPUSD"),
            ("SOL/USD", "SOLUSD", "SOLUSD"),
            ("ZEC/USD", "XZECZUSD", "ZECUSD"),
        ] {
            let index = catalog.by_symbol(symbol).expect("listed");
            let one = &catalog.listings()[index].instrument;
            assert_eq!((one.pair_id.as_str(), one.altname.as_str()), (id, altname));
        }
    }

    #[test]
    fn names_are_unique_and_a_tick_is_finer_than_the_spread() {
        let catalog = catalog(PAIRS_MAX);
        assert_eq!(catalog.listings().len(), PAIRS_MAX);
        for (index, listing) in catalog.listings().iter().enumerate() {
            let one = &listing.instrument;
            assert_eq!(catalog.by_symbol(&one.symbol), Some(index));
            assert_eq!(catalog.by_rest_name(&one.pair_id), Some(index));
            let tick_bps = one.price(one.tick) * Decimal::from(10_000) / listing.start_price;
            assert!(tick_bps < Decimal::new(75, 2), "{one}: {tick_bps}");
            assert!(one.qty(one.qty_min) * listing.start_price < Decimal::from(10), "{one}");
        }
    }

    #[test]
    fn a_count_out_of_range_names_the_range() {
        for wanted in [0, PAIRS_MAX + 1] {
            let error = Catalog::generated(wanted).expect_err("out of range");
            assert_eq!(error, CatalogError::Count { wanted, limit: PAIRS_MAX });
            assert!(error.to_string().contains("out of range"));
        }
    }

    #[test]
    fn a_recorded_pair_gets_its_names_and_minimums() {
        let one = Listing::from_symbol("BTC/CHF", 1, 8, Decimal::from(56_119)).expect("a pair");
        assert_eq!(one.instrument.pair_id, "XBTCHF");
        assert_eq!(one.instrument.qty_min, Qty(5_000));
        assert!(Listing::from_symbol("BTCUSD", 1, 8, Decimal::ONE).is_none());
    }
}
