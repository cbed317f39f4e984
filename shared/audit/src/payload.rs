//! What the data of each event holds beside its envelope.
//!
//! Input: an event's type and its data. Output: the keys that are missing. Invariants: every type has its list; no key
//! repeats one of the envelope's, where stage, symbol and the ids stand; amounts are decimal texts. An event that lacks
//! a key is written all the same, because a critical event must not be lost for it: its producer's tests ask here. Data
//! that was refused or was too long lacks keys by right.

use penstock_types::vocab::AuditEventType;
use serde_json::{Map, Value};

/// What an order event says of what was sent, or not.
const SENT: &[&str] = &[
    "role",
    "side",
    "order_type",
    "qty",
    "limit_price",
    "trigger_price",
    "outcome",
    "payload_hash",
];

/// What the venue said of an order.
const REPORTED: &[&str] =
    &["exchange_order_id", "order_state", "filled_qty", "avg_price", "fee_quote", "liquidity"];

/// Keys of a day's summary: the columns of its row.
const SUMMARY: &[&str] = &[
    "day",
    "late",
    "trades",
    "wins",
    "losses",
    "gross_pnl_quote",
    "fees_quote",
    "net_pnl_quote",
    "slippage_bps_avg",
    "max_drawdown_quote",
    "maker_ratio_x10000",
    "blocks_by_code",
    "dust_value_quote",
    "uptime_s_by_mode",
    "fill_to_protection_ms_p50",
    "fill_to_protection_ms_p99",
    "fill_to_protection_ms_max",
    "uncovered_seconds",
];

/// What an event says of a question to the AI gate.
const AI_GATE: &[&str] = &[
    "ai_enabled",
    "ai_verdict",
    "ai_reasons",
    "ai_model",
    "ai_latency_ms",
    "ai_raw_hash",
    "ai_input_hash",
    "ai_snapshot_hash",
    "ai_prompt_hash",
    "ai_modify_applied",
    "ai_attempt",
    "ai_error_code",
    "ai_error_detail_redacted",
];

/// What is said of the life of the process.
const RUN: &[&str] = &[
    "git_commit",
    "build_profile",
    "config_hash",
    "schema_version",
    "venue",
    "ai_dec",
    "engine_mode",
    "prev_session_last_hash",
];

/// What covers a position.
const PROTECTION: &[&str] = &[
    "position_id",
    "state_from",
    "state_to",
    "covered_qty",
    "position_qty",
    "exchange_order_id",
    "trigger_price",
    "fill_to_protection_ms",
];

/// How the finalists were chosen.
const SELECTION: &[&str] = &[
    "topk_pre",
    "topk_final",
    "churn_guard_applied",
    "correlation_applied",
    "max_pairwise_corr_x10000",
    "pairs_over_limit",
];

/// How full the writer is.
const PRESSURE: &[&str] =
    &["queue_pct_x10000", "queue_len", "lag_ms", "action", "drops_total", "drops_delta"];

/// A comparison with the venue.
const RECONCILED: &[&str] =
    &["kind", "cause", "outcome", "position_ids", "dur_ms", "drift_score_x10000", "calls"];

/// Keys of the data of an event of this type.
#[must_use]
pub const fn keys(event_type: AuditEventType) -> &'static [&'static str] {
    use AuditEventType as E;
    match event_type {
        E::RunStarted => RUN,
        E::RunEnded => &["exit_code", "uptime_s"],
        E::ConfigLoaded => &["config_hash", "changed_keys"],
        E::StageChanged => &["stage_from", "summary"],
        E::SysModeChanged => &["mode_from", "mode_to", "trigger_values"],
        E::AlertRaised => &["source", "severity", "primary_reason", "summary", "metrics"],
        E::UniverseEligibility => &["eligible"],
        E::RankTopn => &["items", "config_hash"],
        E::DeepScan => &["items"],
        E::TopkSelection => SELECTION,
        E::SnapshotBuilt => &["snapshot_hash"],
        E::StrategyBlocked => &["route", "first_reason"],
        E::DecisionProposed => {
            &["intent", "strategy", "route", "edge_score_x10000", "edge_bps_expected"]
        }
        E::AigateCall => AI_GATE,
        E::RiskVerdict => {
            &["verdict", "adjusted_min_edge_bps", "multiplier_x10000", "limits", "counters"]
        }
        E::GenerationGate => &["cycle_generation_id", "visible_generation_id", "passed"],
        E::RouteFreshness => &["route", "state_age_ms", "max_state_age_ms", "passed"],
        E::IntentStateChanged => &["state_from", "state_to", "order_state", "role", "cl_ord_id"],
        E::OrderSubmit | E::OrderCancel | E::OrderAmend | E::OrderCancelReplace => SENT,
        E::OrderAck | E::OrderFill | E::OrderClosed => REPORTED,
        E::ProtectionStateChanged => PROTECTION,
        E::PositionChanged => &["position_id", "qty", "avg_entry_price", "realized_pnl_quote"],
        E::CloseSafely => &["position_id", "step", "exit_reason", "attempt", "qty", "outcome"],
        E::ReconcileRest => RECONCILED,
        E::ReconcileDiff => &["diff_kind", "local", "remote", "weight_points", "settled"],
        E::StartupRecovery => {
            &["resume_class", "orders_found", "positions_found", "orders_resolved"]
        }
        E::FiltersRefreshed => &["old_hash", "new_hash", "cause"],
        E::QuarantineChanged => &["cause", "symbol_mode", "until_ts_ms", "counters"],
        E::RateLimitState => &["scope", "counter", "max", "backoff_ms"],
        E::DiskHealthSample => &["free_bytes", "db_bytes", "wal_bytes", "jsonl_bytes"],
        E::DbWriterBackpressure => PRESSURE,
        E::OperatorCommand => &["command", "target", "operator", "reason", "outcome"],
        E::DailySummary => SUMMARY,
        E::BackupDone | E::RetentionApplied => &["target", "bytes", "duration_ms", "outcome"],
        E::AuditDaySealed => &["file", "lines", "last_hash"],
        E::Marker => &["marker", "fields"],
    }
}

/// Keys that the data lacks.
#[must_use]
pub fn missing(event_type: AuditEventType, data: &Map<String, Value>) -> Vec<&'static str> {
    keys(event_type).iter().copied().filter(|key| !data.contains_key(*key)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Draft, ENVELOPE, Event};
    use crate::redact::Redactor;
    use penstock_types::vocab::StageName;

    #[test]
    fn every_event_can_be_written_with_all_its_keys() {
        for event_type in AuditEventType::ALL {
            let keys = keys(*event_type);
            assert!(!keys.is_empty(), "{event_type}");
            let mut draft = Draft::new(StageName::Boot, *event_type, 1);
            assert_eq!(missing(*event_type, &draft.data), keys);
            for key in keys {
                assert!(!ENVELOPE.contains(key), "{event_type} {key}");
                assert!(draft.data.insert((*key).to_owned(), 1.into()).is_none(), "{key} twice");
            }
            // No key of an event is one that redaction drops or refuses.
            let event = Event::new(draft, &Redactor::default()).unwrap();
            assert!(missing(*event_type, &event.fields().data).is_empty(), "{event_type}");
        }
    }
}
