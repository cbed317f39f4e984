//! The dashboard's document, version 1: everything that an operator sees at a glance.
//!
//! Input: rows and figures that others have read. Output: one document with fixed field names in a fixed order.
//! Invariants: every field is there; a list has a limit and is cut at it, never beyond; a time that never was is 0, a
//! text that does not apply is empty, nothing is null; there is no number with a fraction. Fields are added and never
//! taken away. It reads no row and no clock.

mod ext;
mod list;
mod rows;
mod sections;
mod words;

pub use ext::{
    BuildInfo, CandleFill, CandleStop, Candles, Check, Churn, CodeCount, Ext, Funnel, Gate,
    Heartbeat, IngestInfo, Latency, Limits, Ohlc, Percentiles, Point, PositionCard, Route, Series,
    StreamAge, SymbolInfo,
};
pub use list::List;
pub use rows::{
    AlertAggregateRow, Cooldown, CostsBps, Feature, IntentRow, MarketSymbolRow, OrderRow, PairOver,
    ReconcileDiffRow, StageHistoryRow, SymbolExposure, TopKItemRow,
};
pub use sections::{
    AiGateSnapshot, HealthSnapshot, IntentCounts, IntentsSnapshot, MarketSnapshot,
    ReconcileSnapshot, RiskSnapshot, TopKSnapshot,
};
pub use words::{AuditPressure, DriftLabel, IntentState, NoOrderClass, PairAction};

use crate::shape::contract;
use crate::units::TsMs;
use crate::vocab::Mode;
use penstock_types::vocab::{ReasonCode, StageName, SysMode};

/// Most active alerts of a document.
pub const ALERTS_MAX: usize = 50;
/// Most entries of the stage's history.
pub const STAGES_MAX: usize = 20;
/// Most rows of the lists whose length the configuration sets (10 to 200).
pub const ROWS_MAX: usize = 200;
/// Most orders of the orders' document.
pub const ORDERS_MAX: usize = 500;

contract! {
    /// State of the system at one moment
    pub DashboardSnapshot {
        /// When it was built
        ts_ms: TsMs,
        /// The one mode of operation: there is no simulated one
        mode: Mode,
        /// System mode
        sys_mode: SysMode,
        /// Since when
        sys_mode_since_ts_ms: TsMs,
        /// Causes that hold now, the highest first
        active_reason_codes: List<ReasonCode, 64>,
        /// Seconds since the session began
        uptime_s: i64,
        /// Run of the publication that is bound, or empty
        run_id: String,
        /// Last evaluation, or empty
        cycle_id: String,
        /// Decision in work, or empty
        decision_id: String,
        /// Stage
        stage: StageName,
        /// Since when
        stage_since_ts_ms: TsMs,
        /// Active alerts: CRIT, WARN, INFO, then the newest first
        alerts_active: List<AlertAggregateRow, ALERTS_MAX>,
        /// Changes of the stage, the newest first
        stage_history: List<StageHistoryRow, STAGES_MAX>,
        /// Process, disk, databases, audit queue
        health: HealthSnapshot,
        /// Intents of orders
        intents: IntentsSnapshot,
        /// Comparison with the venue
        reconcile: ReconcileSnapshot,
        /// Symbols
        market: MarketSnapshot,
        /// Exposure, results, limits
        risk: RiskSnapshot,
        /// The AI gate's last answer
        aigate: AiGateSnapshot,
        /// The finalists
        topk: TopKSnapshot,
        /// What is not part of version 1
        ext: Ext,
    }
}
