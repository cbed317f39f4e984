//! Which sockets a recording needs, and what is asked on each.
//!
//! Input: venue, address, symbols, channels. Output: connections with their requests in order. What a
//! venue does not offer is refused before anything is opened. Pure.

use penstock_venues::binance::request as binance;
use penstock_venues::binance::stream::{Route, StreamKind};
use penstock_venues::kraken::book::DEPTHS;
use penstock_venues::kraken::level3_plan::{
    POINTS_PER_SECOND_STANDARD, SYMBOLS_PER_CONNECTION_MAX, subscription_points,
};
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
    /// Order-by-order books of Kraken spot; they need a key.
    Level3,
}

/// Where the sockets of a venue are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// The socket; of Binance its `/public` route.
    pub socket: String,
    /// Binance's `/market` route.
    pub market: String,
    /// Kraken spot's order-by-order socket, where one is known.
    pub level3: Option<String>,
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
        Self { socket: socket.to_owned(), market, level3: None }
    }

    /// The same with the order-by-order socket.
    #[must_use]
    pub fn with_level3(self, url: Option<String>) -> Self {
        Self { level3: url, ..self }
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
    /// A depth that the order-by-order channel refuses.
    #[error("depth {depth} is not offered for level3; next: --depth 10, 100 or 1000")]
    Level3Depth {
        /// Depth.
        depth: u32,
    },
    /// More order-by-order books than one connection may carry.
    #[error(
        "{symbols} symbols for level3, at most {max}; next: fewer --symbols",
        max = SYMBOLS_PER_CONNECTION_MAX
    )]
    Level3Symbols {
        /// Symbols.
        symbols: usize,
    },
    /// No address for the order-by-order socket.
    #[error("no address of the level3 socket is known; next: --l3-url wss://…")]
    Level3Address,
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
    /// What the order-by-order socket is asked with.
    pub(super) token: &'a str,
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
    /// Distance of two requests, milliseconds.
    pub(super) pace_ms: u64,
    pub(super) ping: Ping,
}

/// Distance of two requests, milliseconds: half of what the strictest venue takes.
const REQUEST_PACE_MS: u64 = 200;
/// Distance of two order-by-order requests, milliseconds. With it half of the standard account's budget of
/// subscription points is spent; the other half is ingest's, whose account this may be.
const LEVEL3_PACE_MS: u64 = 1_000;
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
        Venue::KrakenSpot => kraken_spot(addresses, &wanted),
        Venue::KrakenFutures => futures(&addresses.socket, &wanted),
        Venue::BinanceUm => binance_um(addresses, &wanted),
    }
}

fn kraken_spot(addresses: &Addresses, wanted: &Wanted<'_>) -> Result<Vec<Connection>, PlanError> {
    let is_level3 = |channel: &Channel| *channel == Channel::Level3;
    let public: Vec<Channel> =
        wanted.channels.iter().copied().filter(|channel| !is_level3(channel)).collect();
    let mut connections = Vec::new();
    if wanted.channels.iter().any(is_level3) {
        connections.push(kraken_level3(addresses, wanted)?);
    }
    if !public.is_empty() {
        let wanted = Wanted { channels: &public, ..*wanted };
        connections.push(kraken_public(&addresses.socket, &wanted)?);
    }
    Ok(connections)
}

/// The order-by-order socket: its subscriptions cost points, by depth.
fn kraken_level3(addresses: &Addresses, wanted: &Wanted<'_>) -> Result<Connection, PlanError> {
    let Wanted { symbols, depth, token, .. } = *wanted;
    let points = subscription_points(depth).ok_or(PlanError::Level3Depth { depth })?;
    if symbols.len() > SYMBOLS_PER_CONNECTION_MAX {
        return Err(PlanError::Level3Symbols { symbols: symbols.len() });
    }
    let url = addresses.level3.clone().ok_or(PlanError::Level3Address)?;
    let symbols: Vec<&str> = symbols.iter().map(String::as_str).collect();
    let at_once = (POINTS_PER_SECOND_STANDARD / 2 / points).max(1) as usize;
    let requests = symbols.chunks(at_once).zip(1..).map(|(symbols, req_id)| {
        kraken::subscribe(&Subscription::Level3 { symbols, depth, token }, req_id)
    });
    let ping = Ping::Text { text: kraken::ping(0), interval_ms: KRAKEN_PING_MS };
    Ok(Connection { url, requests: requests.collect(), pace_ms: LEVEL3_PACE_MS, ping })
}

fn kraken_public(url: &str, wanted: &Wanted<'_>) -> Result<Connection, PlanError> {
    if wanted.channels.contains(&Channel::Book) && !DEPTHS.contains(&wanted.depth) {
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
                Channel::Mark | Channel::Liquidation | Channel::Level3 => {
                    let offered = "book, trade, ticker, instrument, level3";
                    return Err(refused(Venue::KrakenSpot, *channel, offered));
                }
            }
        }
    }
    let ping = Ping::Text { text: kraken::ping(0), interval_ms: KRAKEN_PING_MS };
    Ok(Connection { url: url.to_owned(), requests, pace_ms: REQUEST_PACE_MS, ping })
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
            Channel::Instrument | Channel::Mark | Channel::Liquidation | Channel::Level3 => {
                return Err(refused(Venue::KrakenFutures, *channel, "book, trade, ticker"));
            }
        };
        requests.push(subscribe(feed, &products));
    }
    let ping = Ping::Protocol { interval_ms: PING_INTERVAL_MS };
    Ok(vec![Connection { url: url.to_owned(), requests, pace_ms: REQUEST_PACE_MS, ping }])
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
            Channel::Instrument | Channel::Level3 => {
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
                pace_ms: REQUEST_PACE_MS,
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
