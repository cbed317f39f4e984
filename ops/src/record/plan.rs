//! Which sockets a recording needs, and what is asked on each.
//!
//! Input: venue, address, symbols, channels. Output: connections with their requests in order. What a
//! venue does not offer is refused before anything is opened. Pure.

use penstock_venues::binance::request as binance;
use penstock_venues::binance::stream::{Route, StreamKind};
use penstock_venues::kraken::book::DEPTHS;
use penstock_venues::kraken::request::{self as kraken, Subscription};
use penstock_venues::kraken::vocabulary::EventTrigger;
use penstock_venues::{binance as binance_frames, kraken as kraken_frames, kraken_futures};

/// A venue on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Venue {
    /// Kraken spot.
    KrakenSpot,
    /// Kraken Futures.
    KrakenFutures,
    /// Binance USD-M futures.
    BinanceUm,
}

impl Venue {
    /// Its name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::KrakenSpot => "kraken-spot",
            Self::KrakenFutures => "kraken-futures",
            Self::BinanceUm => "binance-um",
        }
    }
}

/// A channel on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Channel {
    /// Aggregated books.
    Book,
    /// Prints.
    Trade,
    /// Best prices; of Kraken Futures also mark, index, funding and open interest.
    Ticker,
    /// Assets and pairs of Kraken spot.
    Instrument,
    /// Mark price, index and funding of Binance.
    Mark,
    /// Liquidations of Binance; those of Kraken Futures are among its prints.
    Liquidation,
}

/// Where the sockets of a venue are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// The socket; of Binance its `/public` route.
    pub socket: String,
    /// Binance's `/market` route.
    pub market: String,
}

impl Addresses {
    /// Addresses; a market route that is not named lies beside the public one.
    #[must_use]
    pub fn of(socket: &str, market: Option<&str>) -> Self {
        let socket = socket.trim_end_matches('/');
        let beside = || {
            let base = socket.strip_suffix(Route::Public.path()).unwrap_or(socket);
            format!("{base}{}", Route::Market.path())
        };
        let market = market.map_or_else(beside, |url| url.trim_end_matches('/').to_owned());
        Self { socket: socket.to_owned(), market }
    }
}

/// Why nothing is opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A channel that the venue does not have.
    #[error("{venue} has no channel {channel:?} of its own; it offers {offered}")]
    Channel {
        /// Venue.
        venue: &'static str,
        /// Channel.
        channel: Channel,
        /// What it offers.
        offered: &'static str,
    },
    /// A depth that the venue refuses.
    #[error("depth {depth} is not offered; next: --depth 10, 25, 100, 500 or 1000")]
    Depth {
        /// Depth.
        depth: u32,
    },
    /// A symbol that cannot be asked for.
    #[error("{symbol:?} is no symbol; next: --symbols {example}")]
    Symbol {
        /// Symbol.
        symbol: String,
        /// How one looks.
        example: &'static str,
    },
}

/// What is to be recorded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) symbols: &'a [String],
    pub(super) channels: &'a [Channel],
    pub(super) depth: u32,
}

/// How a socket is kept open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ping {
    /// A request of the application.
    Text {
        /// Its text.
        text: String,
        /// Distance, milliseconds.
        interval_ms: i64,
    },
    /// A ping of the protocol.
    Protocol {
        /// Distance, milliseconds.
        interval_ms: i64,
    },
    /// The venue pings; the library answers.
    Venue,
}

/// One socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Connection {
    pub(super) url: String,
    pub(super) requests: Vec<String>,
    pub(super) ping: Ping,
}

/// Symbols that one subscribe request of Kraken spot names.
const SYMBOLS_PER_REQUEST_MAX: usize = 100;
/// Distance of the application's pings on Kraken spot, milliseconds.
const KRAKEN_PING_MS: i64 = 30_000;
/// Longest symbol of any venue, bytes.
const SYMBOL_LEN_MAX: usize = 64;

/// The sockets that are needed.
pub(super) fn connections(
    venue: Venue,
    addresses: &Addresses,
    wanted: &Wanted<'_>,
) -> Result<Vec<Connection>, PlanError> {
    for symbol in wanted.symbols {
        let is_plain = |c: char| !c.is_control() && !c.is_whitespace() && c != '"' && c != '\\';
        if symbol.is_empty() || symbol.len() > SYMBOL_LEN_MAX || !symbol.chars().all(is_plain) {
            let example = match venue {
                Venue::KrakenSpot => "BTC/USD,ETH/USD",
                Venue::KrakenFutures => "PF_XBTUSD,PF_ETHUSD",
                Venue::BinanceUm => "BTCUSDT,ETHUSDT",
            };
            return Err(PlanError::Symbol { symbol: symbol.clone(), example });
        }
    }
    let mut channels = wanted.channels.to_vec();
    channels.sort_unstable();
    channels.dedup();
    let wanted = Wanted { channels: &channels, ..*wanted };
    match venue {
        Venue::KrakenSpot => kraken_spot(&addresses.socket, &wanted),
        Venue::KrakenFutures => futures(&addresses.socket, &wanted),
        Venue::BinanceUm => binance_um(addresses, &wanted),
    }
}

fn kraken_spot(url: &str, wanted: &Wanted<'_>) -> Result<Vec<Connection>, PlanError> {
    if !DEPTHS.contains(&wanted.depth) {
        return Err(PlanError::Depth { depth: wanted.depth });
    }
    let symbols: Vec<&str> = wanted.symbols.iter().map(String::as_str).collect();
    let mut requests = Vec::new();
    let mut ask = |subscription: &Subscription<'_>| {
        let req_id = requests.len() as u64 + 1;
        requests.push(kraken::subscribe(subscription, req_id));
    };
    for channel in wanted.channels {
        for symbols in symbols.chunks(SYMBOLS_PER_REQUEST_MAX) {
            match channel {
                Channel::Book => ask(&Subscription::Book { symbols, depth: wanted.depth }),
                Channel::Trade => ask(&Subscription::Trade { symbols, snapshot: false }),
                Channel::Ticker => {
                    ask(&Subscription::Ticker { symbols, trigger: EventTrigger::Bbo });
                }
                Channel::Instrument => {
                    ask(&Subscription::Instrument);
                    // It has no symbols.
                    break;
                }
                Channel::Mark | Channel::Liquidation => {
                    let offered = "book, trade, ticker, instrument";
                    return Err(refused(Venue::KrakenSpot, *channel, offered));
                }
            }
        }
    }
    let ping = Ping::Text { text: kraken::ping(0), interval_ms: KRAKEN_PING_MS };
    Ok(vec![Connection { url: url.to_owned(), requests, ping }])
}

fn futures(url: &str, wanted: &Wanted<'_>) -> Result<Vec<Connection>, PlanError> {
    use kraken_futures::request::{PING_INTERVAL_MS, subscribe};
    let products: Vec<&str> = wanted.symbols.iter().map(String::as_str).collect();
    let mut requests = vec![subscribe("heartbeat", &[])];
    for channel in wanted.channels {
        let feed = match channel {
            Channel::Book => "book",
            Channel::Trade => "trade",
            Channel::Ticker => "ticker",
            Channel::Instrument | Channel::Mark | Channel::Liquidation => {
                return Err(refused(Venue::KrakenFutures, *channel, "book, trade, ticker"));
            }
        };
        requests.push(subscribe(feed, &products));
    }
    let ping = Ping::Protocol { interval_ms: PING_INTERVAL_MS };
    Ok(vec![Connection { url: url.to_owned(), requests, ping }])
}

fn binance_um(addresses: &Addresses, wanted: &Wanted<'_>) -> Result<Vec<Connection>, PlanError> {
    let mut streams: Vec<(Route, String)> = Vec::new();
    for channel in wanted.channels {
        let (kind, suffix) = match channel {
            Channel::Book => (StreamKind::Depth, "depth@100ms"),
            Channel::Trade => (StreamKind::AggTrade, "aggTrade"),
            Channel::Ticker => (StreamKind::BookTicker, "bookTicker"),
            Channel::Mark => (StreamKind::MarkPrice, "markPrice@1s"),
            Channel::Liquidation => (StreamKind::ForceOrder, "forceOrder"),
            Channel::Instrument => {
                let offered = "book, trade, ticker, mark, liquidation";
                return Err(refused(Venue::BinanceUm, *channel, offered));
            }
        };
        let names = wanted.symbols.iter().map(|symbol| binance::stream_name(symbol, suffix));
        streams.extend(names.map(|name| (kind.route(), name)));
    }
    let mut connections = Vec::new();
    for (route, url) in [(Route::Public, &addresses.socket), (Route::Market, &addresses.market)] {
        let of_route: Vec<&str> =
            streams.iter().filter(|(of, _)| *of == route).map(|(_, name)| name.as_str()).collect();
        for names in of_route.chunks(binance::STREAMS_PER_CONNECTION_MAX) {
            connections.push(Connection {
                url: format!("{url}/stream"),
                requests: vec![binance::subscribe(names, 1)],
                ping: Ping::Venue,
            });
        }
    }
    Ok(connections)
}

const fn refused(venue: Venue, channel: Channel, offered: &'static str) -> PlanError {
    PlanError::Channel { venue: venue.name(), channel, offered }
}

/// The venue's words, if a frame refuses a request.
pub(super) fn refusal(venue: Venue, text: &str) -> Option<String> {
    match venue {
        Venue::KrakenSpot => {
            if !text.contains("\"error\"") {
                return None;
            }
            match kraken_frames::decode(text) {
                Ok(kraken_frames::Frame::Response(response)) => {
                    response.error.map(|error| error.to_string())
                }
                _ => None,
            }
        }
        Venue::KrakenFutures => {
            use kraken_futures::{EventKind, Frame};
            if !text.contains("\"event\"") {
                return None;
            }
            match kraken_futures::decode(text) {
                Ok(Frame::Event {
                    kind: EventKind::Error | EventKind::Alert | EventKind::SubscribedFailed,
                    row,
                }) => Some(row.message.map_or(row.event.to_string(), |text| text.to_string())),
                _ => None,
            }
        }
        Venue::BinanceUm => {
            if text.starts_with("{\"stream\"") {
                return None;
            }
            match binance_frames::decode(text) {
                Ok(binance_frames::Frame::Refused { error, .. }) => Some(error.get().to_owned()),
                _ => None,
            }
        }
    }
}
