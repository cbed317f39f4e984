//! The names of the venue's listening sides, in faults and counters.
//!
//! Inputs: words of the admin interface. Outputs: endpoints. It listens to nothing itself.

use serde::{Deserialize, Serialize};

/// A listening side of the venues.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    /// The public spot socket.
    Public,
    /// The private spot socket.
    Private,
    /// The level 3 socket.
    L3,
    /// The futures socket.
    FuturesWs,
    /// The `/public` route of the Binance socket.
    BinancePublic,
    /// The `/market` route of the Binance socket.
    BinanceMarket,
}

impl Endpoint {
    /// All endpoints.
    pub const ALL: [Endpoint; 6] = [
        Endpoint::Public,
        Endpoint::Private,
        Endpoint::L3,
        Endpoint::FuturesWs,
        Endpoint::BinancePublic,
        Endpoint::BinanceMarket,
    ];

    /// The word in faults and counters.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Endpoint::Public => "public",
            Endpoint::Private => "private",
            Endpoint::L3 => "l3",
            Endpoint::FuturesWs => "futures_ws",
            Endpoint::BinancePublic => "binance_public",
            Endpoint::BinanceMarket => "binance_market",
        }
    }
}
