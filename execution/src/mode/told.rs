//! What the process tells about itself, for alerts, the trail and its own log.
//!
//! Purpose: one value for each thing that others pass on. Inputs: the owner of the mode, the desk, the samplers.
//! Outputs: [`Told`] over a bounded broadcast. Invariants: plain data; a listener that lags learns how much it missed.

use penstock_store_decision::daily::DailySummary;
use penstock_store_decision::health::HealthSample;
use penstock_trading::mode::ModeChange;
use penstock_trading::recover::{RecoveryFacts, ResumeClass};
use penstock_types::UtcMicros;

/// A recovery that was judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoveryReport {
    /// When, wall clock.
    pub at: UtcMicros,
    /// It is that of the session's start; else that of a PAUSE that was left.
    pub at_start: bool,
    /// Its class.
    pub class: ResumeClass,
    /// What the class rests on.
    pub facts: RecoveryFacts,
    /// Orders of ours that were not ended when it began.
    pub orders_found: u32,
    /// Positions then.
    pub positions_found: u32,
    /// Orders that were in doubt and are not any more.
    pub orders_resolved: u32,
}

/// Something that happened to the process as a whole.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    /// The mode changed; [`ModeChange::announced`] has the reasons in the order of alerts.
    Mode {
        /// The change.
        change: ModeChange,
        /// When, wall clock.
        at: UtcMicros,
    },
    /// A recovery was judged.
    Recovery(RecoveryReport),
    /// Disk, databases and process were measured.
    Health(Box<HealthSample>),
    /// A day was summed up.
    Daily(Box<DailySummary>),
}
