//! The instrument channel: assets and pairs with their precision, steps, minimums and status.
//!
//! Input: the `data` object of the channel. Output: rows that borrow from the frame. An update
//! contains only changed entries, each complete. It keeps no table; who reads keeps it.

use super::vocabulary::PairStatus;
use super::wire::{Num, Tag, Text, wire_object};

wire_object! {
    /// Data of the channel.
    InstrumentData {
        /// Assets.
        opt assets: Vec<AssetRow<'a>> = "assets",
        /// Pairs.
        opt pairs: Vec<PairRow<'a>> = "pairs",
    }
}

wire_object! {
    /// One asset.
    AssetRow {
        /// Code (`BTC`, `USD`).
        req id: Text<'a> = "id",
        /// Funding status, as the venue wrote it.
        req status: Text<'a> = "status",
        /// Digits of balances.
        req precision: u8 = "precision",
        /// Digits that the venue shows.
        opt precision_display: u8 = "precision_display",
        /// Whether it can be borrowed.
        opt borrowable: bool = "borrowable",
        /// Collateral value.
        opt collateral_value: Num<'a> = "collateral_value",
        /// Margin rate.
        opt margin_rate: Num<'a> = "margin_rate",
        /// Multiplier.
        opt multiplier: Num<'a> = "multiplier",
        /// Asset class.
        opt asset_class: Text<'a> = "class",
    }
}

wire_object! {
    /// One pair.
    PairRow {
        /// The symbol (`BTC/USD`), to be used verbatim.
        req symbol: Text<'a> = "symbol",
        /// Base asset.
        req base: Text<'a> = "base",
        /// Quote asset.
        req quote: Text<'a> = "quote",
        /// Status.
        req status: Tag<'a, PairStatus> = "status",
        /// Digits of quantities.
        req qty_precision: u8 = "qty_precision",
        /// Step of quantities.
        req qty_increment: Num<'a> = "qty_increment",
        /// Digits of prices.
        req price_precision: u8 = "price_precision",
        /// Step of prices.
        opt price_increment: Num<'a> = "price_increment",
        /// Older name of the step of prices.
        opt tick_size: Num<'a> = "tick_size",
        /// Digits of costs.
        opt cost_precision: u8 = "cost_precision",
        /// Smallest cost, quote asset.
        opt cost_min: Num<'a> = "cost_min",
        /// Smallest quantity, base asset.
        req qty_min: Num<'a> = "qty_min",
        /// Whether it trades on margin.
        opt marginable: bool = "marginable",
        /// Whether an index price exists.
        opt has_index: bool = "has_index",
        /// Initial margin.
        opt margin_initial: Num<'a> = "margin_initial",
        /// Limit of long positions.
        opt position_limit_long: Num<'a> = "position_limit_long",
        /// Limit of short positions.
        opt position_limit_short: Num<'a> = "position_limit_short",
    }
}

impl<'a> PairRow<'a> {
    /// Step of prices under either of its names.
    pub fn price_step(&self) -> Option<Num<'a>> {
        self.price_increment.or(self.tick_size)
    }
}
