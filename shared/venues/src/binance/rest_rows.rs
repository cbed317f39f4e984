//! Rows of public REST bodies.
//!
//! Input: a body or an element of it. Output: rows that borrow from it, numbers as text. Digits named
//! `…Precision` are not steps: the step of prices is `tickSize` of the price filter, that of quantities
//! `stepSize` of the lot filter.

use core::fmt;
use core::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::rows::MaybeNum;
use crate::whole::Whole;
use crate::wire::{Num, Text, wire_object};

wire_object! {
    /// A refusal.
    ErrorBody {
        /// The venue's code.
        req code: i64 = "code",
        /// Its words.
        req msg: Text<'a> = "msg",
    }
}

wire_object! {
    /// Venue time.
    Time {
        /// Milliseconds.
        req server_time_ms: i64 = "serverTime",
    }
}

wire_object! {
    /// Symbols, filters and limits.
    ExchangeInfo {
        /// `UTC`.
        opt timezone: Text<'a> = "timezone",
        /// Venue time, milliseconds.
        opt server_time_ms: i64 = "serverTime",
        /// `U_MARGINED`.
        opt futures_type: Text<'a> = "futuresType",
        /// Limits in force; the request weight per minute is one of them.
        req rate_limits: Vec<RateLimit<'a>> = "rateLimits",
        /// Empty so far.
        opt exchange_filters: &'a RawValue = "exchangeFilters",
        /// Margin assets.
        opt assets: &'a RawValue = "assets",
        /// Symbols.
        req symbols: Vec<SymbolInfo<'a>> = "symbols",
    }
}

wire_object! {
    /// One limit.
    RateLimit {
        /// `REQUEST_WEIGHT` or `ORDERS`.
        req kind: Text<'a> = "rateLimitType",
        /// `MINUTE`, `SECOND`, ….
        req interval: Text<'a> = "interval",
        /// Number of intervals.
        req interval_num: u32 = "intervalNum",
        /// Limit.
        req limit: u64 = "limit",
    }
}

impl ExchangeInfo<'_> {
    /// Request weight that one address may use per minute.
    pub fn weight_per_minute(&self) -> Option<u64> {
        let weight = self.rate_limits.iter().find(|limit| {
            limit.kind.as_str() == "REQUEST_WEIGHT"
                && limit.interval.as_str() == "MINUTE"
                && limit.interval_num == 1
        });
        weight.map(|limit| limit.limit)
    }
}

wire_object! {
    /// One symbol.
    SymbolInfo {
        /// Symbol.
        req symbol: Text<'a> = "symbol",
        /// Pair.
        opt pair: Text<'a> = "pair",
        /// `PERPETUAL`, `CURRENT_QUARTER`, …; empty before it trades.
        req contract_type: Text<'a> = "contractType",
        /// `TRADING`, ….
        req status: Text<'a> = "status",
        /// Base asset.
        req base_asset: Text<'a> = "baseAsset",
        /// Quote asset.
        req quote_asset: Text<'a> = "quoteAsset",
        /// Margin asset.
        opt margin_asset: Text<'a> = "marginAsset",
        /// Listing, milliseconds.
        opt onboard_date_ms: i64 = "onboardDate",
        /// Delivery, milliseconds.
        opt delivery_date_ms: i64 = "deliveryDate",
        /// Kind of the underlying.
        opt underlying_type: Text<'a> = "underlyingType",
        /// Further kinds.
        opt underlying_sub_type: &'a RawValue = "underlyingSubType",
        /// Digits of prices; not their step.
        opt price_precision: u8 = "pricePrecision",
        /// Digits of quantities; not their step.
        opt quantity_precision: u8 = "quantityPrecision",
        /// Digits of the base asset.
        opt base_asset_precision: u8 = "baseAssetPrecision",
        /// Digits of the quote asset.
        opt quote_precision: u8 = "quotePrecision",
        /// Not used any more.
        opt maint_margin_percent: Num<'a> = "maintMarginPercent",
        /// Not used any more.
        opt required_margin_percent: Num<'a> = "requiredMarginPercent",
        /// Not documented.
        opt settle_plan: i64 = "settlePlan",
        /// Threshold of protected triggers.
        opt trigger_protect: Num<'a> = "triggerProtect",
        /// Fee of liquidations.
        opt liquidation_fee: Num<'a> = "liquidationFee",
        /// Largest distance of market orders.
        opt market_take_bound: Num<'a> = "marketTakeBound",
        /// Limit of moves.
        opt max_move_order_limit: i64 = "maxMoveOrderLimit",
        /// Rules.
        req filters: Vec<Filter<'a>> = "filters",
        /// Order types.
        opt order_types: &'a RawValue = "orderTypes" | "OrderType",
        /// Times in force.
        opt time_in_force: &'a RawValue = "timeInForce",
        /// Who may trade it.
        opt permission_sets: &'a RawValue = "permissionSets",
    }
}

impl<'a> SymbolInfo<'a> {
    /// Step of prices.
    pub fn tick_size(&self) -> Option<Num<'a>> {
        self.filters.iter().find_map(|filter| filter.tick_size)
    }

    /// Step of quantities.
    pub fn step_size(&self) -> Option<Num<'a>> {
        let lot = self.filters.iter().find(|filter| filter.kind.as_str() == "LOT_SIZE")?;
        lot.step_size
    }
}

wire_object! {
    /// One rule.
    Filter {
        /// Which.
        req kind: Text<'a> = "filterType",
        /// Step of prices.
        opt tick_size: Num<'a> = "tickSize",
        /// Smallest price.
        opt min_price: Num<'a> = "minPrice",
        /// Largest price.
        opt max_price: Num<'a> = "maxPrice",
        /// Step of quantities.
        opt step_size: Num<'a> = "stepSize",
        /// Smallest quantity.
        opt min_qty: Num<'a> = "minQty",
        /// Largest quantity.
        opt max_qty: Num<'a> = "maxQty",
        /// Smallest notional.
        opt notional: Num<'a> = "notional",
        /// Number of orders.
        opt limit: i64 = "limit",
        /// Highest price as a multiple of the mark.
        opt multiplier_up: Num<'a> = "multiplierUp",
        /// Lowest price as a multiple of the mark.
        opt multiplier_down: Num<'a> = "multiplierDown",
        /// Digits of the multiples.
        opt multiplier_decimal: Num<'a> = "multiplierDecimal",
        /// Rule of the position.
        opt position_control_side: Text<'a> = "positionControlSide",
    }
}

wire_object! {
    /// Open interest of one symbol.
    OpenInterest {
        /// Symbol.
        req symbol: Text<'a> = "symbol",
        /// Contracts, which are base units here.
        req open_interest: Num<'a> = "openInterest",
        /// Venue time, milliseconds.
        req time_ms: i64 = "time",
    }
}

wire_object! {
    /// Open interest at one time.
    OpenInterestHist {
        /// Symbol.
        opt symbol: Text<'a> = "symbol",
        /// Base units.
        req sum_open_interest: Num<'a> = "sumOpenInterest",
        /// Quote units.
        req sum_open_interest_value: Num<'a> = "sumOpenInterestValue",
        /// Coins in circulation, as another service counts them.
        opt circulating_supply: Num<'a> = "CMCCirculatingSupply",
        /// Venue time, milliseconds.
        req timestamp_ms: Whole = "timestamp",
    }
}

wire_object! {
    /// Mark price, index and funding.
    PremiumIndex {
        /// Symbol.
        req symbol: Text<'a> = "symbol",
        /// Pair.
        opt pair: Text<'a> = "pair",
        /// Mark price.
        req mark_price: Num<'a> = "markPrice",
        /// Index price.
        opt index_price: Num<'a> = "indexPrice",
        /// Estimated price of settlement.
        opt estimated_settle_price: Num<'a> = "estimatedSettlePrice",
        /// Rate of the current period; empty on dated contracts.
        opt last_funding_rate: MaybeNum<'a> = "lastFundingRate",
        /// Interest part of the rate; empty on dated contracts.
        opt interest_rate: MaybeNum<'a> = "interestRate",
        /// When the next period begins, milliseconds; 0 on dated contracts.
        opt next_funding_time_ms: i64 = "nextFundingTime",
        /// Venue time, milliseconds.
        req time_ms: i64 = "time",
    }
}

wire_object! {
    /// Funding of one period.
    FundingRate {
        /// Symbol.
        req symbol: Text<'a> = "symbol",
        /// Rate.
        req funding_rate: Num<'a> = "fundingRate",
        /// When it was paid, milliseconds; some milliseconds off the full hour.
        req funding_time_ms: i64 = "fundingTime",
        /// Mark price then.
        opt mark_price: MaybeNum<'a> = "markPrice",
    }
}

wire_object! {
    /// Terms of funding of a symbol whose terms are not the common ones (every 8 h).
    FundingInfo {
        /// Symbol.
        req symbol: Text<'a> = "symbol",
        /// Largest rate.
        opt cap: Num<'a> = "adjustedFundingRateCap",
        /// Smallest rate.
        opt floor: Num<'a> = "adjustedFundingRateFloor",
        /// Length of a period, hours.
        req interval_hours: u32 = "fundingIntervalHours",
        /// Not documented.
        opt disclaimer: bool = "disclaimer",
        /// Last change, milliseconds.
        opt update_time_ms: i64 = "updateTime",
    }
}

wire_object! {
    /// Image of a book.
    Depth {
        /// State of the book.
        req last_update_id: i64 = "lastUpdateId",
        /// Gateway time, milliseconds.
        opt event_time_ms: i64 = "E",
        /// Engine time, milliseconds.
        opt time_ms: i64 = "T",
        /// Symbol, where the venue repeats it.
        opt symbol: Text<'a> = "symbol",
        /// Pair, where the venue repeats it.
        opt pair: Text<'a> = "pair",
        /// Buy side, best first: price and quantity.
        req bids: Vec<(Num<'a>, Num<'a>)> = "bids",
        /// Sell side, best first: price and quantity.
        req asks: Vec<(Num<'a>, Num<'a>)> = "asks",
    }
}

wire_object! {
    /// Prints put together.
    AggTrade {
        /// Number within the symbol, contiguous.
        req agg_id: u64 = "a",
        /// Price.
        req price: Num<'a> = "p",
        /// Quantity.
        req qty: Num<'a> = "q",
        /// Quantity without orders of retail price improvement.
        opt normal_qty: Num<'a> = "nq",
        /// First print.
        req first_trade_id: i64 = "f",
        /// Last print.
        req last_trade_id: i64 = "l",
        /// Engine time, milliseconds.
        req time_ms: i64 = "T",
        /// Whether the buyer was the maker.
        req buyer_is_maker: bool = "m",
    }
}

wire_object! {
    /// One print.
    Trade {
        /// Number within the symbol.
        req id: u64 = "id",
        /// Price.
        req price: Num<'a> = "price",
        /// Quantity.
        req qty: Num<'a> = "qty",
        /// Quantity, quote asset.
        opt quote_qty: Num<'a> = "quoteQty",
        /// Engine time, milliseconds.
        req time_ms: i64 = "time",
        /// Whether the buyer was the maker.
        req buyer_is_maker: bool = "isBuyerMaker",
        /// Whether it was of retail price improvement.
        opt is_rpi: bool = "isRPITrade",
    }
}

wire_object! {
    /// Statistics of 24 h.
    Ticker24h {
        /// Symbol.
        req symbol: Text<'a> = "symbol",
        /// Change, quote asset.
        req price_change: Num<'a> = "priceChange",
        /// Change, percent.
        req price_change_percent: Num<'a> = "priceChangePercent",
        /// Volume-weighted price.
        opt weighted_avg_price: Num<'a> = "weightedAvgPrice",
        /// Last price.
        req last_price: Num<'a> = "lastPrice",
        /// Last quantity.
        opt last_qty: Num<'a> = "lastQty",
        /// First price.
        req open_price: Num<'a> = "openPrice",
        /// Highest price.
        req high_price: Num<'a> = "highPrice",
        /// Lowest price.
        req low_price: Num<'a> = "lowPrice",
        /// Volume, base asset.
        req volume: Num<'a> = "volume",
        /// Volume, quote asset.
        req quote_volume: Num<'a> = "quoteVolume",
        /// Begin, milliseconds.
        opt open_time_ms: i64 = "openTime",
        /// End, milliseconds.
        opt close_time_ms: i64 = "closeTime",
        /// First print.
        opt first_id: i64 = "firstId",
        /// Last print.
        opt last_id: i64 = "lastId",
        /// Number of prints.
        opt count: u64 = "count",
    }
}

wire_object! {
    /// Last price.
    PriceTicker {
        /// Symbol.
        req symbol: Text<'a> = "symbol",
        /// Price.
        req price: Num<'a> = "price",
        /// Venue time, milliseconds.
        opt time_ms: i64 = "time",
        /// Pair.
        opt pair: Text<'a> = "ps",
    }
}

wire_object! {
    /// Best prices.
    BookTicker {
        /// Symbol.
        req symbol: Text<'a> = "symbol",
        /// Best bid.
        req bid_price: Num<'a> = "bidPrice",
        /// Its quantity.
        req bid_qty: Num<'a> = "bidQty",
        /// Best ask.
        req ask_price: Num<'a> = "askPrice",
        /// Its quantity.
        req ask_qty: Num<'a> = "askQty",
        /// Venue time, milliseconds.
        opt time_ms: i64 = "time",
        /// State of the book.
        opt last_update_id: i64 = "lastUpdateId",
        /// Pair.
        opt pair: Text<'a> = "pair",
    }
}

wire_object! {
    /// Long against short, by accounts or positions.
    Ratio {
        /// Symbol.
        opt symbol: Text<'a> = "symbol",
        /// Pair, of inverse contracts.
        opt pair: Text<'a> = "pair",
        /// Long over short.
        req long_short_ratio: Num<'a> = "longShortRatio",
        /// Share of the long side.
        req long: Num<'a> = "longAccount" | "longPosition",
        /// Share of the short side.
        req short: Num<'a> = "shortAccount" | "shortPosition",
        /// Venue time, milliseconds.
        req timestamp_ms: Whole = "timestamp",
    }
}

wire_object! {
    /// Taking buyers against taking sellers.
    TakerRatio {
        /// Buyers over sellers.
        req buy_sell_ratio: Num<'a> = "buySellRatio",
        /// Volume of buyers.
        req buy_vol: Num<'a> = "buyVol",
        /// Volume of sellers.
        req sell_vol: Num<'a> = "sellVol",
        /// Venue time, milliseconds.
        req timestamp_ms: Whole = "timestamp",
    }
}

/// A candle, which is an array on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kline<'a> {
    /// Start, milliseconds.
    pub start_ms: i64,
    /// First price.
    pub open: Num<'a>,
    /// Highest price.
    pub high: Num<'a>,
    /// Lowest price.
    pub low: Num<'a>,
    /// Last price.
    pub close: Num<'a>,
    /// Volume, base asset; of index and mark candles `0`.
    pub volume: Num<'a>,
    /// End, milliseconds.
    pub end_ms: i64,
    /// Volume, quote asset.
    pub quote_volume: Num<'a>,
    /// Number of prints.
    pub trades: u64,
    /// Volume of taking buyers, base asset.
    pub taker_buy_volume: Num<'a>,
    /// Volume of taking buyers, quote asset.
    pub taker_buy_quote_volume: Num<'a>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Kline<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KlineVisitor<'a>(PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for KlineVisitor<'a> {
            type Value = Kline<'a>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a candle of 12 elements")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Kline<'a>, A::Error> {
                let short = |at| move || serde::de::Error::invalid_length(at, &"12 elements");
                let candle = Kline {
                    start_ms: seq.next_element()?.ok_or_else(short(0))?,
                    open: seq.next_element()?.ok_or_else(short(1))?,
                    high: seq.next_element()?.ok_or_else(short(2))?,
                    low: seq.next_element()?.ok_or_else(short(3))?,
                    close: seq.next_element()?.ok_or_else(short(4))?,
                    volume: seq.next_element()?.ok_or_else(short(5))?,
                    end_ms: seq.next_element()?.ok_or_else(short(6))?,
                    quote_volume: seq.next_element()?.ok_or_else(short(7))?,
                    trades: seq.next_element()?.ok_or_else(short(8))?,
                    taker_buy_volume: seq.next_element()?.ok_or_else(short(9))?,
                    taker_buy_quote_volume: seq.next_element()?.ok_or_else(short(10))?,
                };
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(candle)
            }
        }
        deserializer.deserialize_seq(KlineVisitor(PhantomData))
    }
}
