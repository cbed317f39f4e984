//! Counters that the risk rules read, derived from rows: none lives in memory only.
//!
//! Purpose: what happened lately, per symbol and in total, at the time of the read transaction.
//! Inputs: aggregates over positions and orders. Outputs: values. A symbol that did nothing lately has
//! no entry.

use crate::{Symbol, UtcMicros};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Recent past of one symbol.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SymbolCounters {
    /// Symbol.
    pub symbol: Symbol,
    /// Last close by the stop, raised stops included.
    pub last_stop_exit_at: Option<UtcMicros>,
    /// Positions opened inside the sliding window.
    pub opened_in_window: i64,
}

/// Recent past of the account.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RiskCounters {
    /// Positions opened since 00:00 UTC.
    pub opened_today: i64,
    /// Entry orders of the last 60 s.
    pub entries_last_60s: i64,
    /// Per symbol, ascending.
    pub symbols: Vec<SymbolCounters>,
}
