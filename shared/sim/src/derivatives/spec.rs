//! What the derivatives venues list.
//!
//! Input: the spot catalog. Output: one [`Spec`] per contract. Invariants: a contract has the price
//! digits of its spot pair; one lot is worth some dollars, or one for inverse contracts. Digits,
//! steps and sizes are near those of the venues, not copies of any day.

use crate::exchange::SymbolNo;
use crate::instruments::{Catalog, Listing};
use rust_decimal::prelude::ToPrimitive;

/// How a contract counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Quantities in the base asset.
    Linear,
    /// Quantities in dollars.
    Inverse,
}

/// One contract.
#[derive(Clone, Debug)]
pub struct Spec {
    /// The venue's name of it.
    pub symbol: String,
    /// Base asset as the venue writes it.
    pub base: String,
    /// The spot pair that it follows.
    pub spot: SymbolNo,
    /// How it counts.
    pub kind: Kind,
    /// Fractional digits of a price; one unit of the last is the tick.
    pub price_decimals: u32,
    /// Fractional digits of a quantity; one unit of the last is a lot.
    pub qty_decimals: u32,
    /// Dollars traded on the day before the start.
    pub day_volume_quote: f64,
    /// Where the spot market starts, dollars.
    pub start_price: f64,
}

impl Spec {
    /// Ticks per dollar.
    #[must_use]
    pub fn price_scale(&self) -> f64 {
        10f64.powi(self.price_decimals.cast_signed())
    }

    /// Lots per unit of quantity.
    #[must_use]
    pub fn qty_scale(&self) -> f64 {
        10f64.powi(self.qty_decimals.cast_signed())
    }

    /// Lots that are worth one dollar at a price.
    #[must_use]
    pub fn lots_per_quote(&self, price: f64) -> f64 {
        match self.kind {
            Kind::Linear => self.qty_scale() / price,
            Kind::Inverse => self.qty_scale(),
        }
    }
}

fn spec(symbol: String, base: &str, index: usize, of: &Listing, kind: Kind, share: f64) -> Spec {
    let start_price = of.start_price.to_f64().unwrap_or(1.0);
    let day = of.day_volume_quote.to_f64().unwrap_or(1_000_000.0).max(1_000_000.0);
    let qty_decimals = match kind {
        Kind::Linear if start_price >= 1_000.0 => 3,
        Kind::Linear if start_price >= 100.0 => 2,
        Kind::Linear if start_price >= 5.0 => 1,
        Kind::Linear | Kind::Inverse => 0,
    };
    Spec {
        symbol,
        base: base.to_owned(),
        spot: SymbolNo(index),
        kind,
        price_decimals: of.instrument.price_decimals,
        qty_decimals,
        day_volume_quote: day * share,
        start_price,
    }
}

/// Contracts of Kraken Futures: a linear perpetual per pair, and inverse ones of the first two.
#[must_use]
pub fn futures(catalog: &Catalog) -> Vec<Spec> {
    let listed = catalog.listings().iter().enumerate();
    let usd = listed.filter(|(_, one)| one.quote.id == "USD");
    let mut all = Vec::new();
    for (index, one) in usd {
        // Ids are opaque: Bitcoin is XBT in them, Dogecoin keeps its name.
        let base = if one.base.id == "BTC" { "XBT" } else { &one.base.id };
        let kind = Kind::Linear;
        all.push(spec(format!("PF_{base}USD"), base, index, one, kind, 0.5));
        if index < 2 {
            let kind = Kind::Inverse;
            all.push(spec(format!("PI_{base}USD"), base, index, one, kind, 0.1));
        }
    }
    all
}

/// Contracts of Binance USD-M: a perpetual against USDT per pair.
#[must_use]
pub fn binance(catalog: &Catalog) -> Vec<Spec> {
    let listed = catalog.listings().iter().enumerate();
    let usd = listed.filter(|(_, one)| one.quote.id == "USD");
    usd.map(|(index, one)| {
        let base = &one.base.id;
        spec(format!("{base}USDT"), base, index, one, Kind::Linear, 6.0)
    })
    .collect()
}
