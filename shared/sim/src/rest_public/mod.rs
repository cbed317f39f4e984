//! Public REST: `Time`, `SystemStatus`, `Assets`, `AssetPairs`, `Ticker`, `OHLC`, `Depth`, `Trades`.
//!
//! Input: a method and its parameters. Output: `{"error":[…],"result":…}` with HTTP 200, as the
//! venue answers. Invariants: result keys are pair ids
//! whatever name was asked for (but the slash form in `AssetPairs`); numbers inside
//! results are strings where the venue writes strings; an injected fault comes before the answer.
//! `GroupedBook` and `Spread` do not exist here and are refused as unknown methods.

mod listing;
mod market;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use axum::routing::get;
use serde_json::{Value, json};

use crate::exchange::SymbolNo;
use crate::public::PublicSide;
use crate::socket::http;

/// Parameters of a request.
type Params = BTreeMap<String, String>;
/// A result, or the venue's error text.
type Answer = Result<Value, &'static str>;

const UNKNOWN_PAIR: &str = "EQuery:Unknown asset pair";
const UNKNOWN_ASSET: &str = "EQuery:Unknown asset";
const UNKNOWN_METHOD: &str = "EGeneral:Unknown method";
const INVALID: &str = "EGeneral:Invalid arguments";

/// The routes below `/0/public`.
pub fn router(side: Arc<PublicSide>) -> Router {
    Router::new().route("/0/public/{method}", get(handle).post(handle)).with_state(side)
}

async fn handle(
    State(side): State<Arc<PublicSide>>,
    Path(method): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    if let Some(fault) = http::fault(&side.venue, &method).await {
        return fault;
    }
    let body = match side.venue.faults.take_error(&method) {
        Some((text, _)) => json!({ "error": [text] }),
        None => respond(&side, &method, query.as_deref().unwrap_or_default()),
    };
    side.venue.stats.rest(&method);
    http::json(body.to_string())
}

/// The body of an answer.
fn respond(side: &PublicSide, method: &str, query: &str) -> Value {
    let pairs = url::form_urlencoded::parse(query.as_bytes());
    let params: Params = pairs.map(|(key, value)| (key.into_owned(), value.into_owned())).collect();
    let answer = match method {
        "Time" => Ok(listing::time(side)),
        "SystemStatus" => Ok(listing::system_status(side)),
        "Assets" => listing::assets(side, &params),
        "AssetPairs" => listing::asset_pairs(side, &params),
        "Ticker" => market::ticker(side, &params),
        "OHLC" => market::ohlc(side, &params),
        "Depth" => market::depth(side, &params),
        "Trades" => market::trades(side, &params),
        _ => Err(UNKNOWN_METHOD),
    };
    match answer {
        Ok(result) => json!({ "error": [], "result": result }),
        Err(text) => json!({ "error": [text] }),
    }
}

/// The pairs of a comma list; all without the parameter.
fn pairs(side: &PublicSide, params: &Params) -> Result<Vec<SymbolNo>, &'static str> {
    match params.get("pair") {
        None => Ok((0..side.catalog.listings().len()).map(SymbolNo).collect()),
        Some(list) => list
            .split(',')
            .map(|name| side.catalog.by_rest_name(name.trim()).map(SymbolNo).ok_or(UNKNOWN_PAIR))
            .collect(),
    }
}

/// The one pair that a method needs.
fn pair(side: &PublicSide, params: &Params) -> Result<SymbolNo, &'static str> {
    let name = params.get("pair").ok_or(INVALID)?;
    side.catalog.by_rest_name(name).map(SymbolNo).ok_or(UNKNOWN_PAIR)
}

/// An optional number.
fn number(params: &Params, key: &str, default: i64) -> Result<i64, &'static str> {
    params.get(key).map_or(Ok(default), |text| text.trim().parse().map_err(|_| INVALID))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::{Exchange, ExchangeConfig};
    use crate::generator::{Clock, Generator, Scenario};
    use crate::instruments::Catalog;
    use crate::public::Offer;
    use crate::rest_private::Credentials;
    use crate::server::Venue;
    use rust_decimal::Decimal;

    fn side() -> Arc<PublicSide> {
        let catalog = Catalog::generated(5).expect("a catalog");
        let exchange = Exchange::new(ExchangeConfig {
            instruments: catalog.instruments(),
            seed: 1,
            cash_usd: Decimal::ZERO,
            volume_30d_usd: Decimal::ZERO,
            recorded: false,
            start_us: 0,
        });
        let venue = Venue::new(exchange.expect("an exchange"), Credentials::random());
        let clock = Clock { start_us: venue.now_us(), speed: 1.0 };
        let mut generator = Generator::new(&catalog, 1, Scenario::Calm, clock);
        let offer = Offer { depth: None, complete_symbols: 5 };
        let side = PublicSide::new(Arc::clone(&venue), Arc::new(catalog), offer);
        let mut events = venue.public_events();
        venue.with(|exchange, _| generator.run_until(120_000_000, exchange));
        let batch = events.try_recv().expect("a batch");
        side.hub().apply(&batch, &venue);
        side
    }

    fn result(side: &PublicSide, method: &str, query: &str) -> Value {
        let mut body = respond(side, method, query);
        assert_eq!(body["error"], json!([]), "{method}?{query}");
        body["result"].take()
    }

    #[test]
    fn pairs_are_found_by_every_name_and_listed_by_id_or_by_the_slash_form_asked_for() {
        let side = side();
        for (name, key) in [
            ("XBTUSD", "XXBTZUSD"),
            ("XXBTZUSD", "XXBTZUSD"),
            ("XBT%2FUSD", "XBT/USD"),
            ("BTC%2FUSD", "BTC/USD"),
        ] {
            let found = result(&side, "AssetPairs", &format!("pair={name}"));
            let one = &found[key];
            assert_eq!(one["altname"], "XBTUSD");
            assert_eq!(one["ordermin"], "0.00005");
            assert_eq!(one["costmin"], "0.5");
            assert_eq!(one["tick_size"], "0.1");
            assert_eq!(one["fees"][4], json!([250_000, 0.2]));
            assert_eq!(one["fees_maker"][4], json!([250_000, 0.1]));
        }
        assert_eq!(result(&side, "AssetPairs", "").as_object().map(serde_json::Map::len), Some(5));
        assert_eq!(result(&side, "Assets", "asset=XBT")["XXBT"]["altname"], "XBT");
    }

    #[test]
    fn the_market_methods_show_the_market() {
        let side = side();
        let ticker = result(&side, "Ticker", "pair=XDGUSD");
        let (bid, ask) = (&ticker["XDGUSD"]["b"][0], &ticker["XDGUSD"]["a"][0]);
        let number = |value: &Value| value.as_str().and_then(|text| text.parse::<Decimal>().ok());
        assert!(number(bid) < number(ask), "{bid} {ask}");
        let depth = result(&side, "Depth", "pair=ETHUSD&count=3");
        assert_eq!(depth["XETHZUSD"]["asks"].as_array().map(Vec::len), Some(3));
        let rows = result(&side, "OHLC", "pair=ETHUSD");
        assert!(rows["XETHZUSD"].as_array().is_some_and(|rows| !rows.is_empty()));
    }

    #[test]
    fn paging_through_trades_loses_and_repeats_none() {
        let side = side();
        let whole = result(&side, "Trades", "pair=XBTUSD&since=0");
        let ids = |page: &Value| -> Vec<u64> {
            let rows = page["XXBTZUSD"].as_array().cloned().unwrap_or_default();
            rows.iter().filter_map(|row| row[6].as_u64()).collect()
        };
        let (mut paged, mut since) = (Vec::new(), "0".to_owned());
        loop {
            let page = result(&side, "Trades", &format!("pair=XBTUSD&since={since}&count=7"));
            if ids(&page).is_empty() {
                break;
            }
            paged.extend(ids(&page));
            since = page["last"].as_str().unwrap_or_default().to_owned();
        }
        assert!(paged.len() > 50);
        assert_eq!(paged, ids(&whole));
        let first = paged[0];
        assert!(paged.iter().zip(first..).all(|(&id, expected)| id == expected));
    }

    #[test]
    fn refusals_carry_the_text_of_the_venue() {
        let side = side();
        for (method, query, text) in [
            ("Ticker", "pair=NOUSD", UNKNOWN_PAIR),
            ("Depth", "", INVALID),
            ("Depth", "pair=XBTUSD&count=x", INVALID),
            ("OHLC", "pair=XBTUSD&interval=2", INVALID),
            ("Assets", "asset=NOPE", UNKNOWN_ASSET),
            ("GroupedBook", "pair=XBTUSD", UNKNOWN_METHOD),
            ("Spread", "pair=XBTUSD", UNKNOWN_METHOD),
        ] {
            assert_eq!(respond(&side, method, query), json!({ "error": [text] }), "{method}");
        }
    }
}
