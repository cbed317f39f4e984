//! Answers to requests of public sockets.
//!
//! Input: the request and the times of its arrival and of the answer. Output: the answer's text,
//! fields in the venue's order. It does not decide the outcome.

use super::request::{Channel, Trigger};
use super::text::{push_json_text, time_us};

/// When a request came and when it is answered, microseconds since the Unix epoch.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// Arrival.
    pub in_us: i64,
    /// Answer.
    pub out_us: i64,
}

/// Answer to a ping.
pub(crate) fn pong(req_id: Option<u64>, times: Times) -> String {
    let mut out = String::from(r#"{"method":"pong""#);
    number(&mut out, req_id);
    stamps(&mut out, times);
    out.push('}');
    out
}

/// A refusal; `symbol` when it concerns one symbol of several.
pub(crate) fn refused(
    method: &str,
    req_id: Option<u64>,
    error: &str,
    symbol: Option<&str>,
    times: Times,
) -> String {
    let mut out = String::from(r#"{"error":"#);
    push_json_text(&mut out, error);
    if !method.is_empty() {
        out.push_str(r#","method":"#);
        push_json_text(&mut out, method);
    }
    number(&mut out, req_id);
    out.push_str(r#","success":false"#);
    if let Some(symbol) = symbol {
        out.push_str(r#","symbol":"#);
        push_json_text(&mut out, symbol);
    }
    stamps(&mut out, times);
    out.push('}');
    out
}

/// A subscription that was granted or ended.
pub(super) fn granted(
    method: &str,
    req_id: Option<u64>,
    channel: Channel,
    snapshot: bool,
    symbol: Option<&str>,
    times: Times,
) -> String {
    let mut out = format!(r#"{{"channel":"{}""#, channel.name());
    match channel {
        Channel::Book(depth) => out.push_str(&format!(r#","depth":{depth}"#)),
        Channel::Ticker(Trigger::Trades) => out.push_str(r#","event_trigger":"trades""#),
        Channel::Ticker(Trigger::Bbo) => out.push_str(r#","event_trigger":"bbo""#),
        Channel::Ohlc(interval) => out.push_str(&format!(r#","interval":{interval}"#)),
        Channel::Instrument | Channel::Trade => {}
    }
    out.push_str(&format!(r#","snapshot":{snapshot}"#));
    if let Some(symbol) = symbol {
        out.push_str(r#","symbol":"#);
        push_json_text(&mut out, symbol);
    }
    let warning = match channel {
        Channel::Instrument => Some("tick_size is deprecated, use price_increment"),
        Channel::Ohlc(_) => Some("timestamp is deprecated, use interval_begin"),
        Channel::Ticker(_) | Channel::Trade | Channel::Book(_) => None,
    };
    if let Some(warning) = warning {
        out.push_str(&format!(r#","warnings":["{warning}"]"#));
    }
    out.push('}');
    granted_as(method, req_id, &out, times)
}

/// A granted request with its result as JSON.
pub(crate) fn granted_as(method: &str, req_id: Option<u64>, result: &str, times: Times) -> String {
    let mut out = format!(r#"{{"method":"{method}""#);
    number(&mut out, req_id);
    out.push_str(&format!(r#","result":{result},"success":true"#));
    stamps(&mut out, times);
    out.push('}');
    out
}

fn number(out: &mut String, req_id: Option<u64>) {
    if let Some(req_id) = req_id {
        out.push_str(&format!(r#","req_id":{req_id}"#));
    }
}

fn stamps(out: &mut String, times: Times) {
    let (time_in, time_out) = (time_us(times.in_us), time_us(times.out_us.max(times.in_us)));
    out.push_str(&format!(r#","time_in":"{time_in}","time_out":"{time_out}""#));
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMES: Times = Times { in_us: 1_783_465_203_501_510, out_us: 1_783_465_203_501_553 };

    #[test]
    fn a_granted_book_reads_as_the_recorded_one() {
        let text = granted("subscribe", None, Channel::Book(10), true, Some("BTC/USD"), TIMES);
        assert_eq!(
            text,
            r#"{"method":"subscribe","result":{"channel":"book","depth":10,"snapshot":true,"symbol":"BTC/USD"},"success":true,"time_in":"2026-07-07T23:00:03.501510Z","time_out":"2026-07-07T23:00:03.501553Z"}"#
        );
    }

    #[test]
    fn a_refusal_and_a_pong_are_json_and_repeat_the_number() {
        let text = refused("subscribe", Some(3), "Currency pair not supported \"", None, TIMES);
        let read: serde_json::Value = serde_json::from_str(&text).expect("json");
        assert_eq!((&read["success"], &read["req_id"]), (&false.into(), &3.into()));
        let read: serde_json::Value = serde_json::from_str(&pong(Some(9), TIMES)).expect("json");
        assert_eq!((&read["method"], &read["req_id"]), (&"pong".into(), &9.into()));
        assert!(read.get("success").is_none());
    }
}
