//! What goes in and out of a session and its connector.
//!
//! Plans and commands go in; actions go to the socket, events to the reader. Plain values.

use penstock_venues::kraken::ChannelKind;
use penstock_venues::kraken::vocabulary::EventTrigger;

use penstock_venue_net::Stamp;

use crate::token::SessionToken;

/// What to subscribe.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Symbols of all channels below.
    pub symbols: Vec<String>,
    /// Best prices, and when they are sent.
    pub ticker: Option<EventTrigger>,
    /// Prints.
    pub trade: bool,
    /// Books of this depth.
    pub book_depth: Option<u32>,
    /// Candles of this many minutes.
    pub ohlc_interval: Option<u32>,
    /// Order-by-order books of this depth; on a socket of their own.
    pub level3_depth: Option<u32>,
    /// Assets and pairs.
    pub instrument: bool,
}

/// One subscription: a channel, and its symbol if it has one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Topic {
    /// Channel.
    pub channel: ChannelKind,
    /// Symbol; empty for channels without symbols.
    pub symbol: String,
}

/// What the reader may ask of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FeedCommand {
    /// A book is wrong: unsubscribe and subscribe it anew.
    Resync {
        /// Its symbol.
        symbol: String,
        /// Whether a bad checksum is the reason; those are counted.
        mismatch: bool,
    },
    /// The symbols are now these.
    SetSymbols(Vec<String>),
    /// Close the socket and open it anew.
    Reconnect,
    /// The token that the connection asked for.
    Token(SessionToken),
}

/// Why a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DisconnectReason {
    /// The venue closed it.
    Closed,
    /// The transport failed.
    Failed(String),
    /// No frame for ten seconds.
    Dead {
        /// The silence, milliseconds.
        silent_ms: i64,
    },
    /// A symbol could not be brought back on this socket.
    Unrepaired(Topic),
    /// The reader asked for it.
    Asked,
    /// Another socket has taken over what this one carried.
    Rotated,
    /// The process stops.
    Stopped,
}

/// What happened on a connection besides data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The venue accepted a subscription.
    Acked(Topic),
    /// The venue refused a subscription; `last` means that it is not tried again.
    Refused {
        /// The subscription.
        topic: Topic,
        /// The venue's words.
        text: String,
        /// Whether it stays refused.
        last: bool,
    },
    /// No answer to a subscription in time.
    AckLate(Topic),
    /// No image of a book in time.
    ImageLate(Topic),
    /// Longer silent than its own history explains.
    Silent {
        /// The subscription.
        topic: Topic,
        /// The silence, milliseconds.
        silent_ms: i64,
    },
    /// Heard again.
    Heard(Topic),
    /// Subscribed anew after a problem.
    Resync(Topic),
    /// Left alone after too many bad checksums.
    Quarantined {
        /// The subscription.
        topic: Topic,
        /// For how long, milliseconds.
        for_ms: i64,
    },
    /// Not every order-by-order book was accepted in time; told once per connection.
    Incomplete {
        /// Subscriptions that the venue has accepted.
        acked: usize,
        /// Subscriptions that it has still to accept.
        pending: usize,
    },
    /// The socket is silent for longer than a heartbeat explains.
    SocketLate {
        /// The silence, milliseconds.
        silent_ms: i64,
    },
    /// A ping came back.
    Latency {
        /// Round trip without the venue's own time, microseconds.
        network_us: i64,
        /// The venue's clock minus ours, microseconds.
        clock_offset_us: i64,
    },
    /// An answer that belongs to nothing we asked, or an error without a subscription.
    UnexpectedAnswer {
        /// Its method.
        method: String,
        /// Its error text.
        error: Option<String>,
    },
}

/// What a connector tells its reader, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FeedEvent<N = Notice> {
    /// The socket is open. `epoch` counts the connections of this connector from 1.
    Connected {
        /// Number of the connection.
        epoch: u64,
        /// When.
        at: Stamp,
    },
    /// A frame of the venue, undecoded; heartbeats and answers are not among them.
    Frame {
        /// Number of the connection.
        epoch: u64,
        /// When it was received.
        at: Stamp,
        /// Its text.
        text: tokio_tungstenite::tungstenite::Utf8Bytes,
    },
    /// A frame without data came: a heartbeat or an answer. It proves that the connection delivers.
    Alive {
        /// Number of the connection.
        epoch: u64,
        /// When it was received.
        at: Stamp,
    },
    /// Something else happened.
    Notice {
        /// Number of the connection.
        epoch: u64,
        /// When.
        at: Stamp,
        /// What.
        notice: N,
    },
    /// The socket is gone; everything received over it is over.
    Disconnected {
        /// Number of the connection.
        epoch: u64,
        /// When.
        at: Stamp,
        /// Why.
        reason: DisconnectReason,
    },
    /// The socket could not be opened.
    ConnectFailed {
        /// When.
        at: Stamp,
        /// Why.
        error: String,
        /// Delay until the next attempt, milliseconds.
        retry_in_ms: i64,
    },
}

impl<N> FeedEvent<N> {
    /// When it happened.
    pub const fn at(&self) -> Stamp {
        match self {
            Self::Connected { at, .. }
            | Self::Frame { at, .. }
            | Self::Alive { at, .. }
            | Self::Notice { at, .. }
            | Self::Disconnected { at, .. }
            | Self::ConnectFailed { at, .. } => *at,
        }
    }
}

/// What the connector is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action<N = Notice> {
    /// Write this text.
    Send(String),
    /// Write a ping of the protocol.
    Ping,
    /// Tell the reader.
    Notify(N),
    /// Close the socket.
    Close(DisconnectReason),
    /// Fetch a token and bring it as a command.
    FetchToken,
}
