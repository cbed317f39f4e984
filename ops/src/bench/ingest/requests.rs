//! Purpose: requests to the bench's venue and their answers. Inputs: texts of the product's own sockets,
//! the first line of a REST request. Outputs: answers in the venue's form. Invariants: a text that is no
//! request is answered as one that the venue does not know. It speaks only what ingest asks for.

use serde_json::{Value, json};

use super::pair::{PRICE_DIGITS, Pair, QTY_DIGITS};

/// Levels of a book when a request names none.
const DEPTH: usize = 10;
/// Deepest book that the venue has.
const DEPTH_MAX: usize = 1_000;

/// A request of a public socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    /// What is to be done.
    pub(super) method: String,
    /// Channel; empty for a ping.
    pub(super) channel: String,
    /// Symbols, none for channels without.
    pub(super) symbols: Vec<String>,
    /// Levels of a book's side.
    pub(super) depth: usize,
    req_id: Option<u64>,
}

impl Request {
    /// Reads a text; `None` when it is no request.
    #[must_use]
    pub(super) fn read(text: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(text).ok()?;
        let params = &value["params"];
        let symbols = params["symbol"].as_array().map(Vec::as_slice).unwrap_or_default();
        let depth = params["depth"].as_u64().and_then(|n| usize::try_from(n).ok());
        Some(Self {
            method: value["method"].as_str()?.to_owned(),
            channel: params["channel"].as_str().unwrap_or_default().to_owned(),
            symbols: symbols.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            depth: depth.unwrap_or(DEPTH).clamp(1, DEPTH_MAX),
            req_id: value["req_id"].as_u64(),
        })
    }
}

/// Answers to a request: one per symbol.
#[must_use]
pub(super) fn answer(request: &Request, at: &str) -> Vec<String> {
    let Request { method, channel, req_id, .. } = request;
    if method == "ping" {
        let pong = json!({"method": "pong", "req_id": req_id, "time_in": at, "time_out": at});
        return vec![pong.to_string()];
    }
    let granted = |symbol: Option<&String>| {
        let mut result = json!({"channel": channel, "snapshot": true});
        if let Some(symbol) = symbol {
            result["symbol"] = symbol.clone().into();
        }
        if channel == "book" {
            result["depth"] = request.depth.into();
        }
        json!({"method": method, "req_id": req_id, "result": result, "success": true,
            "time_in": at, "time_out": at})
        .to_string()
    };
    if request.symbols.is_empty() {
        return vec![granted(None)];
    }
    request.symbols.iter().map(|symbol| granted(Some(symbol))).collect()
}

/// The answer to what is no request.
#[must_use]
pub(super) fn refused(text: &str, at: &str) -> String {
    let error = format!("Malformed request of {} bytes", text.len());
    json!({"error": error, "success": false, "time_in": at, "time_out": at}).to_string()
}

/// The image of the instrument channel.
#[must_use]
pub(super) fn instruments(pairs: &[Pair]) -> String {
    let pair = |pair: &Pair| {
        json!({"symbol": pair.symbol, "base": pair.base, "quote": "USD", "status": "online",
            "qty_precision": QTY_DIGITS, "qty_increment": 0.000_000_01,
            "price_precision": PRICE_DIGITS, "price_increment": 0.01, "cost_precision": 5,
            "cost_min": 0.5, "qty_min": 0.0001, "marginable": false, "has_index": true})
    };
    let rows: Vec<Value> = pairs.iter().map(pair).collect();
    // The order of the keys is the venue's: what begins otherwise is decoded in full by its reader.
    let data = json!({"assets": [], "pairs": rows});
    format!(r#"{{"channel":"instrument","type":"snapshot","data":{data}}}"#)
}

/// Body of the answer to a REST request.
#[must_use]
pub(super) fn rest(first_line: &str, pairs: &[Pair]) -> String {
    let path = first_line.split(' ').nth(1).unwrap_or_default();
    let id = |pair: &Pair| format!("{}USD", pair.base);
    let result: serde_json::Map<String, Value> = match path.split('?').next().unwrap_or_default() {
        "/0/public/AssetPairs" => pairs
            .iter()
            .map(|pair| {
                let row = json!({"altname": id(pair), "wsname": pair.symbol, "base": pair.base,
                    "quote": "ZUSD", "pair_decimals": PRICE_DIGITS, "lot_decimals": QTY_DIGITS});
                (id(pair), row)
            })
            .collect(),
        "/0/public/Ticker" => pairs
            .iter()
            .map(|pair| {
                let last = pair.trade_price(true);
                let row = json!({"a": [last, "1", "1.000"], "b": [last, "1", "1.000"],
                    "c": [last, "0.1"], "v": ["1000.0", "2000.0"], "p": [last, last],
                    "t": [1_000, 2_000], "l": [last, last], "h": [last, last], "o": last});
                (id(pair), row)
            })
            .collect(),
        _ => return json!({"error": ["EGeneral:Unknown method"]}).to_string(),
    };
    json!({"error": [], "result": result}).to_string()
}

#[cfg(test)]
mod tests {
    use penstock_venues::kraken::rest::public::{AssetPairResult, Entries, TickerResult};
    use penstock_venues::kraken::{Frame, decode};
    use proptest::prelude::*;

    use super::super::pair::Pair;
    use super::{Request, answer, instruments, refused, rest};

    #[test]
    fn the_product_reads_what_the_bench_answers() {
        let pairs: Vec<Pair> = (0..2).map(Pair::of).collect();
        let image = instruments(&pairs);
        let Frame::Instrument(message) = decode(&image).unwrap() else { panic!("{image}") };
        assert_eq!(message.rows.pairs.unwrap().len(), 2);
        let text = r#"{"method":"subscribe","params":{"channel":"book","symbol":["S00000/USD","S00001/USD"],"depth":25},"req_id":8}"#;
        let request = Request::read(text).unwrap();
        assert_eq!((request.depth, request.symbols.len()), (25, 2));
        let answers = answer(&request, "2026-07-07T23:00:03.977459Z");
        assert_eq!(answers.len(), 2);
        for text in answers {
            let Frame::Response(response) = decode(&text).unwrap() else { panic!("{text}") };
            assert!(response.accepted() && response.req_id == Some(8), "{text}");
            assert!(response.subscription().unwrap().is_some(), "{text}");
        }
        #[derive(serde::Deserialize)]
        struct Body<'a> {
            #[serde(borrow)]
            result: &'a serde_json::value::RawValue,
        }
        let text = rest("GET /0/public/Ticker HTTP/1.1", &pairs);
        let body: Body<'_> = serde_json::from_str(&text).unwrap();
        let rows: Entries<'_, TickerResult<'_>> = serde_json::from_str(body.result.get()).unwrap();
        assert!(rows.0.iter().all(|(_, row)| row.quote_volume_24h().is_some()));
        let text = rest("GET /0/public/AssetPairs HTTP/1.1", &pairs);
        let body: Body<'_> = serde_json::from_str(&text).unwrap();
        let rows: Entries<'_, AssetPairResult<'_>> =
            serde_json::from_str(body.result.get()).unwrap();
        assert_eq!(rows.0.len(), 2);
    }

    proptest! {
        #[test]
        fn any_text_is_answered_with_json(text in "\\PC{0,60}") {
            let answers = match Request::read(&text) {
                Some(request) => answer(&request, "now"),
                None => vec![refused(&text, "now")],
            };
            for one in answers.into_iter().chain([rest(&text, &[])]) {
                prop_assert!(serde_json::from_str::<serde_json::Value>(&one).is_ok(), "{one}");
            }
        }
    }
}
