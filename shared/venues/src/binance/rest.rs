//! Public REST bodies.
//!
//! Input: path and body of an answer. Output: a [`Body`] that borrows from it, numbers as text. Where
//! the venue answers with one object for one symbol and with a list for all, both give a list. A body
//! `{"code":…,"msg":…}` is a [`Body::Error`], whatever was asked for; a path without a decoder is
//! [`Body::Unknown`] and no error.

use serde::Deserialize;

use super::rest_rows::{
    AggTrade, BookTicker, Depth, ErrorBody, ExchangeInfo, FundingInfo, FundingRate, Kline,
    OpenInterest, OpenInterestHist, PremiumIndex, PriceTicker, Ratio, TakerRatio, Ticker24h, Time,
    Trade,
};
use crate::wire::{DecodeError, Unknown, Unknowns};

/// One answer.
#[derive(Clone, Debug)]
pub enum Body<'a> {
    /// `/fapi/v1/time`.
    Time(Time<'a>),
    /// `/fapi/v1/exchangeInfo`.
    ExchangeInfo(Box<ExchangeInfo<'a>>),
    /// `/fapi/v1/openInterest`.
    OpenInterest(OpenInterest<'a>),
    /// `/futures/data/openInterestHist`.
    OpenInterestHist(Vec<OpenInterestHist<'a>>),
    /// `/fapi/v1/premiumIndex`.
    PremiumIndex(Vec<PremiumIndex<'a>>),
    /// `/fapi/v1/fundingRate`.
    FundingRates(Vec<FundingRate<'a>>),
    /// `/fapi/v1/fundingInfo`.
    FundingInfo(Vec<FundingInfo<'a>>),
    /// `/fapi/v1/depth`.
    Depth(Box<Depth<'a>>),
    /// `/fapi/v1/aggTrades`.
    AggTrades(Vec<AggTrade<'a>>),
    /// `/fapi/v1/trades` and `historicalTrades`.
    Trades(Vec<Trade<'a>>),
    /// `/fapi/v1/klines` and its kin.
    Klines(Vec<Kline<'a>>),
    /// `/fapi/v1/ticker/24hr`.
    Tickers24h(Vec<Ticker24h<'a>>),
    /// `/fapi/v1/ticker/price`.
    Prices(Vec<PriceTicker<'a>>),
    /// `/fapi/v1/ticker/bookTicker`.
    BookTickers(Vec<BookTicker<'a>>),
    /// `/futures/data/…LongShort…Ratio`.
    Ratios(Vec<Ratio<'a>>),
    /// `/futures/data/takerlongshortRatio`.
    TakerRatios(Vec<TakerRatio<'a>>),
    /// The venue refused.
    Error(ErrorBody<'a>),
    /// A path without a decoder.
    Unknown,
}

/// Decodes an answer; a query behind the path is ignored.
///
/// # Errors
/// The body is not JSON, or lacks what the path's body must have.
pub fn decode<'a>(path: &str, body: &'a str) -> Result<Body<'a>, DecodeError> {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    if body.trim_start().starts_with("{\"code\"") {
        return one("error", body).map(Body::Error);
    }
    Ok(match path {
        "/fapi/v1/time" => Body::Time(one("time", body)?),
        "/fapi/v1/exchangeInfo" => Body::ExchangeInfo(one("exchangeInfo", body)?),
        "/fapi/v1/openInterest" => Body::OpenInterest(one("openInterest", body)?),
        "/futures/data/openInterestHist" => Body::OpenInterestHist(many("openInterestHist", body)?),
        "/fapi/v1/premiumIndex" => Body::PremiumIndex(many("premiumIndex", body)?),
        "/fapi/v1/fundingRate" => Body::FundingRates(many("fundingRate", body)?),
        "/fapi/v1/fundingInfo" => Body::FundingInfo(many("fundingInfo", body)?),
        "/fapi/v1/depth" => Body::Depth(one("depth", body)?),
        "/fapi/v1/aggTrades" => Body::AggTrades(many("aggTrades", body)?),
        "/fapi/v1/trades" | "/fapi/v1/historicalTrades" => Body::Trades(many("trades", body)?),
        "/fapi/v1/klines"
        | "/fapi/v1/continuousKlines"
        | "/fapi/v1/indexPriceKlines"
        | "/fapi/v1/markPriceKlines" => Body::Klines(many("klines", body)?),
        "/fapi/v1/ticker/24hr" => Body::Tickers24h(many("ticker/24hr", body)?),
        "/fapi/v1/ticker/price" | "/fapi/v2/ticker/price" => {
            Body::Prices(many("ticker/price", body)?)
        }
        "/fapi/v1/ticker/bookTicker" => Body::BookTickers(many("ticker/bookTicker", body)?),
        "/futures/data/globalLongShortAccountRatio"
        | "/futures/data/topLongShortAccountRatio"
        | "/futures/data/topLongShortPositionRatio" => Body::Ratios(many("ratio", body)?),
        "/futures/data/takerlongshortRatio" => Body::TakerRatios(many("taker ratio", body)?),
        _ => Body::Unknown,
    })
}

fn one<'a, T: Deserialize<'a>>(what: &'static str, body: &'a str) -> Result<T, DecodeError> {
    serde_json::from_str(body).map_err(|source| DecodeError::new(what, &source))
}

fn many<'a, T: Deserialize<'a>>(what: &'static str, body: &'a str) -> Result<Vec<T>, DecodeError> {
    if body.trim_start().starts_with('[') {
        one(what, body)
    } else {
        one(what, body).map(|row| vec![row])
    }
}

impl Unknowns for Body<'_> {
    fn visit_unknowns(&self, sink: &mut dyn FnMut(Unknown<'_>)) {
        match self {
            Self::Time(row) => row.visit_unknowns(sink),
            Self::ExchangeInfo(row) => row.visit_unknowns(sink),
            Self::OpenInterest(row) => row.visit_unknowns(sink),
            Self::OpenInterestHist(rows) => rows.visit_unknowns(sink),
            Self::PremiumIndex(rows) => rows.visit_unknowns(sink),
            Self::FundingRates(rows) => rows.visit_unknowns(sink),
            Self::FundingInfo(rows) => rows.visit_unknowns(sink),
            Self::Depth(row) => row.visit_unknowns(sink),
            Self::AggTrades(rows) => rows.visit_unknowns(sink),
            Self::Trades(rows) => rows.visit_unknowns(sink),
            Self::Klines(_) => {}
            Self::Tickers24h(rows) => rows.visit_unknowns(sink),
            Self::Prices(rows) => rows.visit_unknowns(sink),
            Self::BookTickers(rows) => rows.visit_unknowns(sink),
            Self::Ratios(rows) => rows.visit_unknowns(sink),
            Self::TakerRatios(rows) => rows.visit_unknowns(sink),
            Self::Error(row) => row.visit_unknowns(sink),
            Self::Unknown => sink(Unknown::Shape),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_symbol_and_all_symbols_give_lists() {
        let row = r#"{"symbol":"BTCUSDT","markPrice":"11793.63","indexPrice":"11781.8","estimatedSettlePrice":"11781.1","lastFundingRate":"","nextFundingTime":0,"interestRate":"","time":1597370495002}"#;
        for body in [row.to_owned(), format!("[{row}]")] {
            let Ok(Body::PremiumIndex(rows)) = decode("/fapi/v1/premiumIndex?symbol=X", &body)
            else {
                panic!("no premium index: {body}")
            };
            assert_eq!((rows.len(), rows[0].last_funding_rate.and_then(|r| r.0)), (1, None));
        }
    }

    #[test]
    fn refusals_unknown_paths_and_lacking_fields_are_told_apart() {
        let error = r#"{"code":-1121,"msg":"Invalid symbol."}"#;
        let Ok(Body::Error(row)) = decode("/fapi/v1/depth", error) else { panic!("no error") };
        assert_eq!((row.code, row.msg.as_str()), (-1_121, "Invalid symbol."));
        assert!(matches!(decode("/fapi/v1/account", "{}"), Ok(Body::Unknown)));
        assert_eq!(decode("/fapi/v1/depth", "{}").unwrap_err().what, "depth");
        let short = decode("/fapi/v1/klines", "[[1]]").unwrap_err();
        assert!(short.reason.contains("12 elements"), "{short}");
    }

    #[test]
    fn times_may_be_strings() {
        let body = r#"[{"symbol":"BTCUSDT","longShortRatio":"0.1960","longAccount":"0.6622","shortAccount":"0.3378","timestamp":"1583139600000"}]"#;
        let path = "/futures/data/globalLongShortAccountRatio";
        let Ok(Body::Ratios(rows)) = decode(path, body) else { panic!("no ratio") };
        assert_eq!(rows[0].timestamp_ms.0, 1_583_139_600_000);
    }

    proptest! {
        #[test]
        fn any_body_is_decoded_or_refused(body in "\\PC*", path in 0usize..6) {
            let path = ["/fapi/v1/depth", "/fapi/v1/klines", "/fapi/v1/premiumIndex",
                "/fapi/v1/exchangeInfo", "/fapi/v1/aggTrades", "/futures/data/openInterestHist"][path];
            let _ = decode(path, &body);
        }
    }
}
