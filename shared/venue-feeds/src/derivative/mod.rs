//! Public sockets of the derivative venues: Kraken Futures, and Binance USD-M on its two routes.
//!
//! [`FuturesSession`] and [`BinanceSession`] are protocol sides without input or output; [`spawn_links`]
//! runs one of them and replaces its socket in time, with overlap. Out come [`LinkEvent`]s: what a
//! connector tells, and over which of the two overlapping connections it came. Decoding numbers,
//! duplicates and gaps of ids belong to the reader.

mod binance;
mod futures;
mod links;
mod notice;
mod topics;

pub use binance::{BinanceSession, SYMBOLS_PER_SOCKET_MAX};
pub use futures::FuturesSession;
pub use links::{Held, LinkEvent, LinksConfig, Overlap, spawn_links};
pub use notice::{DerivFeed, DerivNotice, DerivTopic};

#[cfg(test)]
mod tests;
