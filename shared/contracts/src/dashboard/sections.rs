//! Sections of the dashboard's document.

use super::ROWS_MAX;
use super::list::List;
use super::rows::{
    Cooldown, IntentRow, MarketSymbolRow, PairOver, ReconcileDiffRow, SymbolExposure, TopKItemRow,
};
use super::words::{AuditPressure, DriftLabel};
use crate::amount::DecStr;
use crate::shape::{Shape, contract, object};
use crate::units::{HashOrEmpty, PctX10000, TsMs, X10000};
use crate::vocab::AiVerdict;
use penstock_types::vocab::ReasonCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;

contract! {
    /// Process, disk, databases, audit queue
    pub HealthSnapshot {
        /// Free bytes, the least of the watched paths
        disk_free_bytes: i64,
        /// Size of the decision database. The name is older than the database
        sqlite_bytes: i64,
        /// Size of its cluster's write-ahead log; 0 when we may not look
        wal_bytes: i64,
        /// Resident memory
        process_rss_bytes: i64,
        /// Processor time in percent of one processor
        process_cpu_pct_x10000: PctX10000,
        /// Fill of the audit queue
        audit_writer_queue_pct_x10000: PctX10000,
        /// Events that wait in it
        audit_writer_queue_len: i64,
        /// Age of the oldest event without a row
        audit_writer_lag_ms: i64,
        /// How hard the writer is pressed
        audit_writer_pressure: AuditPressure,
        /// Audit events of the last minute
        events_per_min: i64,
        /// Dropped ones of it
        drops_per_min: i64,
        /// End of the last evaluation
        last_cycle_ts_ms: TsMs,
        /// Newest commit of the audit writer's rows
        last_writer_commit_ts_ms: TsMs,
    }
}

/// Number of intents by state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "SCREAMING_SNAKE_CASE")]
pub struct IntentCounts {
    /// Written, not sent.
    pub created: i64,
    /// Sent, outcome unknown.
    pub sent_unknown: i64,
    /// At the venue.
    pub confirmed: i64,
    /// Proven absent.
    pub not_found: i64,
    /// Refused or never sent.
    pub failed_terminal: i64,
}

impl Shape for IntentCounts {
    fn shape() -> Value {
        object(
            "Number of intents by state",
            vec![
                ("CREATED", "Written, not sent; of any age", i64::shape()),
                ("SENT_UNKNOWN", "Sent, outcome unknown; of any age", i64::shape()),
                ("CONFIRMED", "At the venue; last 24 hours", i64::shape()),
                ("NOT_FOUND", "Proven absent; last 24 hours", i64::shape()),
                ("FAILED_TERMINAL", "Refused or never sent; last 24 hours", i64::shape()),
            ],
        )
    }
}

contract! {
    /// Intents of orders, without standby rows
    pub IntentsSnapshot {
        /// Number by state
        pending_by_state: IntentCounts,
        /// The newest first
        recent: List<IntentRow, ROWS_MAX>,
    }
}

contract! {
    /// Comparison with the venue
    pub ReconcileSnapshot {
        /// Begin of the last pass
        last_reconcile_rest_ts_ms: TsMs,
        /// How long it took
        last_reconcile_rest_dur_ms: i64,
        /// What it found
        drift_score_x10000: X10000,
        /// That in a word
        drift_label: DriftLabel,
        /// The newest first
        recent_diffs: List<ReconcileDiffRow, ROWS_MAX>,
    }
}

contract! {
    /// Symbols: those watched first, then the pre-selection, best first
    pub MarketSnapshot {
        /// Symbols
        symbols: List<MarketSymbolRow, ROWS_MAX>,
    }
}

contract! {
    /// Exposure, results, limits; amounts in the quote asset
    pub RiskSnapshot {
        /// Value of all positions
        exposure_total_quote: DecStr,
        /// Value by symbol
        exposure_by_symbol_quote: List<SymbolExposure, ROWS_MAX>,
        /// Open reservations and holds of live orders
        locked_quote: DecStr,
        /// What can still be spent
        free_quote: DecStr,
        /// Result of today's closed quantities
        daily_pnl_realized_quote: DecStr,
        /// Result of open positions at their bids
        daily_pnl_unrealized_quote: DecStr,
        /// What of the smaller daily limit is left
        daily_loss_limit_remaining_quote: DecStr,
        /// Distance to the highest equity
        drawdown_quote: DecStr,
        /// Entries of today that were filled
        trades_today: i64,
        /// Symbols that rest or traded within the hour
        cooldowns: List<Cooldown, ROWS_MAX>,
    }
}

contract! {
    /// The AI gate's last answer
    pub AiGateSnapshot {
        /// When it was asked
        last_call_ts_ms: TsMs,
        /// How long it took
        latency_ms: i64,
        /// Model, or empty
        model: String,
        /// Verdict; a failure counts as BLOCK
        verdict: AiVerdict,
        /// Reasons
        reason_codes: List<ReasonCode, 64>,
        /// Hash of what it was shown
        input_hash: HashOrEmpty,
        /// Hash of the snapshot
        snapshot_hash: HashOrEmpty,
        /// Hash of what it said
        raw_hash: HashOrEmpty,
        /// Its change was taken
        modify_applied: bool,
        /// How it failed, or empty
        error_kind: String,
    }
}

contract! {
    /// The finalists of the last selection
    pub TopKSnapshot {
        /// Evaluation, or empty
        cycle_id: String,
        /// Finalists, best first
        items: List<TopKItemRow, 20>,
        /// Greatest correlation of two of them
        max_pairwise_corr_x10000: X10000,
        /// Pairs that move together too much
        pairs_over_limit: List<PairOver, ROWS_MAX>,
    }
}
