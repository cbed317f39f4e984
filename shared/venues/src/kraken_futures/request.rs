//! Requests on the socket, as text.
//!
//! Input: a feed and products. Output: one frame. The venue answers for each product on its own and
//! keeps the socket open whatever it refuses.

use crate::kraken::json_text::Object;

/// Distance of the protocol pings that keep a socket open; the venue asks for one a minute.
pub const PING_INTERVAL_MS: i64 = 20_000;

/// Subscribe request; a feed without products (`heartbeat`) takes none.
pub fn subscribe(feed: &str, product_ids: &[&str]) -> String {
    request("subscribe", feed, product_ids)
}

/// Unsubscribe request with the same parameters.
pub fn unsubscribe(feed: &str, product_ids: &[&str]) -> String {
    request("unsubscribe", feed, product_ids)
}

fn request(event: &str, feed: &str, product_ids: &[&str]) -> String {
    let mut object = Object::new();
    object.str("event", event);
    object.str("feed", feed);
    if !product_ids.is_empty() {
        object.strs("product_ids", product_ids);
    }
    object.close()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kraken_futures::{EventKind, Frame, decode};

    #[test]
    fn requests_are_those_of_the_venue() {
        let text = subscribe("book", &["PF_XBTUSD", "PI_ETHUSD"]);
        assert_eq!(
            text,
            r#"{"event":"subscribe","feed":"book","product_ids":["PF_XBTUSD","PI_ETHUSD"]}"#
        );
        assert!(matches!(decode(&text), Ok(Frame::Event { kind: EventKind::Subscribe, .. })));
        assert_eq!(unsubscribe("heartbeat", &[]), r#"{"event":"unsubscribe","feed":"heartbeat"}"#);
    }
}
