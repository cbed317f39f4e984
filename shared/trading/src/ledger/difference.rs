//! When a difference between a balance and the ledger may be corrected.
//!
//! Input: both amounts and what is known about the moment. Output: nothing, watch, or correct. Balances
//! may overtake the trades that explain them, so a difference counts only when two equal snapshots at
//! least five seconds apart show it, both newer than the symbol's last trade, with nothing of the symbol
//! unproven and every trade that the venue counts booked.

use penstock_types::Decimal;

/// Shortest time between the two snapshots.
pub const SEEN_TWICE_MS: i64 = 5_000;

/// One comparison.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DifferenceInput {
    /// Base that the venue reports.
    pub venue: Decimal,
    /// Base that the ledger holds, written-off dust included.
    pub ledger: Decimal,
    /// One lot, or a thousandth.
    pub tolerance: Decimal,
    /// The same balance was first seen at this time, monotonic.
    pub first_seen_ms: Option<i64>,
    /// Last booked trade of the symbol, monotonic.
    pub last_trade_ms: Option<i64>,
    /// Now, monotonic.
    pub now_ms: i64,
    /// An order of the symbol is not proven, or reports wait.
    pub unproven: bool,
    /// The venue's executed quantities are all booked.
    pub booked_all: bool,
}

/// What to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Difference {
    /// They agree.
    None,
    /// They differ; look again.
    Watch,
    /// Correct the ledger by this much.
    Correct(Decimal),
}

/// Judges a comparison.
#[must_use]
pub fn judge(input: &DifferenceInput) -> Difference {
    let delta = input.venue - input.ledger;
    if delta.abs() <= input.tolerance {
        return Difference::None;
    }
    let Some(first) = input.first_seen_ms else { return Difference::Watch };
    let newer = input.last_trade_ms.is_none_or(|trade| first > trade);
    let twice = input.now_ms - first >= SEEN_TWICE_MS;
    if twice && newer && !input.unproven && input.booked_all {
        Difference::Correct(delta)
    } else {
        Difference::Watch
    }
}
