//! Requests of level 3 sockets: text in, meaning or the venue's error text out.
//!
//! Input: one text frame. Output: a [`Request`]. Invariants: nothing a client sends can panic; what
//! is refused carries the text with which the venue refuses it. It does not know which symbols
//! exist, what is subscribed, or which tokens are valid.

use crate::public::DEPTH_REFUSED;
use serde_json::{Map, Value};

/// Depths that the venue offers, in levels, with the points that a symbol costs.
pub(super) const DEPTHS: [(usize, u32); 3] = [(10, 5), (100, 25), (1_000, 100)];
/// Longest list of symbols in one request.
const LIST_LIMIT: usize = 2_000;
const INVALID: &str = "EGeneral:Invalid arguments";
const UNSUPPORTED: &str = "Unsupported event";

/// A subscription as asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Subscription {
    pub(super) symbols: Vec<String>,
    pub(super) depth: usize,
    pub(super) snapshot: bool,
    pub(super) token: String,
}

/// What a client asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Request {
    Ping,
    Subscribe(Subscription),
    Unsubscribe(Subscription),
    Refused(&'static str),
}

/// A request with what its answer repeats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Envelope {
    pub(super) method: String,
    pub(super) req_id: Option<u64>,
    pub(super) request: Request,
}

/// Reads one text frame.
pub(super) fn parse(text: &str) -> Envelope {
    let envelope =
        |method: &str, req_id, request| Envelope { method: method.to_owned(), req_id, request };
    let Ok(Value::Object(fields)) = serde_json::from_str::<Value>(text) else {
        return envelope("", None, Request::Refused(INVALID));
    };
    let method = fields.get("method").and_then(Value::as_str).unwrap_or_default();
    let req_id = match fields.get("req_id") {
        None | Some(Value::Null) => None,
        Some(value) => match value.as_u64() {
            Some(number) => Some(number),
            None => return envelope(method, None, Request::Refused(INVALID)),
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
    envelope(method, req_id, request.unwrap_or_else(Request::Refused))
}

fn subscription(params: &Map<String, Value>) -> Result<Subscription, &'static str> {
    match params.get("channel").and_then(Value::as_str) {
        Some("level3") => {}
        // Other channels have endpoints of their own.
        Some(_) => return Err(UNSUPPORTED),
        None => return Err(INVALID),
    }
    let depth = match params.get("depth") {
        None | Some(Value::Null) => DEPTHS[0].0,
        Some(value) => {
            let asked = value.as_u64();
            let offered = DEPTHS.into_iter().find(|(depth, _)| asked == Some(*depth as u64));
            offered.ok_or(DEPTH_REFUSED)?.0
        }
    };
    let snapshot = match params.get("snapshot") {
        None | Some(Value::Null) => true,
        Some(value) => value.as_bool().ok_or(INVALID)?,
    };
    let listed = params.get("symbol").and_then(Value::as_array).ok_or(INVALID)?;
    if listed.is_empty() || listed.len() > LIST_LIMIT {
        return Err(INVALID);
    }
    let text = |value: &Value| value.as_str().map(str::to_owned).ok_or(INVALID);
    let symbols = listed.iter().map(text).collect::<Result<_, _>>()?;
    let token = match params.get("token") {
        None | Some(Value::Null) => String::new(),
        Some(value) => value.as_str().ok_or(INVALID)?.to_owned(),
    };
    Ok(Subscription { symbols, depth, snapshot, token })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_refusal_has_the_text_of_the_venue() {
        for (params, text) in [
            (r#"{"channel":"level3","symbol":["BTC/USD"],"depth":25}"#, DEPTH_REFUSED),
            (r#"{"channel":"level3","symbol":["BTC/USD"],"depth":"10"}"#, DEPTH_REFUSED),
            (r#"{"channel":"level3","symbol":[]}"#, INVALID),
            (r#"{"channel":"level3"}"#, INVALID),
            (r#"{"channel":"level3","symbol":["BTC/USD"],"token":1}"#, INVALID),
            (r#"{"symbol":["BTC/USD"]}"#, INVALID),
            (r#"{"channel":"book","symbol":["BTC/USD"]}"#, UNSUPPORTED),
        ] {
            let frame = format!(r#"{{"method":"subscribe","params":{params},"req_id":7}}"#);
            let envelope = parse(&frame);
            assert_eq!(envelope.request, Request::Refused(text), "{frame}");
            assert_eq!(envelope.req_id, Some(7));
        }
    }

    #[test]
    fn the_default_depth_is_ten_with_a_snapshot() {
        let text =
            r#"{"method":"subscribe","params":{"channel":"level3","symbol":["A/B"],"token":"t"}}"#;
        let asked = Subscription {
            symbols: vec!["A/B".to_owned()],
            depth: 10,
            snapshot: true,
            token: "t".to_owned(),
        };
        assert_eq!(parse(text).request, Request::Subscribe(asked));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in r#"[\{\}\[\]":,a-z0-9 .-]{0,80}"#) {
            let _answer = parse(&text);
        }
    }
}
