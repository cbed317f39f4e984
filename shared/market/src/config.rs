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
    /// Time between two samples of an order-by-order book in milliseconds; the quality of its columns
    /// compares with it what came.
    #[serde(default = "l3_sample_interval_ms")]
    pub l3_sample_interval_ms: i64,
}

/// What a checkpoint was written with that does not tell it: the default of `L3_SAMPLE_INTERVAL_MS`.
const fn l3_sample_interval_ms() -> i64 {
    5_000
}

impl Default for FoldConfig {
    fn default() -> Self {
        Self {
            epoch_window_secs: 300,
            l2_samples_min: 50,
            regime: RegimeThresholds::default(),
            l3_sample_interval_ms: l3_sample_interval_ms(),
        }
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
    /// Resyncs of a symbol's order-by-order book within ten minutes at which it is blocked.
    pub l3_resync_max: u32,
    /// Seconds for which it is blocked then.
    pub l3_hard_block_secs: i64,
}

impl Default for CoreConfig {
    fn default() -> Self {
        Self {
            fold: FoldConfig::default(),
            refresh_interval_ms: 1_000,
            l2_sample_interval_ms: 1_000,
            quote_silence_ms: 1_500,
            gap_secs: 120,
            l3_resync_max: 5,
            l3_hard_block_secs: 1_800,
        }
    }
}
