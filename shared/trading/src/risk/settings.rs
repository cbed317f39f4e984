//! Settings of the rules that count over time, and of the raised least edge.
//!
//! Input: the resolved configuration. Output: plain numbers, stored with the settings of the decision.
//! Invariants: the defaults are those of the configuration; settings that were stored before a field
//! existed read as its default. It holds no rule.

use penstock_contracts::edge::AdaptiveEdge;
use serde::{Deserialize, Serialize};

use crate::groups::CorrelationGroup;

/// Settings of the risk rules beside the caps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RiskSettings {
    /// Losing exits of a symbol in a row that stop its entries.
    pub max_consecutive_losses: i64,
    /// Time after the last loss after which the row of losses counts as ended, seconds.
    pub loss_streak_reset_secs: i64,
    /// Length of the sliding window of a symbol, seconds.
    pub trades_window_secs: i64,
    /// Least edge under stress.
    pub adaptive: AdaptiveEdge,
    /// New orders after a cancel in 10 s, per symbol.
    pub churn_cancel_replace_max: i64,
    /// Cancels in 10 s, per symbol.
    pub churn_cancel_max: i64,
    /// New orders in 10 s, per symbol.
    pub churn_new_orders_max: i64,
    /// Time without entries after one of the three was reached, seconds.
    pub churn_cooldown_secs: i64,
    /// Share of the venue's counter of the pair above which there are no entries, percent.
    pub counter_entry_pct: i64,
    /// Symbols that move together; one in no group is its own group.
    pub groups: Vec<CorrelationGroup>,
}

impl Default for RiskSettings {
    fn default() -> Self {
        Self {
            max_consecutive_losses: 3,
            loss_streak_reset_secs: 3_600,
            trades_window_secs: 3_600,
            adaptive: AdaptiveEdge::default(),
            churn_cancel_replace_max: 3,
            churn_cancel_max: 5,
            churn_new_orders_max: 5,
            churn_cooldown_secs: 60,
            counter_entry_pct: 60,
            groups: Vec::new(),
        }
    }
}
