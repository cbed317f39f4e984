//! REST requests: method, cost, parameters.
//!
//! Input: typed parameters. Output: path, query or signed body. Costs are points of the private REST
//! counter; history calls cost four. `consolidate_taker` is always false, so that rows match the
//! stream's fills one to one.

use super::form::Form;
use crate::kraken::signing::PrivateKey;

/// A public request; sent by GET.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicRequest<'a> {
    /// The venue's clock.
    Time,
    /// State of the engine.
    SystemStatus,
    /// Assets.
    Assets,
    /// Pairs.
    AssetPairs,
    /// 24 h statistics; all pairs without a name.
    Ticker {
        /// Altname of the pair.
        pair: Option<&'a str>,
    },
    /// Prints after `since`, ascending, at most 1000.
    Trades {
        /// Altname of the pair.
        pair: &'a str,
        /// Nanoseconds, or the `last` of the page before.
        since: Option<&'a str>,
        /// Number of prints, at most 1000.
        count: Option<u32>,
    },
    /// Book; never to be merged with the socket's.
    Depth {
        /// Altname of the pair.
        pair: &'a str,
        /// Levels, at most 500.
        count: u32,
    },
    /// Candles.
    Ohlc {
        /// Altname of the pair.
        pair: &'a str,
        /// Minutes.
        interval: u32,
        /// Unix seconds.
        since: Option<i64>,
    },
}

impl PublicRequest<'_> {
    /// The method's name.
    pub const fn method(&self) -> &'static str {
        match self {
            Self::Time => "Time",
            Self::SystemStatus => "SystemStatus",
            Self::Assets => "Assets",
            Self::AssetPairs => "AssetPairs",
            Self::Ticker { .. } => "Ticker",
            Self::Trades { .. } => "Trades",
            Self::Depth { .. } => "Depth",
            Self::Ohlc { .. } => "OHLC",
        }
    }

    /// Path and query.
    pub fn path_and_query(&self) -> String {
        let mut form = Form::new();
        match self {
            Self::Time | Self::SystemStatus | Self::Assets | Self::AssetPairs => {}
            Self::Ticker { pair } => form.push_some("pair", *pair),
            Self::Trades { pair, since, count } => {
                form.push("pair", pair);
                form.push_some("since", *since);
                form.push_some("count", count.map(|n| n.to_string()).as_deref());
            }
            Self::Depth { pair, count } => {
                form.push("pair", pair);
                form.push("count", &count.to_string());
            }
            Self::Ohlc { pair, interval, since } => {
                form.push("pair", pair);
                form.push("interval", &interval.to_string());
                form.push_some("since", since.map(|s| s.to_string()).as_deref());
            }
        }
        let path = format!("/0/public/{}", self.method());
        if form.as_str().is_empty() { path } else { format!("{path}?{}", form.as_str()) }
    }
}

/// Which part of the closed orders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClosedOrdersPage<'a> {
    /// Only orders with this id of ours.
    pub cl_ord_id: Option<&'a str>,
    /// Exclusive start: unix seconds or an order id.
    pub start: Option<&'a str>,
    /// Inclusive end: unix seconds or an order id.
    pub end: Option<&'a str>,
    /// Offset; 50 rows per page.
    pub ofs: Option<u32>,
}

/// A private request; sent by POST and signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PrivateRequest<'a> {
    /// Token of a private socket.
    GetWebSocketsToken,
    /// What the key may do.
    GetApiKeyInfo,
    /// Balances.
    Balance,
    /// Balances with holds.
    BalanceEx,
    /// Open orders.
    OpenOrders {
        /// Only this order of ours.
        cl_ord_id: Option<&'a str>,
    },
    /// Closed orders.
    ClosedOrders(ClosedOrdersPage<'a>),
    /// Orders by the venue's ids, at most 50.
    QueryOrders {
        /// The ids.
        txids: &'a [&'a str],
    },
    /// Own fills.
    TradesHistory {
        /// Exclusive start.
        start: Option<&'a str>,
        /// Inclusive end.
        end: Option<&'a str>,
        /// Offset; 50 rows per page.
        ofs: Option<u32>,
    },
    /// Fills by id, at most 20.
    QueryTrades {
        /// The ids.
        txids: &'a [&'a str],
    },
    /// Ledger entries.
    Ledgers {
        /// Exclusive start.
        start: Option<&'a str>,
        /// Inclusive end.
        end: Option<&'a str>,
        /// Offset; 50 rows per page.
        ofs: Option<u32>,
    },
    /// Volume and fee rates.
    TradeVolume {
        /// Altnames, comma separated.
        pair: Option<&'a str>,
    },
    /// Cancel of one order; costs nothing here, the engine counter pays.
    CancelOrder {
        /// The venue's id.
        txid: Option<&'a str>,
        /// Our id, when the venue's is not known.
        cl_ord_id: Option<&'a str>,
    },
    /// Cancel of every order of the account.
    CancelAll,
}

/// A private request ready for the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedRequest {
    /// Path, beginning with `/0/private/`.
    pub path: String,
    /// Body, exactly as signed.
    pub body: String,
    /// Value of `API-Sign`.
    pub signature: String,
}

impl PrivateRequest<'_> {
    /// The method's name.
    pub const fn method(&self) -> &'static str {
        match self {
            Self::GetWebSocketsToken => "GetWebSocketsToken",
            Self::GetApiKeyInfo => "GetApiKeyInfo",
            Self::Balance => "Balance",
            Self::BalanceEx => "BalanceEx",
            Self::OpenOrders { .. } => "OpenOrders",
            Self::ClosedOrders(_) => "ClosedOrders",
            Self::QueryOrders { .. } => "QueryOrders",
            Self::TradesHistory { .. } => "TradesHistory",
            Self::QueryTrades { .. } => "QueryTrades",
            Self::Ledgers { .. } => "Ledgers",
            Self::TradeVolume { .. } => "TradeVolume",
            Self::CancelOrder { .. } => "CancelOrder",
            Self::CancelAll => "CancelAll",
        }
    }

    /// Points of the private REST counter.
    pub const fn cost(&self) -> u32 {
        match self {
            Self::TradesHistory { .. } | Self::QueryTrades { .. } | Self::Ledgers { .. } => 4,
            Self::CancelOrder { .. } | Self::CancelAll => 0,
            Self::GetWebSocketsToken
            | Self::GetApiKeyInfo
            | Self::Balance
            | Self::BalanceEx
            | Self::OpenOrders { .. }
            | Self::ClosedOrders(_)
            | Self::QueryOrders { .. }
            | Self::TradeVolume { .. } => 1,
        }
    }

    /// Whether the request changes something at the venue: its outcome can be unknown in a way that
    /// matters.
    pub const fn is_mutation(&self) -> bool {
        matches!(self, Self::CancelOrder { .. } | Self::CancelAll)
    }

    /// Path, body and signature with this nonce.
    pub fn signed(&self, key: &PrivateKey, nonce: u64) -> SignedRequest {
        let nonce = nonce.to_string();
        let path = format!("/0/private/{}", self.method());
        let body = self.body(&nonce);
        let signature = key.sign(&path, &nonce, &body);
        SignedRequest { path, body, signature }
    }

    fn body(&self, nonce: &str) -> String {
        let mut form = Form::new();
        form.push("nonce", nonce);
        let ofs = |n: &Option<u32>| n.map(|n| n.to_string());
        match self {
            Self::GetWebSocketsToken
            | Self::GetApiKeyInfo
            | Self::Balance
            | Self::BalanceEx
            | Self::CancelAll => {}
            Self::OpenOrders { cl_ord_id } => form.push_some("cl_ord_id", *cl_ord_id),
            Self::ClosedOrders(page) => {
                form.push_some("cl_ord_id", page.cl_ord_id);
                form.push_some("start", page.start);
                form.push_some("end", page.end);
                form.push_some("ofs", ofs(&page.ofs).as_deref());
                form.push("consolidate_taker", "false");
            }
            Self::QueryOrders { txids } => {
                form.push("txid", &txids.join(","));
                form.push("trades", "true");
                form.push("consolidate_taker", "false");
            }
            Self::TradesHistory { start, end, ofs: at } => {
                form.push_some("start", *start);
                form.push_some("end", *end);
                form.push_some("ofs", ofs(at).as_deref());
                form.push("consolidate_taker", "false");
            }
            Self::QueryTrades { txids } => form.push("txid", &txids.join(",")),
            Self::Ledgers { start, end, ofs: at } => {
                form.push_some("start", *start);
                form.push_some("end", *end);
                form.push_some("ofs", ofs(at).as_deref());
            }
            Self::TradeVolume { pair } => form.push_some("pair", *pair),
            Self::CancelOrder { txid, cl_ord_id } => {
                form.push_some("txid", *txid);
                form.push_some("cl_ord_id", *cl_ord_id);
            }
        }
        form.into_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_written_with_their_parameters() {
        let trades = PublicRequest::Trades {
            pair: "XBTUSD",
            since: Some("1688671969993150842"),
            count: None,
        };
        assert_eq!(
            trades.path_and_query(),
            "/0/public/Trades?pair=XBTUSD&since=1688671969993150842"
        );
        assert_eq!(PublicRequest::Time.path_and_query(), "/0/public/Time");
        let history = PrivateRequest::TradesHistory { start: None, end: Some("5"), ofs: Some(50) };
        assert_eq!(history.body("1"), "nonce=1&end=5&ofs=50&consolidate_taker=false");
        assert_eq!(history.cost(), 4);
        let look = PrivateRequest::QueryOrders { txids: &["OA", "OB"] };
        assert_eq!(look.body("1"), "nonce=1&txid=OA%2COB&trades=true&consolidate_taker=false");
    }

    #[test]
    fn the_signature_belongs_to_the_body_that_is_sent() {
        let key = PrivateKey::from_base64("c2VjcmV0").unwrap();
        let signed = PrivateRequest::Balance.signed(&key, 42);
        assert_eq!(signed.path, "/0/private/Balance");
        assert_eq!(signed.body, "nonce=42");
        assert_eq!(signed.signature, key.sign("/0/private/Balance", "42", "nonce=42"));
    }
}
