//! The rows of a judged epoch: the snapshot of the universe and the epoch itself.
//!
//! Input: the judgement with its times and sets. Output: plain rows for both clusters. Nothing is decided
//! here.

use super::epochs::{Epochs, Progress};
use super::publisher::PublishedCut;
use penstock_market::epoch::EpochJudgement;
use penstock_store::twins::{EpochCriteria, JudgedEpochRow, UniverseSnapshotRow};
use penstock_types::{EpochId, RunId, SnapshotId, Symbol, UtcMicros};

impl Epochs {
    pub(super) fn snapshot(
        &self,
        epoch_id: EpochId,
        run_id: RunId,
        progress: &Progress,
        at: UtcMicros,
    ) -> UniverseSnapshotRow {
        let universe = &self.layers.universe;
        let texts = |symbols: &[Symbol]| symbols.iter().map(|s| s.as_str().to_owned()).collect();
        let mut tracked = universe.tracked.clone();
        tracked.sort();
        let mut level3 = universe.l3.clone();
        level3.sort();
        UniverseSnapshotRow {
            snapshot_id: SnapshotId(epoch_id.0),
            run_id,
            lineage_id: progress.lineage,
            as_of: at,
            published_at: at,
            execution_symbols: texts(&universe.execution),
            pinned_symbols: texts(&universe.pinned),
            l3_symbols: texts(&level3),
            tracked_symbols: texts(&tracked),
            excluded: serde_json::json!(universe.excluded),
            universe_hash: universe.hash(),
            fencing_token: self.hub.context.token,
        }
    }

    pub(super) fn row(
        &self,
        epoch_id: EpochId,
        progress: &Progress,
        j: &EpochJudgement,
        cut: &PublishedCut,
        times: (UtcMicros, UtcMicros, UtcMicros),
    ) -> JudgedEpochRow {
        let (window_start, created_at, completed_at) = times;
        let count = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
        JudgedEpochRow {
            epoch_id,
            lineage_id: progress.lineage,
            epoch_seq: progress.seq,
            run_id: cut.job.cut.run_id,
            snapshot_id: j.has_snapshot.then_some(SnapshotId(epoch_id.0)),
            generation_id: Some(cut.job.cut.generation_id),
            status: j.status,
            window_start,
            window_end: cut.job.cut.as_of,
            created_at,
            completed_at,
            symbol_count: count(j.symbol_count),
            entry_set_count: count(j.entry_set_count),
            pinned_excluded_count: count(j.pinned_excluded_count),
            hard_blocked_excluded_count: count(j.hard_blocked_excluded_count),
            frac_ticker: Some(j.frac_ticker),
            frac_trade: Some(j.frac_trade),
            frac_l2: Some(j.frac_l2),
            frac_l3: j.frac_l3,
            l3_mode: Some(j.l3_mode),
            criteria: EpochCriteria {
                ticker_ok: j.criteria_ticker_ok,
                trade_ok: j.criteria_trade_ok,
                l2_ok: j.criteria_l2_ok,
                l3_ok: j.criteria_l3_ok,
                pinned_ok: j.criteria_pinned_ok,
                universe_ok: j.criteria_universe_ok,
                continuity_ok: j.criteria_continuity_ok,
                durability_ok: j.criteria_durability_ok,
            },
            reasons: j.reasons.clone(),
            fencing_token: self.hub.context.token,
        }
    }
}
