//! The derivatives markets: one contract per spot pair on each of two venues, whose prices follow
//! the spot book and whose open interest, funding, mark and liquidations follow the same script.
//!
//! Inputs: the catalog, a seed, market time, the exchange (read only), the generator's moods.
//! Outputs: contracts with what has happened to them, for the sockets of their venues. The parts:
//! `spec` says what is listed, `book` is a book of levels, `contract` moves one contract, `market`
//! runs all contracts of a venue. No account trades here.

mod book;
mod contract;
mod market;
mod spec;

pub use book::{LevelBook, Levels};
pub use contract::{Contract, Liquidation, Pending, Print};
pub use market::Market;
pub(crate) use market::run_until;
pub use spec::{Kind, Spec, binance, futures};
