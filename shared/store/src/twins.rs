//! Rows that stand on both clusters in equal form: runs, lineages, universe snapshots, epochs,
//! instruments; and `run_symbols`, which frames refer to.
//!
//! Plain values: both query crates write them, the frame spool keeps runs, lineages and symbols as
//! JSON. Immutable fields of a run or lineage never change after the first insert; who meets another
//! value under the same id stops.

use chrono::{DateTime, Utc};
use penstock_types::vocab::{EpochStatus, L3Mode};
use penstock_types::{
    Decimal, EpochId, FencingToken, GenerationId, LineageId, RunId, SnapshotId, Symbol, UtcMicros,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Row of `observation_runs` without what is written at its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRow {
    /// Run.
    pub run_id: RunId,
    /// Domain.
    pub domain: String,
    /// `ingest`, `observe` or `replay`.
    pub mode: String,
    /// Lineage in which the run began.
    pub lineage_id: LineageId,
    /// Run before it after a rollover.
    pub predecessor_run_id: Option<RunId>,
    /// Token of the ingest fence.
    pub fencing_token: FencingToken,
    /// Host name.
    pub host: String,
    /// Process.
    pub pid: i32,
    /// Commit of the binary.
    pub git_commit: String,
    /// The binary was built from a changed tree.
    pub git_dirty: bool,
    /// Build profile.
    pub build_profile: String,
    /// Hash of the configuration.
    pub config_hash: String,
    /// SHA-256 of `bindings`, hex.
    pub bindings_hash: String,
    /// Canonical JSON of the token bindings: hundreds of objects, so all runs of a process share one.
    pub bindings: Arc<serde_json::Value>,
    /// Highest version of the set `both` in the binary.
    pub schema_version: i32,
    /// Start.
    pub started_at: UtcMicros,
}

/// Row of `ingest_lineage` without its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineageRow {
    /// Lineage.
    pub lineage_id: LineageId,
    /// Domain.
    pub domain: String,
    /// First run.
    pub first_run_id: RunId,
    /// Lineage before it.
    pub parent_lineage_id: Option<LineageId>,
    /// Why it began: `process_start`, `stream_gap`, `universe_config_change`, `schema_change`,
    /// `clock_step`, `operator`.
    pub reason: String,
    /// Token of the ingest fence.
    pub fencing_token: FencingToken,
    /// Hash of the universe's configuration.
    pub config_hash: String,
    /// Start.
    pub started_at: UtcMicros,
}

/// Row of `run_symbols`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunSymbolRow {
    /// Run.
    pub run_id: RunId,
    /// Number within the run, 1..=65535.
    pub symbol_no: u16,
    /// Symbol.
    pub symbol: Symbol,
    /// Scale of prices in quote blocks.
    pub price_decimals: i16,
    /// Scale of quantities in quote blocks.
    pub qty_decimals: i16,
}

/// Row of `execution_universe_snapshots`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UniverseSnapshotRow {
    /// Snapshot.
    pub snapshot_id: SnapshotId,
    /// Run.
    pub run_id: RunId,
    /// Lineage.
    pub lineage_id: LineageId,
    /// When the sets were frozen.
    pub as_of: UtcMicros,
    /// When it was published.
    pub published_at: UtcMicros,
    /// Symbols that may be traded; never empty.
    pub execution_symbols: Vec<String>,
    /// Symbols with a position or a live order.
    pub pinned_symbols: Vec<String>,
    /// Symbols with order-by-order books.
    pub l3_symbols: Vec<String>,
    /// All symbols of the state.
    pub tracked_symbols: Vec<String>,
    /// Excluded symbols with their reason.
    pub excluded: serde_json::Value,
    /// Hash over the sets.
    pub universe_hash: String,
    /// Token of the ingest fence.
    pub fencing_token: FencingToken,
}

/// Row of `ingest_epochs`, judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JudgedEpochRow {
    /// Epoch.
    pub epoch_id: EpochId,
    /// Lineage.
    pub lineage_id: LineageId,
    /// Number within the lineage.
    pub epoch_seq: i32,
    /// Run in which the window closed.
    pub run_id: RunId,
    /// Universe; there for `valid` and `degraded`.
    pub snapshot_id: Option<SnapshotId>,
    /// Generation on which the criteria were computed.
    pub generation_id: Option<GenerationId>,
    /// Judgement; never `pending` here.
    pub status: EpochStatus,
    /// Start of the window.
    pub window_start: UtcMicros,
    /// End of the window.
    pub window_end: UtcMicros,
    /// When the judging began.
    pub created_at: UtcMicros,
    /// When it was judged.
    pub completed_at: UtcMicros,
    /// Symbols of the state.
    pub symbol_count: i32,
    /// Symbols of the entry set.
    pub entry_set_count: i32,
    /// Execution symbols left out because they are pinned.
    pub pinned_excluded_count: i32,
    /// Execution symbols left out because they are blocked.
    pub hard_blocked_excluded_count: i32,
    /// Share with enough ticker rows.
    pub frac_ticker: Option<Decimal>,
    /// Share with a trade.
    pub frac_trade: Option<Decimal>,
    /// Share with enough L2 samples.
    pub frac_l2: Option<Decimal>,
    /// Share with enough L3 samples.
    pub frac_l3: Option<Decimal>,
    /// Coverage by order-by-order books.
    pub l3_mode: Option<L3Mode>,
    /// Criteria: ticker, trade, L2, L3, pinned, universe, continuity, durability.
    pub criteria: EpochCriteria,
    /// Reasons of a status below `valid`.
    pub reasons: Vec<String>,
    /// Token of the ingest fence.
    pub fencing_token: FencingToken,
}

/// The eight criteria of an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EpochCriteria {
    /// Enough symbols with ticker rows.
    pub ticker_ok: bool,
    /// Enough symbols with trades.
    pub trade_ok: bool,
    /// Enough symbols with good L2 samples.
    pub l2_ok: bool,
    /// Enough symbols with L3 samples, or L3 off.
    pub l3_ok: bool,
    /// Every pinned symbol can be priced.
    pub pinned_ok: bool,
    /// The entry set is large enough.
    pub universe_ok: bool,
    /// No long gap in the window.
    pub continuity_ok: bool,
    /// Nothing was shed or unsynced for long.
    pub durability_ok: bool,
}

/// Row of `instruments`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstrumentTwin {
    /// Symbol.
    pub symbol: String,
    /// Asset bought.
    pub base: String,
    /// Asset paid.
    pub quote: String,
    /// Status text of the venue.
    pub status: String,
    /// Price step.
    pub price_increment: Decimal,
    /// Quantity step.
    pub qty_increment: Decimal,
    /// Least quantity.
    pub qty_min: Decimal,
    /// Least cost.
    pub cost_min: Decimal,
    /// Digits of prices.
    pub price_precision: i16,
    /// Digits of quantities.
    pub qty_precision: i16,
    /// The venue lends on it.
    pub marginable: bool,
    /// Hash of the fields above; an equal row is not written.
    pub content_hash: String,
}

/// An id under which two different rows claim to stand: a broken invariant of the writer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{table} {id} stands with other immutable fields ({field}); next: stop, two writers share an id"
)]
pub struct TwinMismatch {
    /// Table.
    pub table: &'static str,
    /// Id.
    pub id: String,
    /// First field that differs.
    pub field: &'static str,
}

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunEnd {
    /// Clean stop.
    Shutdown,
    /// The next run goes on in the same lineage.
    Rollover,
    /// The process was to end after a time.
    MaxDuration,
    /// Another instance took the fence.
    Fenced,
    /// A successor found it open.
    CrashDetected,
}

impl RunEnd {
    /// The word of column `end_reason`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Shutdown => "shutdown",
            Self::Rollover => "rollover",
            Self::MaxDuration => "max_duration",
            Self::Fenced => "fenced",
            Self::CrashDetected => "crash_detected",
        }
    }
}

/// A time as the driver wants it. Times outside the driver's range saturate at its ends, which
/// PostgreSQL then refuses.
#[must_use]
pub fn db_time(t: UtcMicros) -> DateTime<Utc> {
    t.to_chrono().unwrap_or(if t.0 < 0 {
        DateTime::<Utc>::MIN_UTC
    } else {
        DateTime::<Utc>::MAX_UTC
    })
}
