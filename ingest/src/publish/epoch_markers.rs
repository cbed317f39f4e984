//! What a judgement says in the log: every criterion and share, and how the warm-up ended.

use penstock_market::epoch::EpochJudgement;
use penstock_telemetry::marker;
use penstock_types::vocab::EpochStatus;
use penstock_types::{EpochId, RunId};

/// Every criterion and every share.
pub(crate) fn tell_judgement(epoch_id: EpochId, j: &EpochJudgement) {
    marker!(
        EPOCH_VALIDITY_COMPUTED,
        epoch_id = epoch_id,
        status = j.status.as_str(),
        symbol_count = j.symbol_count,
        entry_validity_count = j.entry_set_count,
        pinned_excluded_count = j.pinned_excluded_count,
        hard_blocked_excluded_count = j.hard_blocked_excluded_count,
        frac_ticker = j.frac_ticker,
        frac_trade = j.frac_trade,
        frac_l2 = j.frac_l2,
        frac_l3 = j.frac_l3,
        l3_mode = j.l3_mode.as_str(),
        criteria_universe_ok = j.criteria_universe_ok,
        criteria_ticker_ok = j.criteria_ticker_ok,
        criteria_trade_ok = j.criteria_trade_ok,
        criteria_l2_ok = j.criteria_l2_ok,
        criteria_l3_ok = j.criteria_l3_ok,
        criteria_pinned_ok = j.criteria_pinned_ok,
        criteria_continuity_ok = j.criteria_continuity_ok,
        criteria_durability_ok = j.criteria_durability_ok,
    );
}

/// How the warm-up ended, as long as no epoch was valid.
pub(crate) fn tell_warm_up(run_id: RunId, j: &EpochJudgement) {
    let symbol_count = j.symbol_count;
    if j.status == EpochStatus::Valid {
        marker!(
            DATA_WARMUP_COMPLETE,
            run_id = run_id,
            symbol_count = symbol_count,
            ticker = j.frac_ticker,
            trade = j.frac_trade,
            l2 = j.frac_l2,
            l3 = j.frac_l3,
        );
        marker!(INGEST_WARMUP_STATE, state = "live_ready");
    } else {
        marker!(
            DATA_WARMUP_INSUFFICIENT,
            run_id = run_id,
            symbol_count = symbol_count,
            ticker = j.frac_ticker,
            trade = j.frac_trade,
            l2 = j.frac_l2,
            l3 = j.frac_l3,
        );
        marker!(INGEST_WARMUP_STATE, state = "degraded_warmup");
    }
}
