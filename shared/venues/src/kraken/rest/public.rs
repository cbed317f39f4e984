//! Results of public REST requests.
//!
//! Input: the `result` of an answer. Output: rows that borrow from the body. Results are keyed by
//! pair id whatever was asked for; [`Entries`] keeps their order.

use core::fmt;
use core::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::kraken::symbols::{AssetNames, PairNames};
use crate::kraken::vocabulary::{PairStatus, Side, SystemStatus};
use crate::kraken::wire::{Num, Tag, Text, WireTime, wire_object};

/// An object with free keys, in its own order.
#[derive(Clone, Debug)]
pub struct Entries<'a, T>(pub Vec<(Text<'a>, T)>);

impl<'de: 'a, 'a, T: Deserialize<'de>> Deserialize<'de> for Entries<'a, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntriesVisitor<'a, T>(PhantomData<(&'a (), T)>);
        impl<'de: 'a, 'a, T: Deserialize<'de>> Visitor<'de> for EntriesVisitor<'a, T> {
            type Value = Entries<'a, T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(EntriesVisitor(PhantomData))
    }
}

wire_object! {
    /// Result of `Time`.
    TimeResult {
        /// Unix seconds.
        req unixtime: i64 = "unixtime",
        /// The same as text.
        opt rfc1123: Text<'a> = "rfc1123",
    }
}

wire_object! {
    /// Result of `SystemStatus`.
    SystemStatusResult {
        /// State of the engine.
        req status: Tag<'a, SystemStatus> = "status",
        /// When.
        opt timestamp: WireTime = "timestamp",
    }
}

wire_object! {
    /// Row of `Assets`.
    AssetResult {
        /// Class.
        opt aclass: Text<'a> = "aclass",
        /// Plain name.
        req altname: Text<'a> = "altname",
        /// Digits.
        req decimals: u8 = "decimals",
        /// Digits shown.
        opt display_decimals: u8 = "display_decimals",
        /// Status.
        opt status: Text<'a> = "status",
        /// Collateral value.
        opt collateral_value: Num<'a> = "collateral_value",
    }
}

wire_object! {
    /// Row of `AssetPairs`, without margin fields.
    AssetPairResult {
        /// REST altname.
        req altname: Text<'a> = "altname",
        /// Older slash name; dark pools have none.
        opt wsname: Text<'a> = "wsname",
        /// Base asset code.
        req base: Text<'a> = "base",
        /// Quote asset code.
        req quote: Text<'a> = "quote",
        /// Digits of prices.
        req pair_decimals: u8 = "pair_decimals",
        /// Digits of quantities.
        req lot_decimals: u8 = "lot_decimals",
        /// Digits of costs.
        opt cost_decimals: u8 = "cost_decimals",
        /// Smallest quantity.
        opt ordermin: Num<'a> = "ordermin",
        /// Smallest cost.
        opt costmin: Num<'a> = "costmin",
        /// Step of prices.
        opt tick_size: Num<'a> = "tick_size",
        /// Status; absent in older bodies.
        opt status: Tag<'a, PairStatus> = "status",
        /// Taker rates: 30-day volume and percent.
        opt fees: Vec<(Num<'a>, Num<'a>)> = "fees",
        /// Maker rates.
        opt fees_maker: Vec<(Num<'a>, Num<'a>)> = "fees_maker",
    }
}

impl crate::kraken::wire::Unknowns for (Num<'_>, Num<'_>) {
    fn visit_unknowns(&self, _sink: &mut dyn FnMut(crate::kraken::wire::Unknown<'_>)) {}
}

/// The name table of an `AssetPairs` result.
pub fn pair_names(pairs: &Entries<'_, AssetPairResult<'_>>) -> PairNames {
    let mut names = PairNames::default();
    for (id, pair) in &pairs.0 {
        names.add(id, &pair.altname, pair.wsname.as_deref());
    }
    names
}

/// The name table of an `Assets` result.
pub fn asset_names(assets: &Entries<'_, AssetResult<'_>>) -> AssetNames {
    let mut names = AssetNames::default();
    for (code, asset) in &assets.0 {
        names.add(code, &asset.altname);
    }
    names
}

wire_object! {
    /// Row of `Ticker`.
    TickerResult {
        /// Ask: price, whole lots, lots.
        req ask: Vec<Num<'a>> = "a",
        /// Bid: price, whole lots, lots.
        req bid: Vec<Num<'a>> = "b",
        /// Last trade: price, quantity.
        req last: Vec<Num<'a>> = "c",
        /// Volume: today, 24 h; base asset.
        req volume: Vec<Num<'a>> = "v",
        /// Volume-weighted price: today, 24 h.
        req vwap: Vec<Num<'a>> = "p",
        /// Number of trades: today, 24 h.
        req trades: Vec<u64> = "t",
        /// Low: today, 24 h.
        req low: Vec<Num<'a>> = "l",
        /// High: today, 24 h.
        req high: Vec<Num<'a>> = "h",
        /// First price of today.
        req open: Num<'a> = "o",
    }
}

impl TickerResult<'_> {
    /// Volume of 24 h in the quote asset: 24 h volume times 24 h volume-weighted price.
    pub fn quote_volume_24h(&self) -> Option<rust_decimal::Decimal> {
        let volume = self.volume.get(1)?.decimal().ok()?;
        volume.checked_mul(self.vwap.get(1)?.decimal().ok()?)
    }
}

/// One print of `Trades`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TradeResult<'a> {
    /// Price.
    pub price: Num<'a>,
    /// Quantity.
    pub qty: Num<'a>,
    /// Unix seconds with fraction, as text.
    pub time: Num<'a>,
    /// Taker's side; `None` for a letter that is not listed.
    pub side: Option<Side>,
    /// Whether the taker's order was a market order.
    pub market: bool,
    /// Number within the pair.
    pub trade_id: u64,
}

impl TradeResult<'_> {
    /// Time in microseconds, rounded down.
    pub fn time_micros(&self) -> Option<i64> {
        seconds_to_micros(self.time)
    }
}

/// Unix seconds with a fraction to microseconds, rounded down.
pub fn seconds_to_micros(seconds: Num<'_>) -> Option<i64> {
    use rust_decimal::prelude::ToPrimitive;
    let micros = seconds.decimal().ok()?.checked_mul(rust_decimal::Decimal::from(1_000_000))?;
    micros.floor().to_i64()
}

impl<'de: 'a, 'a> Deserialize<'de> for TradeResult<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TradeVisitor<'a>(PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for TradeVisitor<'a> {
            type Value = TradeResult<'a>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a print [price, volume, time, side, type, misc, trade_id]")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let short = |at| move || serde::de::Error::invalid_length(at, &"7 elements");
                let price = seq.next_element()?.ok_or_else(short(0))?;
                let qty = seq.next_element()?.ok_or_else(short(1))?;
                let time = seq.next_element()?.ok_or_else(short(2))?;
                let side: Text<'a> = seq.next_element()?.ok_or_else(short(3))?;
                let kind: Text<'a> = seq.next_element()?.ok_or_else(short(4))?;
                seq.next_element::<IgnoredAny>()?.ok_or_else(short(5))?;
                let trade_id = seq.next_element()?.ok_or_else(short(6))?;
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                let side = match side.as_str() {
                    "b" => Some(Side::Buy),
                    "s" => Some(Side::Sell),
                    _ => None,
                };
                let market = kind.as_str() == "m";
                Ok(TradeResult { price, qty, time, side, market, trade_id })
            }
        }
        deserializer.deserialize_seq(TradeVisitor(PhantomData))
    }
}

/// Result of `Trades` for one pair.
#[derive(Clone, Debug)]
pub struct TradesResult<'a> {
    /// Pair id.
    pub pair: Text<'a>,
    /// Prints, ascending.
    pub trades: Vec<TradeResult<'a>>,
    /// Where the next page starts, nanoseconds as text.
    pub last: Text<'a>,
}

impl<'de: 'a, 'a> Deserialize<'de> for TradesResult<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let entries = Entries::<'a, &'a RawValue>::deserialize(deserializer)?;
        let (mut pair, mut last) = (None, None);
        let parse = serde::de::Error::custom::<serde_json::Error>;
        for (key, raw) in entries.0 {
            if key.as_str() == "last" {
                last = Some(serde_json::from_str(raw.get()).map_err(parse)?);
            } else {
                let trades = serde_json::from_str(raw.get()).map_err(parse)?;
                pair = Some((key, trades));
            }
        }
        let missing = serde::de::Error::missing_field;
        let (pair, trades) = pair.ok_or_else(|| missing("<pair id>"))?;
        Ok(TradesResult { pair, trades, last: last.ok_or_else(|| missing("last"))? })
    }
}
