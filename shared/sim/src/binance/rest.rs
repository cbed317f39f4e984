//! Public REST of Binance USD-M below `/fapi/v1`: `time`, `exchangeInfo`, `depth`, `openInterest`,
//! `premiumIndex`, `aggTrades`, `fundingRate`, `fundingInfo`, `ticker/bookTicker`.
//!
//! Input: requests. Output: bodies as the venue writes them, numbers as strings, with the weight
//! used so far in a header. Invariants: a request is weighed before it is looked at; an injected
//! fault comes before the answer. The book has no more levels than the generated market makes.

use super::Binance;
use super::aggregate::AggTrade;
use super::frames::{next_funding_ms, price, qty};
use super::weights::Verdict;
use crate::derivatives::Contract;
use crate::exchange::Side;
use crate::socket::http;
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

type Params = BTreeMap<String, String>;

/// The venue's refusal: code and text.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Refusal(i32, String);

type Answer = Result<Value, Refusal>;

/// Aggregates of one answer: unless told otherwise, and at most.
const AGG_TRADES: (usize, usize) = (500, 1_000);
const FUNDING_MS: i64 = 8 * 3_600_000;

/// The routes.
pub(crate) fn router(binance: Arc<Binance>) -> Router {
    Router::new()
        .route("/fapi/v1/{endpoint}", get(one))
        .route("/fapi/v1/{endpoint}/{detail}", get(two))
        .with_state(binance)
}

async fn one(
    State(binance): State<Arc<Binance>>,
    Path(endpoint): Path<String>,
    Query(params): Query<Params>,
) -> Response {
    answer(&binance, &endpoint, &params).await
}

async fn two(
    State(binance): State<Arc<Binance>>,
    Path((endpoint, detail)): Path<(String, String)>,
    Query(params): Query<Params>,
) -> Response {
    answer(&binance, &format!("{endpoint}/{detail}"), &params).await
}

/// What a request weighs.
fn weight(endpoint: &str, params: &Params) -> u32 {
    let single = params.contains_key("symbol");
    match endpoint {
        "depth" => match params.get("limit").and_then(|text| text.parse().ok()).unwrap_or(500) {
            0..=50 => 2,
            51..=100 => 5,
            101..=500 => 10,
            _ => 20,
        },
        "premiumIndex" if !single => 10,
        "aggTrades" => 20,
        "ticker/bookTicker" => 2 + 3 * u32::from(!single),
        _ => 1,
    }
}

async fn answer(binance: &Binance, endpoint: &str, params: &Params) -> Response {
    let venue = &binance.venue;
    let method = format!("binance/{endpoint}");
    if let Some(fault) = http::fault(venue, &method).await {
        return fault;
    }
    venue.stats.rest(&method);
    let verdict = {
        let mut weights = binance.weights.lock().unwrap_or_else(PoisonError::into_inner);
        let verdict = weights.ask(weight(endpoint, params), venue.steady_us());
        (verdict, weights.used())
    };
    let mut response = match verdict.0 {
        Verdict::Answered(_) => match venue.faults.take_error(&method) {
            Some((text, _)) => refusal(&Refusal(-1000, text)),
            None => match respond(binance, endpoint, params) {
                Ok(body) => http::json(body.to_string()),
                Err(error) => refusal(&error),
            },
        },
        Verdict::TooMany(seconds) => stop(StatusCode::TOO_MANY_REQUESTS, seconds),
        Verdict::Banned(seconds) => stop(StatusCode::IM_A_TEAPOT, seconds),
    };
    response.headers_mut().insert("x-mbx-used-weight-1m", HeaderValue::from(verdict.1));
    response
}

fn refusal(error: &Refusal) -> Response {
    let body = json!({"code": error.0, "msg": error.1}).to_string();
    let json = [(header::CONTENT_TYPE, "application/json")];
    (StatusCode::BAD_REQUEST, json, body).into_response()
}

fn stop(status: StatusCode, seconds: i64) -> Response {
    let msg = "Too many requests; please use the websocket for live updates to avoid bans.";
    let body = json!({"code": -1003, "msg": msg}).to_string();
    let headers = [
        (header::CONTENT_TYPE, "application/json".to_owned()),
        (header::RETRY_AFTER, seconds.to_string()),
    ];
    (status, headers, body).into_response()
}

fn respond(binance: &Binance, endpoint: &str, params: &Params) -> Answer {
    let ms = binance.venue.now_us() / 1_000;
    let mut hub = binance.hub();
    hub.market.want();
    let contracts = hub.market.contracts();
    let find = |symbol: &String| {
        let found = contracts.iter().position(|one| one.spec.symbol == *symbol);
        found.ok_or_else(|| Refusal(-1121, "Invalid symbol.".to_owned()))
    };
    let symbol = params.get("symbol");
    let needed = || {
        let text = "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.";
        find(symbol.ok_or_else(|| Refusal(-1102, text.to_owned()))?)
    };
    // One row with a symbol, all without.
    let rows = |row: &dyn Fn(&Contract) -> Value| -> Answer {
        match symbol {
            Some(symbol) => Ok(row(&contracts[find(symbol)?])),
            None => Ok(contracts.iter().map(row).collect()),
        }
    };
    match endpoint {
        "time" => Ok(json!({"serverTime": ms})),
        "exchangeInfo" => Ok(exchange_info(contracts, binance.limits.weight_per_min, ms)),
        "depth" => depth(&contracts[needed()?], params, ms),
        "openInterest" => {
            let one = &contracts[needed()?];
            let open_interest = qty(one, one.open_interest);
            Ok(json!({
                "openInterest": open_interest, "symbol": one.spec.symbol, "time": one.ts_us / 1_000,
            }))
        }
        "premiumIndex" => rows(&premium_index),
        "ticker/bookTicker" => rows(&book_ticker),
        "aggTrades" => {
            let index = needed()?;
            let all: Vec<&AggTrade> = hub.agg_trades(index).collect();
            agg_trades(&contracts[index], &all, params)
        }
        "fundingRate" => funding_rate(&contracts[needed()?], params, ms),
        // Only symbols with an interval or caps of their own are listed: there are none.
        "fundingInfo" => Ok(json!([])),
        _ => Err(Refusal(-5000, "Path does not exist.".to_owned())),
    }
}

fn exchange_info(contracts: &[Contract], weight_per_min: u32, ms: i64) -> Value {
    let row = |one: &Contract| {
        let lot = qty(one, 1);
        json!({
            "symbol": one.spec.symbol,
            "pair": one.spec.symbol,
            "contractType": "PERPETUAL",
            "deliveryDate": 4_133_404_800_000_i64,
            "onboardDate": 1_569_398_400_000_i64,
            "status": "TRADING",
            "maintMarginPercent": "2.5000",
            "requiredMarginPercent": "5.0000",
            "baseAsset": one.spec.base,
            "quoteAsset": "USDT",
            "marginAsset": "USDT",
            // Not the tick: the venue's precisions are wider than its steps.
            "pricePrecision": one.spec.price_decimals + 1,
            "quantityPrecision": one.spec.qty_decimals,
            "baseAssetPrecision": 8,
            "quotePrecision": 8,
            "underlyingType": "COIN",
            "underlyingSubType": [],
            "settlePlan": 0,
            "triggerProtect": "0.0500",
            "filters": [
                {"minPrice": price(one, 1), "maxPrice": "1000000", "filterType": "PRICE_FILTER",
                 "tickSize": price(one, 1)},
                {"stepSize": lot, "filterType": "LOT_SIZE", "maxQty": "10000000", "minQty": lot},
                {"stepSize": lot, "filterType": "MARKET_LOT_SIZE", "maxQty": "10000000",
                 "minQty": lot},
                {"limit": 200, "filterType": "MAX_NUM_ORDERS"},
                {"limit": 10, "filterType": "MAX_NUM_ALGO_ORDERS"},
                {"notional": "5", "filterType": "MIN_NOTIONAL"},
                {"multiplierDown": "0.8500", "multiplierUp": "1.1500", "multiplierDecimal": "4",
                 "filterType": "PERCENT_PRICE"},
            ],
            "orderTypes": ["LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT",
                "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET"],
            "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
        })
    };
    json!({
        "timezone": "UTC",
        "serverTime": ms,
        "futuresType": "U_MARGINED",
        "rateLimits": [
            {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1,
             "limit": weight_per_min},
            {"rateLimitType": "ORDERS", "interval": "MINUTE", "intervalNum": 1, "limit": 1_200},
            {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 300},
        ],
        "exchangeFilters": [],
        "assets": [{"asset": "USDT", "marginAvailable": true, "autoAssetExchange": "-1000"}],
        "symbols": contracts.iter().map(row).collect::<Vec<_>>(),
    })
}

fn depth(one: &Contract, params: &Params, ms: i64) -> Answer {
    let limit = number(params, "limit")?.unwrap_or(500);
    if ![5, 10, 20, 50, 100, 500, 1_000].contains(&limit) {
        let text = format!("{limit} is not valid depth limit.");
        return Err(Refusal(-4021, text));
    }
    let limit = usize::try_from(limit).unwrap_or(5);
    let level = |(ticks, lots): (&i64, &i64)| json!([price(one, *ticks), qty(one, *lots)]);
    Ok(json!({
        "lastUpdateId": one.update_id,
        "E": ms,
        "T": one.ts_us / 1_000,
        "bids": one.book.bids().iter().rev().take(limit).map(level).collect::<Vec<_>>(),
        "asks": one.book.asks().iter().take(limit).map(level).collect::<Vec<_>>(),
    }))
}

fn premium_index(one: &Contract) -> Value {
    let ms = one.ts_us / 1_000;
    let eight = |value: f64| format!("{value:.8}");
    json!({
        "symbol": one.spec.symbol,
        "markPrice": eight(one.mark),
        "indexPrice": eight(one.index),
        "estimatedSettlePrice": eight(one.index),
        "lastFundingRate": eight(one.funding_8h),
        "interestRate": "0.00010000",
        "nextFundingTime": next_funding_ms(ms),
        "time": ms,
    })
}

fn book_ticker(one: &Contract) -> Value {
    let ((bid, bid_lots), (ask, ask_lots)) = one.book.top().unwrap_or_default();
    json!({
        "symbol": one.spec.symbol,
        "bidPrice": price(one, bid),
        "bidQty": qty(one, bid_lots),
        "askPrice": price(one, ask),
        "askQty": qty(one, ask_lots),
        "time": one.ts_us / 1_000,
    })
}

fn agg_trades(one: &Contract, all: &[&AggTrade], params: &Params) -> Answer {
    let limit = number(params, "limit")?.unwrap_or(AGG_TRADES.0 as i64);
    let limit = usize::try_from(limit).unwrap_or(0).clamp(1, AGG_TRADES.1);
    let (from, start) = (number(params, "fromId")?, number(params, "startTime")?);
    let end = number(params, "endTime")?;
    if let (Some(start), Some(end)) = (start, end)
        && end - start >= 3_600_000
    {
        let text = "Search window is restricted to one hour.".to_owned();
        return Err(Refusal(-4166, text));
    }
    let meant = |trade: &&&AggTrade| {
        let (id, ms) = (i64::try_from(trade.id).unwrap_or(i64::MAX), trade.ts_us / 1_000);
        from.is_none_or(|from| id >= from)
            && start.is_none_or(|start| ms >= start)
            && end.is_none_or(|end| ms <= end)
    };
    let found: Vec<&&AggTrade> = all.iter().filter(meant).collect();
    // Without a beginning the newest are meant.
    let newest = from.is_none() && start.is_none();
    let skip = if newest { found.len().saturating_sub(limit) } else { 0 };
    let row = |trade: &&AggTrade| {
        json!({
            "a": trade.id,
            "p": price(one, trade.ticks),
            "q": qty(one, trade.lots),
            "f": trade.first,
            "l": trade.last,
            "T": trade.ts_us / 1_000,
            "m": trade.taker == Side::Sell,
        })
    };
    Ok(found.into_iter().skip(skip).take(limit).map(row).collect())
}

/// Past fundings, oldest first: before the start of the venue the ordinary rate.
fn funding_rate(one: &Contract, params: &Params, ms: i64) -> Answer {
    let limit = number(params, "limit")?.unwrap_or(100).clamp(1, 1_000);
    let last = ms / FUNDING_MS * FUNDING_MS;
    let row = |back: i64| {
        json!({
            "symbol": one.spec.symbol,
            "fundingRate": "0.00010000",
            "fundingTime": last - back * FUNDING_MS,
            "markPrice": format!("{:.8}", one.mark),
        })
    };
    Ok((0..limit).rev().map(row).collect())
}

fn number(params: &Params, name: &str) -> Result<Option<i64>, Refusal> {
    let Some(text) = params.get(name) else { return Ok(None) };
    let parsed = text.parse().map(Some);
    let refused = format!("Illegal characters found in parameter '{name}'.");
    parsed.map_err(|_| Refusal(-1100, refused))
}
