//! Rows of the decision cluster as they cross into decisions: what one read transaction delivers.
//!
//! Purpose: one struct per kind of row that `decide` reads, with exact numbers and closed
//! vocabularies. Inputs: columns, read by `store-decision`. Outputs: plain values. Invariants: amounts
//! are decimals, times are microseconds, nothing carries a floating point number, so that each value
//! has one canonical JSON form. It does not read a database and judges nothing.

mod account;
mod binding;
mod history;

pub use account::{
    BalanceRow, EquityRow, ExecLockRow, ExitPlanRow, ExternalFlow, ExternalMoney, FeeTierRow,
    LiveOrderRow, MarkSnapshot, PositionRow, ReservationRow, StrategyScoreRow,
};
pub use binding::{EpochRow, FenceRow, InstrumentRow, PublicationRow, SafetyRow, SnapshotRow};
pub use history::{CloseRow, CounterSpans, RiskCounters, SymbolCounters};
