//! What a cycle binds to: publication, fence, epoch, universe snapshot, instruments, safety.
//!
//! Purpose: the rows that say which data may be traded on. Inputs: columns. Outputs: values. It holds
//! no rule; the rules that read these rows stand in `trading`.

use crate::vocab::{EpochStatus, L3Mode, SafetyMode};
use crate::{
    Decimal, EpochId, FencingToken, GenerationId, LineageId, RunId, SnapshotId, Symbol, UtcMicros,
};
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Row of `state_publication`: the pointer to a domain's current generation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicationRow {
    /// Domain.
    pub domain: String,
    /// Run that sealed the generation.
    pub run_id: RunId,
    /// Lineage of the run.
    pub lineage_id: LineageId,
    /// The generation.
    pub generation_id: GenerationId,
    /// Ingest fence under which it was published.
    pub fencing_token: FencingToken,
    /// Time of the cut, a label.
    pub as_of: UtcMicros,
    /// Monotonic milliseconds from the cut to the publication.
    pub as_of_lag_ms: i32,
    /// Age of the newest message of the whole domain at the cut.
    pub last_msg_age_ms: i32,
    /// Decision clock of the publication.
    pub published_at: UtcMicros,
    /// Rows of the generation.
    pub row_count: i32,
    /// SHA-256 of its rows as lower-case hex.
    pub content_hash: String,
    /// A gap of the record was open at the cut.
    pub gap_open: bool,
}

impl PublicationRow {
    /// Age of the state at `now` of the decision clock, free of host clock skew.
    #[must_use]
    pub const fn state_age_ms(&self, now: UtcMicros) -> i64 {
        now.millis_since(self.published_at).saturating_add(self.as_of_lag_ms as i64)
    }

    /// Age of the newest message behind the state at `now`.
    #[must_use]
    pub const fn data_age_ms(&self, now: UtcMicros) -> i64 {
        self.state_age_ms(now).saturating_add(self.last_msg_age_ms as i64)
    }
}

/// Row of `service_fences`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FenceRow {
    /// Token of the holder.
    pub fencing_token: FencingToken,
    /// End of the lease, decision clock.
    pub lease_expires_at: UtcMicros,
}

/// Row of `ingest_epochs`, as far as binding reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochRow {
    /// Epoch.
    pub epoch_id: EpochId,
    /// Its lineage.
    pub lineage_id: LineageId,
    /// Run in which its window closed.
    pub run_id: RunId,
    /// Its universe, present for `valid` and `degraded`.
    pub snapshot_id: Option<SnapshotId>,
    /// Judgement.
    pub status: EpochStatus,
    /// When it was judged, decision clock.
    pub completed_at: Option<UtcMicros>,
    /// How much of the order-by-order books it saw.
    pub l3_mode: Option<L3Mode>,
}

/// Row of `execution_universe_snapshots`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotRow {
    /// Snapshot.
    pub snapshot_id: SnapshotId,
    /// Run.
    pub run_id: RunId,
    /// Lineage.
    pub lineage_id: LineageId,
    /// Symbols that may be traded.
    pub execution_symbols: Vec<Symbol>,
    /// Symbols with a position or a live order when it was built.
    pub pinned_symbols: Vec<Symbol>,
    /// Symbols with order-by-order books.
    pub l3_symbols: Vec<Symbol>,
}

/// Row of `instruments`: the venue's rules for a pair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstrumentRow {
    /// Symbol.
    pub symbol: Symbol,
    /// Asset bought.
    pub base: String,
    /// Asset paid.
    pub quote: String,
    /// Status text of the venue; `online` allows entries.
    pub status: String,
    /// Price step.
    pub price_increment: Decimal,
    /// Quantity step.
    pub qty_increment: Decimal,
    /// Least quantity of an order.
    pub qty_min: Decimal,
    /// Least cost of an order in quote.
    pub cost_min: Decimal,
    /// Digits of a price; 0 in inputs that were stored without it.
    #[serde(default)]
    pub price_precision: i32,
    /// Digits of a quantity, likewise.
    #[serde(default)]
    pub qty_precision: i32,
    /// Hash of the rules, 64 hex digits; empty in inputs that were stored without it.
    #[serde(default)]
    pub content_hash: String,
}

impl InstrumentRow {
    /// The venue takes entries.
    #[must_use]
    pub fn is_online(&self) -> bool {
        self.status == "online"
    }
}

/// Row of `symbol_safety_effective`; a symbol without one is `normal`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SafetyRow {
    /// Symbol.
    pub symbol: Symbol,
    /// Strictest live mode.
    pub mode: SafetyMode,
    /// End of the quiet period, if there is one.
    pub quiet_until: Option<UtcMicros>,
    /// End of the hard block, if it has one.
    pub hard_block_until: Option<UtcMicros>,
    /// Live causes, strictest first.
    pub causes: Vec<String>,
    /// The mode is that of a quarantine; rows that were stored without it had none.
    #[serde(default)]
    pub is_quarantine: bool,
}
