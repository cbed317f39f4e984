//! The fold of a position's ledger: what its head must equal.
//!
//! Input: rows in order of their number. Output: the head, or the first row that does not continue
//! the one before. Used by the ledger audit; shares no code with the booking.

use super::{Head, LedgerRow};
use penstock_types::Decimal;

/// First break in a ledger.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("ledger row {seq} does not continue row {}: {what}", seq - 1)]
pub struct FoldError {
    /// Number of the row.
    pub seq: i32,
    /// What does not fit.
    pub what: &'static str,
}

/// Folds rows into a head.
///
/// # Errors
/// [`FoldError`] when a number is missing, or base or cost do not continue the row before.
pub fn fold<'a>(rows: impl IntoIterator<Item = &'a LedgerRow>) -> Result<Head, FoldError> {
    let mut head = Head::default();
    for row in rows {
        let broken = |what| Err(FoldError { seq: row.seq, what });
        if row.seq != head.seq + 1 {
            return broken("number");
        }
        if row.base_before != head.base || row.cost_before != head.cost {
            return broken("base or cost before");
        }
        if head.base + row.delta_base != row.base_after || row.base_after < Decimal::ZERO {
            return broken("base after");
        }
        head = Head {
            base: row.base_after,
            cost: row.cost_after,
            avg_entry: row.avg_entry_after,
            open_fees: row.open_fees_after,
            realized: head.realized + row.realized_quote,
            fees: head.fees + row.fee_quote,
            seq: row.seq,
        };
    }
    Ok(head)
}
