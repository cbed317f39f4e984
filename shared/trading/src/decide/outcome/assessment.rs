//! What the data of a cycle allow: binding, lineage, generation, ages, integrity.
//!
//! Purpose: plain fields of the steps before the selection. Inputs: those steps. Outputs: values that are hashed with
//! the outcome. Invariants: no floating point number.

use penstock_types::vocab::EpochStatus;
use penstock_types::{EpochId, LineageId, RunId, SnapshotId};
use serde::{Deserialize, Serialize};

/// Epoch and universe that a cycle is bound to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// Epoch.
    pub epoch_id: EpochId,
    /// Its judgement: valid for entries, degraded for exits only.
    pub status: EpochStatus,
    /// Age of the epoch, milliseconds.
    pub epoch_age_ms: i64,
    /// Its run.
    pub run_id: RunId,
    /// Its lineage.
    pub lineage_id: LineageId,
    /// Its universe.
    pub snapshot_id: SnapshotId,
    /// Symbols of the universe.
    pub execution_count: i64,
    /// Pinned symbols of the universe.
    pub pinned_count: i64,
}

/// A lineage other than the one bound before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineageBreak {
    /// Bound before; none in later cycles of the grace.
    pub from: Option<LineageId>,
    /// Bound now.
    pub to: LineageId,
    /// Evaluations of grace left after this one.
    pub cycles_left: i64,
}

/// Why a generation may not be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SyncProblem {
    /// No pointer, or no fence of ingest.
    NoPublication,
    /// A row of another generation.
    TornRead,
    /// Number of rows differs from the pointer's.
    RowCount,
    /// Recomputed hash differs.
    ContentHash,
    /// Pointer and ingest fence carry different tokens.
    FenceChanged,
}

impl SyncProblem {
    /// Text of markers and rows.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoPublication => "no_publication",
            Self::TornRead => "torn_read",
            Self::RowCount => "row_count",
            Self::ContentHash => "content_hash",
            Self::FenceChanged => "fence_changed",
        }
    }
}

/// Integrity matrix of a cycle.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Matrix {
    /// Epoch young enough, ingest lease alive, state young enough.
    pub global_liveness: bool,
    /// Snapshot, epoch and publication share the lineage; 98 % of the universe has a row.
    pub snapshot_coherence: bool,
    /// Newest message young enough, no gap open.
    pub market_freshness: bool,
    /// Enough symbols may be traded.
    pub universe_viability: bool,
    /// Connected, snapshots received, not silent.
    pub private_stream_ok: bool,
    /// No exit plan is unprotected.
    pub exposure_protected: bool,
    /// At most half of the universe is hard-blocked; informative.
    pub l3_integrity: bool,
    /// Hard-blocked symbols of the universe.
    pub hard_blocked_exec_count: i64,
    /// Symbols of the universe before the filter.
    pub total_exec_before_filter: i64,
}

impl Matrix {
    /// Every field but the informative one is true.
    #[must_use]
    pub const fn system_live_ready(&self) -> bool {
        self.global_liveness
            && self.snapshot_coherence
            && self.market_freshness
            && self.universe_viability
            && self.private_stream_ok
            && self.exposure_protected
    }
}

/// What the steps before the selection found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assessment {
    /// Bound epoch and universe.
    pub binding: Option<Binding>,
    /// Lineage break or its grace.
    pub lineage_break: Option<LineageBreak>,
    /// Why the generation may not be used.
    pub sync: Option<SyncProblem>,
    /// State age, milliseconds.
    pub state_age_ms: Option<i64>,
    /// Age of the newest message, milliseconds.
    pub data_age_ms: Option<i64>,
    /// One of the two ages is beyond its limit.
    pub data_stale: bool,
    /// Matrix.
    pub matrix: Matrix,
}
