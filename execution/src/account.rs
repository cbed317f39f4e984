//! What the evaluation needs from the owner of orders and of the private stream.
//!
//! Purpose: the seam between deciding and sending. Inputs: a planned entry with the cycle that planned
//! it. Outputs: what became of it. Invariants: `submit_entry` commits the order before the first byte
//! goes to the venue, and returns as soon as the request is on its way or refused; it never waits for a
//! fill. The evaluation touches no order in any other way.

use std::future::Future;

use penstock_trading::capital::caps::Caps;
use penstock_trading::cycle::{StreamStatus, VenueCounter};
use penstock_trading::decide::PlannedEntry;
use penstock_types::{Decimal, EvaluationId, OrderId, Symbol};

/// An entry to be committed and sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryRequest {
    /// Evaluation that planned it.
    pub evaluation_id: EvaluationId,
    /// Its number in the session.
    pub evaluation_index: i64,
    /// The plan; deadline and expiry are fixed in it and stand in the row and on the wire alike.
    pub plan: PlannedEntry,
    /// Its caps, which are judged once more where its money is reserved.
    pub caps: Caps,
}

/// What became of a planned entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryOutcome {
    /// Committed and on its way to the venue.
    Sent {
        /// The order.
        order_id: OrderId,
    },
    /// Committed, then refused before a byte was sent (deadline too near, stream lost).
    NotSent {
        /// The order.
        order_id: OrderId,
        /// Reason code.
        reason: String,
    },
    /// Nothing was committed: lock, constraint or reservation refused it.
    Refused {
        /// Reason code.
        reason: String,
        /// It may let the entry of another symbol pass: it is not the deadline, the mode or the owner itself.
        others_may: bool,
    },
    /// Another instance holds the fence: the process must end.
    FencedOut,
    /// The decision cluster did not take it, or did not say whether it did.
    Failed {
        /// What happened.
        reason: String,
    },
}

/// The owner of orders, positions and the private stream, as the evaluation sees it.
pub trait Account: Send + Sync + 'static {
    /// State of the private stream now.
    fn stream_status(&self) -> StreamStatus;

    /// 90th percentile of submit to acknowledgement over the last 50 acknowledged orders, in
    /// microseconds; 250 000 before there are 20.
    fn latency_us(&self) -> i64;

    /// Quote that open buy orders hold which are not ours.
    fn foreign_holds_quote(&self) -> Decimal;

    /// The venue's counters of these pairs as they are modelled now; a pair at zero is left out.
    fn venue_counters(&self, symbols: &[&Symbol]) -> Vec<VenueCounter>;

    /// An order of the symbol is live or unresolved, or a position is open, by what memory knows now:
    /// it may know more than the cycle's read.
    fn is_busy(&self, symbol: &Symbol) -> bool;

    /// Commits and sends an entry.
    fn submit_entry(&self, request: EntryRequest) -> impl Future<Output = EntryOutcome> + Send;
}
