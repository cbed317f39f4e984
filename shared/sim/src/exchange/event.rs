//! What the exchange tells its sockets: ordered, complete, one entry per operation and symbol.
//!
//! Inputs: the matching engine. Outputs: `PublicEvent` for books, trades, tickers and status, and
//! `PrivateEvent` for the account's streams. Invariant: applying the levels of every
//! `MarketUpdate` in `seq` order to a snapshot taken at an earlier `seq` gives the live book.
//! It does not format anything.

use super::book::OrderNo;
use super::instrument::{Price, Qty, Side, SymbolNo};
use crate::account::{BalanceChange, ExecReport};
use std::sync::Arc;

/// State of the whole venue; the words of the `status` channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SystemStatus {
    /// Everything is allowed.
    Online,
    /// Nothing is allowed.
    Maintenance,
    /// Only cancels.
    CancelOnly,
    /// Only post-only orders; nothing matches.
    PostOnly,
    /// Only limit orders.
    LimitOnly,
}

impl SystemStatus {
    /// All values.
    pub const ALL: [SystemStatus; 5] = [
        SystemStatus::Online,
        SystemStatus::Maintenance,
        SystemStatus::CancelOnly,
        SystemStatus::PostOnly,
        SystemStatus::LimitOnly,
    ];

    /// The wire word.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            SystemStatus::Online => "online",
            SystemStatus::Maintenance => "maintenance",
            SystemStatus::CancelOnly => "cancel_only",
            SystemStatus::PostOnly => "post_only",
            SystemStatus::LimitOnly => "limit_only",
        }
    }

    /// The value of a wire word.
    #[must_use]
    pub fn parse(text: &str) -> Option<SystemStatus> {
        SystemStatus::ALL.into_iter().find(|status| status.text() == text)
    }
}

/// New total at one price; zero removes the level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LevelChange {
    /// Side of the book.
    pub side: Side,
    /// Price of the level.
    pub price: Price,
    /// Total quantity after the operation.
    pub qty: Qty,
}

/// One order of a level, as level 3 shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedOrder {
    /// Its number.
    pub no: OrderNo,
    /// What is left of it.
    pub qty: Qty,
    /// When it took its place, ns since the Unix epoch.
    pub placed_ns: i64,
    /// Venue id of an order of the account; `None` for the flow.
    pub account_id: Option<Arc<str>>,
}

/// One public print.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Print {
    /// Contiguous per symbol.
    pub trade_id: u64,
    /// Side of the taker.
    pub taker: Side,
    /// Price.
    pub price: Price,
    /// Quantity.
    pub qty: Qty,
    /// True when the taker's order was a market order.
    pub market_order: bool,
    /// Engine time in µs since the Unix epoch; prints of one sweep share it.
    pub ts_us: i64,
}

/// Best price and total quantity of both sides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Top {
    /// Best bid.
    pub bid: Option<(Price, Qty)>,
    /// Best ask.
    pub ask: Option<(Price, Qty)>,
}

/// All that one operation did to one symbol.
#[derive(Clone, Debug)]
pub struct MarketUpdate {
    /// Number of this event over all symbols, from 1, without holes.
    pub seq: u64,
    /// The symbol.
    pub symbol: SymbolNo,
    /// Engine time in µs since the Unix epoch.
    pub ts_us: i64,
    /// Changed levels with their totals after the operation; each price once.
    pub levels: Vec<LevelChange>,
    /// Orders of those levels in queue order, one list per entry of `levels`; empty when nobody
    /// has asked for them.
    pub queues: Vec<Vec<QueuedOrder>>,
    /// Prints in their order.
    pub prints: Vec<Print>,
    /// Top of book after the operation.
    pub top: Top,
    /// True when a best price or its quantity differs from before the operation.
    pub top_changed: bool,
}

/// What public sockets see.
#[derive(Clone, Debug)]
pub enum PublicEvent {
    /// A symbol's book or trades changed.
    Market(MarketUpdate),
    /// The venue's status changed.
    Status(SystemStatus),
    /// The instrument of this symbol changed (status, precision, minimums).
    Instrument(SymbolNo),
}

/// What the account's sockets see.
#[derive(Clone, Debug)]
pub enum PrivateEvent {
    /// One execution report.
    Execution(Box<ExecReport>),
    /// One ledger entry.
    Balance(BalanceChange),
    /// The venue's status changed.
    Status(SystemStatus),
}
