//! The matching engine: one deterministic, single-threaded state machine over all symbols and the
//! one account. Time is an argument of every operation (µs since the Unix epoch); randomness is
//! the seed. It knows no sockets, no JSON and no clock.

pub mod book;
pub mod core;
pub mod event;
pub mod instrument;
pub(crate) mod matching;
mod recorded;
mod triggers;

pub use self::book::{Book, OrderNo, Owner, Resting};
pub use self::core::{Exchange, ExchangeConfig, FlowPlaced, Market, SetupError};
pub use self::event::{
    LevelChange, MarketUpdate, Print, PrivateEvent, PublicEvent, QueuedOrder, SystemStatus, Top,
};
pub use self::instrument::{Instrument, PairStatus, Price, Qty, Side, SymbolNo};
