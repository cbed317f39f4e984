//! What is traded: symbols, their names on every interface, precisions, minimums, and the two
//! scaled integers in which the matching engine counts.
//!
//! Inputs: a list of instruments made by the generator or by a recording. Outputs: conversions
//! between scaled integers and exact decimal text. Invariant: a price is a whole number of
//! `10^-price_decimals`, a quantity one of `10^-qty_decimals`; nothing here passes through a float.
//! It does not know books or orders.

use rust_decimal::Decimal;
use std::fmt;

/// Position of a symbol in the exchange's list of instruments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SymbolNo(pub usize);

/// A price in units of `10^-price_decimals` of the quote asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Price(pub i64);

/// A quantity in units of `10^-qty_decimals` of the base asset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Qty(pub i64);

impl Qty {
    /// Nothing.
    pub const ZERO: Qty = Qty(0);

    /// True when nothing is left.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Difference, never below zero.
    #[must_use]
    pub fn less(self, other: Qty) -> Qty {
        Qty(self.0.saturating_sub(other.0).max(0))
    }

    /// Sum; saturates, because the largest order is bounded far below the integer's end.
    #[must_use]
    pub fn plus(self, other: Qty) -> Qty {
        Qty(self.0.saturating_add(other.0))
    }
}

/// Buy or sell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// Buys base with quote.
    Buy,
    /// Sells base for quote.
    Sell,
}

impl Side {
    /// The other side.
    #[must_use]
    pub fn opposite(self) -> Side {
        match self {
            Side::Buy => Side::Sell,
            Side::Sell => Side::Buy,
        }
    }

    /// `buy` or `sell`, as on the wire.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Side::Buy => "buy",
            Side::Sell => "sell",
        }
    }
}

/// Trading status of one pair; the wire words of the `instrument` channel and of `AssetPairs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PairStatus {
    /// Everything is allowed.
    Online,
    /// Only cancels.
    CancelOnly,
    /// Only post-only limit orders; nothing matches.
    PostOnly,
    /// Only limit orders.
    LimitOnly,
    /// Only orders that reduce.
    ReduceOnly,
    /// Nothing, not even cancels.
    Maintenance,
    /// Not traded any more.
    Delisted,
    /// Not traded yet.
    WorkInProgress,
}

impl PairStatus {
    /// All values, for tables and tests.
    pub const ALL: [PairStatus; 8] = [
        PairStatus::Online,
        PairStatus::CancelOnly,
        PairStatus::PostOnly,
        PairStatus::LimitOnly,
        PairStatus::ReduceOnly,
        PairStatus::Maintenance,
        PairStatus::Delisted,
        PairStatus::WorkInProgress,
    ];

    /// The wire word.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            PairStatus::Online => "online",
            PairStatus::CancelOnly => "cancel_only",
            PairStatus::PostOnly => "post_only",
            PairStatus::LimitOnly => "limit_only",
            PairStatus::ReduceOnly => "reduce_only",
            PairStatus::Maintenance => "maintenance",
            PairStatus::Delisted => "delisted",
            PairStatus::WorkInProgress => "work_in_progress",
        }
    }

    /// The value of a wire word.
    #[must_use]
    pub fn parse(text: &str) -> Option<PairStatus> {
        PairStatus::ALL.into_iter().find(|status| status.text() == text)
    }
}

/// Everything the venue says about one pair.
#[derive(Clone, Debug)]
pub struct Instrument {
    /// Name on WS v2, e.g. `BTC/USD`.
    pub symbol: String,
    /// Base asset on WS v2, e.g. `BTC`.
    pub base: String,
    /// Quote asset on WS v2, e.g. `USD`.
    pub quote: String,
    /// Key of REST results, e.g. `XXBTZUSD`.
    pub pair_id: String,
    /// REST `pair` parameter, e.g. `XBTUSD`.
    pub altname: String,
    /// Name on WS v1, e.g. `XBT/USD`; only `AssetPairs` shows it.
    pub wsname: String,
    /// REST code of the base asset, e.g. `XXBT`.
    pub base_code: String,
    /// REST code of the quote asset, e.g. `ZUSD`.
    pub quote_code: String,
    /// Fractional digits of a price.
    pub price_decimals: u32,
    /// Fractional digits of a quantity.
    pub qty_decimals: u32,
    /// Fractional digits of a cost and of a fee in quote.
    pub cost_decimals: u32,
    /// Price step in units of `10^-price_decimals`; prices of orders are multiples of it.
    pub tick: Price,
    /// Smallest order quantity.
    pub qty_min: Qty,
    /// Smallest order cost in quote.
    pub cost_min: Decimal,
    /// What may be done with the pair now.
    pub status: PairStatus,
}

impl Instrument {
    /// Decimal value of a price, with exactly `price_decimals` fractional digits.
    #[must_use]
    pub fn price(&self, price: Price) -> Decimal {
        Decimal::new(price.0, self.price_decimals)
    }

    /// Decimal value of a quantity, with exactly `qty_decimals` fractional digits.
    #[must_use]
    pub fn qty(&self, qty: Qty) -> Decimal {
        Decimal::new(qty.0, self.qty_decimals)
    }

    /// Exact cost of a quantity at a price; not rounded, so that sums of trades are sums of
    /// price times quantity.
    #[must_use]
    pub fn cost(&self, price: Price, qty: Qty) -> Decimal {
        self.price(price).saturating_mul(self.qty(qty))
    }

    /// Scaled price of a decimal; `None` when it has more digits than the pair allows or is out
    /// of range. The tick is not checked here.
    #[must_use]
    pub fn price_of(&self, value: Decimal) -> Option<Price> {
        scaled(value, self.price_decimals).map(Price)
    }

    /// Scaled quantity of a decimal; `None` when it has more digits than the pair allows or is
    /// out of range.
    #[must_use]
    pub fn qty_of(&self, value: Decimal) -> Option<Qty> {
        scaled(value, self.qty_decimals).map(Qty)
    }

    /// Price as wire text: exactly `price_decimals` fractional digits.
    #[must_use]
    pub fn price_text(&self, price: Price) -> String {
        self.price(price).to_string()
    }

    /// Quantity as wire text: exactly `qty_decimals` fractional digits.
    #[must_use]
    pub fn qty_text(&self, qty: Qty) -> String {
        self.qty(qty).to_string()
    }
}

impl fmt::Display for Instrument {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.symbol)
    }
}

/// The largest scaled number an order may carry: a tenth of what an `i64` holds, so that sums of
/// a level stay inside it.
const UNITS_LIMIT: i64 = i64::MAX / 10;

fn scaled(value: Decimal, decimals: u32) -> Option<i64> {
    let value = value.normalize();
    if value.scale() > decimals {
        return None;
    }
    let factor = 10_i128.checked_pow(decimals - value.scale())?;
    let units = i64::try_from(value.mantissa().checked_mul(factor)?).ok()?;
    (-UNITS_LIMIT..=UNITS_LIMIT).contains(&units).then_some(units)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::str::FromStr;

    /// BTC/USD as the venue lists it (tick 0.1, minimum 0.00005 BTC and 0.5 USD).
    pub(crate) fn btc_usd() -> Instrument {
        Instrument {
            symbol: "BTC/USD".into(),
            base: "BTC".into(),
            quote: "USD".into(),
            pair_id: "XXBTZUSD".into(),
            altname: "XBTUSD".into(),
            wsname: "XBT/USD".into(),
            base_code: "XXBT".into(),
            quote_code: "ZUSD".into(),
            price_decimals: 1,
            qty_decimals: 8,
            cost_decimals: 5,
            tick: Price(1),
            qty_min: Qty(5_000),
            cost_min: Decimal::new(5, 1),
            status: PairStatus::Online,
        }
    }

    #[test]
    fn text_keeps_trailing_zeros_and_too_many_digits_are_refused() {
        let btc = btc_usd();
        let dec = |text| Decimal::from_str(text).expect("decimal");
        assert_eq!(btc.price_text(Price(452_810)), "45281.0");
        assert_eq!(btc.qty_text(Qty(10_000_000)), "0.10000000");
        assert_eq!(btc.price_of(dec("45281.00")), Some(Price(452_810)));
        assert_eq!(btc.price_of(dec("45281.01")), None);
        assert_eq!(btc.qty_of(dec("0.000000001")), None);
        assert_eq!(btc.qty_of(dec("79228162514264337593543950335")), None);
    }

    #[test]
    fn every_status_word_reads_back() {
        for status in PairStatus::ALL {
            assert_eq!(PairStatus::parse(status.text()), Some(status));
        }
        assert_eq!(PairStatus::parse("open"), None);
    }
}
