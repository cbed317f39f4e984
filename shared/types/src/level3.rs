//! Figures of an order-by-order book: what maintains the book fills them in, what records them rounds them.
//!
//! Values only. They are exact: each is rounded once, to its column, when the row is made.

use crate::{Decimal, UtcMicros};

/// What takers did in the minute that ends at a moment, quote asset.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TakerQuotes {
    /// What they bought.
    pub buy_1m: Decimal,
    /// What they sold.
    pub sell_1m: Decimal,
}

/// Figures of an order-by-order book at one moment, not yet rounded. Their meaning is that of [`L3Row`](crate::raw::L3Row).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Level3Sample {
    /// Venue time of the last update; set by whoever keeps the book, because figures are made of orders alone.
    pub ts_exchange: Option<UtcMicros>,
    /// Best bid.
    pub bid: Decimal,
    /// Best ask.
    pub ask: Decimal,
    /// Orders at the best bid.
    pub orders_at_bid: u32,
    /// Orders at the best ask.
    pub orders_at_ask: u32,
    /// Quote value of the orders at the best bid.
    pub queue_bid_quote: Decimal,
    /// Quote value of the orders at the best ask.
    pub queue_ask_quote: Decimal,
    /// Mean age at the best bid, milliseconds.
    pub avg_age_bid_ms: i64,
    /// Mean age at the best ask, milliseconds.
    pub avg_age_ask_ms: i64,
    /// Orders that came since the sample before.
    pub adds: u32,
    /// Orders that were taken back.
    pub cancels: u32,
    /// Orders that traded.
    pub fills: u32,
    /// Orders that changed.
    pub modifies: u32,
    /// Added to filled or cancelled quantity.
    pub refill_ratio: Option<Decimal>,
    /// Cancelled to cancelled or filled quantity.
    pub cancel_ratio: Option<Decimal>,
    /// Estimated time to a fill at the bid, milliseconds.
    pub est_fill_bid_ms: Option<i64>,
    /// At the ask.
    pub est_fill_ask_ms: Option<i64>,
}
