//! Public REST bodies, version 3.
//!
//! Input: path and body of an answer. Output: a [`Body`] that borrows from it, numbers as text. A body
//! whose `result` is `error` is a [`Body::Error`], whatever it was asked for; a path without a decoder
//! is [`Body::Unknown`] and no error. Funding here is absolute only; [`Ticker::relative_funding`] makes
//! it comparable.

use rust_decimal::Decimal;
use serde_json::value::RawValue;

use super::rows::{TradeKind, is_perpetual};
use crate::kraken::vocabulary::Side;
use crate::number::NumberError;
use crate::whole::Whole;
use crate::wire::{DecodeError, Num, Tag, Text, Unknown, Unknowns, WireTime, wire_object};

/// Where the paths of this version begin.
pub const PATH_PREFIX: &str = "/derivatives/api/v3/";

/// One answer.
#[derive(Clone, Debug)]
pub enum Body<'a> {
    /// `instruments`.
    Instruments(Vec<Instrument<'a>>),
    /// `instruments/status`.
    Statuses(Vec<InstrumentStatus<'a>>),
    /// `tickers`, or the one of `tickers/:symbol`.
    Tickers(Vec<Ticker<'a>>),
    /// `orderbook`.
    OrderBook(Box<OrderBook<'a>>),
    /// `history`.
    History(Vec<HistoryTrade<'a>>),
    /// `historical-funding-rates`; documented ascending, seen descending.
    FundingRates(Vec<FundingRate<'a>>),
    /// The venue refused.
    Error {
        /// Its words (`apiLimitExceeded`).
        text: Text<'a>,
    },
    /// A path without a decoder.
    Unknown,
}

wire_object! {
    /// What every body has, and the fields that single ones have.
    Envelope {
        /// `success` or `error`.
        opt result: Text<'a> = "result",
        /// Venue time.
        opt server_time: WireTime = "serverTime",
        /// What was wrong.
        opt error: Text<'a> = "error",
        /// What else was wrong.
        opt errors: &'a RawValue = "errors",
        /// Products.
        opt instruments: Vec<Instrument<'a>> = "instruments",
        /// States of products.
        opt instrument_status: Vec<InstrumentStatus<'a>> = "instrumentStatus",
        /// Images of products.
        opt tickers: Vec<Ticker<'a>> = "tickers",
        /// Image of one product.
        opt ticker: Ticker<'a> = "ticker",
        /// Book of one product.
        opt order_book: OrderBook<'a> = "orderBook",
        /// Prints of one product.
        opt history: Vec<HistoryTrade<'a>> = "history",
        /// Funding rates of one product.
        opt rates: Vec<FundingRate<'a>> = "rates",
    }
}

wire_object! {
    /// One product, or one index (which has a symbol and a type only).
    Instrument {
        /// Product id, in either case.
        req symbol: Text<'a> = "symbol",
        /// `futures_inverse`, `flexible_futures`, `spot index`, ….
        req kind: Text<'a> = "type",
        /// Whether it trades.
        req tradeable: bool = "tradeable",
        /// Index that it follows.
        opt underlying: Text<'a> = "underlying",
        /// `XBT:USD`.
        opt pair: Text<'a> = "pair",
        /// Base asset.
        opt base: Text<'a> = "base",
        /// Quote asset.
        opt quote: Text<'a> = "quote",
        /// Step of prices.
        opt tick_size: Num<'a> = "tickSize",
        /// Units of one contract.
        opt contract_size: Num<'a> = "contractSize",
        /// Digits of quantities; below zero for steps of tens.
        opt contract_value_trade_precision: Whole = "contractValueTradePrecision",
        /// Size of which the impact price is made.
        opt impact_mid_size: Num<'a> = "impactMidSize",
        /// Largest position.
        opt max_position_size: Num<'a> = "maxPositionSize",
        /// First day.
        opt opening_date: Text<'a> = "openingDate",
        /// Last trade of a dated product.
        opt last_trading_time: Text<'a> = "lastTradingTime",
        /// Margin by size.
        opt margin_levels: &'a RawValue = "marginLevels",
        /// Margin by size for retail accounts.
        opt retail_margin_levels: &'a RawValue = "retailMarginLevels",
        /// Hours over which a premium is paid.
        opt funding_rate_coefficient: Num<'a> = "fundingRateCoefficient",
        /// Largest relative rate per hour.
        opt max_relative_funding_rate: Num<'a> = "maxRelativeFundingRate",
        /// Whether only post-only orders are taken.
        opt post_only: bool = "postOnly",
        /// Identifier of securities.
        opt isin: Text<'a> = "isin",
        /// Schedule of fees.
        opt fee_schedule_uid: Text<'a> = "feeScheduleUid",
        /// Whether it is on the regulated venue.
        opt mtf: bool = "mtf",
        /// Whether it is of traditional finance.
        opt tradfi: bool = "tradfi",
        /// Category.
        opt category: Text<'a> = "category",
        /// Tags.
        opt tags: &'a RawValue = "tags",
    }
}

wire_object! {
    /// State of one product.
    InstrumentStatus {
        /// Product id.
        req symbol: Text<'a> = "tradeable",
        /// Whether its price left the index.
        opt dislocation: bool = "experiencingDislocation",
        /// To which side.
        opt dislocation_direction: Text<'a> = "priceDislocationDirection",
        /// Whether it moves extremely.
        opt extreme_volatility: bool = "experiencingExtremeVolatility",
        /// Factor of the initial margin meanwhile.
        opt margin_multiplier: Num<'a> = "extremeVolatilityInitialMarginMultiplier",
    }
}

wire_object! {
    /// Image of one product, or the last price of an index.
    Ticker {
        /// Product id.
        req symbol: Text<'a> = "symbol",
        /// `perpetual`, or how long a dated product runs.
        opt tag: Text<'a> = "tag",
        /// `XBT:USD`.
        opt pair: Text<'a> = "pair",
        /// Mark price.
        opt mark_price: Num<'a> = "markPrice",
        /// Best bid.
        opt bid: Num<'a> = "bid",
        /// Its quantity.
        opt bid_size: Num<'a> = "bidSize",
        /// Best ask.
        opt ask: Num<'a> = "ask",
        /// Its quantity.
        opt ask_size: Num<'a> = "askSize",
        /// Last trade.
        opt last: Num<'a> = "last",
        /// Its time.
        opt last_time: WireTime = "lastTime",
        /// Its quantity.
        opt last_size: Num<'a> = "lastSize",
        /// Volume of 24 h.
        opt volume: Num<'a> = "vol24h",
        /// Volume of 24 h, quote asset.
        opt volume_quote: Num<'a> = "volumeQuote",
        /// Base units of linear products, contracts of one USD of inverse ones.
        opt open_interest: Num<'a> = "openInterest",
        /// Price 24 h ago.
        opt open: Num<'a> = "open24h",
        /// Highest price of 24 h.
        opt high: Num<'a> = "high24h",
        /// Lowest price of 24 h.
        opt low: Num<'a> = "low24h",
        /// Change over 24 h, percent.
        opt change: Num<'a> = "change24h",
        /// Index price.
        opt index_price: Num<'a> = "indexPrice",
        /// Absolute rate; absent when zero.
        opt funding_rate: Num<'a> = "fundingRate",
        /// Its estimate for the next period.
        opt funding_rate_prediction: Num<'a> = "fundingRatePrediction",
        /// Whether nothing trades.
        opt suspended: bool = "suspended",
        /// Whether only post-only orders are taken.
        opt post_only: bool = "postOnly",
        /// Whether the market below it is closed.
        opt underlying_closed: bool = "isUnderlyingMarketClosed",
    }
}

impl Ticker<'_> {
    /// Funding of the current hour as a fraction of the notional: the absolute rate over the index
    /// price (linear) or times it (inverse); zero when absent on a perpetual, none on other products
    /// and without an index price.
    ///
    /// # Errors
    /// A number needs more than 28 digits.
    pub fn relative_funding(&self) -> Result<Option<Decimal>, NumberError> {
        if !is_perpetual(&self.symbol) {
            return Ok(None);
        }
        let Some(rate) = self.funding_rate else { return Ok(Some(Decimal::ZERO)) };
        let Some(index) = self.index_price else { return Ok(None) };
        let (rate, index) = (rate.decimal()?, index.decimal()?);
        let is_inverse =
            self.symbol.as_bytes().get(1).is_some_and(|b| b.eq_ignore_ascii_case(&b'i'));
        Ok(if is_inverse { rate.checked_mul(index) } else { rate.checked_div(index) })
    }
}

wire_object! {
    /// Book of one product: price and quantity.
    OrderBook {
        /// Buy side.
        req bids: Vec<(Num<'a>, Num<'a>)> = "bids",
        /// Sell side.
        req asks: Vec<(Num<'a>, Num<'a>)> = "asks",
    }
}

wire_object! {
    /// One print.
    HistoryTrade {
        /// Venue time.
        req time: WireTime = "time",
        /// Number of this print within the answer's product.
        opt trade_id: Whole = "trade_id",
        /// Unique id.
        opt uid: Text<'a> = "uid",
        /// Price.
        req price: Num<'a> = "price",
        /// Quantity.
        opt size: Num<'a> = "size",
        /// Side of the taker.
        opt side: Tag<'a, Side> = "side",
        /// Why it took place.
        opt kind: Tag<'a, TradeKind> = "type",
    }
}

wire_object! {
    /// Funding of one period.
    FundingRate {
        /// Begin of the period.
        req timestamp: WireTime = "timestamp",
        /// Absolute rate.
        req funding_rate: Num<'a> = "fundingRate",
        /// Fraction of the notional.
        opt relative_funding_rate: Num<'a> = "relativeFundingRate",
    }
}

/// Decodes an answer; a query behind the path is ignored.
///
/// # Errors
/// The body is not JSON, or lacks what the path's body must have.
pub fn decode<'a>(path: &str, body: &'a str) -> Result<Body<'a>, DecodeError> {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let Some(endpoint) = path.strip_prefix(PATH_PREFIX) else { return Ok(Body::Unknown) };
    let endpoint = endpoint.trim_end_matches('/');
    let (what, take): (&'static str, fn(Envelope<'a>) -> Option<Body<'a>>) = match endpoint {
        "instruments" => ("instruments", |e| e.instruments.map(Body::Instruments)),
        "instruments/status" => ("instruments/status", |e| e.instrument_status.map(Body::Statuses)),
        "tickers" => ("tickers", |e| e.tickers.map(Body::Tickers)),
        "orderbook" => ("orderbook", |e| e.order_book.map(|book| Body::OrderBook(Box::new(book)))),
        "history" => ("history", |e| e.history.map(Body::History)),
        "historical-funding-rates" => {
            ("historical-funding-rates", |e| e.rates.map(Body::FundingRates))
        }
        other if other.starts_with("tickers/") => {
            ("ticker", |e| e.ticker.map(|ticker| Body::Tickers(vec![ticker])))
        }
        _ => return Ok(Body::Unknown),
    };
    let envelope = serde_json::from_str::<Envelope<'a>>(body)
        .map_err(|source| DecodeError::new(what, &source))?;
    if envelope.result.as_deref() == Some("error") {
        let text = envelope.error.unwrap_or(Text::borrowed("no text"));
        return Ok(Body::Error { text });
    }
    take(envelope).ok_or_else(|| DecodeError {
        what,
        reason: "the body lacks what the path is asked for".to_owned(),
        byte: 0,
    })
}

/// Venue time of a body.
pub fn server_time(body: &str) -> Option<WireTime> {
    #[derive(serde::Deserialize)]
    struct Stamped {
        #[serde(rename = "serverTime")]
        server_time: WireTime,
    }
    serde_json::from_str::<Stamped>(body).ok().map(|stamped| stamped.server_time)
}

impl Unknowns for Body<'_> {
    fn visit_unknowns(&self, sink: &mut dyn FnMut(Unknown<'_>)) {
        match self {
            Self::Instruments(rows) => rows.visit_unknowns(sink),
            Self::Statuses(rows) => rows.visit_unknowns(sink),
            Self::Tickers(rows) => rows.visit_unknowns(sink),
            Self::OrderBook(book) => book.visit_unknowns(sink),
            Self::History(rows) => rows.visit_unknowns(sink),
            Self::FundingRates(rows) => rows.visit_unknowns(sink),
            Self::Error { .. } => {}
            Self::Unknown => sink(Unknown::Shape),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tickers(symbol: &str, rest: &str) -> Result<Option<Decimal>, NumberError> {
        let body = format!(r#"{{"result":"success","tickers":[{{"symbol":"{symbol}"{rest}}}]}}"#);
        let Ok(Body::Tickers(rows)) = decode("/derivatives/api/v3/tickers?x=1", &body) else {
            panic!("no tickers: {body}")
        };
        rows[0].relative_funding()
    }

    #[test]
    fn absolute_funding_becomes_relative_by_the_index() {
        let rest = r#","indexPrice":200,"fundingRate":0.5"#;
        assert_eq!(tickers("PF_ETHUSD", rest), Ok(Some("0.0025".parse().unwrap())));
        assert_eq!(tickers("PI_ETHUSD", rest), Ok(Some("100.0".parse().unwrap())));
        assert_eq!(tickers("PI_ETHUSD", ""), Ok(Some(Decimal::ZERO)));
        assert_eq!(tickers("FI_ETHUSD_211231", rest), Ok(None));
        assert_eq!(tickers("PF_ETHUSD", r#","fundingRate":0.5"#), Ok(None));
        let zero = r#","indexPrice":0,"fundingRate":0.5"#;
        assert_eq!(tickers("PF_ETHUSD", zero), Ok(None));
    }

    #[test]
    fn refusals_unknown_paths_and_lacking_fields_are_told_apart() {
        let error = r#"{"result":"error","error":"apiLimitExceeded","serverTime":"2024-05-03T13:15:34.1Z"}"#;
        let Ok(Body::Error { text }) = decode("/derivatives/api/v3/history", error) else {
            panic!("no error")
        };
        assert_eq!(text.as_str(), "apiLimitExceeded");
        for path in ["/derivatives/api/v3/fills", "/0/public/Time", ""] {
            assert!(matches!(decode(path, error), Ok(Body::Unknown)), "{path}");
        }
        let lacking = decode("/derivatives/api/v3/orderbook", r#"{"result":"success"}"#);
        assert_eq!(lacking.unwrap_err().what, "orderbook");
    }

    proptest! {
        #[test]
        fn any_body_is_decoded_or_refused(body in "\\PC*", endpoint in 0usize..7) {
            let endpoint = ["instruments", "instruments/status", "tickers", "tickers/x", "orderbook",
                "history", "historical-funding-rates"][endpoint];
            let _ = decode(&format!("{PATH_PREFIX}{endpoint}"), &body);
        }
    }
}
