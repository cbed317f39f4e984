//! Rows of the public streams.
//!
//! Input: the data of a frame whose event is known. Output: rows that borrow from it, numbers as text.
//! `m` of trades speaks about the maker; [`AggTradeRow::taker_side`] turns it round. A symbol's
//! liquidations are sampled by the venue (the latest of each second), so their sum is a lower bound.

use serde::de::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::kraken::vocabulary::Side;
use crate::wire::{Num, Tag, Text, Unknown, Unknowns, Vocabulary, vocabulary, wire_object};

/// A number that the venue leaves empty (`""`) where it has no meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaybeNum<'a>(pub Option<Num<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for MaybeNum<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&'a RawValue>::deserialize(deserializer)?;
        if raw.get() == "\"\"" {
            return Ok(Self(None));
        }
        Num::deserialize(raw).map(|number| Self(Some(number))).map_err(serde::de::Error::custom)
    }
}

impl Unknowns for MaybeNum<'_> {
    fn visit_unknowns(&self, _sink: &mut dyn FnMut(Unknown<'_>)) {}
}

/// A side in capitals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoudSide(pub Side);

impl Vocabulary for LoudSide {
    const NAME: &'static str = "Side";

    fn from_wire(word: &str) -> Option<Self> {
        match word {
            "BUY" => Some(Self(Side::Buy)),
            "SELL" => Some(Self(Side::Sell)),
            _ => None,
        }
    }

    fn wire(self) -> &'static str {
        match self.0 {
            Side::Buy => "BUY",
            Side::Sell => "SELL",
        }
    }
}

vocabulary! {
    /// How a single print came about.
    FillKind {
        /// Two orders met.
        Market = "MARKET",
        /// The insurance fund took part.
        InsuranceFund = "INSURANCE_FUND",
        /// A position was reduced by force.
        Adl = "ADL",
        /// A number that was spent without a print.
        Na = "NA",
    }
}

/// Side of the taker when the venue says whether the buyer was the maker.
const fn taker_side(buyer_is_maker: bool) -> Side {
    if buyer_is_maker { Side::Sell } else { Side::Buy }
}

wire_object! {
    /// Prints of one price and taker's side within 100 ms, without insurance and forced reductions.
    AggTradeRow {
        /// `aggTrade`.
        req event: Text<'a> = "e",
        /// Gateway time, milliseconds.
        req event_time_ms: i64 = "E",
        /// Symbol.
        req symbol: Text<'a> = "s",
        /// Number within the symbol, contiguous: a jump is a gap.
        req agg_id: u64 = "a",
        /// Price.
        req price: Num<'a> = "p",
        /// Quantity, base asset.
        req qty: Num<'a> = "q",
        /// Quantity without orders of retail price improvement.
        opt normal_qty: Num<'a> = "nq",
        /// First print.
        req first_trade_id: i64 = "f",
        /// Last print.
        req last_trade_id: i64 = "l",
        /// Engine time, milliseconds.
        req time_ms: i64 = "T",
        /// Whether the buyer was the maker: then the taker sold.
        req buyer_is_maker: bool = "m",
        /// Not documented.
        opt st: i64 = "st",
        /// Pair.
        opt pair: Text<'a> = "ps",
    }
}

impl AggTradeRow<'_> {
    /// Side of the taker.
    pub const fn taker_side(&self) -> Side {
        taker_side(self.buyer_is_maker)
    }
}

wire_object! {
    /// One print; the stream is not documented for this market.
    TradeRow {
        /// `trade`.
        req event: Text<'a> = "e",
        /// Gateway time, milliseconds.
        req event_time_ms: i64 = "E",
        /// Engine time, milliseconds.
        req time_ms: i64 = "T",
        /// Symbol.
        req symbol: Text<'a> = "s",
        /// Number within the symbol; about one in a hundred is spent without a print.
        req trade_id: u64 = "t",
        /// Price; zero without a print.
        req price: Num<'a> = "p",
        /// Quantity; zero without a print.
        req qty: Num<'a> = "q",
        /// How it came about.
        opt fill: Tag<'a, FillKind> = "X",
        /// Whether the buyer was the maker.
        req buyer_is_maker: bool = "m",
        /// Quantity without orders of retail price improvement.
        opt normal_qty: Num<'a> = "nq",
        /// Not documented.
        opt st: i64 = "st",
        /// Pair.
        opt pair: Text<'a> = "ps",
    }
}

wire_object! {
    /// Best prices.
    BookTickerRow {
        /// `bookTicker`.
        req event: Text<'a> = "e",
        /// Number of the book's state; one that is not above the last is old.
        req update_id: i64 = "u",
        /// Gateway time, milliseconds.
        req event_time_ms: i64 = "E",
        /// Engine time, milliseconds.
        req time_ms: i64 = "T",
        /// Symbol.
        req symbol: Text<'a> = "s",
        /// Best bid.
        req bid: Num<'a> = "b",
        /// Its quantity.
        req bid_qty: Num<'a> = "B",
        /// Best ask.
        req ask: Num<'a> = "a",
        /// Its quantity.
        req ask_qty: Num<'a> = "A",
        /// Not documented.
        opt st: i64 = "st",
        /// Pair.
        opt pair: Text<'a> = "ps",
    }
}

wire_object! {
    /// Mark price, index and funding.
    MarkPriceRow {
        /// `markPriceUpdate`.
        req event: Text<'a> = "e",
        /// Gateway time, milliseconds.
        req event_time_ms: i64 = "E",
        /// Symbol.
        req symbol: Text<'a> = "s",
        /// Mark price.
        req mark: Num<'a> = "p",
        /// Index price.
        opt index: Num<'a> = "i",
        /// Estimated price of settlement; means something in the last hour only.
        opt settle_estimate: Num<'a> = "P",
        /// Rate of the current period, an estimate; empty on dated contracts.
        opt funding_rate: MaybeNum<'a> = "r",
        /// When the next period begins, milliseconds; 0 on dated contracts.
        opt next_funding_time_ms: i64 = "T",
        /// Not documented.
        opt ap: Num<'a> = "ap",
        /// Not documented.
        opt st: i64 = "st",
        /// Pair.
        opt pair: Text<'a> = "ps",
    }
}

wire_object! {
    /// A liquidation: the latest of its symbol and second.
    ForceOrderRow {
        /// `forceOrder`.
        req event: Text<'a> = "e",
        /// Gateway time, milliseconds.
        req event_time_ms: i64 = "E",
        /// The order.
        req order: ForceOrder<'a> = "o",
        /// Not documented.
        opt st: i64 = "st",
        /// Pair.
        opt pair: Text<'a> = "ps",
    }
}

wire_object! {
    /// Order of a liquidation; notional is `filled_qty` times `avg_price`.
    ForceOrder {
        /// Symbol.
        req symbol: Text<'a> = "s",
        /// Side of the order: a sell closes a long position.
        req side: Tag<'a, LoudSide> = "S",
        /// `LIMIT`.
        opt order_type: Text<'a> = "o",
        /// `IOC`.
        opt time_in_force: Text<'a> = "f",
        /// Quantity.
        req qty: Num<'a> = "q",
        /// Price of bankruptcy.
        req price: Num<'a> = "p",
        /// Average price of its fills.
        req avg_price: Num<'a> = "ap",
        /// State.
        opt status: Text<'a> = "X",
        /// Quantity of the last fill.
        opt last_qty: Num<'a> = "l",
        /// Quantity of all fills.
        req filled_qty: Num<'a> = "z",
        /// Engine time, milliseconds.
        req time_ms: i64 = "T",
        /// Not documented.
        opt st: i64 = "st",
        /// Pair.
        opt pair: Text<'a> = "ps",
    }
}

wire_object! {
    /// Change of a book in absolute quantities, or an image of its best levels.
    DepthRow {
        /// `depthUpdate`.
        req event: Text<'a> = "e",
        /// Gateway time, milliseconds.
        req event_time_ms: i64 = "E",
        /// Engine time, milliseconds.
        req time_ms: i64 = "T",
        /// Symbol.
        req symbol: Text<'a> = "s",
        /// First state that it leads to.
        req first_id: i64 = "U",
        /// Last state that it leads to.
        req final_id: i64 = "u",
        /// `final_id` of its predecessor.
        req previous_id: i64 = "pu",
        /// Buy side: price and quantity.
        req bids: Vec<(Num<'a>, Num<'a>)> = "b",
        /// Sell side: price and quantity.
        req asks: Vec<(Num<'a>, Num<'a>)> = "a",
        /// Not documented.
        opt st: i64 = "st",
        /// Pair.
        opt pair: Text<'a> = "ps",
    }
}

wire_object! {
    /// A candle.
    KlineRow {
        /// `kline`.
        req event: Text<'a> = "e",
        /// Gateway time, milliseconds.
        req event_time_ms: i64 = "E",
        /// Symbol.
        req symbol: Text<'a> = "s",
        /// The candle.
        req kline: Kline<'a> = "k",
        /// Not documented.
        opt st: i64 = "st",
        /// Pair.
        opt pair: Text<'a> = "ps",
    }
}

wire_object! {
    /// Figures of a candle.
    Kline {
        /// Start, milliseconds.
        req start_ms: i64 = "t",
        /// End, milliseconds.
        req end_ms: i64 = "T",
        /// Symbol.
        req symbol: Text<'a> = "s",
        /// Length (`1m`).
        req interval: Text<'a> = "i",
        /// First print; -1 without one.
        opt first_trade_id: i64 = "f",
        /// Last print; -1 without one.
        opt last_trade_id: i64 = "L",
        /// First price.
        req open: Num<'a> = "o",
        /// Last price.
        req close: Num<'a> = "c",
        /// Highest price.
        req high: Num<'a> = "h",
        /// Lowest price.
        req low: Num<'a> = "l",
        /// Volume, base asset.
        req volume: Num<'a> = "v",
        /// Number of prints.
        req trades: u64 = "n",
        /// Whether it is final.
        req closed: bool = "x",
        /// Volume, quote asset.
        req quote_volume: Num<'a> = "q",
        /// Volume of taking buyers, base asset.
        opt taker_buy_volume: Num<'a> = "V",
        /// Volume of taking buyers, quote asset.
        opt taker_buy_quote_volume: Num<'a> = "Q",
        /// To be ignored, says the venue.
        opt ignored: &'a RawValue = "B",
    }
}

wire_object! {
    /// Listing or change of status.
    ContractInfoRow {
        /// `contractInfo`.
        req event: Text<'a> = "e",
        /// Gateway time, milliseconds.
        req event_time_ms: i64 = "E",
        /// Symbol.
        req symbol: Text<'a> = "s",
        /// Pair.
        opt pair: Text<'a> = "ps",
        /// `PERPETUAL`, ….
        req contract_type: Text<'a> = "ct",
        /// Delivery, milliseconds.
        opt delivery_ms: i64 = "dt",
        /// Listing, milliseconds.
        opt onboard_ms: i64 = "ot",
        /// `TRADING`, ….
        req status: Text<'a> = "cs",
        /// Brackets of leverage.
        opt brackets: &'a RawValue = "bks",
        /// Not documented.
        opt st: i64 = "st",
    }
}
