//! Requests on a socket, as text.
//!
//! Input: names of streams. Output: one frame. Symbols stand in lower case inside of a stream's name.
//! The venue takes ten messages a second from a connection, pongs included, and bans who sends more.

use crate::kraken::json_text::Object;

/// Streams that one connection carries; the venue allows 1,024.
pub const STREAMS_PER_CONNECTION_MAX: usize = 200;

/// Distance of two requests on one connection: half of what the venue takes.
pub const REQUEST_INTERVAL_MS: i64 = 200;

/// Subscribe request.
pub fn subscribe(streams: &[&str], id: u64) -> String {
    request("SUBSCRIBE", streams, id)
}

/// Unsubscribe request.
pub fn unsubscribe(streams: &[&str], id: u64) -> String {
    request("UNSUBSCRIBE", streams, id)
}

/// Name of a symbol's stream (`BTCUSDT`, `aggTrade` → `btcusdt@aggTrade`).
pub fn stream_name(symbol: &str, suffix: &str) -> String {
    format!("{}@{suffix}", symbol.to_lowercase())
}

fn request(method: &str, streams: &[&str], id: u64) -> String {
    let mut object = Object::new();
    object.str("method", method);
    object.strs("params", streams);
    object.int("id", i64::try_from(id).unwrap_or(i64::MAX));
    object.close()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::binance::stream::StreamKind;
    use crate::binance::{Frame, decode};

    #[test]
    fn requests_are_those_of_the_venue() {
        let stream = stream_name("BTCUSDT", "depth@100ms");
        assert_eq!(StreamKind::of(&stream), Some(StreamKind::Depth));
        let text = subscribe(&[&stream], 7);
        assert_eq!(text, r#"{"method":"SUBSCRIBE","params":["btcusdt@depth@100ms"],"id":7}"#);
        assert!(matches!(decode(&text), Ok(Frame::Request { .. })));
        assert_eq!(unsubscribe(&[], 8), r#"{"method":"UNSUBSCRIBE","params":[],"id":8}"#);
    }
}
