//! What only the process knows: the other half of a document, beside the rows.
//!
//! Input: a service that fills it. Output: figures of one moment. Invariants: looking waits for nothing longer than the
//! copy of a value; it is the panel's only way to the service, and nothing leads back.

use std::collections::BTreeMap;

use penstock_contracts::alert::Alert;
use penstock_contracts::dashboard::{AuditPressure, Check, Limits, SymbolInfo};
use penstock_types::vocab::{ReasonCode, StageName, SysMode};
use penstock_types::{Decimal, EvaluationId, RunId, Symbol};

/// The best of a book.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Best {
    /// Bid.
    pub bid: Decimal,
    /// Ask.
    pub ask: Decimal,
}

/// Windows over a symbol's quotes of the last minute, basis points and shares times 10,000.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Window {
    /// Spread now.
    pub spread_now_bps: i32,
    /// Its median.
    pub spread_p50_bps: i32,
    /// Its 90th percentile.
    pub spread_p90_bps: i32,
    /// That less the one of ten seconds ago.
    pub spread_p90_delta_bps: i32,
    /// Median share of the bid over ten seconds.
    pub imbalance_x10000: i32,
    /// What is remarkable.
    pub flags: Vec<ReasonCode>,
}

/// The audit trail's writer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Writer {
    /// Fill of its queue, percent times 10,000.
    pub queue_pct_x10000: i64,
    /// Events that wait.
    pub queue_len: i64,
    /// Age of the oldest without a row.
    pub lag_ms: i64,
    /// How hard it is pressed.
    pub pressure: AuditPressure,
    /// Events of the last minute.
    pub events_per_min: i64,
    /// Dropped ones of it.
    pub drops_per_min: i64,
    /// Newest commit of its rows, or 0.
    pub last_commit_ms: i64,
}

/// Figures of one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Live {
    /// Wall clock, milliseconds since 1970.
    pub now_ms: i64,
    /// Mode.
    pub sys_mode: SysMode,
    /// Since when.
    pub sys_mode_since_ms: i64,
    /// Causes that hold, the highest first.
    pub reasons: Vec<ReasonCode>,
    /// Seconds since the session began.
    pub uptime_s: i64,
    /// Run that the last evaluation was bound to.
    pub run_id: Option<RunId>,
    /// Last evaluation.
    pub cycle_id: Option<EvaluationId>,
    /// Its end, or 0.
    pub last_cycle_ms: i64,
    /// Decision in work, or empty.
    pub decision_id: String,
    /// Stage.
    pub stage: StageName,
    /// Since when.
    pub stage_since_ms: i64,
    /// Active alerts, in any order.
    pub alerts: Vec<Alert>,
    /// Free bytes of the fullest watched path; 0 before the first look.
    pub disk_free_bytes: i64,
    /// Resident memory.
    pub rss_bytes: i64,
    /// Processor time, percent of one processor times 10,000.
    pub cpu_pct_x10000: i64,
    /// The audit trail's writer.
    pub writer: Writer,
    /// Quotes that stand.
    pub quotes: BTreeMap<Symbol, Best>,
    /// Windows over them.
    pub windows: BTreeMap<Symbol, Window>,
    /// What engine and modes say of symbols; the rows add regime and mode.
    pub symbols: Vec<SymbolInfo>,
    /// States of the clusters of tokens.
    pub cluster_fsm: Vec<String>,
    /// Phase of a scheduled event, or empty.
    pub event_phase: String,
    /// Use of the venue's budgets.
    pub limits: Limits,
    /// The start's checklist.
    pub checklist: Vec<Check>,
    /// Symbols whose position waits for a look at the venue.
    pub confirm_pending: Vec<Symbol>,
    /// What open buy orders of others hold of the quote asset; no row says it.
    pub foreign_holds_quote: Decimal,
}

/// Where the figures come from.
pub trait Look: Send + Sync + 'static {
    /// The figures now.
    fn look(&self) -> Live;
}
