//! The sections before anything was read.

use penstock_contracts::DecStr;
use penstock_contracts::dashboard::{
    AiGateSnapshot, BuildInfo, Churn, DriftLabel, Ext, Funnel, IngestInfo, IntentCounts,
    IntentsSnapshot, Latency, Limits, List, MarketSnapshot, NoOrderClass, Percentiles,
    ReconcileSnapshot, RiskSnapshot, TopKSnapshot,
};
use penstock_contracts::units::{HashOrEmpty, TsMs, X10000};
use penstock_contracts::vocab::AiVerdict;
use rust_decimal::Decimal;

use super::Stored;
use crate::settings::Identity;

impl Stored {
    /// Nothing is known but the session's identity.
    #[must_use]
    pub fn empty(identity: &Identity) -> Self {
        Self {
            stage_history: List::default(),
            db_bytes: 0,
            wal_bytes: 0,
            intents: IntentsSnapshot {
                pending_by_state: IntentCounts::default(),
                recent: List::default(),
            },
            reconcile: ReconcileSnapshot {
                last_reconcile_rest_ts_ms: TsMs(0),
                last_reconcile_rest_dur_ms: 0,
                drift_score_x10000: X10000(0),
                drift_label: DriftLabel::Ok,
                recent_diffs: List::default(),
            },
            market: MarketSnapshot { symbols: List::default() },
            risk: risk(),
            aigate: never_asked(identity.ai_dec),
            topk: TopKSnapshot {
                cycle_id: String::new(),
                items: List::default(),
                max_pairwise_corr_x10000: X10000(0),
                pairs_over_limit: List::default(),
            },
            ext: ext(identity),
            day_ms: 0,
        }
    }
}

fn risk() -> RiskSnapshot {
    let zero = DecStr::of(Decimal::ZERO);
    RiskSnapshot {
        exposure_total_quote: zero,
        exposure_by_symbol_quote: List::default(),
        locked_quote: zero,
        free_quote: zero,
        daily_pnl_realized_quote: zero,
        daily_pnl_unrealized_quote: zero,
        daily_loss_limit_remaining_quote: zero,
        drawdown_quote: zero,
        trades_today: 0,
        cooldowns: List::default(),
    }
}

/// A gate that was never asked lets everything pass while it is off, and nothing while it is on.
pub(super) fn never_asked(ai_dec: i64) -> AiGateSnapshot {
    AiGateSnapshot {
        last_call_ts_ms: TsMs(0),
        latency_ms: 0,
        model: String::new(),
        verdict: if ai_dec == 0 { AiVerdict::Allow } else { AiVerdict::Block },
        reason_codes: List::default(),
        input_hash: HashOrEmpty::default(),
        snapshot_hash: HashOrEmpty::default(),
        raw_hash: HashOrEmpty::default(),
        modify_applied: false,
        error_kind: String::new(),
    }
}

/// The session's identity, and nothing else yet.
pub(super) fn ext(identity: &Identity) -> Ext {
    let none = Percentiles { n: 0, p50_ms: 0, p95_ms: 0, p99_ms: 0 };
    Ext {
        build: BuildInfo {
            git_commit: identity.git_commit.clone(),
            version: identity.version.clone(),
            config_hash: identity.config_hash.clone(),
        },
        venue: identity.venue.clone(),
        session_id: identity.session_id.0.to_string(),
        ai_dec: identity.ai_dec,
        execution_enable: identity.execution_enable,
        engine_mode: identity.engine_mode.clone(),
        ingest: IngestInfo {
            run_id: 0,
            epoch_id: 0,
            epoch_status: String::new(),
            epoch_age_ms: 0,
            snapshot_id: 0,
            generation_id: 0,
            visible_generation_id: 0,
            generation_age_ms: 0,
            lineage_id: String::new(),
        },
        heartbeats: List::default(),
        alert_sound: identity.alert_sound,
        standby_orders: 0,
        routes: List::default(),
        symbols: List::default(),
        gates: List::default(),
        stream_ages: List::default(),
        cluster_fsm: List::default(),
        event_phase: String::new(),
        engine_alerts: List::default(),
        positions: List::default(),
        candles: List::default(),
        funnel: Funnel {
            eligible: 0,
            topn: 0,
            deep: 0,
            topk: 0,
            proposed: 0,
            ai_allow: 0,
            risk_allow: 0,
            sent: 0,
            filled: 0,
        },
        blocks_by_code: List::default(),
        no_order_class: NoOrderClass::None,
        latency: Latency {
            decision_submit: none.clone(),
            submit_ack: none.clone(),
            ack_fill: none.clone(),
            fill_stop: none,
        },
        limits: Limits { rest_counter_x10000: X10000(0), engine_counter_x10000: X10000(0) },
        churn: Churn { count_10s: 0, count_60s: 0 },
        series: List::default(),
        checklist: List::default(),
        backup_age_ms: 0,
        stale_ms: 0,
    }
}
