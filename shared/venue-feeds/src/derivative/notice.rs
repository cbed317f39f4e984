//! What a derivative socket tells besides data.

use core::fmt;

/// What a subscription carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DerivFeed {
    /// Kraken Futures: sign of life.
    Heartbeat,
    /// Kraken Futures: whole image of a product, with mark, index, funding and open interest.
    Ticker,
    /// Kraken Futures: prints, liquidations among them.
    Trade,
    /// Binance: best prices.
    BookTicker,
    /// Binance: prints put together.
    AggTrade,
    /// Binance: mark, index and funding.
    MarkPrice,
    /// Binance: forced orders.
    ForceOrder,
}

impl DerivFeed {
    /// Every feed.
    pub const ALL: [Self; 7] = [
        Self::Heartbeat,
        Self::Ticker,
        Self::Trade,
        Self::BookTicker,
        Self::AggTrade,
        Self::MarkPrice,
        Self::ForceOrder,
    ];

    /// Its name at the venue; on Binance what follows the symbol.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Heartbeat => "heartbeat",
            Self::Ticker => "ticker",
            Self::Trade => "trade",
            Self::BookTicker => "bookTicker",
            Self::AggTrade => "aggTrade",
            Self::MarkPrice => "markPrice@1s",
            Self::ForceOrder => "forceOrder",
        }
    }
}

/// One subscription.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DerivTopic {
    /// What it carries.
    pub feed: DerivFeed,
    /// Symbol as data names it; empty for the heartbeat.
    pub symbol: String,
}

impl fmt::Display for DerivTopic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.symbol, self.feed.as_str())
    }
}

/// What happened on a connection besides data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DerivNotice {
    /// The venue accepted a subscription; on Binance that proves nothing yet.
    Acked(DerivTopic),
    /// The venue refused a subscription; it is not tried again on any connection.
    Refused {
        /// The subscription.
        topic: DerivTopic,
        /// The venue's words.
        text: String,
    },
    /// No answer to a subscription in time; it is tried again.
    AckLate(DerivTopic),
    /// Accepted, and no frame in time: a wrong name or route looks like this.
    FirstFrameLate {
        /// The subscription.
        topic: DerivTopic,
        /// The wait, milliseconds.
        waited_ms: i64,
    },
    /// Everything is accepted, and what has to deliver at once has delivered; once per connection.
    Whole,
    /// Longer silent than its limit allows; it is subscribed anew.
    Silent {
        /// The subscription.
        topic: DerivTopic,
        /// The silence, milliseconds.
        silent_ms: i64,
    },
    /// Heard again.
    Heard(DerivTopic),
    /// The socket is silent for longer than its slowest feed explains.
    SocketLate {
        /// The silence, milliseconds.
        silent_ms: i64,
    },
    /// An answer or an alert that belongs to nothing we asked.
    Unexpected(String),
}
