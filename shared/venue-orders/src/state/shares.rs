//! Shares of a pair's counter that a use may reach.
//!
//! Input: percentages of the configuration. Output: shares of the ceiling. Invariant: protection and exits have no
//! share: the model may be wrong, the position is not, and it is the venue that refuses.

use super::EngineUse;

/// Shares of a pair's counter that entries and better prices may reach, from the configuration.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CounterShares {
    /// Percent up to which new positions are sent.
    pub entry_pct: u32,
    /// Percent up to which resting entries are moved.
    pub repeg_pct: u32,
}

impl Default for CounterShares {
    fn default() -> Self {
        Self { entry_pct: 60, repeg_pct: 80 }
    }
}

impl CounterShares {
    /// Share of the ceiling that a use may reach.
    pub(super) fn of(self, usage: EngineUse) -> f64 {
        match usage {
            EngineUse::Entry => f64::from(self.entry_pct) / 100.0,
            EngineUse::Repeg => f64::from(self.repeg_pct) / 100.0,
            EngineUse::Protective => f64::INFINITY,
        }
    }
}
