//! Rows of REST answers inside a recording: `{"url":…,"body":…}`.
//!
//! Input: the text of a frame. Output: address and body, borrowed. Which venue it is says the path, so
//! that a recording of a simulated venue on another host is read alike.

use serde_json::value::RawValue;

use super::Protocol;
use crate::wire::{DecodeError, Text, wire_object};

wire_object! {
    /// One REST answer.
    RestRow {
        /// Address that was asked, with its query.
        req url: Text<'a> = "url",
        /// What came back.
        req body: &'a RawValue = "body",
    }
}

/// Reads a row.
///
/// # Errors
/// The text is not JSON, or has no address or body.
pub fn rest_row(frame: &str) -> Result<RestRow<'_>, DecodeError> {
    serde_json::from_str(frame).map_err(|source| DecodeError::new("REST row", &source))
}

/// Path and query of an address.
pub fn path_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.find('/').map_or("", |at| &rest[at..])
}

/// The protocol that a path belongs to; [`Protocol::Rest`] if none.
pub fn protocol_of(path: &str) -> Protocol {
    let is_under = |prefix: &str| path.starts_with(prefix);
    if is_under(crate::kraken_futures::rest::PATH_PREFIX) {
        Protocol::KrakenFutures
    } else if is_under("/fapi/") || is_under("/futures/data/") {
        Protocol::BinanceUm
    } else if is_under("/0/public/") || is_under("/0/private/") {
        Protocol::KrakenSpotV2
    } else {
        Protocol::Rest
    }
}

/// Value of a query parameter; escapes are not resolved.
pub fn query_value<'u>(path: &'u str, name: &str) -> Option<&'u str> {
    let (_, query) = path.split_once('?')?;
    query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_tells_the_venue() {
        for (url, want) in [
            ("https://futures.kraken.com/derivatives/api/v3/instruments", Protocol::KrakenFutures),
            ("http://127.0.0.1:5/fapi/v1/depth?symbol=X&limit=5", Protocol::BinanceUm),
            ("https://fapi.binance.com/futures/data/openInterestHist", Protocol::BinanceUm),
            ("https://api.kraken.com/0/public/Time", Protocol::KrakenSpotV2),
            ("https://api.kraken.com", Protocol::Rest),
            ("", Protocol::Rest),
        ] {
            assert_eq!(protocol_of(path_of(url)), want, "{url}");
        }
        let path = path_of("http://h/fapi/v1/depth?symbol=X&limit=5");
        assert_eq!(query_value(path, "symbol"), Some("X"));
        assert_eq!(query_value(path, "limit"), Some("5"));
        assert_eq!(query_value(path, "lim"), None);
        assert_eq!(query_value("/fapi/v1/depth", "symbol"), None);
    }
}
