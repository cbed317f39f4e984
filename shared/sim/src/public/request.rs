//! Requests of public sockets: text in, meaning or the venue's error text out.
//!
//! Input: one text frame. Output: a [`Request`]. Invariants: nothing a client sends can panic; what
//! is refused carries the text with which the venue refuses it. It does not know which symbols
//! exist or what is subscribed.

use serde_json::{Map, Value};

use super::mirror::DEPTHS;
use super::tape::INTERVALS_MIN;

/// Longest list of symbols in one request.
pub(super) const SYMBOLS_LIMIT: usize = 2_000;

/// When a ticker is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trigger {
    /// With every trade.
    Trades,
    /// When a best price or its size changes.
    Bbo,
}

/// What is subscribed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Channel {
    /// Pairs and assets.
    Instrument,
    /// Ticker.
    Ticker(Trigger),
    /// Trades.
    Trade,
    /// Book of a depth.
    Book(usize),
    /// Candles of an interval, minutes.
    Ohlc(i64),
}

impl Channel {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Instrument => "instrument",
            Self::Ticker(_) => "ticker",
            Self::Trade => "trade",
            Self::Book(_) => "book",
            Self::Ohlc(_) => "ohlc",
        }
    }
}

/// A subscription as asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// The channel with its parameter.
    pub channel: Channel,
    /// The symbols; empty for channels without one.
    pub symbols: Vec<String>,
    /// Whether a snapshot is wanted.
    pub snapshot: bool,
}

/// What a client asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// A sign of life.
    Ping,
    /// Subscribe.
    Subscribe(Subscription),
    /// Unsubscribe.
    Unsubscribe(Subscription),
    /// Refused as a whole, with the venue's text.
    Refused(String),
}

/// A request with what its answer repeats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The method as sent, empty when there was none.
    pub method: String,
    /// The client's number.
    pub req_id: Option<u64>,
    /// The request.
    pub request: Request,
}

const INVALID: &str = "EGeneral:Invalid arguments";
const UNSUPPORTED: &str = "Unsupported event";

/// Reads one text frame.
pub fn parse(text: &str) -> Envelope {
    let refused = |method: &str, req_id, text: &str| Envelope {
        method: method.to_owned(),
        req_id,
        request: Request::Refused(text.to_owned()),
    };
    let Ok(Value::Object(fields)) = serde_json::from_str::<Value>(text) else {
        return refused("", None, INVALID);
    };
    let method = fields.get("method").and_then(Value::as_str).unwrap_or_default();
    let req_id = match fields.get("req_id") {
        None | Some(Value::Null) => None,
        Some(value) => match value.as_u64() {
            Some(number) => Some(number),
            None => return refused(method, None, INVALID),
        },
    };
    let empty = Map::new();
    let params = fields.get("params").and_then(Value::as_object).unwrap_or(&empty);
    let request = match method {
        "ping" => Ok(Request::Ping),
        "subscribe" => subscription(params).map(Request::Subscribe),
        "unsubscribe" => subscription(params).map(Request::Unsubscribe),
        "" => Err(INVALID),
        _ => Err(UNSUPPORTED),
    };
    match request {
        Ok(request) => Envelope { method: method.to_owned(), req_id, request },
        Err(text) => refused(method, req_id, text),
    }
}

fn subscription(params: &Map<String, Value>) -> Result<Subscription, &'static str> {
    let name = params.get("channel").and_then(Value::as_str).ok_or(INVALID)?;
    let (channel, snapshot_default) = match name {
        "instrument" => (Channel::Instrument, true),
        "ticker" => (Channel::Ticker(trigger(params)?), true),
        "trade" => (Channel::Trade, false),
        "book" => (Channel::Book(depth(params)?), true),
        "ohlc" => (Channel::Ohlc(interval(params)?), true),
        // Account channels and level 3 have endpoints of their own.
        _ => return Err(UNSUPPORTED),
    };
    let snapshot = match params.get("snapshot") {
        None | Some(Value::Null) => snapshot_default,
        Some(value) => value.as_bool().ok_or(INVALID)?,
    };
    let symbols = if channel == Channel::Instrument { Vec::new() } else { symbols(params)? };
    Ok(Subscription { channel, symbols, snapshot })
}

fn symbols(params: &Map<String, Value>) -> Result<Vec<String>, &'static str> {
    let listed = params.get("symbol").and_then(Value::as_array).ok_or(INVALID)?;
    if listed.is_empty() || listed.len() > SYMBOLS_LIMIT {
        return Err(INVALID);
    }
    let text = |value: &Value| value.as_str().map(str::to_owned).ok_or(INVALID);
    listed.iter().map(text).collect()
}

fn trigger(params: &Map<String, Value>) -> Result<Trigger, &'static str> {
    match params.get("event_trigger") {
        None | Some(Value::Null) => Ok(Trigger::Trades),
        Some(value) => match value.as_str() {
            Some("trades") => Ok(Trigger::Trades),
            Some("bbo") => Ok(Trigger::Bbo),
            Some(_) | None => Err(INVALID),
        },
    }
}

fn depth(params: &Map<String, Value>) -> Result<usize, &'static str> {
    let asked = match params.get("depth") {
        None | Some(Value::Null) => return Ok(DEPTHS[0]),
        Some(value) => value.as_u64(),
    };
    let offered = DEPTHS.into_iter().find(|&depth| asked == Some(depth as u64));
    offered.ok_or(super::DEPTH_REFUSED)
}

fn interval(params: &Map<String, Value>) -> Result<i64, &'static str> {
    let asked = match params.get("interval") {
        None | Some(Value::Null) => return Ok(INTERVALS_MIN[0]),
        Some(value) => value.as_i64(),
    };
    let offered = INTERVALS_MIN.into_iter().find(|&interval| asked == Some(interval));
    offered.ok_or("Subscription ohlc interval not supported")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn refusal(text: &str) -> String {
        match parse(text).request {
            Request::Refused(text) => text,
            other => format!("accepted as {other:?}"),
        }
    }

    #[test]
    fn every_refusal_has_the_text_of_the_venue() {
        for (params, text) in [
            (
                r#"{"channel":"book","symbol":["BTC/USD"],"depth":11}"#,
                "Subscription depth not supported",
            ),
            (
                r#"{"channel":"book","symbol":["BTC/USD"],"depth":10.0}"#,
                "Subscription depth not supported",
            ),
            (
                r#"{"channel":"book","symbol":["BTC/USD"],"depth":"10"}"#,
                "Subscription depth not supported",
            ),
            (r#"{"channel":"book","symbol":[]}"#, INVALID),
            (r#"{"channel":"book","symbol":"BTC/USD"}"#, INVALID),
            (r#"{"channel":"book"}"#, INVALID),
            (r#"{"symbol":["BTC/USD"]}"#, INVALID),
            (r#"{"channel":"ticker","symbol":["BTC/USD"],"event_trigger":"always"}"#, INVALID),
            (r#"{"channel":"trade","symbol":["BTC/USD"],"snapshot":1}"#, INVALID),
            (
                r#"{"channel":"ohlc","symbol":["BTC/USD"],"interval":2}"#,
                "Subscription ohlc interval not supported",
            ),
            (r#"{"channel":"executions"}"#, UNSUPPORTED),
            (r#"{"channel":"level3","symbol":["BTC/USD"]}"#, UNSUPPORTED),
        ] {
            for method in ["subscribe", "unsubscribe"] {
                let frame = format!(r#"{{"method":"{method}","params":{params},"req_id":7}}"#);
                assert_eq!(refusal(&frame), text, "{frame}");
                assert_eq!(parse(&frame).req_id, Some(7));
            }
        }
        assert_eq!(refusal(r#"{"method":"add_order"}"#), UNSUPPORTED);
        assert_eq!(refusal("{"), INVALID);
        assert_eq!(refusal("[]"), INVALID);
        assert_eq!(refusal(r#"{"method":"ping","req_id":"a"}"#), INVALID);
    }

    #[test]
    fn defaults_are_those_of_the_venue() {
        let asked = |params: &str| {
            let frame = format!(r#"{{"method":"subscribe","params":{params}}}"#);
            match parse(&frame).request {
                Request::Subscribe(one) => (one.channel, one.snapshot),
                other => panic!("{other:?}"),
            }
        };
        let symbol = r#""symbol":["BTC/USD"]"#;
        for (name, channel, snapshot) in [
            ("book", Channel::Book(10), true),
            ("ticker", Channel::Ticker(Trigger::Trades), true),
            ("trade", Channel::Trade, false),
            ("ohlc", Channel::Ohlc(1), true),
            ("instrument", Channel::Instrument, true),
        ] {
            let params = format!(r#"{{"channel":"{name}",{symbol}}}"#);
            assert_eq!(asked(&params), (channel, snapshot));
            assert_eq!(channel.name(), name);
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in r#"[\{\}\[\]":,a-z0-9 .-]{0,80}"#) {
            let _answer = parse(&text);
        }
    }
}
