//! Counters that the risk rules read, derived from rows: none lives in memory only.
//!
//! Purpose: what happened lately, per symbol and in total, at the time of the read transaction.
//! Inputs: aggregates over positions and orders. Outputs: values. A symbol that did nothing lately has
//! no entry.

use crate::{Decimal, Symbol, UtcMicros};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// How far back the counters look. Each is a span of seconds that ends with the read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CounterSpans {
    /// Positions opened per symbol.
    pub trades_secs: i64,
    /// Closes by the stop.
    pub stop_exit_secs: i64,
    /// Closes of positions: no streak that could matter begins earlier.
    pub closes_secs: i64,
    /// Closes per symbol that are kept, the newest.
    pub closes_max: i64,
    /// Orders sent and cancels sent.
    pub orders_secs: i64,
}

/// A position that was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloseRow {
    /// When.
    pub at: UtcMicros,
    /// Its result, fees included.
    pub net_quote: Decimal,
}

/// Recent past of one symbol.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SymbolCounters {
    /// Symbol.
    pub symbol: Symbol,
    /// Last close by the stop, raised stops included.
    pub last_stop_exit_at: Option<UtcMicros>,
    /// Positions opened inside the sliding window.
    pub opened_in_window: i64,
    /// Newest closes of positions, ascending; inputs that were stored without them had none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub closes: Vec<CloseRow>,
    /// When orders were sent, ascending.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub orders_sent: Vec<UtcMicros>,
    /// When cancels were sent, ascending.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cancels_sent: Vec<UtcMicros>,
}

impl SymbolCounters {
    /// A symbol that did nothing lately.
    #[must_use]
    pub const fn idle(symbol: Symbol) -> Self {
        Self {
            symbol,
            last_stop_exit_at: None,
            opened_in_window: 0,
            closes: Vec::new(),
            orders_sent: Vec::new(),
            cancels_sent: Vec::new(),
        }
    }
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
