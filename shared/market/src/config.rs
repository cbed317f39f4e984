//! What the market core needs to know before the first row: windows, intervals, limits, thresholds.
//!
//! The values come from the service's configuration; the part that a replay needs ([`FoldConfig`]) is
//! stored with the run's first checkpoint, so that a verification cannot use other numbers.

use crate::regime::RegimeThresholds;
use serde::{Deserialize, Serialize};

/// Numbers that shape the state; part of a checkpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FoldConfig {
    /// Length of the epoch window in seconds, 10 to 300; the `*_count_w` columns cover it.
    pub epoch_window_secs: u16,
    /// L2 samples of a lineage that a complete row needs.
    pub l2_samples_min: i64,
    /// Limits of the regimes.
    pub regime: RegimeThresholds,
}

impl Default for FoldConfig {
    fn default() -> Self {
        Self { epoch_window_secs: 300, l2_samples_min: 50, regime: RegimeThresholds::default() }
    }
}

/// Everything the core is told at its start.
#[derive(Debug, Clone, PartialEq)]
pub struct CoreConfig {
    /// What shapes the state.
    pub fold: FoldConfig,
    /// Time between cuts in milliseconds, a multiple of 250.
    pub refresh_interval_ms: i64,
    /// Time between L2 samples of a symbol whose best did not change, in milliseconds.
    pub l2_sample_interval_ms: i64,
    /// A connection that delivers nothing for this long loses its quotes, in milliseconds; an update
    /// that is later than this against the connection's own best delay does the same.
    pub quote_silence_ms: i64,
    /// Gap of ticker and trades of the whole domain that breaks the lineage, in seconds.
    pub gap_secs: i64,
}

impl Default for CoreConfig {
    fn default() -> Self {
        Self {
            fold: FoldConfig::default(),
            refresh_interval_ms: 1_000,
            l2_sample_interval_ms: 1_000,
            quote_silence_ms: 1_500,
            gap_secs: 120,
        }
    }
}
