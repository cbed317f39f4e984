//! Which protocol a frame belongs to.
//!
//! Input: the text of one frame. Output: the protocol, if the shape of the frame tells it. It looks
//! at the names of the outermost fields, and of a REST row at its address.

use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::BTreeMap;

use super::rest_row::{path_of, protocol_of, rest_row};

/// A protocol that recordings hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// Kraken spot, socket version 2.
    KrakenSpotV2,
    /// Kraken spot, socket version 1 (frozen by the venue).
    KrakenSpotV1,
    /// Kraken Futures.
    KrakenFutures,
    /// Binance USD-M futures.
    BinanceUm,
    /// REST bodies of an address that belongs to none of them.
    Rest,
}

impl Protocol {
    /// Name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::KrakenSpotV2 => "kraken_spot_v2",
            Self::KrakenSpotV1 => "kraken_spot_v1",
            Self::KrakenFutures => "kraken_futures",
            Self::BinanceUm => "binance_um",
            Self::Rest => "rest",
        }
    }
}

/// The protocol of one frame; `None` if its shape belongs to several or to none.
pub fn recognise(frame: &str) -> Option<Protocol> {
    let frame = frame.trim_start();
    if frame.starts_with('[') {
        return serde_json::from_str::<Vec<IgnoredAny>>(frame)
            .ok()
            .filter(|elements| elements.len() >= 3)
            .map(|_| Protocol::KrakenSpotV1);
    }
    let fields = serde_json::from_str::<Fields>(frame).ok()?.0;
    let has = |name: &str| fields.contains_key(name);
    if has("url") {
        let row = rest_row(frame).ok()?;
        Some(protocol_of(path_of(&row.url)))
    } else if has("stream") || has("e") || (has("method") && has("id")) {
        Some(Protocol::BinanceUm)
    } else if has("channel") || (has("method") && !has("id")) {
        Some(Protocol::KrakenSpotV2)
    } else if has("feed") || has("product_ids") {
        Some(Protocol::KrakenFutures)
    } else if has("event") {
        let spot = ["connectionID", "pair", "reqid", "channelID", "subscription"];
        if spot.into_iter().any(has) {
            Some(Protocol::KrakenSpotV1)
        } else {
            has("version").then_some(Protocol::KrakenFutures)
        }
    } else {
        None
    }
}

#[derive(Deserialize)]
struct Fields(BTreeMap<String, IgnoredAny>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_each_protocol_are_told_apart() {
        for (frame, want) in [
            (r#"{"channel":"heartbeat"}"#, Some(Protocol::KrakenSpotV2)),
            (r#"{"method":"subscribe","success":true,"result":{}}"#, Some(Protocol::KrakenSpotV2)),
            (r#"{"connectionID":1,"event":"systemStatus"}"#, Some(Protocol::KrakenSpotV1)),
            (r#"{"event":"pong","reqid":1}"#, Some(Protocol::KrakenSpotV1)),
            (r#"[0,{"b":[]},"book-10","XBT/USD"]"#, Some(Protocol::KrakenSpotV1)),
            (r#"{"event":"info","version":1}"#, Some(Protocol::KrakenFutures)),
            (r#"{"feed":"book","product_id":"PI_XBTUSD"}"#, Some(Protocol::KrakenFutures)),
            (r#"{"stream":"a@b","data":{}}"#, Some(Protocol::BinanceUm)),
            (r#"{"method":"SUBSCRIBE","params":[],"id":1}"#, Some(Protocol::BinanceUm)),
            (r#"{"url":"u","body":{}}"#, Some(Protocol::Rest)),
            (r#"{"url":"http://h/fapi/v1/time","body":{}}"#, Some(Protocol::BinanceUm)),
            (r#"{"url":"http://h/fapi/v1/time"}"#, None),
            (r#"{"event":"heartbeat"}"#, None),
            ("{}", None),
            ("[]", None),
            ("nonsense", None),
            ("", None),
        ] {
            assert_eq!(recognise(frame), want, "{frame}");
        }
    }
}
