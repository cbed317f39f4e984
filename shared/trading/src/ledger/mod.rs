//! What a fill does to a position, to the last digit.
//!
//! Input: the position's head and one fill or adjustment. Output: the ledger row, the new head, and
//! for a sale the realised result. Invariants: released cost and fees are rounded half-even to the
//! column's scale and subtracted, a close releases exactly what is left, so sums telescope without a
//! residue; the head equals the fold of its rows. It deliberately does not know orders or rows of a
//! database. All amounts in quote, all quantities in base.

mod book;
pub mod difference;
mod fold;

pub use book::{Booked, book_adjust, book_fill, book_merge};
pub use fold::fold;

use penstock_types::Decimal;
use penstock_types::vocab::Side;

penstock_types::closed_vocabulary! {
    /// What a ledger row does.
    pub LedgerKind {
        /// First fill of a position.
        Open = "open",
        /// More base.
        Increase = "increase",
        /// Less base, some left.
        Reduce = "reduce",
        /// No base left.
        Close = "close",
        /// Correction by reconcile, without a fill.
        Adjust = "adjust",
    }
}

/// Head of a position: what the fold of its ledger gives.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Head {
    /// Base held.
    pub base: Decimal,
    /// Cost of the base held, without fees.
    pub cost: Decimal,
    /// Average entry price; survives the close.
    pub avg_entry: Option<Decimal>,
    /// Entry fees not yet charged to a sale.
    pub open_fees: Decimal,
    /// Sum of the net results of sales.
    pub realized: Decimal,
    /// Sum of all fees.
    pub fees: Decimal,
    /// Number of the last row.
    pub seq: i32,
}

/// One trade of ours as the ledger sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FillTerms {
    /// Side of our order.
    pub side: Side,
    /// Price, above zero.
    pub price: Decimal,
    /// Base quantity, above zero.
    pub qty: Decimal,
    /// Fee in quote.
    pub fee_quote: Decimal,
    /// Fee taken in the base asset itself; normally zero, because orders ask for fees in quote.
    pub fee_base: Decimal,
}

/// One row of the ledger.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LedgerRow {
    /// Number within the position, from 1.
    pub seq: i32,
    /// What it does.
    pub kind: LedgerKind,
    /// Change of base.
    pub delta_base: Decimal,
    /// Base before.
    pub base_before: Decimal,
    /// Base after, never negative.
    pub base_after: Decimal,
    /// Cost before.
    pub cost_before: Decimal,
    /// Cost after.
    pub cost_after: Decimal,
    /// Average entry before.
    pub avg_entry_before: Option<Decimal>,
    /// Average entry after.
    pub avg_entry_after: Option<Decimal>,
    /// Unreleased entry fees after.
    pub open_fees_after: Decimal,
    /// Net result of this row.
    pub realized_quote: Decimal,
    /// Fee of this row.
    pub fee_quote: Decimal,
}

/// Result of a sale.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Realized {
    /// Base sold out of the position.
    pub closed_qty: Decimal,
    /// Average entry price.
    pub entry_price: Decimal,
    /// Price of the sale.
    pub exit_price: Decimal,
    /// Proceeds minus released cost.
    pub gross_quote: Decimal,
    /// Fee of the sale plus released entry fees.
    pub fees_quote: Decimal,
    /// `gross − fees`.
    pub net_quote: Decimal,
    /// `net` over released cost, in basis points.
    pub net_bps: Decimal,
}

/// A fill or adjustment that the ledger refuses.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LedgerError {
    /// Price or quantity is not above zero.
    #[error(
        "fill with price {price} and quantity {qty} refused, both must be above 0; next: reconcile the order"
    )]
    NotPositive {
        /// Refused price.
        price: Decimal,
        /// Refused quantity.
        qty: Decimal,
    },
    /// A number does not fit into 28 digits.
    #[error(
        "amount beyond 28 digits while booking price {price} quantity {qty}; next: look at the venue's report"
    )]
    Overflow {
        /// Price of the fill.
        price: Decimal,
        /// Quantity of the fill.
        qty: Decimal,
    },
    /// An adjustment would make the base negative.
    #[error("adjustment of {delta} refused, the position holds {base}")]
    BelowZero {
        /// Refused change.
        delta: Decimal,
        /// Base held.
        base: Decimal,
    },
}

#[cfg(test)]
mod tests;
