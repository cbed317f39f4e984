//! Rows of the public channels: status, ticker, trade, book, candles.
//!
//! Input: the `data` of a channel message. Output: rows that borrow from the frame, numbers as text.
//! It checks shape only; whether a book row fits its book is the book's business.

use core::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::vocabulary::{OrderType, Side, SystemStatus};
use super::wire::{Num, Tag, Text, Unknown, Unknowns, WireTime, wire_object};

wire_object! {
    /// State of the venue, sent on connect and on every change.
    StatusRow {
        /// State of the engine.
        req system: Tag<'a, SystemStatus> = "system",
        /// `v2`.
        opt api_version: Text<'a> = "api_version",
        /// The venue's number of this connection; larger than 2^53.
        opt connection_id: u64 = "connection_id",
        /// Version of the service.
        opt version: Text<'a> = "version",
        /// Announced windows, as the venue wrote them.
        opt upcoming_maintenance: &'a RawValue = "upcoming_maintenance",
    }
}

wire_object! {
    /// Best prices and 24 h statistics of one symbol.
    TickerRow {
        /// The symbol.
        req symbol: Text<'a> = "symbol",
        /// Best bid, quote asset.
        req bid: Num<'a> = "bid",
        /// Its quantity, base asset.
        req bid_qty: Num<'a> = "bid_qty",
        /// Best ask, quote asset.
        req ask: Num<'a> = "ask",
        /// Its quantity, base asset.
        req ask_qty: Num<'a> = "ask_qty",
        /// Price of the last trade.
        req last: Num<'a> = "last",
        /// Volume of 24 h, base asset.
        req volume: Num<'a> = "volume",
        /// Volume-weighted price of 24 h.
        req vwap: Num<'a> = "vwap",
        /// Lowest price of 24 h.
        req low: Num<'a> = "low",
        /// Highest price of 24 h.
        req high: Num<'a> = "high",
        /// Change over 24 h, quote asset.
        req change: Num<'a> = "change",
        /// Change over 24 h, percentage points.
        req change_pct: Num<'a> = "change_pct",
        /// Venue time; older servers leave it out.
        opt timestamp: WireTime = "timestamp",
    }
}

wire_object! {
    /// One print.
    TradeRow {
        /// The symbol.
        req symbol: Text<'a> = "symbol",
        /// Side of the taker.
        req side: Tag<'a, Side> = "side",
        /// Price, quote asset.
        req price: Num<'a> = "price",
        /// Quantity, base asset.
        req qty: Num<'a> = "qty",
        /// The taker's order type.
        opt ord_type: Tag<'a, OrderType> = "ord_type",
        /// Number within the symbol, contiguous: a jump is a gap.
        req trade_id: u64 = "trade_id",
        /// Engine time.
        req timestamp: WireTime = "timestamp",
    }
}

/// One level of a book; a quantity of zero removes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LevelRow<'a> {
    /// Price, quote asset.
    pub price: Num<'a>,
    /// Quantity, base asset.
    pub qty: Num<'a>,
}

impl<'de: 'a, 'a> Deserialize<'de> for LevelRow<'a> {
    #[inline]
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LevelVisitor<'a>(core::marker::PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for LevelVisitor<'a> {
            type Value = LevelRow<'a>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a level (price and qty)")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<LevelRow<'a>, A::Error> {
                let (mut price, mut qty) = (None, None);
                while let Some(key) = map.next_key::<Text<'a>>()? {
                    match key.as_str() {
                        "price" => price = Some(map.next_value()?),
                        "qty" => qty = Some(map.next_value()?),
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                let missing = |field| serde::de::Error::missing_field(field);
                Ok(LevelRow {
                    price: price.ok_or_else(|| missing("price"))?,
                    qty: qty.ok_or_else(|| missing("qty"))?,
                })
            }
        }
        deserializer.deserialize_map(LevelVisitor(core::marker::PhantomData))
    }
}

impl Unknowns for LevelRow<'_> {
    // Levels are the bulk of all traffic; what else they might carry is not kept.
    fn visit_unknowns(&self, _sink: &mut dyn FnMut(Unknown<'_>)) {}
}

wire_object! {
    /// Image or change of one book.
    BookRow {
        /// The symbol.
        req symbol: Text<'a> = "symbol",
        /// Buy side; in an image best first, in a change in no order.
        req bids: Vec<LevelRow<'a>> = "bids",
        /// Sell side.
        req asks: Vec<LevelRow<'a>> = "asks",
        /// CRC-32 over the ten best levels of each side after this message.
        req checksum: u32 = "checksum",
        /// Venue time; absent on images of older servers.
        opt timestamp: WireTime = "timestamp",
    }
}

wire_object! {
    /// One candle.
    OhlcRow {
        /// The symbol.
        req symbol: Text<'a> = "symbol",
        /// First price.
        req open: Num<'a> = "open",
        /// Highest price.
        req high: Num<'a> = "high",
        /// Lowest price.
        req low: Num<'a> = "low",
        /// Last price.
        req close: Num<'a> = "close",
        /// Volume-weighted price.
        req vwap: Num<'a> = "vwap",
        /// Number of trades.
        req trades: u64 = "trades",
        /// Volume, base asset.
        req volume: Num<'a> = "volume",
        /// Start of the interval.
        req interval_begin: WireTime = "interval_begin",
        /// Length in minutes.
        req interval: i64 = "interval",
        /// End of the interval; deprecated by the venue.
        opt timestamp: WireTime = "timestamp",
    }
}
