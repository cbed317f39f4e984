//! Public REST of Kraken Futures below `/derivatives/api/v3`: `tickers`, `tickers/{symbol}`,
//! `instruments`, `instruments/status`, `orderbook`, `history`, `historical-funding-rates`.
//!
//! Input: requests. Output: `{"result":"success",…,"serverTime":…}` or the venue's error. Invariant:
//! an injected fault comes before the answer; funding is absolute only, and absent when zero.

use super::Futures;
use super::frames::{self, figures};
use super::number::{computed, exact, rounded};
use crate::derivatives::{Contract, Kind};
use crate::socket::http;
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use axum::routing::get;
use chrono::{DateTime, Duration, SecondsFormat, Timelike, Utc};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Trades of one answer.
const HISTORY: usize = 100;
/// Hours of funding history.
const FUNDING_HOURS: i64 = 48;

type Params = BTreeMap<String, String>;
/// The fields of an answer behind `"result":"success"`, or the venue's error.
type Answer = Result<String, &'static str>;

/// The routes.
pub(crate) fn router(futures: Arc<Futures>) -> Router {
    Router::new()
        .route("/derivatives/api/v3/{endpoint}", get(one))
        .route("/derivatives/api/v3/{endpoint}/{detail}", get(two))
        .with_state(futures)
}

async fn one(
    State(futures): State<Arc<Futures>>,
    Path(endpoint): Path<String>,
    Query(params): Query<Params>,
) -> Response {
    answer(&futures, &endpoint, None, &params).await
}

async fn two(
    State(futures): State<Arc<Futures>>,
    Path((endpoint, detail)): Path<(String, String)>,
    Query(params): Query<Params>,
) -> Response {
    answer(&futures, &endpoint, Some(&detail), &params).await
}

async fn answer(
    futures: &Futures,
    endpoint: &str,
    detail: Option<&str>,
    params: &Params,
) -> Response {
    let venue = &futures.venue;
    let method = format!("futures/{endpoint}");
    if let Some(fault) = http::fault(venue, &method).await {
        return fault;
    }
    let now = time(venue.now_us());
    let answer = match venue.faults.take_error(&method) {
        Some((text, _)) => Err(text),
        None => respond(futures, endpoint, detail, params).map_err(str::to_owned),
    };
    venue.stats.rest(&method);
    let body = match answer {
        Ok(fields) => format!(r#"{{"result":"success",{fields},"serverTime":"{now}"}}"#),
        Err(text) => {
            let text = Value::from(text);
            format!(r#"{{"result":"error","error":{text},"serverTime":"{now}"}}"#)
        }
    };
    http::json(body)
}

fn respond(futures: &Futures, endpoint: &str, detail: Option<&str>, params: &Params) -> Answer {
    let mut hub = futures.hub();
    hub.market.want();
    let contracts = hub.market.contracts();
    let by_name = |name: &str| hub.market.by_symbol(name).map(|index| &contracts[index]);
    let named = || params.get("symbol").ok_or("requiredArgumentMissing");
    match (endpoint, detail) {
        ("tickers", None) => {
            let wanted = params.get("symbol");
            let meant = |one: &&Contract| {
                wanted.is_none_or(|list| {
                    list.split(',').any(|name| one.spec.symbol.eq_ignore_ascii_case(name))
                })
            };
            let rows: Vec<String> = contracts.iter().filter(meant).map(ticker).collect();
            let indices: Vec<String> = match wanted {
                None => contracts
                    .iter()
                    .filter(|one| one.spec.kind == Kind::Linear)
                    .map(index)
                    .collect(),
                Some(_) => Vec::new(),
            };
            let rows: Vec<String> = rows.into_iter().chain(indices).collect();
            Ok(format!(r#""tickers":[{}]"#, rows.join(",")))
        }
        ("tickers", Some(name)) => {
            let one = by_name(name).ok_or("notFound")?;
            Ok(format!(r#""ticker":{}"#, ticker(one)))
        }
        ("instruments", None) => {
            let rows: Vec<String> = contracts.iter().map(instrument).collect();
            Ok(format!(r#""instruments":[{}]"#, rows.join(",")))
        }
        ("instruments", Some("status")) => {
            let rows: Vec<String> = contracts.iter().map(status).collect();
            Ok(format!(r#""instrumentStatus":[{}]"#, rows.join(",")))
        }
        ("orderbook", None) => by_name(named()?).map(orderbook).ok_or("invalidArgument"),
        ("history", None) => {
            let shift = futures.venue.faults.history_shift();
            history(by_name(named()?).ok_or("invalidArgument")?, params.get("lastTime"), shift)
        }
        ("historical-funding-rates", None) => {
            by_name(named()?).map(funding_rates).ok_or("invalidArgument")
        }
        _ => Err("notFound"),
    }
}

fn time(us: i64) -> String {
    let time = DateTime::<Utc>::from_timestamp_micros(us).unwrap_or_default();
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn ticker(one: &Contract) -> String {
    let (price, qty) = (one.spec.price_decimals, one.spec.qty_decimals);
    let figures = figures(one);
    let [open, high, low, last] = one.day.map(|ticks| exact(ticks, price));
    let mut fields = vec![
        ("symbol", format!(r#""{}""#, one.spec.symbol)),
        ("tag", r#""perpetual""#.to_owned()),
        ("pair", format!(r#""{}""#, frames::pair(one))),
        ("markPrice", computed(rounded(one.mark, 12))),
    ];
    if let Some((bid, ask)) = one.book.top() {
        fields.push(("bid", exact(bid.0, price)));
        fields.push(("bidSize", exact(bid.1, qty)));
        fields.push(("ask", exact(ask.0, price)));
        fields.push(("askSize", exact(ask.1, qty)));
    }
    fields.push(("vol24h", exact(one.day_lots, qty)));
    fields.push(("volumeQuote", computed(figures.volume_quote)));
    fields.push(("openInterest", exact(one.open_interest, qty)));
    fields.push(("open24h", open));
    fields.push(("high24h", high));
    fields.push(("low24h", low));
    if let Some(print) = one.prints.back() {
        fields.push(("last", last));
        fields.push(("lastTime", format!(r#""{}""#, time(print.ts_us))));
        fields.push(("lastSize", exact(print.lots, qty)));
    }
    if figures.absolute != 0.0 {
        fields.push(("fundingRate", computed(figures.absolute)));
    }
    if figures.prediction.0 != 0.0 {
        fields.push(("fundingRatePrediction", computed(figures.prediction.0)));
    }
    fields.push(("suspended", "false".to_owned()));
    fields.push(("indexPrice", computed(rounded(one.index, 2.max(price.cast_signed())))));
    fields.push(("postOnly", "false".to_owned()));
    fields.push(("change24h", computed(figures.change)));
    object(&fields)
}

/// An index: name, value, time and nothing else.
fn index(one: &Contract) -> String {
    object(&[
        ("symbol", format!(r#""in_{}usd""#, one.spec.base.to_lowercase())),
        ("last", computed(rounded(one.index, 2.max(one.spec.price_decimals.cast_signed())))),
        ("lastTime", format!(r#""{}""#, time(one.ts_us))),
    ])
}

fn instrument(one: &Contract) -> String {
    let tick = exact(1, one.spec.price_decimals);
    let base = &one.spec.base;
    let (kind, underlying, coefficient) = match one.spec.kind {
        Kind::Linear => ("flexible_futures", String::new(), 24),
        Kind::Inverse => {
            let name = base.to_lowercase();
            ("futures_inverse", format!(r#","underlying":"rr_{name}usd""#), 8)
        }
    };
    let (symbol, pair, digits) = (&one.spec.symbol, frames::pair(one), one.spec.qty_decimals);
    format!(
        r#"{{"symbol":"{symbol}","type":"{kind}"{underlying},"tickSize":{tick},"contractSize":1,"tradeable":true,"impactMidSize":1,"maxPositionSize":1000000,"openingDate":"2022-03-22T13:18:45.000Z","marginLevels":[{{"contracts":0,"initialMargin":0.02,"maintenanceMargin":0.01}},{{"contracts":500000,"initialMargin":0.04,"maintenanceMargin":0.02}}],"fundingRateCoefficient":{coefficient},"maxRelativeFundingRate":0.0025,"contractValueTradePrecision":{digits},"postOnly":false,"base":"{base}","quote":"USD","pair":"{pair}"}}"#
    )
}

fn status(one: &Contract) -> String {
    format!(
        r#"{{"tradeable":"{}","experiencingDislocation":false,"priceDislocationDirection":null,"experiencingExtremeVolatility":false,"extremeVolatilityInitialMarginMultiplier":1}}"#,
        one.spec.symbol
    )
}

fn orderbook(one: &Contract) -> String {
    let level = |(ticks, lots): (&i64, &i64)| {
        let price = exact(*ticks, one.spec.price_decimals);
        format!("[{price},{}]", exact(*lots, one.spec.qty_decimals))
    };
    let bids: Vec<String> = one.book.bids().iter().rev().map(level).collect();
    let asks: Vec<String> = one.book.asks().iter().map(level).collect();
    format!(r#""orderBook":{{"bids":[{}],"asks":[{}]}}"#, bids.join(","), asks.join(","))
}

/// Trades not younger than `lastTime`, newest first. Their numbers are those of the stream, unless a fault
/// shifts them.
fn history(one: &Contract, last_time: Option<&String>, shift: i64) -> Answer {
    let until_us = match last_time {
        None => i64::MAX,
        Some(text) => {
            let time = DateTime::parse_from_rfc3339(text).map_err(|_| "invalidArgument")?;
            time.timestamp_micros()
        }
    };
    let newest = one.prints.iter().rev().filter(|print| print.ts_us <= until_us).take(HISTORY);
    let row = |print: &crate::derivatives::Print| {
        object(&[
            ("time", format!(r#""{}""#, time(print.ts_us))),
            ("trade_id", print.id.cast_signed().saturating_add(shift).to_string()),
            ("price", exact(print.ticks, one.spec.price_decimals)),
            ("size", exact(print.lots, one.spec.qty_decimals)),
            ("side", format!(r#""{}""#, print.taker.text())),
            ("type", if print.liquidation { r#""liquidation""# } else { r#""fill""# }.to_owned()),
            ("uid", format!(r#""{}""#, frames::uid(&one.spec.symbol, print.id))),
        ])
    };
    let rows: Vec<String> = newest.map(row).collect();
    Ok(format!(r#""history":[{}]"#, rows.join(",")))
}

/// Hourly rates, newest first as the venue sends them: the one that holds now, and before the start
/// of the venue the ordinary one.
fn funding_rates(one: &Contract) -> String {
    let now = DateTime::<Utc>::from_timestamp_micros(one.ts_us).unwrap_or_default();
    let hour = now.with_minute(0).and_then(|now| now.with_second(0)).unwrap_or(now);
    let hour = hour.with_nanosecond(0).unwrap_or(hour);
    let figures = figures(one);
    let rows: Vec<String> = (0..FUNDING_HOURS)
        .map(|back| {
            let stamp = (hour - Duration::hours(back)).timestamp_micros();
            let relative = if back == 0 { figures.relative } else { 0.000_012_5 };
            object(&[
                ("timestamp", format!(r#""{}""#, time(stamp))),
                ("fundingRate", computed(rounded(relative * one.index, 15))),
                ("relativeFundingRate", computed(relative)),
            ])
        })
        .collect();
    format!(r#""rates":[{}]"#, rows.join(","))
}

fn object(fields: &[(&str, String)]) -> String {
    let fields: Vec<String> =
        fields.iter().map(|(name, value)| format!(r#""{name}":{value}"#)).collect();
    format!("{{{}}}", fields.join(","))
}
